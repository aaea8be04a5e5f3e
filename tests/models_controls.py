"""Small ControlNets and IP-Adapters of random weights, for the models of models_small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models_small import _seeded

from invoke_shell.records import ModelRecord


def small_control(folder: Path, model: Path, seed: int = 11) -> Path:
    """A ControlNet folder for the model in a folder; every layer says something, also those that begin at zero."""
    import torch
    from diffusers import ControlNetModel, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(model / "unet", local_files_only=True)
    with _seeded(seed):
        made = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16, 16, 24))
        for name, tensor in made.named_parameters():
            if "controlnet_" in name:
                tensor.data = torch.randn_like(tensor) * 0.2
    made.save_pretrained(folder)
    return folder


def control_record(path: Path, name: str = "canny", base: str = "") -> ModelRecord:
    """The catalogue's record of one."""
    layout = "folder" if path.is_dir() else "file"
    return ModelRecord(name=name, kind="controlnet", base=base, format=layout, path=str(path))


def loaded(folder: Path) -> Any:
    """diffusers' own ControlNet, its weights copied to aligned memory as ours are."""
    from diffusers import ControlNetModel

    network = ControlNetModel.from_pretrained(folder, local_files_only=True)
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = tensor.data.clone()
    return network
