"""The families that diffusers' own pipelines run: those with a transformer in the U-Net's place. No torch here.

Their pipelines' ways differ in many small things, so they are not run in our loop; noise, seeds, strength, progress
and what is recorded are ours all the same (piped.py). What a family cannot do is said before anything is loaded.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.records import ModelRecord

__all__ = ["PIPED", "PipedFamily", "check_can", "piped_family"]

FLOW = ("euler",)  # what flow matching is sampled with


@dataclass(frozen=True, kw_only=True)
class PipedFamily:
    """text, image: diffusers' pipelines for a prompt alone and with a picture; "" where there is none.

    coded: what encode_prompt gives, as the pipeline takes it; "" for what it makes itself. apart: it reads one prompt
    at a time, so the negative one is read by itself. guidance: the name of its weight. guided_above: the weight at and
    below which no negative prompt is asked. can: fields of a Generation it knows besides those that all know.
    schedulers: that it is sampled with; none for those of the noise that U-Nets are trained on too. fixed: told to it
    always. multiple: pixels that a side is a multiple of. files: its transformers come in one file too.
    """

    base: str
    title: str
    text: str
    image: str
    coded: tuple[str, ...]
    apart: bool = False
    guidance: str = "guidance_scale"
    guided_above: float = 1.0
    can: frozenset[str] = frozenset()
    schedulers: tuple[str, ...] = FLOW
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    multiple: int = 16
    files: bool = False


BOTH = ("prompt_embeds", "negative_prompt_embeds")
MASKED = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")
PIPED = (
    PipedFamily(
        base="sd3",
        title="Stable Diffusion 3",
        text="StableDiffusion3Pipeline",
        image="StableDiffusion3Img2ImgPipeline",
        coded=("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds"),
        can=frozenset({"negative", "mask", "clip_skip", "loras", "vae"}),
        files=True,
    ),
    PipedFamily(
        base="flux",
        title="Flux",
        text="FluxPipeline",
        image="FluxImg2ImgPipeline",
        coded=("prompt_embeds", "pooled_prompt_embeds", ""),
        can=frozenset({"mask", "loras", "vae"}),
        files=True,
    ),
    PipedFamily(
        base="chroma",
        title="Chroma",
        text="ChromaPipeline",
        image="",
        coded=(
            "prompt_embeds",
            "",
            "prompt_attention_mask",
            "negative_prompt_embeds",
            "",
            "negative_prompt_attention_mask",
        ),
        can=frozenset({"negative", "vae"}),
    ),
    PipedFamily(
        base="auraflow",
        title="AuraFlow",
        text="AuraFlowPipeline",
        image="",
        coded=MASKED,
        can=frozenset({"negative", "vae"}),
    ),
    PipedFamily(
        base="z-image",
        title="Z-Image",
        text="ZImagePipeline",
        image="ZImageImg2ImgPipeline",
        coded=BOTH,
        guided_above=0.0,
        can=frozenset({"negative", "mask", "vae"}),
    ),
    PipedFamily(
        base="qwen-image",
        title="Qwen-Image",
        text="QwenImagePipeline",
        image="QwenImageImg2ImgPipeline",
        coded=("prompt_embeds", "prompt_embeds_mask"),
        apart=True,
        guidance="true_cfg_scale",
        can=frozenset({"negative", "mask"}),
    ),
    PipedFamily(
        base="lumina2",
        title="Lumina 2",
        text="Lumina2Pipeline",
        image="",
        coded=MASKED,
        can=frozenset({"negative", "vae"}),
    ),
    PipedFamily(
        base="cogview4",
        title="CogView 4",
        text="CogView4Pipeline",
        image="",
        coded=BOTH,
        can=frozenset({"negative", "vae"}),
    ),
    PipedFamily(
        base="sana",
        title="Sana",
        text="SanaPipeline",
        image="",
        coded=MASKED,
        can=frozenset({"negative"}),
        schedulers=("dpmpp_2m",),
        fixed={"use_resolution_binning": False, "negative_prompt": None},
        multiple=32,
    ),
    *(
        PipedFamily(
            base="pixart",
            title="PixArt",
            text=text,
            image="",
            coded=MASKED,
            can=frozenset({"negative", "vae"}),
            schedulers=(),
            # The sizes it was trained at and the words it cleans away are the person's to choose.
            fixed={"use_resolution_binning": False, "clean_caption": False, "negative_prompt": None},
        )
        for text in ("PixArtAlphaPipeline", "PixArtSigmaPipeline")
    ),
)
# Fields of a Generation that every family knows.
ALWAYS = {
    "prompt", "model", "size", "steps", "guidance", "scheduler", "seed", "start_step", "source", "pure_noise",
    "strength", "components", "teller",
}  # fmt: skip
WORDS = {
    "negative": "negative prompt",
    "mask": "mask",
    "embeddings": "textual inversion",
    "image_guidance": "instructions",
    "mixed": "--variation and no --blend",
    "refiner": "refiner",
    "loras": "LoRA",
    "controls": "ControlNet",
    "picture_prompts": "IP-Adapter",
}


def piped_family(model: ModelRecord) -> PipedFamily | None:
    """The family of a model that a pipeline of diffusers runs; None for all others, and for what cannot be read."""
    path = Path(model.path)
    if path.is_dir():
        kind = _class_of(path)
        return next((f for f in PIPED if kind and kind in (f.text, f.image)), None)
    return next((f for f in PIPED if f.files and f.base == model.base), None)


def check_can(family: PipedFamily, asked: Generation) -> None:
    """Raise RunError (bad-value) for what a request asks and a family cannot do."""
    if family.schedulers and asked.scheduler not in family.schedulers:
        raise _cannot(family, asked, f"scheduler but {', '.join(family.schedulers)}")
    if not family.image and (asked.source is not None or asked.start_step):
        raise _cannot(family, asked, "picture, only a prompt")
    for field in dataclasses.fields(asked):
        if field.name in ALWAYS or field.name in family.can or field.name == "options":
            continue
        default = field.default_factory() if callable(field.default_factory) else field.default
        if getattr(asked, field.name) != default:
            raise _cannot(family, asked, WORDS.get(field.name, f"--{field.name.replace('_', '-')}"))


def _cannot(family: PipedFamily, asked: Generation, what: str) -> RunError:
    message = f"{family.title} takes no {what}"
    return RunError(message, hint=f"{asked.model.name} is {family.title}: leave it out", code="bad-value")


def _class_of(folder: Path) -> str:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        return str(index.get("_class_name", ""))
    except (OSError, ValueError, AttributeError):
        return ""  # the loader says what is wrong with it
