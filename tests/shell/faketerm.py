"""A terminal that is a thread: the other end of a pty, answering questions as a named terminal would."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

NAME, CELL, ABILITIES = rb"\x1b\[>q", rb"\x1b\[16t", rb"\x1b\[c"


def _profile(abilities: bytes, name: bytes = b"", cell: bytes = b"\x1b[6;20;10t") -> dict[bytes, bytes]:
    profile = {ABILITIES: b"\x1b[?" + abilities + b"c"}
    if name:
        profile[NAME] = b"\x1bP>|" + name + b"\x1b\\"
    if cell:
        profile[CELL] = cell
    return profile


# question (a pattern) -> answer, as the terminals of 2024-2026 give them
PROFILES: dict[str, dict[bytes, bytes]] = {
    "kitty": _profile(b"62;", b"kitty(0.42.1)"),
    "ghostty": _profile(b"62;22;52", b"ghostty 1.3.0"),
    "wezterm": _profile(b"65;4;6;18;22", b"WezTerm 20240203-110809-5046fc22"),
    "iterm2": _profile(b"65;1;2;4;6;17;18;22", b"iTerm2 3.6.2"),
    "konsole": _profile(b"62;1;4", b"Konsole 24.12.0"),
    "foot": _profile(b"62;4;22;28;52", b"foot(1.23.1)"),
    "mlterm": _profile(b"63;1;2;3;4;6;7;15;18;22;29", b"mlterm(3.9.3)"),
    "xterm": _profile(b"64;1;2;6;9;15;16;17;18;21;22;28", b"XTerm(397)", cell=b""),
    "xterm with sixel": _profile(b"64;1;2;4;6;9;15;16;17;18;21;22;28", b"XTerm(397)"),
    "vte": _profile(b"65;1;9", b"VTE(7800)", cell=b""),
    "alacritty": _profile(b"6", cell=b"\x1b[6;18;9t"),
    "vscode": _profile(b"62;4;9;22", b"xterm.js(5.6.0)"),
    "apple": _profile(b"1;2", cell=b""),
    "silent": {},
}


class FakeTerminal:
    """heard: all bytes the program wrote so far. stdin, stdout: the program's end."""

    def __init__(self, profile: dict[bytes, bytes], *, columns: int, rows: int, cell: tuple[int, int] = (0, 0)) -> None:
        self.profile = dict(profile)
        self.heard = b""
        self._answered = 0
        self._master, self.slave = pty.openpty()
        size = (rows, columns, columns * cell[0], rows * cell[1])
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size))
        self.stdin: TextIO = os.fdopen(self.slave, closefd=False)
        self.stdout: TextIO = os.fdopen(self.slave, "w", closefd=False, encoding="utf-8")
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def _run(self) -> None:
        while True:
            ready = select.select([self._master, self._stop], [], [])[0]
            if self._stop in ready:
                return
            try:
                self.heard += os.read(self._master, 65536)
            except OSError:
                return
            self._answer()

    def _answer(self) -> None:
        asked = re.compile(b"|".join(self.profile) or b"(?!)")
        while question := asked.search(self.heard, self._answered):
            self._answered = question.end()
            for pattern, answer in self.profile.items():
                if re.fullmatch(pattern, question[0]):
                    os.write(self._master, answer)

    def close(self) -> None:
        os.write(self._wake, b"x")
        self._thread.join(5)
        for fd in (self._master, self.slave, self._stop, self._wake):
            os.close(fd)


@contextmanager
def fake_terminal(
    profile: str | dict[bytes, bytes] = "silent", *, columns: int = 100, rows: int = 40, cell: tuple[int, int] = (0, 0)
) -> Iterator[FakeTerminal]:
    """cell: what the driver says a character measures; 0 where it does not know, as over ssh."""
    chosen = PROFILES[profile] if isinstance(profile, str) else profile
    terminal = FakeTerminal(chosen, columns=columns, rows=rows, cell=cell)
    try:
        yield terminal
    finally:
        terminal.close()


def run_in_terminal(argv: list[str], profile: str, env: dict[str, str], *, limit: float = 20) -> bytes:
    """Run a program with the terminal as its controlling one; everything it wrote."""
    import subprocess
    import time

    with fake_terminal(profile) as terminal:
        tty.setraw(terminal.slave)
        program = subprocess.Popen(
            argv,
            stdin=terminal.slave,
            stdout=terminal.slave,
            stderr=terminal.slave,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        try:
            program.wait(limit)
        finally:
            program.kill()
        time.sleep(0.1)
        return terminal.heard
