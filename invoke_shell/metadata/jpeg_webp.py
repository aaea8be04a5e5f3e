"""JPEG and WebP files: pixels by Pillow, texts in EXIF and XMP as far as each has room."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

from invoke_shell.errors import OutputError
from invoke_shell.records import Image, Json

__all__ = ["FORMS", "PNG", "SUFFIXES", "Form", "encode_other"]

FORMS = ("png", "jpeg", "webp")
SUFFIXES: dict[str, Literal["png", "jpeg", "webp"]] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
SEGMENT = 65_000  # bytes of EXIF, and of XMP, in a JPEG: its segments end at 65,533, headers included
LARGEST = {"jpeg": 65_500, "webp": 16_383}  # pixels of a side
EXIF_IFD, EXIF_VERSION, USER_COMMENT, COLOR_SPACE, SOFTWARE = 0x8769, 0x9000, 0x9286, 0xA001, 0x0131


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a picture is written. quality: 1 to 100, of JPEG and WebP; 100 writes a WebP without loss."""

    name: Literal["png", "jpeg", "webp"] = "png"
    quality: int = 95

    @property
    def lossless(self) -> bool:
        """True when the file gives back the pixels it was made from."""
        return self.name == "png" or (self.name == "webp" and self.quality == 100)

    @property
    def suffix(self) -> str:
        return ".jpg" if self.name == "jpeg" else f".{self.name}"

    def fits(self, count: int) -> bool:
        """Whether a text of so many bytes has room in such a file."""
        return self.name != "jpeg" or count <= SEGMENT

    def recorded(self) -> dict[str, Json]:
        """What the metadata says of it."""
        if self.name == "png":
            return {}
        return {"format": self.name} if self.lossless else {"format": self.name, "quality": self.quality}

    def refuse(self, image: Image) -> None:
        """Raise OutputError for a picture that such a file cannot hold."""
        if self.name == "jpeg" and image.mode == "RGBA":
            raise OutputError("a JPEG has no transparency, and this picture has", hint="WebP and PNG have")
        largest = LARGEST.get(self.name, 0)
        if largest and max(image.size) > largest:
            name = "JPEG" if self.name == "jpeg" else "WebP"
            size = f"{image.width}x{image.height}"
            raise OutputError(f"a {name} has at most {largest:,} pixels a side, and this picture has {size}")


PNG = Form()


def encode_other(image: Image, form: Form, *, comment: str, xmp: str, software: str) -> bytes:
    """A JPEG or WebP with an XMP packet, and `comment` where AUTOMATIC1111 has it: in EXIF's UserComment, UTF-16.

    comment "" leaves it out. Equal input gives equal bytes. Raises OutputError (see Form.refuse).
    """
    form.refuse(image)
    options: dict[str, Any] = {"exif": _exif(comment, software), "xmp": xmp.encode()}
    if form.name == "jpeg":
        # Colour at full resolution: chroma subsampling is what makes red lines of a drawing bleed.
        options |= {"quality": form.quality, "subsampling": 0 if form.quality >= 90 else 2}
    elif form.lossless:
        options |= {"lossless": True, "exact": True, "quality": 50, "method": 4}
    else:
        options |= {"quality": form.quality, "method": 4}
    out = BytesIO()
    image.pil().save(out, "JPEG" if form.name == "jpeg" else "WEBP", **options)
    return out.getvalue()


ASCII, SHORT, LONG, UNDEFINED = 2, 3, 4, 7


def _exif(comment: str, software: str) -> bytes:
    """EXIF with Software and UserComment. By hand: Pillow gives a UserComment the type of numbers."""
    inner = [(EXIF_VERSION, UNDEFINED, b"0232")]
    if comment:
        inner.append((USER_COMMENT, UNDEFINED, b"UNICODE\0" + comment.encode("utf-16-be", "replace")))
    inner.append((COLOR_SPACE, SHORT, b"\0\1"))  # sRGB
    outer = [(SOFTWARE, ASCII, software.encode("ascii", "replace") + b"\0"), (EXIF_IFD, LONG, b"\0\0\0\0")]
    place = 8 + len(_ifd(outer, 8))
    outer[-1] = (EXIF_IFD, LONG, place.to_bytes(4))
    return b"Exif\0\0MM\0*\0\0\0\x08" + _ifd(outer, 8) + _ifd(inner, place)


def _ifd(entries: Sequence[tuple[int, int, bytes]], place: int) -> bytes:
    """A directory of tags with its values after it; `place`: where it stands in the file. Tags must be in order."""
    sizes = {SHORT: 2, LONG: 4}
    after = place + 2 + 12 * len(entries) + 4
    head, values = len(entries).to_bytes(2), b""
    for tag, kind, value in entries:
        count = len(value) // sizes.get(kind, 1)
        if len(value) <= 4:
            field = value.ljust(4, b"\0")
        else:
            field = (after + len(values)).to_bytes(4)
            values += value + b"\0" * (len(value) % 2)
        head += struct.pack(">HHI", tag, kind, count) + field
    return head + b"\0\0\0\0" + values
