"""The shell: the prompt at once, then everything else; what is typed runs, and the prompt comes again.

Nothing is imported here that drawing a prompt does not need. See docs/shell.md.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from invoke_shell.shell.display.marks import DUMB, PROMPT
from invoke_shell.shell.edit_line.guard import thread_failed
from invoke_shell.shell.edit_line.interrupts import when_whole
from invoke_shell.shell.edit_line.prompt import Editor, PlainWanted, redrawing

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["Shell", "interact"]

LEAVING = "Ctrl-D or exit leaves"
NOTHING_RAN = (2, 3)  # exit statuses of a line that was not understood, or lacks something


def interact(opening: Callable[[], Session], *, input: Input | None = None, output: Output | None = None) -> int:
    """Talk with the person until they leave; the exit status of the program.

    opening: makes the session, which is closed at the end; called when the prompt is on the screen, and what it raises
    is raised here. input, output: for tests; None is this terminal.
    """
    shell = Shell(opening, input=input, output=output)
    before = signal.signal(signal.SIGINT, shell.interrupted)
    threading.excepthook, printed = thread_failed, threading.excepthook
    try:
        shell.run()
    finally:
        shell.leave_terminal()
        shell.close()
        threading.excepthook = printed
        signal.signal(signal.SIGINT, before)
    return 0


class Asking(Protocol):
    """Where lines come from."""

    def ask(self, text: str, cursor: int) -> str:
        """One line, beginning with a text to be mended. Raises EOFError, and KeyboardInterrupt with Ctrl-C."""
        ...

    def ready(self) -> None:
        """Return when nothing else is at work in the session: a line is about to run."""
        ...

    def remember(self, text: str) -> None:
        """A line that was understood belongs to the history."""
        ...

    def stands(self) -> str:
        """What is in the line, or was when it was interrupted."""
        ...


class Shell:
    """The loop. input, output: for tests; None is this terminal."""

    def __init__(
        self, opening: Callable[[], Session], *, input: Input | None = None, output: Output | None = None
    ) -> None:
        self._opening = opening
        self._session: Session | None = None
        self._plain: Asking | None = None
        self._editor: Editor | None = None
        self._input, self._output = input, output
        self._stoppable = False

    @property
    def session(self) -> Session:
        """The session, opened and introduced when first asked for."""
        if self._session is None:
            self._session = self._opening()
            from invoke_shell.shell.edit_line.editing import greet

            greet(self._session)
        return self._session

    def leave_terminal(self) -> None:
        """Nobody reads keys here for now: the terminal is as it was found."""
        if self._editor is not None:
            self._editor.leave_terminal()

    def close(self) -> None:
        """End the session, when there is one."""
        if self._session is not None:
            self._session.close()

    def run(self) -> None:
        """Ask and run until the person leaves."""
        text, cursor = "", 0
        while self._session is None or not self._session.leaving:
            text, cursor = self._turn(text, cursor)

    def interrupted(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C as a signal: an exception where one is waited for, and nothing in between.

        In the edit line it is a key. As a signal it also comes before the terminal is ready for keys and after a line
        has ended, where asyncio and Python would end the program.
        """
        if self._stoppable:
            when_whole(frame, self._interrupt)

    def _interrupt(self) -> None:
        if self._stoppable:
            self._stoppable = False
            raise KeyboardInterrupt

    def _turn(self, text: str, cursor: int) -> tuple[str, int]:
        """Ask for one line and run it; what stands in the next one, and where the cursor is in it."""
        lines = self._lines()
        try:
            self._stoppable = lines is self._plain
            typed = lines.ask(text, cursor)
            self._stoppable = False
        except EOFError:
            self.session.leaving = True
            return "", 0
        except PlainWanted:
            return self._editor.ahead() if self._editor else "", 0
        except KeyboardInterrupt:
            if not lines.stands().strip():
                self.session.view.say(LEAVING)
            return "", 0
        return self._run(typed, lines) if typed.strip() else ("", 0)

    def _lines(self) -> Asking:
        """The editor, or plain lines where nothing can be redrawn or shall not be."""
        dumb = self._output is None and (_is_dumb() or not sys.stdout.isatty())
        dumb = dumb or (self._editor is not None and self._editor.worn)
        if dumb or (self._session is not None and self._session.settings["plain"]):
            from invoke_shell.shell.edit_line.plain import PlainLines

            self._plain = self._plain or PlainLines(self.session)
            self.leave_terminal()
            return self._plain
        if self._editor is None:
            self._editor = Editor(lambda: self.session, input=self._input, output=self._output)
        return self._editor

    def _run(self, typed: str, lines: Asking) -> tuple[str, int]:
        """Run a line; what stands in the next one, and where the cursor is in it."""
        session = self.session
        reading, view = session.read(typed), redrawing(session)
        wrong = reading.faults
        if view is not None:
            view.begin(PROMPT + typed)
        else:
            self.leave_terminal()
        try:
            self._stoppable = True
            lines.ready()
            status = session.run(typed)
            self._stoppable = False
        except KeyboardInterrupt:  # outside a run: a builtin was at work
            session.view.say("stopped")
            status = 130
        finally:
            if view is not None:
                view.restore()
        if not wrong:
            lines.remember(typed)
        if session.recalled:
            recalled, session.recalled = session.recalled, ""
            return recalled, len(recalled)
        if status in NOTHING_RAN and not session.leaving:
            return typed, wrong[0].end if wrong else len(typed)
        return "", 0


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in DUMB and os.name != "nt"
