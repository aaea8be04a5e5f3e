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
            weights = [weight for weight in group["params"] if weight.grad is not None]
            updates = self.orthogonal(weights) if group["muon"] else map(self.adaptive, weights)
            for weight, update in zip(weights, updates, strict=True):
                weight.mul_(1 - group["lr"] * group["decay"])
                weight.sub_(update, alpha=group["lr"])

    def orthogonal(self, weights: list[Tensor]) -> list[Tensor]:
        """The updates of matrices; those of one shape are made orthogonal together, which halves the time."""
        slopes = [self.slope(weight).flatten(1) for weight in weights]
        tall = [slope.shape[0] > slope.shape[1] for slope in slopes]
        wide = [slope.T if high else slope for slope, high in zip(slopes, tall, strict=True)]
        alike: dict[torch.Size, list[int]] = {}
        for i, matrix in enumerate(wide):
            alike.setdefault(matrix.shape, []).append(i)
        for shape, places in alike.items():
            turned = orthogonalise(torch.stack([wide[i] for i in places])) * (0.2 * shape[1] ** 0.5)
            for i, matrix in zip(places, turned, strict=True):
                wide[i] = matrix.T if tall[i] else matrix
        return [matrix.reshape(weight.shape) for matrix, weight in zip(wide, weights, strict=True)]

    def slope(self, weight: Tensor, beta: float = 0.95) -> Tensor:
        """Nesterov's look ahead: the gradient and the momentum, which takes it up."""
        grad = weight.grad
        assert grad is not None
        momentum = self.state[weight].setdefault("momentum", torch.zeros_like(grad))
        momentum.lerp_(grad, 1 - beta)
        return grad.lerp(momentum, beta)

    def adaptive(self, weight: Tensor, betas: tuple[float, float] = (0.9, 0.99)) -> Tensor:
        grad, state = weight.grad, self.state[weight]
        assert grad is not None
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


def orthogonalise(matrices: Tensor, rounds: int = 5) -> Tensor:
    """The nearest matrices, (n, m, k) with m <= k, whose singular values are near one; Newton and Schulz's iteration.

    It multiplies from the left by polynomials of x xᵀ only. Where the matrix is long they are gathered in that small
    square, in float32, and the long matrix is met twice instead of in every round.
    """
    x = matrices / (matrices.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    if x.shape[2] < 2 * x.shape[1]:
        x = x.bfloat16()
        for _ in range(rounds):
            x = step_of(x @ x.mT) @ x
        return x.float()
    square, product = x @ x.mT, torch.eye(x.shape[1], device=x.device)
    for _ in range(rounds):
        step = step_of(square)
        square, product = step @ square @ step, step @ product
    return product @ x


def step_of(square: Tensor) -> Tensor:
    step = -4.775 * square + 2.0315 * square @ square
    step.diagonal(dim1=1, dim2=2).add_(3.4445)
    return step
