"""The VAE: 128x128 pictures to 16x16 latents of four channels and back, trained on endless fresh drawings."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from training.pocket.common import Budget, autocast, load, note, pixels, psnr, save
from training.pocket.draw import draw
from training.pocket.muon import Muon
from training.pocket.scene import scenes

__all__ = ["build", "held_out_psnr", "measure_scale", "train"]

BATCH, SIDE = 8, 128
CROPPED = 0.45  # share of the time spent on quarters of pictures: four times the steps while everything is still coarse


def build() -> AutoencoderKL:
    """0.9 million parameters; no attention, which pictures this plain do not need."""
    return AutoencoderKL(
        block_out_channels=(16, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,  # more would wash out the colour of a flat field
        mid_block_add_attention=False,
        sample_size=SIDE,
    )


def train(scratch: Path, minutes: float, *, decoder_only: bool = False, device: torch.device) -> AutoencoderKL:
    """Train, or go on training, for `minutes` in all.

    decoder_only: latents stay as they are, so that a U-Net trained on them stays good.
    """
    stage = "decoder" if decoder_only else "vae"
    torch.manual_seed(1)
    model = build().to(device)
    state = load(scratch / f"{stage}.pt") or {}
    start = state or (load(scratch / "vae.pt") if decoder_only else None) or {}
    if start:
        model.load_state_dict(start["model"])
    model.encoder.requires_grad_(not decoder_only)
    model.quant_conv.requires_grad_(not decoder_only)
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    # AdamW needs three times the steps for the same loss (200 steps: 0.55 against 0.28).
    optimiser = Muon(model, 3e-3, hidden=5e-3)
    if state:
        optimiser.load_state_dict(state["optimiser"])
    budget, step = Budget(minutes=minutes, decay=0.5, spent=state.get("spent", 0.0)), state.get("step", 0)
    first = 2**30 if decoder_only else 2**29  # seeds of their own, far from the U-Net's
    drawings = scenes(first + step * BATCH)

    def finish(pictures: int, text: str) -> None:
        weights = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
        save(scratch / f"{stage}.pt", **weights, step=step, spent=budget.spent)
        found = f"held-out {held_out_psnr(model, pictures):.2f} dB"
        note(scratch / "log.md", f"| {stage} | {step} | {budget.spent:.1f} | {text} | {found} |")

    while budget.tick():
        batch = pixels(draw(scene, SIDE) for scene in islice(drawings, BATCH)).to(device)
        if not decoder_only and budget.spent < CROPPED * budget.minutes:
            batch = quarters(batch)
        optimiser.scale(budget.rate(step, 100))
        with autocast(device):
            posterior = model.encode(batch).latent_dist
            back = model.decode(posterior.sample()).sample.float()
        loss = picture_loss(back, batch) + 3e-4 * spread(posterior.mean.float(), posterior.logvar.float())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        step += 1
        if step % 500 == 0:
            finish(64, f"loss {loss.item():.4f}")
    finish(512, "end")
    return model


def quarters(batch: Tensor) -> Tensor:
    """A piece of each picture, half its side, cut on the latents' grid."""
    corners = (8 * torch.randint(SIDE // 16 + 1, (len(batch), 2))).tolist()
    return torch.stack([x[:, i : i + SIDE // 2, j : j + SIDE // 2] for x, (i, j) in zip(batch, corners, strict=True)])


def picture_loss(back: Tensor, batch: Tensor) -> Tensor:
    """Absolute error of the pixels and of their steps: flat fields stay flat, edges sharp."""
    error = back - batch
    across, down = error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()
    return error.abs().mean() + error.square().mean() + 0.5 * (across + down)


def spread(mean: Tensor, logvar: Tensor) -> Tensor:
    """Divergence from the standard normal, per latent value."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()


@torch.no_grad()
def held_out_psnr(model: AutoencoderKL, count: int) -> float:
    """How close pictures of combinations never trained on come back, in dB."""
    device = next(model.parameters()).device
    values, drawings = [], scenes(held=True)
    for _ in range(count // 32):
        batch = pixels(draw(scene, SIDE) for scene in islice(drawings, 32)).to(device)
        with autocast(device):
            back = model.decode(model.encode(batch).latent_dist.mode()).sample
        values.append(psnr(back.float(), batch))
    return sum(values) / len(values)


@torch.no_grad()
def measure_scale(model: AutoencoderKL, count: int = 512) -> float:
    """The factor that brings latents to unit spread."""
    device = next(model.parameters()).device
    drawings = scenes(2**28)
    batches = [pixels(draw(scene, SIDE) for scene in islice(drawings, 32)).to(device) for _ in range(count // 32)]
    latents = torch.cat([model.encode(batch).latent_dist.sample() for batch in batches])
    return round(1 / float(latents.std()), 5)
