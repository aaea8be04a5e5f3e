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
from invoke_shell.pipeline.chain import Chain, Source, Stage, Value, words
from invoke_shell.pipeline.node import COUNT, Node, Param
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.sweep import LIMIT
from invoke_shell.pipeline.types import (
    RANDOM,
    Handle,
    ModelName,
    Pattern,
    PixelHash,
    Ratio,
    Seed,
    Side,
    Size,
    Sweep,
    Weighted,
)
from invoke_shell.records import Image, ModelRecord, Resource, StepRecord, topological

__all__ = ["Call", "Facts", "Given", "InputRef", "Need", "Needs", "Plan", "common", "needs", "plan"]

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
    flowing: set[tuple[str, str]] = set()  # name and kind of the models that surely come down the pipe
    if chain.continues:
        yield Need(what="last", text="|")
    for stage in chain.stages:
        for handle in stage.handles:
            yield Need(what="handle", text=handle.text, span=stage.span)
        if not stage.node:
            continue
        node = registry[stage.node]
        flowing = set() if node.takes == "all" else flowing
        for p in _as_typed(node, stage):
            if p.name in stage.values:
                yield from _needs_of(p, stage.values[p.name])
            elif not (p.arg.follows and (p.name, p.kind.model) in flowing) and not p.kind.picture:
                yield from _needs_of(p, _setting(node, p, settings) or Value(p.default, Source.DEFAULT))
        flowing |= {(n, node.params[n].kind.model) for n in node.gives}


def _as_typed(node: Node[Any, Any], stage: Stage) -> list[Param]:
    """A node's parameters, those typed first, in the order of the line."""
    return [node.params[n] for n in stage.values] + [p for p in node.params.values() if p.name not in stage.values]


def _needs_of(p: Param, value: Value) -> Iterator[Need]:
    items = value.value.values if isinstance(value.value, Sweep) else value.value
    for item in items if isinstance(items, tuple) else (items,):
        item = item.value if isinstance(item, Weighted) else item
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


