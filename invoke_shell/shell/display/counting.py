"""What takes its time outside of a run, shown as a run is: bytes of a file, files of a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from invoke_shell.metadata.visible import visible

if TYPE_CHECKING:
    from invoke_shell.models.files import Tick
    from invoke_shell.shell.display.view import View

__all__ = ["MB", "counted"]

MB = 1_000_000
RATE = 0.1  # seconds between two looks at the progress


@contextmanager
def counted(view: View, label: str, unit: int = 1) -> Iterator[Tick]:
    """A Tick that is shown. unit: MB, or 1 for what is counted one by one."""
    from invoke_shell.pipeline.events import ChainDone, ChainStarted, Progress

    told, start, name = 0.0, time.monotonic(), "MB" if unit == MB else ""

    def tick(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= RATE:
            told = time.monotonic()
            view.event(Progress(stage=0, call=0, done=done // unit, total=total // unit, unit=name))

    view.event(ChainStarted(stages=(visible(label),), pictures=0))
    try:
        yield tick
    finally:
        view.event(ChainDone(pictures=0, seconds=time.monotonic() - start))
