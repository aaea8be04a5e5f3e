"""Muon: momentum whose matrices are made orthogonal before each step; AdamW for all other weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Muon"]


class Muon(torch.optim.Optimizer):
    """Jordan et al. 2024 ("Muon: an optimizer for hidden layers"), with convolutions seen as matrices (out, rest).

    torch.optim.Muon takes matrices only. Rates are AdamW's: updates have its usual size (Moonlight, arXiv:2502.16982).
    """

    def __init__(self, module: nn.Module, rate: float, *, hidden: float, decay: float = 0.01) -> None:
        """rate: of biases, norms, embeddings and the outermost layers; hidden: of all other matrices."""
        weights = [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]
        inner = [weight for name, weight in weights if weight.ndim >= 2 and not is_outer(name)]
        outer = [weight for name, weight in weights if weight.ndim < 2 or is_outer(name)]
        super().__init__(
            [{"params": inner, "lr": hidden, "muon": True}, {"params": outer, "lr": rate, "muon": False}],
            {"decay": decay},
        )
        for group in self.param_groups:
            group["peak"] = group["lr"]

    def scale(self, share: float) -> None:
        """Set all rates to a share of their peak."""
        for group in self.param_groups:
            group["lr"] = group["peak"] * share

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            update = self.orthogonal if group["muon"] else self.adaptive
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.mul_(1 - group["lr"] * group["decay"])
                    weight.sub_(update(weight.grad, self.state[weight]), alpha=group["lr"])

    def orthogonal(self, grad: Tensor, state: dict[str, Tensor], beta: float = 0.95) -> Tensor:
        momentum = state.setdefault("momentum", torch.zeros_like(grad))
        momentum.lerp_(grad, 1 - beta)
        matrix = grad.lerp(momentum, beta).flatten(1)
        return orthogonalise(matrix).view_as(grad) * (0.2 * max(matrix.shape) ** 0.5)

    def adaptive(self, grad: Tensor, state: dict[str, Tensor], betas: tuple[float, float] = (0.9, 0.99)) -> Tensor:
        state.setdefault("count", torch.zeros(()))
        state["count"] += 1
        first = state.setdefault("first", torch.zeros_like(grad)).lerp_(grad, 1 - betas[0])
        second = state.setdefault("second", torch.zeros_like(grad)).lerp_(grad.square(), 1 - betas[1])
        count = float(state["count"])
        return first / (1 - betas[0] ** count) / ((second / (1 - betas[1] ** count)).sqrt() + 1e-8)


def is_outer(name: str) -> bool:
    """Layers at the model's ends, whose inputs or outputs are no features: pictures, latents, tokens, positions."""
    return any(end in name for end in OUTER)


OUTER = ("conv_in", "conv_out", "quant_conv", "embeddings", "positional_embedding", "time_embedding.linear_1")


def orthogonalise(matrix: Tensor, rounds: int = 5) -> Tensor:
    """The nearest matrix with all singular values near one, by Newton and Schulz's quintic iteration."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return (x.T if tall else x).float()
