"""Whether a picture hides metadata in its alpha channel, as `stealth pnginfo` does. Told by its mark alone.

The lowest bits of the alpha values, column by column, begin with 15 letters. Only the rows that hold them are inflated.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import BinaryIO

from invoke_shell.metadata.png import Png, chunks

__all__ = ["has_stealth"]

MARKS = (b"stealth_pnginfo", b"stealth_pngcomp")
BITS = 120
RGBA = 6
WIDEST = 16_384  # pixels; 120 rows of it are 8 MB


def has_stealth(file: BinaryIO, png: Png) -> bool:
    """True when the alpha channel begins with the mark. Never raises for damaged pixels."""
    height = min(png.height, BITS)
    width = -(-BITS // height)
    if (png.bits, png.color) != (8, RGBA) or not width <= png.width <= WIDEST:
        return False
    alphas = _alphas(_rows(file, height * (png.width * 4 + 1)), png.width * 4 + 1, width)
    bits = "".join(str(row[x] & 1) for x in range(width) for row in alphas)[:BITS]
    return len(alphas) == height and int(bits, 2).to_bytes(BITS // 8) in MARKS


def _rows(file: BinaryIO, count: int) -> bytes:
    """The first `count` bytes of the filtered rows, fewer when they cannot be inflated."""
    stream, rows = zlib.decompressobj(), b""
    try:
        for name, offset, length in chunks(file):
            if name == b"IDAT" and len(rows) < count:
                file.seek(offset)
                rows += stream.decompress(file.read(length), count - len(rows))
    except zlib.error:
        pass
    return rows


def _alphas(rows: bytes, stride: int, width: int) -> list[list[int]]:
    """The alpha values of the first `width` pixels of each whole row."""
    out: list[list[int]] = []
    above = [0] * width
    for start in range(0, len(rows) - stride + 1, stride):
        line = rows[start + 4 : start + stride : 4][:width]
        above = _unfiltered(rows[start], line, above)
        out.append(above)
    return out


def _unfiltered(kind: int, line: Sequence[int], above: Sequence[int]) -> list[int]:
    """One channel of a row, its PNG filter undone."""
    out: list[int] = []
    for x, value in enumerate(line):
        left, corner = (out[-1], above[x - 1]) if x else (0, 0)
        out.append((value + _predicted(kind, left, above[x], corner)) & 255)
    return out


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        near = left + up - corner  # Paeth
        return min((left, up, corner), key=lambda value: abs(near - value))
    return (0, left, up, (left + up) // 2)[kind] if kind < 4 else 0
