"""The noise that CUDA draws, computed on the CPU: Philox 4x32-10 (Salmon et al. 2011) and Box-Muller, as cuRAND does.

A picture of AUTOMATIC1111's default setting was drawn with it, so its seed means the same picture here, on any machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["PhiloxNoise"]

Words = NDArray[np.uint64]

FACTORS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85  # what the key grows by each round
ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)


class PhiloxNoise(TorchFunctionMode):
    """One picture's draws, in order, as a torch.Generator on a CUDA device of this seed would give them to torch.randn.

    Equal to 2e-6, where a draw has no more numbers than the card has threads (about 160,000): then each number is its
    own thread's. Computed in doubles and then rounded, so that every processor gives the same bits.
    While entered, torch.randn with `self.generator` draws from here: a scheduler's steps need not know.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator("cpu")
        self._seed = seed
        self._draws = 0

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        """The next draw, float32 on the CPU."""
        count = int(np.prod(shape))
        first, second = _philox(self._seed, self._draws, count)
        self._draws += 1
        return torch.from_numpy(_normal(first, second).astype(np.float32).reshape(shape))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.randn and kwargs.get("generator") is self.generator:
            shape = args[0] if args and not isinstance(args[0], int) else args
            return self.draw(tuple(shape)).to(dtype=kwargs.get("dtype"))
        return func(*args, **kwargs)


def _philox(seed: int, offset: int, count: int) -> tuple[Words, Words]:
    """The first two 32-bit words for the counters (offset, 0, n, 0), n from 0 to count - 1."""
    zeros = np.zeros(count, np.uint64)
    words = [zeros + np.uint64(offset & 0xFFFFFFFF), zeros, np.arange(count, dtype=np.uint64), zeros]
    low, high = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(ROUNDS):
        words = _round(words, low, high)
        low, high = (low + WEYL[0]) & 0xFFFFFFFF, (high + WEYL[1]) & 0xFFFFFFFF
    return words[0], words[1]


def _round(words: list[Words], low: int, high: int) -> list[Words]:
    one, two = words[0] * np.uint64(FACTORS[0]), words[2] * np.uint64(FACTORS[1])
    bits = np.uint64(32)
    return [(two >> bits) ^ words[1] ^ np.uint64(low), two & LOW, (one >> bits) ^ words[3] ^ np.uint64(high), one & LOW]


def _normal(first: Words, second: Words) -> NDArray[np.float64]:
    """Numbers from N(0, 1): Box-Muller, the sine of the two, from two even numbers a half step away from 0."""
    even, turn = ((word.astype(np.float64) + 0.5) * 2.0**-32 for word in (first, second))
    radius: NDArray[np.float64] = np.sqrt(-2.0 * np.log(even))
    return radius * np.sin(turn * 2.0 * np.pi)
