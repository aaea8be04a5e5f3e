"""Nodes that change colours, and leave every pixel and its alpha where they are. With Pillow; no torch."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from invoke_shell.commands.layers import in_colour, in_mode
from invoke_shell.commands.params import Other
from invoke_shell.errors import RunError
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.records import Frame, Image

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = [
    "brightness",
    "contrast",
    "grayscale",
    "hue",
    "invert",
    "levels",
    "match_colors",
    "posterize",
    "saturation",
]

Factor = Annotated[float, Arg(help="1 leaves the picture as it is, 0 takes all of it away.", ge=0, le=10)]
Black = Annotated[int, Arg(help="Level that becomes black.", ge=0, le=254)]
White = Annotated[int, Arg(help="Level that becomes white.", ge=1, le=255)]
Gamma = Annotated[float, Arg(help="Above 1 lightens the middle, below 1 darkens it.", ge=0.1, le=10)]
Degrees = Annotated[float, Arg(help="Turn of the colour wheel: 120 makes red green.", unit="degrees", ge=-360, le=360)]
Shades = Annotated[int, Arg(help="Shades a channel keeps.", ge=2, le=256)]


@node(version=1, group="change", examples=["@-1 | levels --black 16 --white 235", "@-1 | levels --gamma 0.8..1.2..0.2"])
def levels(frame: Frame, *, black: Black = 0, white: White = 255, gamma: Gamma = 1.0) -> Image:
    """Set what is black, what is white, how light the middle is.

    The same for each channel; what lies outside black and white is cut. Alpha is kept.
    """
    if black >= white:
        message = f"levels has --black {black} and --white {white}"
        raise RunError(message, hint="black lies below white", code="out-of-range")
    return _curved(frame.image, lambda v: 255 * min(1, max(0, (v - black) / (white - black))) ** (1 / gamma))


@node(version=1, group="change", examples=["@-1 | brightness 1.2"])
def brightness(frame: Frame, factor: Factor) -> Image:
    """Make a picture lighter or darker.

    Every channel times the factor, cut at white. Alpha is kept.
    """
    return _curved(frame.image, lambda v: v * factor)


@node(version=1, group="change", examples=["@-1 | contrast 1.3"])
def contrast(frame: Frame, factor: Factor) -> Image:
    """Take light and dark further apart, or bring them together.

    The distance of every channel from middle grey times the factor. Alpha is kept.
    """
    return _curved(frame.image, lambda v: 127.5 + (v - 127.5) * factor)


@node(version=1, group="change", examples=["@-1 | saturation 0.5..1.5..0.5"])
def saturation(frame: Frame, factor: Factor) -> Image:
    """Make colours stronger or paler.

    The distance of a pixel from the grey of its luminance times the factor. Alpha is kept.
    """
    from PIL import ImageEnhance

    return in_colour(frame.image, lambda pil: ImageEnhance.Color(pil).enhance(factor))


@node(version=1, group="change", examples=["@-1 | hue 120"])
def hue(frame: Frame, degrees: Degrees) -> Image:
    """Turn all colours on the colour wheel (HSV).

    Greys stay, and so do the lightest and the darkest channel of each pixel. Alpha is kept.
    """
    return in_colour(frame.image, lambda pil: pil if pil.mode == "L" else _turned(pil, degrees))


@node(version=1, group="change", examples=["@-1 | invert"])
def invert(frame: Frame) -> Image:
    """Make a negative.

    Alpha is kept.
    """
    return _curved(frame.image, lambda v: 255 - v)


@node(version=1, group="change", examples=["@-1 | grayscale"])
def grayscale(frame: Frame) -> Image:
    """Take the colour away.

    What is left is luminance (ITU-R 601), in one channel; with alpha in three, and alpha is kept.
    """
    return in_colour(frame.image, lambda pil: pil.convert("L"))


@node(version=1, group="change", examples=["@-1 | posterize 4"])
def posterize(frame: Frame, shades: Shades = 4) -> Image:
    """Keep a few shades of each colour.

    In each channel; black and white are among them. Alpha is kept.
    """
    return _curved(frame.image, lambda v: round(v * (shades - 1) / 255) * 255 / (shades - 1))


@node(version=1, group="change", examples=["@-1 | match_colors a.png", "@1..3 | match_colors @1"])
def match_colors(frame: Frame, other: Other) -> Image:
    """Give a picture the colours of another one.

    Each value becomes the one of the same rank in the other picture (histogram matching: Gonzalez and Woods,
    Digital Image Processing, 3.3.2). In whole numbers, so the same everywhere. What is fully transparent does not
    count; alpha is kept.
    """
    colourless = frame.image.mode == other.mode == "L"
    pil, model = frame.image.pil(), other.pil()
    ranks, wanted = _histograms(pil, colourless), _histograms(model, colourless)
    table = [v for have, want in zip(ranks, wanted, strict=True) for v in _matched(have, want)]
    plain = frame.image if colourless or pil.mode != "L" else in_mode(pil, "RGB")
    return in_colour(plain, lambda colours: colours.point(table))


def _curved(image: Image, curve: Callable[[float], float]) -> Image:
    """Each channel through one curve of 256 levels."""
    table = [min(255, max(0, round(curve(v)))) for v in range(256)]
    return in_colour(image, lambda pil: pil.point(table * len(pil.getbands())))


def _turned(pil: "PILImage", degrees: float) -> "PILImage":
    """RGB with its hue turned. In floats: Pillow's own HSV has 256 hues and does not come back from them.

    Smith 1978, "Color gamut transform pairs", in the form with one formula for the three channels.
    """
    import numpy as np
    from PIL import Image as Pillow

    rgb = np.asarray(pil, dtype=np.float64)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    top, chroma = rgb.max(axis=2), np.ptp(rgb, axis=2)
    some = np.where(chroma, chroma, 1)
    arcs = [(green - blue) / some, (blue - red) / some + 2]
    sector = np.select([top == red, top == green], arcs, (red - green) / some + 4) + degrees / 60
    turns = [(offset + sector) % 6 for offset in (5, 3, 1)]
    channels = [top - chroma * np.clip(np.minimum(turn, 4 - turn), 0, 1) for turn in turns]
    return Pillow.fromarray(np.rint(np.stack(channels, axis=2)).astype(np.uint8))


def _histograms(pil: "PILImage", colourless: bool) -> list[list[int]]:
    """How often each of 256 values comes, by channel; only where the picture is not fully transparent."""
    seen: Any = pil.getchannel("A") if pil.mode == "RGBA" else None
    counts = pil.convert("L" if colourless else "RGB").histogram(seen)
    return [counts[n : n + 256] for n in range(0, len(counts), 256)]


def _matched(have: list[int], want: list[int]) -> list[int]:
    """For each value the smallest wanted one that has at least as large a share of the pixels up to it.

    The share of a value is taken in its middle, so that a picture of one colour gets the median.
    """
    total, goal = sum(have), sum(want)
    if not total or not goal:
        return list(range(256))
    table, below, target, reached = [], 0, 0, want[0]
    for count in have:
        while reached * 2 * total < (2 * below + count) * goal:
            target += 1
            reached += want[target]
        below += count
        table.append(target)
    return table
