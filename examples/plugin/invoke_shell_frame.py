"""A whole plugin: one node. Help, flags, completion, checks, sweeps, metadata and replay follow from the signature."""

from typing import Annotated

from invoke_shell import Arg, Color, Frame, Image, node

Width = Annotated[int, Arg(help="Width of the frame.", unit="px", ge=1, le=256)]
Paint = Annotated[Color, Arg(help="Colour of the frame.")]


@node(version=1, examples=["@-1 | frame", "@-1 | frame 12 --color #884400"])
def frame(frame: Frame, width: Width = 8, *, color: Paint = Color(0, 0, 0)) -> Image:
    """Put a frame around a picture."""
    from PIL import ImageOps

    fill = (color.red, color.green, color.blue)
    return Image.from_pil(ImageOps.expand(frame.image.pil().convert("RGB"), border=width, fill=fill))
