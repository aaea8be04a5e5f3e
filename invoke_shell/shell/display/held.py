"""What of a line's results is drawn when the line ends, and how they are held until then."""

from __future__ import annotations

from collections.abc import Sequence

from invoke_shell.records import Image
from invoke_shell.shell.display.view import Result

__all__ = ["columns", "is_sheet", "small", "without_parts"]

LARGEST = 512  # pixels a side that a held thumbnail keeps; a sheet's cell shows fewer


def columns(show: str) -> int | None:
    """Columns of a picture by the setting: None as usual, 0 not at all."""
    if show == "off":
        return 0
    return int(show) if show.isdigit() else None


def is_sheet(result: Result, others: Sequence[Result]) -> bool:
    """Whether a result is one picture of the others of its line, as contact_sheet makes it."""
    return not result.inner and any(_is_part(other) for other in others)


def _is_part(result: Result) -> bool:
    return result.inner and not result.name


def without_parts(results: Sequence[Result]) -> list[Result]:
    """What is worth drawing: a sheet shows its parts itself, as large as the window, and its labels can be read."""
    whole = [r for r in results if not r.inner]
    return [r for r in results if not (whole and _is_part(r))]


def small(image: Image) -> Image:
    """A thumbnail to hold until all pictures of a line are there: 64 large ones would be 200 MB."""
    if max(image.size) <= LARGEST:
        return image
    picture = image.pil()
    picture.thumbnail((LARGEST, LARGEST))
    return Image.from_pil(picture)
