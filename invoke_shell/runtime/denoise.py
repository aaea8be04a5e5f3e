"""The loop: noise becomes latents, one model call at a time. Bit-equal to diffusers' pipelines, which a test keeps so.

Our own, because strength, the order of noise, stopping, previews and (later) split runs need a loop in plain sight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from invoke_shell.runtime._diffusers import Denoiser, SchedulerLike, expected, step_arguments
from invoke_shell.runtime.encoders import Conditioning

__all__ = ["Region", "denoise", "first_latents"]

EachStep = Callable[[int, int, Tensor], None]


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


def first_latents(scheduler: SchedulerLike, timesteps: Tensor, noise: Tensor, source: Tensor | None) -> Tensor:
    """What the loop begins with, (1, c, h, w).

    source None from the first step on: txt2img's start. A source: mixed with noise by the forward process.
    source None from a later step on: that step's noise, alone.
    """
    if source is None and len(timesteps) == len(scheduler.timesteps):
        return noise * scheduler.init_noise_sigma
    picture = torch.zeros_like(noise) if source is None else source
    return scheduler.add_noise(picture, noise, timesteps[:1])


def denoise(
    unet: Denoiser,
    scheduler: SchedulerLike,
    latents: Tensor,
    timesteps: Tensor,
    told: Conditioning,
    guidance: float | None,
    generator: torch.Generator,
    each_step: EachStep,
    region: Region | None = None,
) -> Tensor:
    """Latents (1, c, h, w) without noise.

    told: of one prompt; with guidance of two, the negative first, and one model call for both.
    guidance: weight of prompt over negative, None without. each_step: may raise to stop; it gets
    the calls done, of how many, and the latents that the end is expected to have.
    """
    extra = step_arguments(scheduler, generator)
    arguments = {"encoder_hidden_states": told.states, **({"added_cond_kwargs": told.added} if told.added else {})}
    calls = len(timesteps)
    for done, timestep in enumerate(timesteps, 1):
        doubled = latents if guidance is None else torch.cat([latents, latents])
        model_input = scheduler.scale_model_input(doubled, timestep)
        guess = unet(model_input, timestep, **arguments, return_dict=False)[0]
        if guidance is not None:
            negative, positive = guess.chunk(2)
            guess = negative + guidance * (positive - negative)
        stepped = scheduler.step(guess, timestep, latents, return_dict=False, **extra)
        latents = stepped[0]
        if region is not None:
            latents = region.kept(latents, scheduler, timesteps[done] if done < calls else None)
        each_step(done, calls, expected(scheduler, stepped))
    return latents
