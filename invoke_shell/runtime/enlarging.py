"""A picture made larger by an upscaler network, to the size wanted exactly."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invoke_shell.pipeline.context import Enlargement
from invoke_shell.records import Image, Made
from invoke_shell.runtime import pictures, request
from invoke_shell.runtime.upscalers import Upscaler

__all__ = ["enlarge"]

Tick = Callable[[int, int], None]


def enlarge(upscaler: Upscaler, asked: Enlargement, tick: Tick) -> Made:
    """The picture, `scale` times as large: the network as often as it takes, the rest by Lanczos."""
    image, passes = asked.image, request.passes(asked.scale, upscaler.scale)
    for _ in range(passes):
        source = pictures.to_unit(image, torch.device("cpu"), torch.float32)
        image = pictures.from_unit(upscaler.enlarge(source, tick))
    facts = {
        "network": getattr(upscaler.network, "kind", type(upscaler.network).__name__),
        "network_scale": upscaler.scale,
        "passes": passes,
    }
    precision = {"weights": "float32", "compute": "float32"}
    return Made(image=_scaled(asked, image), facts={**facts, "precision": precision})


def _scaled(asked: Enlargement, enlarged: Image) -> Image:
    """To the size wanted exactly, by Lanczos, and with the transparency of the source, by Lanczos too."""
    from PIL.Image import Resampling

    size = (round(asked.image.width * asked.scale), round(asked.image.height * asked.scale))
    picture = enlarged.pil().resize(size, Resampling.LANCZOS) if enlarged.size != size else enlarged.pil()
    if asked.image.mode == "RGBA":
        picture.putalpha(asked.image.pil().getchannel("A").resize(size, Resampling.LANCZOS))
    return Image.from_pil(picture)
