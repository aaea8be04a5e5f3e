"""PNG by chunk: texts found without decoding a pixel, pictures written, copies stripped.

Pillow is not asked to read: it refuses a whole file over one large text, hides which chunk held it and cannot go on
after a fault.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, NamedTuple

from invoke_shell.errors import MetadataError
from invoke_shell.metadata.visible import visible
from invoke_shell.records import Image

__all__ = [
    "PICTURE",
    "SIGNATURE",
    "XMP",
    "Png",
    "TextChunk",
    "all_chunks",
    "chunks",
    "encode",
    "strip",
    "text_chunk",
    "whole_chunk",
]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = "XML:com.adobe.xmp"
MAX_TEXT = 16 << 20  # bytes of one text, inflated
MAX_TEXTS = 64 << 20  # bytes of all texts that are asked for
MAX_TEXT_CHUNKS = 1024
MAX_RATIO = 1032  # of deflate
MAX_CHUNKS = 65_536  # a 64 Mpx picture in libpng's 8 KiB chunks has 25,000
MAX_KEYWORD = 79
HEAD = struct.Struct(">I4s")
TEXT_KINDS = {b"tEXt": "tEXt", b"zTXt": "zTXt", b"iTXt": "iTXt"}
CRCS = {kind: zlib.crc32(name) for name, kind in TEXT_KINDS.items()}
WINDOW = 8 << 10  # bytes read at once; our own files without sources have all text there
BAND = 256  # rows filtered at once, so that a large picture is not held five times
COLOR_TYPE = {"L": 0, "RGB": 2, "RGBA": 6}
AVERAGE = 3  # PNG's filter of that name
# What a copy without metadata keeps: pixels, how they are to be seen, the frames of an animation.
PICTURE = frozenset(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP mDCV cLLI sBIT acTL fcTL fdAT".split())


class _Cut(Exception):
    """The chunks end before IEND; the text is a sentence."""


class TextChunk(NamedTuple):
    """Where a text stands. kind: tEXt, zTXt or iTXt; offset, length: of the chunk's data; late: after pixels."""

    keyword: str
    kind: str
    offset: int
    length: int
    late: bool

    def __str__(self) -> str:
        return f'the {self.kind} chunk "{visible(self.keyword)}"'


class Png:
    """An open PNG: its header, and where its texts stand. A text is read, inflated and decoded when asked for.

    width, height: pixels; bits: of a sample; color: PNG's colour type; warnings: sentences on what is odd.
    Raises MetadataError when the bytes do not begin as a PNG.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._window = _Window(file)
        self._left = MAX_TEXTS
        self.texts: list[TextChunk] = []
        self.warnings: list[str] = []
        self.width, self.height, self.bits, self.color = _header(self._window)
        try:
            self._find_texts()
        except _Cut as cut:
            self.warnings.append(str(cut))

    def text(self, chunk: TextChunk) -> str:
        """The text of a chunk: UTF-8 if it reads so, else Latin-1, whatever its kind (writers get this wrong).

        Raises MetadataError for a wrong checksum, a broken stream, and more than MAX_TEXT or MAX_TEXTS bytes.
        """
        if self._left <= 0:
            raise MetadataError(f"{chunk} is not read: the texts before it are over {MAX_TEXTS >> 20} MiB")
        # The most it can cost, until it is known: a thousand bombs that are refused one by one cost as much.
        most = min(MAX_TEXT, chunk.length * (1 if chunk.kind == "tEXt" else MAX_RATIO))
        self._left -= most
        raw = _inflated(chunk, self._data(chunk))
        self._left += most - len(raw)
        return _decoded(chunk, raw)

    def _find_texts(self) -> None:
        late = False
        for name, offset, length in _walk(self._window):
            if name == b"IDAT":
                late = True
            elif kind := TEXT_KINDS.get(name):
                self._add(kind, offset, length, late)

    def _add(self, kind: str, offset: int, length: int, late: bool) -> None:
        head = self._window.at(offset, min(length, MAX_KEYWORD + 1))
        keyword = head[: max(0, head.find(b"\0"))]
        if not keyword:
            self.warnings.append(f"a {kind} chunk has no keyword and is not read")
        elif len(self.texts) >= MAX_TEXT_CHUNKS:
            raise _Cut(f"the file has more than {MAX_TEXT_CHUNKS:,} texts; the rest is not read")
        else:
            self.texts.append(TextChunk(keyword.decode("latin-1"), kind, offset, length, late))

    def _data(self, chunk: TextChunk) -> bytes:
        if chunk.length > MAX_TEXT:
            raise MetadataError(f"{chunk} has {chunk.length:,} bytes, more than {MAX_TEXT >> 20} MiB")
        data = self._window.at(chunk.offset, chunk.length)
        crc = self._window.at(chunk.offset + chunk.length, 4)
        if zlib.crc32(data, CRCS[chunk.kind]).to_bytes(4) != crc:
            raise MetadataError(f"{chunk} has a wrong checksum")
        return data


class _Window:
    """Random access to a file in few reads; short at the file's end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = 0
        self._bytes = b""
        self.size = file.seek(0, 2)

    def at(self, offset: int, count: int) -> bytes:
        begin = offset - self._start
        if begin < 0 or begin + count > len(self._bytes):
            self._file.seek(offset)
            if count > WINDOW:
                return self._file.read(count)
            self._start, self._bytes, begin = offset, self._file.read(WINDOW), 0
        return self._bytes[begin : begin + count]


