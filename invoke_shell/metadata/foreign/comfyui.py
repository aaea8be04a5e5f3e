"""ComfyUI: the graph that ran, walked from the saving node back to where the picture began.

    SaveImage <- VAEDecode <- KSampler <- LatentUpscale <- KSampler <- EmptyLatentImage

Each sampler on the way is a pass. A node that is not known is passed through where a picture comes in, and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace

from invoke_shell.metadata.foreign import infotext, loose
from invoke_shell.metadata.foreign.comfy_editor import drawn
from invoke_shell.metadata.foreign.comfy_graph import FAR, PICTURES, Graph, Node, samples, source_file
from invoke_shell.metadata.foreign.comfy_prompt import Given
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Notes, Source, model_name
from invoke_shell.metadata.foreign.samplers import Named, sampler

__all__ = ["read"]

MOST_PASSES = 16
MOST_SAVERS = 16
SMALLEST = 64  # pixels of a side; a smaller picture was cropped
HOMES = ("prompt", "UserComment", "Make", "Model", "ImageDescription", "generation_data", "parameters")
PREFIX = re.compile(r"\s{0,9}(prompt|workflow)\s{0,9}:", re.IGNORECASE)
# Nodes on the way whose values are read elsewhere, or that change no pixel.
QUIET = re.compile(r"(VAE|Empty|Save|Preview|Reroute|Latent From Batch|LatentFromBatch).*|.*Empty.*Latent.*")


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture of the graph in `prompt`; ComfyUI's WebP and JPEG writers keep it in EXIF.

    Stability Matrix and many savers write AUTOMATIC1111's text beside it: hashes are read there, and all of it where
    the walk does not find a picture.
    """
    walked = _walked(tool, texts, size)
    written = infotext.read(tool, texts, size)
    if walked and written and walked.prompt and walked.steps and walked.seed is not None:
        return _with_hashes(walked, written)
    if written or walked:
        return replace(written, noise="cpu") if written else walked
    return _of_editor(tool, texts, size)


