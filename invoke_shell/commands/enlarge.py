"""Nodes that make pictures larger."""

from collections.abc import Iterator
from typing import Annotated

from invoke_shell.commands.params import Upscaler, refuse_huge
from invoke_shell.pipeline.context import Context, Enlargement
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.records import Frame, Image, Made

__all__ = ["upscale"]

Scale = Annotated[float, Arg(help="How many times as wide and high.", ge=1, le=16)]


@node(
    version=1,
    group="change",
    examples=[
        "@-1 | upscale",
        "@-1 | upscale --upscaler pocket-2x",
        "@-1 | upscale --scale 4 --upscaler pocket-4x",
        "load_image a.png | upscale --scale 3",
    ],
)
def upscale(ctx: Context, frame: Frame, *, scale: Scale = 2.0, upscaler: Upscaler = None) -> Iterator[Made | Image]:
    """Make a picture larger, with an upscaler network or with Lanczos.

    A network has a factor of its own; what is left of the scale is done with Lanczos. Alpha is kept.
    """
    width, height = (max(1, round(side * scale)) for side in frame.image.size)
    refuse_huge("upscale", width, height)
    if upscaler is not None:
        yield from ctx.engine.enlarge(Enlargement(image=frame.image, model=upscaler, scale=scale))
        return
    from PIL import Image as Pillow

    yield Image.from_pil(frame.image.pil().resize((width, height), Pillow.Resampling.LANCZOS))
