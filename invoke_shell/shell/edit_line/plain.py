"""Lines without redrawing, for `set plain on` and for terminals that cannot move the cursor."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from invoke_shell.shell.archive.lines import LineHistory
from invoke_shell.shell.display.marks import CONTINUED, DUMB, PROMPT

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["PlainLines"]


class PlainLines:
    """The system's own line editing, which remembers lines and puts one in to be mended, where there is any."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.history = LineHistory(session.home.history_file)
        self.readline = _readline(self.history)
        self._ahead = ""
        self._stood = ""

    def ask(self, text: str, cursor: int) -> str:
        """One line, and more while it is unfinished. A text with Enter in it was typed ahead: it is no draft."""
        self._stood = ""
        try:
            lines = [self._input(text or self._ahead)]
            while self.session.read("\n".join(lines)).incomplete:
                lines.append(input(CONTINUED))
            return "\n".join(lines)
        except (EOFError, KeyboardInterrupt):
            self._stood = self.readline.get_line_buffer() if self.readline is not None else ""
            print()  # what comes next does not stand behind what was typed
            raise

    def ready(self) -> None:
        """Nothing is warmed beside a plain shell."""

    def remember(self, text: str) -> None:
        self.history.store_string(text)

    def stands(self) -> str:
        return self._stood

    def _input(self, text: str) -> str:
        line, entered, self._ahead = text.partition("\r")
        if entered:
            print(PROMPT + line)
            return line
        if self.readline is None:
            return input(PROMPT)
        self.readline.set_startup_hook(partial(self.readline.insert_text, text))
        try:
            return input(PROMPT)
        finally:
            self.readline.set_startup_hook(None)


def _readline(history: LineHistory) -> Any:
    """GNU readline or its like with the history in it; None where there is none, or the terminal is too simple."""
    if os.environ.get("TERM", "") in DUMB:
        return None
    try:
        import readline
    except ImportError:
        return None
    for line in reversed(list(history.load_history_strings())):
        readline.add_history(line)
    return readline
