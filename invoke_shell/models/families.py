"""What is known of the families of models: how files speak of them, and what they are best asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["ADVICE", "ARCHITECTURES", "CHANNELS", "DTYPES", "GGUF_BASES", "LATENTS", "advice_for"]

# channels that go into the first convolution -> variant
CHANNELS = {4: "", 9: "inpaint", 8: "edit", 5: "depth", 7: "upscale"}

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
    ("sd3", ""): {"size": "1024x1024", "steps": 28, "guidance": 7.0, "scheduler": "euler"},
    ("flux", ""): {"size": "1024x1024", "steps": 28, "guidance": 3.5, "scheduler": "euler"},
    ("flux", "schnell"): {"size": "1024x1024", "steps": 4, "guidance": 0.0, "scheduler": "euler"},
    ("chroma", ""): {"size": "1024x1024", "steps": 35, "guidance": 5.0, "scheduler": "euler"},
    ("auraflow", ""): {"size": "1024x1024", "steps": 50, "guidance": 3.5, "scheduler": "euler"},
    ("z-image", ""): {"size": "1024x1024", "steps": 50, "guidance": 5.0, "scheduler": "euler"},
    ("qwen-image", ""): {"size": "1024x1024", "steps": 50, "guidance": 4.0, "scheduler": "euler"},
    ("lumina2", ""): {"size": "1024x1024", "steps": 30, "guidance": 4.0, "scheduler": "euler"},
    ("cogview4", ""): {"size": "1024x1024", "steps": 50, "guidance": 5.0, "scheduler": "euler"},
    ("sana", ""): {"size": "1024x1024", "steps": 20, "guidance": 4.5, "scheduler": "dpmpp_2m"},
    ("pixart", ""): {"size": "1024x1024", "steps": 20, "guidance": 4.5, "scheduler": "dpmpp_2m"},
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
