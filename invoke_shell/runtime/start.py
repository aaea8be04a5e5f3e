"""What a picture begins with: its scheduler, the timesteps that run, its generator, its noise and its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from invoke_shell.pipeline.context import Generation
from invoke_shell.runtime import latents, noise, request, schedulers
from invoke_shell.runtime._diffusers import SchedulerLike
from invoke_shell.runtime.device import Place
from invoke_shell.runtime.loading import Checkpoint

__all__ = ["Run", "started"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One picture about to be drawn. timesteps: (model calls,); source: latents (1, c, h, w) or None.

    chance: what the steps draw their noise from.
    calls: how many of them run, when another model does the rest; None is all.
    """

    model: Checkpoint
    scheduler: SchedulerLike
    timesteps: Tensor
    chance: noise.Chance
    noise: Tensor
    source: Tensor | None
    calls: int | None = None


def started(model: Checkpoint, asked: Generation, place: Place, say: Callable[[str], None], tiled: bool) -> Run:
    """The beginning of a picture. Noise is the first draw of its generator, so it is txt2img's whatever comes in."""
    scheduler = schedulers.build(asked.scheduler, model.scheduler_config, asked.steps, place.device)
    if line := schedulers.missed(scheduler, asked.scheduler, model.scheduler_config):
        say(line)
    timesteps = schedulers.timesteps_from(scheduler, asked.scheduler, asked.start_step, asked.end_step)
    first = noise.seeded(asked)
    shape = (1, model.channels, asked.size.height // model.factor, asked.size.width // model.factor)
    start = noise.start_noise(first, shape, place.device, place.dtype, asked.mixed, asked.rng)
    read = asked.source if request.reads_source(asked) else None
    source = None if read is None else latents.encoded(model, read, place, tiled)
    return Run(
        model=model,
        scheduler=scheduler,
        timesteps=timesteps,
        chance=noise.step_chance(asked, first),
        noise=start,
        source=source,
    )
