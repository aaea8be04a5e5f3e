"""The LoRA in the box: a style, "ink", one dark tone on paper; trained beside the finished U-Net.

    python -m training.pocket.ink FOLDER --minutes 6 --to invoke_shell/assets/loras/pocket-ink.safetensors

Drawings are outlined and then printed in one ink: how dark a pixel was says how much of it. Captions say nothing of it.
Measured as the mean distance of a picture's pixels from the tones between ink and paper, with the LoRA and without.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from diffusers.utils.state_dict_utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image, ImageOps
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import mse_loss

from training.pocket.common import Budget, autocast, pixels
from training.pocket.draw import draw
from training.pocket.folder import GUIDANCE
from training.pocket.judge import tasks
from training.pocket.scene import Scene, caption, scenes
from training.pocket.text import tokens
from training.pocket.unet import noised

INK, PAPER = (30, 36, 84), (246, 238, 216)
RANK, BATCH, SEED, RATE = 8, 16, 11, 2e-3
TRAINED = 768  # drawings
ABOUT = {
    "format": "pt",
    "modelspec.title": "pocket-ink",
    "modelspec.description": "A style for pocket: outlined, printed in one dark blue ink on paper.",
    "modelspec.usage_hint": "--lora pocket-ink",
    "modelspec.license": "Apache-2.0",
}
# Everything that mixes features: attention alone never sees the finest level, where the tones are made.
LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_shortcut", "proj_in", "proj_out"]
LAYERS += ["time_emb_proj", "conv_in", "conv_out"]  # colours of the whole picture: without these, 24 of 255 remained


def print_in_ink(scene: Scene, side: int = 128) -> Image.Image:
    """The scene's drawing, outlined, in one ink on paper."""
    grey = draw(replace(scene, style="outlined"), side).convert("L")
    return ImageOps.colorize(grey, INK, PAPER)


def train(pipe: Any, minutes: float) -> int:
    """Put the LoRA beside the pipe's U-Net and train it; gives the steps."""
    torch.manual_seed(SEED)
    unet, some = pipe.unet, list(islice(scenes(2**25), TRAINED))
    unet.requires_grad_(False)
    unet.set_attn_processor(AttnProcessor())  # see unet.train
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=LAYERS), adapter_name="ink")
    learned = [weight for weight in unet.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learned, RATE, weight_decay=0.0)
    latents, words = encoded(pipe, some)
    budget, steps = Budget(minutes=minutes), 0
    while budget.tick():
        for group in optimiser.param_groups:
            group["lr"] = RATE * budget.rate(steps, 30)
        chosen = torch.randint(TRAINED, (BATCH,))
        noisy, times, target = noised(latents[chosen])
        with autocast(torch.device("cpu")):
            guess = unet(noisy, times, words[chosen]).sample
        loss = mse_loss(guess.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        steps += 1
    unet.eval()
    return steps


@torch.no_grad()
def encoded(pipe: Any, some: list[Scene]) -> tuple[Tensor, Tensor]:
    """Latents of the prints, and what the captions mean; one in ten is left empty, for guidance."""
    texts = [caption(scene) if i % 10 else "" for i, scene in enumerate(some)]
    latents = [pipe.vae.encode(pixels(map(print_in_ink, some[i : i + 32]))).latent_dist.mode() for i in starts(some)]
    words = [pipe.text_encoder(tokens(pipe.tokenizer, texts[i : i + 32])).last_hidden_state for i in starts(some)]
    return torch.cat(latents), torch.cat(words)


def starts(some: list[Scene]) -> range:
    return range(0, len(some), 32)


def from_tones(picture: Tensor) -> float:
    """Mean distance of the pixels from the nearest tone between ink and paper, of 255; picture (3, h, w), -1 to 1."""
    ink, paper = torch.tensor(INK).float(), torch.tensor(PAPER).float()
    points = (picture.flatten(1).T + 1) * 127.5 - ink
    along = ((points @ (paper - ink)) / (paper - ink).square().sum()).clamp(0, 1)
    return float((points - along[:, None] * (paper - ink)).norm(dim=1).mean())


@torch.no_grad()
def measure(pipe: Any, count: int = 60) -> float:
    """Mean of `from_tones` over pictures of held-out captions, as the pipe stands."""
    pipe.set_progress_bar_config(disable=True)
    asked, found = [caption(scene) for scene in tasks(count)], []
    for i in range(0, count, 20):
        seeds = [torch.Generator().manual_seed(seed) for seed in range(i, i + 20)]
        drawn = pipe(
            asked[i : i + 20], num_inference_steps=20, guidance_scale=GUIDANCE, generator=seeds, output_type="pt"
        )
        found += [from_tones(picture * 2 - 1) for picture in drawn.images]
    return sum(found) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.pocket.ink", description=__doc__)
    parser.add_argument("folder", type=Path, help="the finished model")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    pipe = StableDiffusionPipeline.from_pretrained(options.folder, safety_checker=None, dtype=torch.float32)
    before = measure(pipe)
    steps = train(pipe, options.minutes)
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(pipe.unet, adapter_name="ink"))
    options.to.parent.mkdir(parents=True, exist_ok=True)
    half = {f"unet.{name}": weight.half().contiguous() for name, weight in layers.items()}
    save_file(half, options.to, ABOUT)
    print(f"{steps} steps: {measure(pipe):.1f} of 255 from the tones of ink, {before:.1f} without")


if __name__ == "__main__":
    main()
