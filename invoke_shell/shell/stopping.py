"""Ctrl-C, and the end of the terminal, while a run is on its way: asked to stop at the next step, then stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from invoke_shell.shell import posix

if TYPE_CHECKING:
    from invoke_shell.shell.workbench import Workbench

__all__ = ["PATIENCE", "Stopper", "interruptible"]

PATIENCE = 10.0  # seconds a worker has to answer a stop before it is ended


@contextmanager
def interruptible(bench: Workbench) -> Iterator[Stopper]:
    """Ctrl-C asks the run to stop at the next step, again or after PATIENCE stops it now; the session stays."""
    stopper = Stopper(bench)
    if threading.current_thread() is not threading.main_thread():
        yield stopper
        return
    signals = [signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # What was ignored from the start, as under nohup, stays so.
    before = {s: signal.signal(s, stopper.asked) for s in signals if signal.getsignal(s) is not signal.SIG_IGN}
    try:
        stopper.begin()  # from here on Ctrl-C raises nothing that could leave its thread behind
        yield stopper
    finally:
        stopper.done()
        for s, handler in before.items():
            signal.signal(s, handler)


class Stopper:
    """Hears Ctrl-C during one run, and answers it. presses: how often it came.

    A handler may come in the middle of any write, so it only passes the news on; a thread of its own does the talking.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.presses = 0
        # Tried: an Event, whose lock a second Ctrl-C inside the first one would wait for, for ever.
        self._news: SimpleQueue[str] = SimpleQueue()
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def asked(self, number: int, frame: object) -> None:
        if number != signal.SIGINT:
            posix.let_go()  # the run ends as by Ctrl-C, with nobody to tell it to
        self.presses += 1
        if self.presses == 1:
            self.bench.hashing.hurry()
            self.bench.runtime.cancel()
            self._news.put("asked")
        else:
            self.bench.runtime.kill()

    def done(self) -> None:
        self._news.put("done")
        self._thread.join()

    def _answer(self) -> None:
        if self._news.get() == "done":
            return
        self.bench.view.say("stopping after this step; Ctrl-C again stops now")
        try:
            self._news.get(timeout=PATIENCE)
        except Empty:
            self.bench.runtime.kill()
            self._news.get()
