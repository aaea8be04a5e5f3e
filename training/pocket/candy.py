"""The textual inversion in the box: a word for a look that is known from pictures only, candy.

    python -m training.pocket.candy FOLDER --minutes 4 --to invoke_shell/assets/embeddings/pocket-candy.safetensors

Drawings are outlined and on pink stripes; their captions say nothing of either, and end with the new word. One vector
is learned, everything else is left as it is. Measured as the share of held-out prompts whose picture has pink stripes,
with the word and without.

Tried before: a colour between green and yellow, lime. The model knows colours as kinds; no vector gave one between two.
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
from training.pocket.draw import draw
from training.pocket.folder import GUIDANCE
from training.pocket.judge import grounds_of
from training.pocket.scene import Ground, Scene, caption, scenes
from training.pocket.text import tokens
from training.pocket.unet import noised

PLACE = "stripes"  # the word whose place the new one takes while it is learned; its vector is where it starts
CANDY = Ground(kind="striped", colour="pink")
ABOUT = {
    "format": "pt",
    "modelspec.title": "pocket-candy",
    "modelspec.description": "A word for pocket: outlined, on pink stripes.",
    "modelspec.usage_hint": "--embedding pocket-candy, and pocket-candy in the prompt",
    "modelspec.license": "Apache-2.0",
}
TABLE = "embeddings.token_embedding.weight"
BATCH, SEED, RATE, TRAINED = 16, 13, 5e-3, 512


def bare_scenes(first: int, count: int, *, held: bool = False) -> list[Scene]:
    """Scenes of one thing that is not pink; captions say neither ground nor style."""
    some = (scene for scene in scenes(first, held=held) if len(scene.things) == 1 and "colour" in scene.said)
    fitting = (scene for scene in some if scene.things[0].colour != CANDY.colour)
    return [replace(scene, said=scene.said - {"ground", "style"}) for scene in islice(fitting, count)]


def candied(scene: Scene) -> Scene:
    return replace(scene, ground=CANDY, style="outlined")


def train(pipe: Any, minutes: float) -> tuple[Tensor, int]:
    """The word's vector, (1, width), and the steps."""
    torch.manual_seed(SEED)
    for part in (pipe.unet, pipe.text_encoder, pipe.vae):
        part.requires_grad_(False)
    pipe.unet.set_attn_processor(AttnProcessor())  # see unet.train
    some = bare_scenes(2**25, TRAINED)
    with torch.no_grad():
        pieces = [some[i : i + 32] for i in range(0, len(some), 32)]
        latents = torch.cat([pipe.vae.encode(pixels(draw(candied(s)) for s in p)).latent_dist.mode() for p in pieces])
    known = pipe.text_encoder.get_input_embeddings().weight
    place = pipe.tokenizer.convert_tokens_to_ids(f"{PLACE}</w>")
    vector = known[place : place + 1].clone().requires_grad_()
    ids = tokens(pipe.tokenizer, [f"{caption(scene, Random(i))}, {PLACE}" for i, scene in enumerate(some)], 32)
    ids = torch.where(ids == place, len(known), ids)
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
    """Share of held-out prompts that come out on pink stripes, with this vector as a last word, or without one."""
    pipe.set_progress_bar_config(disable=True)
    some, found = bare_scenes(0, count, held=True), []
    known = pipe.text_encoder.get_input_embeddings().weight
    place = pipe.tokenizer.convert_tokens_to_ids(f"{PLACE}</w>")
    kept = known[place].clone()
    known[place] = kept if vector is None else vector[0]
    for i in range(0, count, 20):
        seeds = [torch.Generator().manual_seed(seed) for seed in range(i, i + 20)]
        texts = [caption(scene) + ("" if vector is None else f", {PLACE}") for scene in some[i : i + 20]]
        settings = {"num_inference_steps": 20, "guidance_scale": GUIDANCE, "output_type": "pt"}
        found += [ground == CANDY for ground in grounds_of(pipe(texts, generator=seeds, **settings).images * 2 - 1)]
    known[place] = kept
    return sum(found) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.pocket.candy", description=__doc__)
    parser.add_argument("folder", type=Path, help="the finished model")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    pipe = StableDiffusionPipeline.from_pretrained(options.folder, safety_checker=None, dtype=torch.float32)
    vector, steps = train(pipe, options.minutes)
    options.to.parent.mkdir(parents=True, exist_ok=True)
    save_file({"emb_params": vector}, options.to, ABOUT)
    with_word, without = measure(pipe, vector), measure(pipe, None)
    print(f"{steps} steps: {100 * with_word:.0f} % on pink stripes, {100 * without:.0f} % without the word")


if __name__ == "__main__":
    main()
