"""Upscaler networks of the two common layouts, ESRGAN (RRDB) and Compact (SRVGG), from safetensors files.

The layout, width, depth and scale are read from names and shapes of the tensors. Others go to spandrel, an extra.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from invoke_shell.errors import RunError
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _spandrel

__all__ = ["Compact", "Esrgan", "Upscaler", "load_upscaler"]

TILE = 512  # pixels of the source; a larger picture is done in tiles, so that memory stays flat
MARGIN = 32  # pixels around a tile that are computed too; neighbours fade into each other over the inner half

Weights = Mapping[str, Tensor]


class Compact(nn.Module):
    """Convolutions in a row, then pixel shuffle, added to the source enlarged by nearest (Real-ESRGAN's SRVGGNet).

    (n, 3, h, w) from 0 to 1 -> (n, 3, scale h, scale w).
    """

    def __init__(self, width: int, depth: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.PReLU(width)]
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, 3 * scale * scale, 3, 1, 1))

    def forward(self, picture: Tensor) -> Tensor:
        """The picture, enlarged."""
        details = functional.pixel_shuffle(self.body(picture), self.scale)
        return details + functional.interpolate(picture, scale_factor=self.scale, mode="nearest")


class _Dense(nn.Module):
    """Five convolutions, each seeing all before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for n in range(1, 5):
            setattr(self, f"conv{n}", nn.Conv2d(width + (n - 1) * growth, growth, 3, 1, 1))
        self.conv5 = nn.Conv2d(width + 4 * growth, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for n in range(1, 5):
            seen.append(functional.leaky_relu(getattr(self, f"conv{n}")(torch.cat(seen, 1)), 0.2))
        return x + 0.2 * self.conv5(torch.cat(seen, 1))  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Residual in residual: three dense blocks."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (_Dense(width, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))  # type: ignore[no-any-return]


class Esrgan(nn.Module):
    """RRDBNet (Wang et al. 2018, arXiv:1809.00219); scales 1 and 2 of Real-ESRGAN first fold pixels into channels.

    (n, 3, h, w) from 0 to 1 -> (n, 3, scale h, scale w).
    """

    def __init__(self, width: int, depth: int, growth: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.fold = {1: 4, 2: 2}.get(scale, 1)
        self.conv_first = nn.Conv2d(3 * self.fold**2, width, 3, 1, 1)
        self.body = nn.Sequential(*[_Block(width, growth) for _ in range(depth)])
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, nn.Conv2d(width, width, 3, 1, 1))
        self.conv_last = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """The picture, enlarged; sides are filled up to what the folding needs and cut again."""
        height, width = picture.shape[-2:]
        filled = functional.pad(picture, (0, -width % self.fold, 0, -height % self.fold), mode="replicate")
        x = self.conv_first(functional.pixel_unshuffle(filled, self.fold))
        x = x + self._conv("conv_body", self.body(x))
        for name in ("conv_up1", "conv_up2"):
            x = functional.leaky_relu(self._conv(name, functional.interpolate(x, scale_factor=2)), 0.2)
        drawn: Tensor = self.conv_last(functional.leaky_relu(self._conv("conv_hr", x), 0.2))
        return drawn[..., : height * self.scale, : width * self.scale]

    def _conv(self, name: str, x: Tensor) -> Tensor:
        done: Tensor = getattr(self, name)(x)
        return done


Network = Compact | Esrgan | _spandrel.Described


@dataclass(frozen=True, kw_only=True)
class Upscaler:
    """A loaded network and how many times it enlarges."""

    network: Network
    scale: int
    device: torch.device

    @property
    def bytes(self) -> int:
        """What its tensors take."""
        return sum(p.nbytes for p in self.network.parameters())

    def enlarge(self, picture: Tensor, tick: Callable[[int, int], None]) -> Tensor:
        """(1, 3, h, w) from 0 to 1, `scale` times as large. tick: (tiles done, of), may raise to stop.

        A tile is drawn with a margin around it; neighbours fade into each other over half of that.
        """
        height, width = picture.shape[-2:]
        whole = torch.zeros((1, 3, height * self.scale, width * self.scale), dtype=picture.dtype)
        corners = [(top, left) for top in range(0, height, TILE) for left in range(0, width, TILE)]
        for done, (top, left) in enumerate(corners, 1):
            self._tile(picture, top, left, whole)
            tick(done, len(corners))
        return whole

    def _tile(self, picture: Tensor, top: int, left: int, whole: Tensor) -> None:
        height, width = picture.shape[-2:]
        up, back = max(0, top - MARGIN), max(0, left - MARGIN)
        down, along = min(height, top + TILE + MARGIN), min(width, left + TILE + MARGIN)
        drawn = self.network(picture[..., up:down, back:along].to(self.device)).cpu()
        share = self._fading(up, down, top, height)[:, None] * self._fading(back, along, left, width)[None, :]
        scale = self.scale
        whole[..., up * scale : down * scale, back * scale : along * scale] += drawn * share

    def _fading(self, begin: int, end: int, core: int, length: int) -> Tensor:
        """How much of each row, or column, from begin to end is this tile's: rising and falling lines, 1 between.

        core: where the tile begins without its margin. At the picture's own sides nothing fades.
        """
        places = (torch.arange(begin * self.scale, end * self.scale) + 0.5) / self.scale
        share = torch.ones_like(places)
        if core > 0:
            share = share * ((places - core) / MARGIN + 0.5).clamp(0, 1)
        if core + TILE < length:
            share = share * (0.5 - (places - core - TILE) / MARGIN).clamp(0, 1)
        return share


def load_upscaler(model: ModelRecord, device: torch.device) -> Upscaler:
    """An upscaler file, in float32; other layouts than ESRGAN and Compact through spandrel, where it is installed.

    Raises RunError (bad-model).
    """
    try:
        weights = load_file(_file(Path(model.path)))
    except (OSError, ValueError, SafetensorError) as error:
        raise _refused(model, "it is no safetensors file") from error
    try:
        network: Network = _network(weights)
    except (ValueError, KeyError, RuntimeError, TypeError, IndexError) as error:
        network = _other(model, weights, error)
    return Upscaler(network=network.eval().requires_grad_(False).to(device), scale=network.scale, device=device)


def _other(model: ModelRecord, weights: Weights, why: Exception) -> Network:
    """A network of another layout. Raises RunError (bad-model)."""
    if not _spandrel.installed():
        reason = "it is no ESRGAN or Compact upscaler"
        raise _refused(model, reason, hint="pip install 'invoke-shell[upscalers]' reads forty kinds more") from why
    try:
        return _spandrel.read_network({name: tensor.float() for name, tensor in weights.items()})
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        raise _refused(model, "it is no upscaler of a known kind") from error


def _file(path: Path) -> Path:
    return min(path.glob("*.safetensors"), default=path) if path.is_dir() else path


def _refused(model: ModelRecord, reason: str, hint: str = "") -> RunError:
    message = f"the model {model.name} cannot be used: {reason}"
    return RunError(message, hint=hint or f"its file: {model.path}", code="bad-model")


def _network(weights: Weights) -> Compact | Esrgan:
    if "body.0.weight" in weights:
        return _compact({k: v.float() for k, v in weights.items()})
    return _esrgan({_new_name(k, _depth(weights)): v.float() for k, v in weights.items()})


def _compact(weights: Weights) -> Compact:
    last = max(int(k.split(".")[1]) for k in weights)
    scale = math.isqrt(weights[f"body.{last}.weight"].shape[0] // 3)
    network = Compact(width=weights["body.0.weight"].shape[0], depth=(last - 2) // 2, scale=scale)
    network.load_state_dict(dict(weights))
    return network


def _esrgan(weights: Weights) -> Esrgan:
    first = weights["conv_first.weight"]
    network = Esrgan(
        width=first.shape[0],
        depth=1 + max(int(m[1]) for k in weights if (m := re.match(r"body\.(\d+)\.", k))),
        growth=weights["body.0.rdb1.conv1.weight"].shape[0],
        scale={3: 4, 12: 2, 48: 1}[first.shape[1]],
    )
    network.load_state_dict(dict(weights))
    return network


def _depth(weights: Weights) -> int:
    """Blocks of the older ESRGAN layout, which stand as model.1.sub.0, 1, ... with a convolution after the last."""
    numbers = [int(m[1]) for k in weights if (m := re.match(r"model\.1\.sub\.(\d+)\.RDB", k))]
    return 1 + max(numbers, default=-1)


def _new_name(name: str, depth: int) -> str:
    """Names of the older ESRGAN layout in the newer one's words; newer ones stay."""
    name = re.sub(r"^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3.", name)
    name = re.sub(rf"^model\.1\.sub\.{depth}\.", "conv_body.", name)
    numbered = {"0": "conv_first", "3": "conv_up1", "6": "conv_up2", "8": "conv_hr", "10": "conv_last"}
    return re.sub(r"^model\.(0|3|6|8|10)\.", lambda m: f"{numbered[m[1]]}.", name)
