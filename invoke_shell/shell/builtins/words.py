"""What several commands of the shell are given: words, pictures, the rest of a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from invoke_shell.errors import Fault
from invoke_shell.pipeline.node import Arg

__all__ = ["OptionalRest", "Rest", "Word", "Words", "expanded", "fault"]

Word = Annotated[str | None, Arg(help="A command, a handle, or a word to look for.")]
Words = Annotated[list[str], Arg(help="Pictures: files, handles, or lines of the history by number.")]
Rest = Annotated[str, Arg(help="The rest of the line.")]
OptionalRest = Annotated[str, Arg(help="The rest of the line.")]


def expanded(words: list[str]) -> Iterator[str]:
    """Words with their patterns expanded; a word that names a file is that file."""
    from glob import glob

    for word in words:
        found = sorted(glob(str(Path(word).expanduser()))) if any(c in word for c in "*?[") else []
        yield from found or [word]


def fault(word: str, message: str, hint: str = "", code: str = "unknown-command") -> Fault:
    """What is wrong with a word that is all of its text."""
    return Fault(0, len(word), message, hint, code)
