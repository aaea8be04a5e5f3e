"""What older formats can say of a picture: the one generation in its history they have room for. Lossy by nature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from invoke_shell.records import Json, ModelRecord, StepRecord

__all__ = ["Summary", "is_generation", "rfc266", "summarise"]

# InvokeAI 2's names; its k_dpmpp_2 is diffusers' DPM-Solver++ 2M.
INVOKEAI_2 = {
    "ddim": "ddim",
    "pndm": "plms",
    "euler": "k_euler",
    "euler_a": "k_euler_a",
    "heun": "k_heun",
    "dpm2": "k_dpm_2",
    "dpm2_a": "k_dpm_2_a",
    "dpmpp_2m": "k_dpmpp_2",
}


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The last generation of a history. size: of the picture it gave; after: the steps that came after it.

    params: all of its values, as recorded.
    """

    type: str  # txt2img, img2img or inpainting
    prompt: str
    negative: str
    steps: int
    guidance: float
    scheduler: str
    seed: int
    width: int
    height: int
    strength: float | None
    model: ModelRecord | None
    after: tuple[StepRecord, ...]
    params: Mapping[str, Json] = field(default_factory=dict)

    @property
    def variations(self) -> list[tuple[int, float]]:
        """Other seeds whose noise is mixed in, each with its share: `101:0.2` as recorded."""
        blend = self.params.get("blend")
        pairs = [str(text).rpartition(":") for text in blend] if isinstance(blend, list | tuple) else []
        return [(int(seed), float(share)) for seed, _, share in pairs if seed.isdigit()]

    @property
    def whole_prompt(self) -> str:
        """InvokeAI 2's one text: the prompt, and the negative prompt in brackets."""
        return f"{self.prompt} [{self.negative}]" if self.negative else self.prompt

    @property
    def invokeai_sampler(self) -> str:
        """InvokeAI 2's name where it had one, else ours."""
        plain = self.scheduler.removesuffix("_karras")
        return INVOKEAI_2.get(plain, self.scheduler)


def is_generation(step: StepRecord) -> bool:
    """True for a step that draws from a prompt and a seed, whatever its node is called."""
    return isinstance(step.params.get("prompt"), str) and isinstance(step.params.get("seed"), int)


def summarise(steps: Sequence[StepRecord]) -> Summary | None:
    """The last generation among steps in topological order; None when nothing was generated."""
    places = [n for n, step in enumerate(steps) if is_generation(step)]
    if not places:
        return None
    step, after = steps[places[-1]], tuple(steps[places[-1] + 1 :])
    params = step.params
    return Summary(
        type="inpainting" if "mask" in step.inputs else "img2img" if step.inputs else "txt2img",
        prompt=str(params["prompt"]),
        negative=_text(params, "negative"),
        steps=int(_number(params, "steps")),
        guidance=_number(params, "guidance"),
        scheduler=_text(params, "scheduler"),
        seed=int(_number(params, "seed")),
        width=step.width,
        height=step.height,
        strength=_strength(step),
        model=next((m for m in step.models.values() if m.kind == "checkpoint"), None),
        after=after,
        params=params,
    )


def _text(params: Mapping[str, Json], name: str) -> str:
    value = params.get(name)
    return value if isinstance(value, str) else ""


def _number(params: Mapping[str, Json], name: str) -> Any:
    value = params.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _strength(step: StepRecord) -> float | None:
    """As typed, or the share of steps that run after `start_step`; None without a source."""
    if not step.inputs:
        return None
    steps = _number(step.params, "steps")
    if step.params.get("start_step") is not None and steps:
        return round(1 - float(_number(step.params, "start_step") / steps), 6)
    return float(_number(step.params, "strength")) if "strength" in step.params else None


def rfc266(steps: Sequence[StepRecord]) -> dict[str, Json]:
    """The `image` object of RFC 266, with every key its readers insist on. `steps` is the truth, this a view."""
    made = summarise(steps)
    if made is None:
        return _external(steps[-1])
    view: dict[str, Json] = {
        "type": made.type,
        "prompt": [{"prompt": made.whole_prompt, "weight": 1.0}],
        "negative_prompt": made.negative,
        "sampler": made.invokeai_sampler,
        "seed": made.seed,
        "variations": [{"seed": seed, "weight": share} for seed, share in made.variations],
        "steps": made.steps,
        "cfg_scale": made.guidance,
        "width": made.width,
        "height": made.height,
        "postprocessing": [_after(step) for step in made.after] or None,
    }
    return view if made.strength is None else {**view, "strength": made.strength, "strength_steps": made.strength}


def _external(last: StepRecord) -> dict[str, Json]:
    """A picture that was not drawn here, only changed."""
    return {
        "type": "external",
        "prompt": [{"prompt": "", "weight": 1.0}],
        "negative_prompt": "",
        "sampler": None,
        "seed": 0,
        "variations": [],
        "steps": 0,
        "cfg_scale": 0,
        "width": last.width,
        "height": last.height,
        "postprocessing": None,
    }


def _after(step: StepRecord) -> dict[str, Json]:
    """One later step; an upscaler network's as InvokeAI 2's web form wrote it."""
    scale = {"scale": step.params["scale"]} if "scale" in step.params else {}
    if any(model.kind == "upscaler" for model in step.models.values()):
        return {"type": "esrgan", **scale, "strength": 1.0, "denoise_str": 0.0}
    return {"type": step.node, **scale}
