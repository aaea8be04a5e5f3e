"""Sentences on a terminal: broken at blanks, what follows a little further in. Elsewhere a line is one line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import TextIO

from invoke_shell.errors import cells

__all__ = ["columns", "hung", "told_to", "wrapped"]


def columns() -> int:
    """Of the terminal, within what is good to read."""
    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 120))


def wrapped(text: str, width: int, *, hang: int = 2) -> str:
    """Every line of a text in lines of at most `width` cells where its blanks allow; what follows `hang` further in.

    Words stay whole, so that a path can be copied; so does a line with carets under it.
    """
    lines = text.split("\n")
    below = [*lines[1:], ""]
    return "\n".join(
        piece
        for line, under in zip(lines, below, strict=True)
        for piece in ([line] if _are_carets(under) else _lines(line, width, hang))
    )


def hung(text: str) -> str:
    """As wrapped, to the terminal that standard output is; unchanged where it is none."""
    return wrapped(text, columns()) if sys.stdout.isatty() else text


def told_to(stream: TextIO, text: str) -> str:
    """A message as it is written to a stream: wrapped to the whole width of a terminal, a hint under its sentence."""
    if not stream.isatty():
        return text
    from invoke_shell.shell.display.terminal import window

    return wrapped(text, window(stream)[0], hang=0)


def _are_carets(line: str) -> bool:
    return "^" in line and not line.strip(" ^")


def _lines(line: str, width: int, hang: int) -> Iterator[str]:
    if cells(line) <= width or _are_carets(line):
        yield line
        return
    indent = line[: len(line) - len(line.lstrip(" "))]
    row, further = "", indent
    for word in line.split():
        if row and cells(f"{further}{row} {word}") > width:
            yield further + row
            row, further = word, indent + " " * hang
        else:
            row = f"{row} {word}" if row else word
    yield further + row