def _header(window: _Window) -> tuple[int, int, int, int]:
    """Width, height, bits, colour type. Raises MetadataError."""
    head = window.at(0, 33)
    if len(head) < 33 or head[:16] != SIGNATURE + b"\0\0\0\rIHDR":
        raise MetadataError("it is not a PNG")
    width, height, bits, color, *_ = struct.unpack_from(">IIBBBBB", head, 16)
    if zlib.crc32(head[12:29]).to_bytes(4) != head[29:]:
        raise MetadataError("it begins as a PNG, but the checksum of its header is wrong")
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise MetadataError(f"it is a PNG of {width}x{height} pixels, which cannot be")
    return width, height, bits, color


def _walk(window: _Window) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of each chunk's data up to IEND. Raises _Cut."""
    offset = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        head = window.at(offset, 8)
        if len(head) < 8:
            raise _Cut("the file ends before its IEND chunk")
        length, name = HEAD.unpack(head)
        if not name.isalpha():
            raise _Cut(f"there is no chunk at byte {offset:,}; what follows is not read")
        if length > window.size - offset - 12:
            raise _Cut(f"the chunk {name.decode()} says it has {length:,} bytes, more than the file")
        yield name, offset + 8, length
        if name == b"IEND":
            return
        offset += length + 12
    raise _Cut(f"the file has more than {MAX_CHUNKS:,} chunks; the rest is not read")


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of the data of each chunk, as far as the file is whole."""
    with suppress(_Cut):
        yield from _walk(_Window(file))


def _inflated(chunk: TextChunk, data: bytes) -> bytes:
    """The bytes of the text itself."""
    begin = data.index(b"\0") + 1
    if chunk.kind == "tEXt":
        return data[begin:]
    if chunk.kind == "zTXt":
        return _inflate(chunk, data[begin + 1 :]) if data[begin : begin + 1] == b"\0" else _unknown(chunk)
    language = data.find(b"\0", begin + 2)  # two bytes: compressed or not, and how; then two more names
    body = data.find(b"\0", language + 1) + 1
    if language < 0 or body == 0 or data[begin] > 1:
        return _unknown(chunk)
    return _inflate(chunk, data[body:]) if data[begin] else data[body:]


def _unknown(chunk: TextChunk) -> bytes:
    raise MetadataError(f"{chunk} is laid out in no way the PNG standard knows")


def _inflate(chunk: TextChunk, data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, MAX_TEXT + 1)
    except zlib.error:
        raise MetadataError(f"{chunk} cannot be inflated") from None
    if len(out) > MAX_TEXT:
        raise MetadataError(f"{chunk} inflates to more than {MAX_TEXT >> 20} MiB")
    if not stream.eof:
        raise MetadataError(f"{chunk} is cut short")
    return out


def _decoded(chunk: TextChunk, raw: bytes) -> str:
    # One emoji makes every character of a str four bytes wide: 16 MiB would become 64.
    if len(raw) > MAX_TEXT // 4 and not raw.isascii():
        raise MetadataError(f"{chunk} is not ASCII and over {MAX_TEXT >> 22} MiB")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def text_chunk(keyword: str, text: str) -> tuple[bytes, bytes]:
    """Name and data of a chunk that holds `text`: tEXt, or iTXt where Latin-1 cannot say it; never compressed.

    A NUL, which no PNG text may hold, becomes U+FFFD. `keyword` is 1 to 79 characters of Latin-1.
    """
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    key = keyword.encode("latin-1") + b"\0"
    if keyword != XMP and _plain(text):
        return b"tEXt", key + text.encode("latin-1")
    return b"iTXt", key + b"\0\0\0\0" + text.encode(errors="replace")


def _plain(text: str) -> bool:
    """True when tEXt holds it and no reader that tries UTF-8 first takes it for another text."""
    if text.isascii():
        return True
    try:
        text.encode("latin-1").decode()
    except UnicodeEncodeError:
        return False
    except UnicodeDecodeError:
        return True
    return False


def encode(image: Image, chunks: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG of the picture with `chunks` (name, data) before its pixels. Equal input gives equal bytes."""
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, COLOR_TYPE[image.mode], 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", _deflated(image)), (b"IEND", b"")]
    return SIGNATURE + b"".join(whole_chunk(name, data) for name, data in parts)


