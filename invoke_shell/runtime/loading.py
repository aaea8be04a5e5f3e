"""Loads a model folder of the Stable Diffusion 1 kind, offline, and says in one sentence why one cannot be loaded.

The folder is looked at before the libraries are: their own errors for a wrong family name tensors, not reasons.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _diffusers
from invoke_shell.runtime._diffusers import Autoencoder, Component, Denoiser
from invoke_shell.runtime.conditioning import Encoder
from invoke_shell.runtime.device import Place, ran_out
from invoke_shell.runtime.preview import LatentMap

__all__ = ["Checkpoint", "load_checkpoint", "model_key"]

PARTS = ("text_encoder", "unet", "vae")
ALIGNED = 64  # bytes; what torch's own CPU allocator gives


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded model. factor: pixels a latent is wide. words: what it knows, None when it does not say.

    stored: data type of the weights on disk. bytes: what its tensors take.
    """

    name: str
    encoder: Encoder
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
    """A diffusers folder, ready to run. Raises RunError (bad-model) with the reason."""
    folder = Path(model.path)
    _check(model, folder)
    try:
        return _loaded(model, folder, place)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        if ran_out(error):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise _refused(model, f"loading its weights failed: {reason[0]}") from error


def _loaded(model: ModelRecord, folder: Path, place: Place) -> Checkpoint:
    variant = _variant(folder)
    tokenizer = _diffusers.load_tokenizer(str(folder))
    text = _ready(_diffusers.load_text_encoder(str(folder), place.dtype, variant), place.device)
    unet = _ready(_diffusers.load_denoiser(str(folder), place.dtype, variant), place.device)
    vae_config = _json(model, folder / "vae" / "config.json")
    vae_dtype = torch.float32 if vae_config.get("force_upcast") else place.dtype
    vae = _ready(_diffusers.load_autoencoder(str(folder), vae_dtype, variant), place.device)
    return Checkpoint(
        name=model.name,
        encoder=Encoder(key=model_key(model), tokenizer=tokenizer, network=text, device=place.device),
        unet=unet,
        vae=vae,
        scheduler_config=_json(model, folder / "scheduler" / "scheduler_config.json"),
        factor=2 ** (len(vae.config.block_out_channels) - 1),
        channels=unet.config.in_channels,
        scaling=vae.config.scaling_factor,
        words=_words(folder),
        latent_map=LatentMap.read(folder / "preview.json"),
        stored=_stored(_weights(folder / "unet")),
        bytes=sum(t.nbytes for part in (text, unet, vae) for t in _tensors(part)),
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


def _tensors(part: Component) -> Iterator[Tensor]:
    yield from part.parameters()
    yield from part.buffers()


# What can be known from the folder


def _check(model: ModelRecord, folder: Path) -> None:
    index = _json(model, folder / "model_index.json")
    family = str(index.get("_class_name", ""))
    if not family.startswith("StableDiffusion") or "XL" in family or "3" in family:
        kind = family or "folder of no known kind"
        raise _refused(model, f"it is a {kind}, and this runs folders of Stable Diffusion 1")
    for part in PARTS:
        _check_part(model, folder / part)
    _check_shapes(model, folder)


def _check_part(model: ModelRecord, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise _refused(model, f"{folder.name}/config.json is missing")
    if any(folder.glob("*.safetensors")):
        return
    if any(folder.glob("*.bin")):
        raise _refused(model, f"{folder.name} holds only pickled weights (.bin), which could run any code")
    raise _refused(model, f"{folder.name} holds no .safetensors file")


def _check_shapes(model: ModelRecord, folder: Path) -> None:
    unet, vae = (_json(model, folder / part / "config.json") for part in ("unet", "vae"))
    seen, made = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    if seen != made:
        raise _refused(model, f"its U-Net reads {seen} channels where its VAE makes {made} (an inpainting model?)")
    # "text" is made of the prompt's own embeddings; every other kind wants values that nobody would give.
    if unet.get("time_cond_proj_dim") or unet.get("addition_embed_type") not in (None, "text"):
        raise _refused(model, "its U-Net wants more than a prompt and a timestep, so it is not Stable Diffusion 1")


def _json(model: ModelRecord, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _refused(model, f"{path.parent.name}/{path.name} is missing") from error
    except (OSError, ValueError) as error:
        raise _refused(model, f"{path.parent.name}/{path.name} cannot be read") from error
    if not isinstance(value, dict):
        raise _refused(model, f"{path.parent.name}/{path.name} is not a JSON object")
    return value


def _refused(model: ModelRecord, reason: str) -> RunError:
    message = f"the model {model.name} cannot be used: {reason}"
    return RunError(message, hint=f"its folder: {model.path}", code="bad-model")


def _weights(folder: Path) -> Path:
    return min(folder.glob("*.safetensors"))


def _variant(folder: Path) -> str | None:
    """`fp16` when the folder holds only files such as diffusion_pytorch_model.fp16.safetensors."""
    names = [p.name for p in (folder / "unet").glob("*.safetensors")]
    return None if any(".fp16" not in name for name in names) else "fp16"


def _stored(path: Path) -> str:
    """Data type of the first tensor of a safetensors file, from its header: `F16` as `float16`."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, 25_000_000)))
    kinds = [str(entry["dtype"]) for name, entry in header.items() if name != "__metadata__"]
    return {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}.get(kinds[0], kinds[0])


def _words(folder: Path) -> frozenset[str] | None:
    """A model may say in vocabulary.json which words it was taught: {"words": [...]}."""
    try:
        return frozenset(json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))["words"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
