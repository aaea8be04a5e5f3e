"""A picture file to 8-bit pixels: first frame, turned upright, sRGB, every reduction recorded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import BlockedError, MetadataError
from invoke_shell.metadata.files import opened, shown
from invoke_shell.metadata.png import SIGNATURE, strip
from invoke_shell.metadata.provenance import marks_of
from invoke_shell.records import Image, Mask, Resource, digest

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["FORMATS", "MAX_PIXELS", "read_image", "to_mask"]

MAX_PIXELS = 64_000_000
MAX_BYTES = 1 << 30
# Never Pillow's full list: it runs Ghostscript for EPS and reads dozens of formats no one has audited.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM")
ORIENTATION = 0x0112


def read_image(source: Path | bytes, name: str = "") -> tuple[Image, Resource]:
    """The pixels of a file, and what is recorded of it: hashes, base name, and how it was brought to pixels.

    The facts: format; mode and bits where they were not 8-bit RGB, RGBA or L; orientation, icc, frames, and marks of
    origin (provenance.marks_of), where it had them. `name` is for bytes, which have none.
    Raises BlockedError (`missing-file`, `not-a-picture`), one sentence with the name.
    """
    data = source if isinstance(source, bytes) else _bytes(source)
    label = name or ("the picture" if isinstance(source, bytes) else shown(source))
    with _faults(label), _decoder(data) as picture:
        _check_size(picture, label)
        facts = _facts(picture, data)
        image = Image.from_pil(_to_srgb(_upright(picture), facts))
    resource = Resource(
        hash=image.hash,
        width=image.width,
        height=image.height,
        mode=image.mode,
        name=name or ("" if isinstance(source, bytes) else source.name),
        file_hash=digest(data),
        facts=facts,
    )
    return image, resource


def _bytes(path: Path) -> bytes:
    with opened(path) as file:
        size = file.seek(0, 2)
        if size > MAX_BYTES:
            raise BlockedError(f"{shown(path)} has {size:,} bytes, too many for a picture", code="not-a-picture")
        file.seek(0)
        return file.read(size)


@contextmanager
def _faults(label: str) -> Iterator[None]:
    """Whatever goes wrong in a decoder becomes one sentence with the file's name; what it warns of is not said."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except BlockedError:
        raise
    except Exception as error:  # Pillow's plugins raise a dozen kinds for damaged files, SyntaxError among them
        raise BlockedError(f"{label} {_reason(error)}", code="not-a-picture") from error


def _reason(error: Exception) -> str:
    from PIL import Image as Pillow

    if isinstance(error, Pillow.DecompressionBombError):
        return f"has far more pixels than the limit of {MAX_PIXELS // 1_000_000} million"
    return "is cut short" if "truncated" in str(error) else "cannot be read as a picture"


def _decoder(data: bytes) -> PILImage:
    from PIL import Image as Pillow

    return Pillow.open(BytesIO(_without_texts(data)), formats=FORMATS)


def _without_texts(data: bytes) -> bytes:
    """A PNG without its texts: Pillow refuses the whole picture over one that is large or damaged."""
    if not data.startswith(SIGNATURE):
        return data
    try:
        return strip(data, keep=(b"eXIf",))
    except MetadataError:
        return data  # Pillow says what is wrong


def _check_size(picture: PILImage, label: str) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        size, limit = f"{picture.width}x{picture.height}", f"{MAX_PIXELS // 1_000_000} million"
        raise BlockedError(f"{label} has {size} pixels, more than the limit of {limit}", code="not-a-picture")


def _facts(picture: PILImage, data: bytes) -> dict[str, Any]:
    bits = data[24] if picture.format == "PNG" else 16 if picture.mode.startswith("I;16") else 8
    facts: dict[str, Any] = {"format": picture.format}
    if picture.mode not in ("RGB", "RGBA", "L"):
        facts["from_mode"] = picture.mode
    if bits > 8:
        facts["bits"] = bits
    if (frames := getattr(picture, "n_frames", 1)) > 1:
        facts["frames"] = frames
    if (turned := picture.getexif().get(ORIENTATION, 1)) in range(2, 9):
        facts["orientation"] = turned
    if marks := marks_of(data):
        facts["marks"] = marks
    return facts


def _upright(picture: PILImage) -> PILImage:
    from PIL import ImageOps

    picture.seek(0)
    return ImageOps.exif_transpose(picture)


def _to_srgb(picture: PILImage, facts: dict[str, Any]) -> PILImage:
    """8-bit pixels in sRGB; a profile that cannot be used is recorded as ignored."""
    from PIL import ImageCms

    profile, reduced = picture.info.get("icc_profile"), _eight_bit(picture)
    if not profile:
        return reduced
    try:
        source, target = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        mode = "RGBA" if reduced.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(reduced, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        facts["icc"] = "ignored"
        return reduced
    facts["icc"] = "converted"
    return converted or reduced


def _eight_bit(picture: PILImage) -> PILImage:
    """RGB, RGBA, L or CMYK with 8 bits a sample; 16-bit grey is divided by 257, rounded."""
    if picture.mode.startswith("I;16"):
        return picture.convert("I").point(lambda v: v * (1 / 257) + 0.5).convert("L")
    if picture.mode in ("RGB", "RGBA", "L", "CMYK"):
        return picture
    if picture.mode in ("1", "I", "F") and not picture.has_transparency_data:
        return picture.convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def to_mask(image: Image) -> Mask:
    """255 where to repaint: the transparent part of a picture that has any, else the white part (luminance)."""
    from PIL import ImageChops

    picture = image.pil()
    alpha = picture.getchannel("A") if image.mode == "RGBA" else None
    if alpha is not None and alpha.getextrema() != (255, 255):
        grey = ImageChops.invert(alpha)
    else:
        grey = picture.convert("RGB").convert("L") if image.mode == "RGBA" else picture.convert("L")
    return Mask(mode="L", width=image.width, height=image.height, pixels=grey.tobytes())
