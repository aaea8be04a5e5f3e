"""One run of a plan: events told, results kept, Ctrl-C heard. Here stages, store, runtime and view meet.

Loaded by the first line that runs something, so that the prompt does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from invoke_shell.errors import Cancelled, InvokeShellError, OutputError, RunError
from invoke_shell.pipeline.calls import models_of
from invoke_shell.pipeline.chain import Chain, Source
from invoke_shell.pipeline.events import AskShell, ChainStarted, Event, Failed, FrameDone, Progress
from invoke_shell.pipeline.plan import Call, Given, InputRef, Plan, needs, plan
from invoke_shell.pipeline.script import resolved_text
from invoke_shell.records import Frame, Image, Json, ModelRecord
from invoke_shell.shell.archive.store import Status
from invoke_shell.shell.beside import unhashed, with_models
from invoke_shell.shell.display.view import Result, Where
from invoke_shell.shell.gather import Gatherer
from invoke_shell.shell.packing import Packer, export_form
from invoke_shell.shell.replay.grafting import grafted
from invoke_shell.shell.stopping import Stopper, interruptible

if TYPE_CHECKING:
    from invoke_shell.shell.workbench import Workbench

__all__ = ["Early", "Remark", "Run", "planned"]

Remark = Callable[[Image], Json]


def planned(bench: Workbench, chain: Chain) -> Plan:
    """Look up what a chain needs and leave nothing open. Raises LineError and BlockedError."""
    values = bench.settings.values()
    gatherer = Gatherer.of(bench)
    chain, histories = grafted(bench, chain, gatherer)
    found = needs(chain, bench.registry, values)
    facts = gatherer.facts(chain, tuple(need for need in found if need.text not in histories))
    facts = replace(facts, handles={**facts.handles, **histories})
    keep_all = bench.settings["keep"] == "all"
    return plan(chain, bench.registry, facts, values, bench.draw, keep_all=keep_all)


@dataclass(frozen=True, kw_only=True)
class Early:
    """A line that ended early and goes on. places: of the missing results, of `pictures` in all."""

    line: int
    places: tuple[int, ...]
    pictures: int


class Run:
    """A plan on its way. finished: its results so far. failure: what ended it early, or could not be written.

    remark: what is to be recorded of the last result, beside what its nodes recorded; from its pixels.
    early: the line it goes on with. parents: results that its pictures come from, beside those the plan knows.
    """

    def __init__(
        self,
        bench: Workbench,
        made: Plan,
        where: Where,
        remark: Remark | None = None,
        *,
        early: Early | None = None,
        parents: tuple[int, ...] = (),
    ) -> None:
        self.bench = bench
        self.made = made
        self.where = where
        self.remark = remark
        self.early = early
        self.parents = parents
        self.line = 0
        self.finished: list[tuple[Result, Frame]] = []
        self.failure: InvokeShellError | None = None
        self.packer = Packer(bench, made)

    def to_the_end(self, *, cached: bool) -> list[tuple[Result, Frame]]:
        """Run it and keep its results. Raises the error that ended it."""
        with interruptible(self.bench) as stopper:
            self._run(stopper, cached)
        if self.failure is not None:
            raise self.told(self.failure)
        if stopper.presses:  # when all was made: what comes after this line must not begin
            raise Cancelled()
        return self.finished

    def _run(self, stopper: Stopper, cached: bool) -> None:
        bench, made = self.bench, self.made
        if self.early is not None:
            self.line = self.early.line
            bench.keeper.begin_again(self.line)
        else:
            self.line = bench.keeper.begin(made, resolved_text(made, bench.registry))
        for call in made.calls:
            for ref in _sources(call):
                bench.keeper.sources.keep_source(ref)
                self.packer.note_marks(ref)
        bench.hashing.begin(m for call in made.calls for _, m in models_of(call.params))
        for event in self._submitted(stopper, cached):
            bench.events(event)
            bench.view.event(event)
            self.take(event)
        bench.keeper.end(self.line, made.source, [r.n for r, _ in self.finished], _status(self.failure))

    def _submitted(self, stopper: Stopper, cached: bool) -> Iterator[Event]:
        """The run's events; Ctrl-C may have come before there was anything to stop."""
        if stopper.presses:
            return iter([Failed(error=Cancelled())])
        events = self.bench.runtime.submit(self.made, cached=cached and bool(self.bench.settings["cache"]))
        if stopper.presses:
            self.bench.runtime.cancel()
        return events

    def take(self, event: Event) -> None:
        """Keep what is finished, answer what a node asks; a picture that cannot be written does not stop the others."""
        try:
            if isinstance(event, FrameDone) and event.final:
                event = replace(event, frame=self.settled(event.frame))
                event = self.remarked(event)
                self.finished.append((self.keep(event), event.frame))
            elif isinstance(event, AskShell):
                self.answer(event)
        except OutputError as error:
            self.failure = self.failure or error
        if isinstance(event, Failed):
            self.failure = event.error

    def remarked(self, event: FrameDone) -> FrameDone:
        """The last result with the remark among the facts of its step."""
        if self.remark is None or self.made.stage_calls(event.stage)[event.call].id != self.made.results[-1]:
            return event
        step = event.frame.step
        facts = {**step.facts, "replay": self.remark(event.frame.image)}
        return replace(event, frame=replace(event.frame, step=replace(step, facts=facts)))

    def told(self, failure: InvokeShellError) -> InvokeShellError:
        """What stopped a run, and how much of it is kept."""
        missing = len(self.made.results)
        wanted = self.early.pictures if self.early is not None else missing
        if isinstance(failure, Cancelled) and wanted > 1:
            done = wanted - missing + len(self.finished)
            return Cancelled(f"{failure.message}: {done} of {wanted} done and kept", hint="resume makes the rest")
        if isinstance(failure, RunError) and failure.log_id:
            failure.hint = f"{failure.hint} in {self.bench.home.log_file}"
        return failure

    def keep(self, event: FrameDone) -> Result:
        """Write one result's file and row; only then is its handle told."""
        bench, made = self.bench, self.made
        call = made.stage_calls(event.stage)[event.call]
        parents = (*_parents(made, call), *self.parents)
        inner = event.stage != made.calls[made.results[-1]].stage
        parcel = self.packer.result(event.frame, call)
        place = event.number if self.early is None else self.early.places[event.number]
        row = bench.keeper.keep(self.line, event, parcel, place=place, inner=inner, parents=parents)
        result = Result(
            n=row.n,
            path=str(row.path),
            image=event.frame.image,
            seed=row.seed,
            seconds=event.seconds,
            session=bench.keeper.session_name,
            command=parcel.command,
            line=self.where.line,
            name=event.name,
            parents=parents,
            followed=_followed(made, call),
            cached=event.cached,
            embedded=parcel.note,
            inner=inner,
        )
        bench.view.result(result)
        return result

    def settled(self, frame: Frame) -> Frame:
        """A picture with the hashes of its models, waited for where they are still being read."""
        if not (models := unhashed(frame.step)):
            return frame
        known = {model.stamp: self.hashed(model) for model in models}
        return replace(frame, step=with_models(frame.step, known))

    def hashed(self, model: ModelRecord) -> ModelRecord:
        """A model with its hash; without, and that is said, when it cannot be read. A picture is kept all the same."""
        view, pictures, waited = self.bench.view, len(self.made.results), False

        def tick(done: int, total: int) -> None:
            nonlocal waited
            if not waited:
                view.event(ChainStarted(stages=(f"hashing {model.name}, once",), pictures=pictures))
                waited = True
            view.event(Progress(stage=0, call=0, done=done // 1_000_000, total=total // 1_000_000, unit="MB"))

        found, why = self.bench.hashing.hashed(model, tick)
        if waited:  # what comes next is of the line again
            view.event(ChainStarted(stages=self.made.stages, pictures=pictures))
        if why:
            view.say(f"{model.name} is in this picture by its name alone, without its hash: {why}", warning=True)
        return found

    def answer(self, event: AskShell) -> None:
        """A node asked the shell to save or to show."""
        ask, bench = event.ask, self.bench
        if ask.what == "show":
            bench.view.show([ask.frame.image], [], ask.options.get("width"))
        elif ask.path is not None:
            path = ask.path.expanduser()
            path = bench.base / path if bench.base is not None and not path.is_absolute() else path
            target, form = export_form(path, bench.settings["quality"])
            parcel = self.packer.copy(self.settled(ask.frame), form, asked=bool(ask.options.get("embed")))
            bench.keeper.export(target, parcel, trusted=bench.trusted, again=self.early is not None)


def _status(failure: InvokeShellError | None) -> Status:
    if failure is None:
        return "done"
    return "cancelled" if isinstance(failure, Cancelled) else "failed"


def _sources(call: Call) -> Iterator[InputRef]:
    if call.given is not None and not call.given.handle:
        yield call.given.ref  # a grafted file: no result of this home has its pixels
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
