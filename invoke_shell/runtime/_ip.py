"""Faces diffusers' and transformers' untyped calls for IP-Adapters; picture_prompts.py is what uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from invoke_shell.runtime._diffusers import Denoiser

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as PILImage
    from torch import Tensor

__all__ = [
    "load_image_encoder",
    "looked_at",
    "pixels_for",
    "processors_of",
    "put_on",
    "take_off",
    "wants_states",
    "weigh",
]


def load_image_encoder(folder: str, dtype: torch.dtype) -> Any:
    """CLIP's eye with its projection. Raises whatever the library raises."""
    from transformers import CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection.from_pretrained(folder, dtype=dtype, local_files_only=True)


def pixels_for(encoder: Any, pictures: Sequence[PILImage]) -> Tensor:
    """Pictures as CLIP was trained to see them, (n, 3, side, side). By Pillow, whatever else is installed."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    side = encoder.config.image_size
    processor = CLIPImageProcessorPil(size=side, crop_size=side)
    pixels: Tensor = processor(list(pictures), return_tensors="pt").pixel_values
    return pixels


def looked_at(encoder: Any, pixels: Tensor, *, states: bool) -> Tensor:
    """(n, width) of the projection, or states (n, tokens, width) of the layer before the last."""
    result = encoder(pixels, output_hidden_states=states)
    seen: Tensor = result.hidden_states[-2] if states else result.image_embeds
    return seen


def processors_of(unet: Denoiser) -> dict[str, Any]:
    """How each attention of a U-Net works now."""
    untyped: Any = unet
    return dict(untyped.attn_processors)


def put_on(unet: Denoiser, adapters: Sequence[Mapping[str, Mapping[str, Tensor]]]) -> None:
    """Let a U-Net attend to pictures besides texts."""
    untyped: Any = unet
    untyped._load_ip_adapter_weights([{k: dict(v) for k, v in a.items()} for a in adapters], low_cpu_mem_usage=False)
    untyped.eval()


def take_off(unet: Denoiser, processors: Mapping[str, Any]) -> None:
    """Give a U-Net its own attention back, the very same objects."""
    untyped: Any = unet
    untyped.encoder_hid_proj = None  # first: some of them have attention of their own, which would be counted
    untyped.config.encoder_hid_dim_type = None
    untyped.set_attn_processor(dict(processors))


def weigh(unet: Denoiser, weights: Sequence[float]) -> None:
    """Set the weight of each adapter."""
    for processor in processors_of(unet).values():
        if hasattr(processor, "to_k_ip"):
            processor.scale = list(weights)


def wants_states(unet: Denoiser) -> list[bool]:
    """Of each adapter, whether it reads the encoder's states and not its projection."""
    from diffusers.models.embeddings import ImageProjection

    untyped: Any = unet
    return [not isinstance(layer, ImageProjection) for layer in untyped.encoder_hid_proj.image_projection_layers]
