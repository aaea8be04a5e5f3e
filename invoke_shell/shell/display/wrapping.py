"""Sentences on a terminal: broken at blanks, what follows a little further in. Elsewhere a line is one line."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from typing import TextIO

from invoke_shell.errors import cells

__all__ = ["columns", "columns_kept", "cut", "hung", "in_column", "told_to", "wrapped"]

COLUMN = re.compile(r"(?<=\S) {2,}(?=\S)")  # what parts two columns
WORD = re.compile(r"( *)([^ ]+)")  # with the blanks before it: two of them part columns


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


def columns_kept(text: str, width: int) -> str:
    """As wrapped, of a page with columns: what follows stands below the last column that has a third of the width."""
    return "\n".join(wrapped(line, width, hang=_hang(line, width)) for line in text.split("\n"))


def _hang(line: str, width: int) -> int:
    begins = [cells(line[: gap.end()]) for gap in COLUMN.finditer(line)]
    column = max((at for at in begins if at <= width * 2 // 3), default=0)
    indent = len(line) - len(line.lstrip(" "))
    if not column:
        return 0 if indent else 2
    return column - indent


def in_column(head: str, text: str, tail: str = "", *, rows: int = 3) -> str:
    """A row of a list: on a terminal what follows a head stands in a column, in a few rows at most, and ends in `…`."""
    if not sys.stdout.isatty():
        return head + text + tail
    room = columns() - cells(head)
    lines = wrapped(text.replace("\n", " "), room - cells(tail), hang=0).split("\n")
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"{lines[rows - 1]} …"]
    lines = [cut(line, room - cells(tail)) for line in lines]
    return ("\n" + " " * cells(head)).join([head + lines[0], *lines[1:]]) + tail


def cut(text: str, width: int) -> str:
    """A text in at most `width` cells; one that is longer ends in `…`."""
    while cells(text) > width:
        text = text[: -2 if text.endswith("…") else -1].rstrip() + "…"
    return text


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
    for blanks, word in WORD.findall(line.strip(" ")):
        if row and cells(f"{further}{row}{blanks}{word}") > width:
            yield further + row
            row, further = word, indent + " " * hang
        else:
            row += blanks + word
    yield further + row
