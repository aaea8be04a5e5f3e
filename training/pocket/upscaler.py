"""The upscalers in the box: small Compact networks that enlarge a picture, trained on the draughtsman's drawings.

    python -m training.pocket.upscaler --scale 2 --minutes 4 --to invoke_shell/assets/upscalers/pocket-2x.safetensors
    python -m training.pocket.upscaler --scale 4 --minutes 6 --to invoke_shell/assets/upscalers/pocket-4x.safetensors

Pairs are a drawing of 64x64 times the scale and the same reduced to 64x64 with Lanczos. Measured in PSNR on drawings
never trained on, against Lanczos.
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
from training.pocket.muon import Muon
from training.pocket.scene import scenes

WIDTH, DEPTH = 24, 8
SIDE, CROP, BATCH, SEED = 64, 32, 16, 7  # pixels of a reduced drawing, and of the part of it that a step sees
TRAINED, MEASURED = 1000, 100  # drawings
RATE = 3e-3


def pairs(scale: int, first: int, count: int, *, held: bool = False) -> tuple[Tensor, Tensor]:
    """Reduced drawings and the drawings themselves, from 0 to 1; (n, 3, 64, 64) and (n, 3, 64 scale, 64 scale)."""
    whole = [draw(s, scale * SIDE).convert("RGB") for s in islice(scenes(first, held=held), count)]
    small = [p.resize((SIDE, SIDE), Image.Resampling.LANCZOS) for p in whole]
    return _unit(small), _unit(whole)


def _unit(pictures: list[Image.Image]) -> Tensor:
    return (pixels(pictures) + 1) / 2


def train(scale: int, minutes: float) -> tuple[Compact, int]:
    """The network after this many minutes, and its steps."""
    torch.manual_seed(SEED)
    network = Compact(WIDTH, DEPTH, scale)
    optimiser = Muon(network, RATE / 2, hidden=RATE)
    small, whole = pairs(scale, 0, TRAINED)
    budget, steps = Budget(minutes=minutes), 0
    while budget.tick():
        optimiser.scale(budget.rate(steps, 50))
        source, target = _parts(small, whole, scale)
        loss = functional.smooth_l1_loss(network(source), target, beta=0.02)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        steps += 1
    return network.eval(), steps


def _parts(small: Tensor, whole: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """The same square of some reduced drawings and of the drawings."""
    chosen = torch.randint(len(small), (BATCH,))
    y, x = torch.randint(SIDE - CROP + 1, (2,)).tolist()
    source = small[chosen, :, y : y + CROP, x : x + CROP]
    return source, whole[chosen, :, scale * y : scale * (y + CROP), scale * x : scale * (x + CROP)]


@torch.no_grad()
def measure(network: Compact) -> tuple[float, float]:
    """PSNR in dB of the network and of Lanczos, over held-out drawings."""
    small, whole = pairs(network.scale, 10_000_000, MEASURED, held=True)
    ours = torch.cat([network(some).clamp(0, 1) for some in small.split(10)])
    side = network.scale * SIDE
    enlarged = [
        Image.fromarray((s.permute(1, 2, 0) * 255).round().byte().numpy()).resize(
            (side, side), Image.Resampling.LANCZOS
        )
        for s in small
    ]
    return psnr(2 * ours - 1, 2 * whole - 1), psnr(2 * _unit(enlarged) - 1, 2 * whole - 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.pocket.upscaler", description=__doc__)
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    network, steps = train(options.scale, options.minutes)
    options.to.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t.contiguous() for name, t in network.state_dict().items()}, options.to)
    ours, lanczos = measure(network)
    print(f"{steps} steps: {ours:.2f} dB, Lanczos {lanczos:.2f} dB, on {MEASURED} held-out drawings")


if __name__ == "__main__":
    main()
