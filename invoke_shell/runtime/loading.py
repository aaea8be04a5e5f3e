"""Loads models, offline, and says in one sentence why one cannot be loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _diffusers, single_file
from invoke_shell.runtime._diffusers import Autoencoder, Component, Denoiser
from invoke_shell.runtime.adapters import Adapters
from invoke_shell.runtime.device import Place, ran_out
from invoke_shell.runtime.encoders import Reader
from invoke_shell.runtime.families import Family, Task, encoders_of, family_of, task_of
from invoke_shell.runtime.picture_prompts import Eye, PictureAdapters
from invoke_shell.runtime.pipelines import piped_family
from invoke_shell.runtime.preview import LatentMap
from invoke_shell.runtime.single_file import SingleFile
from invoke_shell.runtime.sources import Folder, Source, aligned, model_key, refused, tensors

__all__ = ["Checkpoint", "Vae", "load_checkpoint", "load_vae", "one_sentence", "ready", "task_before"]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded model. factor: pixels a latent is wide. channels: of a latent. words: what it knows, None when it does
    not say. task: inpaint, edit: its U-Net reads a picture beside the latents. told_guidance: width in which it reads
    the guidance, 0 for all but consistency models.

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
    task: Task
    told_guidance: int
    scaling: float
    words: frozenset[str] | None
    latent_map: LatentMap | None
    stored: str
    bytes: int
    adapters: Adapters
    pictured: PictureAdapters
    controls: tuple[Any, ...] = ()
    eyes: tuple[Eye, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Vae:
    """A VAE that takes the place of a model's own."""

    network: Autoencoder
    scaling: float
    bytes: int


def load_checkpoint(model: ModelRecord, place: Place) -> Checkpoint:
    """A model, ready to run. Raises RunError (bad-model) with the reason."""
    source = _opened(model)
    name, family = family_of(source)
    with one_sentence(model):
        return _loaded(source, name, family, place)


def task_before(model: ModelRecord) -> Task:
    """What a model is for, from its configs or its header alone.

    Raises RunError (bad-model) for one that is not run.
    """
    source = _opened(model)
    family_of(source)
    return task_of(source.config("unet").get("in_channels", 4), source.config("vae").get("latent_channels", 4))


def load_vae(model: ModelRecord, checkpoint: ModelRecord, place: Place, *, upcast: bool = True) -> Vae:
    """A VAE file or folder, to be used with a checkpoint. Raises RunError (bad-model).

    A file does not say how its latents are scaled: as the checkpoint's own. upcast: one that asks for it gets float32.
    """
    config = _vae_config(model, checkpoint)
    dtype = torch.float32 if upcast and config.get("force_upcast") else place.dtype
    with one_sentence(model):
        network = ready(_vae_network(model, checkpoint, dtype), place.home)
    return Vae(network=network, scaling=network.config.scaling_factor, bytes=_bytes(network))


def _opened(model: ModelRecord) -> Source:
    if not Path(model.path).is_file():
        return Folder(model)
    if family := piped_family(model):  # of a transformer alone, only the configs are asked
        return Folder(replace(model, path=str(single_file.CONFIGS / family.base)))
    return SingleFile(model)


def _vae_folder(model: ModelRecord) -> Path:
    """A folder of nothing but a VAE, or the one in a diffusers folder."""
    inner = Path(model.path) / "vae"
    return inner if inner.is_dir() else Path(model.path)


def _vae_config(model: ModelRecord, checkpoint: ModelRecord) -> Mapping[str, Any]:
    own = _opened(checkpoint).config("vae")
    if Path(model.path).is_file():
        return own
    folder = _vae_folder(model)
    config = Folder(replace(model, path=str(folder.parent))).config(folder.name)
    made, read = config.get("latent_channels", 4), own.get("latent_channels", 4)
    if made != read:
        raise refused(model, f"it makes latents of {made} channels and {checkpoint.name} reads {read}")
    return config


def _vae_network(model: ModelRecord, checkpoint: ModelRecord, dtype: torch.dtype) -> Any:
    if Path(model.path).is_file():
        return _diffusers.load_single_part("vae", model.path, str(_opened(checkpoint).configs), "vae", dtype)
    folder = _vae_folder(model)
    return Folder(replace(model, path=str(folder.parent))).network("vae", folder.name, dtype)


@contextmanager
def one_sentence(model: ModelRecord) -> Iterator[None]:
    """What the libraries raise about a model's weights, as RunError; memory that runs out is not the model's fault."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        if ran_out(error):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise refused(model, f"loading its weights failed: {reason[0]}") from error


def _loaded(source: Source, name: str, family: Family, place: Place) -> Checkpoint:
    def part(kind: Any, part: str, dtype: torch.dtype) -> Any:
        return ready(source.network(kind, part, dtype), place.home)

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
        channels=vae.config.latent_channels,
        task=task_of(unet.config.in_channels, vae.config.latent_channels),
        told_guidance=unet.config.time_cond_proj_dim or 0,
        scaling=vae.config.scaling_factor,
        words=_words(source.beside("vocabulary.json")),
        latent_map=LatentMap.find(source.beside("preview.json"), name, vae.config.latent_channels),
        stored=source.stored(),
        bytes=_bytes(*texts, unet, vae),
        adapters=Adapters(name, unet, texts),
        pictured=PictureAdapters(name, unet),
    )


def ready(part: Any, device: torch.device) -> Any:
    """For use: not in training mode (some loaders leave it), on its device, in memory of known alignment."""
    part = part.eval().to(device)
    aligned(part)
    return part


def _bytes(*parts: Component) -> int:
    return sum(tensor.nbytes for part in parts for tensor in tensors(part))


def _words(path: Path) -> frozenset[str] | None:
    """A model may say in vocabulary.json which words it was taught: {"words": [...]}."""
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["words"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
