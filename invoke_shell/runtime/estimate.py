"""How much memory a picture will take, from headers and configs alone: weights, and the work on top. No torch here.

The work was found by counting the live tensors of full-size networks on torch's meta device: it grows with the pixels,
by a constant that is a multiple of the network's width (attention is fused and keeps no table). Convolutions of a VAE
take a quarter more for themselves, as measured.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke_shell.errors import InvokeShellError
from invoke_shell.models.detectors import identify
from invoke_shell.models.gguf import read_gguf
from invoke_shell.models.header import Header, read_header
from invoke_shell.pipeline.types import Size
from invoke_shell.records import ModelRecord

__all__ = ["BYTES", "Estimate", "estimate", "likely_precision"]

CONFIGS = Path(__file__).resolve().parent.parent / "assets" / "configs"
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
UNET_WORK = 26.0  # numbers a latent pixel for each of the first level's channels
UNET_WORK_XL = 15.75  # SDXL has no attention on its first level
TRANSFORMER_WORK = 13.0  # numbers a token for each of its width
VAE_WORK = 6 * 1.25  # numbers a pixel for each of the first level's channels
TEXT_TOKENS = {"sd3": 333, "flux": 512}
PARTS = {"denoiser": ("unet", "transformer"), "VAE": ("vae",)}  # in a folder; all else with weights reads text
INSIDE = {"model.diffusion_model.": "denoiser", "first_stage_model.": "VAE"}  # in a file
TEXTS = ("cond_stage_model.", "conditioner.", "text_encoders.")
UNUSED = ("safety_checker", "image_encoder", "feature_extractor")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Bytes. weights: by part. work: at the moment that takes most."""

    weights: Mapping[str, int]
    work: int

    @property
    def total(self) -> int:
        return sum(self.weights.values()) + self.work

    def __str__(self) -> str:
        unit, each, digits = ("GB", 1e9, 1) if self.total >= 1e9 else ("MB", 1e6, 0)
        rows = {**self.weights, "work": self.work}
        parts = ", ".join(f"{name} {size / each:.{digits}f}" for name, size in rows.items() if size)
        return f"about {self.total / each:.{digits}f} {unit}: {parts}"


def estimate(model: ModelRecord, size: Size, precision: str, guided: bool) -> Estimate | None:
    """For one picture of a model; None for what cannot be told. precision: `float32`, `float16`, `bfloat16`."""
    try:
        numbers, base = _numbers(model)
        widths = _widths(model, base)
    except (InvokeShellError, OSError, ValueError, KeyError, TypeError):
        return None  # the loader says what is wrong with it
    if widths is None or not numbers.get("denoiser"):
        return None
    each, of_vae = BYTES[precision], BYTES["float32" if widths.vae_wide else precision]
    decoding = VAE_WORK * widths.vae * size.width * size.height * of_vae
    work = max(_denoising(base, widths.denoiser, size, guided) * each, decoding)
    weights = {part: count * (of_vae if part == "VAE" else each) for part, count in numbers.items()}
    return Estimate(weights=weights, work=int(work))


def likely_precision(precision: str, device: str) -> str:
    """What the engine will choose, as far as that is known without starting it."""
    if precision != "auto":
        return precision
    if device == "auto":
        apple = platform.system() == "Darwin" and platform.machine() == "arm64"
        device = "cuda" if Path("/proc/driver/nvidia/version").exists() else "mps" if apple else "cpu"
    return "float32" if device == "cpu" else "float16"


def _denoising(base: str, width: int, size: Size, guided: bool) -> float:
    """Numbers that the denoiser has at hand at once; a guided one draws two pictures, but for Flux."""
    latents = size.width * size.height / 64
    if base in TEXT_TOKENS:
        pictures = 2 if guided and base == "sd3" else 1
        return TRANSFORMER_WORK * width * (latents / 4 + TEXT_TOKENS[base]) * pictures
    return (UNET_WORK_XL if base == "sdxl" else UNET_WORK) * width * latents * (2 if guided else 1)


def _numbers(model: ModelRecord) -> tuple[dict[str, int], str]:
    """Parameters by part, and the family."""
    path = Path(model.path)
    if path.is_dir():
        return _of_folder(path), model.base
    header = read_gguf(path) if path.suffix.lower() == ".gguf" else read_header(path)
    return _of_file(header), model.base or identify(header, path).base


def _of_file(header: Header) -> dict[str, int]:
    counted = {"denoiser": 0, "text": 0, "VAE": 0}
    whole = any(name.startswith((*INSIDE, *TEXTS)) for name in header.tensors)
    for name, (_, shape, _, _) in header.tensors.items():
        part = next((p for start, p in INSIDE.items() if name.startswith(start)), "")
        part = part or ("text" if name.startswith(TEXTS) else "" if whole else "denoiser")
        if part:
            counted[part] += math.prod(shape)
    return counted


def _of_folder(folder: Path) -> dict[str, int]:
    counted = {"denoiser": 0, "text": 0, "VAE": 0}
    for part in sorted(p for p in folder.iterdir() if p.is_dir() and p.name not in UNUSED):
        files = sorted(part.glob("*.safetensors"))
        plain = [f for f in files if ".fp16" not in f.name] or files
        which = next((word for word, names in PARTS.items() if part.name in names), "text")
        counted[which] += sum(math.prod(t[1]) for f in plain for t in read_header(f).tensors.values())
    return counted


@dataclass(frozen=True, kw_only=True)
class _Widths:
    """Of the first level of each network. vae_wide: it computes in float32 whatever the others do."""

    denoiser: int
    vae: int
    vae_wide: bool


def _widths(model: ModelRecord, base: str) -> _Widths | None:
    """A folder has configs of its own; a file has those of its family."""
    folder = Path(model.path)
    configs = folder if folder.is_dir() else CONFIGS / base
    flows = base in TEXT_TOKENS
    denoiser, vae = (_config(configs / name) for name in ("transformer" if flows else "unet", "vae"))
    if not denoiser or not vae:
        return None
    width = denoiser["num_attention_heads"] * denoiser["attention_head_dim"] if flows else _first(denoiser)
    # Pipelines of transformers run the VAE as they run the rest.
    return _Widths(denoiser=width, vae=_first(vae), vae_wide=bool(vae.get("force_upcast")) and not flows)


def _first(config: Mapping[str, Any]) -> int:
    return int(config["block_out_channels"][0])


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found if isinstance(found, dict) else {}
