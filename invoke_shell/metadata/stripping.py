"""Copies of PNG, JPEG and WebP files without what is not the picture. Pixels are copied as they stand, not coded again.

Kept is what decides how a picture looks: palette, colour profile, frames, and which way is up.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from invoke_shell.errors import BlockedError, MetadataError
from invoke_shell.metadata.companions import xmp
from invoke_shell.metadata.png import PICTURE, SIGNATURE, XMP, Png, all_chunks, text_chunk, whole_chunk
from invoke_shell.metadata.provenance import marks_of, term_of
from invoke_shell.metadata.stealth import has_stealth
from invoke_shell.metadata.visible import visible

__all__ = ["Stripped", "strip_file"]

ORIENTATION = 0x0112
MOST = 12  # kinds of removed things that are named


@dataclass(frozen=True, kw_only=True)
class Stripped:
    """A copy. kind: png, jpeg or webp. removed: what is gone, by its name.

    kept: what stayed although it is no pixel, or cannot be taken out.
    """

    data: bytes
    kind: str
    removed: tuple[str, ...]
    kept: tuple[str, ...] = ()


class _Part(NamedTuple):
    """A stretch of a file. name: of what it is, to be told; "" for what belongs to the picture."""

    name: str
    data: bytes


def strip_file(data: bytes, label: str, *, marks: bool = True) -> Stripped:
    """The copy of a file. marks: IPTC's word that a picture was made by AI stays.

    Raises BlockedError for another format, MetadataError for a file that is cut short.
    """
    if data.startswith(SIGNATURE):
        parts, kind = list(_png(data)), "png"
    elif data.startswith(b"\xff\xd8\xff"):
        parts, kind = list(_jpeg(data)), "jpeg"
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        parts, kind = list(_webp(data)), "webp"
    else:
        message = f"{label} is no PNG, JPEG or WebP, and others are not stripped"
        raise BlockedError(message, hint="load_image FILE | save copy.png writes its pixels", code="not-a-picture")
    term = term_of(marks_of(data)) if marks else ""
    removed = tuple(dict.fromkeys(part.name for part in parts if part.name))
    copy = _BUILDERS[kind]([part.data for part in parts if not part.name], _turned(data), xmp(term) if term else "")
    return Stripped(data=copy, kind=kind, removed=_told(removed), kept=tuple(_kept(data, term)))


def _told(names: Sequence[str]) -> tuple[str, ...]:
    rest = len(names) - MOST
    return (*names[:MOST], f"{rest} more") if rest > 0 else tuple(names)


def _kept(data: bytes, term: str) -> Iterator[str]:
    if term:
        yield f"the mark of AI origin ({term})"
    if data.startswith(SIGNATURE) and has_stealth(BytesIO(data), Png(BytesIO(data))):
        yield "metadata hidden in the alpha channel, which are pixels"


def _turned(data: bytes) -> int:
    """Which way is up, as EXIF has it: 1 to 8."""
    from PIL import Image as Pillow

    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Pillow.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture,
        ):
            turned = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # a dozen kinds for damaged files; which way is up is then not known
        return 1
    return turned if isinstance(turned, int) and 1 <= turned <= 8 else 1


def _exif(turned: int) -> bytes:
    """EXIF that says which way is up, and nothing else."""
    entry = struct.pack(">HHIHH", ORIENTATION, 3, 1, turned, 0)
    return b"MM\0*\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"


# -- PNG -------------------------------------------------------------------------------------------------------------

PNG_NAMES = {b"eXIf": "EXIF", b"caBX": "Content Credentials (C2PA)", b"tIME": "the time"}


def _png(data: bytes) -> Iterator[_Part]:
    at = len(SIGNATURE)
    for name, offset, length in all_chunks(data):
        at = offset + length + 4
        yield _Part("" if name in PICTURE else _png_name(name, data[offset : offset + length]), data[offset - 8 : at])
    if at < len(data):
        yield _Part("what follows the picture's end", b"")


def _png_name(name: bytes, data: bytes) -> str:
    if name not in (b"tEXt", b"zTXt", b"iTXt"):
        return PNG_NAMES.get(name) or f"the chunk {name.decode('latin-1')}"
    keyword = visible(data.partition(b"\0")[0][:79].decode("latin-1"))
    return "XMP" if keyword == XMP else keyword or "a text without a name"


def _build_png(parts: list[bytes], turned: int, packet: str) -> bytes:
    extra = [whole_chunk(b"eXIf", _exif(turned))] if turned > 1 else []
    extra += [whole_chunk(*text_chunk(XMP, packet))] if packet else []
    return SIGNATURE + parts[0] + b"".join(extra) + b"".join(parts[1:])  # parts[0] is IHDR


# -- JPEG ------------------------------------------------------------------------------------------------------------

SCAN, END = 0xDA, 0xD9
ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
JPEG_NAMES = {0xED: "Photoshop's data (IPTC)", 0xEB: "Content Credentials (C2PA)", 0xFE: "a comment"}


def _jpeg(data: bytes) -> Iterator[_Part]:
    yield _Part("", data[:2])
    at = 2
    while True:
        marker, start = _marker(data, at)
        if marker == END:
            yield _Part("", b"\xff\xd9")
            break
        if marker in ALONE:
            yield _Part("", data[start - 2 : start])
            at = start
            continue
        stop = start + int.from_bytes(data[start : start + 2])
        if stop > len(data) or stop < start + 2:
            raise MetadataError("the JPEG is cut short")
        body = data[start + 2 : stop]
        at = _scan_end(data, stop) if marker == SCAN else stop
        yield _Part(_jpeg_name(marker, body), data[start - 2 : at])
    if start < len(data):
        yield _Part("what follows the picture's end", b"")


def _xmp_name(packet: bytes) -> str:
    return "XMP with sd-metadata" if b"<sd:metadata" in packet else "XMP"


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at a place, and where what belongs to it begins."""
    if data[at : at + 1] != b"\xff":
        raise MetadataError("the JPEG is damaged: there is no marker where one must be")
    while data[at : at + 1] == b"\xff":  # fill bytes may stand before a marker
        at += 1
    if at >= len(data):
        raise MetadataError("the JPEG is cut short")
    return data[at], at + 1


