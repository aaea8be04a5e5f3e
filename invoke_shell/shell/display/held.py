"""What of a line's results is drawn when the line ends, and how they are held until then."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from invoke_shell.errors import cells
from invoke_shell.records import Image
from invoke_shell.shell.display.view import Result, result_line
from invoke_shell.shell.home import short

__all__ = ["columns", "fitting", "is_sheet", "small", "without_parts"]

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


def fitting(result: Result, width: int) -> Result:
    """The result with as much of its path as fits into a row: the home as ~, else the name behind an ellipsis.

    The greeting says where pictures go, and @12? and copy @12 --path tell all of it.
    """
    path = Path(result.path)
    ways = [str(path), short(path), f"…{os.sep}{path.name}"]
    return replace(
        result, path=next((w for w in ways if cells(result_line(replace(result, path=w))) <= width), ways[-1])
    )


def small(image: Image) -> Image:
    """A thumbnail to hold until all pictures of a line are there: 64 large ones would be 200 MB."""
    if max(image.size) <= LARGEST:
        return image
    picture = image.pil()
    picture.thumbnail((LARGEST, LARGEST))
    return Image.from_pil(picture)
