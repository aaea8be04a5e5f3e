"""A plan as text with nothing left open: what recall prints, what is kept as the resolved line.

A linear history is one line; a graph (a sheet of four, a mask that was generated) is several, joined by names. Binding
the text gives the plan's plain values again.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from invoke_shell.pipeline.chain import words
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.plan import Call, InputRef, Plan
from invoke_shell.pipeline.registry import Registry

__all__ = ["HASH_DIGITS", "Unsaid", "everything", "resolved_lines", "resolved_text", "short_hash"]

HASH_DIGITS = 16  # of a source picture's hash in a line; 12 are enough to be read


Unsaid = Callable[[Call, Param], bool]


def everything(call: Call, p: Param) -> bool:
    """No value is left unsaid."""
    return False


def resolved_text(plan: Plan, registry: Registry, unsaid: Unsaid = everything) -> str:
    """Every value of every result, as lines; but those that may be left unsaid."""
    return "\n".join(text for _, text in _Writer(plan, registry, unsaid).lines())


def resolved_lines(plan: Plan, registry: Registry) -> Iterator[tuple[int, str]]:
    """As resolved_text, each line with the call whose pictures it makes."""
    return _Writer(plan, registry, everything).lines()


def short_hash(pixel_hash: str) -> str:
    """`blake3:` and the digits that stand for a picture in a line."""
    return pixel_hash[: len("blake3:") + HASH_DIGITS]


class _Writer:
    """Writes makers before users; a call that is used more than once, or not down the pipe, gets a line and a name."""

    def __init__(self, plan: Plan, registry: Registry, unsaid: Unsaid) -> None:
        self.plan = plan
        self.unsaid = unsaid
        self.registry = registry
        self.names: dict[int, str] = {}
        self.piped: dict[int, int] = {}
        self.other: dict[int, int] = {}
        for call in plan.calls:
            if call.node and not registry[call.node].stage_only:
                self.count_uses(call)
        given = Counter(c.name for c in plan.calls if c.name)
        earlier = {c.given.handle.lstrip("@") for c in plan.calls if c.given is not None}
        self.own = {name for name, times in given.items() if times == 1} - earlier
        self.free = (name for n in itertools.count(1) if (name := f"s{n}") not in given.keys() | earlier)

    def count_uses(self, call: Call) -> None:
        node = self.registry[call.node]
        for name, items in call.inputs.items():
            into = self.piped if name == node.frames and node.takes == "each" else self.other
            for i in {self.maker(i) for i in items if isinstance(i, int)}:
                into[i] = into.get(i, 0) + 1

    def maker(self, i: int) -> int:
        """The call that made what another passes on (save, show_image)."""
        call = self.plan.calls[i]
        while call.node and self.registry[call.node].stage_only:
            call = next(self.plan.calls[i] for i in _calls_into(call))
        return call.id

    def lines(self) -> Iterator[tuple[int, str]]:
        """A line for each call that another line refers to, and for each result."""
        for call in self.plan.calls:
            if call.given is not None:
                if not call.given.handle and self.in_company(call):
                    yield call.id, f"{self.registry.loader} {short_hash(call.given.ref.hash)} as {self.name(call)}"
            elif not self.registry[call.node].stage_only and (call.id in self.plan.results or self.named(call)):
                yield call.id, self.line(call)

    def in_company(self, call: Call) -> bool:
        """Whether a picture is gathered with others: a hash among handles is no stage."""
        users = (c for c in self.plan.calls if c.node and call.id in c.inputs.get(self.registry[c.node].frames, ()))
        return any(len(c.inputs[self.registry[c.node].frames]) > 1 for c in users)

    def named(self, call: Call) -> bool:
        """Whether a line of its own is needed."""
        piped, other = self.piped.get(call.id, 0), self.other.get(call.id, 0)
        return bool(other or piped > 1 or (piped and call.id in self.plan.results))

    def name(self, call: Call) -> str:
        """The name the person gave when no other picture has it, else a new one."""
        if call.id not in self.names:
            self.names[call.id] = "@" + (call.name if call.name in self.own else next(self.free))
        return self.names[call.id]

    def line(self, call: Call) -> str:
        """The stages that end in a call, from the nearest named one on."""
        stages: list[str] = []
        at: Call | None = call
        while at is not None:
            stages.insert(0, self.stage(at))
            at, front = self.before(at)
            if front:
                stages.insert(0, front)
        if self.named(call) or call.name in self.own:
            stages[-1] += f" as {self.name(call)}"
        return " | ".join(stages)

    def before(self, call: Call) -> tuple[Call | None, str]:
        """The call piped into this one, or the stage that begins the line."""
        node = self.registry[call.node]
        ids = [self.maker(i) for i in call.inputs.get(node.frames, ()) if isinstance(i, int)]
        if not ids:
            return None, ""
        giver = self.plan.calls[ids[0]]
        if len(ids) > 1 or giver.id in self.names:
            return None, " ".join(self.handle(i) for i in ids)
        if giver.given is None:
            return giver, ""
        text = self.handle(giver.id)
        return None, text if text.startswith("@") else f"{self.registry.loader} {text}"

    def handle(self, item: int | InputRef) -> str:
        if isinstance(item, InputRef):
            return short_hash(item.hash)
        call = self.plan.calls[self.maker(item)]
        if call.given is not None and call.id not in self.names:
            return call.given.handle or short_hash(call.given.ref.hash)
        return self.names[call.id]

    def stage(self, call: Call) -> str:
        node = self.registry[call.node]
        out, alone = [call.node], True
        for p in sorted(node.params.values(), key=lambda p: not p.positional):
            found = self.words(call, node, p, alone)
            alone = alone and bool(found)
            out += found
        return " ".join(out)

    def words(self, call: Call, node: Node[Any, Any], p: Param, alone: bool) -> list[str]:
        """The words of one parameter; alone: it may stand without its flag."""
        flag = not (p.positional and alone)
        if p.kind.picture:
            return [w for i in call.inputs.get(p.name, ()) for w in ([p.flag] if flag else []) + [self.handle(i)]]
        if p.name not in call.params or not p.arg.pixels or _spoken_for(node, p.name, call) or self.unsaid(call, p):
            return []
        return words(p, call.params[p.name], flag=flag)


def _calls_into(call: Call) -> Iterator[int]:
    for items in call.inputs.values():
        yield from (i for i in items if isinstance(i, int))


def _spoken_for(node: Node[Any, Any], name: str, call: Call) -> bool:
    """strength says nothing where start_step was given: the flag that excludes it stands for both."""
    other = node.params[name].arg.excludes
    return bool(other) and call.params.get(other) is not None
