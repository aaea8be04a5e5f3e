"""Nodes over several pictures: sheets, pairs, layers."""

from math import ceil, sqrt
from typing import TYPE_CHECKING, Annotated, Literal

from invoke_shell.commands.draw import caption
from invoke_shell.commands.layers import canvas, in_mode, layered, place_of, shared_mode, to_size
from invoke_shell.commands.params import Background, FontSize, Gap, Opacity, Other, Place, refuse_huge
from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Color
from invoke_shell.records import Frame, Image, Json, StepRecord

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["blend", "compare", "contact_sheet", "paste_image"]

BLACK, WHITE = Color(0, 0, 0), Color(255, 255, 255)

Columns = Annotated[int | None, Arg(help="Pictures in a row; none makes it about square.", ge=1, le=256)]
Label = Annotated[list[str], Arg(help="A value to write under each picture: seed, guidance, prompt ...")]
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


@node(
    version=1,
    group="combine",
    examples=[
        "@1..3 | contact_sheet",
        'txt2img "a star" --seed 1..4 | contact_sheet --columns 2 --label seed',
    ],
)
def contact_sheet(
    frames: list[Frame],
    *,
    columns: Columns = None,
    gap: Gap = 4,
    background: Background = WHITE,
    label: Label = (),  # type: ignore[assignment]  # a node always gets a list
    font_size: FontSize = 16,
) -> Image:
    """Put all pictures on one sheet, in reading order.

    Each cell is as large as the largest picture; smaller ones stand in its middle. --label writes a value that the
    picture was made with under it, the latest of that name in its history; repeat it for more.
    """
    if not frames:
        raise RunError("contact_sheet got no pictures", hint="begin with some, as in: @1..4 | contact_sheet")
    across = min(columns or ceil(sqrt(len(frames))), len(frames))
    down = ceil(len(frames) / across)
    width, height = max(f.image.width for f in frames), max(f.image.height for f in frames)
    strips = _strips(frames, label, width, font_size, background)
    high = height + max((s.height for s in strips), default=0)
    size = (across * (width + gap) + gap, down * (high + gap) + gap)
    refuse_huge("contact_sheet", *size)
    sheet = canvas(size, background)
    for n, frame in enumerate(frames):
        left, top = gap + n % across * (width + gap), gap + n // across * (high + gap)
        x, y = place_of("center", (width, height), frame.image.size)
        pil = frame.image.pil().convert("RGBA")
        sheet.paste(pil, (left + x, top + y), pil)
        if strips:
            sheet.paste(strips[n], (left, top + height))
    return in_mode(sheet, "RGB")


@node(version=1, group="combine", examples=["@-1 | compare @1", "load_image a.png | compare b.png --gap 8"])
def compare(frame: Frame, other: Other, *, gap: Gap = 4, background: Background = WHITE) -> Image:
    """Put another picture to the right of each, with a line between them.

    The other one is brought to the same height. What is transparent shows the background.
    """
    from PIL import Image as Pillow

    high = frame.image.height
    wide = max(1, round(other.width * high / other.height))
    size = (frame.image.width + gap + wide, high)
    refuse_huge("compare", *size)
    right = other.pil().convert("RGBA").resize((wide, high), Pillow.Resampling.LANCZOS)
    whole = layered(canvas(size, background), frame.image.pil().convert("RGBA"))
    return in_mode(layered(whole, right, frame.image.width + gap), "RGB")


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


def _strips(frames: list[Frame], names: list[str], width: int, font_size: int, background: Color) -> list["PILImage"]:
    """The labels of a sheet, one a picture; none without names. Raises RunError for a name that no picture has."""
    found = [[_value(f.step, name) for name in names] for f in frames]
    for n, name in enumerate(names):
        if all(values[n] is None for values in found):
            message = f"contact_sheet --label {name}: no picture was made with a value of this name"
            raise RunError(message, hint="info tells the values of a picture", code="bad-choice")
    ink = BLACK if background.red + background.green + background.blue > 382 else WHITE
    texts = [", ".join(_said(n, v) for n, v in zip(names, values, strict=True) if v is not None) for values in found]
    return [caption("contact_sheet", t, width, font_size, ink, background) for t in texts] if names else []


def _value(step: StepRecord | None, name: str) -> Json:
    """The latest value of a name in a picture's history, along the pictures that were piped; None when there is none.

    From the recorded steps and not from the values that flow: a replay has the same steps.
    """
    while step is not None:
        if name in step.params or name in step.models:
            return step.params[name] if name in step.params else step.models[name].name
        before = next(iter(step.inputs.values()), ())
        step = next((i for i in before if isinstance(i, StepRecord)), None)
    return None


def _said(name: str, value: Json) -> str:
    """A text speaks for itself, a number needs its name."""
    return value if isinstance(value, str) else f"{name} {value}"


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
