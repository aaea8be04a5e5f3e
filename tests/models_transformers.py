"""Small models with transformers in the U-Net's place: Stable Diffusion 3, Flux and others; random weights.

Built as `models_small` builds its own; T5's vocabulary is a few pieces and letters.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from models_small import POOLED, WIDTH, WIDTH_2, _seeded, _text_encoder, _tokenizer, _vae, _write

T5_WIDTH = 32
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}


WIDTHS = (WIDTH, WIDTH_2, T5_WIDTH)  # of clip_l, clip_g, t5xxl
REAL = (768, 1280, 4096)  # by which loose files are known


def small_sd3(folder: Path, seed: int = 0, t5: bool = True, widths: tuple[int, int, int] = WIDTHS) -> Path:
    """Stable Diffusion 3: two CLIPs, T5, a transformer, 16 latent channels."""
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

    with _seeded(seed):
        tokens = _tokenizer(folder / "tokenizer")
        _tokenizer(folder / "tokenizer_2", pad="!")
        clip = {"projected": True, "num_hidden_layers": 3}
        first, second, third = widths
        _text_encoder(folder / "text_encoder", tokens, hidden_size=first, projection_dim=first, **clip)
        _identity(folder / "text_encoder")
        big = {"hidden_size": second, "projection_dim": POOLED, "hidden_act": "gelu", **clip}
        _text_encoder(folder / "text_encoder_2", tokens, **big)
        joint = max(third, first + second)
        if t5:
            _t5(folder / "text_encoder_3", folder / "tokenizer_3", joint)
        SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=4,
            joint_attention_dim=joint, caption_projection_dim=32, pooled_projection_dim=first + POOLED, out_channels=16,
            pos_embed_max_size=16,
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _flow_vae(folder / "vae", scaling_factor=1.5305, shift_factor=0.0609)
    schedule = {**FLOW, "shift": 3.0}
    _write(folder / "scheduler" / "scheduler_config.json", schedule)
    t5_parts = {"text_encoder_3": ["transformers", "T5EncoderModel"], "tokenizer_3": ["transformers", "T5Tokenizer"]}
    index = {
        "_class_name": "StableDiffusion3Pipeline",
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        **{part: made if t5 else [None, None] for part, made in t5_parts.items()},
        "transformer": ["diffusers", "SD3Transformer2DModel"],
    }
    _write(folder / "model_index.json", {**index, **COMMON})
    return folder


def small_flux(folder: Path, seed: int = 0, guided: bool = True, widths: tuple[int, int, int] = WIDTHS) -> Path:
    """Flux: CLIP's pooled result, T5, latents packed two by two. guided: dev, told its guidance; else schnell."""
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    with _seeded(seed):
        tokens = _tokenizer(folder / "tokenizer")
        first, _, third = widths
        _text_encoder(folder / "text_encoder", tokens, hidden_size=first)
        _t5(folder / "text_encoder_2", folder / "tokenizer_2", third)
        FluxTransformer2DModel(
            patch_size=1, in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=third, pooled_projection_dim=first, guidance_embeds=guided,
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


def small_chroma(folder: Path, seed: int = 0) -> Path:
    """Chroma: T5 alone, a Flux whose modulation is computed by a small network."""
    from diffusers.models.transformers.transformer_chroma import ChromaTransformer2DModel

    with _seeded(seed):
        _t5(folder / "text_encoder", folder / "tokenizer", T5_WIDTH)
        ChromaTransformer2DModel(
            patch_size=1, in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=T5_WIDTH, axes_dims_rope=(4, 4, 8), approximator_num_channels=8,
            approximator_hidden_dim=16, approximator_layers=1,
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _flow_vae(folder / "vae", scaling_factor=0.3611, shift_factor=0.1159)
    _write(folder / "scheduler" / "scheduler_config.json", {**FLOW, "shift": 1.0})
    index = {
        "_class_name": "ChromaPipeline",
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "ChromaTransformer2DModel"],
    }
    _write(folder / "model_index.json", {**index, **COMMON})
    return folder


def small_auraflow(folder: Path, seed: int = 0) -> Path:
    """AuraFlow: a T5 encoder, a transformer, 4 latent channels."""
    from diffusers.models.transformers.auraflow_transformer_2d import AuraFlowTransformer2DModel

    with _seeded(seed):
        _t5(folder / "text_encoder", folder / "tokenizer", T5_WIDTH)
        AuraFlowTransformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1,
            attention_head_dim=8, num_attention_heads=4, joint_attention_dim=T5_WIDTH, caption_projection_dim=32,
            out_channels=4, pos_embed_max_size=64,
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _vae(folder / "vae", scaling_factor=0.13025)
    _write(folder / "scheduler" / "scheduler_config.json", {**FLOW, "shift": 1.73})
    index = {
        "_class_name": "AuraFlowPipeline",
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "AuraFlowTransformer2DModel"],
    }
    plain = {name: made for name, made in COMMON.items() if made != [None, None]}
    _write(folder / "model_index.json", {**index, **plain})
    return folder


