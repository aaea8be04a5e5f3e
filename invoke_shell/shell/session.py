"""A session: takes lines, runs them, keeps what they made. The one place where stages, store, runtime and view meet."""

from __future__ import annotations

import logging
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from invoke_shell import __version__
from invoke_shell.errors import Cancelled, InvokeShellError, LineError, OutputError, RunError
from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.replay import Recalled, recall
from invoke_shell.models.catalogue import Catalogue
from invoke_shell.pipeline.bind import Bound, Reading, read
from invoke_shell.pipeline.chain import Chain, Source, Value
from invoke_shell.pipeline.events import AskShell, ChainDone, Event, Failed, FrameDone
from invoke_shell.pipeline.plan import Call, Given, InputRef, Plan, needs, plan
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.script import resolved_text
from invoke_shell.records import Frame, ModelRecord, Resource, StepRecord
from invoke_shell.shell.gather import Gatherer
from invoke_shell.shell.home import Home
from invoke_shell.shell.keeper import Keeper
from invoke_shell.shell.settings import Settings
from invoke_shell.shell.store import Status
from invoke_shell.shell.view import Result, View, Where

__all__ = ["PATIENCE", "Runtime", "Session", "StatusError"]

MAX_THREADS = 256  # that a recorded picture may ask for
PATIENCE = 10.0  # seconds a worker has to answer a stop before it is ended

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

    def environment(self) -> Mapping[str, Any]:
        """Versions and device in force."""
        ...

    def close(self) -> None:
        """End."""
        ...


