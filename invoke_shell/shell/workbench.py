"""What a line works with: settings, models, store, view and runtime of one session. No line is read here."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from invoke_shell.errors import InvokeShellError
from invoke_shell.pipeline.chain import Source, Value
from invoke_shell.pipeline.registry import Registry
from invoke_shell.shell.beside import HashesBeside
from invoke_shell.shell.display.counting import MB, counted
from invoke_shell.shell.display.view import View
from invoke_shell.shell.home import Home
from invoke_shell.shell.settings import Settings

if TYPE_CHECKING:
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.pipeline.events import Event
    from invoke_shell.pipeline.plan import Plan
    from invoke_shell.records import ModelRecord
    from invoke_shell.shell.archive.keeper import Keeper

__all__ = ["Runtime", "Workbench"]

MAX_THREADS = 256  # that a recorded picture may ask for

log = logging.getLogger("invoke_shell.session")


class Runtime(Protocol):
    """Where plans run."""

    def submit(self, plan: Plan, *, cached: bool = True) -> Iterator[Event]:
        """Run a plan; the last event is ChainDone or Failed. cached False never reads the step cache."""
        ...

    def cancel(self) -> None:
        """Stop at the next step."""
        ...

    def kill(self) -> None:
        """Stop now; the next plan runs in a fresh worker."""
        ...

    def warm(self, model: ModelRecord | None) -> None:
        """Load what the next line will need, while the person types."""
        ...

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes of the GPU that are free, and that it has; None without one, or while nobody knows."""
        ...

    def environment(self) -> Mapping[str, Any]:
        """Versions and device in force."""
        ...

    def close(self) -> None:
        """End."""
        ...


class Workbench:
    """All that is at hand while a session lasts. `start` makes the runtime and `keep` opens the store, when needed.

    base: the folder that relative paths of a command file are relative to; None is the current one. trusted: lines may
    run programs and write anywhere. events: is told every event of a run.
    """

    def __init__(
        self,
        *,
        home: Home,
        registry: Registry,
        settings: Settings,
        keep: Callable[[], Keeper],
        catalogue: Catalogue,
        view: View,
        start: Callable[[Settings], Runtime],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        draw: Callable[[], int] = lambda: secrets.randbelow(2**32),
        trusted: bool = True,
        interactive: bool = False,
    ) -> None:
        self.home = home
        self.registry = registry
        self.settings = settings
        self._keep = keep
        self._keeper: Keeper | None = None
        self._opening = threading.Lock()
        self.catalogue = catalogue
        self.hashing = HashesBeside(catalogue, weighing=interactive)
        catalogue.watch(lambda entry: counted(view, f"reading {entry.name} once, for its hash", MB))
        self.view = view
        self.start = start
        self.now = now
        self.draw = draw
        self.trusted = trusted
        self.interactive = interactive
        self.base: Path | None = None
        self.events: Callable[[Event], None] = lambda event: None
        self._runtime: Runtime | None = None

    @property
    def keeper(self) -> Keeper:
        """What is kept in this home; opened when first asked for, by whichever thread."""
        with self._opening:
            if self._keeper is None:
                self._keeper = self._keep()
            return self._keeper

    @property
    def runtime(self) -> Runtime:
        """The runtime, started when first asked for."""
        if self._runtime is None:
            self._runtime = self.start(self.settings)
        return self._runtime

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes of the GPU that are free, and that it has; None without one, or while nobody knows."""
        return self._runtime.memory if self._runtime is not None else None

    def restart(self) -> None:
        """A setting of the engine changed: the next line gets a fresh one."""
        if self._runtime is not None:
            self._runtime.close()
        self._runtime = None

    @contextmanager
    def with_threads(self, wanted: object) -> Iterator[None]:
        """Run with as many threads as a picture was made with: another number gives other bits."""
        known = isinstance(wanted, int) and 1 <= wanted <= MAX_THREADS
        if not known or self.runtime.environment().get("threads") == wanted:
            yield
            return
        before = self.settings.session.get("threads")
        self.settings.session["threads"] = Value(wanted, Source.SESSION)
        self.restart()
        try:
            yield
        finally:
            self.settings.session.pop("threads")
            if before is not None:
                self.settings.session["threads"] = before
            self.restart()

    def warm(self) -> None:
        """Start the worker and load the session's model in the background; what is missing is said when it is used."""
        try:
            self.runtime.warm(None)  # the imports, while the model is looked up
            chosen = self.settings.values().get("model")
            model = self.catalogue.find(str(chosen.value) if chosen else "pocket", read=0)
            self.runtime.warm(model)
            self.hashing.begin([model])
        except InvokeShellError as error:
            log.info("not warmed: %s", error.message)

    def close(self) -> None:
        """End the worker and the store."""
        self.hashing.close()
        self.restart()
        if self._keeper is not None:
            self._keeper.close()