# Families whose prompts a language model reads


def small_z_image(folder: Path, seed: int = 0) -> Path:
    """Z-Image: a Qwen 3, a transformer, 16 latent channels."""
    from diffusers import ZImageTransformer2DModel

    with _seeded(seed):
        _qwen3(folder)
        ZImageTransformer2DModel(
            dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=T5_WIDTH, in_channels=16,
            axes_dims=[4, 6, 6], axes_lens=[1024, 64, 64],
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _flow_vae(folder / "vae", scaling_factor=0.3611, shift_factor=0.1159)
    return _indexed(folder, "ZImage", text="Qwen3Model", tokenizer="Qwen2Tokenizer", transformer="ZImage", shift=3.0)


def small_qwen_image(folder: Path, seed: int = 0) -> Path:
    """Qwen-Image: a Qwen 2.5 that could see, a transformer, the VAE of films, latents packed two by two."""
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    with _seeded(seed):
        words = _letters_tokenizer(folder / "tokenizer")
        text = {"vocab_size": words, "rope_parameters": {"type": "default", "mrope_section": [1, 1, 2]}, **LANGUAGE}
        eye = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": T5_WIDTH}
        config = Qwen2_5_VLConfig(text_config=text, vision_config=eye)
        Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder / "text_encoder")
        QwenImageTransformer2DModel(
            patch_size=2, in_channels=64, out_channels=16, num_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=T5_WIDTH, axes_dims_rope=(4, 6, 6),
        ).save_pretrained(folder / "transformer")  # fmt: skip
        AutoencoderKLQwenImage(base_dim=8, z_dim=16, dim_mult=[1, 2, 2, 2], num_res_blocks=1).save_pretrained(
            folder / "vae"
        )
    return _indexed(
        folder, "QwenImage", text="Qwen2_5_VLForConditionalGeneration", tokenizer="Qwen2Tokenizer",
        transformer="QwenImage", vae="AutoencoderKLQwenImage", shift=1.0, use_dynamic_shifting=True,
    )  # fmt: skip


