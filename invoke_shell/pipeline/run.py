"""Executes a plan: all pictures through stage 1, then stage 2, so that a model is loaded once per line.

Step records are built in turn.py. What happens is told through `emit`, in order; nothing is raised.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from invoke_shell.errors import Cancelled, InvokeShellError, RunError
from invoke_shell.pipeline.ahead import asks_for_pictures, request_of
from invoke_shell.pipeline.cache import Cache, Kept
from invoke_shell.pipeline.context import Ask, Engine, Generation
from invoke_shell.pipeline.events import (
    AskShell,
    ChainDone,
    ChainStarted,
    Event,
    Failed,
    FrameDone,
    Progress,
    Said,
    StageDone,
    StageStarted,
)
from invoke_shell.pipeline.node import Node
from invoke_shell.pipeline.plan import Call, InputRef, Plan
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.turn import Turn, loaded
from invoke_shell.records import Frame, Image, Made, Mask, StepRecord

__all__ = ["Host", "execute"]

PROGRESS_EVERY = 0.05  # seconds between progress events of one picture; the last one always goes out

log = logging.getLogger("invoke_shell.run")


class Host(Protocol):
    """What a run needs of the process it runs in; the runtime provides it."""

    def engine(self, watcher: Any) -> Engine:
        """The engine, reporting to `watcher` (tick, say)."""
        ...

    def environment(self, *, models: bool) -> Mapping[str, Any]:
        """What a bit-exact replay needs equal; with models: also the engine's part."""
        ...

    @property
    def device(self) -> str: ...

    def read(self, ref: InputRef) -> Image:
        """The pixels of a source picture; their hash is the recorded one. Raises BlockedError."""
        ...

    def to_mask(self, image: Image) -> Mask:
        """White or transparent is repainted."""
        ...


def execute(
    plan: Plan,
    registry: Registry,
    host: Host,
    emit: Callable[[Event], None],
    *,
    cancelled: Callable[[], bool] = lambda: False,
    cache: Cache | None = None,
) -> None:
    """Run a plan to its end; the last event is ChainDone or Failed. cache None: every step runs (a replay)."""
    run = _Run(plan, registry, host, emit, cancelled, cache)
    try:
        run.all()
    except InvokeShellError as error:
        emit(Failed(error=error))
    except Exception as error:  # a node is anybody's code: one line, and the trace goes to the log
        emit(Failed(error=_unexpected(error, run)))


def _unexpected(error: Exception, run: _Run) -> RunError:
    from secrets import token_hex

    log_id = token_hex(3)
    log.error("run %s failed", log_id, exc_info=error)
    text = " ".join(str(error).split())[:300]
    code = "out-of-memory" if isinstance(error, MemoryError) else "step-failed"
    message = f"{run.node_name} failed: {text or type(error).__name__}"
    place = _place(error, run.registry.get(run.node_name))
    failed = RunError(message, hint=f"{place}the log has the rest: {log_id}", code=code)
    failed.log_id = log_id
    return failed


