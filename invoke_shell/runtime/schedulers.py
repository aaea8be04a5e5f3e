"""Builds the schedulers that pipeline/schedulers.py names, and says which timesteps a picture runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.runtime._diffusers import SchedulerLike, make_scheduler

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["build", "described", "is_noisy", "missed", "sigma_at", "step_options", "timesteps_from"]

# diffusers' own default for some classes is True, which would silently clip the picture of a model trained without.
NEUTRAL = {"clip_sample": False}
CALLED = {"churn": "s_churn"}  # options by the names of diffusers, where they are others
PURE = 2.0**-24  # of the picture's variance, where a schedule of zero SNR keeps none: what diffusers' sigmas take too


def build(name: str, model_config: Mapping[str, Any], steps: int, device: torch.device) -> SchedulerLike:
    """The scheduler `name` on the noise schedule of a model's scheduler_config.json, set to `steps`.

    Raises RunError where the scheduler cannot make so many steps (lcm: 50), or lacks the package it computes with.
    """
    row = SCHEDULERS[name]
    if row.needs and find_spec(row.needs) is None:
        message = f"the scheduler {name} computes with {row.needs}, which is not installed"
        raise RunError(message, hint=f"pip install {row.needs}", code="bad-choice")
    scheduler = make_scheduler(row.kind, {**NEUTRAL, **model_config, **row.config})
    try:
        scheduler.set_timesteps(steps, device=device)
    except (ValueError, IndexError) as error:
        most = f": at most {scheduler.config['original_inference_steps']}" if name in ("lcm", "tcd") else ""
        raise RunError(f"--steps {steps} is too many for {name}{most}", code="out-of-range") from error
    return scheduler


def timesteps_from(scheduler: SchedulerLike, name: str, start: int, end: int | None = None) -> Tensor:
    """The timesteps from step `start` on, shape (model calls,); also tells the scheduler where it begins.

    end: the step after which it ends, None for the last.
    """
    if name == "pndm":
        found = _pndm_from(scheduler.timesteps, start)
        return found if end is None else found[: end - start + (end - start > 1)]
    order = SCHEDULERS[name].order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start * order)
    return scheduler.timesteps[start * order : None if end is None else end * order]


def sigma_at(scheduler: SchedulerLike, name: str, start: int, timesteps: Tensor) -> float:
    """The noise level a picture begins at, at step `start`: standard deviation of noise over picture, unitless."""
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is not None:
        return float(sigmas[start * SCHEDULERS[name].order])
    kept = max(float(scheduler.alphas_cumprod[int(timesteps[0])]), PURE)  # type: ignore[attr-defined]
    return float(((1 - kept) / kept) ** 0.5)


def missed(scheduler: SchedulerLike, name: str, model_config: Mapping[str, Any]) -> str:
    """What of a model's noise schedule a scheduler does not know, as a line to say; "" for nothing."""
    if model_config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in scheduler.config:
        return f"{name} does not know zero SNR, which this model was trained with: ddim, euler and dpmpp_2m do"
    return ""


def step_options(asked: Generation) -> dict[str, Any]:
    """What a request's flags add to each step of its scheduler. Raises RunError for a flag that it does not take."""
    given = {"eta": asked.eta, "churn": asked.churn or None}
    found = {name: value for name, value in given.items() if value is not None}
    for name in found:
        if name not in SCHEDULERS[asked.scheduler].takes:
            takers = ", ".join(s.name for s in SCHEDULERS.values() if name in s.takes and not s.sigmas)
            message = f"{asked.scheduler} has no --{name}"
            raise RunError(message, hint=f"{takers} have one", code="bad-choice")
    return {CALLED.get(name, name): value for name, value in found.items()}


def is_noisy(asked: Generation) -> bool:
    """Whether the steps draw noise."""
    return SCHEDULERS[asked.scheduler].noisy or bool(asked.eta) or asked.churn > 0


def described(scheduler: SchedulerLike) -> dict[str, Any]:
    """Class and every value of its configuration, plain JSON, for the record."""
    values = {name: _plain(value) for name, value in scheduler.config.items() if not name.startswith("_")}
    return {"class": type(scheduler).__name__, **values}


def _pndm_from(timesteps: Tensor, start: int) -> Tensor:
    """PNDM runs its second timestep twice, to begin with two guesses; beginning later, the same of what is left.

    diffusers' img2img cuts its list where txt2img's repetition stands and so begins one step too early.
    """
    import torch

    plain = torch.cat([timesteps[:1], timesteps[2:]])[start:]
    return torch.cat([plain[:2], plain[1:]])


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    # JSON has no infinity; the DPM solvers' lambda_min_clipped is minus infinity.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
