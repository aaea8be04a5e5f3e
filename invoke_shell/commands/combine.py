"""Nodes that lay one picture on another."""

from typing import TYPE_CHECKING, Annotated, Literal

from invoke_shell.commands.layers import in_mode, layered, place_of, shared_mode, to_size
from invoke_shell.commands.params import Opacity, Other, Place, refuse_huge
from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.records import Frame, Image

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["blend", "paste_image"]

Mode = Annotated[
    Literal[
        "normal",
        "multiply",
        "screen",
        "overlay",
        "soft_light",
        "hard_light",
        "darker",
        "lighter",
        "difference",
        "add",
        "subtract",
    ],
    Arg(help="How the colours of the two are mixed, as in paint programs."),
]
Times = Annotated[float, Arg(help="How many times as wide and high.", ge=0.01, le=16)]
OffsetX = Annotated[int, Arg(help="Moved to the right; less than 0, to the left.", unit="px", ge=-16384, le=16384)]
OffsetY = Annotated[int, Arg(help="Moved down; less than 0, up.", unit="px", ge=-16384, le=16384)]


@node(version=1, group="combine", examples=["@-1 | blend a.png --opacity 0.5", "@-1 | blend @1 --mode multiply"])
def blend(ctx: Context, frame: Frame, other: Other, *, mode: Mode = "normal", opacity: Opacity = 1.0) -> Image:
    """Lay another picture over each, of the same size.

    As a layer in a paint program (W3C Compositing and Blending 1): where the other one is transparent it is not seen,
    and where the first one is, the other is not mixed. One of another size is scaled, and said, if its shape is the
    same.
    """
    below = frame.image.pil().convert("RGBA")
    above = to_size(ctx, "blend", other, frame.image.size).pil().convert("RGBA")
    layer = _faded(above if mode == "normal" else _mixed(below, above, mode), opacity)
    return in_mode(layered(below, layer), shared_mode(frame.image, other))


@node(
    version=1,
    group="combine",
    examples=[
        "@-1 | paste_image a.png --scale 0.25 --place bottom_right",
        "@-1 | paste_image a.png --x 8 --y -4 --opacity 0.5",
    ],
)
def paste_image(
    frame: Frame,
    other: Other,
    *,
    place: Place = "center",
    x: OffsetX = 0,
    y: OffsetY = 0,
    scale: Times = 1.0,
    opacity: Opacity = 1.0,
) -> Image:
    """Put another picture on each, at a place.

    What hangs over the edge is cut. The alpha of both counts, as with layers in a paint program.
    """
    from PIL import Image as Pillow

    below, above = frame.image.pil().convert("RGBA"), other.pil().convert("RGBA")
    size = max(1, round(other.width * scale)), max(1, round(other.height * scale))
    refuse_huge("paste_image", *size)
    left, top = (at + move for at, move in zip(place_of(place, below.size, size), (x, y), strict=True))
    if not (-size[0] < left < below.width and -size[1] < top < below.height):
        message = f"paste_image puts a picture of {size[0]}x{size[1]} at {left},{top}, outside of one of"
        raise RunError(
            f"{message} {below.width}x{below.height}", hint="--x and --y move it from its --place", code="wrong-shape"
        )
    above = _faded(above.resize(size, Pillow.Resampling.LANCZOS), opacity)
    return in_mode(layered(below, above, left, top), shared_mode(frame.image, other))


def _faded(pil: "PILImage", opacity: float) -> "PILImage":
    """With its alpha times an opacity."""
    pil.putalpha(pil.getchannel("A").point([round(v * opacity) for v in range(256)]))
    return pil


def _mixed(below: "PILImage", above: "PILImage", mode: str) -> "PILImage":
    """The upper layer in the colours that the mode gives, as far as there is something below it."""
    from PIL import Image as Pillow
    from PIL import ImageChops

    plain = above.convert("RGB")
    colours = getattr(ImageChops, mode)(below.convert("RGB"), plain)
    layer = Pillow.composite(colours, plain, below.getchannel("A"))
    layer.putalpha(above.getchannel("A"))
    return layer
