"""Noise: one source of chance for each picture, on the CPU, so that a seed means one picture on every device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Weighted
from invoke_shell.runtime.philox import PhiloxNoise

__all__ = ["Chance", "described", "generator", "seeded", "slerp", "start_noise", "step_chance"]

SEEDS = 2**64


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU. seed: 0 to 2**64-1."""
    return torch.Generator("cpu").manual_seed(seed)


class Chance:
    """A picture's only source of chance. rng: `cpu`, torch's own generator; `philox`, CUDA's numbers."""

    def __init__(self, seed: int, rng: str = "cpu") -> None:
        self.philox = PhiloxNoise(seed) if rng == "philox" else None
        self.generator = self.philox.generator if self.philox else generator(seed)

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        """The next draw, float32 on the CPU."""
        if self.philox is not None:
            return self.philox.draw(shape)
        return torch.randn(shape, generator=self.generator, dtype=torch.float32)

    def in_steps(self) -> AbstractContextManager[object]:
        """While entered, what is drawn with `generator` comes from here."""
        return nullcontext() if self.philox is None else self.philox


def seeded(asked: Generation) -> Chance:
    """The chance of a request's picture."""
    return Chance(asked.seed, asked.rng)


def step_chance(asked: Generation, first: Chance) -> Chance:
    """Where the steps' noise comes from: what goes on after the first draw, or a seed of its own (ENSD)."""
    return Chance((asked.seed + asked.ensd) % SEEDS, asked.rng) if asked.ensd else first


def start_noise(
    chance: Chance,
    shape: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
    blend: Sequence[Weighted[int]] = (),
    rng: str = "cpu",
) -> Tensor:
    """The first draw, float32 on the CPU, brought toward other seeds' noise one after the other; cast and moved."""
    noise = chance.draw(shape)
    for other in blend:
        noise = slerp(noise, Chance(other.value, rng).draw(shape), other.weight)
    return noise.to(device, dtype)


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Between two noises on the sphere that both lie on: as long as they are, where a mean would be too weak.

    share: 0 is `start`, 1 is `end`, each to the bit. Computed in doubles.
    """
    if share in (0, 1):
        return end if share else start
    one, two = start.double(), end.double()
    cosine = torch.dot(one.flatten(), two.flatten()) / (one.norm() * two.norm())
    angle = torch.acos(cosine.clamp(-1, 1))
    if float(angle) < 1e-4:  # the same direction: the arc is a line
        return torch.lerp(one, two, share).to(start.dtype)
    mixed = (torch.sin((1 - share) * angle) * one + torch.sin(share * angle) * two) / torch.sin(angle)
    return mixed.to(start.dtype)


def described(asked: Generation, shape: tuple[int, ...], noisy: bool) -> dict[str, Any]:
    """How the noise was made, for the record. step_noise: the same generator, drawn from in order, or none."""
    steps = f"generator of seed + {asked.ensd}" if asked.ensd else "same generator, in order"
    others = [{"seed": other.value, "weight": other.weight} for other in asked.mixed]
    return {
        "function": "torch.randn" if asked.rng == "cpu" else "philox",
        "seed": asked.seed,
        "device": "cpu",
        "dtype": "float32",
        "shape": list(shape),
        "step_noise": steps if noisy else "none",
        **({"mixed": others} if others else {}),
    }
