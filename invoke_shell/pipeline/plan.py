"""From a chain to a plan: sweeps unrolled, seeds drawn, models and inputs known, every value with its source.

    needs(chain) -> Needs      what must be looked up
    [the shell gathers Facts]
    plan(chain, facts) -> Plan nothing left open: a list of calls, each node x values x inputs

Precedence of a value: typed > piped > session > config > the model's advice > default.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from invoke_shell.errors import BlockedError, Fault, LineError
from invoke_shell.pipeline.chain import Chain, Source, Stage, Value
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.sweep import LIMIT
from invoke_shell.pipeline.types import RANDOM, Handle, ModelName, Pattern, PixelHash, Ratio, Seed, Size, Sweep
from invoke_shell.records import Image, ModelRecord, Resource, StepRecord

__all__ = ["Call", "Facts", "Given", "InputRef", "Need", "Needs", "Plan", "needs", "plan"]

MAX_SEED = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class InputRef:
    """A source picture with a place to read it from. path is local and never recorded; image when it is in memory."""

    hash: str
    width: int
    height: int
    mode: str = "RGB"
    path: str = ""
    name: str = ""
    file_hash: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    image: Image | None = field(default=None, repr=False, compare=False)

    def resource(self) -> Resource:
        """What is recorded of it."""
        return Resource(
            hash=self.hash,
            width=self.width,
            height=self.height,
            mode=self.mode,
            name=self.name,
            file_hash=self.file_hash,
            facts=self.facts,
        )


@dataclass(frozen=True, kw_only=True)
class Given:
    """An earlier result: its pixels, the step that made it, the values that follow from it.

    step None: only a file is left of its history. model: what it was made with; said when another runs, never followed.
    """

    ref: InputRef
    step: StepRecord | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    handle: str = ""
    model: ModelRecord | None = None


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something to look up, and the span of its word when it was typed.

    what: handle, picture (a path), pattern, hash, model (of a kind) or last.
    """

    what: str
    text: str
    kind: str = ""
    span: tuple[int, int] | None = None


