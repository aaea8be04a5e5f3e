"""What a ComfyUI sampler was given: prompts, checkpoint, LoRAs, walked back from its inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.comfy_graph import FAR, TEXTS, Graph, Node, source_file
from invoke_shell.metadata.foreign.dialect import COMFYUI, rewrite
from invoke_shell.metadata.foreign.result import Guide, Lora, Model, Notes, layers, model_name

__all__ = ["Given"]

STACK = 50  # LoRAs of one node
MODELS = ("ckpt_name", "unet_name", "model_name", "base_ckpt_name", "ckpt")
SHAPING = ("ConditioningSet", "ConditioningAverage", "unCLIP", "GLIGEN", "StyleModel", "Reference")
# Nodes between a sampler and its checkpoint that change nothing of the model.
QUIET = re.compile(r"(Reroute|Lora|LoRA|CLIP|Checkpoint|UNET|Unet|Efficient Loader|Power Lora|CR Apply LoRA).*")


class Given:
    """Collects what flows into the samplers of one picture."""

    def __init__(self, graph: Graph, notes: Notes) -> None:
        self.graph = graph
        self.notes = notes
        self.loras: dict[str, Lora] = {}
        self.guides: dict[tuple[str, str], Guide] = {}
        self.embeddings: dict[str, None] = {}
        self.clip_skip: int | None = None

    # -- prompts -----------------------------------------------------------------------------------------------------

    def prompt(self, begin: tuple[Node, int] | None, role: str, label: str) -> str | None:
        """The text behind a conditioning; several become one, and that is said. role: positive or negative."""
        if begin is None:
            return None
        texts = list(dict.fromkeys(text for text in self.texts(begin, role) if text))
        if len(texts) > 1:
            self.notes.say(f"the {label} is {len(texts)} texts with conditions of their own; here they are one text")
            texts = [text.rstrip(", ") for text in texts]
        found = rewrite(", ".join(texts), COMFYUI, self.notes, label)
        self.loras.update({lora.name: lora for lora in found.loras})
        self.embeddings.update(dict.fromkeys(found.embeddings))
        return found.text

    def texts(self, begin: tuple[Node, int], role: str) -> Iterator[str]:
        """Every text that flows into a conditioning, in the order of the inputs."""
        stack, seen = [begin], set[tuple[str, int]]()
        while stack and len(seen) < FAR:
            node, output = stack.pop()
            if (node.id, output) in seen or node.kind == "ConditioningZeroOut":
                continue
            seen.add((node.id, output))
            self.shaped(node)
            own = loose.words(node.inputs.get(role))  # loaders that take both prompts
            texts = [own] if own else [self.graph.text(node.inputs[name]) for name in TEXTS if name in node.inputs]
            yield from texts
            if not any(texts):
                stack += reversed(self.behind(node, role, output))

    def behind(self, node: Node, role: str, output: int) -> list[tuple[Node, int]]:
        """Where a node's conditioning comes from: the side that the output stands for, or all."""
        sides = ("positive", "negative")
        if self.graph.follow(node, *sides):
            side = sides[output] if output in (0, 1) else role
            names = [side]
        else:
            names = [name for name in node.inputs if name.startswith("conditioning")] or list(node.inputs)[:FAR]
        return [found for name in names if (found := self.graph.follow_output(node, name))]

    def shaped(self, node: Node) -> None:
        """Clip skip, and what shapes a prompt and has no equal here."""
        self.skip(node)
        if node.kind == "FluxGuidance":
            self.notes.lost("distilled guidance", self.graph.value(node, "guidance"))
        elif "ControlNet" in node.kind:
            self.control(node)
        elif node.kind.startswith(SHAPING):
            self.notes.lost("the node", node.kind)

    def control(self, node: Node) -> None:
        """A ControlNet, with the picture that it reads and the node that made that one."""
        name = model_name(self.graph.word(self.graph.follow(node, "control_net"), "control_net_name"))
        if not name:
            self.notes.lost("ControlNet", f"{node} at {loose.real(self.graph.value(node, 'strength'))}")
            return
        made = self.graph.follow(node, "image")
        source = made if made is None or source_file(made) else self.graph.follow(made, "image")
        self.guides["controlnet", name] = Guide(
            kind="controlnet",
            model=name,
            weight=loose.real(self.graph.value(node, "strength")),
            start=loose.real(self.graph.value(node, "start_percent")),
            end=loose.real(self.graph.value(node, "end_percent")),
            source=re.split(r"[/\\]", self.graph.word(source, "image"))[-1],
            made_by="" if made is source or made is None else str(made),
        )

    def adapter(self, node: Node) -> bool:
        """An IP-Adapter on the way to the checkpoint, where the graph names its file."""
        name = model_name(self.graph.word(self.graph.follow(node, "ipadapter"), "ipadapter_file"))
        if not name:
            return False
        self.guides["ip_adapter", name] = Guide(
            kind="ip_adapter",
            model=name,
            weight=loose.real(self.graph.value(node, "weight")),
            source=re.split(r"[/\\]", self.graph.word(self.graph.follow(node, "image"), "image"))[-1],
        )
        return True

    def skip(self, node: Node) -> None:
        """The layer of the text encoder, and LoRAs on the way to it."""
        at: Node | None = node
        for _ in range(FAR):
            if at is None:
                return
            layer = loose.whole(self.graph.value(at, "stop_at_clip_layer", "clip_skip"))
            self.clip_skip = layers(layer) if layer and self.clip_skip is None else self.clip_skip
            self.add_loras(at)
            at = self.graph.follow(at, "clip")

    # -- models ------------------------------------------------------------------------------------------------------

    def model(self, node: Node | None) -> Model | None:
        """The checkpoint behind a model's link; LoRAs and what else changes it are noted on the way."""
        for _ in range(FAR):
            if node is None:
                break
            self.add_loras(node)
            if name := model_name(self.graph.word(node, *MODELS)):
                return Model(name=name)
            if not QUIET.fullmatch(node.kind) and not ("IPAdapter" in node.kind and self.adapter(node)):
                self.notes.lost("the node", node.kind)
            node = self.graph.follow(node, "model", "base_model", "unet", "model1")  # of a merge the first
        return None

    def add_loras(self, node: Node) -> None:
        """A LoRA loader's, or the several of a node that takes a stack."""
        name = self.graph.word(node, "lora_name")
        weight = loose.real(self.graph.value(node, "strength_model", "lora_model_strength", "strength"))
        self.add(name, weight)
        for entry in list(node.inputs.values())[:FAR]:
            row = loose.mapping(entry)
            if row.get("on") is True:
                self.add(loose.words(row.get("lora")), loose.real(row.get("strength")))
        stack = self.graph.follow(node, "lora_stack", "optional_lora_stack")
        for _ in range(FAR):
            if stack is None:
                break
            self.add_stack(stack)
            stack = self.graph.follow(stack, "lora_stack", "optional_lora_stack")

    def add_stack(self, node: Node) -> None:
        """A node of numbered LoRAs, each with a switch; some say how many of them count."""
        count = loose.whole(self.graph.value(node, "lora_count"))
        for n in range(1, min(STACK if count is None else count, STACK) + 1):
            if str(node.inputs.get(f"switch_{n}", "On")).lower() in ("on", "true"):
                names = (
                    f"lora_wt_{n}",
                    f"model_weight_{n}",
                    f"model_str_{n}",
                    f"strength_model_{n}",
                    f"lora_weight_{n}",
                )
                self.add(
                    self.graph.word(node, f"lora_name_{n}", f"lora_{n}"), loose.real(self.graph.value(node, *names))
                )

    def add(self, text: str, weight: float | None) -> None:
        name = model_name(text)
        if name and name.lower() != "none":
            self.loras.setdefault(name, Lora(name=name, weight=weight))
