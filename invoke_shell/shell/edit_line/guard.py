"""A fault of ours must not end a line that somebody is typing."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["Watch", "guarded", "thread_failed"]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("invoke_shell.prompt")


def guarded(fallback: Callable[[], R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Whatever the function raises goes to who watches the event loop, and its caller gets what `fallback` makes.

    For what is called while a key is drawn: a redraw that fails in the middle leaves a line that cannot be seen.
    """

    def guard(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def guarded_function(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                _report(error, function.__qualname__)
                return fallback()

        return guarded_function

    return guard


def _report(error: Exception, where: str) -> None:
    message = f"{where} failed while somebody was typing"
    try:
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
    except RuntimeError:  # no loop, no prompt
        log.error(message, exc_info=error)


def thread_failed(failure: threading.ExceptHookArgs) -> None:
    """What a thread at work beside the line raises goes to the log; Python would print the trace into the line."""
    name = failure.thread.name if failure.thread is not None else "a thread"
    log.error("%s failed", name, exc_info=failure.exc_value)


class Watch:
    """Faults in the event loop of a prompt: the first of each line is told in one sentence, all are in the log.

    In the place of prompt_toolkit's own handler, which prints the trace and waits for Enter.
    tell: says one, on a screen on which somebody is typing.
    """

    def __init__(self, tell: Callable[[Exception], None]) -> None:
        self._tell = tell
        self._told = False

    def begin(self) -> None:
        """Watch the loop that runs, in which another line begins."""
        self._told = False
        asyncio.get_running_loop().set_exception_handler(self._heard)

    def _heard(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.info("%s %r", context.get("message"), error)
        if isinstance(error, Exception) and not self._told:  # what fails at each key is told at the first one
            self._told = True
            self._tell(error)
