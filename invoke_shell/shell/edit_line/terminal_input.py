"""prompt_toolkit's terminal, which is ours between the prompts too: what is typed there comes into the next line."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TextIO

from prompt_toolkit.input.typeahead import clear_typeahead, store_typeahead

from invoke_shell.shell.display.keyboard import Keyboard

if TYPE_CHECKING or sys.platform != "win32":
    from prompt_toolkit.input.vt100 import Vt100Input
    from prompt_toolkit.output.color_depth import ColorDepth
    from prompt_toolkit.output.vt100 import Vt100_Output

    from invoke_shell.shell import posix

    class TerminalInput(Vt100Input):
        """The keys of a terminal; `keyboard` has them while no prompt reads them."""

        def __init__(self, stdin: TextIO, out: TextIO) -> None:
            super().__init__(stdin)
            self.keyboard = Keyboard(stdin.fileno(), out)
            self.keyboard.forget = lambda: clear_typeahead(self)

        def cooked_mode(self) -> AbstractContextManager[None]:
            """The terminal as another program expects it: an editor, the shell that this one is stopped under."""
            return self.keyboard.cooked()

        def give(self, keys: bytes) -> None:
            """Keys for the next prompt. The end of a paste may be still to come."""
            self.vt100_parser.feed(self.stdin_reader._stdin_decoder.decode(keys))
            store_typeahead(self, self.flush_keys())

    class TerminalOutput(Vt100_Output):
        """The screen of that terminal."""

        def disable_bracketed_paste(self) -> None:
            """Left to the keyboard: what is pasted between two prompts must not run by itself either."""


def terminal_input() -> TerminalInput | None:
    """This process's terminal; None where it has none, or none of this kind."""
    if sys.platform == "win32":
        return None
    try:
        there = posix.modes(sys.stdin.fileno()) is not None
    except (OSError, ValueError):
        return None
    return TerminalInput(sys.stdin, sys.stdout) if there else None


def terminal_output() -> Vt100_Output:
    """The screen where there is a `terminal_input`, made as prompt_toolkit makes its own."""
    depth = ColorDepth.from_env()
    return TerminalOutput.from_pty(sys.stdout, term=os.environ.get("TERM"), default_color_depth=depth)
