"""The upscaler in the box: a small Compact network that doubles a picture, trained on the draughtsman's drawings.

    python -m training.pocket.upscaler --minutes 4 --to invoke_shell/assets/upscalers/pocket-2x.safetensors

Pairs are a drawing of 128x128 and the same reduced to 64x64 with Lanczos. Measured in PSNR on drawings never trained
on, against Lanczos.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from invoke_shell.runtime.upscalers import Compact
from training.pocket.common import Budget, pixels, psnr
from training.pocket.draw import draw
from training.pocket.scene import scenes

SCALE, WIDTH, DEPTH = 2, 16, 8
SIDE, BATCH, SEED = 128, 8, 7
TRAINED, MEASURED = 1500, 100  # drawings
RATE = 2e-3


def pairs(first: int, count: int, *, held: bool = False) -> tuple[Tensor, Tensor]:
    """Reduced drawings and the drawings themselves, from 0 to 1; (n, 3, 64, 64) and (n, 3, 128, 128)."""
    whole = [draw(s, SIDE).convert("RGB") for s in islice(scenes(first, held=held), count)]
    small = [p.resize((SIDE // SCALE, SIDE // SCALE), Image.Resampling.LANCZOS) for p in whole]
    return _unit(small), _unit(whole)


def _unit(pictures: list[Image.Image]) -> Tensor:
    return (pixels(pictures) + 1) / 2


def train(minutes: float) -> tuple[Compact, int]:
    """The network after this many minutes, and its steps."""
    torch.manual_seed(SEED)
    network = Compact(WIDTH, DEPTH, SCALE)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.0)
    small, whole = pairs(0, TRAINED)
    budget, steps = Budget(minutes=minutes), 0
    while budget.tick():
        chosen = torch.randint(len(small), (BATCH,))
        rate = RATE * min(1.0, (budget.minutes - budget.spent) / (budget.minutes * 0.4))
        for group in optimizer.param_groups:
            group["lr"] = max(rate, 1e-5)
        loss = functional.smooth_l1_loss(network(small[chosen]), whole[chosen], beta=0.02)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps += 1
    return network.eval(), steps


@torch.no_grad()
def measure(network: Compact) -> tuple[float, float]:
    """PSNR in dB of the network and of Lanczos, over held-out drawings."""
    small, whole = pairs(10_000_000, MEASURED, held=True)
    ours = network(small).clamp(0, 1)
    enlarged = [
        Image.fromarray((s.permute(1, 2, 0) * 255).round().byte().numpy()).resize(
            (SIDE, SIDE), Image.Resampling.LANCZOS
        )
        for s in small
    ]
    return psnr(2 * ours - 1, 2 * whole - 1), psnr(2 * _unit(enlarged) - 1, 2 * whole - 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.pocket.upscaler", description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    network, steps = train(options.minutes)
    options.to.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t.contiguous() for name, t in network.state_dict().items()}, options.to)
    ours, lanczos = measure(network)
    print(f"{steps} steps: {ours:.2f} dB, Lanczos {lanczos:.2f} dB, on {MEASURED} held-out drawings")


if __name__ == "__main__":
    main()
