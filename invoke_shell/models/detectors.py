"""The questions that are put to a header, in order; the first answer counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from invoke_shell.models.addons import find_embedding, find_ip_adapter, find_lora, find_upscaler
from invoke_shell.models.finding import Finding
from invoke_shell.models.header import Header
from invoke_shell.models.networks import find_controlnet, find_encoder, find_transformer, find_unet, find_vae

__all__ = ["DETECTORS"]

# Adapters first: they name the layers that they are for.
DETECTORS: tuple[Callable[[Header, Path], Finding | None], ...] = (
    find_lora,
    find_embedding,
    find_controlnet,
    find_ip_adapter,
    find_unet,
    find_transformer,
    find_vae,
    find_encoder,
    find_upscaler,
)