def _walked(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    for name in HOMES:
        graph = Graph(loose.loads(PREFIX.sub("", texts.get(name, ""), count=1)))
        if graph.nodes:
            return _Walker(tool, graph).picture(size)
    return None


def _of_editor(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture of the editor's workflow, where the graph that ran is not in the file."""
    named = [text for name, text in texts.items() if name == "workflow" or "workflow" in text[:40].lower()]
    if not named:
        return None
    made = max(
        (drawn(loose.loads(PREFIX.sub("", text, count=1))) for text in named), key=lambda found: len(found.graph)
    )
    graph = Graph(made.graph)
    found = _Walker(tool, graph).picture(size) if graph.nodes else None
    if found is None or not (found.drawn or found.then or found.before):
        sentence = "the file has the editor's workflow only, and no way to a saved picture is found in it"
        return Foreign(tool=tool, missing=(*(found.missing if found else ()), sentence))
    notes = Notes()
    for kind in made.unnamed:
        notes.say(f"the values of the node {kind[:60]} are not read: nothing in the workflow names them")
    sentence = "the graph that ran is not in the file: this is the editor's workflow, with what stood in its fields"
    return replace(found, guessed=(sentence, *found.guessed), missing=(*found.missing, *notes.missing))


def _with_hashes(walked: Foreign, written: Foreign) -> Foreign:
    """A graph has names of models only; the text of the same picture their hashes."""
    hashes = {lora.name: lora.hash for lora in written.loras}
    loras = tuple(replace(lora, hash=hashes.get(lora.name, "")) for lora in walked.loras)
    same = walked.model and written.model and walked.model.name == written.model.name
    return replace(walked, loras=loras, model=written.model if same else walked.model)


@dataclass
class _Trail:
    """What lies between a saving node and the beginning, last first."""

    steps: list[Draw | Enlarge] = field(default_factory=list)
    size: tuple[int, int] | None = None
    source: Source | None = None

    @property
    def draws(self) -> int:
        return sum(isinstance(step, Draw) for step in self.steps)

    def parts(self) -> tuple[tuple[Enlarge, ...], Draw, tuple[Draw | Enlarge, ...]]:
        """What was done before the first sampler, that sampler, and what was done after it."""
        steps = self.steps[::-1]
        if not self.draws:
            return (), Draw(), tuple(steps)
        at = next(n for n, step in enumerate(steps) if isinstance(step, Draw))
        before = tuple(step for step in steps[:at] if isinstance(step, Enlarge))
        first = next(step for step in steps if isinstance(step, Draw))
        return before, first, tuple(steps[at + 1 :])

    def ends_at(self) -> tuple[int, int] | None:
        """The size of the picture it gives, where that is known."""
        size = self.size
        for step in reversed(self.steps):
            if isinstance(step, Enlarge):
                size = step.size or (_scaled(size, step.scale) if size and step.scale else None)
        return size


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return round(size[0] * scale), round(size[1] * scale)


class _Walker:
    """way_only: samplers are counted and not read, to choose between saving nodes."""

    def __init__(self, tool: str, graph: Graph, *, way_only: bool = False) -> None:
        self.tool = tool
        self.way_only = way_only
        self.graph = graph
        self.notes = Notes()
        self.given = Given(graph, self.notes)
        self.vae = ""
        self.size = (0, 0)

    # -- the picture -------------------------------------------------------------------------------------------------

    def picture(self, size: tuple[int, int]) -> Foreign | None:
        """The whole of it; None for a graph that saves nothing."""
        ends = self.savers()
        if not ends:
            return None
        self.size = size
        trail = self.trail(self.chosen(ends, size) if len(ends) > 1 else ends[0])
        before, first, then = trail.parts()
        drawn = {f.name: getattr(first, f.name) for f in fields(Draw)}
        return Foreign(
            **{**drawn, "size": trail.size},
            tool=self.tool,
            source=trail.source,
            before=before,
            loras=tuple(self.given.loras.values()),
            embeddings=tuple(self.given.embeddings),
            guides=tuple(self.given.guides.values()),
            vae=self.vae,
            clip_skip=self.given.clip_skip,
            noise="cpu",
            then=then,
            missing=self.notes.missing,
            guessed=self.notes.guessed,
        )

    def savers(self) -> list[Node]:
        """Nodes that save; those that show, where none does; samplers, where no node does either."""
        nodes = list(self.graph.nodes.values())
        for kind in ("save", "preview"):
            if found := [n for n in nodes if kind in n.kind.lower() and self.graph.follow(n, *PICTURES)]:
                return found
        return [n for n in nodes if samples(n)]

    def chosen(self, ends: list[Node], size: tuple[int, int]) -> Node:
        """The saving node of this file: the one whose size it has, else the one with most passes."""
        self.notes.guess(f"the graph has {len(ends)} saving nodes; the one that fits the picture best is taken")
        trails = [(node, _Walker(self.tool, self.graph, way_only=True).trail(node)) for node in ends[:MOST_SAVERS]]
        return max(trails, key=lambda pair: (pair[1].ends_at() == size, pair[1].draws))[0]

    def trail(self, node: Node) -> _Trail:
        """Every node from here back that changes the picture."""
        trail, seen = _Trail(), set[str]()
        at: Node | None = node
        while at is not None and at.id not in seen and len(seen) < FAR and trail.draws < MOST_PASSES:
            seen.add(at.id)
            self.take(at, trail)
            behind = self.graph.follow(at, *PICTURES)
            if behind is None:
                trail.size = trail.size or self.beginning(at)
            at = behind
        return trail

    def take(self, node: Node, trail: _Trail) -> None:
        """One node into the trail."""
        if samples(node):
            self.sampled(node, trail)
        elif source_file(node):
            trail.source = Source(name=re.split(r"[/\\]", self.graph.word(node, "image"))[-1])
        elif "Upscale" in node.kind or "Resize" in node.kind or node.kind.startswith("ImageScale"):
            trail.steps += self.enlarged(node, last=not any(isinstance(step, Enlarge) for step in trail.steps))
        elif not QUIET.fullmatch(node.kind):
            self.notes.lost("the node", node.kind)
        if self.graph.follow(node, "mask", "noise_mask"):
            self.notes.lost("a mask", str(node))
        loader = self.graph.follow(node, "vae")
        self.vae = self.vae or model_name(self.graph.word(loader, "vae_name"))

    def beginning(self, node: Node) -> tuple[int, int] | None:
        """The size of an empty latent."""
        count = loose.whole(self.graph.value(node, "batch_size"))
        if count and count > 1:
            self.notes.guess(f"it is one of a batch of {count}; the file does not say which, the first is taken")
        return self.graph.size(node, self.notes)

    def enlarged(self, node: Node, *, last: bool = False) -> Iterator[Enlarge]:
        """A node that makes the picture larger. last: nothing after it changes the size."""
        scale = self.graph.real(node, self.notes, "scale_by", "upscale_by", "rescale_factor")
        size = self.graph.size(node, self.notes)
        upscaler = model_name(self.graph.word(self.graph.follow(node, "upscale_model"), "model_name"))
        if "Latent" in node.kind:
            self.notes.guess(f"{node} enlarges latents there and pixels here")
        if upscaler and not scale and not size:
            scale = _factor(upscaler)
            self.notes.guess(f"the upscaler {upscaler[:60]} is taken to enlarge {scale:g} times, by its name")
        if not scale and not size and last and min(self.size) >= SMALLEST:
            size = self.size
            self.notes.guess(f"{node} enlarges to a size that the graph computes; the picture's own is taken")
        if not scale and not size:
            self.notes.lost("the node", node.kind)
        else:
            yield Enlarge(scale=None if size else scale, size=size, upscaler=upscaler)

    # -- samplers ----------------------------------------------------------------------------------------------------

    def sampled(self, node: Node, trail: _Trail) -> None:
        """A sampler: a pass, or the second part of one that began in another sampler."""
        noise = self.graph.follow(node, "noise")
        if self.graph.word(node, "add_noise") == "disable" or (noise and noise.kind == "DisableNoise"):
            model = self.given.model(self.graph.follow(node, "model"))
            self.notes.lost("a second sampler that goes on from the first", model.name if model else node.kind)
            return
        if node.inputs.get("add_noise") is False:
            self.notes.lost("a sampler that adds no noise", node.kind)
        trail.steps.append(self.drawn(node, noise))
        if "Upscale" in node.kind:  # UltimateSDUpscale enlarges first
            trail.steps += self.enlarged(node)

    def drawn(self, node: Node, noise: Node | None) -> Draw:
        """One pass. SamplerCustomAdvanced keeps its values in nodes of their own."""
        if self.way_only:
            return Draw()
        guider = self.graph.follow(node, "guider") or node
        positive = self.graph.follow_output(guider, "positive", "conditioning", "cond1")
        negative = self.graph.follow_output(guider, "negative")
        levels = self.graph.follow(node, "sigmas") or node
        steps = self.graph.whole(levels, self.notes, "steps")
        return Draw(
            prompt=self.given.prompt(positive, "positive", "prompt"),
            negative=self.given.prompt(negative, "negative", "negative prompt"),
            seed=self.graph.whole(noise or node, self.notes, "noise_seed", "seed"),
            steps=steps,
            guidance=1.0 if guider.kind == "BasicGuider" else self.graph.real(guider, self.notes, "cfg", "cfg_conds"),
            strength=None if self.empty(node) else self.strength(node, levels, steps),
            model=self.given.model(self.graph.follow(guider, "model")),
            **self.sampling(node, levels),
        )

    def sampling(self, node: Node, levels: Node) -> Named:
        """Sampler and noise levels, of the node itself or of the nodes it is linked to."""
        chosen = self.graph.follow(node, "sampler")
        kind = chosen.kind.removeprefix("Sampler").lower() if chosen else ""  # SamplerDPMPP_2M_SDE
        schedule = self.graph.word(levels, "scheduler") or _schedule_of(levels.kind)
        return sampler(self.graph.word(chosen or node, "sampler_name") or kind, schedule, self.notes)

    def empty(self, node: Node) -> bool:
        """True when nothing but noise comes in: there is no picture behind."""
        behind = self.graph.follow(node, *PICTURES)
        for _ in range(FAR):
            if behind is None:
                break
            if samples(behind) or source_file(behind):
                return False
            behind = self.graph.follow(behind, *PICTURES)
        return True

    def strength(self, node: Node, levels: Node, steps: int | None) -> float:
        """The share of the steps that run; KSamplerAdvanced says where it begins and ends."""
        begin = loose.whole(self.graph.value(node, "start_at_step"))
        end = loose.whole(self.graph.value(node, "end_at_step"))
        if steps and end is not None and end < steps:
            self.notes.lost(f"stopping before the last of {steps} steps", end)
        if steps and begin is not None:
            return round(max(0.0, 1 - begin / steps), 4)
        denoise = self.graph.real(levels, self.notes, "denoise")
        return 1.0 if denoise is None else round(denoise, 6)  # its editor adds up to 0.35000000000000003


def _factor(name: str) -> float:
    """The factor in an upscaler's name: 4x-UltraSharp, RealESRGAN_x2; 4 where none is."""
    found = re.search(r"(?<!\d)([248])x|x([248])(?!\d)", name, re.IGNORECASE)
    return float(found[1] or found[2]) if found else 4.0


def _schedule_of(kind: str) -> str:
    """KarrasScheduler is karras."""
    return kind.removesuffix("Scheduler").lower() if kind.endswith("Scheduler") and kind != "BasicScheduler" else ""
