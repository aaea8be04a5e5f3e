"""Sentences on a terminal: broken at blanks, what follows a little further in. Elsewhere a line is one line."""

from __future__ import annotations

import shutil
import sys
from textwrap import wrap

__all__ = ["columns", "hung", "wrapped"]


def columns() -> int:
    """Of the terminal, within what is good to read."""
    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 120))


def wrapped(text: str, width: int) -> str:
    """Every line of a text in lines of at most `width` characters where its blanks allow; words stay whole."""
    return "\n".join(piece for line in text.split("\n") for piece in _lines(line, width))


def hung(text: str) -> str:
    """As wrapped, to the terminal that standard output is; unchanged where it is none."""
    return wrapped(text, columns()) if sys.stdout.isatty() else text


def _lines(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip(" ")))
    return wrap(
        line.lstrip(" "),
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
