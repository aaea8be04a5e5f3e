"""Nodes that change one picture's pixels, with Pillow."""

from typing import Annotated, Any, Literal

from invoke_shell.commands.layers import canvas, in_colour, in_mode, layered, mode_over, place_of
from invoke_shell.commands.params import BOX, Background, Place, Radius, Resampler, refuse_huge
from invoke_shell.errors import RunError
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Box, Color, Size
from invoke_shell.records import Frame, Image

__all__ = ["blur", "crop", "flip", "pad", "resize", "rotate", "sharpen"]

NewSize = Annotated[Size, Arg(help="Width x height.", unit="px", ge=1, le=16384)]
To = Annotated[Size | None, Arg(help="Width x height of the result.", unit="px", ge=1, le=16384)]
Fit = Annotated[
    Literal["fit", "fill", "stretch"],
    Arg(help="fit keeps all of it, fill cuts the sides that are too long, stretch bends it."),
]
Area = Annotated[Box | None, Arg(help=BOX, excludes="to")]
Margin = Annotated[int, Arg(help="Pixels to add on every side.", unit="px", ge=0, le=4096)]
Left = Annotated[int, Arg(help="More pixels on the left.", unit="px", ge=0, le=4096)]
Right = Annotated[int, Arg(help="More pixels on the right.", unit="px", ge=0, le=4096)]
Top = Annotated[int, Arg(help="More pixels at the top.", unit="px", ge=0, le=4096)]
Bottom = Annotated[int, Arg(help="More pixels at the bottom.", unit="px", ge=0, le=4096)]
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
        share = min(size.width / pil.width, size.height / pil.height)
        refuse_huge("resize", round(pil.width * share), round(pil.height * share))
        return Image.from_pil(ImageOps.contain(pil, wanted, method))
    refuse_huge("resize", *wanted)
    if how == "fill":
        return Image.from_pil(ImageOps.fit(pil, wanted, method))
    return Image.from_pil(pil.resize(wanted, method))


@node(version=1, group="change", examples=["@-1 | crop 0:0:32:32", "@-1 | crop --to 48x32 --place top"])
def crop(frame: Frame, box: Area = None, *, to: To = None, place: Place = "center") -> Image:
    """Keep a rectangle of a picture: a box, or a size at a place.

    Alpha is kept.
    """
    if box is None and to is None:
        raise RunError("crop needs to know what to keep", hint=CROPS, code="missing-argument")
    whole, cut = frame.image, box or _box_of(frame.image, to, place)
    right, bottom = box.x + box.width, box.y + box.height
    if not box.width or not box.height or right > whole.width or bottom > whole.height:
        raise RunError(
            f"crop {box} lies outside a picture of {frame.image.width}x{frame.image.height}",
            hint=f"its own box is 0:0:{frame.image.width}:{frame.image.height}",
            code="wrong-shape",
        )
    return Image.from_pil(frame.image.pil().crop((box.x, box.y, right, bottom)))


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
