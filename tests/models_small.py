"""Small models of random weights, a few MB each, for tests: real classes, real files, nothing learned.

64x64 pictures by a VAE of factor 8. The vocabulary is single bytes: a prompt has as many tokens as letters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from invoke_shell.records import ModelRecord

WIDTH = 32  # of the text embeddings
WIDTH_2 = 48  # of SDXL's second text encoder; a single file tells the two apart by their widths
POOLED = 24


def small_sd1(folder: Path, seed: int = 0, **unet: object) -> Path:
    """Write a Stable Diffusion 1 model into `folder` and return it; equal seeds give equal bytes.

    unet: other values for its U-Net: in_channels=9 makes it an inpainting model, 8 one that edits.
    """
    with _seeded(seed):
        tokens = _tokenizer(folder / "tokenizer")
        _text_encoder(folder / "text_encoder", tokens)
        _unet(folder / "unet", **unet)
        _vae(folder / "vae")
    _write(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    _write(folder / "model_index.json", _index("StableDiffusionPipeline", SCHEDULER))
    return folder


def small_sd2(folder: Path, seed: int = 0, **unet: object) -> Path:
    """Stable Diffusion 2: OpenCLIP's text encoder, v-prediction, a schedule brought to zero SNR."""
    with _seeded(seed):
        tokens = _tokenizer(folder / "tokenizer", pad="!")
        _text_encoder(folder / "text_encoder", tokens, hidden_act="gelu", num_hidden_layers=3)
        _unet(folder / "unet", attention_head_dim=(4, 8), use_linear_projection=True, **unet)
        _vae(folder / "vae")
    schedule = {**SCHEDULER, "_class_name": "DDIMScheduler", "prediction_type": "v_prediction"}
    schedule |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    _write(folder / "scheduler" / "scheduler_config.json", schedule)
    _write(folder / "model_index.json", _index("StableDiffusionPipeline", schedule))
    return folder


def small_sdxl(folder: Path, seed: int = 0, **unet: object) -> Path:
    """SDXL: two text encoders, pooled embedding, sizes as conditions, a VAE that wants float32."""
    with _seeded(seed):
        tokens = _tokenizer(folder / "tokenizer")
        _tokenizer(folder / "tokenizer_2", pad="!")
        _text_encoder(folder / "text_encoder", tokens, num_hidden_layers=3)
        second = {"hidden_size": WIDTH_2, "projection_dim": POOLED, "hidden_act": "gelu", "num_hidden_layers": 3}
        _text_encoder(folder / "text_encoder_2", tokens, projected=True, **second)
        _unet(
            folder / "unet", cross_attention_dim=WIDTH + WIDTH_2, attention_head_dim=(4, 8),
            use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + POOLED,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **unet,
        )  # fmt: skip
        _vae(folder / "vae", scaling_factor=0.13025, force_upcast=True)
    schedule = {**SCHEDULER, "_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"}
    _write(folder / "scheduler" / "scheduler_config.json", schedule)
    two = {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}
    two |= {"tokenizer_2": ["transformers", "CLIPTokenizer"], "force_zeros_for_empty_prompt": True}
    _write(folder / "model_index.json", _index("StableDiffusionXLPipeline", schedule) | two)
    return folder


