"""The one line that is redrawn while a line runs: stage, bar, steps, speed, time left. A fold over the events.

    2/3 img2img  ━━━━━━━╸━━━━  12/20  8.1 it/s  0:01 left

It appears after DELAY, so that what is quick draws nothing, and is gone when it ends. rich is imported when it appears.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from invoke_shell.pipeline.events import ChainStarted, Event, Progress, StageStarted

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

__all__ = ["DELAY", "ProgressLine", "State"]

DELAY = 0.3  # seconds
WAITING = "working"  # nothing was told yet: the engine starts, or a model's file is being read
RATE = 8  # times a second; ssh lines are slow


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

    def take(self, event: Event) -> None:
        """Go on by one event."""
        if isinstance(event, ChainStarted):
            self.stages = event.stages
            self.stage, self.calls, self.call = 0, 1, 0
            self._rest()
        elif isinstance(event, StageStarted):
            self.stage, self.calls, self.call = event.stage, event.calls, 0
            self._rest()
        elif isinstance(event, Progress):
            self._step(event)

    def _rest(self) -> None:
        self.done = self.total = self.offset = 0
        self.begun = None

    def _step(self, event: Progress) -> None:
        self.stage, self.call, self.done, self.total = event.stage, event.call, event.done, event.total
        self.told = self.now()
        if self.begun is None:
            # The time before the first step is loading, no speed; what was skipped (a cached picture) is none either.
            self.begun, self.offset = self.told, self.steps

    @property
    def steps(self) -> int:
        """Steps of the stage that are done, over all its pictures."""
        return self.call * self.total + self.done

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
        """`8.1 it/s  0:01 left`, slow ones as `2.3 s/it`; "" while it is not known."""
        if not self.speed:
            return ""
        speed = f"{self.speed:.1f} it/s" if self.speed >= 1 else f"{1 / self.speed:.1f} s/it"
        return f"{speed}  {_clock(self.left)} left"

    @property
    def left(self) -> float:
        """Seconds until the stage is done, all its pictures."""
        whole = self.calls * self.total
        return max(0.0, (whole - self.steps) / self.speed - (self.now() - self.told)) if self.speed else 0.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class ProgressLine:
    """Shows a State on a terminal. Events come from one thread; a timer and rich's own thread draw."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.state = State()
        self._bar: Bar | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()

    def begin(self) -> None:
        """A line runs; if nothing is told within DELAY, say at least that something goes on."""
        with self._lock:
            self.state = State()
            self._wait(DELAY)

    def take(self, event: Event) -> None:
        """Go on by one event."""
        with self._lock:
            self.state.take(event)
            if self._bar is None and self._timer is None:
                self._wait(DELAY if isinstance(event, ChainStarted) else 0)
            self._update()

    def hide(self) -> None:
        """Take the line off the screen; the next event brings it back."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def _wait(self, seconds: float) -> None:
        self.hide()
        self._timer = threading.Timer(seconds, self._appear)
        self._timer.daemon = True
        self._timer.start()

    def _appear(self) -> None:
        made = self._made()  # the import takes 50 ms and must not hold up the events
        with self._lock:
            if self._timer is threading.current_thread() and self._bar is None:
                self._bar = made
                self._update()
                made.start()

    def _update(self) -> None:
        if self._bar is not None:
            s = self.state
            steps = f"{s.done}/{s.total}" if s.total else ""
            self._bar.update(
                self._bar.task_ids[0],
                description=s.label,
                completed=s.done,
                total=s.total or None,  # without a total the bar only says that something goes on
                steps=steps,
                rate=s.rate,
            )

    def _made(self) -> Bar:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(file=self.out, force_terminal=True, highlight=False)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24, style="dim", complete_style="cyan", finished_style="cyan", pulse_style="cyan"),
            TextColumn("{task.fields[steps]}", markup=False),
            TextColumn("{task.fields[rate]}", style="dim", markup=False),
        )
        bar = Bar(*columns, console=console, transient=True, refresh_per_second=RATE)
        bar.add_task("", total=None, steps="", rate="")
        return bar
