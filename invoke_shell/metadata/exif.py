"""The texts of a JPEG, WebP or AVIF: EXIF, XMP and comments. No pixel is decoded."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

__all__ = ["Found", "texts_of"]

FORMATS = ("JPEG", "WEBP", "AVIF", "GIF")
MAX_XMP = 12 << 20  # bytes: the sources that may be embedded, and their record
EXIF_IFD = 0x8769
TAGS = {0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software", 0x9286: "UserComment"}


class Found(NamedTuple):
    """Width, height, the file's kind as Pillow calls it, and texts by name."""

    width: int
    height: int
    kind: str
    texts: dict[str, str]


def texts_of(file: BinaryIO) -> Found:
    """The texts of a picture: EXIF's names, `xmp`, `comment`. XMP and EXIF of more than MAX_XMP bytes are left out.

    Raises whatever Pillow does for a file that is none of FORMATS or damaged.
    """
    from PIL import Image as Pillow

    with warnings.catch_warnings(action="ignore"), Pillow.open(_lighter(file), formats=FORMATS) as picture:
        exif = picture.getexif()
        found: dict[int, Any] = {**exif, **exif.get_ifd(EXIF_IFD)}
        texts = {name: _text(found[tag]) for tag, name in TAGS.items() if found.get(tag)}
        rest = {name: picture.info[name] for name in ("xmp", "comment") if picture.info.get(name)}
        rest = {name: _text(value) for name, value in rest.items() if len(value) <= MAX_XMP}
        return Found(picture.width, picture.height, picture.format or "", {**texts, **rest})


def _lighter(file: BinaryIO) -> BinaryIO:
    """The file; of a WebP with a text of more than MAX_XMP bytes, what is left without: Pillow would hold it twice."""
    head, places = file.read(12), []
    size, at, heavy = file.seek(0, 2), 12, False
    while head[:4] == b"RIFF" and head[8:] == b"WEBP" and at + 8 <= size:
        file.seek(at)
        chunk = file.read(8)
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] in (b"XMP ", b"EXIF") and length > MAX_XMP:
            heavy = True
        else:
            places.append((at, 8 + length + length % 2))
        at += 8 + length + length % 2
    file.seek(0)
    if not heavy:
        return file
    body = b"WEBP" + b"".join(_read(file, *place) for place in places)
    return BytesIO(b"RIFF" + len(body).to_bytes(4, "little") + body)


def _read(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    if value.startswith(b"UNICODE\0"):
        return _utf16(value[8:])
    body = value[8:] if value[:8] in (b"ASCII\0\0\0", b"\0" * 8) else value
    return body.decode("utf-8", "replace").rstrip("\0")


def _utf16(body: bytes) -> str:
    """Text without a byte-order mark: AUTOMATIC1111 writes it big-endian, SwarmUI little-endian.

    Latin letters have their zero byte first when big-endian.
    """
    big = body[0::2].count(0) >= body[1::2].count(0)
    return body.decode("utf-16-be" if big else "utf-16-le", "replace")