def _named_makers(chain: Chain, registry: Registry) -> Chain:
    """`upscale | save a.png as @x` names what was saved: a name moves to the stage that makes the pictures."""
    stages = list(chain.stages)
    for i in range(len(stages) - 1, 0, -1):
        passes = stages[i].node and registry[stages[i].node].stage_only
        if passes and stages[i].name and not stages[i - 1].name:
            stages[i - 1] = replace(stages[i - 1], name=stages[i].name)
            stages[i] = replace(stages[i], name="")
    return replace(chain, stages=tuple(stages))


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
        self.chain = _named_makers(chain, registry)
        self.registry = registry
        self.facts = facts
        self.settings = settings
        self.draw = draw
        self.calls: list[Call] = []
        self.front: list[Call] = []
        self.notes: list[str] = []
        self.brought: dict[int, int] = {}

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
        self.limit_history()

    def add(self, **fields: Any) -> Call:
        if len(self.calls) >= LIMIT:
            hint = "make the sweeps shorter, or run them in parts"
            raise LineError(
                self.chain.source, [self.at_start(f"this line makes more than {LIMIT} steps", hint, "too-many")]
            )
        call = Call(id=len(self.calls), **fields)
        self.calls.append(call)
        return call

    def limit_history(self) -> None:
        """A picture's history, that of earlier results included, has at most LIMIT steps: all of it is written."""
        before = {id(c.given): c.given.step for c in self.calls if c.given and c.given.step}
        lengths = {g: sum(1 for _ in topological(step)) for g, step in before.items()}
        if len(self.calls) + sum(lengths.values()) <= LIMIT:
            return
        for call in self.front:
            used = _ancestors(self.calls, call)
            if len(used) + sum(lengths.get(id(c.given), 0) for c in used) > LIMIT:
                message = f"the history of this picture would have more than {LIMIT} steps"
                hint = "go on from its file: load_image takes it without its history"
                raise LineError(self.chain.source, [self.at_start(message, hint, "too-many")])

    def at_start(self, message: str, hint: str, code: str) -> Fault:
        return Fault(0, len(self.chain.source), message, hint, code)

    def fault(self, span: tuple[int, int] | None, message: str, hint: str, code: str) -> LineError:
        """An error at a word of the line."""
        return LineError(self.chain.source, [Fault(*self.chain.local(span), message, hint, code)])

    def stage(self, number: int, stage: Stage) -> list[Call]:
        """Every call of one stage: pictures x variants x count, in reading order."""
        node = self.registry[stage.node]
        groups: list[tuple[Call, ...]]
        if node.takes == "each":
            groups = [(c,) for c in self.front]
        else:
            groups = [tuple(self.front)] if node.takes == "all" else [()]
        made: list[Call] = []
        seen: dict[str, Call] = {}
        for place, group in enumerate(groups):
            # A sweep shares one drawn seed, so that only the swept value differs; two pictures never do.
            drawn = Seed(self.draw()) if node.seed else Seed(0)
            for values in self.variants(node, stage):
                call = self.call_of(number, stage, node, group, place, len(groups), values, drawn)
                if self.is_new(node, stage, call, seen):
                    made.append(call)
        return made

    def variants(self, node: Node[Any, Any], stage: Stage) -> Iterator[dict[str, Value]]:
        """Typed values with every sweep unrolled; the flag typed last varies fastest."""
        lists = []
        for name, value in stage.values.items():
            found = self.options(node.params[name], value, several=node.takes == "none")
            lists.append([(name, replace(value, value=v)) for v in found])
        if node.seed and "count" not in stage.values:
            value = _setting(node, COUNT, self.settings) or Value(COUNT.default, Source.DEFAULT)
            lists.append([("count", replace(value, value=nth)) for nth in self.options(COUNT, value, several=False)])
        for combination in itertools.product(*lists):
            yield dict(combination)

    def options(self, p: Param, value: Value, *, several: bool) -> Sequence[Any]:
        """The values of one parameter. Several files of a node that starts a chain are one picture each."""
        if isinstance(value.value, Sweep):
            return value.value.values
        if p is COUNT:
            return range(value.value)
        if p.kind.picture:
            found = self.pictures(value)
            return [(f,) for f in found] if found and several and not p.kind.many else [found]
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

    def call_of(
        self,
        number: int,
        stage: Stage,
        node: Node[Any, Any],
        group: tuple[Call, ...],
        place: int,
        places: int,
        typed: Mapping[str, Value],
        drawn: Seed,
    ) -> Call:
        flowing = common([c.flows for c in group])
        inputs: dict[str, tuple[int | InputRef, ...]] = {}
        if node.frames:
            inputs[node.frames] = tuple(c.id for c in group)
        values = self.resolve(node, stage, typed, flowing, group)
        for p in node.params.values():
            if p.kind.picture:
                inputs[p.name] = self.picture_input(p, values.pop(p.name), place, places)
        if node.seed:
            nth = values.pop("count").value
            values[node.seed.name] = self.seed(node.seed, values[node.seed.name], group, drawn, nth)
        params = {n: v.value for n, v in values.items()}
        return self.add(
            stage=number,
            node=node.name,
            params=params,
            sources={n: v.source for n, v in values.items()},
            inputs=inputs,
            flows={**flowing, **{n: params[n] for n in node.gives}},
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
            if value is not None and not p.kind.picture:
                value = replace(value, value=self.linked(p, value.value, value.span))
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
            elif isinstance(value.value, Ratio | Side):
                value = replace(value, value=self.whole_size(p, value, advice))
            out[p.name] = value
        _settle_excluded(node, out)
        return {n: out[n] for n in node.params}

    def whole_size(self, p: Param, value: Value, advice: Mapping[str, Any]) -> Size:
        """The size of a ratio or of one side, from the model's own."""
        own = _advised(p, advice) or p.default
        own = own if isinstance(own, Size) else Size(512, 512)
        found = value.value.at(own.width * own.height) if isinstance(value.value, Ratio) else value.value.of(own)
        if wrong := p.check(found):
            raise self.fault(value.span, f"{value.value} would be {found}: {wrong}", "", "out-of-range")
        return found

    def untyped(
        self, node: Node[Any, Any], p: Param, flowing: Mapping[str, Any], advice: Mapping[str, Any]
    ) -> Value | None:
        if p.arg.follows and p.name in flowing and _fits(p, flowing[p.name]):
            return Value(flowing[p.name], Source.PIPE)
        if p.kind.is_seed and flowing.get(p.name) is not None:
            return Value(None, Source.PIPE)
        if (setting := _setting(node, p, self.settings)) is not None and not p.kind.picture:
            return setting
        if (advised := _advised(p, advice)) is not None:
            return Value(advised, Source.MODEL)
        return None if p.required else Value(p.default, Source.DEFAULT)

    def model(self, p: Param, value: Any) -> Any:
        if isinstance(value, ModelName):
            return self.facts.models[(p.kind.model, str(value))]
        if isinstance(value, tuple):
            return tuple(self.model(p, v) for v in value)
        if isinstance(value, Weighted):
            return replace(value, value=self.model(p, value.value))
        return value

    def say_other_model(self, node: Node[Any, Any], model: ModelRecord, group: tuple[Call, ...]) -> None:
        for call in group:
            before = call.given.model if call.given else None
            if before is not None and before.hash != model.hash and "model" in node.gives:
                made = f"{call.given.handle if call.given else 'it'} was made with {before.text}"
                self.notes.append(f"{made}; {node.name} runs {model.text}")

    def linked(self, p: Param, value: Any, span: tuple[int, int] | None) -> Any:
        """A value with every `@12.seed` in it replaced by what it stands for."""
        if isinstance(value, tuple):
            return tuple(self.linked(p, v, span) for v in value)
        if isinstance(value, Weighted):
            return replace(value, value=self.linked(p, value.value, span))
        return self.field_of(p, value, span) if isinstance(value, Handle) else value

    def field_of(self, p: Param, handle: Handle, span: tuple[int, int] | None) -> Any:
        """The one value which all pictures of a handle share; of a model also without its name, `--model @12`."""
        name = handle.field or "model"
        found = [_field(g, name) for g in self.facts.handles[handle.text]]
        if not found or found[0] is None or any(f != found[0] for f in found):
            why = "has more than one" if any(f is not None for f in found) else "has no"
            raise self.fault(span, f"{handle.text} {why} {name}", "", "bad-handle")
        value = found[0]
        if p.kind.model or isinstance(value, ModelRecord):
            if not isinstance(value, ModelRecord) or value.kind != p.kind.model:
                raise self.fault(span, f"{handle} is not {p.kind.label}", "", "bad-handle")
            return value
        try:
            read = p.kind.from_plain(value if isinstance(value, int | float | str) else str(value))
        except ValueError as error:
            raise self.fault(span, f"{handle} is not {error}", "", "bad-handle") from None
        if wrong := p.check(read):
            raise self.fault(span, wrong, f"that is {handle}", "out-of-range")
        return read

    def picture_input(self, p: Param, value: Value, place: int, places: int) -> tuple[int | InputRef, ...]:
        found: Sequence[Given | InputRef] = value.value if isinstance(value.value, tuple) else ()
        if p.kind.many or len(found) <= 1:
            chosen = found
        elif len(found) == places:
            chosen = [found[place]]
        else:
            message = f"{p.flag} gives {len(found)} pictures for {places}"
            raise self.fault(value.span, message, "give one, or as many as come down the pipe", "wrong-shape")
        return tuple(self.bring(f) if isinstance(f, Given) else f for f in chosen)

    def bring(self, given: Given) -> int:
        """The call of an earlier result that is a second picture; one call however often it is used."""
        if id(given) not in self.brought:
            self.brought[id(given)] = self.add(stage=-1, given=given, flows=given.values).id
        return self.brought[id(given)]

    def seed(self, p: Param, value: Value, group: tuple[Call, ...], drawn: Seed, nth: int) -> Value:
        """A typed seed as it is; an untyped one follows the upstream picture's + 1; else it is drawn.

        The same noise twice burns in, so no two stages of one picture share a seed.
        """
        before = group[0].flows.get(p.name) if group and value.value is None else None
        if before is not None:
            return replace(value, value=Seed((int(before) + 1 + nth) % (MAX_SEED + 1)))
        start = drawn if value.value is None or value.value == RANDOM else value.value
        if start + nth > MAX_SEED:
            raise self.fault(value.span, f"seeds go up to {MAX_SEED}", "", "out-of-range")
        return replace(value, value=Seed(start + nth))

    def is_new(self, node: Node[Any, Any], stage: Stage, call: Call, seen: dict[str, Call]) -> bool:
        """False for a picture that would be another's twin: the same steps run once, and that is said.

        A sweep that names one picture twice is a mistake. Raises LineError.
        """
        swept = [n for n, v in stage.values.items() if isinstance(v.value, Sweep)]
        if not swept:
            return True
        key = _identity(call, call.params)
        alike = key if node.alike is None else _identity(call, node.alike(call.params))
        before = seen.setdefault(alike, call)
        if before is call:
            return True
        one, two = (self.named(node, c, swept) for c in (before, call))
        if _identity(before, before.params) == key:
            hint = "take the overlap out of the sweep or of --count"
            message = f"{node.name} would make the same picture twice: {one}"
            raise self.fault(stage.span, message, hint, "repeated-picture")
        self.calls.pop()
        self.notes.append(f"{node.name} runs {two} once, with {one}: the same steps")
        return False

    def named(self, node: Node[Any, Any], call: Call, swept: Sequence[str]) -> str:
        """The swept values of a call, as they would be typed."""
        rows = [words(node.params[n], call.params[n]) for n in swept if n in call.params]
        return " ".join(w for row in rows for w in row)


def _identity(call: Call, params: Mapping[str, Any]) -> str:
    return repr((sorted((n, str(v)) for n, v in params.items()), call.inputs))


def _fits(p: Param, value: Any) -> bool:
    """Whether a value that comes down the pipe is of a parameter's type; a type includes the model's kind."""
    if p.kind.model:
        return isinstance(value, ModelRecord) and value.kind == p.kind.model
    try:
        return bool(p.kind.from_plain(p.kind.plain(value)) == value) and not p.check(value)
    except (ValueError, TypeError):
        return False


def _advised(p: Param, advice: Mapping[str, Any]) -> Any:
    """What the model advises; None when nothing, or nothing that the parameter takes."""
    try:
        advised = p.kind.from_plain(advice[p.name]) if p.name in advice else None
    except ValueError:
        return None
    return None if advised is None or p.check(advised) else advised


def _settle_excluded(node: Node[Any, Any], values: dict[str, Value]) -> None:
    """Of two parameters that exclude each other the one of the higher source stands; the other is as if never said."""
    for p in node.params.values():
        if p.arg.excludes:
            other = node.params[p.arg.excludes]
            wins = values[p.name].source > values[other.name].source and values[p.name].value is not None
            if wins or values[other.name].value is not None:
                loser = other if wins else p
                values[loser.name] = Value(loser.default, Source.DEFAULT)


def _field(given: Given, name: str) -> Any:
    """A value of an earlier result: one that flows, its model, or any that its step recorded."""
    if name in given.values:
        return given.values[name]
    if name == "model":
        return given.model
    return given.step.params.get(name) if given.step is not None else None


def _ancestors(calls: Sequence[Call], last: Call) -> list[Call]:
    """A call and all that go into it."""
    seen: dict[int, Call] = {}
    stack = [last]
    while stack:
        call = stack.pop()
        if call.id not in seen:
            seen[call.id] = call
            stack += [calls[i] for items in call.inputs.values() for i in items if isinstance(i, int)]
    return list(seen.values())


def common(flows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values equal in all pictures; those alone flow on."""
    if not flows:
        return {}
    first, rest = flows[0], flows[1:]
    return {n: v for n, v in first.items() if all(n in r and r[n] == v for r in rest)}


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
