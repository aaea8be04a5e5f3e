"""Which pictures are drawn together and how many: those that a run expects and that differ in chance or source alone.

No torch here. A batch changes the last bits of its pictures, so it is only done when it is asked for (`set batch`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from invoke_shell.pipeline.context import Generation
from invoke_shell.records import Made

__all__ = ["Batches", "Drawn", "Pace", "may_join"]

MOST = 32  # pictures of an automatic batch
# Fields of a request that a batch knows to keep apart, or that are the same for all its pictures.
TOGETHER = {
    "prompt", "negative", "model", "size", "steps", "guidance", "scheduler", "seed", "start_step", "source",
    "pure_noise", "strength", "loras", "embeddings", "vae", "clip_skip", "rng", "ensd", "mixed", "guidance_rescale",
    "eta", "churn", "refiner_start", "teller", "options",
}  # fmt: skip
WORTH = 0.97  # of the time a picture took before: less is not worth a larger batch


@dataclass
class Pace:
    """The batch size that draws most pictures in a second, found by doubling while it helps."""

    best: int = 1
    seconds: dict[int, float] = field(default_factory=dict)  # of one picture, by batch size

    def next(self, waiting: int) -> int:
        """How many to draw next, of so many that wait."""
        wider = self.best * 2
        tries = wider <= min(waiting, MOST) and wider not in self.seconds and self.best in self.seconds
        return wider if tries else min(self.best, waiting)

    def learn(self, size: int, seconds: float) -> None:
        """A batch of `size` took so long. The first one of a run also loads; the best of several counts."""
        each = seconds / size
        self.seconds[size] = min(each, self.seconds.get(size, each))
        if size > self.best and self.seconds[size] < WORTH * self.seconds.get(self.best, math.inf):
            self.best = size


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A picture that was drawn beside another, and what is to be said when it is asked for."""

    asked: Generation
    made: Made
    said: Sequence[str] = ()


@dataclass
class Batches:
    """Requests that will come, and pictures that were drawn before they were asked for."""

    expected: list[Generation] = field(default_factory=list)
    row: int | None = None
    ready: list[Drawn] = field(default_factory=list)

    def expect(self, requests: Sequence[Generation], row: int | None) -> None:
        """These will be asked for one by one. row: they are copies of one, whose picture is that of this row."""
        self.expected, self.row, self.ready = list(requests), row, []

    def taken(self, asked: Generation) -> Drawn | None:
        """The picture of a request, if it was drawn already; it is given once."""
        for n, drawn in enumerate(self.ready):
            if drawn.asked == asked:
                return self.ready.pop(n)
        return None

    def group(self, asked: Generation, most: int) -> list[Generation]:
        """The request and those expected behind it that go with it, at most so many; they are expected no longer."""
        if self.row is not None and asked in self.expected:
            group, self.expected = self.expected, []
            return group
        if asked not in self.expected:
            return [asked]
        self.expected = self.expected[self.expected.index(asked) :]
        count = next((n for n, one in enumerate(self.expected) if _shape(one) != _shape(asked)), len(self.expected))
        count = min(count, most)
        group, self.expected = self.expected[:count], self.expected[count:]
        return group

    def waiting(self, asked: Generation) -> int:
        """How many are expected of the shape of a request, itself counted."""
        return max(1, sum(_shape(one) == _shape(asked) for one in self.expected))


def may_join(asked: Generation) -> bool:
    """Whether a picture may be drawn together with others: what is not known to go together is drawn alone."""
    for one in fields(asked):
        if one.name in TOGETHER:
            continue
        default = one.default_factory() if callable(one.default_factory) else one.default
        if getattr(asked, one.name) != default:
            return False
    return asked.start_step < asked.steps


def _shape(asked: Generation) -> Generation:
    """A request without what may differ in a batch."""
    source = asked.source and (asked.source.size, asked.source.mode)
    return replace(asked, seed=0, source=None, options={**asked.options, "source": source})
