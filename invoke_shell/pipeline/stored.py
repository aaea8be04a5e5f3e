"""A plan as JSON and back, so that a later process can go on with it; and what of a plan is still to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from invoke_shell.errors import BlockedError
from invoke_shell.pipeline.calls import Call, Plan
from invoke_shell.pipeline.chain import Source
from invoke_shell.pipeline.facts import Given, InputRef
from invoke_shell.pipeline.param import Param
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.resolve import common
from invoke_shell.pipeline.types import Weighted
from invoke_shell.records import ModelRecord

__all__ = ["Finder", "from_plain", "part_of", "remaining", "to_plain", "with_flows"]


class Finder(Protocol):
    """Where what a stored plan names is found again."""

    def handle(self, text: str) -> Sequence[Given]:
        """An earlier result by its handle. Raises BlockedError."""
        ...

    def pixels(self, digits: str) -> InputRef | None:
        """A picture by its pixel hash."""
        ...

    def model(self, text: str, kind: str) -> ModelRecord:
        """A model by its canonical text. Raises BlockedError."""
        ...


def to_plain(made: Plan, registry: Registry) -> dict[str, Any]:
    """A plan as JSON, to be kept before its first step."""
    return {
        "source": made.source,
        "stages": list(made.stages),
        "results": list(made.results),
        "handles": {text: list(found) for text, found in made.handles.items()},
        "calls": [_plain_call(c, registry) for c in made.calls],
    }


def _plain_call(call: Call, registry: Registry) -> dict[str, Any]:
    if call.given is not None:
        return {"given": call.given.handle or call.given.ref.hash, "stage": call.stage, "name": call.name}
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


def from_plain(data: Mapping[str, Any], registry: Registry, finder: Finder) -> Plan:
    """A stored plan, its models, sources and earlier results looked up again.

    Raises BlockedError for what is not here any more, and for a plan that this program cannot read.
    """
    try:
        rows = [_call(number, row, registry, finder) for number, row in enumerate(data["calls"])]
        return Plan(
            source=str(data["source"]),
            calls=with_flows(rows, registry),
            stages=tuple(data["stages"]),
            results=tuple(data["results"]),
            handles={text: tuple(found) for text, found in data["handles"].items()},
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        message = "the plan of this line cannot be read by this program"
        raise BlockedError(message, hint="again runs the line from its beginning", code="missing-input") from error


def _call(number: int, row: Mapping[str, Any], registry: Registry, finder: Finder) -> Call:
    if "given" in row:
        given = _given(row["given"], finder)
        return Call(id=number, stage=row["stage"], given=given, flows=given.values, name=row.get("name", ""))
    node = registry[row["node"]]
    params = {name: _value(node.params[name], value, finder) for name, value in row["params"].items()}
    return Call(
        id=number,
        stage=row["stage"],
        node=node.name,
        params=params,
        sources=dict.fromkeys(params, Source.LINE),
        inputs={n: tuple(_input(i, finder) for i in items) for n, items in row["inputs"].items()},
        name=row["name"],
    )


def _given(text: str, finder: Finder) -> Given:
    if text.startswith("@"):
        return finder.handle(text)[0]
    return Given(ref=_picture(text, finder))


def _input(item: int | str, finder: Finder) -> int | InputRef:
    return item if isinstance(item, int) else _picture(item, finder)


def _picture(digits: str, finder: Finder) -> InputRef:
    found = finder.pixels(digits)
    if found is None:
        raise BlockedError(f"the source picture {digits[:23]} is not among yours any more", code="missing-input")
    return found


def _value(p: Param, value: Any, finder: Finder) -> Any:
    if isinstance(value, list):
        return tuple(_item(p, v, finder) for v in value)
    return None if value is None else _item(p, value, finder)


def _item(p: Param, value: Any, finder: Finder) -> Any:
    read = p.kind.from_plain(value)
    if not p.kind.model or read is None:
        return read
    if isinstance(read, Weighted):
        return replace(read, value=finder.model(str(read.value), p.kind.model))
    return finder.model(str(read), p.kind.model)


def with_flows(calls: Sequence[Call], registry: Registry) -> tuple[Call, ...]:
    """The calls with the values that follow from each: what its node gives, and what its pictures have in common."""
    flows: list[Mapping[str, Any]] = []
    for call in calls:
        if call.given is not None:
            flows.append(call.flows)
            continue
        node = registry[call.node]
        before = common([flows[i] for name in node.seen for i in call.inputs.get(name, ()) if isinstance(i, int)])
        flows.append({**before, **{name: call.params[name] for name in node.gives}})
    return tuple(replace(call, flows=values) for call, values in zip(calls, flows, strict=True))


def remaining(
    made: Plan, done: Mapping[int, Callable[[], Given | None]], registry: Registry
) -> tuple[Plan, tuple[int, ...]]:
    """What of a plan is still to be done, and the places that its results have in the whole.

    done: place of a finished result -> the result, asked for only where a later step needs it; None when its pixels are
    gone, and its step runs again.
    """
    places = tuple(place for place in range(len(made.results)) if place not in done)
    finished = {made.results[place]: give for place, give in done.items()}
    last = max((made.calls[i].stage for i in finished), default=-1)
    # What only passes pictures on (save) runs for all, unless the run was beyond it.
    passing = [c.id for c in made.calls if c.node and registry[c.node].stage_only and c.stage > last]
    kept: dict[int, Call] = {}
    wanted = [*(made.results[place] for place in places), *passing]
    while wanted:
        i = wanted.pop()
        if i in kept:
            continue
        given = finished[i]() if i in finished else None
        call = made.calls[i]
        kept[i] = call if given is None else Call(id=i, stage=-1, given=given, flows=given.values)
        wanted += _into(kept[i])
    return _renumbered(made, kept, [made.results[place] for place in places]), places


def part_of(made: Plan, results: Iterable[int]) -> Plan:
    """The plan of some of its results, given by their calls, with all that goes into them."""
    chosen = list(results)
    kept: dict[int, Call] = {}
    wanted = list(chosen)
    while wanted:
        i = wanted.pop()
        if i not in kept:
            kept[i] = made.calls[i]
            wanted += _into(made.calls[i])
    return _renumbered(made, kept, chosen)


def _into(call: Call) -> list[int]:
    return [i for items in call.inputs.values() for i in items if isinstance(i, int)]


def _renumbered(made: Plan, kept: Mapping[int, Call], results: Sequence[int]) -> Plan:
    """A plan of some of the calls: a call's id is its place in the list."""
    ids = {old: new for new, old in enumerate(sorted(kept))}
    calls = [
        replace(
            kept[old],
            id=new,
            inputs={
                n: tuple(ids[i] if isinstance(i, int) else i for i in items) for n, items in kept[old].inputs.items()
            },
        )
        for old, new in ids.items()
    ]
    return replace(made, calls=tuple(calls), results=tuple(ids[i] for i in results))
