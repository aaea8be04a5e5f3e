"""The U-Net: v-prediction on cached latents, text read by cross-attention and, pooled, by every residual block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from training.pocket.common import Budget, autocast, load, note, pixels, save
from training.pocket.draw import draw
from training.pocket.muon import Muon
from training.pocket.scene import Scene, caption, scene
from training.pocket.text import WIDTH, tokens

__all__ = ["build", "noised", "scheduler", "train"]

BATCH, WORDINGS, FRESH, START = 32, 3, 12, 4096

Report = Callable[[UNet2DConditionModel, int], None]


def build() -> UNet2DConditionModel:
    """7.6 million parameters, most of them where a picture is only 4x4 and 8x8 latents and they cost little.

    addition_embed_type "text": the caption, pooled, joins the timestep and so steers every block; words that speak of
    the whole picture (background, style, place) need not be found by attention.
    """
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 128, 136),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # the number of heads, in diffusers' naming
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


def scheduler() -> DDIMScheduler:
    """Stable Diffusion's schedule with a higher end (0.02 for 0.012).

    With 0.012 a plain background still shines through the strongest noise, and the model would wait for a hint that
    pure noise does not give; "trailing" spacing makes sampling begin at that very end.
    """
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.02,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


@dataclass(kw_only=True)
class Pool:
    """Latents and captions to train on: filled at the start, then renewed a few pictures a step, the oldest first.

    One that is drawn and encoded serves a handful of steps; each step takes another wording and another noise.
    """

    vae: AutoencoderKL
    tokenizer: CLIPTokenizer
    size: int = 32768
    latents: list[Tensor] = field(default_factory=list)
    texts: list[Tensor] = field(default_factory=list)
    drawn: int = 0

    def add(self, count: int) -> None:
        batch = [self.next_scene() for _ in range(count)]
        device = next(self.vae.parameters()).device
        with torch.no_grad(), autocast(device):
            latents = self.vae.encode(pixels(draw(drawn) for drawn in batch).to(device)).latent_dist.mode()
        rng = Random(self.drawn)
        wordings = [caption(drawn, rng) for drawn in batch for _ in range(WORDINGS)]
        self.latents += list(latents.half().cpu())
        self.texts += list(tokens(self.tokenizer, wordings).short().view(count, WORDINGS, -1))
        del self.latents[: -self.size], self.texts[: -self.size]

    def next_scene(self) -> Scene:
        """The first pictures, and one in eight after them, show a single thing on a plain ground."""
        self.drawn += 1
        return scene(2**26 + self.drawn, simple=self.drawn < START or self.drawn % 8 == 0)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self.latents), (count,)).tolist()
        wording = torch.randint(WORDINGS, (count,)).tolist()
        latents = torch.stack([self.latents[i] for i in rows]).float()
        return latents, torch.stack([self.texts[i][j] for i, j in zip(rows, wording, strict=True)]).long()


def train(
    scratch: Path,
    vae: AutoencoderKL,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    minutes: float,
    *,
    device: torch.device,
    report: Report | None = None,
) -> UNet2DConditionModel:
    """Train, or go on training, for `minutes` in all; gives the averaged weights.

    What is saved is `unet.pt` all along and `unet-trunk.pt` before the learning rate runs down: to train longer later,
    go on from the trunk.
    """
    torch.manual_seed(3)
    model, average = build().to(device), build().to(device)
    average.load_state_dict(model.state_dict())
    model.set_attn_processor(AttnProcessor())  # on a CPU the fused attention's way back takes a fifth of the step
    optimiser = Muon(model, 1.5e-3, hidden=3e-3)
    state = load(scratch / "unet.pt") or {}
    if state:
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
    budget, step = Budget(minutes=minutes, spent=state.get("spent", 0.0)), state.get("step", 0)
    torch.manual_seed(3 + step)
    empty = tokens(tokenizer, [""]).to(device)
    pool = Pool(vae=vae, tokenizer=tokenizer, drawn=state.get("drawn", 0))
    while len(pool.latents) < (START if not state else START // 2):
        pool.add(64)
    losses: list[float] = []

    def finish(name: str) -> None:
        save(
            scratch / name,
            model=model.state_dict(), average=average.state_dict(), optimiser=optimiser.state_dict(),
            step=step, spent=budget.spent, drawn=max(START, pool.drawn - len(pool.latents)),
        )  # fmt: skip

    level = True
    while budget.tick():
        if step % 2 == 0:
            pool.add(FRESH)
        clean, ids = (part.to(device) for part in pool.batch(BATCH))
        ids = torch.where(torch.rand(BATCH, 1, device=device) < 0.1, empty, ids)
        noisy, times, target = noised(clean)
        rate = budget.rate(step, 60)
        optimiser.scale(rate)
        with autocast(device):
            with torch.no_grad():
                words = text(ids).last_hidden_state
            guess = model(noisy, times, words).sample
        loss = (guess.float() - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        if level and rate < 1 and step > 1000:
            level = False
            finish("unet-trunk.pt")
        optimiser.step()
        follow(average, model, step)
        step += 1
        losses.append(loss.item())
        if step % 250 == 0:
            finish("unet.pt")
            note(scratch / "log.md", f"| unet | {step} | {budget.spent:.1f} | loss {sum(losses) / len(losses):.4f} |")
            losses.clear()
        if report and step % 2000 == 0:
            report(average, step)
    finish("unet.pt")
    return average


def noised(clean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Latents with noise of any strength, the times that say how strong, and the velocities to guess."""
    times = torch.randint(1000, (len(clean),), device=clean.device)
    noise = torch.randn_like(clean)
    signal = scheduler().alphas_cumprod.to(clean.device)[times].view(-1, 1, 1, 1)
    noisy, target = (a * signal.sqrt() + b * (1 - signal).sqrt() for a, b in ((clean, noise), (noise, -clean)))
    return noisy, times, target


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move the average towards the model; slower as training goes on."""
    keep = min(0.9985, (1 + step) / (20 + step))
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)
