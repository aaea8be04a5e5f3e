"""What the tensors of a file are: questions that are put to its header, in order; the first answer counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from invoke_shell.models.addons import find_embedding, find_ip_adapter, find_lora, find_upscaler
from invoke_shell.models.families import ARCHITECTURES, DTYPES, advice_for
from invoke_shell.models.files import shown
from invoke_shell.models.finding import Finding
from invoke_shell.models.header import Header
from invoke_shell.models.networks import find_controlnet, find_encoder, find_transformer, find_unet, find_vae

__all__ = ["identify"]

SHOWN = 3  # names of tensors that an unknown file is described by
LONG = 60  # characters of one
LONG_TEXT = 400  # characters of what a file tells of itself

# Adapters first: they name the layers that they are for.
DETECTORS: tuple[Callable[[Header, Path], Finding | None], ...] = (
    find_lora,
    find_embedding,
    find_controlnet,
    find_ip_adapter,
    find_unet,
    find_transformer,
    find_vae,
    find_encoder,
    find_upscaler,
)


def identify(header: Header, path: Path) -> Finding:
    """What the tensors of a header are. path: of the file, for what stands beside it and for one small tensor."""
    for detect in DETECTORS:
        if found := detect(header, path):
            return _completed(found, header)
    return _completed(Finding(reason=f"unknown: {_seen(header)}"), header)


def _completed(found: Finding, header: Header) -> Finding:
    """With what every file says: type of its weights, size, modelspec; and a family that only its words tell."""
    told = {
        k.removeprefix("modelspec."): v[:LONG_TEXT] for k, v in header.metadata.items() if k.startswith("modelspec.")
    }
    told.pop("thumbnail", None)
    stored = header.dtype
    dtype = DTYPES.get(stored, stored.lower())
    found = replace(found, dtype=dtype, bytes=header.bytes, told=told, notes=(*found.notes, *_notes(dtype)))
    if found.kind and not found.base:
        found = _by_words(found, header)
    if found.kind == "checkpoint":
        advice = advice_for(found.base, found.variant, found.prediction, told.get("resolution", ""))
        found = replace(found, advice=advice)
    return found


def _by_words(found: Finding, header: Header) -> Finding:
    for key in ("modelspec.architecture", "ss_base_model_version"):
        said = header.metadata.get(key, "").lower()
        for start, base, variant in ARCHITECTURES:
            if said.startswith(start):
                reason = f"{found.reason}; {key} says {shown(said[:LONG])}"
                return replace(found, base=base, variant=found.variant or variant, reason=reason)
    return found


def _notes(dtype: str) -> Iterator[str]:
    if dtype.startswith("float8"):
        yield f"its weights are 8-bit numbers ({dtype}): a float16 file of the same model draws finer"


def _seen(header: Header) -> str:
    if not header.tensors:
        return "there are no tensors in it"
    names = [shown(name[:LONG]) for name in sorted(header.tensors)[:SHOWN]]
    if len(names) == 1:
        return f"1 tensor, {names[0]}"
    return f"{len(header.tensors):,} tensors, such as {', '.join(names)}"
