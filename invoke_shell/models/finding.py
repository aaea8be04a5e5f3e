"""What a file or folder of weights was found to be, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["KINDS", "Finding", "Format"]

Format = Literal["file", "folder", "gguf"]

# kind -> what it is called in a sentence
KINDS: Mapping[str, str] = {
    "checkpoint": "a model that draws",
    "vae": "a VAE",
    "lora": "a LoRA",
    "embedding": "a textual inversion",
    "controlnet": "a ControlNet",
    "ip_adapter": "an IP-Adapter",
    "upscaler": "an upscaler",
    "text_encoder": "a text encoder",
    "components": "a folder of text encoders and a VAE",
    "face": "a face restorer",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """kind, base: "" when they cannot be told; `reason` then says what is there. Nothing is guessed.

    variant: inpaint, edit, refiner ... of a checkpoint, the layout of a LoRA or an upscaler. dtype: as torch calls it.
    prediction: epsilon, v or edm of a U-Net checkpoint. zero_snr: marked as trained with zero terminal SNR.
    parts: of a checkpoint: denoiser, text_encoder, vae. words: what triggers a LoRA, as its header says.
    told: title, author, license ... of its modelspec. advice: parameter defaults by name. notes: worth saying once.
    """

    kind: str = ""
    base: str = ""
    reason: str
    variant: str = ""
    format: Format = "file"
    dtype: str = ""
    bytes: int = 0
    prediction: str = ""
    zero_snr: bool = False
    parts: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    advice: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
