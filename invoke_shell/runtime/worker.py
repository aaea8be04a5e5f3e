"""The worker as the shell sees it: a child process that owns torch. Its own side is child.py.

The shell computes nothing: the prompt is there at once, Ctrl-C stops a run and never the session, and a crash or an
out-of-memory kill is one event and a fresh worker. The child leaves as soon as its pipe ends, so a killed shell
never leaves a device occupied.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import invoke_shell
from invoke_shell.errors import Cancelled, RunError
from invoke_shell.pipeline.events import ChainDone, Event, Failed
from invoke_shell.pipeline.plan import Plan
from invoke_shell.records import ModelRecord
from invoke_shell.runtime.policy import Setup
from invoke_shell.runtime.system import deaf_to_interrupts, why_ended
from invoke_shell.runtime.wire import Channel

__all__ = ["WorkerRuntime"]

LOG_BYTES = 1 << 20
FAREWELL = 2.0  # seconds a worker has to leave when its pipe has ended


class WorkerRuntime:
    """Implements the shell's Runtime over one child process, started when it is first needed, and anew after its end.

    log: file that takes what the child writes to its standard output and error. memory: bytes of the GPU that were
    free after the last run, and that it has; None without one.
    """

    def __init__(self, setup: Setup, *, log: Path | None = None) -> None:
        self._setup = setup
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._run = 0
        self._posting = False
        self._cancelled: set[int] = set()
        self._killed = False
        self.memory: tuple[int, int] | None = None

    def submit(self, plan: Plan, *, cached: bool = True) -> Iterator[Event]:
        """Run a plan, at once; the last event is ChainDone or Failed. cached False: no step is taken from the cache."""
        self._run += 1
        self._killed = False
        self._post("run", self._run, (plan, cached))
        return self._events(self._run)

    def cancel(self) -> None:
        """Stop at the next step. May be called by a signal handler, in the middle of a submit."""
        self._cancelled.add(self._run)
        if not self._posting and self._alive():
            self._post("cancel", self._run)

    def kill(self) -> None:
        """Stop now; the next plan runs in a fresh worker. May be called by another thread."""
        self._killed = True
        process = self._process  # the other thread may be closing it
        if process is not None:
            process.kill()

    def warm(self, model: ModelRecord | None = None) -> None:
        """Have the worker import and load what the next line will need; returns at once."""
        self._post("warm", 0, model)

    def environment(self) -> Mapping[str, Any]:
        """Versions and device in force. Between runs only: it waits for the worker. Raises RunError."""
        self._post("environment", 0)
        try:
            while (message := self._received())[0] != "environment":
                pass
        except EOFError:
            raise self._died() from None
        _, _, answer = message
        if isinstance(answer, RunError):
            raise answer
        return dict(answer)

    def close(self) -> None:
        """End the worker, in mid-step too."""
        if self._process is not None and self._channel is not None:
            self._channel.close()
            _wait(self._process)
        self._process = self._channel = self.memory = None

    # Messages

    def _post(self, kind: str, number: int, content: object = None) -> None:
        """Send a message to a living worker, started for it if need be."""
        self._posting = True  # a signal handler that cancels now would wait for the channel's lock, for ever
        try:
            if not self._alive():
                self._start()
            self._send(kind, number, content)
        finally:
            self._posting = False
        if kind == "run" and number in self._cancelled:  # asked while the plan was on its way
            self._send("cancel", number)

    def _send(self, kind: str, number: int, content: object = None) -> None:
        assert self._channel is not None
        try:
            self._channel.send((kind, number, content))
        except OSError:
            return  # it has just ended; whoever waits for its answer is told so

    def _received(self) -> tuple[str, int, Any]:
        assert self._channel is not None
        kind, number, content = self._channel.receive()
        return kind, number, content

    def _events(self, run: int) -> Iterator[Event]:
        ended = False
        try:
            while not ended:
                event = self._next(run)
                ended = isinstance(event, ChainDone | Failed)
                yield event
        finally:
            if not ended:  # nobody listens any more
                self.cancel()

    def _next(self, run: int) -> Event:
        """The next event of this run; what is left of an abandoned one is thrown away."""
        while True:
            try:
                kind, number, content = self._received()
            except (EOFError, OSError):
                return Failed(error=self._died())
            if kind == "memory":
                self.memory = content
            if kind == "event" and number == run:
                event: Event = content
                return event

    # The process

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        self.close()
        with deaf_to_interrupts(), _log_file(self._log) as log:
            self._process = subprocess.Popen(
                # -P: a file called torch.py in the folder the shell was started in must not become torch.
                [sys.executable, "-P", "-m", "invoke_shell.runtime.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env=_environment(),
            )
        self._channel = Channel(self._process.stdout, self._process.stdin)
        self._send("setup", 0, self._setup)

    def _died(self) -> RunError:
        """What to say of a worker that has ended; the next message starts another."""
        status = _wait(self._process) if self._process is not None else 0
        self.close()
        if self._killed:
            return Cancelled("stopped; the worker was ended", hint="the next line starts another")
        message = f"the worker process ended: {why_ended(status)}"
        where = f"; its last words may be in {self._log}" if self._log is not None else ""
        return RunError(message, hint=f"the session goes on, the next line starts another{where}", code="worker-died")


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(FAREWELL)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _log_file(path: Path | None) -> IO[bytes]:
    """The log, open for appending, the last megabyte put aside; nowhere, where it cannot be written."""
    if path is None:
        return open(os.devnull, "wb")
    with suppress(OSError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError:
        return open(os.devnull, "wb")


def _environment() -> dict[str, str]:
    """The child finds this very package, and no library in it asks a network or counts its users."""
    home = str(Path(invoke_shell.__file__).parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "1")
    return {**os.environ, **offline, "PYTHONPATH": os.pathsep.join(paths), "TOKENIZERS_PARALLELISM": "false"}


if __name__ == "__main__":
    from invoke_shell.runtime.child import serve

    serve()
