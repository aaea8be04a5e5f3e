"""Small models with transformers in the U-Net's place: Stable Diffusion 3, Flux and others; random weights.

Built as `models_small` builds its own; T5's vocabulary is a few pieces and letters.
"""

from __future__ import annotations

from pathlib import Path

from models_small import POOLED, WIDTH, WIDTH_2, _seeded, _text_encoder, _tokenizer, _vae, _write

T5_WIDTH = 32
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}


def small_sd3(folder: Path, seed: int = 0, t5: bool = True) -> Path:
    """Stable Diffusion 3: two CLIPs, T5, a transformer, 16 latent channels."""
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

    with _seeded(seed):
        tokens = _tokenizer(folder / "tokenizer")
        _tokenizer(folder / "tokenizer_2", pad="!")
        clip = {"projected": True, "num_hidden_layers": 3}
        _text_encoder(folder / "text_encoder", tokens, projection_dim=WIDTH, **clip)
        _text_encoder(
            folder / "text_encoder_2", tokens, hidden_size=WIDTH_2, projection_dim=POOLED, hidden_act="gelu", **clip
        )
        joint = 96
        if t5:
            _t5(folder / "text_encoder_3", folder / "tokenizer_3", joint)
        SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=4,
            joint_attention_dim=joint, caption_projection_dim=32, pooled_projection_dim=WIDTH + POOLED, out_channels=16,
            pos_embed_max_size=16,
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _flow_vae(folder / "vae", scaling_factor=1.5305, shift_factor=0.0609)
    schedule = {**FLOW, "shift": 3.0}
    _write(folder / "scheduler" / "scheduler_config.json", schedule)
    third = {"text_encoder_3": ["transformers", "T5EncoderModel"], "tokenizer_3": ["transformers", "T5Tokenizer"]}
    index = {
        "_class_name": "StableDiffusion3Pipeline",
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        **{part: made if t5 else [None, None] for part, made in third.items()},
        "transformer": ["diffusers", "SD3Transformer2DModel"],
    }
    _write(folder / "model_index.json", {**index, **COMMON})
    return folder


def small_flux(folder: Path, seed: int = 0, guided: bool = True) -> Path:
    """Flux: CLIP's pooled result, T5, latents packed two by two. guided: dev, told its guidance; else schnell."""
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    with _seeded(seed):
        tokens = _tokenizer(folder / "tokenizer")
        _text_encoder(folder / "text_encoder", tokens)
        _t5(folder / "text_encoder_2", folder / "tokenizer_2", T5_WIDTH)
        FluxTransformer2DModel(
            patch_size=1, in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=T5_WIDTH, pooled_projection_dim=WIDTH, guidance_embeds=guided,
            axes_dims_rope=(4, 4, 8),
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _flow_vae(folder / "vae", scaling_factor=0.3611, shift_factor=0.1159)
    shifted = {"use_dynamic_shifting": True, "shift": 3.0, "base_shift": 0.5, "max_shift": 1.15}
    shifted |= {"base_image_seq_len": 256, "max_image_seq_len": 4096}
    _write(folder / "scheduler" / "scheduler_config.json", {**FLOW, **(shifted if guided else {"shift": 1.0})})
    index = {
        "_class_name": "FluxPipeline",
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
    }
    _write(folder / "model_index.json", {**index, **COMMON})
    return folder


COMMON = {
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def _t5(folder: Path, words: Path, width: int) -> None:
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    letters = [chr(n) for n in range(33, 127)]
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁a", "▁red", "▁blue", "▁circle", *letters]
    tokenizer = T5Tokenizer(vocab=[(piece, -float(n)) for n, piece in enumerate(pieces)], extra_ids=0)
    tokenizer.save_pretrained(words)
    T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=48, num_layers=2, num_heads=4, dropout_rate=0.1,
            feed_forward_proj="gated-gelu", relative_attention_num_buckets=8,
        )
    ).save_pretrained(folder)  # fmt: skip


def _flow_vae(folder: Path, **changes: object) -> None:
    _vae(folder, latent_channels=16, use_quant_conv=False, use_post_quant_conv=False, **changes)
