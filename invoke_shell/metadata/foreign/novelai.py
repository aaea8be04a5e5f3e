"""NovelAI: `Comment` is JSON, `Description` the prompt again; WebP and hidden metadata keep all texts in one JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.dialect import NOVELAI, rewrite
from invoke_shell.metadata.foreign.result import Foreign, Notes, Source
from invoke_shell.metadata.foreign.samplers import sampler

__all__ = ["read"]

# What changes the picture and has no equal, when it is on.
EFFECTS = (
    "dynamic_thresholding", "sm", "sm_dyn", "controlnet_model", "skip_cfg_above_sigma",
    "lora_unet_weights", "lora_clip_weights", "reference_strength", "reference_strength_multiple", "add_original_image",
    "director_reference_strengths",
)  # fmt: skip


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture of a `Comment`."""
    texts = _opened(texts)
    data = loose.mapping(loose.loads(texts.get("Comment", "")))
    if not data:
        return _described(tool, texts)
    notes = Notes()
    prompt = rewrite(
        _caption(data, "v4_prompt") or _word(data, "prompt") or texts.get("Description", ""), NOVELAI, notes
    )
    negative = _caption(data, "v4_negative_prompt") or _word(data, "uc")
    negated = rewrite(negative, NOVELAI, notes, "negative prompt")
    strength = notes.real("strength", data.get("strength"))
    source = _source(data, notes)
    found = sampler(_word(data, "sampler"), _word(data, "noise_schedule"), notes)
    _rest(data, texts.get("Source", ""), notes)
    return Foreign(
        tool=tool,
        prompt=prompt.text,
        negative=negated.text,
        seed=notes.whole("seed", data.get("seed")),
        steps=notes.whole("steps", data.get("steps")),
        guidance=notes.real("scale", data.get("scale")),
        size=notes.size(data.get("width"), data.get("height")),
        strength=strength if source else None,
        source=source,
        noise="gpu",
        more={"guidance_rescale": rescale} if (rescale := loose.real(data.get("cfg_rescale"))) else {},
        missing=notes.missing,
        guessed=notes.guessed,
        **found,
    )


def _opened(texts: Mapping[str, str]) -> Mapping[str, str]:
    """The texts, or those inside the one JSON of a WebP."""
    inner = loose.mapping(loose.loads(texts.get("UserComment", "")))
    named = {name: value for name, value in inner.items() if isinstance(value, str)}
    return named if "Comment" in named else texts


def _described(tool: str, texts: Mapping[str, str]) -> Foreign | None:
    """A picture whose Comment is gone: the prompt alone."""
    if not texts.get("Description", "").strip():
        return None
    notes = Notes()
    notes.say("the Comment cannot be read: the prompt is all there is")
    prompt = rewrite(texts["Description"], NOVELAI, notes)
    return Foreign(tool=tool, prompt=prompt.text, noise="gpu", missing=notes.missing)


def _word(data: Mapping[str, Any], name: str) -> str:
    return loose.words(data.get(name))


def _caption(data: Mapping[str, Any], name: str) -> str:
    return _word(loose.mapping(loose.mapping(data.get(name)).get("caption")), "base_caption")


def _source(data: Mapping[str, Any], notes: Notes) -> Source | None:
    request = _word(data, "request_type")
    if "Inpaint" in request or "Infill" in request:
        notes.lost("a mask", request)
    if not request or request == "PromptGenerateRequest":
        return None
    if loose.real(data.get("noise")):
        notes.lost("noise added to the source", data["noise"])
    return Source()


def _rest(data: Mapping[str, Any], model: str, notes: Notes) -> None:
    if model.strip():
        notes.say(f"the model is NovelAI's own and cannot be had elsewhere: {re.sub(r'[^ -~]', '?', model)[:80]}")
    for side in ("v4_prompt", "v4_negative_prompt"):
        captions = loose.items(loose.mapping(loose.mapping(data.get(side)).get("caption")).get("char_captions"))
        for caption in captions[:16]:
            if text := _word(loose.mapping(caption), "char_caption"):
                notes.lost("a character's prompt" if side == "v4_prompt" else "a character's negative prompt", text)
    if loose.real(data.get("uncond_scale")) not in (None, 1.0):
        notes.lost("uncond_scale", data["uncond_scale"])
    for name in EFFECTS:
        if data.get(name) not in (None, False, 0, "", []):
            notes.lost(name, data[name])