def small_lumina2(folder: Path, seed: int = 0) -> Path:
    """Lumina 2: a Gemma 2, a transformer, 16 latent channels."""
    from diffusers import Lumina2Transformer2DModel

    with _seeded(seed):
        _gemma2(folder)
        Lumina2Transformer2DModel(
            sample_size=8, hidden_size=32, num_layers=1, num_refiner_layers=1, num_attention_heads=2, num_kv_heads=1,
            multiple_of=16, axes_dim_rope=(4, 6, 6), axes_lens=(300, 64, 64), cap_feat_dim=T5_WIDTH, in_channels=16,
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _flow_vae(folder / "vae", scaling_factor=0.3611, shift_factor=0.1159)
    return _indexed(folder, "Lumina2", text="Gemma2Model", tokenizer="GemmaTokenizer", transformer="Lumina2", shift=6.0)


def small_cogview4(folder: Path, seed: int = 0) -> Path:
    """CogView 4: a GLM, a transformer, 16 latent channels, a schedule that bends with the size."""
    from diffusers import CogView4Transformer2DModel
    from transformers import GlmConfig, GlmModel

    with _seeded(seed):
        words = _letters_tokenizer(folder / "tokenizer", "GemmaTokenizer")
        config = GlmConfig(vocab_size=words, head_dim=8, pad_token_id=0, **LANGUAGE)
        GlmModel(config).save_pretrained(folder / "text_encoder")
        CogView4Transformer2DModel(
            patch_size=2, in_channels=16, out_channels=16, num_layers=1, attention_head_dim=16, num_attention_heads=2,
            text_embed_dim=T5_WIDTH, time_embed_dim=16, condition_dim=8, sample_size=8, rope_axes_dim=(16, 16),
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _flow_vae(folder / "vae", scaling_factor=1.0, shift_factor=0.0)
    return _indexed(
        folder, "CogView4", text="GlmModel", tokenizer="GemmaTokenizer", transformer="CogView4",
        use_dynamic_shifting=True, base_shift=0.25, max_shift=0.75, base_image_seq_len=256, time_shift_type="linear",
    )  # fmt: skip


def small_sana(folder: Path, seed: int = 0) -> Path:
    """Sana: a Gemma 2, linear attention, latents of which one is 32 pixels wide."""
    from diffusers import AutoencoderDC, SanaTransformer2DModel

    with _seeded(seed):
        _gemma2(folder)
        SanaTransformer2DModel(
            in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=16, num_layers=1,
            num_cross_attention_heads=2, cross_attention_head_dim=16, cross_attention_dim=32, sample_size=8,
            caption_channels=T5_WIDTH,
        ).save_pretrained(folder / "transformer")  # fmt: skip
        widths = (8, 8, 16, 16, 16, 16)
        AutoencoderDC(
            latent_channels=8, attention_head_dim=8, encoder_block_out_channels=widths,
            decoder_block_out_channels=widths, encoder_layers_per_block=(1,) * 6, decoder_layers_per_block=(1,) * 6,
            encoder_qkv_multiscales=((),) * 6, decoder_qkv_multiscales=((),) * 6, scaling_factor=0.41407,
        ).save_pretrained(folder / "vae")  # fmt: skip
    return _indexed(
        folder, "Sana", text="Gemma2Model", tokenizer="GemmaTokenizer", transformer="Sana", vae="AutoencoderDC",
        scheduler="DPMSolverMultistepScheduler", prediction_type="flow_prediction", use_flow_sigmas=True,
        flow_shift=3.0,
    )  # fmt: skip


def small_pixart(folder: Path, seed: int = 0) -> Path:
    """PixArt Sigma: a T5 encoder, a transformer that predicts noise, 4 latent channels."""
    from diffusers import PixArtTransformer2DModel

    with _seeded(seed):
        _t5(folder / "text_encoder", folder / "tokenizer", T5_WIDTH)
        PixArtTransformer2DModel(
            num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=1,
            cross_attention_dim=32, sample_size=8, caption_channels=T5_WIDTH, use_additional_conditions=False,
        ).save_pretrained(folder / "transformer")  # fmt: skip
        _vae(folder / "vae", scaling_factor=0.13025)
    return _indexed(
        folder, "PixArtSigma", text="T5EncoderModel", tokenizer="T5Tokenizer", transformer="PixArt",
        scheduler="DPMSolverMultistepScheduler", beta_start=0.0001, beta_end=0.02, beta_schedule="linear",
    )  # fmt: skip


LANGUAGE = {
    "hidden_size": T5_WIDTH, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip


def _indexed(
    folder: Path, kind: str, *, text: str, tokenizer: str, transformer: str, vae: str = "AutoencoderKL",
    scheduler: str = FLOW["_class_name"], **schedule: Any,
) -> Path:  # fmt: skip
    own = {"_class_name": scheduler, "num_train_timesteps": 1000, **schedule}
    _write(folder / "scheduler" / "scheduler_config.json", own)
    index = {
        "_class_name": f"{kind}Pipeline", "_diffusers_version": "0.42.1", "scheduler": ["diffusers", scheduler],
        "text_encoder": ["transformers", text], "tokenizer": ["transformers", tokenizer],
        "transformer": ["diffusers", f"{transformer}Transformer2DModel"], "vae": ["diffusers", vae],
    }  # fmt: skip
    _write(folder / "model_index.json", index)
    return folder


def _letters_tokenizer(folder: Path, kind: str = "Qwen2Tokenizer") -> int:
    """A vocabulary of letters; a chat is what was said."""
    import transformers
    from models_small import _byte_letters
    from tokenizers.processors import TemplateProcessing

    marks = ["<|endoftext|>"] if kind == "Qwen2Tokenizer" else ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁"]
    vocabulary = {token: n for n, token in enumerate([*marks, *_byte_letters()])}
    made = getattr(transformers, kind)(vocab=vocabulary, merges=[])
    if kind == "GemmaTokenizer":
        begun = {"single": "<bos> $A", "special_tokens": [("<bos>", vocabulary["<bos>"])]}
        made.backend_tokenizer.post_processor = TemplateProcessing(**begun)
    made.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    made.save_pretrained(folder)
    return len(made)


def _qwen3(folder: Path) -> None:
    from transformers import Qwen3Config, Qwen3Model

    words = _letters_tokenizer(folder / "tokenizer")
    config = Qwen3Config(vocab_size=words, head_dim=8, **LANGUAGE)
    Qwen3Model(config).save_pretrained(folder / "text_encoder")


def _gemma2(folder: Path) -> None:
    from transformers import Gemma2Config, Gemma2Model

    words = _letters_tokenizer(folder / "tokenizer", "GemmaTokenizer")
    config = Gemma2Config(vocab_size=words, head_dim=8, query_pre_attn_scalar=8, **LANGUAGE)
    Gemma2Model(config).save_pretrained(folder / "text_encoder")


COMMON = {
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def _identity(folder: Path) -> None:
    """CLIP's projection as Stable Diffusion 3 has it: none; its single files leave it out."""
    import torch
    from safetensors.torch import load_file, save_file

    file = next(folder.glob("*.safetensors"))
    weights = load_file(file)
    width = len(weights["text_projection.weight"])
    save_file({**weights, "text_projection.weight": torch.eye(width)}, file, metadata={"format": "pt"})


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


# In one file, as published


def sd3_file(folder: Path, path: Path, whole: bool = True) -> Path:
    """Stable Diffusion 3's published layout. whole: with its text encoders and its VAE."""
    from models_single import _vae as vae_names
    from safetensors.torch import load_file, save_file

    def part(name: str) -> dict[str, Any]:
        return load_file(next((folder / name).glob("*.safetensors")))

    config = json.loads((folder / "vae" / "config.json").read_text())
    weights = {f"model.diffusion_model.{k}": v for k, v in _sd3(part("transformer")).items()}
    if whole:
        for name, prefix in (("text_encoder", "clip_l"), ("text_encoder_2", "clip_g"), ("text_encoder_3", "t5xxl")):
            weights |= {f"text_encoders.{prefix}.transformer.{k}": v for k, v in part(name).items()}
        weights |= {f"first_stage_model.{k}": v for k, v in vae_names(part("vae"), config).items()}
    save_file({k: v.contiguous().clone() for k, v in weights.items()}, path)
    return path


SD3_NAMES = {
    "pos_embed.pos_embed": "pos_embed", "pos_embed.proj": "x_embedder.proj", "context_embedder": "context_embedder",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "norm_out.linear": "final_layer.adaLN_modulation.1", "proj_out": "final_layer.linear",
}  # fmt: skip
SD3_BLOCK = {
    "attn.to_out.0": "x_block.attn.proj", "attn.to_add_out": "context_block.attn.proj",
    "norm1.linear": "x_block.adaLN_modulation.1", "norm1_context.linear": "context_block.adaLN_modulation.1",
    "ff.net.0.proj": "x_block.mlp.fc1", "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1", "ff_context.net.2": "context_block.mlp.fc2",
}  # fmt: skip
SD3_JOINED = {
    "attn.to_q": ("x_block.attn.qkv", ("attn.to_q", "attn.to_k", "attn.to_v")),
    "attn.add_q_proj": ("context_block.attn.qkv", ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")),
}


def _sd3(tensors: dict[str, Any]) -> dict[str, Any]:
    import torch

    last = max(int(m[1]) for name in tensors if (m := re.match(r"transformer_blocks\.(\d+)\.", name)))
    out = {}
    for name, tensor in tensors.items():
        if not (found := re.match(r"transformer_blocks\.(\d+)\.(.*)\.(weight|bias)$", name)):
            stem = next(old for old in SD3_NAMES if name.startswith(old))
            turned = stem == "norm_out.linear"
            out[SD3_NAMES[stem] + name.removeprefix(stem)] = _swapped(tensor) if turned else tensor
            continue
        block, layer, kind = found.groups()
        start = f"transformer_blocks.{block}."
        if layer in SD3_JOINED:
            new, three = SD3_JOINED[layer]
            out[f"joint_blocks.{block}.{new}.{kind}"] = torch.cat([tensors[f"{start}{t}.{kind}"] for t in three])
        elif layer in SD3_BLOCK:
            turned = int(block) == last and layer == "norm1_context.linear"
            out[f"joint_blocks.{block}.{SD3_BLOCK[layer]}.{kind}"] = _swapped(tensor) if turned else tensor
    return out


def _swapped(tensor: Any) -> Any:
    import torch

    return torch.cat(tensor.chunk(2)[::-1])


def transformer_file(folder: Path, path: Path) -> Path:
    """The transformer of a diffusers folder alone, under diffusers' names."""
    shutil.copy(next((folder / "transformer").glob("*.safetensors")), path)
    return path


def loose_parts(folder: Path, into: Path, names: dict[str, str]) -> Path:
    """Text encoders and the VAE of a diffusers folder as loose files: part -> file; T5's tokenizer beside them."""
    from safetensors.torch import load_file, save_file

    into.mkdir()
    for part, file in names.items():
        weights = load_file(next((folder / part).glob("*.safetensors")))
        bare = "encoder.layers.0.self_attn.k_proj.weight" in weights  # as newer releases of transformers write CLIP
        save_file({f"text_model.{k}" if bare else k: v for k, v in weights.items()}, into / file)
    t5 = "tokenizer_3" if (folder / "tokenizer_3").is_dir() else "tokenizer_2"
    shutil.copy(folder / t5 / "tokenizer.json", into)
    return into
