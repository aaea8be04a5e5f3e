"""From a chain to a plan: sweeps unrolled, seeds drawn, models and inputs known, every value with its source.

    needs(chain) -> Needs      what must be looked up
    [the shell gathers Facts]
    plan(chain, facts) -> Plan nothing left open: a list of calls, each node x values x inputs

Precedence of a value: typed > piped > session > config > the model's advice > default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from invoke_shell.errors import BlockedError, Fault, LineError
from invoke_shell.pipeline.calls import Call, Plan, ancestors
from invoke_shell.pipeline.chain import Chain, Stage, Value, words
from invoke_shell.pipeline.facts import Facts, Given, InputRef, Need, Needs, needs
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.resolve import Resolver, common
from invoke_shell.pipeline.sweep import LIMIT
from invoke_shell.pipeline.types import Seed, Sweep
from invoke_shell.pipeline.unrolling import Unroller
from invoke_shell.records import topological

__all__ = [
    "Call",
    "Facts",
    "Given",
    "InputRef",
    "Need",
    "Needs",
    "Plan",
    "common",
    "needs",
    "plan",
]


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
        notes=tuple(dict.fromkeys(planner.values.notes)),
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
        self.values = Resolver(self.chain, facts, settings)
        self.unroller = Unroller(facts, settings, self.values)
        self.calls: list[Call] = []
        self.front: list[Call] = []
        self.brought: dict[int, int] = {}
        self.varieties: dict[tuple[int, int], int] = {}

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
            used = ancestors(self.calls, call)
            if len(used) + sum(lengths.get(id(c.given), 0) for c in used) > LIMIT:
                message = f"the history of this picture would have more than {LIMIT} steps"
                hint = "go on from its file: load_image takes it without its history"
                raise LineError(self.chain.source, [self.at_start(message, hint, "too-many")])

    def at_start(self, message: str, hint: str, code: str) -> Fault:
        return Fault(0, len(self.chain.source), message, hint, code)

    # -- a stage -----------------------------------------------------------------------------------------------------

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
            fresh = Seed(self.draw()) if node.seed else Seed(0)
            for values in self.unroller.variants(node, stage, fresh):
                call = self.call_of(number, stage, node, group, place, len(groups), values, fresh)
                if self.is_new(node, stage, call, seen):
                    made.append(call)
        return made

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
            span = stage.values[swept[0]].span if len(swept) == 1 else stage.span
            raise self.values.fault(span or stage.span, message, hint, "repeated-picture")
        self.calls.pop()
        self.values.notes.append(f"{node.name} runs {two} once, with {one}: the same steps")
        return False

    def named(self, node: Node[Any, Any], call: Call, swept: Sequence[str]) -> str:
        """The swept values of a call, as they would be typed."""
        rows = [words(node.params[n], call.params[n]) for n in swept if n in call.params]
        return " ".join(w for row in rows for w in row)

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
        values = self.values.resolve(node, stage, typed, flowing, group)
        for p in node.params.values():
            if p.kind.picture:
                inputs[p.name] = self.picture_input(p, values.pop(p.name), place, places)
        if node.seed:
            nth, _ = values.pop("count").value, values.pop("pick")
            if varied := self.varied(node, values, (number, place), nth):
                values, nth = {**values, **varied}, 0
            values[node.seed.name] = self.values.seed(node.seed, values[node.seed.name], group, drawn, nth)
        params = {n: v.value for n, v in values.items()}
        seen = [i for name in node.seen for i in inputs[name] if isinstance(i, int)]
        return self.add(
            stage=number,
            node=node.name,
            params=params,
            sources={n: v.source for n, v in values.items()},
            inputs=inputs,
            flows={**common([self.calls[i].flows for i in seen]), **{n: params[n] for n in node.gives}},
            name=stage.name,
        )

    def varied(
        self, node: Node[Any, Any], values: Mapping[str, Value], at: tuple[int, int], nth: int
    ) -> dict[str, Value]:
        """What makes one of several pictures another one while its seed stays; {} where the seed counts up.

        A sweep shares the fresh seed, as it shares a drawn one. at: of stage and picture.
        """
        if node.varies is None or node.varies({n: v.value for n, v in values.items()}, 0) is None:
            return {}
        if at not in self.varieties:
            self.varieties[at] = self.draw()
        found = node.varies({n: v.value for n, v in values.items()}, self.varieties[at] + nth)
        return {n: replace(values[n], value=value) for n, value in (found or {}).items()}

    def picture_input(self, p: Param, value: Value, place: int, places: int) -> tuple[int | InputRef, ...]:
        found: Sequence[Given | InputRef] = value.value if isinstance(value.value, tuple) else ()
        if p.kind.many or len(found) <= 1:
            chosen = found
        elif len(found) == places:
            chosen = [found[place]]
        else:
            message = f"{p.flag} gives {len(found)} pictures for {places}"
            raise self.values.fault(value.span, message, "give one, or as many as come down the pipe", "wrong-shape")
        return tuple(self.bring(f) if isinstance(f, Given) else f for f in chosen)

    def bring(self, given: Given) -> int:
        """The call of an earlier result that is a second picture; one call however often it is used."""
        if id(given) not in self.brought:
            self.brought[id(given)] = self.add(stage=-1, given=given, flows=given.values).id
        return self.brought[id(given)]


def _identity(call: Call, params: Mapping[str, Any]) -> str:
    return repr((sorted((n, str(v)) for n, v in params.items()), call.inputs))
