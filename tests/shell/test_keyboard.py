"""The keys of a terminal between the prompts: a pseudo-terminal, and the signals of this very process."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

import pytest

if sys.platform == "win32":
    pytest.skip("POSIX terminals only", allow_module_level=True)

import pty
import termios

from invoke_shell.shell.display.keyboard import Keyboard

pytestmark = pytest.mark.timeout(60)

PATIENCE = 10.0  # seconds


class Typed:
    """A terminal that somebody types on. heard: Ctrl-C as this process hears of it."""

    def __init__(self, out) -> None:
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.keyboard = Keyboard(self.slave, out)
        self.heard = 0

    def type(self, keys: bytes) -> None:
        """All of them, as fast as they are taken."""
        end = time.monotonic() + PATIENCE
        while keys:
            assert time.monotonic() < end, f"{len(keys)} keys are not taken"
            try:
                keys = keys[os.write(self.master, keys) :]
            except BlockingIOError:
                time.sleep(0.001)

    def until(self, condition) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.001)

    def signalled(self, number: int, frame: object) -> None:
        self.heard += 1

    def modes(self) -> list:
        return termios.tcgetattr(self.slave)

    def echoed(self) -> bytes:
        try:
            return os.read(self.master, 65536)
        except BlockingIOError:
            return b""


@pytest.fixture
def typed():
    with open(os.devnull, "w", encoding="utf-8") as out:
        made = Typed(out)
        before = signal.signal(signal.SIGINT, made.signalled)
        yield made
        made.keyboard.end()
        signal.signal(signal.SIGINT, before)
    for fd in (made.master, made.slave):
        with suppress(OSError):
            os.close(fd)


def test_keys_are_kept_in_order_and_never_echoed(typed):
    typed.keyboard.begin()
    typed.type(b"txt2img ")
    typed.type("日本\r".encode())
    typed.until(lambda: len(typed.keyboard._kept) == 15)

    assert typed.keyboard.end() == "txt2img 日本\r".encode()
    assert typed.echoed() == b""


def test_what_is_typed_between_two_lines_waits_for_the_prompt(typed):
    typed.keyboard.take()
    typed.type(b"\x03\x13\x16\x04a\r")  # Ctrl-C, S, V, D: keys as any other
    typed.until(lambda: b"\r" in os.read(typed.slave, 100))

    assert typed.echoed() == b""
    assert typed.heard == 0


def test_ctrl_c_is_heard_behind_more_keys_than_the_system_keeps(typed):
    typed.keyboard.begin()
    typed.type(b"x" * 100_000 + b"\x03")
    typed.until(lambda: typed.heard)

    assert typed.keyboard.end() == b""


def test_ctrl_c_takes_away_what_was_typed_before_it_and_nothing_else(typed):
    forgot = []
    typed.keyboard.forget = lambda: forgot.append(True)
    typed.keyboard.begin()
    typed.type(b"an old line\r\x03a new one")
    typed.until(lambda: len(typed.keyboard._kept) == 9 and typed.heard)

    assert typed.keyboard.end() == b"a new one"
    assert forgot


def test_another_program_has_the_terminal_as_it_was(typed):
    before = typed.modes()
    typed.keyboard.begin()
    ours = typed.modes()
    assert ours != before

    with typed.keyboard.lent():
        assert typed.modes() == before
        typed.type(b"its own\r")
        typed.until(lambda: os.read(typed.slave, 100) == b"its own\n")
    assert typed.modes() == ours
    typed.type(b"mine")
    typed.until(lambda: typed.keyboard._kept)

    assert typed.keyboard.end() == b"mine"
    typed.keyboard.leave()
    assert typed.modes() == before


def test_answers_of_the_terminal_are_read_by_who_asked(typed):
    typed.keyboard.begin()
    with typed.keyboard.alone():
        typed.type(b"answer")
        typed.until(lambda: os.read(typed.slave, 100) == b"answer")
    assert typed.keyboard.keep(b"beside it\x03 after")
    typed.until(lambda: typed.heard)

    assert typed.keyboard.end() == b" after"
    assert not typed.keyboard.keep(b"too late")


def test_a_terminal_that_is_gone_ends_the_listening(typed):
    typed.keyboard.begin()
    os.close(typed.master)
    typed.until(lambda: not typed.keyboard._thread.is_alive())

    assert typed.keyboard.end() == b""
    typed.keyboard.leave()


def test_what_is_no_terminal_is_left_alone():
    reading, writing = os.pipe()
    with open(os.devnull, "w", encoding="utf-8") as out:
        keyboard = Keyboard(reading, out)
        keyboard.begin()
        os.write(writing, b"its own")

        assert keyboard.end() == b""
    assert os.read(reading, 100) == b"its own"
    os.close(reading)
    os.close(writing)
