"""Nodes that change one picture's pixels, with Pillow."""

from math import ceil, cos, radians, sin
from typing import TYPE_CHECKING, Annotated, Any, Literal

from invoke_shell.commands.layers import canvas, check_inside, in_mode, layered, mode_over, place_of
from invoke_shell.commands.params import BOX, Background, Place, Radius, Resampler, refuse_huge
from invoke_shell.errors import RunError
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Box, Color, Size
from invoke_shell.records import Frame, Image

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["blur", "crop", "flip", "pad", "resize", "rotate", "sharpen"]

NewSize = Annotated[Size, Arg(help="Width x height.", unit="px", ge=1, le=16384)]
Fit = Annotated[
    Literal["fit", "fill", "stretch"],
    Arg(help="fit keeps all of it, fill cuts the sides that are too long, stretch bends it."),
]
Area = Annotated[Box | None, Arg(help=BOX, excludes="to")]
To = Annotated[Size | None, Arg(help="Width x height of the result.", unit="px", ge=1, le=16384, aliases=("--size",))]
Margin = Annotated[int, Arg(help="How much to add on every side.", unit="px", ge=0, le=8192)]
Left = Annotated[int, Arg(help="More on the left.", unit="px", ge=0, le=8192)]
Right = Annotated[int, Arg(help="More on the right.", unit="px", ge=0, le=8192)]
Top = Annotated[int, Arg(help="More at the top.", unit="px", ge=0, le=8192)]
Bottom = Annotated[int, Arg(help="More at the bottom.", unit="px", ge=0, le=8192)]
Angle = Annotated[float, Arg(help="How far to turn, clockwise.", unit="degrees", ge=-360, le=360)]
Direction = Annotated[Literal["horizontal", "vertical"], Arg(help="Which way it is mirrored.")]
Amount = Annotated[float, Arg(help="How much of the difference to a blurred copy is added.", ge=0, le=10)]


