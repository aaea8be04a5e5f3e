"""The whole program in a terminal: pexpect runs it, pyte is its screen. Every wait has an end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

PATIENCE = 20.0  # seconds; a busy machine starts the program in three
PROMPT = "invoke>"


class Terminal:
    """A program on a screen of its own. What it asks of the terminal (where the cursor is) is answered."""

    def __init__(
        self, argv: list[str], env: Mapping[str, str], *, columns: int = 90, rows: int = 40, cwd: Path | None = None
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=1000, ratio=0.5)
        self.stream = pyte.Stream(self.screen)
        self.raw = ""
        self.program = pexpect.spawn(
            argv[0], argv[1:], dimensions=(rows, columns), encoding="utf-8", env=dict(env), cwd=cwd
        )
        self.screen.write_process_input = self.program.send

    # -- keys --------------------------------------------------------------------------------------------------------

    def type(self, text: str) -> None:
        self.program.send(text)

    def line(self, text: str) -> None:
        """Type a line and Enter; Enter comes alone, when the text is there, as from fingers."""
        self.type(text)
        self.wait(lambda screen: text[-30:].rstrip() in screen.replace("\n", ""))
        self.type("\r")

    # -- screen ------------------------------------------------------------------------------------------------------

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    @property
    def prompt_row(self) -> int:
        """The row of the last prompt, -1 when there is none."""
        return max((i for i, line in enumerate(self.lines) if line.startswith(PROMPT)), default=-1)

    @property
    def edited(self) -> str:
        """What stands in the edit line."""
        return self.lines[self.prompt_row].removeprefix(PROMPT).strip() if self.prompt_row >= 0 else ""

    def row(self, part: str) -> int:
        return next(i for i, line in enumerate(self.lines) if part in line)

    def style(self, row: int, column: int) -> pyte.screens.Char:
        return self.screen.buffer[row][column]

    # -- time --------------------------------------------------------------------------------------------------------

    def pump(self, seconds: float = 0.05) -> None:
        """Show what the program wrote."""
        try:
            heard = self.program.read_nonblocking(65536, timeout=seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return
        self.raw += heard
        self.stream.feed(heard)

    def settle(self, quiet: float = 0.3) -> None:
        """Until nothing was written for a while."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            before = len(self.raw)
            self.pump(quiet)
            if len(self.raw) == before:
                return

    def wait(self, wanted: str | Callable[[str], bool], seconds: float = PATIENCE) -> str:
        """Until the screen has a text, or a condition on it holds; the screen."""
        holds = (lambda screen: wanted in screen) if isinstance(wanted, str) else wanted
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds(self.text):
                return self.text
            self.pump()
        raise AssertionError(f"waited {seconds} s in vain for {wanted!r}; the screen is:\n{self.text}")

    def wait_prompt(self) -> None:
        """Until an empty prompt is the last thing on the screen."""
        self.wait(lambda screen: self.prompt_row >= 0 and not self.edited and self.cursor_at_prompt)

    @property
    def cursor_at_prompt(self) -> bool:
        return self.screen.cursor.y == self.prompt_row and self.screen.cursor.x == len(PROMPT) + 1

    def ended(self, seconds: float = PATIENCE) -> int | None:
        """The exit status once the program is gone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.program.isalive():
            self.pump()
        assert not self.program.isalive(), self.text
        return self.program.exitstatus

    def close(self) -> None:
        self.program.close(force=True)


@contextmanager
def shell(home: Path, *arguments: str, columns: int = 90, rows: int = 40, **env: str) -> Iterator[Terminal]:
    """invoke-shell over a home, on the fake engine, at its first prompt."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("INVOKE", "TMUX", "TERM_PROGRAM", "NO_COLOR"))}
    settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "INVOKE_SHELL_ENGINE": "fake"}
    argv = [sys.executable, "-m", "invoke_shell", "--home", str(home), *arguments]
    terminal = Terminal(argv, {**clean, **settings, **env}, columns=columns, rows=rows, cwd=home)
    try:
        terminal.wait_prompt()
        yield terminal
    finally:
        terminal.close()
