"""Loads ControlNets, offline: a diffusers folder, or one safetensors file in either of the two layouts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _control, _diffusers
from invoke_shell.runtime._diffusers import Denoiser
from invoke_shell.runtime.controls import ControlNet
from invoke_shell.runtime.device import Place, ran_out
from invoke_shell.runtime.sources import aligned, read_json, refused, tensors

__all__ = ["load_control"]

EYE = "controlnet_cond_embedding"  # the small network that reads the picture
OTHER_KINDS = {"lllite": "a ControlNet-LLLite", "lora_controlnet": "a Control-LoRA"}


def load_control(model: ModelRecord, unet: Denoiser, place: Place) -> ControlNet:
    """A ControlNet for a model with this U-Net. Raises RunError (bad-model), one sentence."""
    try:
        network = _of_folder(model, place) if Path(model.path).is_dir() else _of_file(model, unet, place)
        network = network.eval().to(place.device)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        if ran_out(error):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise refused(model, f"loading its weights failed: {reason[0]}") from error
    aligned(network)
    _check_fit(model, network, unet)
    return ControlNet(network=network, bytes=sum(tensor.nbytes for tensor in tensors(network)))


def _of_folder(model: ModelRecord, place: Place) -> Any:
    folder = Path(model.path)
    kind = read_json(model, folder, "config.json").get("_class_name")
    if kind != "ControlNetModel":
        raise refused(model, f"it is a {kind}, and this runs ControlNets of Stable Diffusion 1, 2 and XL")
    return _control.load_control(str(folder), place.dtype, _variant(folder))


def _variant(folder: Path) -> str | None:
    names = [p.name for p in folder.glob("*.safetensors")]
    return None if any(".fp16" not in name for name in names) else "fp16"


def _of_file(model: ModelRecord, unet: Denoiser, place: Place) -> Any:
    """A file has weights alone: its shape is that of the U-Net it is for, and of the tensors that read a picture."""
    weights = _diffusers.read_weights(model.path)
    for mark, kind in OTHER_KINDS.items():
        if any(mark in name for name in weights):
            raise refused(model, f"it is {kind}, and this runs plain ControlNets")
    weights = _control.control_names(weights, unet.config)
    made = _control.make_control(unet.config, weights["conv_in.weight"].shape[1], _widths_of_eye(model, weights))
    made.load_state_dict(weights, strict=True)
    return made.to(dtype=place.dtype)


def _widths_of_eye(model: ModelRecord, weights: Mapping[str, Tensor]) -> tuple[int, ...]:
    first = weights.get(f"{EYE}.conv_in.weight")
    if first is None:
        raise refused(model, "it is no ControlNet that this knows")
    widths, n = [first.shape[0]], 1
    while (block := weights.get(f"{EYE}.blocks.{n}.weight")) is not None:
        widths.append(block.shape[0])
        n += 2
    return tuple(widths)


def _check_fit(model: ModelRecord, network: Any, unet: Denoiser) -> None:
    """Raise RunError (bad-model) when its blocks are not those of the U-Net."""
    for name in ("cross_attention_dim", "block_out_channels", "layers_per_block"):
        own, wanted = network.config.get(name), unet.config.get(name)
        if _listed(own) != _listed(wanted):
            raise refused(model, f"its blocks are not those of the model: it is for another base ({name} {own})")


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value
