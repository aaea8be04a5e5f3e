"""The worker's own side: takes plans from a pipe, runs one at a time, tells events. Started by worker.py."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from invoke_shell.commands import registry
from invoke_shell.errors import InvokeShellError
from invoke_shell.pipeline.events import ChainDone, Event, Failed
from invoke_shell.pipeline.node_files import reachable
from invoke_shell.pipeline.plan import Plan
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.run import execute
from invoke_shell.records import ModelRecord
from invoke_shell.runtime.cache import StepCache
from invoke_shell.runtime.host import LocalHost
from invoke_shell.runtime.policy import Setup
from invoke_shell.runtime.wire import Channel

__all__ = ["serve"]

log = logging.getLogger("invoke_shell.worker")


def serve() -> None:
    """Serve until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = _pipes()
    faulthandler.enable()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    server = _Server(channel)
    threading.Thread(target=server.listen, name="listen", daemon=True).start()
    server.work()


def _pipes() -> Channel:
    """The messages' ends, moved away from standard input and output: what a library prints goes to the log."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return Channel(os.fdopen(incoming, "rb", buffering=0), os.fdopen(outgoing, "wb", buffering=0))


class _Server:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._jobs: SimpleQueue[tuple[str, int, Any]] = SimpleQueue()
        self._cancelled: set[int] = set()
        self._host = LocalHost(Setup())
        self._cache = StepCache(None)
        self._nodes: Path | None = None

    def listen(self) -> None:
        """Sort messages until the pipe ends; then leave at once, in mid-step too: nobody waits for the result."""
        status = 1
        try:
            while True:
                kind, number, content = self._channel.receive()
                if kind == "cancel":
                    self._cancelled.add(number)
                    continue
                if kind == "setup" and content.nodes is not None:
                    self._nodes = content.nodes
                    reachable(content.nodes)  # before the next message: it may hold a value of a type declared there
                self._jobs.put((kind, number, content))
        except (EOFError, OSError):
            status = 0
        except Exception:
            log.exception("a message that cannot be read")
        finally:
            os._exit(status)

    def work(self) -> None:
        """Do one job after the other, for ever."""
        while True:
            kind, number, content = self._jobs.get()
            if kind == "setup":
                self._set_up(content)
            elif kind == "warm":
                self._warm(content)
            elif kind == "environment":
                self._send(kind, number, self._environment())
            elif kind == "run":
                self._run(number, *content)

    @cached_property
    def _registry(self) -> Registry:
        return registry().with_plugins(self._nodes)

    def _set_up(self, setup: Setup) -> None:
        self._host = LocalHost(setup)
        self._cache = StepCache(setup.cache, setup.cache_bytes)

    def _warm(self, model: ModelRecord | None) -> None:
        try:
            self._host.warm(model)
        except InvokeShellError as error:
            log.warning("not warmed: %s", error.message)  # the line that uses it is told

    def _environment(self) -> Any:
        try:
            return dict(self._host.environment(models=True))
        except InvokeShellError as error:
            return error

    def _run(self, number: int, plan: Plan, cached: bool) -> None:
        def emit(event: Event) -> None:
            if isinstance(event, ChainDone | Failed):
                self._send("memory", number, self._host.memory())
            self._send("event", number, event)

        def cancelled() -> bool:
            return number in self._cancelled

        try:
            nodes = self._registry
        except InvokeShellError as error:
            return emit(Failed(error=error))
        execute(plan, nodes, self._host, emit, cancelled=cancelled, cache=self._cache if cached else None)

    def _send(self, kind: str, number: int, content: object) -> None:
        try:
            self._channel.send((kind, number, content))
        except OSError:
            os._exit(0)  # the shell is gone