def whole_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return len(data).to_bytes(4) + name + data + zlib.crc32(data, zlib.crc32(name)).to_bytes(4)


def _deflated(image: Image) -> bytes:
    # Measured (benchmarks/metadata.py): one filter for all rows and run lengths alone give a photograph of 512x512 in
    # 10 ms and 0-7 % more bytes; Pillow's choice of a filter per row and full search takes 75 to 120 ms.
    stride = image.width * len(image.mode)
    stream = zlib.compressobj(strategy=zlib.Z_RLE)
    parts, above = [], bytes(stride)
    for top in range(0, len(image.pixels), stride * BAND):
        rows = image.pixels[top : top + stride * BAND]
        parts.append(stream.compress(_filtered(rows, above, len(image.mode))))
        above = rows[-stride:]
    return b"".join([*parts, stream.flush()])


def _filtered(rows: bytes, above: bytes, channels: int) -> bytes:
    """Rows less the mean of their left and upper neighbours, the filter's number before each; in Pillow's C."""
    from PIL import Image as Pillow
    from PIL import ImageChops

    size = len(above), len(rows) // len(above)
    here = Pillow.frombuffer("L", size, rows, "raw", "L", 0, 1)
    up = Pillow.frombuffer("L", size, (above + rows)[: len(rows)], "raw", "L", 0, 1)
    left = Pillow.new("L", size)
    left.paste(here, (channels, 0))
    out = Pillow.new("L", (size[0] + 1, size[1]), AVERAGE)
    out.paste(ImageChops.subtract_modulo(here, ImageChops.add(left, up, 2)), (1, 0))
    return out.tobytes()


def strip(data: bytes, keep: Iterable[bytes] = ()) -> bytes:
    """A copy of a PNG with its pixels as they are and nothing else that can be left out.

    Kept: what decides how the picture looks (palette, transparency, colour space), and chunks named in `keep`.
    Raises MetadataError when the bytes are no whole PNG.
    """
    wanted = PICTURE.union(keep)
    kept = [data[offset - 8 : offset + length + 4] for name, offset, length in all_chunks(data) if name in wanted]
    return SIGNATURE + b"".join(kept)


def all_chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """Name, offset and length of the data of every chunk. Raises MetadataError when the bytes are no whole PNG."""
    window = _Window(BytesIO(data))
    _header(window)
    try:
        return list(_walk(window))
    except _Cut as cut:
        raise MetadataError(f"the PNG is damaged: {cut}") from None
