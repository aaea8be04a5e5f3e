"""Nodes that write on pictures, in the font Pillow brings along (Aileron: Latin letters)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from invoke_shell.commands.layers import canvas, in_mode, layered, mode_over
from invoke_shell.commands.params import Background, FontSize, refuse_huge
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Color
from invoke_shell.records import Frame, Image

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["caption", "text_label"]

Text = Annotated[str, Arg(help="What to write.", text=True)]
Where = Annotated[
    Literal["below", "above", "inside"],
    Arg(help="Under the picture, over it, or on it at the bottom."),
]
Ink = Annotated[Color, Arg(help="Colour of the letters.")]


@node(
    version=1,
    group="change",
    examples=["@-1 | text_label a red boat", '@-1 | text_label "seed 7" --where inside --background #ffffff80'],
)
def text_label(
    frame: Frame,
    text: Text,
    *,
    where: Where = "below",
    font_size: FontSize = 16,
    color: Ink = Color(0, 0, 0),
    background: Background = Color(255, 255, 255),
) -> Image:
    """Write a text under a picture, over it, or on it.

    Long texts are broken between words. Letters outside Latin are drawn as boxes. The alpha of the picture is kept,
    and the strip has that of its background.
    """
    strip = caption("text_label", text, frame.image.width, font_size, color, background)
    behind = replace(background, alpha=255) if where == "inside" else background
    whole = _inside(frame.image, strip) if where == "inside" else _beside(frame.image, strip, where, background)
    return in_mode(whole, mode_over(frame.image, replace(color, alpha=255), behind))


def caption(name: str, text: str, width: int, font_size: int, color: Color, background: Color) -> PILImage:
    """A strip with a text in its middle, in as many rows as it needs; RGBA. name: of the node, for the error."""
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(font_size)
    rows = [row for line in text.splitlines() or [""] for row in _rows(line, lambda t: font.getlength(t) <= width)]
    high = round(font_size * 1.25)
    refuse_huge(name, width, len(rows) * high)
    size, ink = (width, len(rows) * high), (color.red, color.green, color.blue, color.alpha)
    letters = canvas(size, replace(color, alpha=0))
    draw = ImageDraw.Draw(letters)
    for number, row in enumerate(rows):
        draw.text((width / 2, (number + 0.5) * high), row, ink, font, anchor="mm")
    return layered(canvas(size, background), letters)


def _rows(text: str, fits: Callable[[str], bool]) -> list[str]:
    """A text broken between words; inside of one only where it does not fit alone."""
    rows = [""]
    for word in text.split():
        if fits(joined := f"{rows[-1]} {word}".strip()):
            rows[-1] = joined
            continue
        rows += [""] if rows[-1] else []
        for letter in word:
            rows += [] if fits(rows[-1] + letter) or not rows[-1] else [""]
            rows[-1] += letter
    return rows


def _inside(image: Image, strip: PILImage) -> PILImage:
    """A strip over the lower edge of a picture; its first rows, when it is higher."""
    return layered(image.pil().convert("RGBA"), strip, 0, max(0, image.height - strip.height))


def _beside(image: Image, strip: PILImage, where: str, background: Color) -> PILImage:
    """A strip under a picture, or over it."""
    refuse_huge("text_label", image.width, image.height + strip.height)
    below = where == "below"
    whole = canvas((image.width, image.height + strip.height), background)
    whole.paste(image.pil().convert("RGBA"), (0, 0 if below else strip.height))
    whole.paste(strip, (0, image.height if below else 0))
    return whole