Needs = tuple[Need, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found. pictures: path, pattern or hash -> pictures; models: (kind, text) -> record."""

    handles: Mapping[str, tuple[Given, ...]] = field(default_factory=dict)
    last: tuple[Given, ...] = ()
    pictures: Mapping[str, tuple[InputRef, ...]] = field(default_factory=dict)
    models: Mapping[tuple[str, str], ModelRecord] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One run of one node. inputs: parameter -> calls by id, or source pictures.

    given: an earlier result standing in the place of a node (node is "" then). flows: values that follow from it.
    """

    id: int
    stage: int
    node: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    inputs: Mapping[str, tuple[int | InputRef, ...]] = field(default_factory=dict)
    flows: Mapping[str, Any] = field(default_factory=dict)
    given: Given | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A chain with nothing left open. results: calls whose pictures are results of the line, in reading order."""

    source: str
    calls: tuple[Call, ...]
    stages: tuple[str, ...]
    results: tuple[int, ...]
    notes: tuple[str, ...] = ()
    handles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # as typed -> `@12`; "|" for the last line

    def stage_calls(self, stage: int) -> list[Call]:
        """The calls of one stage, in order."""
        return [c for c in self.calls if c.stage == stage]


def needs(chain: Chain, registry: Registry, settings: Mapping[str, Value]) -> Needs:
    """Everything a chain needs looked up, in reading order, each once."""
    found: dict[tuple[str, str, str], Need] = {}
    for need in _all_needs(chain, registry, settings):
        found.setdefault((need.what, need.kind, need.text), need)
    return tuple(found.values())


def _all_needs(chain: Chain, registry: Registry, settings: Mapping[str, Value]) -> Iterator[Need]:
    if chain.continues:
        yield Need(what="last", text="|")
    for stage in chain.stages:
        for handle in stage.handles:
            yield Need(what="handle", text=handle.text, span=stage.span)
        if not stage.node:
            continue
        node = registry[stage.node]
        for p in node.params.values():
            value = stage.values.get(p.name) or _setting(node, p, settings) or Value(p.default, Source.DEFAULT)
            yield from _needs_of(p, value)


def _needs_of(p: Param, value: Value) -> Iterator[Need]:
    items = value.value.values if isinstance(value.value, Sweep) else value.value
    for item in items if isinstance(items, tuple) else (items,):
        if isinstance(item, Handle):
            yield Need(what="handle", text=item.text, span=value.span)
        elif p.kind.picture and isinstance(item, Path | PixelHash | Pattern):
            what = {Pattern: "pattern", PixelHash: "hash"}.get(type(item), "picture")
            yield Need(what=what, text=str(item), span=value.span)
        elif p.kind.model and isinstance(item, str):
            yield Need(what="model", text=str(item), kind=p.kind.model, span=value.span)


def plan(
    chain: Chain,
    registry: Registry,
    facts: Facts,
    settings: Mapping[str, Value],
    draw: Callable[[], int],
    *,
    keep_all: bool = False,
) -> Plan:
    """A plan of a chain. draw gives a fresh seed below 2**32. Raises LineError and BlockedError."""
    planner = _Planner(chain, registry, facts, settings, draw)
    planner.run()
    stages = tuple(s.node or "@" for s in planner.chain.stages)
    return Plan(
        source=chain.source,
        calls=tuple(planner.calls),
        stages=stages,
        results=tuple(_results(planner, keep_all)),
        notes=tuple(dict.fromkeys(planner.notes)),
        handles={
            **{text: tuple(g.handle for g in given) for text, given in facts.handles.items()},
            **({"|": tuple(g.handle for g in facts.last)} if chain.continues else {}),
        },
    )


def _results(planner: _Planner, keep_all: bool) -> Iterator[int]:
    """The last stage that makes pictures, named ones, and those a later stage gathers."""
    stages, registry = planner.chain.stages, planner.registry
    making = [i for i, s in enumerate(stages) if s.node and not registry[s.node].stage_only]
    gathers = [i for i in making if registry[stages[i].node].takes == "all"]
    gathered = {max((m for m in making if m < g), default=-1) for g in gathers}
    loaders = {i for i in making if stages[i].node == registry.loader}
    final = set(making[-1:]) | (gathered - loaders) | {i for i in making if stages[i].name}
    for call in planner.calls:
        if call.stage in (set(making) if keep_all else final) and call.node and call.given is None:
            yield call.id


def _setting(node: Node[Any, Any], p: Param, settings: Mapping[str, Value]) -> Value | None:
    """The session beats the config; within each, `set img2img.steps 30` beats `set steps 30`."""
    special, general = settings.get(f"{node.name}.{p.name}"), settings.get(p.name)
    if special is None or general is None:
        return special or general
    return general if general.source > special.source else special


class _Planner:
    """Walks a chain once, stage by stage; `front` are the calls whose pictures come down the pipe."""

    def __init__(
        self,
        chain: Chain,
        registry: Registry,
        facts: Facts,
        settings: Mapping[str, Value],
        draw: Callable[[], int],
    ) -> None:
        self.chain = chain
        self.registry = registry
        self.facts = facts
        self.settings = settings
        self.draw = draw
        self.calls: list[Call] = []
        self.front: list[Call] = []
        self.notes: list[str] = []

    def run(self) -> None:
        if self.chain.continues:
            if not self.facts.last:
                message = "there are no results to go on from"
                raise BlockedError(message, hint="begin with a command, or with a handle such as @12", code="no-last")
            self.front = [self.add(stage=-1, given=g, flows=g.values) for g in self.facts.last]
        for number, stage in enumerate(self.chain.stages):
            if stage.node:
                self.front = self.stage(number, stage)
            else:
                given = [g for h in stage.handles for g in self.facts.handles[h.text]]
                self.front = [self.add(stage=number, given=g, flows=g.values, name=stage.name) for g in given]

    def add(self, **fields: Any) -> Call:
        if len(self.calls) >= LIMIT:
            hint = "make the sweeps shorter, or run them in parts"
            raise LineError(
                self.chain.source, [self.at_start(f"this line makes more than {LIMIT} steps", hint, "too-many")]
            )
        call = Call(id=len(self.calls), **fields)
        self.calls.append(call)
        return call

    def at_start(self, message: str, hint: str, code: str) -> Fault:
        return Fault(0, len(self.chain.source), message, hint, code)

    def fault(self, span: tuple[int, int] | None, message: str, hint: str, code: str) -> LineError:
        """An error at a word of the line."""
        return LineError(self.chain.source, [Fault(*self.chain.local(span), message, hint, code)])

    def stage(self, number: int, stage: Stage) -> list[Call]:
        """Every call of one stage: pictures x variants x count, in reading order."""
        node = self.registry[stage.node]
        drawn = Seed(self.draw()) if node.seed else Seed(0)
        groups: list[tuple[Call, ...]]
        if node.takes == "each":
            groups = [(c,) for c in self.front]
        else:
            groups = [tuple(self.front)] if node.takes == "all" else [()]
        made: list[Call] = []
        seen: dict[str, Call] = {}
        for place, group in enumerate(groups):
            for values in self.variants(node, stage):
                for call in self.calls_of(number, stage, node, group, place, len(groups), values, drawn):
                    self.refuse_twice(node, stage, call, seen)
                    made.append(call)
        return made

    def variants(self, node: Node[Any, Any], stage: Stage) -> Iterator[dict[str, Value]]:
        """Typed values with every sweep unrolled; the flag typed last varies fastest."""
        lists = []
        for name, value in stage.values.items():
            found = self.options(node.params[name], value, several=node.takes == "none")
            lists.append([(name, replace(value, value=v)) for v in found])
        for combination in itertools.product(*lists):
            yield dict(combination)

    def options(self, p: Param, value: Value, *, several: bool) -> Sequence[Any]:
        """The values of one parameter. Several files of a node that starts a chain are one picture each."""
        if isinstance(value.value, Sweep):
            return value.value.values
        if p.kind.picture:
            found = self.pictures(value)
            return [(f,) for f in found] if several else [found]
        return [value.value]

    def pictures(self, value: Value) -> tuple[Given | InputRef, ...]:
        """What a picture word stands for: one picture, or many for a pattern or range."""
        items = value.value if isinstance(value.value, tuple) else (value.value,)
        found: list[Given | InputRef] = []
        for item in items:
            if isinstance(item, Handle):
                found += self.facts.handles[item.text]
            elif item is not None:
                found += self.facts.pictures[str(item)]
        return tuple(found)

    # -- one call ----------------------------------------------------------------------------------------------------

    def calls_of(
        self,
        number: int,
        stage: Stage,
        node: Node[Any, Any],
        group: tuple[Call, ...],
        place: int,
        places: int,
        typed: Mapping[str, Value],
        drawn: Seed,
    ) -> Iterator[Call]:
        flowing = _common([c.flows for c in group])
        inputs: dict[str, tuple[int | InputRef, ...]] = {}
        if node.frames:
            inputs[node.frames] = tuple(c.id for c in group)
        resolved = self.resolve(node, stage, typed, flowing, group)
        for p in node.params.values():
            if p.kind.picture:
                found = resolved.pop(p.name)
                inputs[p.name] = self.picture_input(p, found, number, place, places)
        count = int(resolved.pop("count", Value(1)).value)
        for nth in range(count):
            values = dict(resolved)
            if node.seed:
                values[node.seed.name] = self.seed(node.seed, resolved[node.seed.name], group, drawn, nth)
            params = {n: v.value for n, v in values.items()}
            flows = {**flowing, **{n: params[n] for n in node.gives}}
            sources = {n: v.source for n, v in values.items()}
            yield self.add(
                stage=number,
                node=node.name,
                params=params,
                sources=sources,
                inputs=inputs,
                flows=flows,
                name=stage.name,
            )

    def resolve(
        self,
        node: Node[Any, Any],
        stage: Stage,
        typed: Mapping[str, Value],
        flowing: Mapping[str, Any],
        group: tuple[Call, ...],
    ) -> dict[str, Value]:
        """Every parameter's value and source; the model first, because its advice gives defaults."""
        advice: dict[str, Any] = {}
        out: dict[str, Value] = {}
        for p in sorted(node.params.values(), key=lambda p: not p.kind.model):
            value = typed.get(p.name)
            if value is not None and isinstance(value.value, Handle) and not p.kind.picture:
                value = replace(value, value=self.field_of(p, value))
            if value is None:
                value = self.untyped(node, p, flowing, advice)
            if value is None:
                message = f"{node.name} needs a {p.name}: none was typed and none comes down the pipe"
                raise self.fault(stage.span, message, f"write it: {p.flag} ...", "missing-argument")
            if p.kind.model:
                value = replace(value, value=self.model(p, value.value))
                if isinstance(value.value, ModelRecord):
                    self.say_other_model(node, value.value, group)
                    advice = {**value.value.advice, **advice}
            elif isinstance(value.value, Ratio):
                value = replace(value, value=value.value.at(_area(p, advice)))
            out[p.name] = value
        return {n: out[n] for n in node.params}

    def untyped(
        self, node: Node[Any, Any], p: Param, flowing: Mapping[str, Any], advice: Mapping[str, Any]
    ) -> Value | None:
        if p.arg.follows and p.name in flowing:
            return Value(flowing[p.name], Source.PIPE)
        if (setting := _setting(node, p, self.settings)) is not None and not p.kind.picture:
            return setting
        if p.name in advice:
            return Value(p.kind.from_plain(advice[p.name]), Source.MODEL)
        return None if p.required else Value(p.default, Source.DEFAULT)

    def model(self, p: Param, value: Any) -> Any:
        if isinstance(value, ModelName):
            return self.facts.models[(p.kind.model, str(value))]
        if isinstance(value, tuple):
            return tuple(self.model(p, v) for v in value)
        return value

    def say_other_model(self, node: Node[Any, Any], model: ModelRecord, group: tuple[Call, ...]) -> None:
        for call in group:
            before = call.given.model if call.given else None
            if before is not None and before.hash != model.hash and "model" in node.gives:
                made = f"{call.given.handle if call.given else 'it'} was made with {before.text}"
                self.notes.append(f"{made}; {node.name} runs {model.text}")

    def field_of(self, p: Param, value: Value) -> Any:
        """`@12.seed`: the one value of that name which all the handle's pictures share."""
        handle: Handle = value.value
        given = self.facts.handles[handle.text]
        found = {g.values.get(handle.field, None) for g in given}
        if len(found) != 1 or None in found:
            why = "has no" if found == {None} else "has more than one"
            raise self.fault(value.span, f"{handle.text} {why} {handle.field}", "", "bad-handle")
        try:
            return p.kind.from_plain(p.kind.plain(found.pop()))
        except ValueError as error:
            raise self.fault(value.span, f"{handle} is not {error}", "", "bad-value") from None

    def picture_input(self, p: Param, value: Value, number: int, place: int, places: int) -> tuple[int | InputRef, ...]:
        found: Sequence[Given | InputRef] = value.value if isinstance(value.value, tuple) else ()
        if p.kind.many or len(found) <= 1:
            chosen = found
        elif len(found) == places:
            chosen = [found[place]]
        else:
            message = f"{p.flag} gives {len(found)} pictures for {places}"
            raise self.fault(value.span, message, "give one, or as many as come down the pipe", "wrong-shape")
        return tuple(self.add(stage=-1, given=f, flows=f.values).id if isinstance(f, Given) else f for f in chosen)

    def seed(self, p: Param, value: Value, group: tuple[Call, ...], drawn: Seed, nth: int) -> Value:
        """A typed seed as it is; an untyped one follows the upstream picture's + 1; else it is drawn.

        The same noise twice burns in, so no two stages of one picture share a seed.
        """
        if value.value is None or value.value == RANDOM:
            before = group[0].flows.get(p.name) if group and value.value is None else None
            value = Value(drawn if before is None else Seed(int(before) + 1), value.source, value.span)
        seed = Seed(int(value.value) + nth)
        if seed > MAX_SEED:
            raise self.fault(value.span, f"seeds go up to {MAX_SEED}", "", "out-of-range")
        return replace(value, value=seed)

    def refuse_twice(self, node: Node[Any, Any], stage: Stage, call: Call, seen: dict[str, Call]) -> None:
        """A sweep that makes one picture twice is a mistake, named by its values."""
        if not any(isinstance(v.value, Sweep) for v in stage.values.values()):
            return
        key = repr((sorted((n, str(v)) for n, v in call.params.items()), call.inputs))
        if key in seen:
            swept = [n for n, v in stage.values.items() if isinstance(v.value, Sweep)] or ["seed"]
            named = ", ".join(f"{node.params[n].flag} {node.params[n].kind.format(call.params[n])}" for n in swept)
            hint = "take the overlap out of the sweep or of --count"
            raise self.fault(
                stage.span, f"{node.name} would make the same picture twice: {named}", hint, "repeated-picture"
            )
        seen[key] = call


def _common(flows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values equal in all pictures; those alone flow on."""
    if not flows:
        return {}
    first, rest = flows[0], flows[1:]
    return {n: v for n, v in first.items() if all(n in r and r[n] == v for r in rest)}


def _area(p: Param, advice: Mapping[str, Any]) -> int:
    size = p.kind.from_plain(advice[p.name]) if p.name in advice else p.default
    return size.width * size.height if isinstance(size, Size) else 512 * 512


def to_plain(made: Plan, registry: Registry) -> dict[str, Any]:
    """A plan as JSON, to be kept before its first step so that a later process can go on with it."""
    return {
        "source": made.source,
        "stages": list(made.stages),
        "results": list(made.results),
        "handles": {text: list(found) for text, found in made.handles.items()},
        "calls": [_plain_call(c, registry) for c in made.calls],
    }


def _plain_call(call: Call, registry: Registry) -> dict[str, Any]:
    if call.given is not None:
        return {"given": call.given.handle or call.given.ref.hash, "stage": call.stage}
    params = registry[call.node].params
    return {
        "node": call.node,
        "stage": call.stage,
        "params": {n: _plain_value(params[n], v) for n, v in call.params.items()},
        "inputs": {n: [i if isinstance(i, int) else i.hash for i in items] for n, items in call.inputs.items()},
        "name": call.name,
    }


def _plain_value(p: Param, value: Any) -> Any:
    return [p.kind.plain(v) for v in value] if isinstance(value, tuple | list) else p.kind.plain(value)
