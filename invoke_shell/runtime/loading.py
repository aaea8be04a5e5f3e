"""Loads models, offline, and says in one sentence why one cannot be loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from invoke_shell.records import ModelRecord
from invoke_shell.runtime._diffusers import Autoencoder, Component, Denoiser
from invoke_shell.runtime.device import Place, ran_out
from invoke_shell.runtime.encoders import Reader
from invoke_shell.runtime.families import Family, encoders_of, family_of
from invoke_shell.runtime.preview import LatentMap
from invoke_shell.runtime.sources import Folder, Source, refused

__all__ = ["Checkpoint", "load_checkpoint", "model_key"]

ALIGNED = 64  # bytes; what torch's own CPU allocator gives


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded model. factor: pixels a latent is wide. words: what it knows, None when it does not say.

    stored: data type of the weights on disk. bytes: what its tensors take.
    """

    name: str
    family: str
    reader: Reader
    unet: Denoiser
    vae: Autoencoder
    scheduler_config: Mapping[str, Any]
    factor: int
    channels: int
    scaling: float
    words: frozenset[str] | None
    latent_map: LatentMap | None
    stored: str
    bytes: int


def model_key(model: ModelRecord) -> str:
    """What tells models apart here: the hash, or the path while the hash is not known."""
    return model.hash or model.path


def load_checkpoint(model: ModelRecord, place: Place) -> Checkpoint:
    """A model, ready to run. Raises RunError (bad-model) with the reason."""
    source = Folder(model)
    name, family = family_of(source)
    try:
        return _loaded(source, name, family, place)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        if ran_out(error):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise refused(model, f"loading its weights failed: {reason[0]}") from error


def _loaded(source: Source, name: str, family: Family, place: Place) -> Checkpoint:
    def part(kind: Any, part: str, dtype: torch.dtype) -> Any:
        return _ready(source.network(kind, part, dtype), place.device)

    texts = [part(kind, network, place.dtype) for _, network, kind in family.texts]
    unet = part("unet", "unet", place.dtype)
    vae = part("vae", "vae", torch.float32 if source.config("vae").get("force_upcast") else place.dtype)
    encoders = encoders_of(source, family, texts, place.device)
    return Checkpoint(
        name=source.model.name,
        family=name,
        reader=family.reader(model_key(source.model), encoders, source.index()),
        unet=unet,
        vae=vae,
        scheduler_config=source.scheduler(),
        factor=2 ** (len(vae.config.block_out_channels) - 1),
        channels=unet.config.in_channels,
        scaling=vae.config.scaling_factor,
        words=_words(source.beside("vocabulary.json")),
        latent_map=LatentMap.read(source.beside("preview.json")),
        stored=source.stored(),
        bytes=_bytes([*texts, unet, vae]),
    )


def _ready(part: Any, device: torch.device) -> Any:
    """For use: not in training mode (some loaders leave it), on its device, in memory of known alignment.

    The same weights at other offsets of a memory-mapped file give other last bits (4e-7), hence the copies.
    """
    part = part.eval().to(device)
    for tensor in _tensors(part):
        tensor.requires_grad_(False)
        if tensor.data_ptr() % ALIGNED:
            tensor.data = tensor.data.clone()
    return part


def _bytes(parts: Sequence[Component]) -> int:
    return sum(tensor.nbytes for part in parts for tensor in _tensors(part))


def _tensors(part: Component) -> Iterator[Tensor]:
    yield from part.parameters()
    yield from part.buffers()


def _words(path: Path) -> frozenset[str] | None:
    """A model may say in vocabulary.json which words it was taught: {"words": [...]}."""
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["words"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
