"""The families this runs: which parts a model of each has, what must fit together, and how its prompts are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from invoke_shell.runtime._diffusers import PartKind
from invoke_shell.runtime.clip import Encoder
from invoke_shell.runtime.encoders import BigClip, Clip, Reader, TwoClips
from invoke_shell.runtime.pipelines import PIPED
from invoke_shell.runtime.sources import Source, refused

__all__ = ["RUNS", "Family", "Task", "encoders_of", "family_of", "task_of", "titled"]

Task = Literal["", "inpaint", "edit"]

RUNS = (
    "Stable Diffusion 1, 2, XL and 3, Flux, Chroma, AuraFlow, Z-Image, Qwen-Image, Lumina 2, CogView 4, Sana and PixArt"
)
TITLES = {
    "sd1": "Stable Diffusion 1",
    "sd2": "Stable Diffusion 2",
    "sdxl": "SDXL",
    "sd3": "Stable Diffusion 3",
    "flux": "Flux",
}
TIME_IDS = 6  # numbers in SDXL's micro-conditioning
SCORED_IDS = 5  # in its refiner's: sizes and a score

MakeReader = Callable[[str, Sequence[Encoder], Mapping[str, Any]], Reader]


@dataclass(frozen=True, kw_only=True)
class Family:
    """texts: (tokenizer, text encoder, kind) in a model's own names. added: U-Net conditions it may want besides.

    reader: (key, encoders, model_index.json) -> how prompts are read. time_ids: numbers the U-Net is told besides.
    """

    texts: tuple[tuple[str, str, PartKind], ...]
    added: tuple[str | None, ...]
    reader: MakeReader
    time_ids: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts with weights."""
        return (*(network for _, network, _ in self.texts), "unet", "vae")


def _clip(key: str, encoders: Sequence[Encoder], index: Mapping[str, Any]) -> Reader:
    return Clip(key=key, encoder=encoders[0])


def _two_clips(key: str, encoders: Sequence[Encoder], index: Mapping[str, Any]) -> Reader:
    zeros = bool(index.get("force_zeros_for_empty_prompt", True))
    return TwoClips(key=key, encoders=(encoders[0], encoders[1]), zeros_for_empty=zeros)


def _big_clip(key: str, encoders: Sequence[Encoder], index: Mapping[str, Any]) -> Reader:
    return BigClip(key=key, encoder=encoders[0], zeros_for_empty=bool(index.get("force_zeros_for_empty_prompt", False)))


# "text" is made of the prompt's own embeddings; every other kind wants values that nobody would give.
ONE = Family(texts=(("tokenizer", "text_encoder", "text"),), added=(None, "text"), reader=_clip)
TWO = Family(
    texts=(("tokenizer", "text_encoder", "text"), ("tokenizer_2", "text_encoder_2", "text_projected")),
    added=("text_time",),
    reader=_two_clips,
    time_ids=TIME_IDS,
)
REFINER = Family(
    texts=(("tokenizer_2", "text_encoder_2", "text_projected"),),
    added=("text_time",),
    reader=_big_clip,
    time_ids=SCORED_IDS,
)


def family_of(source: Source) -> tuple[str, Family]:
    """`sd1`, `sd2` or `sdxl`, and how it is run. Raises RunError (bad-model): another family, parts that do not fit."""
    index = source.index()
    kind = str(index.get("_class_name", ""))
    if title := next((family.title for family in PIPED if family.base == kind), ""):
        raise refused(source.model, f"{title} runs from a diffusers folder, and this is one file")
    if not kind.startswith("StableDiffusion") or kind.startswith("StableDiffusion3"):
        raise refused(source.model, f"it is {_kind(kind)}, and this runs {RUNS}")
    larger = REFINER if index.get("requires_aesthetics_score") else TWO
    family = larger if kind.startswith("StableDiffusionXL") else ONE
    for part in family.parts:
        source.check(part)
    _check_fit(source, family)
    if family.time_ids:
        return "sdxl", family
    return ("sd2" if source.config("unet").get("cross_attention_dim") == 1024 else "sd1"), family


def _kind(pipeline: str) -> str:
    """What a folder says it is, for people."""
    return f"a {pipeline}" if pipeline else "a folder of no known kind"


def _check_fit(source: Source, family: Family) -> None:
    unet, vae = source.config("unet"), source.config("vae")
    seen, made = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    if seen not in _channels(made):
        raise refused(source.model, f"its U-Net reads {seen} channels where its VAE makes {made}")
    if unet.get("addition_embed_type") not in family.added:
        raise refused(source.model, "its U-Net wants more than its family's prompts and a timestep")
    _check_text(source, family, unet)


def _check_text(source: Source, family: Family, unet: Mapping[str, Any]) -> None:
    texts = [source.config(network) for _, network, _ in family.texts]
    made, read = sum(t.get("hidden_size", 512) for t in texts), unet.get("cross_attention_dim", 1280)
    if made != read:
        raise refused(source.model, f"its U-Net reads text of width {read} where its text encoders make {made}")
    if not family.time_ids:
        return
    wanted = unet.get("projection_class_embeddings_input_dim")
    given = family.time_ids * unet.get("addition_time_embed_dim", 256) + texts[-1].get("projection_dim", 512)
    if wanted != given:
        raise refused(source.model, f"its U-Net takes {wanted} numbers on sizes and prompt, not {given}")


def task_of(unet_channels: int, latent_channels: int) -> Task:
    """What a U-Net is for, by the channels that it reads: latents, and for some a picture and a mask beside them."""
    return _channels(latent_channels)[unet_channels]


def _channels(latents: int) -> dict[int, Task]:
    """inpaint: with a mask and what is left of a picture. edit: with the picture to be changed."""
    return {latents: "", 2 * latents + 1: "inpaint", 2 * latents: "edit"}


def titled(base: str) -> str:
    """A family's name for people."""
    return TITLES.get(base, base)


def encoders_of(source: Source, family: Family, networks: Sequence[Any], device: torch.device) -> list[Encoder]:
    """The text encoders with their tokenizers."""
    return [
        Encoder(tokenizer=source.tokenizer(tokenizer), network=network, device=device, place=place)
        for place, ((tokenizer, _, _), network) in enumerate(zip(family.texts, networks, strict=True))
    ]
