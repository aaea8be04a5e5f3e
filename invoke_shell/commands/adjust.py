"""Nodes that change one picture's pixels, with Pillow."""

from typing import Annotated, Any, Literal

from invoke_shell.commands.params import Resampler, refuse_huge
from invoke_shell.errors import RunError
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Box, Size
from invoke_shell.records import Frame, Image

__all__ = ["blur", "crop", "resize"]

NewSize = Annotated[Size, Arg(help="Width x height.", unit="px", ge=1, le=16384)]
Fit = Annotated[
    Literal["fit", "fill", "stretch"],
    Arg(help="fit keeps all of it, fill cuts the sides that are too long, stretch bends it."),
]
Area = Annotated[Box, Arg(help="What to keep, x:y:width:height from the top left corner.")]
Radius = Annotated[float, Arg(help="Standard deviation of the blur.", unit="px", ge=0, le=500)]


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


@node(version=1, group="change", examples=["@-1 | crop 0:0:32:32"])
def crop(frame: Frame, box: Area) -> Image:
    """Keep a rectangle of a picture."""
    right, bottom = box.x + box.width, box.y + box.height
    if not box.width or not box.height or right > frame.image.width or bottom > frame.image.height:
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
