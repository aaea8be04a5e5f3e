"""Ctrl-C while a command of the shell works: an exception, but never inside what must be left whole.

KeyboardInterrupt may come between any two instructions. Inside a lock of `threading` it leaves the lock taken, so that
whoever needs it next waits for ever; inside a write it leaves half an escape sequence on the screen. There it is put
off to the first call outside.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

__all__ = ["WHOLE", "is_whole", "when_whole"]

WAITS = ("wait", "join", "_wait_for_tstate_lock")  # of threading: where nothing else may happen for long
WHOLE = (
    "threading",
    "logging",
    "invoke_shell.database",
    "invoke_shell.runtime.wire",
    "invoke_shell.shell.display.keyboard",
    "invoke_shell.shell.display.screen",
    "invoke_shell.shell.display.progress",
    "invoke_shell.shell.display.block",
)


def is_whole(frame: FrameType | None) -> bool:
    """False inside what must not be left in the middle. frame: what the main thread does."""
    waits = frame is not None and _module(frame) == "threading" and frame.f_code.co_name in WAITS
    while frame is not None:
        name = _module(frame)
        if name in WHOLE and not (waits and name == "threading"):
            return False
        frame = frame.f_back
    return True


def when_whole(frame: FrameType | None, act: Callable[[], None]) -> None:
    """Act now, else at the first call outside what must be left whole. What `act` raises is raised there.

    For a signal handler. Tried: sending the signal again a moment later, which a command that writes all the time meets
    inside a write nearly always.
    """
    if is_whole(frame):
        act()
        return

    def called(at: FrameType, event: str, argument: object) -> None:
        if is_whole(at):
            sys.setprofile(None)
            act()

    sys.setprofile(called)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
