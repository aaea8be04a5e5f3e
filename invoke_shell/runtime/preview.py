"""Small pictures of a run in progress: latents to colours by one linear map, where the model's folder gives one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from invoke_shell.records import Image
from invoke_shell.runtime.pictures import from_unit

__all__ = ["LatentMap", "Previewer"]

EVERY = 0.25  # seconds


@dataclass(frozen=True, kw_only=True)
class LatentMap:
    """matrix: (channels, 3), bias: (3,); latents times matrix plus bias are colours from 0 to 1."""

    matrix: Tensor
    bias: Tensor

    @classmethod
    def read(cls, path: Path) -> LatentMap | None:
        """From preview.json, {"matrix": [[r, g, b], ...], "bias": [r, g, b]}; None without one that can be read."""
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            return cls(matrix=_floats(plain["matrix"]), bias=_floats(plain["bias"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def picture(self, latents: Tensor) -> Image:
        """A picture as small as the latents."""
        colours = torch.einsum("nchw,cd->ndhw", latents.float().cpu(), self.matrix)
        return from_unit(colours + self.bias.view(1, 3, 1, 1))


class Previewer:
    """Gives a preview when the last one is old enough, else None."""

    def __init__(self, latent_map: LatentMap | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._map = latent_map
        self._clock = clock
        self._last = clock()

    def __call__(self, latents: Tensor) -> Image | None:
        """A preview of the latents (1, c, h, w), at most four a second."""
        if self._map is None or self._clock() - self._last < EVERY:
            return None
        self._last = self._clock()
        return self._map.picture(latents)


def _floats(values: list[object]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
