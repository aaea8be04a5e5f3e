"""A session: takes lines, runs them, keeps what they made. How a chain is run stands in running.py."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from invoke_shell.errors import InvokeShellError, LineError, RunError, SettingError
from invoke_shell.pipeline.bind import Bound, Reading, read
from invoke_shell.pipeline.chain import Chain, Source, Value
from invoke_shell.pipeline.registry import Registry
from invoke_shell.shell.beside import HashesBeside
from invoke_shell.shell.display.counting import MB, counted
from invoke_shell.shell.display.view import Result, View, Where
from invoke_shell.shell.home import Home
from invoke_shell.shell.settings import Settings

if TYPE_CHECKING:
    from invoke_shell.metadata.replay import Recalled
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.pipeline.events import Event
    from invoke_shell.pipeline.plan import Plan
    from invoke_shell.records import Frame, ModelRecord, StepRecord
    from invoke_shell.shell.archive.keeper import Keeper
    from invoke_shell.shell.running import Early, Remark

__all__ = ["ENGINE", "Runtime", "Session", "StatusError"]

ENGINE = (
    "batch",
    "device",
    "deterministic",
    "memory",
    "offload",
    "precision",
    "preview",
    "threads",
    "tiling",
)  # settings of the engine
MAX_THREADS = 256  # that a recorded picture may ask for

log = logging.getLogger("invoke_shell.session")


class StatusError(InvokeShellError):
    """A command told its answer already; only the exit status is left to be passed on."""

    def __init__(self, status: int) -> None:
        super().__init__("")
        self.exit_status = status


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


class Session:
    """One person's session. `start` makes the runtime and `keep` opens the store, when something first needs them."""

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
        self.leaving = False
        self.recalled = ""
        self.dry = False
        self.events: Callable[[Event], None] = lambda event: None
        self._runtime: Runtime | None = None
        self.lines = 0

    @property
    def keeper(self) -> Keeper:
        """What is kept in this home; opened when first asked for, by whichever thread."""
        with self._opening:
            if self._keeper is None:
                self._keeper = self._keep()
            return self._keeper

    # -- the runtime -------------------------------------------------------------------------------------------------

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

    # -- lines -------------------------------------------------------------------------------------------------------

    def read(self, text: str) -> Reading:
        """What a text means, as far as it goes."""
        return read(text, self.registry, self.settings.values())

    def run(self, text: str, where: Where | None = None) -> int:
        """Run every line of a text; nothing of it runs when one of them is wrong. The exit status."""
        where = where or Where()
        reading = self.read(text)
        for note in reading.parsed.notes:
            self.view.say(note.message)
        if reading.faults:
            self.view.error(LineError(text, reading.faults), where)
            return LineError.exit_status
        status = 0
        for bound in reading.bound:
            at = replace(where, line=where.line + text.count("\n", 0, bound.line.start))
            status = self.run_line(bound, text, at)
            if status or self.leaving:
                break
        return status

    def run_line(self, bound: Bound, text: str, where: Where) -> int:
        """Run one line. Nothing is raised: what goes wrong is told, and is the exit status."""
        self.lines += 1
        return self.attempt(lambda: self._run_bound(bound, where), where)

    def run_builtin(self, name: str, values: Mapping[str, Any]) -> int:
        """As run_line, with values that were never text: ten thousand file names need no parsing."""
        self.lines += 1
        return self.attempt(lambda: self.builtin(name, values), Where())

    def _run_bound(self, bound: Bound, where: Where) -> None:
        if bound.line.kind == "system":
            self.system(bound.line.text)
        elif bound.line.kind == "help":
            self.builtin("help", {"what": [bound.line.text]})
        elif bound.builtin is not None:
            stage = bound.chain.stages[0]
            self.builtin(stage.node, {name: v.value for name, v in stage.values.items()})
        else:
            self.run_chain(bound.chain, where)

    def attempt(self, work: Callable[[], None], where: Where) -> int:
        """Do what a line asks. Nothing is raised: what goes wrong is told, and is the exit status."""
        try:
            work()
        except StatusError as answered:
            return answered.exit_status
        except InvokeShellError as error:
            self.view.error(error, where)
            return error.exit_status
        except BrokenPipeError:  # whoever read our answers is gone, as head is after its ten lines
            raise
        except Exception as error:  # a fault of ours: one line, and the trace goes to the log
            self.view.error(self.unexpected(error), where)
            return 1
        finally:
            for notice in self._keeper.store.notices() if self._keeper is not None else ():
                self.view.say(notice, warning=True)
            self.view.line_done()
        return 0

    def unexpected(self, error: Exception) -> RunError:
        """One line for what should not have happened; the log has the trace under the id."""
        log_id = secrets.token_hex(3)
        log.error("line failed %s", log_id, exc_info=error)
        hint = f"this is a fault of invoke_shell; the log has the rest: {log_id} in {self.home.log_file}"
        return RunError(f"{type(error).__name__}: {error}", hint=hint)

    def builtin(self, name: str, values: Mapping[str, Any]) -> None:
        """Run a command of the shell with its values, defaults filled in."""
        node = self.registry[name]
        filled = {n: p.default for n, p in node.params.items() if not p.required}
        node.func(self, **node.arguments({**filled, **values}))

    def system(self, command: str) -> None:
        """`$ command`: the rest of the line for the system's shell, handles become quoted paths."""
        if not self.trusted:
            raise RunError(
                "a $ line runs a program of the system, which a file may only with --trust", code="not-trusted"
            )
        import subprocess

        code = subprocess.run(self.keeper.with_paths(command), shell=True, check=False).returncode
        if code:
            raise RunError(f"the command ended with status {code}")

    # -- chains: the work is in running.py, which the first line that needs it loads -----------------------------------

    def planned(self, chain: Chain) -> Plan:
        """Look up what a chain needs and leave nothing open. Raises LineError and BlockedError."""
        from invoke_shell.shell.running import planned

        return planned(self, chain)

    def run_chain(self, chain: Chain, where: Where) -> None:
        """Plan a chain, run it, keep its results. Raises what stopped it."""
        made = self.planned(chain)
        if self.dry:
            from invoke_shell.runtime.estimate import likely_precision
            from invoke_shell.shell.answers.explain import explain

            precision = likely_precision(self.settings["precision"], str(self.settings["device"]))
            self.view.text("\n".join(explain(made, self.registry, precision)))
            return
        self.run_plan(made, where)

    def run_plan(
        self,
        made: Plan,
        where: Where,
        *,
        cached: bool = True,
        remark: Remark | None = None,
        early: Early | None = None,
        parents: tuple[int, ...] = (),
    ) -> list[tuple[Result, Frame]]:
        """Run a plan to its end and keep its results. Raises the error that ended it.

        remark: of the last result; early: the line that it goes on with; parents: see Run.
        """
        from invoke_shell.shell.running import Run

        return Run(self, made, where, remark, early=early, parents=parents).to_the_end(cached=cached)

    def take_up(self, name: str) -> None:
        """Go on in the session of this name, with its settings; a new one where there is none. Raises OutputError."""
        store = self.keeper.store
        self.keeper.session = store.take_up(name)
        before, self.settings.session = self.settings.session, {}
        self.restore_settings()
        if any(before.get(name) != self.settings.session.get(name) for name in ENGINE):
            self.restart()

    def be_in(self, number: int) -> None:
        """Go on in the session with this id, where what goes on belongs; said when that is another."""
        if number != self.keeper.session.id:
            self.take_up(self.keeper.store.session(number).name)
            self.view.say(f"this is session {self.keeper.session_name} now")

    def restore_settings(self) -> None:
        """The settings that were made in this session; those typed outside (--model) stay."""
        for name, text in self.keeper.store.settings(self.keeper.session.id).items():
            try:
                if name not in self.settings.session:
                    self.settings.set(name, text)
            except SettingError as error:
                self.view.say(f"a setting of the session is left out: {error.message}")

    def recalled_text(self, step: StepRecord) -> str:
        """The lines that make a picture, from its record alone."""
        from invoke_shell.shell.replay.finding import recalled_text

        return recalled_text(self.registry, step)

    def recall(self, step: StepRecord) -> Recalled:
        """The plan that makes a recorded picture again, models and sources looked up here."""
        from invoke_shell.shell.replay.finding import recalled_here

        return recalled_here(self, step)
