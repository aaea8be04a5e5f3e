"""Nodes that make pictures larger."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from invoke_shell.commands.layers import check_inside
from invoke_shell.commands.params import BOX, Opacity, Scale, Upscaler, refuse_huge
from invoke_shell.pipeline.context import Context, Enlargement
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Box
from invoke_shell.records import Frame, Image, Made, ModelRecord

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["restore_faces", "upscale"]

FACE = 512  # px; what face networks were trained at
FaceModel = Annotated[ModelRecord, Arg(help="A network that draws faces anew.", model="upscaler")]
Faces = Annotated[list[Box], Arg(help=f"{BOX} One face each.")]


@node(
    version=2,
    changes={2: "the tiles of a picture of more than 512 px fade into each other"},
    group="change",
    examples=[
        "@-1 | upscale",
        "@-1 | upscale --upscaler pocket-2x",
        "@-1 | upscale --scale 4 --upscaler pocket-4x",
        "load_image a.png | upscale --scale 3",
    ],
)
def upscale(ctx: Context, frame: Frame, *, scale: Scale = 2.0, upscaler: Upscaler = None) -> Iterator[Made | Image]:
    """Make a picture larger, by an upscaler network or Lanczos.

    A network has a factor of its own; what is left of the scale is done with Lanczos. Alpha is kept.
    """
    width, height = (max(1, round(side * scale)) for side in frame.image.size)
    refuse_huge("upscale", width, height)
    if upscaler is not None:
        yield from ctx.engine.enlarge(Enlargement(image=frame.image, model=upscaler, scale=scale))
        return
    from PIL import Image as Pillow

    yield Image.from_pil(frame.image.pil().resize((width, height), Pillow.Resampling.LANCZOS))


@node(
    version=1,
    group="change",
    examples=[
        "@-1 | restore_faces --face-model pocket-2x --box 8:8:48:48",
        "load_image a.png | restore_faces --face-model pocket-2x --opacity 0.7",
    ],
)
def restore_faces(
    ctx: Context,
    frame: Frame,
    *,
    face_model: FaceModel,
    box: Faces = (),  # type: ignore[assignment]  # none
    opacity: Opacity = 1.0,
) -> Image | Made:
    """Draw faces anew with a network such as GFPGAN.

    Each --box is one face with some room around it; without one the whole picture is taken as a face. It is drawn
    at 512x512 and fades into the picture toward its sides; --opacity keeps some of the old face. Nothing here looks
    for faces: that takes a model of its own. Such networks lie among the upscalers and need an extra: pip install
    'invoke-shell[upscalers]'.
    """
    from PIL import Image as Pillow

    picture = frame.image.pil()
    boxes = [_square(ctx, one, frame.image) for one in box or (Box(0, 0, *frame.image.size),)]
    for one in boxes:
        place = (one.x, one.y, one.x + one.width, one.y + one.height)
        face = picture.crop(place).convert("RGB").resize((FACE, FACE), Pillow.Resampling.LANCZOS)
        made = next(iter(ctx.engine.enlarge(Enlargement(image=Image.from_pil(face), model=face_model, scale=1.0))))
        drawn = made.image.pil().resize((one.width, one.height), Pillow.Resampling.LANCZOS)
        picture.paste(drawn.convert(frame.image.mode), place[:2], _oval(one.width, one.height, opacity))
    if frame.image.mode == "RGBA":
        picture.putalpha(frame.image.pil().getchannel("A"))
    return Made(image=Image.from_pil(picture), facts={**made.facts, "faces": [str(one) for one in boxes]})


def _square(ctx: Context, box: Box, image: Image) -> Box:
    """A square around the middle of a box, inside of the picture: the networks know no other faces."""
    check_inside("restore_faces", box, image)
    side = min(max(box.width, box.height), *image.size)
    x = min(max(0, box.x + (box.width - side) // 2), image.width - side)
    y = min(max(0, box.y + (box.height - side) // 2), image.height - side)
    if (box.width, box.height) != (side, side):
        ctx.say(f"restore_faces takes {side}x{side} at {x}:{y} for {box}: a square")
    return Box(x, y, side, side)


def _oval(width: int, height: int, opacity: float) -> "PILImage":
    """A mask that falls off toward the sides of a box."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFilter

    mask, soft = Pillow.new("L", (width, height)), max(width, height) / 24
    inset = round(2 * soft)
    right, bottom = max(inset, width - 1 - inset), max(inset, height - 1 - inset)
    ImageDraw.Draw(mask).rounded_rectangle((inset, inset, right, bottom), min(width, height) // 4, fill=255)
    kernel: Any = ImageFilter.GaussianBlur(soft)
    return mask.filter(kernel).point([round(level * opacity) for level in range(256)])
