"""Letters on pictures: strips of text in a font that travels with the package, so that they are the same everywhere.

DejaVu Sans Condensed has Latin with all its accents, Greek, Cyrillic and the signs of mathematics. Letters are put side
by side without shaping (Pillow's basic layout): what another library would do about it differs from machine to machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.commands.layers import canvas, layered
from invoke_shell.commands.params import refuse_huge
from invoke_shell.pipeline.types import Color

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage
    from PIL.ImageFont import FreeTypeFont

__all__ = ["broken", "caption", "line_height", "unknown_letters", "width_of"]

FONT = Path(__file__).resolve().parent.parent / "assets" / "fonts" / "DejaVuSansCondensed.ttf"
NOWHERE = "\U0010ffff"  # no font has it: its picture is that of all letters that are not there
TOLD = 8  # letters that are named
NUMBER = re.compile(r"(?<=\w) (?=-?\d[\d.]*(?:,|$))")  # the blank in `seed 7`
PIECES = re.compile(r"[^_/-]*[_/-]|[^_/-]+")  # of a word that is too long: `dpmpp_2m_` and `karras`


def caption(
    name: str, text: str, width: int, font_size: int, color: Color, background: Color, *, most: int | None = None
) -> PILImage:
    """A strip with a text in its middle, in as many rows as it needs; RGBA. name: of the node, for the error.

    most: rows at most of each line of the text; the last of them ends in `…` when there is more.
    """
    from PIL import ImageDraw

    font, lines = _font(font_size), text.splitlines() or [""]
    rows = [row for line in lines for row in _rows(line, lambda t: font.getlength(t) <= width, most)]
    high = line_height(font_size)
    refuse_huge(name, width, len(rows) * high)
    size, ink = (width, len(rows) * high), (color.red, color.green, color.blue, color.alpha)
    letters = canvas(size, replace(color, alpha=0))
    draw = ImageDraw.Draw(letters)
    for number, row in enumerate(rows):
        draw.text((width / 2, (number + 0.5) * high), row, ink, font, anchor="mm")
    return layered(canvas(size, background), letters)


def line_height(font_size: int) -> int:
    """Pixels from row to row."""
    return round(font_size * 1.25)


def width_of(text: str, font_size: int) -> int:
    """Pixels that a text takes in one row."""
    return ceil(_font(font_size).getlength(text))


def unknown_letters(texts: Sequence[str]) -> str:
    """A sentence about the letters that the font lacks; "" when it has all."""
    lacking = [letter for letter in dict.fromkeys("".join(texts)) if not _has(letter)]
    if not lacking:
        return ""
    more = " …" if len(lacking) > TOLD else ""
    return f"the font has no {' '.join(lacking[:TOLD])}{more}: boxes stand there"


@lru_cache(maxsize=16)
def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(str(FONT), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1024)
def _has(letter: str) -> bool:
    if letter.isspace() or letter.isascii():
        return True
    font = _font(16)
    missing, found = font.getmask(NOWHERE), font.getmask(letter)
    return (found.size, bytes(found)) != (missing.size, bytes(missing))


def _rows(text: str, fits: Callable[[str], bool], most: int | None) -> list[str]:
    """The first rows of a text; the last says that there is more."""
    rows = broken(text, fits)
    return rows if most is None or len(rows) <= most else [*rows[: most - 1], _ended(rows[most - 1], fits)]


def broken(text: str, fits: Callable[[str], bool]) -> list[str]:
    """A text in rows, broken between words; inside of one only where it does not fit alone, behind its signs first.

    A name stays with its number, as long as they fit into a row.
    """
    rows = [""]
    for word in (word for pair in _pairs(text) for word in ([pair] if fits(pair) else pair.split())):
        if fits(joined := f"{rows[-1]} {word}".strip()):
            rows[-1] = joined
            continue
        rows += [""] if rows[-1] else []
        for piece in PIECES.findall(word):
            for part in [piece] if fits(piece) else piece:
                rows += [] if fits(rows[-1] + part) or not rows[-1] else [""]
                rows[-1] += part
    return rows


def _pairs(text: str) -> list[str]:
    """The words of a text, a name and its number as one."""
    return [pair.replace("\0", " ") for pair in NUMBER.sub("\0", " ".join(text.split())).split(" ")]


def _ended(row: str, fits: Callable[[str], bool]) -> str:
    """A row that says that more was to come."""
    while row and not fits(f"{row} …"):
        row = row[:-1].rstrip()
    return f"{row} …".strip()
