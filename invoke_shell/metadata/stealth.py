"""Metadata in a picture's alpha channel, as `stealth pnginfo` hides it.

The lowest bits of the alpha values, column by column: 15 letters, a length in bits, the text, which may be gzipped.
Whether it is there is told from the rows that hold the letters; only a picture that has them is decoded.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO

from invoke_shell.metadata.png import Png, chunks, strip

__all__ = ["has_stealth", "hidden_texts"]

MARKS = (b"stealth_pnginfo", b"stealth_pngcomp")
BITS = 120
RGBA = 6
WIDEST = 16_384  # pixels; 120 rows of it are 8 MB
MAX_PIXELS = 6_000_000  # decoded for its sake; NovelAI's largest have 3 million
MAX_BYTES = 32 << 20
MAX_TEXT = 1 << 20
GZIP = 31  # of zlib's window bits
LOWEST_BIT = bytes(48 + (value & 1) for value in range(256))  # to "0" and "1"


def has_stealth(file: BinaryIO, png: Png) -> bool:
    """True when the alpha channel begins with the mark. Never raises for damaged pixels."""
    height = min(png.height, BITS)
    width = -(-BITS // height)
    if (png.bits, png.color) != (8, RGBA) or not width <= png.width <= WIDEST:
        return False
    alphas = _alphas(_rows(file, height * (png.width * 4 + 1)), png.width * 4 + 1, width)
    bits = "".join(str(row[x] & 1) for x in range(width) for row in alphas)[:BITS]
    return len(alphas) == height and int(bits, 2).to_bytes(BITS // 8) in MARKS


def hidden_texts(file: BinaryIO, png: Png) -> dict[str, str]:
    """The texts in a picture that has the mark, by name; {} when they cannot be read.

    AUTOMATIC1111's is one text, `parameters`; NovelAI's is JSON of all texts a PNG of its own would have.
    """
    data = _payload(_columns(file, png))
    text = data.decode("utf-8", "replace").strip("\0")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and "Comment" in found:
        return {str(name): value for name, value in found.items() if isinstance(value, str)}
    return {"parameters": text} if text else {}


def _columns(file: BinaryIO, png: Png) -> bytes:
    """The alpha values, column by column; b"" for a picture that is too large or damaged."""
    if png.width * png.height > MAX_PIXELS or file.seek(0, 2) > MAX_BYTES:
        return b""
    from PIL import Image as Pillow

    file.seek(0)
    try:
        with Pillow.open(BytesIO(strip(file.read())), formats=("PNG",)) as picture:
            return picture.getchannel("A").transpose(Pillow.Transpose.TRANSPOSE).tobytes()
    except Exception:  # Pillow raises a dozen kinds for damaged files
        return b""


def _payload(alphas: bytes) -> bytes:
    """The text after the mark and the length, inflated as far as MAX_TEXT."""
    mark, length = _bits(alphas, 0, BITS), int.from_bytes(_bits(alphas, BITS, 32))
    data = _bits(alphas, BITS + 32, min(length, 8 * MAX_TEXT))
    if mark != MARKS[1]:
        return data
    try:
        return zlib.decompressobj(GZIP).decompress(data, MAX_TEXT)
    except zlib.error:
        return b""


def _bits(alphas: bytes, start: int, count: int) -> bytes:
    """The bytes that so many lowest bits are, the first bit the highest."""
    bits = alphas[start : start + count - count % 8].translate(LOWEST_BIT)
    return int(bits, 2).to_bytes(len(bits) // 8) if bits and len(bits) % 8 == 0 else b""


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
