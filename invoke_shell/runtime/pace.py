"""Not too often: what a run shows of itself comes a few times a second, however fast its steps are. No torch here."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["EVERY", "Pace"]

EVERY = 0.25  # seconds between two previews


class Pace:
    """Due once in `every` seconds; the first time that long after it was made, so that a quick run shows none."""

    def __init__(self, every: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = EVERY if every is None else every
        self._clock = clock
        self._last = clock()

    def due(self) -> bool:
        """True when it is time again; then the waiting begins anew."""
        now = self._clock()
        if now - self._last < self._every:
            return False
        self._last = now
        return True
