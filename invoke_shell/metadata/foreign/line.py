"""What a reader found as a line of ours: the flags that are there, and every other thing by name.

    txt2img "a cat" --steps 20 --seed 7 ... | upscale --scale 2 | img2img --strength 0.4 ...

The line is made as a chain and written by the language's own writer, so it binds. A number out of a flag's range is
left out, and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Model, Notes
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.chain import Chain, Stage, Value, to_text
from invoke_shell.pipeline.node import Node
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.types import ModelName, Seed, Size, number

__all__ = ["Line", "to_line"]


class Line(NamedTuple):
    """text: the line, "" when there is nothing to run. missing, guessed: the reader's sentences and the line's own.

    continues: a picture must be piped into it. models: the names it has, by kind.
    """

    text: str
    missing: tuple[str, ...]
    guessed: tuple[str, ...]
    continues: bool = False
    models: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def to_line(found: Foreign, registry: Registry) -> Line:
    """The line that draws the picture here, as far as the language goes. It binds without faults."""
    notes = Notes()
    stages = _Writer(registry, notes).stages(found)
    _unsaid(found, notes)
    _facts(found, notes)
    chain = Chain(stages=tuple(stages), continues=bool(stages) and registry[stages[0].node].takes != "none")
    if chain.continues:
        notes.say(_source(found))
    text = visible(to_text(chain, registry)) if stages else ""
    missing, guessed = (*found.missing, *notes.missing), (*found.guessed, *notes.guessed)
    return Line(text, missing, guessed, chain.continues, _models(stages, registry))


class _Writer:
    def __init__(self, registry: Registry, notes: Notes) -> None:
        self.registry = registry
        self.notes = notes

    def stages(self, found: Foreign) -> list[Stage]:
        stages: list[Stage] = []
        if found.drawn and found.source is None and found.strength is None:
            stages.append(self.stage("txt2img", self.drawn(found, first=True), size=_size(found.size)))
        elif found.drawn:
            stages += [stage for step in found.before for stage in self.later(step)]
            if found.source and found.source.how and (size := _size(found.size)):
                stages.append(self.stage("resize", {}, size=size, how=found.source.how))
            stages.append(self.stage("img2img", self.drawn(found, first=True), strength=found.strength))
        return stages + [stage for step in found.then for stage in self.later(step)]

    def later(self, step: Draw | Enlarge) -> list[Stage]:
        """A step after the first."""
        if isinstance(step, Draw):
            return [self.stage("img2img", self.drawn(step, first=False), strength=step.strength)]
        if step.size:
            if step.upscaler:
                self.notes.lost("upscaler", step.upscaler)
            return self.sized("resize", "size", size=_size(step.size), how="stretch")
        upscaler = ModelName(step.upscaler) if step.upscaler else None
        return self.sized("upscale", "scale", scale=step.scale, upscaler=upscaler)

    def sized(self, name: str, needed: str, **values: Any) -> list[Stage]:
        """A stage that is left out when its one needed value is out of range."""
        stage = self.stage(name, values)
        return [stage] if needed in stage.values else []

    def drawn(self, step: Draw, *, first: bool) -> dict[str, Any]:
        """The values of one run of a sampler; later ones take prompts and model from the line."""
        name = step.model.name if step.model else ""
        return {
            "prompt": step.prompt or "" if first else step.prompt,
            "negative": step.negative or None,
            "steps": step.steps,
            "guidance": step.guidance,
            "scheduler": step.scheduler or step.near or None,
            "seed": None if step.seed is None else Seed(step.seed),
            "model": ModelName(name) if name else None,
        }

    def stage(self, name: str, *given: dict[str, Any], **more: Any) -> Stage:
        """A stage with the values that are known and in range."""
        node = self.registry[name]
        values = {key: value for values in (*given, more) for key, value in values.items() if value is not None}
        return Stage(
            node=name, values={key: Value(value) for key, value in values.items() if self.fits(node, key, value)}
        )

    def fits(self, node: Node[Any, Any], key: str, value: Any) -> bool:
        """Whether a flag takes a value; what it does not take is said."""
        wrong = node.params[key].check(value)
        if wrong:
            self.notes.say(f"left out: {wrong}")
        return not wrong


def _models(stages: list[Stage], registry: Registry) -> dict[str, tuple[str, ...]]:
    """The models that stages name, by kind."""
    named: dict[str, dict[str, None]] = {}
    for stage in stages:
        for key, value in stage.values.items():
            if isinstance(value.value, ModelName):
                named.setdefault(registry[stage.node].params[key].kind.model, {})[value.value] = None
    return {kind: tuple(names) for kind, names in named.items()}


def _size(size: tuple[int, int] | None) -> Size | None:
    return Size(*size) if size else None


def _unsaid(found: Foreign, notes: Notes) -> None:
    """What a line needs and the file does not say."""
    if not found.drawn:
        return
    if found.seed is None:
        notes.say("the seed is not in the file: a fresh one is drawn")
    named: dict[str, Any] = {
        "steps": found.steps,
        "guidance": found.guidance,
        "scheduler": found.scheduler_text or None,
    }
    if found.source is None and found.strength is None:
        named["size"] = found.size
    lacking = [name for name, value in named.items() if value is None]
    if lacking:
        notes.guess(f"not in the file, so what is set here counts: {', '.join(lacking)}")


def _facts(found: Foreign, notes: Notes) -> None:
    """What a reader found and no flag takes."""
    for lora in found.loras:
        notes.lost("LoRA", lora.name + ("" if lora.weight is None else f" at {number(lora.weight)}"))
    if found.vae:
        notes.lost("VAE", found.vae)
    if found.clip_skip is not None and found.clip_skip > 1:
        notes.lost("clip skip", str(found.clip_skip))
    if found.drawn and found.noise == "gpu":
        notes.say("the noise was drawn on a GPU there and is drawn on the CPU here: the seed gives another picture")
    if found.model and not found.model.name:
        notes.say(f"the model is known by its hash alone: {_hashes(found.model)}")


def _hashes(model: Model) -> str:
    return ", ".join(f"{kind} {digits}" for kind, digits in model.hashes.items())


def _source(found: Foreign) -> str:
    """What to pipe in."""
    source = found.source
    name = f" {source.name[:80]}" if source and source.name else ""
    digest = f" (sha256 {source.hash[:16]}…)" if source and source.hash else ""
    return f"the source picture{name}{digest} is not in the file: pipe it in, as in load_image FILE | ..."
