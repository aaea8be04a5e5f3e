"""Runs plans in the shell's own process: for tests, debugging and `--inline`. Nothing here survives a crash."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from queue import SimpleQueue
from typing import Any

from invoke_shell.commands import registry as standard_registry
from invoke_shell.errors import RunError
from invoke_shell.pipeline.events import ChainDone, Event, Failed
from invoke_shell.pipeline.plan import Plan
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.run import execute
from invoke_shell.records import ModelRecord
from invoke_shell.runtime.cache import StepCache
from invoke_shell.runtime.host import LocalHost
from invoke_shell.runtime.policy import Setup

__all__ = ["InlineRuntime"]


class InlineRuntime:
    """Implements the shell's Runtime in a thread, so that events are told while the run goes on."""

    def __init__(self, setup: Setup, registry: Registry | None = None) -> None:
        self._registry = registry or standard_registry().with_plugins(setup.nodes)
        self._host = LocalHost(setup)
        self._cache = StepCache(setup.cache, setup.cache_bytes)
        self._stop = _Flag()

    def submit(self, plan: Plan, *, cached: bool = True) -> Iterator[Event]:
        """Run a plan, at once; the last event is ChainDone or Failed. cached False: no step is taken from the cache."""
        stop = self._stop = _Flag()
        told: SimpleQueue[Event | None] = SimpleQueue()

        def run() -> None:
            try:
                cache = self._cache if cached else None
                execute(plan, self._registry, self._host, told.put, cancelled=stop.is_set, cache=cache)
            finally:
                told.put(None)

        threading.Thread(target=run, name="run", daemon=True).start()
        return _until_the_end(told, stop)

    def cancel(self) -> None:
        """Stop at the next step."""
        self._stop.set()

    def kill(self) -> None:
        """A thread cannot be ended from outside: as cancel."""
        self.cancel()

    def warm(self, model: ModelRecord | None = None) -> None:
        """Load what the next line will need; returns when it is done."""
        self._host.warm(model)

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes of the GPU that are free, and that it has; None without one."""
        return self._host.memory()

    def environment(self) -> Mapping[str, Any]:
        """Versions and device in force."""
        return self._host.environment(models=True)

    def close(self) -> None:
        """Stop what runs."""
        self.cancel()


class _Flag:
    """threading.Event without its lock: a signal handler may come inside another's call of `set`."""

    def __init__(self) -> None:
        self._up = False

    def set(self) -> None:
        self._up = True

    def is_set(self) -> bool:
        return self._up


def _until_the_end(told: SimpleQueue[Event | None], stop: _Flag) -> Iterator[Event]:
    try:
        while (event := told.get()) is not None:
            yield event
            if isinstance(event, ChainDone | Failed):
                return
        yield Failed(error=RunError("the run ended without a word", code="worker-died"))
    finally:
        stop.set()  # nobody listens any more
