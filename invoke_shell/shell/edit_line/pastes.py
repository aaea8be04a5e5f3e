"""Pasted text whose end never came: Ctrl-C gives the keyboard back.

A connection that breaks in the middle of a paste loses the mark that ends it; prompt_toolkit then takes every key for
a part of the paste.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prompt_toolkit.input.vt100_parser import Vt100Parser

if TYPE_CHECKING:
    from prompt_toolkit.input import Input

__all__ = ["use"]

CTRL_C = "\x03"
END = "\x1b[201~"


class _Parser(Vt100Parser):
    def feed(self, data: str) -> None:
        if self._in_bracketed_paste and CTRL_C in data and END not in self._paste_buffer + data:
            self._in_bracketed_paste, self._paste_buffer = False, ""
            data = data[data.index(CTRL_C) :]
        super().feed(data)


def use(input: Input) -> None:
    """Have an input's keys read so; inputs of other systems stay as they are."""
    parser: Any = getattr(input, "vt100_parser", None)
    if type(parser) is Vt100Parser:
        input.vt100_parser = _Parser(parser.feed_key_callback)  # type: ignore[attr-defined]
