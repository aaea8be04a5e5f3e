"""Loads the models that diffusers' pipelines run, part by part, offline."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, ModelRecord
from invoke_shell.runtime import _diffusers, pictures
from invoke_shell.runtime._diffusers import SchedulerLike
from invoke_shell.runtime.device import Place
from invoke_shell.runtime.loading import one_sentence, ready
from invoke_shell.runtime.pipelines import PipedFamily
from invoke_shell.runtime.preview import LatentMap
from invoke_shell.runtime.sources import Folder, refused, stored_dtype, tensors

__all__ = ["Piped", "load_piped"]

KEPT_PROMPTS = 32  # read prompts of one model; 5 MB each for T5
LIBRARIES = ("diffusers", "transformers")  # that a model folder may name classes of
WEIGHTLESS = ("scheduler", "tokenizer", "feature_extractor", "image_processor")


@dataclass(frozen=True, kw_only=True)
class Piped:
    """A loaded model. parts: by their names in a diffusers folder, None for what it goes without.

    factor: pixels a latent is wide. channels: of a latent. dtype: of its networks. stored: of its weights on disk.
    """

    name: str
    family: PipedFamily
    parts: Mapping[str, Any]
    scheduler_class: str
    scheduler_config: Mapping[str, Any]
    factor: int
    channels: int
    dtype: torch.dtype
    stored: str
    latent_map: LatentMap | None
    bytes: int
    _read: OrderedDict[tuple[Any, ...], dict[str, Tensor]] = field(default_factory=OrderedDict, repr=False)

    def pipe(self, task: str, scheduler: SchedulerLike) -> Any:
        """diffusers' pipeline for a prompt alone (`text`) or with a picture (`image`), around these parts."""
        kind = self.family.text if task == "text" else self.family.image
        return _diffusers.make_pipeline(kind, {**self.parts, "scheduler": scheduler})

    def coded(self, pipe: Any, prompt: str, negative: str, guided: bool, skip: int) -> dict[str, Tensor]:
        """What the pipeline reads of the prompts, as it takes it; kept, so that text encoders run once a prompt."""
        key = (prompt, negative, guided, skip)
        if key not in self._read:
            names = self.family.coded
            given = _diffusers.encode_prompt(
                pipe, prompt, negative, guided, skip, negated="negative" in self.family.can
            )
            self._read[key] = {n: t for n, t in zip(names, given, strict=True) if n and t is not None}
        self._read.move_to_end(key)
        if len(self._read) > KEPT_PROMPTS:
            self._read.popitem(last=False)
        return self._read[key]

    def encoded(self, image: Image, device: torch.device, tiled: bool) -> Tensor:
        """Latents (1, c, h, w) of a picture, scaled and shifted as the transformer knows them."""
        vae = self.parts["vae"]
        (vae.enable_tiling if tiled else vae.disable_tiling)()
        made = _diffusers.encode_latents(vae, 2.0 * pictures.to_unit(image, device, self.dtype) - 1.0)
        latents: Tensor = (made - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor
        return latents

    def unpacked(self, pipe: Any, latents: Tensor, size: Size) -> Tensor:
        """Latents as (1, c, h, w); some pipelines keep them in rows of two by two."""
        if latents.dim() == 4:
            return latents
        unpacked: Tensor = pipe._unpack_latents(latents, size.height, size.width, self.factor)
        return unpacked


def load_piped(model: ModelRecord, family: PipedFamily, place: Place) -> Piped:
    """A diffusers folder. Raises RunError (bad-model) with the reason."""
    source = Folder(model)
    index = source.index()
    dtype = place.flow_dtype
    with one_sentence(model):
        parts = {name: _part(source, name, made, dtype, place.device) for name, made in index.items() if _is_part(made)}
    scheduler = parts.pop("scheduler", None)
    if scheduler is None or "transformer" not in parts or "vae" not in parts:
        raise refused(model, "its model_index.json lacks a transformer, a VAE or a scheduler")
    vae = parts["vae"]
    return Piped(
        name=model.name,
        family=family,
        parts=parts,
        scheduler_class=str(scheduler["_class_name"]),
        scheduler_config=scheduler,
        factor=2 ** (len(vae.config.block_out_channels) - 1),
        channels=vae.config.latent_channels,
        dtype=dtype,
        stored=stored_dtype(min((Path(model.path) / "transformer").glob("*.safetensors"))),
        latent_map=LatentMap.read(source.beside("preview.json")),
        bytes=sum(t.nbytes for part in parts.values() if isinstance(part, torch.nn.Module) for t in tensors(part)),
    )


def _is_part(made: Any) -> bool:
    """In model_index.json a part is a pair of a library and a class, both null for what a model goes without."""
    return isinstance(made, list) and len(made) == 2


def _part(source: Folder, name: str, made: list[Any], dtype: torch.dtype, device: torch.device) -> Any:
    library, kind = made
    if name == "scheduler":
        return source.scheduler()
    if kind is None or name in ("safety_checker", "feature_extractor", "image_encoder"):
        return None
    # The library would import whatever module the folder names.
    if library not in LIBRARIES:
        raise refused(source.model, f"its {name} is made by {library}, and only {' and '.join(LIBRARIES)} are asked")
    if name.startswith(WEIGHTLESS):
        return _diffusers.load_named(library, kind, str(source.path), name)
    source.check(name)
    variant = source.variant(name)
    return ready(_diffusers.load_named(library, kind, str(source.path), name, dtype=dtype, variant=variant), device)
