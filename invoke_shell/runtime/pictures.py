"""Pictures to tensors and back. 8-bit rounding happens here and nowhere else."""

from __future__ import annotations

import torch
from torch import Tensor

from invoke_shell.records import Image, Mask

__all__ = ["from_unit", "kept_by", "mask_to_latents", "pasted", "to_unit"]


def to_unit(image: Image, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A picture as (1, 3, h, w) from 0 to 1; transparency is dropped."""
    rgb = image if image.mode == "RGB" else Image.from_pil(image.pil().convert("RGB"))
    rows = torch.frombuffer(bytearray(rgb.pixels), dtype=torch.uint8).reshape(rgb.height, rgb.width, 3)
    # Contiguous, because convolutions give other last bits for other layouts of memory.
    return (rows.permute(2, 0, 1)[None].contiguous().float() / 255.0).to(device, dtype)


def from_unit(picture: Tensor) -> Image:
    """The picture of (1, 3, h, w) from 0 to 1, clipped and rounded to 8 bits as diffusers' VaeImageProcessor does."""
    rows = picture[0].clamp(0, 1).permute(1, 2, 0).float().mul(255).round().to("cpu", torch.uint8).contiguous()
    height, width, _ = rows.shape
    return Image(mode="RGB", width=width, height=height, pixels=rows.numpy().tobytes())


def mask_to_latents(mask: Mask, size: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """A mask as (1, 1, h, w) of 0 and 1 at the latents' size; the half and more is repainted."""
    rows = torch.frombuffer(bytearray(mask.pixels), dtype=torch.uint8).reshape(1, 1, mask.height, mask.width)
    small = torch.nn.functional.interpolate((rows >= 128).float(), size=size)
    return small.to(device, dtype)


def kept_by(mask: Mask, device: torch.device, dtype: torch.dtype) -> Tensor:
    """1 where a mask is darker than half, else 0: (1, 1, h, w)."""
    rows = torch.frombuffer(bytearray(mask.pixels), dtype=torch.uint8).reshape(1, 1, mask.height, mask.width)
    return (rows < 128).to(device, dtype)


def pasted(drawn: Image, source: Image, mask: Mask) -> Image:
    """The drawn picture where the mask is white, the source where it is black: a VAE changes what it only passes."""
    from PIL import Image as Pillow

    return Image.from_pil(Pillow.composite(drawn.pil(), source.pil().convert("RGB"), mask.pil()))
