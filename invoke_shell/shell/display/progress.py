"""What is redrawn while a line runs: the picture as far as it is, and stage, bar, steps, speed, time left.

    2/3 img2img  ━━━━━━━━━━━━━━╸─────────  12/20  8.1 it/s  0:01 left

A fold over the events. It appears after DELAY, so that what is quick draws nothing, and is gone when it ends.
Tried: rich's Progress and Live, which take 50 ms to import and leave pieces behind where the terminal gets narrower.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from invoke_shell.errors import cells
from invoke_shell.pipeline.events import ChainDone, ChainStarted, Event, Failed, Progress, StageStarted
from invoke_shell.shell.display.block import Block
from invoke_shell.shell.display.terminal import window

if TYPE_CHECKING:
    from invoke_shell.records import Image

__all__ = ["DELAY", "PlainProgress", "ProgressLine", "State", "bar"]

DELAY = 0.3  # seconds
WAITING = "working"  # nothing was told yet: the engine starts, or a model's file is being read
STALL = 0.1  # seconds that a terminal may take to accept a preview
RATE = 8  # times a second; ssh lines are slow
PLAIN_EVERY = 10.0  # seconds between two lines where nothing can be redrawn
BAR, NARROWEST = 24, 8  # columns of the bar
CYAN, DIM, PLAIN = "\x1b[36m", "\x1b[2m", "\x1b[0m"


@dataclass
class State:
    """Where a run is. call counts from 0; begun: when the stage's first step was told, None before that."""

    now: Callable[[], float] = time.monotonic
    stages: tuple[str, ...] = ()
    stage: int = 0
    calls: int = 1
    call: int = 0
    done: int = 0
    total: int = 0
    begun: float | None = None
    offset: int = 0
    told: float = 0.0
    preview: Image | None = None
    unit: str = ""

    def take(self, event: Event) -> None:
        """Go on by one event."""
        if isinstance(event, ChainStarted):
            self.stages = event.stages
            self.stage, self.calls, self.call = 0, 1, 0
            self._rest()
        elif isinstance(event, StageStarted):
            self.stage, self.calls, self.call = event.stage, event.calls, 0
            self._rest()
        elif isinstance(event, ChainDone | Failed):
            self.stages = ()  # what was counted is done; the line may go on with loading
            self._rest()
        elif isinstance(event, Progress):
            self._step(event)

    def _rest(self) -> None:
        self.done = self.total = self.offset = 0
        self.begun = self.preview = None
        self.unit = ""

    def _step(self, event: Progress) -> None:
        self.stage, self.call, self.done, self.total = event.stage, event.call, event.done, event.total
        self.told, self.unit = self.now(), event.unit
        self.preview = event.preview or self.preview
        if self.begun is None:
            # The time before the first step is loading, no speed; what was skipped (a cached picture) is none either.
            self.begun, self.offset = self.told, self.steps

    @property
    def steps(self) -> int:
        """Steps of the stage that are done, over all its pictures."""
        return self.call * self.total + self.done

    @property
    def counted(self) -> str:
        """`12/20`, `512/6940 MB`; "" while there is nothing to count."""
        return f"{self.done}/{self.total} {self.unit}".rstrip() if self.total else ""

    @property
    def label(self) -> str:
        """`2/3 img2img`, and `picture 3 of 8` where there are several."""
        if self.stage >= len(self.stages):
            return WAITING
        name = self.stages[self.stage]
        place = f"{self.stage + 1}/{len(self.stages)} " if len(self.stages) > 1 else ""
        several = f"  picture {self.call + 1} of {self.calls}" if self.calls > 1 else ""
        return f"{place}{name}{several}"

    @property
    def speed(self) -> float:
        """Steps a second, 0 while it is not known."""
        if self.begun is None or self.told <= self.begun:
            return 0.0
        return (self.steps - self.offset) / (self.told - self.begun)

    @property
    def rate(self) -> str:
        """`8.1 it/s  0:01 left`, slow ones as `2.3 s/it`; `512 MB/s  0:09 left`; "" while it is not known."""
        if not self.speed:
            return ""
        slow = not self.unit and self.speed < 1
        speed = f"{1 / self.speed:.1f} s/it" if slow else f"{self.speed:.1f} it/s"
        speed = f"{self.speed:.0f} {self.unit}/s" if self.unit else speed
        return f"{speed}  {_clock(self.left)} left"

    @property
    def left(self) -> float:
        """Seconds until the stage is done, all its pictures. A step that takes longer than the others ends no other."""
        if not self.speed:
            return 0.0
        begun = min(1.0, (self.now() - self.told) * self.speed)  # as much of the step that runs
        return max(0.0, (self.calls * self.total - self.steps - begun) / self.speed)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def bar(state: State, columns: int) -> str:
    """Done in cyan, the rest dim; without a total a piece that wanders, so that one sees that something goes on."""
    if not state.total:
        wide = columns // 4
        at = int(state.now() * RATE) % (columns + wide) - wide
        first, last = max(0, at), min(columns, at + wide)
        return _dim(first) + _lit("━" * (last - first)) + _dim(columns - last)
    halves = round(2 * columns * min(1.0, state.done / state.total))
    done = "━" * (halves // 2) + "╸" * (halves % 2)
    return _lit(done) + _dim(columns - len(done))


def _lit(text: str) -> str:
    return f"{CYAN}{text}{PLAIN}" if text else ""


def _dim(columns: int) -> str:
    return f"{DIM}{'─' * columns}{PLAIN}" if columns else ""


def row(state: State, columns: int) -> str:
    """The line, at most `columns` wide: the bar gives way first, then the speed."""
    steps = state.counted
    texts = [state.label, steps, state.rate]
    room = columns - sum(cells(t) + 2 for t in texts if t)
    if room < NARROWEST:
        texts[2] = ""
        room = columns - sum(cells(t) + 2 for t in texts if t)
    drawn = bar(state, min(BAR, room)) if room >= NARROWEST else ""
    label, rate = texts[0][: max(0, columns - cells(steps) - 2)], f"{DIM}{texts[2]}{PLAIN}" if texts[2] else ""
    return "  ".join(part for part in (label, drawn, steps, rate) if part)


class ProgressLine:
    """Shows a State on a terminal, from a thread of its own; events come from another.

    pictured: the rows of text that show a preview, none where it cannot be shown. hides: see Block.
    """

    def __init__(
        self, out: TextIO, pictured: Callable[[Image], list[str]] | None = None, *, hides: bool = True
    ) -> None:
        self.state = State()
        self._block = Block(out, hides=hides)
        self._pictured = pictured
        self._shown: tuple[Image | None, list[str]] = (None, [])
        self._stalled = False
        self._quiet_until = 0.0
        self._stop: threading.Event | None = None
        self._lock = threading.RLock()

    def begin(self) -> None:
        """A line runs; if nothing is told within DELAY, say at least that something goes on."""
        with self._lock:
            self.state = State()
            self._stalled = False
            self._start(DELAY)

    def take(self, event: Event) -> None:
        """Go on by one event."""
        with self._lock:
            self.state.take(event)
            if self._stop is None and not isinstance(event, ChainDone | Failed):
                self._start(DELAY if isinstance(event, ChainStarted) else 0)

    def pause(self) -> None:
        """Take it off the screen: something else is written. It is back when that has been quiet for a while."""
        with self._lock:
            self._block.erase()
            self._quiet_until = max(self._quiet_until, time.monotonic() + DELAY)

    def above(self, write: Callable[[], None]) -> None:
        """Write something above it: where it is on the screen it stays there, so that quick results do not hide it."""
        with self._lock:
            shown = self._block.shown
            self.pause()
            write()
            if shown and self._stop is not None:
                self._quiet_until = 0.0
                self._draw()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Off the screen for as long as this lasts."""
        with self._lock:
            self._block.erase()
            self._quiet_until = float("inf")
        try:
            yield
        finally:
            self._quiet_until = 0.0
            self.pause()

    def hide(self) -> None:
        """Take it off the screen; the next event brings it back."""
        with self._lock:
            if self._stop is not None:
                self._stop.set()
                self._stop = None
            self._block.erase()

    def _start(self, seconds: float) -> None:
        self.hide()
        self._stop = threading.Event()
        threading.Thread(target=self._redraw, args=(self._stop, seconds), daemon=True).start()

    def _redraw(self, stop: threading.Event, seconds: float) -> None:
        while not stop.wait(seconds):
            seconds = 1 / RATE
            with self._lock:
                if not stop.is_set() and time.monotonic() >= self._quiet_until:
                    self._draw()

    def _draw(self) -> None:
        preview = self.state.preview
        if preview is not self._shown[0]:
            pictured = None if self._stalled else self._pictured
            self._shown = (preview, pictured(preview) if preview is not None and pictured is not None else [])
        columns = max(1, window(self._block.out)[0] - 1)
        began = time.monotonic()
        self._block.draw([*self._shown[1], row(self.state, columns)])
        if self._shown[1] and time.monotonic() - began > STALL:
            self._stalled, self._shown = True, (preview, [])  # the line is too slow for pictures: none until the next


class PlainProgress:
    """Now and then a line of its own, where nothing can be redrawn: `txt2img  12/40  0.2 it/s  2:20 left`."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._now = now
        self._state = State(now)
        self._last = now()

    def take(self, event: Event) -> None:
        """Go on by one event."""
        self._state.take(event)
        if isinstance(event, ChainStarted | ChainDone | Failed):
            self._last = self._now()
        elif self._state.total and self._now() - self._last >= PLAIN_EVERY:
            self._last = self._now()
            s = self._state
            self._say("  ".join(part for part in (s.label, s.counted, s.rate) if part))
