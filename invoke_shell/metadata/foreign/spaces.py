"""Spaces of Hugging Face: JSON in `parameters`, with diffusers' names; a second pass in `use_upscaler`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.dialect import COMFYUI, rewrite
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Model, Notes, Source, model_name
from invoke_shell.metadata.foreign.samplers import sampler

__all__ = ["read"]

READ = frozenset((
    "prompt", "negative_prompt", "resolution", "width", "height", "guidance_scale", "num_inference_steps", "seed",
    "sampler", "scheduler", "Model", "model", "Model hash", "use_upscaler", "strength",
))  # fmt: skip


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture of a `parameters` that is JSON."""
    data = loose.mapping(loose.loads(texts.get("parameters", "")))
    return _picture(tool, data) if "prompt" in data else None


def _picture(tool: str, data: Mapping[str, Any]) -> Foreign:
    notes = Notes()
    prompt = rewrite(loose.words(data["prompt"]), COMFYUI, notes)
    negative = rewrite(loose.words(data.get("negative_prompt")), COMFYUI, notes, "negative prompt")
    named = sampler(loose.words(data.get("sampler")) or loose.words(data.get("scheduler")), "", notes)
    draw = Draw(
        seed=notes.whole("seed", data.get("seed")),
        steps=notes.whole("steps", data.get("num_inference_steps")),
        guidance=notes.real("guidance", data.get("guidance_scale")),
        **named,
    )
    then = _second(loose.mapping(data.get("use_upscaler")), draw, notes)
    strength = notes.real("strength", data.get("strength"))
    for name, value in list(data.items())[:512]:
        if name not in READ and value not in (None, "", False, 0) and value != [] and value != {}:
            notes.lost(name, value)
    return Foreign(
        tool=tool,
        prompt=prompt.text,
        negative=negative.text,
        seed=draw.seed,
        steps=draw.steps,
        guidance=draw.guidance,
        size=_size(data.get("resolution")) or notes.size(data.get("width"), data.get("height")),
        strength=strength,
        source=None if strength is None else Source(),
        model=_model(data),
        loras=prompt.loras,
        embeddings=(*prompt.embeddings, *negative.embeddings),
        then=then,
        missing=notes.missing,
        guessed=notes.guessed,
        **named,
    )


def _second(data: Mapping[str, Any], first: Draw, notes: Notes) -> tuple[Draw | Enlarge, ...]:
    """Enlarged as latents there, then drawn over with the values of the first pass."""
    scale = notes.real("upscale_by", data.get("upscale_by"))
    if not scale:
        return ()
    notes.guess("the second pass enlarges pixels here; there it enlarged latents")
    strength = notes.real("upscaler_strength", data.get("upscaler_strength"))
    drawn = Draw(
        seed=first.seed,
        steps=first.steps,
        guidance=first.guidance,
        strength=strength,
        scheduler=first.scheduler,
        scheduler_text=first.scheduler_text,
        near=first.near,
    )
    return (Enlarge(scale=scale), drawn) if strength else (Enlarge(scale=scale),)


def _size(value: Any) -> tuple[int, int] | None:
    found = re.fullmatch(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*", loose.words(value))
    return (int(found[1]), int(found[2])) if found else None


def _model(data: Mapping[str, Any]) -> Model | None:
    name = model_name(loose.words(data.get("Model")) or loose.words(data.get("model")))
    digits = loose.words(data.get("Model hash")).lower()
    hashes = {"sha256": digits} if re.fullmatch("[0-9a-f]{64}", digits) else {}
    return Model(name=name, hashes=hashes) if name or hashes else None
