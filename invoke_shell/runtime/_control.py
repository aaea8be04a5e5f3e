"""Faces diffusers' untyped calls for ControlNets; control_loading.py is what uses them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["control_names", "load_control", "make_control"]


def _class() -> Any:
    from diffusers.models.controlnets.controlnet import ControlNetModel

    return ControlNetModel


def load_control(folder: str, dtype: torch.dtype, variant: str | None) -> Any:
    """A ControlNet of a diffusers folder. Raises whatever the library raises."""
    return _class().from_pretrained(folder, dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True)


def control_names(weights: dict[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors under diffusers' names, from whichever layout. config: of the U-Net it belongs to."""
    from diffusers.loaders.single_file_utils import DIFFUSERS_TO_LDM_MAPPING, convert_controlnet_checkpoint

    renamed: dict[str, Tensor] = convert_controlnet_checkpoint(dict(weights), config)
    for own, first in DIFFUSERS_TO_LDM_MAPPING["controlnet"]["addition_embed_type"].items():
        for name in (first, f"control_model.{first}"):  # SDXL's, which the library leaves behind
            if name in weights:
                renamed[own] = weights[name]
    return renamed


def make_control(config: Mapping[str, Any], channels: int, widths: tuple[int, ...]) -> Any:
    """A ControlNet of the shape of a U-Net, weights to be loaded. widths: of the layers that read the picture."""
    made_by = _class()
    known = inspect.signature(made_by.__init__).parameters
    own = {name: value for name, value in config.items() if name in known}
    own |= {"in_channels": channels, "conditioning_embedding_out_channels": widths}
    return made_by(**own | {"encoder_hid_dim": None, "encoder_hid_dim_type": None})
