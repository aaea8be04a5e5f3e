"""A fault of ours must not end a line that somebody is typing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["guarded"]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("invoke_shell.prompt")


def guarded(fallback: Callable[[], R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Whatever the function raises goes to the log, and its caller gets what `fallback` makes.

    For what is called while a key is drawn: prompt_toolkit would print the trace into the line and wait for Enter.
    """

    def guard(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def guarded_function(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception:
                log.exception("%s failed while somebody was typing", function.__qualname__)
                return fallback()

        return guarded_function

    return guard
