"""The texts of a JPEG, WebP or AVIF: EXIF, XMP and comments. No pixel is decoded."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any, NamedTuple

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


def texts_of(data: bytes) -> Found:
    """The texts of a picture: EXIF's names, `xmp`, `comment`. XMP of more than MAX_XMP bytes is left out.

    Raises whatever Pillow does for a file that is none of FORMATS or damaged.
    """
    from PIL import Image as Pillow

    with warnings.catch_warnings(action="ignore"), Pillow.open(BytesIO(data), formats=FORMATS) as picture:
        exif = picture.getexif()
        found: dict[int, Any] = {**exif, **exif.get_ifd(EXIF_IFD)}
        texts = {name: _text(found[tag]) for tag, name in TAGS.items() if found.get(tag)}
        rest = {name: picture.info[name] for name in ("xmp", "comment") if picture.info.get(name)}
        rest = {name: _text(value) for name, value in rest.items() if len(value) <= MAX_XMP}
        return Found(picture.width, picture.height, picture.format or "", {**texts, **rest})


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