@node(version=1, group="change", examples=["@-1 | resize 96x64", "load_image a.png | resize 64x64 --how fill"])
def resize(frame: Frame, size: NewSize, *, how: Fit = "fit", resampler: Resampler = "lanczos") -> Image:
    """Make a picture another size."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    method = Pillow.Resampling[resampler.upper()]
    pil, wanted = frame.image.pil(), (size.width, size.height)
    if how == "fit":
        wanted = _within(pil.size, wanted)
    refuse_huge("resize", *wanted)
    if how == "fill":
        return Image.from_pil(ImageOps.fit(pil, wanted, method))
    return Image.from_pil(pil.resize(wanted, method))


@node(version=1, group="change", examples=["@-1 | crop 0:0:32:32", "@-1 | crop --to 48x32 --place top"])
def crop(frame: Frame, box: Area = None, *, to: To = None, place: Place = "center") -> Image:
    """Keep a rectangle of a picture: a box, or a size at a place."""
    box = box or _box_at(frame.image, to, place)
    check_inside("crop", box, frame.image)
    return Image.from_pil(frame.image.pil().crop((box.x, box.y, box.x + box.width, box.y + box.height)))


@node(
    version=1,
    group="change",
    examples=["@-1 | pad 16", "@-1 | pad --left 32 --background #884400", "@-1 | pad --to 128x96 --place bottom"],
)
def pad(
    frame: Frame,
    margin: Margin = 0,
    *,
    left: Left = 0,
    right: Right = 0,
    top: Top = 0,
    bottom: Bottom = 0,
    to: To = None,
    place: Place = "center",
    background: Background = Color(255, 255, 255),
) -> Image:
    """Add room around a picture, or as much as makes it a size.

    --to counts with what the sides have been given, and --place says where the picture then stands. Alpha is kept; a
    background that is not opaque (#ffffff00) makes the picture one with alpha.
    """
    image = frame.image
    sides = image.width + left + right + 2 * margin, image.height + top + bottom + 2 * margin
    size = (to.width, to.height) if to else sides
    if size[0] < sides[0] or size[1] < sides[1]:
        message = f"pad --to {to} is smaller than {sides[0]}x{sides[1]}"
        raise RunError(message, hint="crop --to cuts, resize makes smaller", code="wrong-shape")
    refuse_huge("pad", *size)
    x, y = place_of(place, size, sides)
    whole = canvas(size, background)
    whole.paste(image.pil().convert("RGBA"), (x + left + margin, y + top + margin))
    return in_mode(whole, mode_over(image, background))


@node(version=1, group="change", examples=["@-1 | rotate 90", "@-1 | rotate -7.5 --background black"])
def rotate(frame: Frame, angle: Angle, *, background: Background = Color(255, 255, 255)) -> Image:
    """Turn a picture clockwise.

    Quarter turns move pixels and change none. Any other angle makes the picture larger, so that all of it is there,
    with smooth edges on the background; alpha is turned with it.
    """
    from PIL import Image as Pillow

    turns = angle % 360 / 90
    if turns != int(turns):
        turned = _tilted(frame.image.pil().convert("RGBA"), angle)
        return in_mode(layered(canvas(turned.size, background), turned), mode_over(frame.image, background))
    moves = [None, Pillow.Transpose.ROTATE_270, Pillow.Transpose.ROTATE_180, Pillow.Transpose.ROTATE_90]
    move = moves[int(turns)]
    return frame.image if move is None else Image.from_pil(frame.image.pil().transpose(move))


@node(version=1, group="change", examples=["@-1 | flip horizontal"])
def flip(frame: Frame, direction: Direction) -> Image:
    """Mirror a picture, left to right or top to bottom.

    `horizontal` swaps left and right, `vertical` top and bottom.
    """
    from PIL import ImageOps

    turn = ImageOps.mirror if direction == "horizontal" else ImageOps.flip
    return Image.from_pil(turn(frame.image.pil()))


@node(version=1, group="change", examples=["@-1 | blur 2"])
def blur(frame: Frame, radius: Radius = 2.0) -> Image:
    """Blur a picture (Gaussian)."""
    from PIL import ImageFilter

    if not radius:
        return frame.image
    kernel: Any = ImageFilter.GaussianBlur(radius)
    pil = frame.image.pil()
    if pil.mode == "RGBA":  # weighted by alpha, or the colour of what is transparent bleeds into the rest
        return Image.from_pil(pil.convert("RGBa").filter(kernel).convert("RGBA"))
    return Image.from_pil(pil.filter(kernel))


@node(version=1, group="change", examples=["@-1 | sharpen", "@-1 | sharpen 0.5 --radius 3"])
def sharpen(frame: Frame, amount: Amount = 1.0, *, radius: Radius = 2.0) -> Image:
    """Sharpen a picture (unsharp mask).

    Alpha is kept.
    """
    from PIL import Image as Pillow

    pil, soft = frame.image.pil(), blur(frame, radius).pil()
    sharp = Pillow.blend(soft, pil, 1 + amount)
    if pil.mode == "RGBA":
        sharp.putalpha(pil.getchannel("A"))
    return Image.from_pil(sharp)


def _tilted(pil: "PILImage", angle: float) -> "PILImage":
    """An RGBA image turned clockwise, bicubic; transparent where there is none of it, without jagged edges.

    Its outermost pixels go on beyond the edge, and what of it is picture is turned beside it. Tried: a transparent
    border alone, but then bicubic draws a light line along the edge.
    """
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageChops, ImageOps

    across, up = abs(cos(radians(angle))), abs(sin(radians(angle)))
    refuse_huge("rotate", ceil(pil.width * across + pil.height * up), ceil(pil.height * across + pil.width * up))
    wider = Pillow.fromarray(np.pad(np.asarray(pil), ((2, 2), (2, 2), (0, 0)), "edge"))
    cover = ImageOps.expand(Pillow.new("L", pil.size, 255), 2).rotate(-angle, Pillow.Resampling.BILINEAR, expand=True)
    turned = wider.rotate(-angle, Pillow.Resampling.BICUBIC, expand=True)
    turned.putalpha(ImageChops.multiply(turned.getchannel("A"), cover))
    return turned.crop(cover.getbbox())


def _within(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """The largest size of this shape in a room, at least one pixel wide and high."""
    (width, height), (across, down) = size, room
    if width * down > height * across:
        return across, max(1, round(height / width * across))
    return max(1, round(width / height * down)), down


def _box_at(image: Image, to: Size | None, place: str) -> Box:
    """The box of a size at a place of a picture. Raises RunError without a size, or with one that is larger."""
    if to is None:
        hint = "as in: crop 0:0:32:32, or: crop --to 32x32"
        raise RunError("crop needs a box, or a size with --to", hint=hint, code="missing-argument")
    if to.width > image.width or to.height > image.height:
        message = f"crop --to {to} is larger than a picture of {image.width}x{image.height}"
        raise RunError(message, hint="pad --to adds room, resize makes larger", code="wrong-shape")
    return Box(*place_of(place, image.size, (to.width, to.height)), to.width, to.height)
