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


EYE_WIDTH, EYE_PROJECTED = 32, 24


def small_adapter(folder: Path, model: Path, *, plus: bool = False, seed: int = 21) -> Path:
    """An IP-Adapter file for the model in a folder, as it is published, with its image encoder beside it."""
    import torch
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    unet = UNet2DConditionModel.from_pretrained(model / "unet", local_files_only=True)
    folder.mkdir(parents=True, exist_ok=True)
    with _seeded(seed):
        words = _words_of(unet)
        eye = _plus_eye(unet.config.cross_attention_dim) if plus else _eye(unet.config.cross_attention_dim)
        config = CLIPVisionConfig(
            hidden_size=EYE_WIDTH, intermediate_size=48, projection_dim=EYE_PROJECTED, num_hidden_layers=3,
            num_attention_heads=4, image_size=32, patch_size=8,
        )  # fmt: skip
        CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    save_file({k: torch.as_tensor(v).contiguous() for k, v in (words | eye).items()}, folder / "style.safetensors")
    return folder / "style.safetensors"


def _words_of(unet: Any) -> dict[str, Any]:
    import torch

    rows, number = {}, 1
    for name in unet.attn_processors:
        if name.endswith("attn2.processor"):
            wide = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
            for side in ("to_k_ip", "to_v_ip"):
                rows[f"ip_adapter.{number}.{side}.weight"] = torch.randn(wide, unet.config.cross_attention_dim) * 0.3
            number += 2
    return rows


def _eye(width: int) -> dict[str, Any]:
    import torch

    return {
        "image_proj.proj.weight": torch.randn(4 * width, EYE_PROJECTED) * 0.2,
        "image_proj.proj.bias": torch.randn(4 * width) * 0.2,
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }


def _plus_eye(width: int, inner: int = 64, layers: int = 4) -> dict[str, Any]:
    import torch

    def linear(out: int, into: int) -> Any:
        return torch.randn(out, into) * 0.1

    made = {"latents": torch.randn(1, 5, inner),
            "proj_in.weight": linear(inner, EYE_WIDTH), "proj_in.bias": torch.zeros(inner),
            "proj_out.weight": linear(width, inner), "proj_out.bias": torch.zeros(width),
            "norm_out.weight": torch.ones(width), "norm_out.bias": torch.zeros(width)}  # fmt: skip
    for n in range(layers):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            made |= {f"layers.{n}.{norm}.weight": torch.ones(inner), f"layers.{n}.{norm}.bias": torch.zeros(inner)}
        made |= {f"layers.{n}.0.to_q.weight": linear(64, inner), f"layers.{n}.0.to_kv.weight": linear(128, inner),
                 f"layers.{n}.0.to_out.weight": linear(inner, 64), f"layers.{n}.1.1.weight": linear(4 * inner, inner),
                 f"layers.{n}.1.3.weight": linear(inner, 4 * inner)}  # fmt: skip
    return {f"image_proj.{name}": tensor for name, tensor in made.items()}
