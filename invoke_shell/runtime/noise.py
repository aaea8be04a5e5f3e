"""Noise: one CPU generator for each picture, so that a seed means one picture on every device and in every batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["described", "generator", "start_noise"]


def generator(seed: int) -> torch.Generator:
    """The picture's only source of chance. seed: 0 to 2**64-1."""
    return torch.Generator("cpu").manual_seed(seed)


def start_noise(source: torch.Generator, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """The first draw of a generator: float32 on the CPU, then cast and moved."""
    return torch.randn(shape, generator=source, dtype=torch.float32).to(device, dtype)


def described(seed: int, shape: tuple[int, ...], noisy: bool) -> dict[str, Any]:
    """How the noise was made, for the record. step_noise: the same generator, drawn from in order, or none."""
    return {
        "function": "torch.randn",
        "seed": seed,
        "device": "cpu",
        "dtype": "float32",
        "shape": list(shape),
        "step_noise": "same generator, in order" if noisy else "none",
    }
