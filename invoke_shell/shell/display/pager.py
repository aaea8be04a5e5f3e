"""A long answer one screen at a time, by the person's own pager."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from typing import TextIO

__all__ = ["paged"]

USUAL = "less"
# less: leave by itself what fits, pass colours on, leave what was read on the screen; a prompt that says the keys
OPTIONS = "FRXPsspace goes on, q leaves"


def paged(text: str, out: TextIO, env: Mapping[str, str]) -> bool:
    """Show a text by $PAGER; False where there is none, or `out` is not this process's terminal."""
    command = _command(env.get("PAGER", USUAL))
    if not command or not _is_terminal(out):
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pager's to answer
    try:
        subprocess.run(
            command, input=text + "\n", encoding="utf-8", errors="replace", env=_environment(env), check=False
        )
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True


def _command(text: str) -> list[str]:
    """$PAGER in words; none for `cat`, an unset one without less, or one that is not there."""
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    return words if words and words[0] != "cat" and shutil.which(words[0]) else []


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    return {**env, "LESS": env.get("LESS") or OPTIONS, "LESSCHARSET": "utf-8"}


def _is_terminal(out: TextIO) -> bool:
    try:
        return os.isatty(out.fileno()) and out.fileno() == 1
    except (OSError, ValueError):
        return False
