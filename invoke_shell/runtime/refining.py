"""The hand-over from one model to a second that draws the last steps: SDXL's refiner.

Where the noise is low enough the second model goes on with the first one's latents, on a schedule of its own and with
its own reading of the prompt; no noise is added in between. diffusers' denoising_end and denoising_start, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.runtime import schedulers
from invoke_shell.runtime._diffusers import SchedulerLike
from invoke_shell.runtime.device import Place
from invoke_shell.runtime.loading import Checkpoint
from invoke_shell.runtime.start import Run

__all__ = ["HandOver", "handed_over"]


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """first: the run up to where the second model takes over; second: a run of what is left, source unused."""

    first: Run
    second: Run

    @property
    def facts(self) -> dict[str, Any]:
        """What is recorded of it."""
        calls = [len(self.first.timesteps[: self.first.calls]), len(self.second.timesteps)]
        return {"refiner": {"name": self.second.model.name, "model_calls": calls[1]}, "model_calls": sum(calls)}


def handed_over(run: Run, refiner: Checkpoint, asked: Generation, place: Place) -> HandOver:
    """A run cut where `refiner_start` of the noise's way is gone. Raises RunError when none is left to the first."""
    _check(run, refiner, asked)
    scheduler = schedulers.build(asked.scheduler, refiner.scheduler_config, asked.steps, place.device)
    rest = _rest(scheduler, asked)
    calls = int((run.timesteps >= _cut(run.scheduler, asked)).sum())
    if not calls:
        message = f"--refiner-start {asked.refiner_start:g} leaves {run.model.name} nothing to draw"
        raise RunError(message, hint="try a larger one, or a larger --strength", code="out-of-range")
    second = replace(run, model=refiner, scheduler=scheduler, timesteps=rest, source=None)
    return HandOver(first=replace(run, calls=calls), second=second)


def _check(run: Run, refiner: Checkpoint, asked: Generation) -> None:
    if asked.mask is not None:
        raise RunError("--refiner goes with no mask", hint="refine the picture in a stage behind it", code="bad-value")
    if (refiner.family, refiner.channels, refiner.task) != (run.model.family, run.model.channels, ""):
        message = f"{refiner.name} cannot go on where {run.model.name} left off: it is of another family"
        raise RunError(message, hint="SDXL has a refiner", code="bad-model")


def _cut(scheduler: SchedulerLike, asked: Generation) -> int:
    """The timestep at which the second model takes over, as diffusers rounds it."""
    whole = scheduler.config["num_train_timesteps"]
    cut: int = round(whole - asked.refiner_start * whole)
    return cut


def _rest(scheduler: SchedulerLike, asked: Generation) -> Tensor:
    """The timesteps that are left to the second model; also tells its scheduler where it begins."""
    steps = int((scheduler.timesteps < _cut(scheduler, asked)).sum())
    # A second-order scheduler may not begin between the two calls of a step.
    steps += SCHEDULERS[asked.scheduler].order == 2 and steps % 2 == 0
    begin = len(scheduler.timesteps) - steps
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    return scheduler.timesteps[begin:]
