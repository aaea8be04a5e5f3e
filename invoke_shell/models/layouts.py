"""Tables of what tells networks apart: names of tensors, and the width of some of them.

Sources: the layouts themselves, checked against diffusers' single_file_utils, ComfyUI's model_detection and InvokeAI's
probe. Names stand below a prefix; a checkpoint has its denoiser below `model.diffusion_model.`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "ADVICE",
    "ARCHITECTURES",
    "CHANNELS",
    "DTYPES",
    "ENCODERS",
    "GGUF_BASES",
    "LATENTS",
    "LORA_ENDINGS",
    "PARTS",
    "PREFIXES",
    "TRANSFORMERS",
    "UNETS",
    "WIDTHS",
    "Marked",
    "UNet",
    "advice_for",
]


@dataclass(frozen=True, kw_only=True)
class UNet:
    """Where a naming scheme keeps what we look at.

    text: a projection of the text, in every family's second level. image: the first convolution. label: the projection
    of size and crop. deep: in the middle of a whole SDXL, missing in pruned ones. spread: the bias that tells the two
    kinds of prediction of SD 2 apart.
    """

    text: str
    image: str
    label: str
    deep: str
    spread: str


UNETS = (
    UNet(
        text="input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight",
        image="input_blocks.0.0.weight",
        label="label_emb.0.0.weight",
        deep="input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight",
        spread="output_blocks.11.1.transformer_blocks.0.norm1.bias",
    ),
    UNet(
        text="down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight",
        image="conv_in.weight",
        label="add_embedding.linear_1.weight",
        deep="down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_k.weight",
        spread="up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias",
    ),
)
PREFIXES = ("model.diffusion_model.", "", "diffusion_model.", "model.")

# (width of the text, width of the labels or 0) -> base, variant
WIDTHS: Mapping[tuple[int, int], tuple[str, str]] = {
    (768, 0): ("sd1", ""),
    (1024, 0): ("sd2", ""),
    (1024, 1536): ("sd2", "unclip"),
    (1024, 2048): ("sd2", "unclip"),
    (2048, 2816): ("sdxl", ""),
    (1280, 2560): ("sdxl", "refiner"),
}
# channels that go into the first convolution -> variant
CHANNELS = {4: "", 9: "inpaint", 8: "edit", 5: "depth", 7: "upscale"}


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A network known by names that only it has. lacks: names of a later one that grew out of it."""

    base: str
    names: tuple[str, ...]
    lacks: tuple[str, ...] = ()


TRANSFORMERS = (
    Marked(base="chroma", names=("distilled_guidance_layer.in_proj.bias",)),
    Marked(base="flux2", names=("single_stream_modulation.lin.weight",)),
    Marked(base="hunyuan-video", names=("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",)),
    Marked(base="flux", names=("double_blocks.0.img_attn.norm.key_norm.scale", "vector_in.in_layer.weight")),
    Marked(
        base="flux",
        names=("single_transformer_blocks.0.attn.norm_q.weight", "time_text_embed.text_embedder.linear_1.weight"),
    ),
    Marked(base="sd3", names=("joint_blocks.0.context_block.attn.qkv.weight", "x_embedder.proj.weight")),
    Marked(
        base="sd3",
        names=("transformer_blocks.0.attn.add_q_proj.weight", "pos_embed.proj.weight", "context_embedder.weight"),
        lacks=("single_transformer_blocks.0.attn.norm_q.weight",),
    ),
    Marked(base="qwen-image", names=("transformer_blocks.0.img_mlp.net.0.proj.weight", "txt_norm.weight")),
    Marked(base="auraflow", names=("double_layers.0.attn.w1q.weight", "cond_seq_linear.weight")),
    Marked(base="lumina2", names=("cap_embedder.0.weight",)),
    Marked(base="z-image", names=("layers.0.adaLN_modulation.0.weight",)),
    Marked(base="sana", names=("blocks.0.cross_attn.kv_linear.weight",)),
    Marked(base="wan", names=("head.modulation",)),
    Marked(base="ltx-video", names=("patchify_proj.weight",)),
    Marked(base="hidream", names=("double_stream_blocks.0.block.adaLN_modulation.1.bias",)),
    Marked(base="cascade", names=("clip_txt_mapper.weight",)),
)

