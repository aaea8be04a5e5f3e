"""A plan as text with nothing left open: what recall prints, what is kept as the resolved line.

A linear history is one line; a graph (a sheet of four, a mask that was generated) is several, joined by names. Binding
the text gives the plan's plain values again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from invoke_shell.pipeline.chain import words
from invoke_shell.pipeline.node import Node
from invoke_shell.pipeline.plan import Call, InputRef, Plan
from invoke_shell.pipeline.registry import Registry

__all__ = ["HASH_DIGITS", "resolved_text", "short_hash"]

HASH_DIGITS = 16  # of a source picture's hash in a line; 12 are enough to be read


def resolved_text(plan: Plan, registry: Registry) -> str:
    """Every value of every result, as lines."""
    return "\n".join(_Writer(plan, registry).lines())


def short_hash(pixel_hash: str) -> str:
    """`blake3:` and the digits that stand for a picture in a line."""
    return pixel_hash[: len("blake3:") + HASH_DIGITS]


class _Writer:
    def __init__(self, plan: Plan, registry: Registry) -> None:
        self.plan = plan
        self.registry = registry
        self.names: dict[int, str] = {}
        self.uses: dict[int, int] = {}
        for call in plan.calls:
            for i in _calls_into(call):
                self.uses[i] = self.uses.get(i, 0) + 1

    def lines(self) -> Iterator[str]:
        """A line for each call that another line refers to, and for each result."""
        for call in self.plan.calls:
            if call.given is None and (call.id in self.plan.results or self.named(call)):
                yield self.line(call)

    def named(self, call: Call) -> bool:
        """Whether a line of its own is needed: several use it, or one uses it as a second picture or in a gathering."""
        for user in self.plan.calls:
            node = self.registry[user.node] if user.node else None
            for name, items in user.inputs.items():
                if call.id not in items or node is None:
                    continue
                piped = name == node.frames and node.takes == "each"
                if not piped or self.uses[call.id] > 1:
                    return True
        return False

    def line(self, call: Call) -> str:
        """The stages that end in a call, from the nearest named one on."""
        stages: list[str] = []
        at: Call | None = call
        while at is not None:
            stages.insert(0, self.stage(at))
            at, front = self.before(at)
            if front:
                stages.insert(0, front)
        if self.named(call):
            self.names[call.id] = f"@s{len(self.names) + 1}"
            stages[-1] += f" as {self.names[call.id]}"
        return " | ".join(stages)

    def before(self, call: Call) -> tuple[Call | None, str]:
        """The call piped into this one, or the handles that begin the line."""
        node = self.registry[call.node]
        ids = [i for i in call.inputs.get(node.frames, ()) if isinstance(i, int)]
        if not ids:
            return None, ""
        giver = self.plan.calls[ids[0]]
        if len(ids) == 1 and giver.given is None and giver.id not in self.names and node.takes == "each":
            return giver, ""
        return None, " ".join(self.handle(i) for i in ids)

    def handle(self, item: int | InputRef) -> str:
        if isinstance(item, InputRef):
            return short_hash(item.hash)
        call = self.plan.calls[item]
        if call.given is not None:
            return call.given.handle or short_hash(call.given.ref.hash)
        return self.names[item]

    def stage(self, call: Call) -> str:
        node = self.registry[call.node]
        out = [call.node]
        for p in sorted(node.params.values(), key=lambda p: not p.positional):
            if p.kind.picture:
                for item in call.inputs.get(p.name, ()):
                    out += ([] if p.positional else [p.flag]) + [self.handle(item)]
            elif p.arg.pixels and p.name in call.params and not _spoken_for(node, p.name, call):
                out += words(p, call.params[p.name], flag=not p.positional)
        return " ".join(out)


def _calls_into(call: Call) -> Iterator[int]:
    for items in call.inputs.values():
        yield from (i for i in items if isinstance(i, int))


def _spoken_for(node: Node[Any, Any], name: str, call: Call) -> bool:
    """strength says nothing where start_step was given: the flag that excludes it stands for both."""
    other = node.params[name].arg.excludes
    return bool(other) and call.params.get(other) is not None