class Session:
    """One person's session. `start` makes the runtime, when the first line needs it."""

    def __init__(
        self,
        *,
        home: Home,
        registry: Registry,
        settings: Settings,
        keeper: Keeper,
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
        self.keeper = keeper
        self.catalogue = catalogue
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

    # -- the runtime -------------------------------------------------------------------------------------------------

    @property
    def runtime(self) -> Runtime:
        """The runtime, started when first asked for."""
        if self._runtime is None:
            self._runtime = self.start(self.settings)
        return self._runtime

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
            self.runtime.warm(self.catalogue.find(str(chosen.value) if chosen else "pocket"))
        except InvokeShellError as error:
            log.info("not warmed: %s", error.message)

    def close(self) -> None:
        """End the worker and the store."""
        self.restart()
        self.keeper.close()

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
        try:
            if bound.line.kind == "system":
                self.system(bound.line.text)
            elif bound.line.kind == "help":
                self.builtin("help", {"word": bound.line.text})
            elif bound.builtin is not None:
                stage = bound.chain.stages[0]
                self.builtin(stage.node, {name: v.value for name, v in stage.values.items()})
            else:
                self.run_chain(bound.chain, where)
        except StatusError as answered:
            return answered.exit_status
        except InvokeShellError as error:
            self.view.error(error, where)
            return error.exit_status
        except Exception as error:  # a fault of ours: one line, and the trace goes to the log
            self.view.error(self.unexpected(error), where)
            return 1
        finally:
            for notice in self.keeper.store.notices():
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

    # -- chains ------------------------------------------------------------------------------------------------------

    def planned(self, chain: Chain) -> Plan:
        """Look up what a chain needs and leave nothing open. Raises LineError and BlockedError."""
        values = self.settings.values()
        gatherer = Gatherer(self.registry, self.keeper, self.catalogue, self.base)
        facts = gatherer.facts(chain, needs(chain, self.registry, values))
        keep_all = self.settings["keep"] == "all"
        return plan(chain, self.registry, facts, values, self.draw, keep_all=keep_all)

    def run_chain(self, chain: Chain, where: Where) -> None:
        """Plan a chain, run it, keep its results. Raises what stopped it."""
        made = self.planned(chain)
        if self.dry:
            from invoke_shell.shell.explain import explain

            self.view.text("\n".join(explain(made, self.registry)))
            return
        self.run_plan(made, where)

    def run_plan(self, made: Plan, where: Where, *, cached: bool = True) -> list[tuple[Result, Frame]]:
        """Run a plan to its end and keep its results. Raises the error that ended it."""
        resolved = resolved_text(made, self.registry)
        line = self.keeper.begin(made, resolved)
        for call in made.calls:
            for ref in _sources(call):
                self.keeper.keep_source(ref)
        finished: list[tuple[Result, Frame]] = []
        failure: InvokeShellError | None = None
        with self.interruptible():
            for event in self.runtime.submit(made, cached=cached and bool(self.settings["cache"])):
                self.events(event)
                self.view.event(event)
                try:
                    if isinstance(event, FrameDone) and event.final:
                        finished.append((self.keep(event, made, line, where), event.frame))
                    elif isinstance(event, AskShell):
                        self.answer(event)
                except OutputError as error:
                    failure = failure or error
                if isinstance(event, Failed):
                    failure = event.error
                elif isinstance(event, ChainDone):
                    break
        self.keeper.end(line, _status(failure))
        if failure is not None:
            raise self.told(failure, finished, made)
        return finished

    def told(self, failure: InvokeShellError, finished: list[Any], made: Plan) -> InvokeShellError:
        """What stopped a run, and how much of it is kept."""
        if isinstance(failure, Cancelled) and len(made.results) > 1:
            failure = Cancelled(f"{failure.message}: {len(finished)} of {len(made.results)} done and kept")
        return failure

    def keep(self, event: FrameDone, made: Plan, line: int, where: Where) -> Result:
        """Write one result's file and row; only then is its handle told."""
        call = made.stage_calls(event.stage)[event.call]
        text = self.recalled_text(event.frame.step)
        parents = tuple(_parents(made, call))
        inner = event.stage != made.calls[made.results[-1]].stage
        data = self.encode(event.frame, text)
        row = self.keeper.keep(line, event, data, inner=inner, parents=parents, seconds=event.seconds)
        result = Result(
            n=row.n,
            path=str(row.path),
            image=event.frame.image,
            seed=row.seed,
            seconds=event.seconds,
            session=self.keeper.session_name,
            command=text,
            line=where.line,
            name=event.name,
            parents=parents,
            followed=_followed(made, call),
            cached=event.cached,
        )
        self.view.result(result)
        return result

    def encode(self, frame: Frame, command: str) -> bytes:
        """The PNG of a result with everything that is written into it."""
        return embed(
            frame,
            app_version=__version__,
            created=self.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=command,
            privacy=bool(self.settings["privacy"]),
            a1111=bool(self.settings["a1111"]),
        )

    def recalled_text(self, step: StepRecord) -> str:
        """The lines that make a picture, from its record alone."""
        return recall(step, self.registry, _AsRecorded()).text(self.registry)

    def recall(self, step: StepRecord) -> Recalled:
        """The plan that makes a recorded picture again, models and sources looked up here."""
        return recall(step, self.registry, _Here(self.catalogue, self.keeper))

    def answer(self, event: AskShell) -> None:
        """A node asked the shell to save or to show."""
        ask = event.ask
        if ask.what == "show":
            self.view.show([ask.frame.image], [], ask.options.get("width"))
        elif ask.path is not None:
            text = self.recalled_text(ask.frame.step)
            path = ask.path.expanduser()
            path = self.base / path if self.base is not None and not path.is_absolute() else path
            self.keeper.export(path, self.encode(ask.frame, text), trusted=self.trusted)

    # -- stopping ----------------------------------------------------------------------------------------------------

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C asks the run to stop at the next step, again or after PATIENCE stops it now; the session stays."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        stopper = _Stopper(self)
        signals = [signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        before = {s: signal.signal(s, stopper.asked) for s in signals}
        try:
            yield
        finally:
            stopper.done()
            for s, handler in before.items():
                signal.signal(s, handler)


class _Stopper:
    """Counts the presses of Ctrl-C during one run."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.presses = 0
        self.timer: threading.Timer | None = None

    def asked(self, number: int, frame: object) -> None:
        self.presses += 1
        if self.presses == 1:
            self.session.view.say("stopping after this step; Ctrl-C again stops now")
            self.session.runtime.cancel()
            self.timer = threading.Timer(PATIENCE, self.session.runtime.kill)
            self.timer.daemon = True
            self.timer.start()
        else:
            self.session.runtime.kill()

    def done(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class _AsRecorded:
    """A Finder that believes the record: for text, where nothing runs."""

    def model(self, record: ModelRecord) -> ModelRecord:
        return record

    def picture(self, resource: Resource) -> InputRef:
        return InputRef(hash=resource.hash, width=resource.width, height=resource.height, mode=resource.mode)


class _Here:
    """A Finder over this home: models by hash, then by name; pictures by hash."""

    def __init__(self, catalogue: Catalogue, keeper: Keeper) -> None:
        self.catalogue = catalogue
        self.keeper = keeper

    def model(self, record: ModelRecord) -> ModelRecord | None:
        found = self.catalogue.by_hash(record.hash, record.kind) if record.hash else None
        if found is not None:
            return found
        return next((m for m in self.named(record)), None)

    def named(self, record: ModelRecord) -> Iterator[ModelRecord]:
        for candidate in self.catalogue.all(record.kind):
            if candidate.name == record.name:
                yield self.catalogue.find(candidate.path, record.kind)

    def picture(self, resource: Resource) -> InputRef | None:
        found = self.keeper.pixels(resource.hash)
        # What is recorded again must be what was recorded: the base name and how the file was read.
        return found and replace(found, name=resource.name, file_hash=resource.file_hash, facts=resource.facts)


def _status(failure: InvokeShellError | None) -> Status:
    if failure is None:
        return "done"
    return "cancelled" if isinstance(failure, Cancelled) else "failed"


def _sources(call: Call) -> Iterator[InputRef]:
    for items in call.inputs.values():
        yield from (i for i in items if isinstance(i, InputRef))


def _givens(made: Plan, call: Call) -> Iterator[Given]:
    """The earlier results a call's pictures come from, nearest first."""
    stack, seen = [call.id], set[int]()
    while stack:
        at = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        found = made.calls[at]
        if found.given is not None:
            yield found.given
        for items in found.inputs.values():
            stack.extend(i for i in items if isinstance(i, int))


def _parents(made: Plan, call: Call) -> Iterator[int]:
    for given in _givens(made, call):
        if given.handle[1:].isdigit():
            yield int(given.handle[1:])


def _followed(made: Plan, call: Call) -> str:
    """`from @12: prompt, negative`: nothing is linked silently."""
    names = [name for name, source in call.sources.items() if source is Source.PIPE]
    handles = list(dict.fromkeys(g.handle for g in _givens(made, call) if g.handle))
    if not names or not handles:
        return ""
    return f"from {' '.join(handles[:4])}{' …' if len(handles) > 4 else ''}: {', '.join(names)}"
