"""Fooocus: JSON (scheme `fooocus`), AUTOMATIC1111's text (scheme `a1111`), and RuinedFooocus' JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from invoke_shell.metadata.foreign import infotext, loose
from invoke_shell.metadata.foreign.dialect import COMFYUI, rewrite
from invoke_shell.metadata.foreign.result import Foreign, Lora, Model, Notes, Source, layers, model_name
from invoke_shell.metadata.foreign.samplers import sampler

__all__ = ["read"]

# Names of the forks -> Fooocus' own; case, blanks and underscores do not count.
ALIASES = {
    "negative": "negativeprompt",
    "cfg": "guidancescale",
    "cfgscale": "guidancescale",
    "basemodelname": "basemodel",
    "model": "basemodel",
    "samplername": "sampler",
    "denoise": "strength",
}
# What shapes the picture and has no equal here, when it is on.
EFFECTS = (
    "styles", "promptexpansion", "performance", "sharpness", "admguidance", "refinermodel", "refinerswitch",
    "refinerswapmethod", "adaptivecfg", "overwriteswitch", "freeu", "inpaintengine", "inpaintenginestate",
)  # fmt: skip
OFF = ("", "None", "none", "[]", "Random")


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture of `parameters`, of the comment of a JPEG or WebP, or of `Comment`."""
    told = [texts[name] for name in ("parameters", "UserComment", "Comment", "comment") if texts.get(name)]
    for text in told:
        if data := loose.mapping(loose.loads(text)):
            return _picture(tool, {_plain(name): value for name, value in data.items()})
    return next((found for text in told if (found := infotext.read_text(tool, text))), None)


def _plain(name: str) -> str:
    plain = re.sub(r"[\s_]", "", name).lower()
    return ALIASES.get(plain, plain)


def _picture(tool: str, data: Mapping[str, Any]) -> Foreign:
    notes = Notes()
    prompt = rewrite(_word(data, "prompt"), COMFYUI, notes)
    negative = rewrite(_word(data, "negativeprompt"), COMFYUI, notes, "negative prompt")
    strength = notes.real("strength", data.get("strength"))
    found = sampler(_word(data, "sampler"), _word(data, "scheduler"), notes)
    loras = {lora.name: lora for lora in (*prompt.loras, *_loras(data)) if lora.name}
    vae = model_name(_word(data, "vae"))
    _rest(data, notes)
    return Foreign(
        tool=tool,
        prompt=prompt.text,
        negative=negative.text,
        seed=notes.whole("seed", data.get("seed")),
        steps=notes.whole("steps", data.get("steps")),
        guidance=notes.real("guidance", data.get("guidancescale")),
        size=_size(data, notes),
        strength=strength if strength is not None and strength < 1 else None,
        source=Source() if strength is not None and strength < 1 else None,
        model=_model(data),
        loras=tuple(loras.values()),
        embeddings=(*prompt.embeddings, *negative.embeddings),
        vae="" if vae.startswith("Default") else vae,
        clip_skip=layers(notes.whole("clip_skip", data.get("clipskip"))),
        noise="cpu",
        missing=notes.missing,
        guessed=notes.guessed,
        **found,
    )


def _word(data: Mapping[str, Any], name: str) -> str:
    return loose.words(data.get(name))


def _size(data: Mapping[str, Any], notes: Notes) -> tuple[int, int] | None:
    """`(768, 1280)` as text; its own reader evaluates that as Python, this one reads two numbers."""
    sides = re.findall(r"\d{1,6}", _word(data, "resolution")[:40])
    if len(sides) >= 2:
        return int(sides[0]), int(sides[1])
    return notes.size(data.get("width"), data.get("height"))


def _model(data: Mapping[str, Any]) -> Model | None:
    name, digits = model_name(_word(data, "basemodel")), _word(data, "basemodelhash").lower()
    hashes = {"autov2": digits} if re.fullmatch("[0-9a-f]{10}", digits) else {}
    return Model(name=name, hashes=hashes) if name or hashes else None


def _loras(data: Mapping[str, Any]) -> Iterator[Lora]:
    """`loras` as [name, weight, hash], and older `lora_combined_1` as `name : weight`."""
    for row in loose.items(data.get("loras"))[:64]:
        if isinstance(row, list) and row:
            yield Lora(name=model_name(loose.words(row[0])), weight=loose.real(row[1]) if len(row) > 1 else None)
    for name, value in data.items():
        if name.startswith("loracombined") and not loose.items(data.get("loras")):
            parts = loose.words(value).split(" : ")[-2:]
            yield Lora(name=model_name(parts[0]), weight=loose.real(parts[-1]))


def _rest(data: Mapping[str, Any], notes: Notes) -> None:
    for name in EFFECTS:
        value = data.get(name)
        if value is None or value in OFF or (name.startswith("refiner") and _word(data, "refinermodel") in OFF):
            continue
        if name != "promptexpansion" or value != data.get("prompt"):
            notes.lost(_spoken(name), value)


def _spoken(name: str) -> str:
    return {"promptexpansion": "prompt expansion", "admguidance": "ADM guidance"}.get(name, name)
