"""Small pictures of a run in progress: latents to colours by one linear map, the model's own or its family's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from invoke_shell.records import Image
from invoke_shell.runtime.pace import Pace
from invoke_shell.runtime.pictures import from_unit

__all__ = ["LatentMap", "Previewer"]

# Least-squares fits of decoded pictures to scaled latents, as ComfyUI and others use them; colours from -1 to 1.
# A row a channel of red, green and blue, the last row what is added.
FAMILIES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "sd1": (
        (0.3512, 0.2297, 0.3227), (0.3250, 0.4974, 0.2350), (-0.2829, 0.1762, 0.2721), (-0.2120, -0.2616, -0.7177),
        (0, 0, 0),
    ),
    "sdxl": (
        (0.3651, 0.4232, 0.4341), (-0.2533, -0.0042, 0.1068), (0.1076, 0.1111, -0.0362), (-0.3165, -0.2492, -0.2188),
        (0.1084, -0.0175, -0.0011),
    ),
    "sd3": (
        (-0.0922, -0.0175, 0.0749), (0.0311, 0.0633, 0.0954), (0.1994, 0.0927, 0.0458), (0.0856, 0.0339, 0.0902),
        (0.0587, 0.0272, -0.0496), (-0.0006, 0.1104, 0.0309), (0.0978, 0.0306, 0.0427), (-0.0042, 0.1038, 0.1358),
        (-0.0194, 0.0020, 0.0669), (-0.0488, 0.0130, -0.0268), (0.0922, 0.0988, 0.0951), (-0.0278, 0.0524, -0.0542),
        (0.0332, 0.0456, 0.0895), (-0.0069, -0.0030, -0.0810), (-0.0596, -0.0465, -0.0293), (-0.1448, -0.1463, -0.1189),
        (0.2394, 0.2135, 0.1925),
    ),
    "flux": (
        (-0.0346, 0.0244, 0.0681), (0.0034, 0.0210, 0.0687), (0.0275, -0.0668, -0.0433), (-0.0174, 0.0160, 0.0617),
        (0.0859, 0.0721, 0.0329), (0.0004, 0.0383, 0.0115), (0.0405, 0.0861, 0.0915), (-0.0236, -0.0185, -0.0259),
        (-0.0245, 0.0250, 0.1180), (0.1008, 0.0755, -0.0421), (-0.0515, 0.0201, 0.0011), (0.0428, -0.0012, -0.0036),
        (0.0817, 0.0765, 0.0749), (-0.1264, -0.0522, -0.1103), (-0.0280, -0.0881, -0.0499), (-0.1262, -0.0982, -0.0778),
        (-0.0329, -0.0718, -0.0851),
    ),
}  # fmt: skip
SAME_LATENTS = {"sd2": "sd1"}  # Stable Diffusion 2 has the VAE of 1, its decoder trained on


@dataclass(frozen=True, kw_only=True)
class LatentMap:
    """matrix: (channels, 3), bias: (3,); scaled latents times matrix plus bias are colours from 0 to 1."""

    matrix: Tensor
    bias: Tensor

    @classmethod
    def find(cls, path: Path, family: str, channels: int) -> LatentMap | None:
        """The model's own map, else its family's; None where there is none of so many channels."""
        found = cls.read(path) or cls.of(family)
        return found if found is not None and found.matrix.shape == (channels, 3) else None

    @classmethod
    def read(cls, path: Path) -> LatentMap | None:
        """From preview.json, {"matrix": [[r, g, b], ...], "bias": [r, g, b]}; None without one that can be read."""
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            return cls(matrix=_floats(plain["matrix"]), bias=_floats(plain["bias"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def of(cls, family: str) -> LatentMap | None:
        """The map of `sd1`, `sd2`, `sdxl`, `sd3` or `flux`."""
        rows = FAMILIES.get(SAME_LATENTS.get(family, family))
        return None if rows is None else cls(matrix=_floats(rows[:-1]) / 2, bias=_floats(rows[-1]) / 2 + 0.5)

    def picture(self, latents: Tensor) -> Image:
        """A picture as small as the latents (1, c, h, w)."""
        plain = latents.float().cpu()
        # Some schedulers count noise in sigmas up to 14: as many standard deviations, and all is black or white.
        plain = plain / plain.std().clamp(min=1.0)
        colours = torch.einsum("nchw,cd->ndhw", plain, self.matrix)
        return from_unit(colours + self.bias.view(1, 3, 1, 1))


class Previewer:
    """Gives a preview when the last one is old enough, else None."""

    def __init__(self, latent_map: LatentMap | None, pace: Pace | None = None) -> None:
        self._map = latent_map
        self._pace = pace or Pace()

    def __call__(self, latents: Tensor) -> Image | None:
        """A preview of the latents (1, c, h, w), at most four a second."""
        if self._map is None or not self._pace.due():
            return None
        return self._map.picture(latents)


def _floats(values: Sequence[object]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
