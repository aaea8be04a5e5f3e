"""The single-file layouts of Stable Diffusion 1, 2 and XL, made from diffusers folders by renaming: for tests alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}  # fmt: skip
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def single_file(folder: Path, path: Path, dtype: Any = None) -> Path:
    """Write the model of a diffusers folder into one file. dtype: of its tensors, None as they are."""
    from safetensors.torch import load_file, save_file

    names = [p for p in ("unet", "vae", "text_encoder", "text_encoder_2") if (folder / p).is_dir()]
    parts = {part: load_file(next((folder / part).glob("*.safetensors"))) for part in names}
    weights = renamed(parts, {part: json.loads((folder / part / "config.json").read_text()) for part in names})
    save_file({k: v.to(dtype or v.dtype).contiguous() for k, v in weights.items()}, path, metadata={"format": "pt"})
    return path


def renamed(parts: dict[str, dict[str, Any]], configs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Tensors by part of a diffusers folder as one dictionary in the layout of single files."""
    weights = {f"model.diffusion_model.{k}": v for k, v in _unet(parts["unet"], configs["unet"]).items()}
    weights |= {f"first_stage_model.{k}": v for k, v in _vae(parts["vae"], configs["vae"]).items()}
    return weights | _texts(parts, configs)


def _unet(tensors: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    attentive = {found[0] for name in tensors if (found := re.match(r"up_blocks\.\d+\.attentions", name))}
    return {_unet_name(name, config["layers_per_block"], attentive): tensor for name, tensor in tensors.items()}


def _unet_name(name: str, layers: int, attentive: set[str]) -> str:
    if found := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name):
        way, level, what, place, rest = found.groups()
        number = int(level) * (layers + 1) + int(place)
        if what == "downsamplers":
            return f"input_blocks.{(int(level) + 1) * (layers + 1)}.0.op.{rest.removeprefix('conv.')}"
        if what == "upsamplers":
            behind = 2 if f"up_blocks.{level}.attentions" in attentive else 1
            return f"output_blocks.{number + layers}.{behind}.{rest}"
        block = f"input_blocks.{number + 1}" if way == "down" else f"output_blocks.{number}"
        return f"{block}.0.{_with(rest, RESNET)}" if what == "resnets" else f"{block}.1.{rest}"
    new = _with(name, UNET)
    return _with(new, RESNET, after=r"middle_block\.[02]\.") if new.startswith("middle_block") else new


def _with(name: str, table: dict[str, str], after: str = "") -> str:
    for old, new in table.items():
        if found := re.match(rf"({after}){re.escape(old)}\.(.*)", name):
            return f"{found[1]}{new}.{found[2]}"
    return name


def _vae(tensors: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    out = {}
    for name, tensor in tensors.items():
        convolution = re.search(r"attentions\.0\.to_.*weight", name)
        new = _vae_name(name, len(config["block_out_channels"]))
        out[new] = tensor[:, :, None, None] if convolution else tensor
    return out


def _vae_name(name: str, levels: int) -> str:
    name = re.sub(r"up_blocks\.(\d+)", lambda m: f"up.{levels - 1 - int(m[1])}", name)
    name = re.sub(r"down_blocks\.(\d+)", r"down.\1", name)
    name = re.sub(r"(up|down)\.(\d+)\.resnets\.(\d+)", r"\1.\2.block.\3", name)
    name = re.sub(r"\.(up|down)samplers\.0\.", r".\1sample.", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    if found := re.match(r"(.*)mid_block\.attentions\.0\.(.*)", name):
        return f"{found[1]}mid.attn_1.{_with(found[2], VAE_ATTENTION)}"
    return name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")


def _texts(parts: dict[str, dict[str, Any]], configs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if "text_encoder" not in parts:
        return {f"conditioner.embedders.0.model.{k}": v for k, v in _open_clip(parts["text_encoder_2"]).items()}
    first = parts["text_encoder"]
    if "text_encoder_2" in parts:
        return {
            **{f"conditioner.embedders.0.transformer.{k}": v for k, v in _clip(first).items()},
            **{f"conditioner.embedders.1.model.{k}": v for k, v in _open_clip(parts["text_encoder_2"]).items()},
        }
    if configs["text_encoder"]["hidden_act"] == "gelu":
        return {f"cond_stage_model.model.{k}": v for k, v in _open_clip(first).items()}
    return {f"cond_stage_model.transformer.{k}": v for k, v in _clip(first).items()}


def _clip(tensors: dict[str, Any]) -> dict[str, Any]:
    return {k if k.startswith("text_model.") else f"text_model.{k}": v for k, v in tensors.items()}


def _open_clip(tensors: dict[str, Any]) -> dict[str, Any]:
    import torch

    out = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("text_model.")
        if found := re.match(r"encoder\.layers\.(\d+)\.(.*)", name):
            block, rest = f"transformer.resblocks.{found[1]}", found[2]
            if rest.startswith("self_attn.q_proj."):
                rows = [tensors[_sibling(tensors, name, side)] for side in ("q_proj", "k_proj", "v_proj")]
                out[f"{block}.attn.in_proj_{rest.rpartition('.')[2]}"] = torch.cat(rows)
            elif not rest.startswith(("self_attn.k_proj", "self_attn.v_proj")):
                out[f"{block}.{_with(rest, OPEN_CLIP)}"] = tensor
        elif name == "text_projection.weight":
            out["text_projection"] = tensor.T
        else:
            out[OPEN_CLIP_ENDS[name]] = tensor
    return {**out, "logit_scale": torch.tensor(4.6)}


OPEN_CLIP_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}


def _sibling(tensors: dict[str, Any], name: str, side: str) -> str:
    wanted = name.replace("q_proj", side)
    return wanted if wanted in tensors else f"text_model.{wanted}"
