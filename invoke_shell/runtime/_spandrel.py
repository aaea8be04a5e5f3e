"""Faces spandrel, which knows some forty kinds of upscaler and face networks; the others see one protocol.

It is an extra: `pip install 'invoke-shell[upscalers]'`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Described", "installed", "read_network"]


class Described(nn.Module):
    """A network that spandrel recognised: (1, 3, h, w) from 0 to 1 -> the same, `scale` times as large."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.inner: nn.Module = descriptor.model
        self.kind = str(descriptor.architecture.name)
        self.scale = int(descriptor.scale)
        self._call = descriptor

    def forward(self, picture: Tensor) -> Tensor:
        """The picture, enlarged or mended."""
        drawn: Tensor = self._call(picture)
        return drawn.clamp(0, 1)


def installed() -> bool:
    """Whether the extra is there."""
    return find_spec("spandrel") is not None


def read_network(weights: Mapping[str, Tensor]) -> Described:
    """The network of these tensors. Raises ValueError when it is none that draws one picture from one picture."""
    with _without_torchvision():
        import spandrel
    try:
        descriptor = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(weights))
    except spandrel.UnsupportedModelError as error:
        raise ValueError("no kind of network that is known") from error
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.input_channels != 3:
        raise ValueError("it does not draw one colour picture from another")
    return Described(descriptor)


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Stand in for torchvision while spandrel is imported, where it is not there or made for another torch.

    The index has builds of it for CUDA alone, which fail beside a torch for the CPU. Two of spandrel's files use it,
    for three names; face networks call the one that is given here in earnest.
    """
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        pass
    else:
        yield
        return
    modules = {name: ModuleType(name) for name in (
        "torchvision", "torchvision.transforms", "torchvision.transforms.functional")}  # fmt: skip
    functional: Any = modules["torchvision.transforms.functional"]
    functional.normalize, functional.rotate, functional.InterpolationMode = _normalize, _missing, _missing
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _normalize(picture: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    shape = (-1, 1, 1)
    means, spreads = (torch.as_tensor(x, dtype=picture.dtype, device=picture.device).view(shape) for x in (mean, std))
    return picture.sub_(means).div_(spreads) if inplace else (picture - means) / spreads


_missing: Callable[..., Any] | None = None
