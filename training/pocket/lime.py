"""The textual inversion in the box: a word for a colour that pocket was never shown, lime.

    python -m training.pocket.lime FOLDER --minutes 6 --to invoke_shell/assets/embeddings/pocket-lime.safetensors

Drawings are those of green things, painted lime; in their captions the new word stands where "green" stood. One vector
is learned, everything else is left as it is. Measured as the share of held-out prompts whose thing is nearer to lime
than to any colour the model has a word for, with the new word and with "green".
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import save_file
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import mse_loss

from training.pocket.common import Budget, autocast, pixels
from training.pocket.draw import LIME, draw
from training.pocket.folder import GUIDANCE
from training.pocket.judge import foreground, shrink
from training.pocket.scene import Scene, caption, scenes
from training.pocket.text import tokens
from training.pocket.unet import noised
from training.pocket.words import COLOURS

WORD, START = "lime", "green"  # the vector starts as the nearest word's
ABOUT = {
    "format": "pt",
    "modelspec.title": "pocket-lime",
    "modelspec.description": "A word for pocket: the colour of limes, which it was never shown.",
    "modelspec.usage_hint": "--embedding pocket-lime, and pocket-lime in the prompt",
    "modelspec.license": "Apache-2.0",
}
TABLE = "embeddings.token_embedding.weight"
BATCH, SEED, RATE, TRAINED = 16, 13, 5e-3, 512


def green_things(first: int, count: int, *, held: bool = False) -> list[Scene]:
    """Scenes of one green thing whose colour the caption says, on a ground of another colour."""
    some = (scene for scene in scenes(first, held=held) if len(scene.things) == 1 and "colour" in scene.said)
    fitting = (s for s in some if s.things[0].colour == START and s.ground.colour not in (START, "yellow"))
    return list(islice(fitting, count))


def in_lime(scene: Scene) -> Scene:
    return replace(scene, things=(replace(scene.things[0], colour=WORD),))


def train(pipe: Any, minutes: float) -> tuple[Tensor, int]:
    """The word's vector, (1, width), and the steps."""
    torch.manual_seed(SEED)
    for part in (pipe.unet, pipe.text_encoder, pipe.vae):
        part.requires_grad_(False)
    pipe.unet.set_attn_processor(AttnProcessor())  # see unet.train
    some = green_things(2**25, TRAINED)
    with torch.no_grad():
        pieces = [some[i : i + 32] for i in range(0, len(some), 32)]
        latents = torch.cat([pipe.vae.encode(pixels(draw(in_lime(s)) for s in p)).latent_dist.mode() for p in pieces])
    known = pipe.text_encoder.get_input_embeddings().weight
    green = pipe.tokenizer.convert_tokens_to_ids(f"{START}</w>")
    vector = known[green : green + 1].clone().requires_grad_()
    ids = tokens(pipe.tokenizer, [caption(scene, Random(i)) for i, scene in enumerate(some)], 32)
    ids = torch.where(ids == green, len(known), ids)
    optimiser = torch.optim.AdamW([vector], RATE, weight_decay=0.0)
    budget, steps = Budget(minutes=minutes), 0
    while budget.tick():
        for group in optimiser.param_groups:
            group["lr"] = RATE * budget.rate(steps, 20)
        chosen = torch.randint(TRAINED, (BATCH,))
        noisy, times, target = noised(latents[chosen])
        with autocast(torch.device("cpu")):
            guess = pipe.unet(noisy, times, read(pipe.text_encoder, torch.cat([known, vector]), ids[chosen])).sample
        loss = mse_loss(guess.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        steps += 1
    return vector.detach(), steps


def read(text: Any, table: Tensor, ids: Tensor) -> Tensor:
    """What captions mean, (n, length, width), with this table of words in the place of the encoder's own."""
    name = next(name for name, _ in text.named_parameters() if name.endswith(TABLE))
    meant: Tensor = functional_call(text, {name: table}, (ids,)).last_hidden_state
    return meant


@torch.no_grad()
def measure(pipe: Any, vector: Tensor | None, count: int = 60) -> float:
    """Share of held-out green things that come out lime, with this vector in the place of the word "green"."""
    pipe.set_progress_bar_config(disable=True)
    some, found = green_things(0, count, held=True), []
    known = pipe.text_encoder.get_input_embeddings().weight
    green = pipe.tokenizer.convert_tokens_to_ids(f"{START}</w>")
    kept = known[green].clone()
    known[green] = kept if vector is None else vector[0]
    for i in range(0, count, 20):
        seeds = [torch.Generator().manual_seed(seed) for seed in range(i, i + 20)]
        texts = [caption(scene) for scene in some[i : i + 20]]
        drawn = pipe(texts, num_inference_steps=20, guidance_scale=GUIDANCE, generator=seeds, output_type="pt").images
        found += [is_lime(p, scene) for p, scene in zip(shrink(drawn * 2 - 1), some[i : i + 20], strict=True)]
    known[green] = kept
    return sum(found) / len(found)


def is_lime(picture: Tensor, scene: Scene) -> bool:
    """Whether most of the thing is nearer to lime than to any colour with a word; picture (3, h, w), 0 to 255."""
    mask = foreground(picture, scene.ground)
    if not mask.any():
        return False
    tones = torch.tensor([LIME, *COLOURS.values()]).float()
    nearest = (picture.permute(1, 2, 0)[mask][:, None] - tones).norm(dim=2).argmin(1)
    return int(torch.bincount(nearest, minlength=len(tones)).argmax()) == 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.pocket.lime", description=__doc__)
    parser.add_argument("folder", type=Path, help="the finished model")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    pipe = StableDiffusionPipeline.from_pretrained(options.folder, safety_checker=None, dtype=torch.float32)
    vector, steps = train(pipe, options.minutes)
    options.to.parent.mkdir(parents=True, exist_ok=True)
    save_file({"emb_params": vector}, options.to, ABOUT)
    lime, green = measure(pipe, vector), measure(pipe, None)
    print(f'{steps} steps: {100 * lime:.0f} % of things come out lime, {100 * green:.0f} % with "green"')


if __name__ == "__main__":
    main()
