"""Short words that become longer ones in the line, seen and changeable before they run; the history has the long ones.

An abbreviation stands for a command with its words, so it expands where a command may stand: first on a line, and after
a pipe or a semicolon. Where nobody types (files, -c) there are none: what is written there means the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from invoke_shell.errors import Fault, LineError
from invoke_shell.pipeline.reading import Reading
from invoke_shell.pipeline.registry import Registry
from invoke_shell.shell.archive.store import Store

__all__ = ["WORD", "define", "expansion"]

WORD = re.compile(r"[A-Za-z_][\w-]{0,31}")


def expansion(reading: Reading, text: str, cursor: int, known: Mapping[str, str]) -> tuple[int, str] | None:
    """Where the abbreviation before the cursor begins, and what it stands for; None when there is none."""
    before = None
    for token in reading.parsed.tokens:
        if token.kind == "word" and token.end == cursor:
            first = before is None or before.kind in ("pipe", "semi", "newline")
            plain = not token.quote and token.eq < 0 and text[token.start : token.end] in known
            return (token.start, known[token.value]) if first and plain else None
        before = token
    return None


def define(store: Store, registry: Registry, text: str) -> str:
    """Remember `WORD TEXT`; the word. Raises LineError for what cannot be one."""
    word, _, meaning = text.partition(" ")
    meaning = meaning.strip()
    if not WORD.fullmatch(word):
        raise _wrong(text, word, f"{word} cannot be an abbreviation", "letters, digits, _ and -, a letter first")
    if word in registry:
        raise _wrong(text, word, f"{word} is a command already", "an abbreviation is a word of its own")
    if not meaning:
        raise _wrong(text, word, f"{word} stands for nothing yet", f'as in: abbr {word} txt2img "a fox, ink" --steps 8')
    store.set_abbreviation(word, meaning)
    return word


def _wrong(text: str, word: str, message: str, hint: str) -> LineError:
    return LineError(text, [Fault(0, max(1, len(word)), message, hint, "bad-value")])
