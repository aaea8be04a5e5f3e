"""A node that writes on pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from invoke_shell.commands.layers import canvas, in_mode, layered, mode_over
from invoke_shell.commands.letters import caption, unknown_letters
from invoke_shell.commands.params import Background, FontSize, refuse_huge
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Color
from invoke_shell.records import Frame, Image

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["text_label"]

Text = Annotated[str, Arg(help="What to write.", text=True)]
Where = Annotated[
    Literal["below", "above", "inside"],
    Arg(help="Under the picture, over it, or on it at the bottom."),
]
Ink = Annotated[Color, Arg(help="Colour of the letters.")]


@node(
    version=2,
    changes={2: "its letters are of another font, which has accents, Greek and Cyrillic"},
    group="change",
    examples=["@-1 | text_label a red boat", '@-1 | text_label "seed 7" --where inside --background #ffffff80'],
)
def text_label(
    ctx: Context,
    frame: Frame,
    text: Text,
    *,
    where: Where = "below",
    font_size: FontSize = 16,
    color: Ink = Color(0, 0, 0),
    background: Background = Color(255, 255, 255),
) -> Image:
    """Write a text under a picture, over it, or on it.

    Long texts are broken between words. Letters are Latin, Greek and Cyrillic; of others boxes are drawn, and that is
    said. The alpha of the picture is kept, and the strip has that of its background.
    """
    if lacking := unknown_letters([text]):
        ctx.say(f"text_label: {lacking}")
    strip = caption("text_label", text, frame.image.width, font_size, color, background)
    behind = replace(background, alpha=255) if where == "inside" else background
    whole = _inside(frame.image, strip) if where == "inside" else _beside(frame.image, strip, where, background)
    return in_mode(whole, mode_over(frame.image, replace(color, alpha=255), behind))


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
