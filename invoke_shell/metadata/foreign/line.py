"""What a reader found as a line of ours: the flags that are there, and every other thing by name.

    txt2img "a cat" --steps 20 --seed 7 ... | upscale --scale 2 | img2img --strength 0.4 ...

The line is made as a chain and written by the language's own writer, so it binds. A number out of a flag's range is
left out, and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Guide, Model, Notes
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.chain import Chain, Stage, Value, to_text
from invoke_shell.pipeline.node import Node
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.types import ModelName, Seed, Size, Weighted, number

__all__ = ["Line", "to_line"]


class Line(NamedTuple):
    """text: the line, "" when there is nothing to run. missing, guessed: the reader's sentences and the line's own.

    continues: a picture must be piped into it. models: the names it has, by kind. tool: the program. lacks: a picture
    that one of its flags reads is not in the file.
    """

    text: str
    missing: tuple[str, ...]
    guessed: tuple[str, ...]
    continues: bool = False
    models: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    tool: str = ""
    lacks: bool = False


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
    lacks = _lacking(found, stages, notes)
    missing, guessed = (*found.missing, *notes.missing), (*found.guessed, *notes.guessed)
    return Line(text, missing, guessed, chain.continues, _models(stages, registry), found.tool, lacks)


class _Writer:
    def __init__(self, registry: Registry, notes: Notes) -> None:
        self.registry = registry
        self.notes = notes

    def stages(self, found: Foreign) -> list[Stage]:
        stages: list[Stage] = []
        self.extras = _extras(found)
        guided = _guided(found)
        if found.drawn and found.source is None and found.strength is None:
            stages.append(self.draw("txt2img", found, first=True, size=_size(found.size), **guided))
        elif found.drawn:
            stages += [stage for step in found.before for stage in self.later(step)]
            if found.source and found.source.how:
                stages += self.sized("resize", "size", size=_size(found.size), how=found.source.how)
            stages.append(self.draw("img2img", found, first=True, strength=found.strength, **guided))
        return stages + [stage for step in found.then for stage in self.later(step)]

    def later(self, step: Draw | Enlarge) -> list[Stage]:
        """A step after the first."""
        if isinstance(step, Draw):
            return [self.draw("img2img", step, first=False, strength=step.strength)]
        if step.size:
            if step.upscaler:
                self.notes.lost("upscaler", step.upscaler)
            return self.sized("resize", "size", size=_size(step.size), how="stretch")
        upscaler = ModelName(step.upscaler) if step.upscaler else None
        return self.sized("upscale", "scale", scale=step.scale, upscaler=upscaler)

    def sized(self, name: str, needed: str, **values: Any) -> list[Stage]:
        """A stage that is left out when its one needed value is out of range."""
        stage = self.stage(name, **values)
        return [stage] if needed in stage.values else []

    def draw(self, name: str, step: Draw, *, first: bool, **more: Any) -> Stage:
        """One run of a sampler; later ones take prompts and model from the line."""
        model = step.model.name if step.model else ""
        return self.stage(
            name,
            prompt=step.prompt or "" if first else step.prompt,
            negative=step.negative or None,
            steps=step.steps,
            guidance=step.guidance,
            scheduler=step.scheduler or step.near or None,
            seed=None if step.seed is None else Seed(step.seed),
            model=ModelName(model) if model else None,
            **{**self.extras, **step.more, **more},
        )

    def stage(self, name: str, **values: Any) -> Stage:
        """A stage with the values that are known, have a flag and are in range."""
        node = self.registry[name]
        fitting = {key: value for key, value in values.items() if value is not None and self.fits(node, key, value)}
        return Stage(node=name, values={key: Value(value) for key, value in fitting.items()})

    def fits(self, node: Node[Any, Any], key: str, value: Any) -> bool:
        """Whether there is a flag that takes a value; what none takes is said."""
        if key not in node.params:
            self.notes.lost(key.replace("_", " "), _shown(value))
            return False
        p = node.params[key]
        if p.bounded and (wrong := next((w for one in _several(value) if (w := p.check(one))), "")):
            self.notes.say(f"left out: {wrong}")
            return False
        return True


def _extras(found: Foreign) -> dict[str, Any]:
    """What is put on the model, by the names of our flags; None for what is not."""
    loras = tuple(Weighted(ModelName(x.name), 1.0 if x.weight is None else x.weight) for x in found.loras if x.name)
    return {
        "lora": loras or None,
        "embedding": tuple(ModelName(name) for name in found.embeddings if name) or None,
        "vae": ModelName(found.vae) if found.vae else None,
        "clip_skip": found.clip_skip or None,
        "rng": "philox" if found.noise == "gpu" else None,
    }


def _guided(found: Foreign) -> dict[str, Any]:
    """ControlNets and IP-Adapters, by the names of our flags."""
    nets, adapters = ([g for g in found.guides if g.kind == kind] for kind in ("controlnet", "ip_adapter"))
    starts = tuple(0.0 if g.start is None else g.start for g in nets)
    ends = tuple(1.0 if g.end is None else g.end for g in nets)
    return {
        "control": tuple(map(_weighted, nets)) or None,
        "control_start": starts if any(starts) else None,
        "control_end": ends if any(end != 1 for end in ends) else None,
        "ip_adapter": tuple(map(_weighted, adapters)) or None,
    }


def _weighted(guide: Guide) -> Weighted[ModelName]:
    return Weighted(ModelName(guide.model), 1.0 if guide.weight is None else guide.weight)


def _lacking(found: Foreign, stages: list[Stage], notes: Notes) -> bool:
    """Whether flags of the line read pictures that are not in the file; they are said."""
    named = {name for stage in stages for name in stage.values}
    wanted = [g for g in found.guides if ("ip_adapter" if g.kind == "ip_adapter" else "control") in named]
    for guide in wanted:
        flag, image = ("--ip-adapter", "--ip-image") if guide.kind == "ip_adapter" else ("--control", "--control-image")
        called = f" {guide.source[:80]}" if guide.source else ""
        made = f", made by {guide.made_by[:40]}" if guide.made_by else ""
        notes.say(f"the picture{called} that {flag} {guide.model} reads is not in the file{made}: add {image} FILE")
    return bool(wanted)


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _shown(value: Any) -> str:
    """A value for a sentence: `detail at 0.8, style`."""
    return ", ".join(
        f"{one.value} at {number(one.weight)}" if isinstance(one, Weighted) else str(one) for one in _several(value)
    )


def _models(stages: list[Stage], registry: Registry) -> dict[str, tuple[str, ...]]:
    """The models that stages name, by kind."""
    named: dict[str, dict[str, None]] = {}
    for stage in stages:
        for key, value in stage.values.items():
            for one in _several(value.value):
                name = one.value if isinstance(one, Weighted) else one
                if isinstance(name, ModelName):
                    named.setdefault(registry[stage.node].params[key].kind.model, {})[name] = None
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
    if found.drawn and found.noise == "gpu":
        notes.guess("the noise was drawn on a GPU there: it is made as an NVIDIA one does")
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
