"""What every engine, real or fake, does with a request before a model is asked. No torch here.

Sizes are brought to multiples of 8, a source to the size of its picture, and both are said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, Made, Mask

__all__ = [
    "facts",
    "from_noise_alone",
    "guided",
    "last_step",
    "passed_through",
    "passes",
    "prepare",
    "reads_source",
    "steps_run",
    "told_start",
]

Say = Callable[[str], None]


def prepare(request: Generation, say: Say, multiple: int = 8) -> Generation:
    """The request with sizes the model can draw; raises RunError for a scheduler nobody knows."""
    if request.scheduler not in SCHEDULERS:
        raise RunError(f"no scheduler is called {request.scheduler}", code="bad-value")
    size = _down(request.size, multiple)
    if size != request.size:
        say(f"size {request.size} is drawn as {size}: sides are multiples of {multiple}")
    return replace(request, size=size, source=_fitted(request, size, say), mask=_fitted_mask(request, size, say))


def guided(request: Generation) -> bool:
    """True when the negative prompt is asked too; at guidance 1 and below it would have no weight."""
    return request.guidance > 1 and (request.image_guidance is None or request.image_guidance >= 1)


def steps_run(request: Generation) -> int:
    """Scheduler steps that will really run."""
    return last_step(request) - request.start_step


def last_step(request: Generation) -> int:
    """The step after which it ends: of all, or the one that was asked for."""
    return request.steps if request.end_step is None else min(request.end_step, request.steps)


def from_noise_alone(request: Generation) -> bool:
    """True when nothing of a source goes into the beginning; an edit reads it beside the latents."""
    return request.pure_noise or request.source is None or request.image_guidance is not None


def reads_source(request: Generation) -> bool:
    """True when the source's latents are needed: mixed into the start, or kept outside of a mask."""
    return request.source is not None and (not from_noise_alone(request) or request.mask is not None)


def passed_through(request: Generation) -> Made | None:
    """At strength 0 the source itself, untouched by any VAE; None when there is something to draw.

    Raises RunError for an end that is not behind the beginning.
    """
    if request.end_step is not None and request.refiner is not None:
        raise RunError("--end-step shows one model on its way, and --refiner asks two", code="excluded-flag")
    if request.end_step is not None and request.end_step <= request.start_step < request.steps:
        message = f"--end-step {request.end_step} is not behind step {request.start_step}, where it begins"
        raise RunError(message, code="out-of-range")
    if request.source is None or steps_run(request) > 0:
        return None
    note = "strength 0: the picture passed through untouched"
    return Made(image=request.source, facts={"note": note, "steps_run": 0, "model_calls": 0})


def told_start(request: Generation, sigma: float, calls: int) -> str:
    """`img2img: 15 of 20 steps (strength 0.75, from sigma 3.9)`; "" for a picture drawn from its first step on."""
    if from_noise_alone(request) and request.start_step == 0:
        return ""
    asked = f"step {request.start_step}" if request.strength is None else f"strength {request.strength:g}"
    ran = steps_run(request)
    more = f", {calls} model calls" if calls != ran else ""
    return f"{_teller(request)}: {ran} of {request.steps} steps ({asked}, from sigma {sigma:.2g}{more})"


def facts(request: Generation, **engine: Any) -> dict[str, Any]:
    """What is recorded of every picture; the engine adds what only it knows."""
    return {
        "steps_run": steps_run(request),
        "strength": request.strength,
        "start_step": request.start_step,
        **({} if request.end_step is None else {"end_step": last_step(request)}),
        # A picture drawn alone; a batch would say its size and the picture's place, which change last bits.
        "batch": {"size": 1, "index": 0},
        **engine,
    }


def passes(scale: float, network_scale: int) -> int:
    """How often a network that enlarges `network_scale` times must run to reach `scale`; at least once."""
    count = 1
    while network_scale > 1 and network_scale**count < scale:
        count += 1
    return count


def _teller(request: Generation) -> str:
    return request.teller or "img2img"


def _down(size: Size, multiple: int) -> Size:
    return Size(*(max(multiple, side // multiple * multiple) for side in size))


def _fitted(request: Generation, size: Size, say: Say) -> Image | None:
    source = request.source
    if source is None or steps_run(request) == 0 or source.size == (size.width, size.height):
        return source
    from PIL.Image import Resampling

    say(f"{_teller(request)}: the source of {source.width}x{source.height} is sized to {size}")
    return Image.from_pil(source.pil().resize((size.width, size.height), Resampling.LANCZOS))


def _fitted_mask(request: Generation, size: Size, say: Say) -> Mask | None:
    mask = request.mask
    if mask is None or mask.size == (size.width, size.height):
        return mask
    from PIL.Image import Resampling

    say(f"the mask of {mask.width}x{mask.height} is sized to {size}")
    fitted = mask.pil().resize((size.width, size.height), Resampling.NEAREST)
    return Mask(mode="L", width=size.width, height=size.height, pixels=fitted.tobytes())
