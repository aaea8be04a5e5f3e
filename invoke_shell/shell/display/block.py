"""Rows at the bottom of a terminal that are redrawn in place, and taken away without a trace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TextIO

from invoke_shell.errors import cells
from invoke_shell.shell.display.terminal import window

__all__ = ["Block"]

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
CODES = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]")


class Block:
    """The cursor stays behind its last row. What else is written must come after `erase`.

    hides: the cursor is not seen meanwhile; not for programs that may end, or be stopped, with nobody to bring it back.
    """

    def __init__(self, out: TextIO, *, hides: bool) -> None:
        self.out = out
        self._hide, self._show = (HIDE_CURSOR, SHOW_CURSOR) if hides else ("", "")
        self._widths: list[int] = []  # of the rows on the screen
        self._drawn: list[str] = []

    @property
    def shown(self) -> bool:
        """Whether rows of it are on the screen."""
        return bool(self._drawn)

    def draw(self, rows: Sequence[str]) -> None:
        """Show these rows instead of those before; in one write, so that none is seen half drawn."""
        if list(rows) == self._drawn:
            return
        start = self._back() if self._drawn else self._hide
        self.out.write(start + "\x1b[K\r\n".join(rows) + "\x1b[J")
        self.out.flush()
        self._drawn = list(rows)
        self._widths = [cells(CODES.sub("", row)) for row in rows]

    def erase(self) -> None:
        """Take the rows away and bring the cursor back."""
        if self._drawn:
            self.out.write(self._back() + "\x1b[J" + self._show)
            self.out.flush()
            self._drawn, self._widths = [], []

    def _back(self) -> str:
        """To the first row's first column. A terminal that was made narrower has broken rows in two or more."""
        columns = max(1, window(self.out)[0])
        rows = sum(max(1, -(-width // columns)) for width in self._widths)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "")
