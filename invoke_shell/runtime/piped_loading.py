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
from invoke_shell.runtime.adapters import Adapters
from invoke_shell.runtime.components import file_parts
from invoke_shell.runtime.device import Place
from invoke_shell.runtime.loading import one_sentence, ready
from invoke_shell.runtime.pipelines import PipedFamily
from invoke_shell.runtime.preview import LatentMap
from invoke_shell.runtime.sources import Folder, refused, stored_dtype, tensors
from invoke_shell.runtime.transformer_file import TransformerFile

__all__ = ["Piped", "load_piped"]

Parts = dict[str, Any]
KEPT_PROMPTS = 32  # read prompts of one model; 5 MB each for T5
LIBRARIES = ("diffusers", "transformers")  # that a model folder may name classes of
LEVELS = ("block_out_channels", "encoder_block_out_channels", "dim_mult")  # a VAE's, each half as wide as the last
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
    adapters: Adapters
    _read: OrderedDict[tuple[Any, ...], dict[str, Tensor]] = field(default_factory=OrderedDict, repr=False)

    @property
    def networks(self) -> list[Any]:
        """In the order of their use: text encoders, transformer, VAE."""
        texts = [part for name, part in sorted(self.parts.items()) if name.startswith("text_encoder") and part]
        return [*texts, self.parts["transformer"], self.parts["vae"]]

    @property
    def guided(self) -> bool:
        """Whether guidance does anything: a distilled Flux (schnell) has none."""
        return "negative" in self.family.can or bool(self.parts["transformer"].config.get("guidance_embeds", True))

    def pipe(self, task: str, scheduler: SchedulerLike) -> Any:
        """diffusers' pipeline for a prompt alone (`text`) or with a picture (`image`), around these parts."""
        kind = self.family.text if task == "text" else self.family.image
        pipe = _diffusers.make_pipeline(kind, {**self.parts, "scheduler": scheduler})
        # Not all pipelines tell it, and then it takes latents for a picture with many colours.
        pipe.image_processor.register_to_config(vae_latent_channels=self.channels)
        return pipe

    def coded(self, pipe: Any, prompt: str, negative: str, guided: bool, skip: int) -> dict[str, Tensor]:
        """What the pipeline reads of the prompts, as it takes it; kept, so that text encoders run once a prompt."""
        key = (prompt, negative, guided, skip, self.adapters.in_texts)
        if key not in self._read:
            self._read[key] = self._reading(pipe, prompt, negative, guided, skip)
        self._read.move_to_end(key)
        if len(self._read) > KEPT_PROMPTS:
            self._read.popitem(last=False)
        return self._read[key]

    def _reading(self, pipe: Any, prompt: str, negative: str, guided: bool, skip: int) -> dict[str, Tensor]:
        family = self.family
        negated = "negative" in family.can and not family.apart
        given = _diffusers.encode_prompt(pipe, prompt, negative, guided, skip, negated, family.fixed)
        read = {n: t for n, t in zip(family.coded, given, strict=True) if n and t is not None}
        if family.apart and guided:
            other = _diffusers.encode_prompt(pipe, negative, "", guided, skip, negated, family.fixed)
            read |= {f"negative_{n}": t for n, t in zip(family.coded, other, strict=True) if t is not None}
        return read

    def encoded(self, image: Image, device: torch.device, tiled: bool) -> Tensor:
        """Latents (1, c, h, w) of a picture, scaled and shifted as the transformer knows them."""
        vae = self.parts["vae"]
        (vae.enable_tiling if tiled else vae.disable_tiling)()
        picture = 2.0 * pictures.to_unit(image, device, self.dtype) - 1.0
        if (means := vae.config.get("latents_mean")) is not None:  # one of films, for which a picture is one frame
            made = _diffusers.encode_latents(vae, picture[:, :, None])
            mean, deviation = (
                torch.tensor(row).view(1, self.channels, 1, 1, 1).to(made.device, made.dtype)
                for row in (means, vae.config.latents_std)
            )
            normed: Tensor = (made - mean) * (1.0 / deviation)
            return normed[:, :, 0]
        latents = _diffusers.encode_latents(vae, picture) - (vae.config.shift_factor or 0.0)
        scaled: Tensor = latents * vae.config.scaling_factor
        return scaled

    def unpacked(self, pipe: Any, latents: Tensor, size: Size) -> Tensor:
        """Latents as (1, c, h, w); some pipelines keep them in rows of two by two."""
        if latents.dim() == 4:
            return latents
        unpacked: Tensor = pipe._unpack_latents(latents, size.height, size.width, self.factor)
        return unpacked if unpacked.dim() == 4 else unpacked[:, :, 0]

    def packed(self, pipe: Any, latents: Tensor, like: Tensor) -> Tensor:
        """Latents (1, c, h, w) as the pipeline keeps those that it works on."""
        if like.dim() == 4:
            return latents
        rows: Tensor = pipe._pack_latents(latents, *latents.shape)
        return rows


