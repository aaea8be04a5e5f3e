"""Pixels to the text that shows them: half-blocks, kitty, iTerm2, sixel. Text in, text out; nothing is written here.

Each encoder takes an RGBA canvas, exactly as large as its cells (`pixels_per_cell`), whose alpha is 255 or 0, where the
terminal's own background stays. Each returns whole lines, the last one ended, so that text may follow.
"""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from invoke_shell.shell.display.terminal import Terminal

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["encode", "half_blocks", "iterm2", "kitty", "pixels_per_cell", "sixel"]

CHUNK = 4096  # the most base64 kitty takes in one escape sequence
PLACEHOLDER = "\U0010eeee"
SIXEL_COLOURS = 255  # one less than sixel has: the last index marks pixels left as they are

# Combining marks that number the rows and columns of kitty's placeholders, in the protocol's order: class 230 of
# Unicode 6.0 without those that fuse with a letter. Ranges "first-last" in hex.
MARKS = """
305 30d-30e 310 312 33d-33f 346 34a-34c 350-352 357 35b 363-36f 483-487 592-595 597-599 59c-5a1 5a8-5a9 5ab-5ac
5af 5c4 610-617 657-65b 65d-65e 6d6-6dc 6df-6e2 6e4 6e7-6e8 6eb-6ec 730 732-733 735-736 73a 73d 73f-741 743 745
747 749-74a 7eb-7f1 7f3 816-819 81b-823 825-827 829-82d 951 953-954 f82-f83 f86-f87 135d-135f 17dd 193a 1a17
1a75-1a7c 1b6b 1b6d-1b73 1cd0-1cd2 1cda-1cdb 1ce0 1dc0-1dc1 1dc3-1dc9 1dcb-1dcc 1dd1-1de6 1dfe 20d0-20d1
20d4-20d7 20db-20dc 20e1 20e7 20e9 20f0 2cef-2cf1 2de0-2dff a66f a67c-a67d a6f0-a6f1 a8e0-a8f1 aab0 aab2-aab3
aab7-aab8 aabe-aabf aac1 fe20-fe26 10a0f 10a38 1d185-1d189 1d1aa-1d1ad 1d242-1d244
"""

_pictures = count(1)


def encode(canvas: PILImage, columns: int, rows: int, terminal: Terminal) -> str:
    """The text that shows `canvas` on columns x rows cells of `terminal`; "" where only the path is shown."""
    if terminal.protocol == "kitty":
        return kitty(canvas, columns, rows, tmux=terminal.tmux)
    if terminal.protocol == "iterm2":
        return iterm2(canvas, columns, rows, tmux=terminal.tmux)
    if terminal.protocol == "sixel":
        return sixel(canvas)
    return half_blocks(canvas, true_colour=terminal.true_colour) if terminal.protocol == "half-blocks" else ""


def pixels_per_cell(terminal: Terminal) -> tuple[int, int]:
    """(width, height) of the canvas pixels one character cell takes."""
    return (1, 2) if terminal.protocol == "half-blocks" else terminal.cell


def half_blocks(canvas: PILImage, *, true_colour: bool = True) -> str:
    """Two pixels a character: the upper one is the ink of ▀, the lower one its paper."""
    colours = _true_colours(canvas) if true_colour else _palette_colours(canvas)
    opaque = canvas.getchannel("A").tobytes()
    cells = [colour if seen else "" for colour, seen in zip(colours, opaque, strict=True)]
    width = canvas.width
    rows = (cells[at : at + 2 * width] for at in range(0, len(cells), 2 * width))
    return "".join("".join(_half_block_row(row[:width], row[width:])) for row in rows)


def _half_block_row(uppers: list[str], lowers: list[str]) -> Iterator[str]:
    """A colour is written only where it changes: half the bytes."""
    ink = paper = ""
    for upper, lower in zip(uppers, lowers, strict=True):
        char, over, under = ("▄", lower, "") if lower and not upper else ("▀" if upper else " ", upper, lower)
        if under != paper:
            yield f"\x1b[48;{under}m" if under else "\x1b[49m"
        if over not in ("", ink):
            yield f"\x1b[38;{over}m"
        ink, paper = over or ink, under
        yield char
    yield "\x1b[0m\n"


def _true_colours(canvas: PILImage) -> Iterator[str]:
    rgb = canvas.convert("RGB").tobytes()
    return (f"2;{red};{green};{blue}" for red, green, blue in zip(rgb[::3], rgb[1::3], rgb[2::3], strict=True))


def _palette_colours(canvas: PILImage) -> Iterator[str]:
    """The nearest of xterm's 240 fixed colours, the error carried on to the neighbours."""
    return (f"5;{16 + index}" for index in canvas.convert("RGB").quantize(palette=_xterm_palette()).tobytes())


