"""What every stage of training needs: pictures as tensors, checkpoints, a schedule by time, the log."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["Budget", "autocast", "load", "note", "pixels", "psnr", "save"]


@dataclass(kw_only=True)
class Budget:
    """Minutes of work, also over several runs; the learning rate follows what is spent.

    Time rather than steps, because the cores are shared: a run ends when it was asked to end, with its rate run down.
    """

    minutes: float
    spent: float = 0.0
    decay: float = 0.3  # last share of the time, in which the rate falls to nothing
    _mark: float = 0.0

    def __post_init__(self) -> None:
        self._mark = time.monotonic()

    def tick(self) -> bool:
        """Count the time since the last tick, of a run held up by Ctrl-Z a minute at most; whether any is left."""
        now = time.monotonic()
        self.spent += min(1.0, (now - self._mark) / 60)
        self._mark = now
        return self.spent < self.minutes

    def rate(self, step: int, warmup: int = 200) -> float:
        """Share of the peak learning rate: up over `warmup` steps, level, then linearly down."""
        left = max(0.0, 1 - self.spent / self.minutes)
        return min(1.0, (step + 1) / warmup, left / self.decay)


def pixels(pictures: Iterable[Image.Image]) -> Tensor:
    """Pictures as a float tensor (n, 3, side, side), -1 to 1."""
    stack = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    return stack.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def psnr(one: Tensor, other: Tensor) -> float:
    """Mean over pictures, in dB; both tensors -1 to 1."""
    error = ((one.clamp(-1, 1) - other) / 2).square().flatten(1).mean(1)
    return float((-10 * error.clamp_min(1e-10).log10()).mean())


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16: with AVX512-BF16 a U-Net step takes 77 % of its time in float32, a VAE step 67 %."""
    return torch.autocast(device.type, torch.bfloat16)


def save(path: Path, **state: Any) -> None:
    """Write a checkpoint so that a run cut off leaves the old one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def load(path: Path) -> dict[str, Any] | None:
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def note(log: Path, text: str) -> None:
    """One line to the screen and the log."""
    print(text, flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(text + "\n")
