"""What the nodes over pixels share: places, layers, alpha put aside. No nodes, and Pillow inside functions only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.types import Box, Color
from invoke_shell.records import Image, Mode

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = [
    "canvas",
    "check_inside",
    "in_colour",
    "in_mode",
    "layered",
    "mode_over",
    "place_of",
    "shared_mode",
    "to_size",
]


def in_colour(image: Image, change: Callable[[PILImage], PILImage]) -> Image:
    """The picture with its colours changed and its alpha as it was. `change` gets L or RGB."""
    pil = image.pil()
    if pil.mode != "RGBA":
        return Image.from_pil(change(pil))
    changed = change(pil.convert("RGB")).convert("RGB")
    changed.putalpha(pil.getchannel("A"))
    return Image.from_pil(changed)


def in_mode(pil: PILImage, mode: Mode) -> Image:
    """A Pillow image as a picture of a mode; alpha is dropped where the mode has none."""
    return Image.from_pil(pil if pil.mode == mode else pil.convert(mode))


def mode_over(image: Image, *colors: Color) -> Mode:
    """The smallest mode that holds the picture and colours beside it."""
    if image.mode == "RGBA" or any(c.alpha < 255 for c in colors):
        return "RGBA"
    return "L" if image.mode == "L" and all(c.red == c.green == c.blue for c in colors) else "RGB"


def shared_mode(image: Image, other: Image) -> Mode:
    """The mode of a picture that gets another one's colours: its own, or RGB where grey meets colour."""
    return "RGB" if image.mode == "L" and other.mode != "L" else image.mode


def canvas(size: tuple[int, int], color: Color) -> PILImage:
    """An RGBA image of one colour."""
    from PIL import Image as Pillow

    return Pillow.new("RGBA", size, (color.red, color.green, color.blue, color.alpha))


def check_inside(name: str, box: Box, image: Image) -> None:
    """Raise RunError (wrong-shape) for a box that is empty or not all in the picture. name: of the node."""
    if not box.width or not box.height or box.x + box.width > image.width or box.y + box.height > image.height:
        what = "lies outside" if box.width and box.height else "is empty, in"
        raise RunError(
            f"{name} {box} {what} a picture of {image.width}x{image.height}",
            hint=f"its own box is 0:0:{image.width}:{image.height}",
            code="wrong-shape",
        )


def layered(below: PILImage, above: PILImage, left: int = 0, top: int = 0) -> PILImage:
    """One RGBA image laid over another at a point, which may lie outside."""
    from PIL import Image as Pillow

    layer = Pillow.new("RGBA", below.size)
    layer.paste(above, (left, top))
    return Pillow.alpha_composite(below, layer)


def place_of(place: str, room: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Left and top of something that stands at a place of a room; `top_left`, `center` ... Halves go left and up."""
    right = 0 if "left" in place else 2 if "right" in place else 1
    down = 0 if "top" in place else 2 if "bottom" in place else 1
    return (room[0] - size[0]) * right // 2, (room[1] - size[1]) * down // 2


def to_size(ctx: Context, name: str, image: Image, size: tuple[int, int], *, mask: bool = False) -> Image:
    """The picture at another size of its own shape, which is said; a mask by its nearest pixels.

    name: of the node. Raises RunError (wrong-shape) when the shape is another.
    """
    if image.size == size:
        return image
    width, height = size
    if not _one_shape(image.size, size):
        message = f"{name} got pictures of two shapes, {width}x{height} and {image.width}x{image.height}"
        raise RunError(message, hint=f"crop --to or resize {width}x{height} --how fill makes one", code="wrong-shape")
    from PIL import Image as Pillow

    what = "mask" if mask else "other picture"
    ctx.say(f"{name} scales the {what} from {image.width}x{image.height} to {width}x{height}")
    method = Pillow.Resampling.NEAREST if mask else Pillow.Resampling.LANCZOS
    return Image.from_pil(image.pil().resize(size, method))


def _one_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one size is the other one scaled, with a side rounded."""
    (a, b), (c, d) = size, other
    return min(abs(b * c / a - d), abs(a * d / b - c), abs(d * a / c - b), abs(c * b / d - a)) <= 0.5
