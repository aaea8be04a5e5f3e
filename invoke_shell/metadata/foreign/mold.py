"""mold: a text for each value, `mold:prompt`, and all of it as JSON in `mold:parameters`, or in a JPEG's comment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.result import Foreign, Lora, Model, Notes, Source, model_name
from invoke_shell.metadata.foreign.samplers import sampler

__all__ = ["read"]

PREFIX = "mold:"
READ = frozenset((
    "prompt", "negative_prompt", "original_prompt", "model", "seed", "steps", "guidance", "width", "height",
    "strength", "scheduler", "version", "lora", "loras", "lora_scale", "parameters", "output_format", "batch_size",
))  # fmt: skip


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture, each value from its own text, else from the JSON."""
    comment = texts.get("comment", "").removeprefix("mold:parameters")
    data = loose.mapping(loose.loads(texts.get("mold:parameters", comment)))
    said = {name.removeprefix(PREFIX): text for name, text in texts.items() if name.startswith(PREFIX)}
    data = {**data, **said}
    return _picture(tool, data) if set(data) & READ else None


def _picture(tool: str, data: Mapping[str, Any]) -> Foreign:
    notes = Notes()
    strength = notes.real("strength", data.get("strength"))
    name = model_name(loose.words(data.get("model")))
    found = sampler(loose.words(data.get("scheduler")), "", notes)
    for key, value in list(data.items())[:512]:
        if key not in READ and value not in (None, "", False, []) and not isinstance(value, dict):
            notes.lost(key, value)
    return Foreign(
        tool=tool,
        prompt=loose.words(data.get("prompt")) if "prompt" in data else None,
        negative=loose.words(data.get("negative_prompt")),
        seed=notes.whole("seed", data.get("seed")),
        steps=notes.whole("steps", data.get("steps")),
        guidance=notes.real("guidance", data.get("guidance")),
        size=notes.size(data.get("width"), data.get("height")),
        strength=strength,
        source=None if strength is None else Source(),
        model=Model(name=name) if name else None,
        loras=tuple(_loras(data)),
        missing=notes.missing,
        guessed=notes.guessed,
        **found,
    )


def _loras(data: Mapping[str, Any]) -> list[Lora]:
    """One LoRA by name, or a list of objects with path and scale."""
    rows = [loose.mapping(row) for row in [data.get("lora"), *loose.items(data.get("loras"))[:64]]]
    found = [Lora(name=model_name(loose.words(data.get("lora"))), weight=loose.real(data.get("lora_scale")))]
    for row in rows:
        name = model_name(loose.words(row.get("path")) or loose.words(row.get("name")))
        found.append(Lora(name=name, weight=loose.real(row.get("scale"))))
    return [lora for lora in found if lora.name]
