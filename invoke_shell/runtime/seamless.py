"""Pictures whose sides meet: while it lasts, convolutions read past a side what stands at the other one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["seamless"]

ACROSS, DOWN = ("x", "both"), ("y", "both")


@contextmanager
def seamless(sides: str, *networks: Any) -> Iterator[None]:
    """Make the sides meet in networks. sides: `x` left and right, `y` top and bottom, `both`, `none`.

    What a convolution adds as zeros around its input it takes from the other side; its weights stay as they are. A
    U-Net's attention and normalisation know no places, so that a picture moved round its sides is drawn the same.
    """
    undone: list[tuple[nn.Conv2d, Any, Any]] = []
    try:
        if sides != "none":
            undone += [_turned(layer, sides) for network in networks for layer in _padding(network)]
        yield
    finally:
        for layer, padding, hook in undone:
            layer.padding = padding
            hook.remove()


def _padding(network: Any) -> Iterator[nn.Conv2d]:
    """The convolutions that add zeros."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and not isinstance(layer.padding, str) and any(layer.padding):
            yield layer


def _turned(layer: nn.Conv2d, sides: str) -> tuple[nn.Conv2d, Any, Any]:
    """A convolution whose input is wrapped before it comes; with what undoes it."""
    padding = layer.padding
    assert not isinstance(padding, str)  # _padding leaves those out
    down, across = (int(side) for side in padding)
    wrap = (across if sides in ACROSS else 0, down if sides in DOWN else 0)
    layer.padding = (down - wrap[1], across - wrap[0])

    def wrapped(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *rest = inputs
        return torch.nn.functional.pad(x, (wrap[0], wrap[0], wrap[1], wrap[1]), mode="circular"), *rest

    return layer, padding, layer.register_forward_pre_hook(wrapped)
