"""What several commands of the shell are given: words, pictures, the rest of a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from invoke_shell.errors import Fault, LineError
from invoke_shell.pipeline.node import Arg
from invoke_shell.shell.session import Session

__all__ = [
    "Age",
    "Handles",
    "OptionalRest",
    "PicturesRest",
    "Rest",
    "Words",
    "expanded",
    "fault",
    "seconds_of",
    "size_text",
]

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}

Words = Annotated[list[str], Arg(help="Pictures: files, handles, or lines of the history by number.")]
Handles = Annotated[list[str], Arg(help="Results: @12, @-1, @15..22, @@, @kept, @name.")]
Age = Annotated[str | None, Arg(help="A time back from now: 30m, 12h, 30d, 8w.")]
Rest = Annotated[str, Arg(help="The rest of the line.")]
PicturesRest = Annotated[str, Arg(help="Pictures: files or handles, then flags.")]
OptionalRest = Annotated[str, Arg(help="The rest of the line.")]


def expanded(shell: Session, words: list[str]) -> Iterator[str]:
    """Words one picture each: patterns of files as people count (a2 before a10), handles that name several.

    A word that names a file is that file. Raises BlockedError for a pattern that nothing matches.
    """
    for word in words:
        if word.startswith("@") and not word[1:].isdigit():
            yield from _results(shell, word)
        elif any(c in word for c in "*?[") and not Path(word).expanduser().exists():
            from invoke_shell.shell.gather import matching

            yield from map(str, matching(str(Path(word).expanduser())))
        else:
            yield word


def _results(shell: Session, word: str) -> list[str]:
    """The results of a handle; the handle itself where it names one."""
    rows = shell.keeper.rows(word)
    return [word] if len(rows) == 1 else [row.handle for row in rows]


def fault(word: str, message: str, hint: str = "", code: str = "unknown-command") -> Fault:
    """What is wrong with a word that is all of its text."""
    return Fault(0, len(word), message, hint, code)


def seconds_of(age: str) -> float:
    """Seconds of `30m`, `12h`, `30d` or `8w`. Raises LineError."""
    if age[:-1].isdigit() and len(age) < 9 and age[-1:] in UNITS:
        return float(int(age[:-1]) * UNITS[age[-1]])
    message = f"{age} is no time: a number of minutes, hours, days or weeks is wanted"
    raise LineError(age, [fault(age, message, "as in: 30m, 12h, 30d, 8w", "bad-value")])


def size_text(size: float) -> str:
    """`812 B`, `3.4 MB`: powers of 1000, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