@cache
def _xterm_palette() -> PILImage:
    """Colours 16 to 255 of a 256-colour terminal: a 6x6x6 cube, then 24 greys. The first 16 are the person's own."""
    from PIL import Image

    levels = (0, 95, 135, 175, 215, 255)
    cube = [level for red in levels for green in levels for blue in levels for level in (red, green, blue)]
    greys = [8 + 10 * step for step in range(24) for _ in range(3)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(cube + greys)
    return palette


def kitty(canvas: PILImage, columns: int, rows: int, *, tmux: bool = False) -> str:
    """PNG in chunks, never by file (which breaks over ssh). Through tmux: a virtual picture and the cells that show it.

    Without tmux the picture has no number, so that none in the scrollback is ever replaced.
    """
    number = _picture_number()
    place = f"c={columns},r={rows},q=2" + (f",U=1,i={number}" if tmux else "")
    data = base64.b64encode(_png(canvas)).decode()
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    parts = []
    for index, chunk in enumerate(chunks):
        head = f"a=T,f=100,t=d,{place}," if index == 0 else "q=2,"
        parts.append(_through(f"\x1b_G{head}m={int(index < len(chunks) - 1)};{chunk}\x1b\\", tmux=tmux))
    return "".join(parts) + (_placeholders(number, columns, rows) if tmux else "\n")


def _picture_number() -> int:
    """A number for one picture in tmux: a high byte by process, a low byte by picture.

    The low byte is a colour of the 256, which every tmux passes on unchanged; the high byte is a mark on the cell.
    """
    return (os.getpid() % 254 + 1) << 24 | (next(_pictures) % 255 + 1)


def _placeholders(number: int, columns: int, rows: int) -> str:
    """Text whose cells show the picture, so tmux scrolls and clips it as text. Row, column and high byte on every cell,
    because tmux may redraw any one of them alone."""
    marks = _marks()
    high = marks[number >> 24]
    lines = []
    for row in marks[:rows]:
        cells = "".join(PLACEHOLDER + row + column + high for column in marks[:columns])
        lines.append(f"\x1b[38;5;{number & 255}m{cells}\x1b[39m\n")
    return "".join(lines)


@cache
def _marks() -> tuple[str, ...]:
    ranges = [[int(end, 16) for end in part.split("-")] for part in MARKS.split()]
    return tuple(chr(code) for ends in ranges for code in range(ends[0], ends[-1] + 1))


def iterm2(canvas: PILImage, columns: int, rows: int, *, tmux: bool = False) -> str:
    """One inline file, no larger than its cells need: over about 1 MB it dies on the way through tmux."""
    data = _png(canvas)
    head = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=0"
    return _through(f"\x1b]1337;File={head}:{base64.b64encode(data).decode()}\x07", tmux=tmux) + "\n"


def _through(sequence: str, *, tmux: bool) -> str:
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\" if tmux else sequence


def _png(canvas: PILImage) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    opaque = canvas.getchannel("A").getextrema()[0] == 255
    picture: Image.Image = canvas.convert("RGB") if opaque else canvas
    picture.save(file, "PNG", compress_level=1)  # a tenth larger than level 6, in a quarter of the time
    return file.getvalue()


def sixel(canvas: PILImage) -> str:
    """Up to 255 colours of the picture's own, in bands of six rows.

    The height is cut to whole bands: the overhang of a last one would push the text below down by a line.
    """
    width, height = canvas.width, max(6, canvas.height // 6 * 6)
    canvas = canvas.crop((0, 0, width, height))
    indexed = canvas.convert("RGB").quantize(SIXEL_COLOURS)
    indexed.paste(SIXEL_COLOURS, mask=canvas.getchannel("A").point(lambda alpha: 255 - alpha))
    data, palette = indexed.tobytes(), indexed.getpalette() or []
    bands = (data[at : at + 6 * width] for at in range(0, len(data), 6 * width))
    used = sorted(set(data) - {SIXEL_COLOURS})
    registers = "".join(f"#{index};2;{_percents(palette[index * 3 : index * 3 + 3])}" for index in used)
    body = "-".join("$".join(_sixel_band(band, width)) for band in bands)
    return f'\x1bP0;1;0q"1;1;{width};{height}{registers}{body}\x1b\\\n'


def _percents(rgb: list[int]) -> str:
    return ";".join(str(round(value * 100 / 255)) for value in rgb)


def _sixel_band(band: bytes, width: int) -> Iterator[str]:
    """One line a colour: character 63 + bits, the lowest bit the top row; runs as !count."""
    rows = [band[at : at + width] for at in range(0, len(band), width)]
    for index in sorted(set(band) - {SIXEL_COLOURS}):
        # Whole rows at once: translate gives each row's bit, and adding big integers joins the six.
        bits = sum(int.from_bytes(row.translate(_bit_of(index, place)), "big") for place, row in enumerate(rows))
        line = (bits + int.from_bytes(b"?" * width, "big")).to_bytes(width, "big").rstrip(b"?").decode()
        yield f"#{index}" + re.sub(r"(.)\1{3,}", lambda run: f"!{len(run[0])}{run[1]}", line)


@cache
def _bit_of(index: int, place: int) -> bytes:
    table = bytearray(256)
    table[index] = 1 << place
    return bytes(table)
