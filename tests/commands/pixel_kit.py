"""Small pictures for the tests of the nodes over pixels."""

from __future__ import annotations

from hypothesis import strategies as st

from invoke_shell.records import Image

MODES = ["L", "RGB", "RGBA"]
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def picture(rows: list[list[tuple[int, ...]]]) -> Image:
    """A picture of rows of pixels; their length says the mode."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[len(rows[0][0])]
    pixels = bytes(sample for row in rows for pixel in row for sample in pixel)
    return Image(mode=mode, width=len(rows[0]), height=len(rows), pixels=pixels)


def rows(image: Image) -> list[list[tuple[int, ...]]]:
    """The pixels of a picture, row by row; the inverse of picture."""
    step = len(image.mode)
    flat = [tuple(image.pixels[n : n + step]) for n in range(0, len(image.pixels), step)]
    return [flat[n : n + image.width] for n in range(0, len(flat), image.width)]


def grey(*lines: list[int]) -> Image:
    """An L picture of rows of levels."""
    return picture([[(v,) for v in line] for line in lines])


def levels(image: Image) -> list[list[int]]:
    """The rows of an L picture."""
    assert image.mode == "L"
    return [[p[0] for p in row] for row in rows(image)]


def colours(image: Image) -> list[tuple[int, ...]]:
    """Every pixel without its alpha."""
    return [p[:3] for row in rows(image) for p in row]


def alphas(image: Image) -> list[int]:
    """The alpha of every pixel; 255 where there is none."""
    return [p[3] if len(p) == 4 else 255 for row in rows(image) for p in row]


@st.composite
def pictures(draw: st.DrawFn, modes: list[str] = MODES, *, side: int = 5) -> Image:
    """Any picture of a few pixels."""
    mode = draw(st.sampled_from(modes))
    width, height = draw(st.integers(1, side)), draw(st.integers(1, side))
    count = width * height * len(mode)
    return Image(mode=mode, width=width, height=height, pixels=draw(st.binary(min_size=count, max_size=count)))
