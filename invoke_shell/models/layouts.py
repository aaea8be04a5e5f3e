"""Tables of what tells networks apart: names of tensors, and the width of some of them.

Sources: the layouts themselves, checked against diffusers' single_file_utils, ComfyUI's model_detection and InvokeAI's
probe. Names stand below a prefix; a checkpoint has its denoiser below `model.diffusion_model.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ENCODERS", "LORA_ENDINGS", "PARTS", "PREFIXES", "TRANSFORMERS", "UNETS", "WIDTHS", "Marked", "UNet"]


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