def load_piped(model: ModelRecord, family: PipedFamily, place: Place, components: ModelRecord | None = None) -> Piped:
    """A diffusers folder, or a transformer in one file. Raises RunError (bad-model) with the reason.

    components: a folder with what a file lacks: a diffusers folder of the family, or loose text encoders and a VAE.
    """
    if Path(model.path).is_dir():
        return _from_folder(model, family, place)
    return _from_file(model, family, place, components)


def _from_folder(model: ModelRecord, family: PipedFamily, place: Place) -> Piped:
    source = Folder(model)
    with one_sentence(model):
        parts = _folder_parts(source, place)
    stored = stored_dtype(min((Path(model.path) / "transformer").glob("*.safetensors")))
    return _piped(model, family, place, parts, source.scheduler(), stored, source.beside("preview.json"))


def _from_file(model: ModelRecord, family: PipedFamily, place: Place, components: ModelRecord | None) -> Piped:
    file = TransformerFile(model, family)
    dtype = place.flow_dtype
    with one_sentence(model):
        if components is not None and (Path(components.path) / "model_index.json").is_file():
            parts = _folder_parts(Folder(components), place, but="transformer")
        else:
            loaded = file_parts(file, components, dtype)
            parts = {name: _prepared(part, place) for name, part in loaded.items()}
        parts["transformer"] = ready(file.transformer(dtype), place.home)
    return _piped(model, family, place, parts, file.scheduler(), file.stored, file.path.with_suffix(".preview.json"))


def _piped(
    model: ModelRecord, family: PipedFamily, place: Place, parts: Parts, scheduler: Mapping[str, Any], stored: str,
    preview: Path,
) -> Piped:  # fmt: skip
    if parts.get("transformer") is None or parts.get("vae") is None:
        raise refused(model, "its model_index.json lacks a transformer or a VAE")
    vae = parts["vae"]
    levels = next(vae.config[name] for name in LEVELS if name in vae.config)
    channels = vae.config.get("latent_channels") or vae.config["z_dim"]
    return Piped(
        name=model.name,
        family=family,
        parts={**dict.fromkeys(("image_encoder", "feature_extractor")), **parts},
        scheduler_class=str(scheduler["_class_name"]),
        scheduler_config=scheduler,
        factor=2 ** (len(levels) - 1),
        channels=channels,
        dtype=place.flow_dtype,
        stored=stored,
        latent_map=LatentMap.find(preview, family.base, channels),
        adapters=Adapters(family.base, parts["transformer"], _clips(parts)),
        bytes=sum(t.nbytes for part in parts.values() if isinstance(part, torch.nn.Module) for t in tensors(part)),
    )


def _clips(parts: Parts) -> list[Any]:
    """The text encoders that LoRAs may change: CLIP's, in their order; T5's are never trained so."""
    texts = [parts.get(name) for name in ("text_encoder", "text_encoder_2")]
    return [text for text in texts if text is not None and text.config.model_type == "clip_text_model"]


def _prepared(part: Any, place: Place) -> Any:
    return ready(part, place.home) if isinstance(part, torch.nn.Module) else part


def _folder_parts(source: Folder, place: Place, but: str = "") -> Parts:
    """Parts of a diffusers folder with their weights; but: one that comes from elsewhere. No scheduler."""
    listed = {name: made for name, made in source.index().items() if _is_part(made) and name not in (but, "scheduler")}
    return {name: _part(source, name, made, place) for name, made in listed.items()}


def _is_part(made: Any) -> bool:
    """In model_index.json a part is a pair of a library and a class, both null for what a model goes without."""
    return isinstance(made, list) and len(made) == 2


def _part(source: Folder, name: str, made: list[Any], place: Place) -> Any:
    library, kind = made
    if kind is None or name in ("safety_checker", "feature_extractor", "image_encoder"):
        return None
    # The library would import whatever module the folder names.
    if library not in LIBRARIES:
        raise refused(source.model, f"its {name} is made by {library}, and only {' and '.join(LIBRARIES)} are asked")
    if name.startswith(WEIGHTLESS):
        return _diffusers.load_named(library, kind, str(source.path), name)
    source.check(name)
    given = {"dtype": place.flow_dtype, "variant": source.variant(name)}
    return ready(_diffusers.load_named(library, kind, str(source.path), name, **given), place.home)