def _place(error: Exception, node: Node[Any, Any] | None) -> str:
    """Where a plugin's own file was when it failed: whoever writes a node looks there first."""
    if node is None or node.package == "invoke_shell":
        return ""
    import traceback

    file = node.func.__code__.co_filename
    lines = [number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return f"{type(error).__name__} in {os.path.basename(file)}, line {lines[-1]}; " if lines else ""


class _Run:
    """One execution; also the Context its nodes get."""

    def __init__(
        self,
        plan: Plan,
        registry: Registry,
        host: Host,
        emit: Callable[[Event], None],
        cancelled: Callable[[], bool],
        cache: Cache | None,
    ) -> None:
        self.plan = plan
        self.registry = registry
        self.host = host
        self.emit = emit
        self.cancelled = cancelled
        self.cache = cache
        self.frames: dict[int, list[Frame]] = {}
        self.readings: dict[str, Image] = {}
        self.node_name = "the line"
        self.stage = 0
        self.call = 0
        self.next_tick = 0.0
        self.numbers = {call: n for n, call in enumerate(plan.results)}
        self.given_numbers = 0
        self.untold: dict[str, float] = {}  # seconds of pictures on the way, by the key of their step
        self.said: set[str] = set()  # lines of the whole run: many pictures may give rise to the same one
        self.heard_now: dict[str, None] = {}  # lines of the turn that runs, in order
        self.asked_now = False

    def all(self) -> None:
        started = time.perf_counter()
        self.emit(ChainStarted(stages=self.plan.stages, pictures=len(self.plan.results)))
        for note in self.plan.notes:
            self.mention(note)
        for call in self.plan.calls:
            if call.given is not None:
                self.frames[call.id] = [self.given(call)]
        for number, name in enumerate(self.plan.stages):
            if name != "@":
                self.run_stage(number, name)
        self.emit(ChainDone(pictures=self.given_numbers, seconds=time.perf_counter() - started))

    def given(self, call: Call) -> Frame:
        """An earlier result: its own history when there is one, else an atom loaded from its file."""
        assert call.given is not None
        ref, image = call.given.ref, self.read(call.given.ref)
        inputs = {"image": (ref.resource(),)}
        step = call.given.step or loaded(
            self.loader, image, inputs=inputs, environment=self.host.environment(models=False)
        )
        return Frame(image=image, step=step, values=call.flows)

    def run_stage(self, number: int, name: str) -> None:
        node = self.registry[name]
        calls = self.plan.stage_calls(number)
        self.stage, self.node_name = number, name
        started, ran, cached = time.perf_counter(), 0, 0
        self.emit(StageStarted(stage=number, node=name, calls=len(calls)))
        self.look_ahead(node, calls)
        for place, call in enumerate(calls):
            self.call, self.next_tick = place, 0.0
            self.check()
            hits = self.run_call(node, call, place)
            cached += hits
            ran += not hits
        seconds = time.perf_counter() - started
        self.emit(StageDone(stage=number, node=name, ran=ran, cached=cached, seconds=seconds))

    def look_ahead(self, node: Node[Any, Any], calls: Sequence[Call]) -> None:
        """Tell the engine what it will be asked for, where it may draw pictures together."""
        if len(calls) < 2 or not asks_for_pictures(node) or self.engine.batch == 1:
            return
        found = [self.request(turn) for call in calls for turn in self.turns(node, call)]
        self.engine.expect([request for request in found if request is not None])

    def request(self, turn: Turn) -> Generation | None:
        """What a turn will ask of the engine; None where the cache has its picture."""
        if self.cache is not None and self.cache.get(turn.key(turn.record(self.host.environment))) is not None:
            return None
        return self.heard(turn)

    def heard(self, turn: Turn) -> Generation | None:
        """What a turn asks of the engine first."""
        return request_of(lambda context: turn.run(context, self.fit))

    def run_call(self, node: Node[Any, Any], call: Call, place: int) -> bool:
        """Run one call for each picture that comes to it; True when all of it came from the cache."""
        self.frames[call.id] = []
        all_cached = True
        for turn in self.turns(node, call):
            begun = time.perf_counter()
            given, cached = self.outcome(turn)
            all_cached = all_cached and cached
            for frame in given:
                self.frames[call.id].append(frame)
                self.tell(turn, place, frame, cached, time.perf_counter() - begun)
                begun = time.perf_counter()
        return all_cached

    def turns(self, node: Node[Any, Any], call: Call) -> Iterator[Turn]:
        """The runs of a call: one for each picture through the pipe, or one with all of them, or with none."""
        ids = [i for i in call.inputs.get(node.frames, ()) if isinstance(i, int)]
        frames = [frame for i in ids for frame in self.frames[i]]
        inputs = {} if node.stage_only else {p: items for p, items in call.inputs.items() if p != node.frames}
        pictures = {p: [self.picture(item) for item in items] for p, items in inputs.items()}
        for some in [[frame] for frame in frames] if node.takes == "each" else [frames]:
            yield Turn(node=node, call=call, frames=some, pictures=pictures)

    def tell(self, turn: Turn, place: int, frame: Frame, cached: bool, seconds: float) -> None:
        final = turn.call.id in self.numbers and not turn.node.stage_only
        seconds += sum(self.untold.get(before.step.key, 0.0) for before in turn.frames)
        if not final:
            self.untold[frame.step.key] = seconds
        self.emit(
            FrameDone(
                stage=self.stage,
                call=place,
                frame=frame,
                final=final,
                number=self.given_numbers if final else 0,
                name=turn.call.name,
                cached=cached,
                seconds=seconds,
            )
        )
        self.given_numbers += final

    # -- one run of a node -------------------------------------------------------------------------------------------

    def outcome(self, turn: Turn) -> tuple[Iterable[Frame], bool]:
        """The pictures of one turn, lazily, and whether they came from the cache."""
        if turn.node.stage_only:
            return self.pass_on(turn), False
        record = turn.record(self.host.environment)
        key = turn.key(record) if self.cache else ""
        known = self.cache.get(key) if self.cache else None
        if known is not None:
            for line in known.said:
                self.mention(line)
            return [turn.frame(record, made) for made in known.made], True
        return self.fresh(turn, record, key), False

    def fresh(self, turn: Turn, record: StepRecord, key: str) -> Iterator[Frame]:
        kept: list[Made] = []
        self.heard_now, self.asked_now = {}, False
        self.in_its_row(turn)
        for made in _made(turn.run(self, self.fit)):
            kept.append(made)
            yield turn.frame(record, made)
        if self.cache is not None and not self.asked_now:  # what it asks of the shell it has to ask each time
            self.cache.put(key, Kept(made=tuple(kept), said=tuple(self.heard_now)))

    def in_its_row(self, turn: Turn) -> None:
        """A recorded picture that was one of a batch is drawn in its row again: its last bits depend on it."""
        size, row = turn.call.together
        if size > 1 and (request := self.heard(turn)) is not None:
            self.engine.expect([request] * size, row)

    def pass_on(self, turn: Turn) -> Iterator[Frame]:
        """A node that is no step (save, show_image): its pictures go on as they are."""
        turn.run(self, self.fit)
        yield from turn.frames

    # -- pictures ----------------------------------------------------------------------------------------------------

    @property
    def loader(self) -> Node[Any, Any]:
        return self.registry[self.registry.loader]

    def fit(self, node: Node[Any, Any], name: str, picture: Frame | Image) -> Frame | Image | Mask:
        """A picture as a parameter wants it: with its history, bare, or as a mask."""
        kind = node.params[name].kind
        if kind.frame:
            # A source picture has no history but that it was loaded.
            return picture if isinstance(picture, Frame) else Frame(image=picture, step=loaded(self.loader, picture))
        image = picture.image if isinstance(picture, Frame) else picture
        return self.host.to_mask(image) if kind.mask else image

    def picture(self, item: int | InputRef) -> Frame | Image:
        return self.frames[item][0] if isinstance(item, int) else self.read(item)

    def read(self, ref: InputRef) -> Image:
        """A source picture, read once per run."""
        if ref.image is not None:
            return ref.image
        if ref.hash not in self.readings:
            self.readings[ref.hash] = self.host.read(ref)
        return self.readings[ref.hash]

    # -- the context a node sees -------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        return self.host.engine(self)

    @property
    def device(self) -> str:
        return self.host.device

    def check(self) -> None:
        """Raise Cancelled when the person stopped the run."""
        if self.cancelled():
            raise Cancelled(f"stopped in {self.node_name}")

    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        self.check()
        now = time.monotonic()
        if now >= self.next_tick or done >= total or preview is not None:
            self.next_tick = now + PROGRESS_EVERY
            self.emit(Progress(stage=self.stage, call=self.call, done=done, total=total, preview=preview))

    def say(self, text: str) -> None:
        self.heard_now[text] = None
        self.mention(text)

    def mention(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            self.emit(Said(text=text))

    def ask(self, request: Ask) -> None:
        self.asked_now = True
        self.emit(AskShell(ask=request))


def _made(result: Any) -> Iterator[Made]:
    """What a node may return: an Image, a Made, a Frame for its image, or an iterable of them."""
    if isinstance(result, Made):
        yield result
    elif isinstance(result, Image):
        yield Made(image=result)
    elif isinstance(result, Frame):
        yield Made(image=result.image)
    elif isinstance(result, Iterable) and not isinstance(result, str | bytes):
        for item in result:
            yield from _made(item)
    else:
        if type(result).__module__.startswith("PIL."):
            raise TypeError("a node gives no picture of Pillow: Image.from_pil makes an Image of it")
        raise TypeError(f"a node gives pictures, not {type(result).__name__}")