def small_refiner(folder: Path, seed: int = 0) -> Path:
    """SDXL's refiner: the second text encoder alone, sizes and a score as conditions."""
    with _seeded(seed):
        tokens = _tokenizer(folder / "tokenizer_2", pad="!")
        second = {"hidden_size": WIDTH_2, "projection_dim": POOLED, "hidden_act": "gelu", "num_hidden_layers": 3}
        _text_encoder(folder / "text_encoder_2", tokens, projected=True, **second)
        _unet(
            folder / "unet", cross_attention_dim=WIDTH_2, attention_head_dim=(4, 8),
            use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=5 * 8 + POOLED,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        _vae(folder / "vae", scaling_factor=0.13025, force_upcast=True)
    schedule = {**SCHEDULER, "_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"}
    _write(folder / "scheduler" / "scheduler_config.json", schedule)
    one = {"text_encoder": [None, None], "tokenizer": [None, None], "requires_aesthetics_score": True}
    one |= {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"], "force_zeros_for_empty_prompt": False}
    one |= {"tokenizer_2": ["transformers", "CLIPTokenizer"]}
    _write(folder / "model_index.json", _index("StableDiffusionXLImg2ImgPipeline", schedule) | one)
    return folder


def small_record(folder: Path, name: str = "small", base: str = "sd1") -> ModelRecord:
    """The catalogue's record of such a folder."""
    return ModelRecord(name=name, kind="checkpoint", base=base, format="folder", path=str(folder))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
}


def _index(kind: str, schedule: dict[str, object]) -> dict[str, object]:
    return {
        "_class_name": kind,
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        **({"safety_checker": [None, None], "requires_safety_checker": False} if "XL" not in kind else {}),
        "scheduler": ["diffusers", schedule["_class_name"]],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def _tokenizer(folder: Path, pad: str = "<|endoftext|>") -> int:
    letters = _byte_letters()
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    _write(folder / "vocab.json", {token: n for n, token in enumerate(vocabulary)})
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    marks |= {"unk_token": "<|endoftext|>", "pad_token": pad}
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **marks})
    return len(vocabulary)


def _byte_letters() -> list[str]:
    """The printable letter that byte-level BPE gives to each of the 256 bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + n) for n in range(len(moved))]


def _text_encoder(folder: Path, tokens: int, projected: bool = False, **changes: object) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    values = {
        "vocab_size": tokens, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "bos_token_id": tokens - 2, "eos_token_id": tokens - 1, "pad_token_id": tokens - 1,
    }  # fmt: skip
    config = CLIPTextConfig(**{**values, **changes})
    (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).save_pretrained(folder)


def _unet(folder: Path, **changes: object) -> None:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    values = {
        "sample_size": 8, "block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8,
        "attention_head_dim": 8, "cross_attention_dim": WIDTH,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    UNet2DConditionModel(**{**values, **changes}).save_pretrained(folder)


def _vae(folder: Path, **changes: object) -> None:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    values = {
        "block_out_channels": (8, 16, 16, 16), "layers_per_block": 1, "norm_num_groups": 8, "latent_channels": 4,
        "sample_size": 64, "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
    }  # fmt: skip
    AutoencoderKL(**{**values, **changes}).save_pretrained(folder)


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def small_lora(path: Path, folder: Path, rank: int = 4, alpha: float = 2.0, seed: int = 5) -> Path:
    """A LoRA file in kohya's layout for the attention layers of the model in `folder`, text encoders included."""
    import torch
    from safetensors.torch import load_file, save_file

    texts = sorted(folder.glob("text_encoder*"))
    prefixes = {
        "unet": "lora_unet",
        **{t.name: f"lora_te{n if len(texts) > 1 else ''}" for n, t in enumerate(texts, 1)},
    }
    weights = {}
    with _seeded(seed):
        for part, prefix in prefixes.items():
            for name, tensor in load_file(next((folder / part).glob("*.safetensors"))).items():
                layer = name.removesuffix(".weight")
                if layer.endswith(("to_q", "to_k", "to_v", "to_out.0", "q_proj", "out_proj")):
                    layer = layer if part == "unet" or layer.startswith("text_model.") else f"text_model.{layer}"
                    key = f"{prefix}_{layer.replace('.', '_')}"
                    weights[f"{key}.lora_down.weight"] = torch.randn(rank, tensor.shape[1])
                    weights[f"{key}.lora_up.weight"] = torch.randn(tensor.shape[0], rank) * 0.3
                    weights[f"{key}.alpha"] = torch.tensor(alpha)
    save_file(weights, path)
    return path