# Loose text encoders: name of a tensor, its last axis -> variant
ENCODERS: Mapping[tuple[str, int], str] = {
    ("text_model.encoder.layers.0.self_attn.k_proj.weight", 768): "clip_l",
    ("text_model.encoder.layers.0.self_attn.k_proj.weight", 1024): "clip_h",
    ("text_model.encoder.layers.0.self_attn.k_proj.weight", 1280): "clip_g",
    ("encoder.block.0.layer.0.SelfAttention.k.weight", 4096): "t5xxl",
}

# First words of names -> part of a checkpoint
PARTS: Mapping[str, str] = {
    "cond_stage_model": "text_encoder",
    "conditioner": "text_encoder",
    "text_encoders": "text_encoder",
    "first_stage_model": "vae",
    "vae": "vae",
}

LORA_ENDINGS = (
    ".lora_down.weight", ".lora_A.weight", ".lora_A.default.weight", ".lora.down.weight", "_lora.down.weight",
    ".lora_linear_layer.down.weight", ".hada_w1_b", ".lokr_w1", ".lokr_w1_a", ".oft_blocks", ".oft_diag",
)  # fmt: skip

# modelspec.architecture and kohya's ss_base_model_version, by their beginnings -> base, variant
ARCHITECTURES = (
    ("stable-diffusion-v1", "sd1", ""), ("stable-diffusion-v2", "sd2", ""),
    ("stable-diffusion-xl-v1-refiner", "sdxl", "refiner"), ("stable-diffusion-xl", "sdxl", ""),
    ("stable-diffusion-v3", "sd3", ""), ("stable-diffusion-3", "sd3", ""), ("sd_v1", "sd1", ""), ("sd_1", "sd1", ""),
    ("sd_v2", "sd2", ""), ("sdxl", "sdxl", ""), ("sd3", "sd3", ""), ("flux-1", "flux", ""), ("flux.1", "flux", ""),
    ("flux1", "flux", ""),
)  # fmt: skip
GGUF_BASES = {"flux": "flux", "sd1": "sd1", "sdxl": "sdxl", "sd3": "sd3"}  # general.architecture -> base

LATENTS: Mapping[int, str] = {4: "sd1/sd2/sdxl", 16: "sd3/flux"}  # channels of a VAE -> bases

DTYPES = {
    "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64", "F8_E4M3": "float8_e4m3",
    "F8_E5M2": "float8_e5m2", "U8": "uint8", "I8": "int8",
}  # fmt: skip

# base, variant -> parameter defaults; a family's own where the variant has none. From diffusers' pipelines.
ADVICE: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("sd1", ""): {"size": "512x512"},
    ("sd2", ""): {"size": "512x512"},
    ("sdxl", ""): {"size": "1024x1024"},
    ("sd3", ""): {"size": "1024x1024", "steps": 28, "guidance": 7.0},
    ("flux", ""): {"size": "1024x1024", "steps": 28, "guidance": 3.5},
    ("flux", "schnell"): {"size": "1024x1024", "steps": 4, "guidance": 0.0},
}


def advice_for(base: str, variant: str, prediction: str, resolution: str = "") -> dict[str, Any]:
    """Parameter defaults of a family. resolution: `1024x1024` of a modelspec; a wrong one says nothing."""
    advice = dict(ADVICE.get((base, variant)) or ADVICE.get((base, ""), {}))
    if (base, prediction) == ("sd2", "v"):
        advice["size"] = "768x768"
    said = re.fullmatch(r"(\d{2,4})x(\d{2,4})", resolution)
    if advice and said and not any(int(side) % 8 for side in said.groups()):
        advice["size"] = resolution
    return advice
