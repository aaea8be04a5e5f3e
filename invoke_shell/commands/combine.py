"""Nodes over many pictures at once."""

from math import ceil, sqrt
from typing import Annotated

from invoke_shell.commands.params import refuse_huge
from invoke_shell.errors import RunError
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Color
from invoke_shell.records import Frame, Image

__all__ = ["contact_sheet"]

Columns = Annotated[int | None, Arg(help="Pictures in a row; none makes it about square.", ge=1, le=256)]
Gap = Annotated[int, Arg(help="Space between pictures.", unit="px", ge=0, le=512)]
Background = Annotated[Color, Arg(help="Colour between the pictures.")]


@node(
    version=1,
    group="combine",
    examples=["@1..3 | contact_sheet", 'txt2img "a star" --seed 1..4 | contact_sheet --columns 2'],
)
def contact_sheet(
    frames: list[Frame], *, columns: Columns = None, gap: Gap = 4, background: Background = Color(255, 255, 255)
) -> Image:
    """Put all pictures on one sheet, in reading order.

    Each cell is as large as the largest picture; smaller ones stand in its middle.
    """
    from PIL import Image as Pillow

    if not frames:
        raise RunError("contact_sheet got no pictures", hint="begin with some, as in: @1..4 | contact_sheet")
    across = min(columns or ceil(sqrt(len(frames))), len(frames))
    down = ceil(len(frames) / across)
    width, height = max(f.image.width for f in frames), max(f.image.height for f in frames)
    size = (across * (width + gap) + gap, down * (height + gap) + gap)
    refuse_huge("contact_sheet", *size)
    sheet = Pillow.new("RGB", size, (background.red, background.green, background.blue))
    for n, frame in enumerate(frames):
        pil = frame.image.pil().convert("RGBA")
        left = gap + n % across * (width + gap) + (width - pil.width) // 2
        top = gap + n // across * (height + gap) + (height - pil.height) // 2
        sheet.paste(pil, (left, top), pil)
    return Image.from_pil(sheet)