def _scan_end(data: bytes, at: int) -> int:
    """Where coded pixels end: at the next marker that is no restart, no escape and no filling."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in (0, 0xFF, *range(0xD0, 0xD8)):
            return at
        at += 2 if data[at + 1] != 0xFF else 1
    raise MetadataError("the JPEG is cut short")


def _jpeg_name(marker: int, body: bytes) -> str:
    if marker == 0xE1:
        return "EXIF" if body.startswith(b"Exif\0") else _xmp_name(body)
    icc = marker == 0xE2 and body.startswith(b"ICC_PROFILE\0")
    if marker in (0xE0, 0xEE) or icc or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
        return ""  # JFIF, Adobe's colour transform, a profile, the picture itself
    return JPEG_NAMES.get(marker) or f"the segment APP{marker - 0xE0}"


def _build_jpeg(parts: list[bytes], turned: int, packet: str) -> bytes:
    extra = [b"Exif\0\0" + _exif(turned)] if turned > 1 else []
    extra += [b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()] if packet else []
    first = 2 if parts[1][:2] == b"\xff\xe0" else 1  # JFIF stands first
    segments = [b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body for body in extra]
    return b"".join([*parts[:first], *segments, *parts[first:]])


# -- WebP ------------------------------------------------------------------------------------------------------------

WEBP_PICTURE = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP")
WEBP_NAMES = {b"EXIF": "EXIF", b"XMP ": "XMP", b"C2PA": "Content Credentials (C2PA)"}
HAS_EXIF, HAS_XMP = 0x08, 0x04


def _webp(data: bytes) -> Iterator[_Part]:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise MetadataError("the WebP is cut short")
    at = 12
    while at + 8 <= end:
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        stop = at + 8 + length + length % 2
        if stop > end + 1:
            raise MetadataError("the WebP is cut short")
        told = "" if name in WEBP_PICTURE else WEBP_NAMES.get(name) or f"the chunk {visible(name.decode('latin-1'))}"
        told = _xmp_name(data[at:stop]) if told == "XMP" else told
        yield _Part(told, data[at:stop])
        at = stop
    if end + end % 2 < len(data):
        yield _Part("what follows the picture's end", b"")


def _build_webp(parts: list[bytes], turned: int, packet: str) -> bytes:
    extra = [(b"EXIF", HAS_EXIF, _exif(turned))] if turned > 1 else []
    extra += [(b"XMP ", HAS_XMP, packet.encode())] if packet else []
    if parts[0][:4] == b"VP8X":
        flags = parts[0][8] & ~(HAS_EXIF | HAS_XMP)
        for _, flag, _ in extra:
            flags |= flag
        parts = [parts[0][:8] + bytes([flags]) + parts[0][9:], *parts[1:]]
    else:
        extra = []  # the short form has room for pixels alone
    chunks = [name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2) for name, _, body in extra]
    body = b"WEBP" + b"".join([*parts, *chunks])
    return b"RIFF" + len(body).to_bytes(4, "little") + body


_BUILDERS = {"png": _build_png, "jpeg": _build_jpeg, "webp": _build_webp}
