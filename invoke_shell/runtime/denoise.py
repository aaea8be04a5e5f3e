"""The loop: noise becomes latents, one model call at a time. Bit-equal to diffusers' pipelines, which a test keeps so.

Our own, because strength, the order of noise, stopping, previews and (later) split runs need a loop in plain sight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from invoke_shell.runtime._diffusers import Denoiser, SchedulerLike, expected, step_arguments
from invoke_shell.runtime.encoders import Conditioning
from invoke_shell.runtime.guidance import Guidance
from invoke_shell.runtime.noise import Chance

__all__ = ["Region", "denoise", "first_latents"]

EachStep = Callable[[int, int, Tensor], None]
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Region:
    """Where to repaint. mask: (1, 1, h, w) of 0 and 1, 1 is repainted; source, noise: latents (1, c, h, w)."""

    mask: Tensor
    source: Tensor
    noise: Tensor

    def kept(self, latents: Tensor, scheduler: SchedulerLike, next_timestep: Tensor | None) -> Tensor:
        """The latents with everything outside the mask put back, as noisy as the loop now is."""
        source = self.source
        if next_timestep is not None:
            source = scheduler.add_noise(source, self.noise, next_timestep.reshape(1))
        return (1 - self.mask) * source + self.mask * latents


def first_latents(
    scheduler: SchedulerLike, timesteps: Tensor, noise: Tensor, source: Tensor | None, start: int = 0
) -> Tensor:
    """What the loop begins with, (1, c, h, w).

    source None from the first step on: txt2img's start. A source: mixed with noise by the forward process.
    source None from a later step on: that step's noise, alone.
    """
    if source is None and not start:
        return noise * scheduler.init_noise_sigma
    picture = torch.zeros_like(noise) if source is None else source
    return scheduler.add_noise(picture, noise, timesteps[:1])


def denoise(
    unet: Denoiser,
    scheduler: SchedulerLike,
    latents: Tensor,
    timesteps: Tensor,
    told: Conditioning,
    guidance: Guidance | None,
    chance: Chance,
    each_step: EachStep,
    region: Region | None = None,
    beside: Tensor | None = None,
    options: Mapping[str, Any] = NO_OPTIONS,
) -> Tensor:
    """Latents (1, c, h, w) without noise.

    told: of one prompt; with guidance of two, the negative first, and one model call for both. guidance: None without.
    each_step: may raise to stop; it gets the calls done, of how many, and the latents that the end is expected to have.
    beside: channels (parts, d, h, w) that the model reads with the latents. options: of the scheduler's step.
    """
    extra = {**step_arguments(scheduler, chance.generator), **options}
    arguments = _arguments(told)
    copies, calls = guidance.parts if guidance else 1, len(timesteps)
    for done, timestep in enumerate(timesteps, 1):
        several = latents if guidance is None else torch.cat([latents] * copies)
        model_input = scheduler.scale_model_input(several, timestep)
        if beside is not None:
            model_input = torch.cat([model_input, beside], dim=1)
        guess = unet(model_input, timestep, **arguments, return_dict=False)[0]
        if guidance is not None:
            guess = guidance.combined(guess)
        with chance.in_steps():
            stepped = scheduler.step(guess, timestep, latents, return_dict=False, **extra)
        latents = stepped[0]
        if region is not None:
            latents = region.kept(latents, scheduler, timesteps[done] if done < calls else None)
        each_step(done, calls, expected(scheduler, stepped))
    return latents


def _arguments(told: Conditioning) -> dict[str, Any]:
    """What the U-Net takes besides latents and timestep."""
    more: dict[str, Any] = {"added_cond_kwargs": told.added} if told.added else {}
    if told.guidance is not None:
        more["timestep_cond"] = told.guidance
    return {"encoder_hidden_states": told.states, **more}
