"""Nodes that make masks and use them. A mask is an L picture: white is repainted, black is kept."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from invoke_shell.commands.layers import check_inside, to_size
from invoke_shell.commands.params import BOX, Radius, Stencil
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Box, Color
from invoke_shell.records import Frame, Image

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["apply_mask", "mask_blur", "mask_from", "mask_grow", "mask_invert"]

What = Annotated[
    Literal["alpha", "color", "luminance", "ellipse", "rectangle"],
    Arg(help="What is white: the transparent part, one colour, what is light, or a shape."),
]
Key = Annotated[Color, Arg(help="With color: the colour that is white in the mask.")]
Tolerance = Annotated[int, Arg(help="With color: how far each channel may be from it.", ge=0, le=255)]
Threshold = Annotated[int, Arg(help="With luminance: the level from which on it is white.", ge=0, le=255)]
Region = Annotated[Box | None, Arg(help=BOX)]
Pixels = Annotated[int, Arg(help="How far the white part grows; less than 0 shrinks it.", unit="px", ge=-512, le=512)]


@node(
    version=1,
    group="mask",
    examples=[
        "@-1 | mask_from luminance --threshold 200",
        "load_image a.png | mask_from color --key red --tolerance 40 | mask_grow 4",
        "@-1 | mask_from ellipse --box 8:8:48:48",
    ],
)
def mask_from(
    frame: Frame,
    what: What,
    *,
    key: Key = Color(255, 255, 255),
    tolerance: Tolerance = 16,
    threshold: Threshold = 128,
    box: Region = None,
) -> Image:
    """Make a mask of a picture: white is repainted, black is kept.

    alpha: the more transparent, the whiter; a picture without alpha gives black. color and luminance look at the
    colours alone. A shape fills its box, or the whole picture without one.
    """
    from PIL import ImageChops

    pil = frame.image.pil()
    if what == "alpha":
        return Image.from_pil(ImageChops.invert(pil.convert("RGBA").getchannel("A")))
    if what == "color":
        return Image.from_pil(_distance(pil, key).point([255 * (v <= tolerance) for v in range(256)]))
    if what == "luminance":
        return Image.from_pil(_luminance(pil).point([255 * (v >= threshold) for v in range(256)]))
    return _shape(frame.image, what, box or Box(0, 0, *frame.image.size))


@node(version=1, group="mask", examples=["@-1 | mask_from luminance | mask_grow 8", "@-1 | mask_grow -2"])
def mask_grow(frame: Frame, pixels: Pixels) -> Image:
    """Make the white part of a mask larger, or smaller.

    By a square, and nothing comes in from outside of the picture. A picture is read as --mask reads it.
    """
    from PIL import ImageChops

    mask = as_mask(frame.image)
    if pixels >= 0:
        return Image.from_pil(_grown(mask, pixels))
    return Image.from_pil(ImageChops.invert(_grown(ImageChops.invert(mask), -pixels)))


@node(version=1, group="mask", examples=["@-1 | mask_from rectangle --box 8:8:32:32 | mask_blur 4"])
def mask_blur(frame: Frame, radius: Radius = 4.0) -> Image:
    """Soften the edge of a mask (Gaussian).

    A picture is read as --mask reads it.
    """
    from PIL import ImageFilter

    kernel: Any = ImageFilter.GaussianBlur(radius)
    return Image.from_pil(as_mask(frame.image).filter(kernel))


@node(version=1, group="mask", examples=["@-1 | mask_from luminance | mask_invert"])
def mask_invert(frame: Frame) -> Image:
    """Swap what is repainted and what is kept.

    A picture is read as --mask reads it.
    """
    from PIL import ImageChops

    return Image.from_pil(ImageChops.invert(as_mask(frame.image)))


@node(version=1, group="mask", examples=["@-1 | apply_mask mask.png"])
def apply_mask(ctx: Context, frame: Frame, mask: Stencil) -> Image:
    """Make the white part of a mask transparent.

    An alpha the picture had is replaced. A mask of another size is scaled by its nearest pixels, and said.
    """
    from PIL import ImageChops

    pil = frame.image.pil().convert("RGB")
    pil.putalpha(ImageChops.invert(to_size(ctx, "apply_mask", mask, frame.image.size, mask=True).pil()))
    return Image.from_pil(pil)


def as_mask(image: Image) -> "PILImage":
    """The rule of every --mask: the transparent part when a picture has any, else the light part."""
    from PIL import ImageChops

    pil = image.pil()
    if pil.mode == "RGBA" and pil.getchannel("A").getextrema() != (255, 255):
        return ImageChops.invert(pil.getchannel("A"))
    return _luminance(pil)


def _luminance(pil: "PILImage") -> "PILImage":
    return pil.convert("RGB").convert("L")


def _distance(pil: "PILImage", color: Color) -> "PILImage":
    """How far each pixel is from a colour, in the channel where it is farthest."""
    from PIL import Image as Pillow
    from PIL import ImageChops

    plain = Pillow.new("RGB", pil.size, (color.red, color.green, color.blue))
    red, green, blue = ImageChops.difference(pil.convert("RGB"), plain).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _shape(image: Image, what: str, box: Box) -> Image:
    """A white ellipse or rectangle on black. Raises RunError (wrong-shape) when it lies outside."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    check_inside("mask_from", box, image)
    mask = Pillow.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    round_one = what == "ellipse" and min(box.width, box.height) > 2  # Pillow draws none of the smallest
    (draw.ellipse if round_one else draw.rectangle)(
        (box.x, box.y, box.x + box.width - 1, box.y + box.height - 1), fill=255
    )
    return Image.from_pil(mask)


def _grown(mask: "PILImage", pixels: int) -> "PILImage":
    """The lightest within so many pixels, sideways and then up and down.

    Reach triples with each turn: 16 px of a 2048x2048 mask take 0.15 s, with Pillow's MaxFilter 12 s.
    """
    from PIL import ImageChops, ImageOps

    pixels = min(pixels, max(mask.size))
    grown = ImageOps.expand(mask, pixels)  # room for what grows out of the picture and back into it
    for across, down in ((1, 0), (0, 1)):
        reach = 0
        while reach < pixels:
            step = min(2 * reach + 1, pixels - reach)
            near = [_moved(grown, sign * step * across, sign * step * down) for sign in (-1, 1)]
            grown = ImageChops.lighter(grown, ImageChops.lighter(*near))
            reach += step
    return ImageOps.crop(grown, pixels)


def _moved(pil: "PILImage", x: int, y: int) -> "PILImage":
    """The same size, its pixels moved; black comes in."""
    return pil.crop((x, y, x + pil.width, y + pil.height))
