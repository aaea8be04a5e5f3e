"""All lines ever typed in this home, indexed: grey text asks at every key, and a history may have 100,000 lines."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain

__all__ = ["Past", "Walk"]

RECENT = 1000  # lines that are simply looked through; what is common is found among them
PATIENCE = 1.0  # seconds
AT_MOST = 5000  # older ones of one beginning that are put in order
LAST = "\U0010ffff"


class Past:
    """Lines, each once, the newest first. Empty until `load`, which a thread may call."""

    def __init__(self, *, comes: bool = False) -> None:
        """comes: somebody will call `load`, so a search waits for it a moment."""
        self._there = threading.Event()
        if not comes:
            self._there.set()
        self._typed: list[str] = []  # since then, the newest last
        self._loaded: tuple[list[str], list[int]] = ([], [])  # the newest first; their places in alphabetical order

    def load(self, newest_first: Iterator[str]) -> None:
        """Take the lines of earlier sessions, which may repeat."""
        lines = list(dict.fromkeys(newest_first))
        self._loaded = (lines, sorted(range(len(lines)), key=lines.__getitem__))  # at once: others read meanwhile
        self._there.set()

    def add(self, line: str) -> None:
        """A line was typed."""
        self._typed = [known for known in self._typed if known != line] + [line]

    def begins(self, start: str) -> Iterator[str]:
        """Lines that begin so, the newest first."""
        lines, order = self._loaded
        for line in chain(reversed(self._typed), lines[:RECENT]):
            if line.startswith(start):
                yield line
        low = bisect_left(order, start, key=lines.__getitem__)
        high = bisect_left(order, start + LAST, key=lines.__getitem__)
        yield from (lines[place] for place in sorted(order[low : min(high, low + AT_MOST)]) if place >= RECENT)

    def holds(self, text: str) -> Iterator[str]:
        """Lines that have a text anywhere in them, the newest first."""
        self._there.wait(PATIENCE)
        yield from (line for line in chain(reversed(self._typed), self._loaded[0]) if text in line)


class Walk:
    """Back and forth through the lines that hold what was typed, as the arrow keys do."""

    def __init__(self, past: Past, typed: str) -> None:
        self.typed = typed
        self._older = past.holds(typed)
        self._seen = [typed]  # the way back
        self._place = 0

    @property
    def line(self) -> str:
        """Where the walk is."""
        return self._seen[self._place]

    def back(self) -> bool:
        """To an older line; False at the end."""
        if self._place + 1 == len(self._seen):
            found = next((line for line in self._older if line not in self._seen), None)
            if found is None:
                return False
            self._seen.append(found)
        self._place += 1
        return True

    def forth(self) -> bool:
        """To a newer line, at last to what was typed; False there."""
        if self._place == 0:
            return False
        self._place -= 1
        return True
