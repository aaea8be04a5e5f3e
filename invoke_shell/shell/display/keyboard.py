"""The keys of a terminal while no prompt reads them: none is echoed, none is lost, Ctrl-C is heard among any number.

The system keeps 4 kB of keys for a program that does not read. What comes behind them waits, Ctrl-C too; and when the
system itself makes a signal of Ctrl-C it throws away what is on its way to the screen, half a sign of a line perhaps.
So while a line runs a thread reads the keys and makes the signals.
"""

from __future__ import annotations

import os
import re
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

from invoke_shell.shell import posix

__all__ = ["Keyboard", "Quiet"]

PASTES_MARKED, PASTES_PLAIN = "\x1b[?2004h", "\x1b[?2004l"
SIGNALS = re.compile(b"[\x03\x1a]")  # Ctrl-C, Ctrl-Z
SETTLING = 0.1  # seconds until a signal to all of this job has come to all of it


class Quiet:
    """No echo while a line runs; the keys stay with the system. For lines without redrawing, and where nobody types."""

    def __init__(self, stdin: TextIO) -> None:
        self.fd = _descriptor(stdin)
        self._before: posix.Modes | None = None

    def begin(self) -> None:
        """A line runs: what is typed must not stand among what is drawn."""
        self._before = posix.modes(self.fd)
        if self._before is not None:
            posix.set_modes(self.fd, posix.without_echo(self._before))

    def end(self) -> bytes:
        """The line has ended; the keys that were typed meanwhile and are not with the system."""
        self._give_back()
        return b""

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The terminal is another program's, as it was before ours."""
        began = self._before is not None
        self._give_back()
        try:
            yield
        finally:
            if began:
                self.begin()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Somebody else reads the terminal: its answers to a question."""
        yield

    def keep(self, keys: bytes) -> bool:
        """Keys that were read beside such answers; False where they are for whoever asked to hand on."""
        return False

    def _give_back(self) -> None:
        if self._before is not None:
            posix.set_modes(self.fd, self._before)
            self._before = None


class Keyboard:
    """A terminal that is ours from the first prompt on: `take` before each prompt, `leave` when it is another's.

    away: what is redrawn must be off the screen as long as it lasts. forget: Ctrl-C takes away what was typed before.
    """

    def __init__(self, fd: int, out: TextIO) -> None:
        self.fd = fd
        self.away: Callable[[], AbstractContextManager[None]] = nullcontext
        self.forget: Callable[[], None] = lambda: None
        self._out = out
        self._before: posix.Modes | None = None
        self._kept = bytearray()
        self._thread: threading.Thread | None = None
        self._state = threading.Condition()
        self._reading = False  # the thread waits for keys
        self._others = 0  # who reads in its place
        self._over = False
        self._woken, self._wake = os.pipe()

    # -- whose the terminal is ---------------------------------------------------------------------------------------

    def take(self) -> None:
        """From now on keys come as they are, pastes marked, echoed by nobody; only Ctrl-\\ is the system's."""
        if self._before is None:
            self._before = posix.modes(self.fd)
            self._tell(PASTES_MARKED)
        if self._before is not None:
            posix.set_modes(self.fd, posix.unread(self._before))

    def leave(self) -> None:
        """The terminal is as it was before `take`."""
        if self._before is not None:
            self._tell(PASTES_PLAIN)
            posix.set_modes(self.fd, self._before)
            self._before = None

    @contextmanager
    def cooked(self) -> Iterator[None]:
        """As `lent`, in the middle of a prompt, which reads the keys itself."""
        now = posix.modes(self.fd)
        if self._before is not None:
            self._tell(PASTES_PLAIN)
            posix.set_modes(self.fd, self._before)
        try:
            yield
        finally:
            self._tell(PASTES_MARKED)
            if now is not None:
                posix.set_modes(self.fd, now)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The terminal is another program's, as it was before ours."""
        listened, kept = self._thread is not None, self._stop()
        self.leave()
        try:
            yield
        finally:
            self.take()
            if listened:
                self._kept += kept
                self._listen()

    # -- while a line runs -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A line runs: listen."""
        self.take()
        if self._before is not None:
            self._listen()

    def end(self) -> bytes:
        """The line has ended; the keys that were typed meanwhile."""
        return self._stop()

    def keep(self, keys: bytes) -> bool:
        """Keys that somebody else has read while the line runs; False when it does not run any more."""
        if self._thread is None:
            return False
        self._heard(keys)
        return True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Somebody else reads the terminal: its answers to a question."""
        with self._state:
            self._others += 1
            os.write(self._wake, b".")
            while self._reading:
                self._state.wait()
        try:
            yield
        finally:
            with self._state:
                self._others -= 1
                self._state.notify_all()

    def _listen(self) -> None:
        self._over = False
        self._thread = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self._thread.start()

    def _stop(self) -> bytes:
        if self._thread is not None:
            with self._state:
                self._over = True
                os.write(self._wake, b".")
                self._state.notify_all()
            self._thread.join()
            self._thread = None
        kept, self._kept = bytes(self._kept), bytearray()
        return kept

    def _read(self) -> None:
        while self._may_read():
            try:
                keys = self._next()
            except OSError:  # the terminal is gone
                return
            finally:
                with self._state:
                    self._reading = False
                    self._state.notify_all()
            self._heard(keys)

    def _may_read(self) -> bool:
        """When nobody else reads; False when the line is over."""
        with self._state:
            while self._others and not self._over:
                self._state.wait()
            self._reading = not self._over
            return self._reading

    def _next(self) -> bytes:
        """The keys there are, waited for; none when somebody wakes this thread. Raises OSError without a terminal."""
        ready = select.select([self.fd, self._woken], [], [])[0]
        if self._woken in ready:
            os.read(self._woken, 64)
        if self.fd not in ready:
            return b""
        if not (keys := os.read(self.fd, 4096)):
            raise OSError("the terminal is gone")
        return keys

    def _heard(self, keys: bytes) -> None:
        """Keep keys; what stands before Ctrl-C is taken away by it."""
        while found := SIGNALS.search(keys):
            before, keys = keys[: found.start()], keys[found.end() :]
            if found[0] == b"\x03":
                self._kept.clear()
                self.forget()
                # To the thread that may be waiting in the system, so that it hears of it.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                self._kept += before
                self._suspend()
        self._kept += keys

    def _suspend(self) -> None:
        """Stop this job; return when it goes on with the terminal in its hands."""
        with self.away():
            self.leave()
            os.kill(0, signal.SIGTSTP)
            time.sleep(SETTLING)
            while not posix.in_foreground(self.fd) and not self._over:
                time.sleep(SETTLING)
            self.take()

    def _tell(self, code: str) -> None:
        if self._before is not None:
            try:
                os.write(self._out.fileno(), code.encode())
            except (OSError, ValueError):
                return


def _descriptor(stdin: TextIO) -> int:
    """-1 for a stream without one."""
    try:
        return stdin.fileno()
    except (OSError, ValueError):
        return -1
