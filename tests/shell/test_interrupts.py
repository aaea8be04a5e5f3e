"""Ctrl-C as a signal: it ends the work of a command, and leaves locks, screen and store whole."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from importlib.util import find_spec
from types import FrameType

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from shell_kit import REGISTRY, FakeSession

from invoke_shell.shell.archive.store import Store
from invoke_shell.shell.display.screen import TerminalView
from invoke_shell.shell.edit_line.interrupts import WHOLE, is_whole
from invoke_shell.shell.edit_line.loop import interact
from invoke_shell.shell.settings import Settings

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def session(tmp_path):
    made = FakeSession(tmp_path)
    yield made
    made.close()


def every_instruction(work, *modules: str) -> list[tuple[str, bool]]:
    """For each instruction that runs in these modules while something works: its function, and whether it is whole."""
    seen: list[tuple[str, bool]] = []

    def called(frame: FrameType, event: str, argument: object):
        if frame.f_globals.get("__name__") not in modules:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return stepped

    def stepped(frame: FrameType, event: str, argument: object):
        if event == "opcode":
            sys.settrace(None)
            seen.append((frame.f_code.co_qualname, is_whole(frame)))
            sys.settrace(called)
        return stepped

    sys.settrace(called)
    try:
        work()
    finally:
        sys.settrace(None)
    return seen


def test_the_locks_of_threading_are_left_whole():
    seen = every_instruction(threading.Event().set, "threading")

    assert "Condition.__enter__" in {name for name, _ in seen}
    assert not any(whole for _, whole in seen)


def test_what_is_written_on_the_screen_is_left_whole():
    view = TerminalView(Settings(REGISTRY), out=io.StringIO(), stdin=io.StringIO(), env={"TERM": "xterm"})

    def work() -> None:
        view.begin("invoke> help")
        view.say("said")
        view.restore()

    seen = every_instruction(work, "invoke_shell.shell.display.screen", "invoke_shell.shell.display.progress")

    assert {"TerminalView._print", "ProgressLine.hide"} <= {name for name, _ in seen}
    assert not any(whole for _, whole in seen)


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_left_whole_is_there(name):
    assert find_spec(name)


def test_other_work_may_end_anywhere():
    assert is_whole(sys._getframe())
    assert is_whole(None)


def interrupted_at_work(session: FakeSession, work) -> float:
    """Ctrl-C when a line has worked for a while; seconds until it has ended."""
    ended: list[float] = []

    def at_work() -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        try:
            work()
        finally:
            ended.append(time.monotonic() - began)
            session.after = lambda: None

    session.after = at_work
    with create_pipe_input() as pipe:
        pipe.send_text("help\rexit\r")
        interact(lambda: session, input=pipe, output=DummyOutput())
    assert "stopped" in session.view.said
    return ended[0]


def test_a_command_that_waits_is_ended(session):
    assert interrupted_at_work(session, lambda: threading.Event().wait(30)) < 5


def test_a_command_that_writes_all_the_time_is_ended_between_two_writes(session):
    def write() -> None:
        while True:
            session.store.set_setting(session.number, "steps", "7")

    assert interrupted_at_work(session, write) < 5
    store = Store.open(session.home.data)  # the shell has closed its own
    store.set_setting(session.number, "steps", "8")
    assert store.settings(session.number) == {"steps": "8"}
    store.close()
