"""How the answers to several prompts become one guess."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Guidance", "told_guidance"]


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """weight: of the prompt over the negative one. rescale: 0 to 1, how far the guess gets its spread back.

    image: weight of the source picture in an edit, None for all else. Then three are asked: prompt with picture, no
    prompt with picture, neither.
    """

    weight: float
    rescale: float = 0.0
    image: float | None = None

    @property
    def parts(self) -> int:
        """Copies of the latents in one model call."""
        return 2 if self.image is None else 3

    @property
    def copies(self) -> tuple[bool, ...]:
        """Which of them are told of the prompt, and so of the pictures that stand beside it."""
        return (False, True) if self.image is None else (True, False, False)

    def combined(self, guess: Tensor) -> Tensor:
        """One guess (1, c, h, w) of the answers (parts, c, h, w)."""
        if self.image is not None:
            text, picture, neither = guess.chunk(3)
            return neither + self.weight * (text - picture) + self.image * (picture - neither)
        negative, positive = guess.chunk(2)
        mixed = negative + self.weight * (positive - negative)
        return _rescaled(mixed, positive, self.rescale) if self.rescale > 0 else mixed


def _rescaled(mixed: Tensor, positive: Tensor, share: float) -> Tensor:
    """Toward the spread that the prompt's own answer has; Lin et al. 2023 (arXiv:2305.08891), section 3.4."""
    axes = list(range(1, mixed.ndim))
    own = positive.std(dim=axes, keepdim=True)
    rescaled = mixed * (own / mixed.std(dim=axes, keepdim=True))
    return share * rescaled + (1 - share) * mixed


def told_guidance(weight: float, width: int, like: Tensor) -> Tensor:
    """A guidance as the numbers (1, width) that a consistency model reads; Meng et al. 2023 (arXiv:2210.03142)."""
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=like.dtype) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    turns = torch.tensor([(weight - 1) * 1000.0], dtype=like.dtype)[:, None] * rates[None, :]
    numbers = torch.cat([torch.sin(turns), torch.cos(turns)], dim=1)
    return torch.nn.functional.pad(numbers, (0, width % 2)).to(like.device)
