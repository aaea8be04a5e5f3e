"""The combinations of a stage's sweeps, in reading order, or some of them drawn by a seed. None is made in advance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from invoke_shell.pipeline.chain import Source, Stage, Value
from invoke_shell.pipeline.facts import Facts, Given, InputRef, setting
from invoke_shell.pipeline.node import COUNT, PICK, Node, Param
from invoke_shell.pipeline.resolve import Resolver
from invoke_shell.pipeline.sweep import LIMIT
from invoke_shell.pipeline.templates import Template, Texts
from invoke_shell.pipeline.types import Handle, Seed, Sweep

__all__ = ["Axis", "Unroller", "combinations", "drawn", "total"]


class Axis(NamedTuple):
    """One parameter, the value typed for it, and all that this stands for."""

    name: str
    value: Value
    options: Sequence[Any]

    @property
    def size(self) -> int:
        return self.options.size if isinstance(self.options, Texts) else len(self.options)


class Unroller:
    """Unrolls stages. Raises LineError for what is more than a line may make."""

    def __init__(self, facts: Facts, settings: Mapping[str, Value], values: Resolver) -> None:
        self.facts = facts
        self.settings = settings
        self.values = values

    def variants(self, node: Node[Any, Any], stage: Stage, fresh: Seed) -> Iterator[dict[str, Value]]:
        """Typed values with every sweep unrolled; the flag typed last varies fastest.

        With --pick so many of the combinations, drawn by the seed, and --count of each.
        """
        typed = dict(stage.values)
        for p in (COUNT, PICK) if node.seed else ():
            typed.setdefault(p.name, setting(node, p, self.settings) or Value(p.default, Source.DEFAULT))
        pick = typed.pop(PICK.name).value if node.seed else None
        axes = [
            Axis(name, value, self.options(node.params[name], value, several=node.takes == "none"))
            for name, value in typed.items()
        ]
        if pick is None:
            self.limit_sweep(node, stage, axes)
            yield from combinations(axes)
            return
        counts = [axis for axis in axes if axis.name == COUNT.name]
        others = [axis for axis in axes if axis.name != COUNT.name]
        for chosen in drawn(others, pick, self.picking_seed(node, stage, fresh)):
            yield from ({**chosen, **nth} for nth in combinations(counts))

    def limit_sweep(self, node: Node[Any, Any], stage: Stage, axes: Sequence[Axis]) -> None:
        """Raise LineError before more combinations are made than a line may have steps."""
        if total(axes) <= LIMIT:
            return
        can_be_drawn = node.seed and any(isinstance(v.value, Template) for v in stage.values.values())
        hint = "--pick 8 draws eight of them" if can_be_drawn else "make the sweeps shorter, or run them in parts"
        raise self.values.fault(None, f"this line makes more than {LIMIT} steps", hint, "too-many")

    def picking_seed(self, node: Node[Any, Any], stage: Stage, fresh: Seed) -> int:
        """The seed that picks: the first of those typed or set, else the one drawn for this picture."""
        assert node.seed is not None  # only such a node has --pick
        value = stage.values.get(node.seed.name) or setting(node, node.seed, self.settings)
        if value is None:
            return fresh
        first = value.value.values[0] if isinstance(value.value, Sweep) else value.value
        first = self.values.linked(node.seed, first, value.span)
        return first if isinstance(first, int) else fresh

    def options(self, p: Param, value: Value, *, several: bool) -> Sequence[Any]:
        """The values of one parameter. Several files of a node that starts a chain are one picture each."""
        if isinstance(value.value, Template):
            return self.texts(value.value, value.span)
        if isinstance(value.value, Sweep):
            return value.value.values
        if p is COUNT:
            return range(value.value)
        if p.kind.picture:
            found = self.pictures(value)
            return [(f,) for f in found] if found and several and not p.kind.many else [found]
        return [value.value]

    def texts(self, template: Template, span: tuple[int, int] | None) -> Sequence[str]:
        try:
            return template.texts(self.facts.wildcards)
        except ValueError as error:
            raise self.values.fault(span, str(error), "", "bad-prompt") from None

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


def total(axes: Sequence[Axis]) -> int:
    """How many combinations there are."""
    return math.prod(axis.size for axis in axes)


def combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Value]]:
    """Every combination; the last axis varies fastest."""
    return (_nth(axes, n) for n in range(total(axes)))


def drawn(axes: Sequence[Axis], count: int, seed: int) -> Iterator[dict[str, Value]]:
    """So many different combinations, the same everywhere for a seed, in reading order; all when there are fewer.

    From SHA-256 of the seed and a counter, because a library's shuffle may change.
    """
    whole = total(axes)
    if whole <= count:
        return combinations(axes)
    return (_nth(axes, n) for n in sorted(_numbers(count, whole, seed)))


def _numbers(count: int, whole: int, seed: int) -> set[int]:
    import hashlib

    found: set[int] = set()
    turn = 0
    while len(found) < count:
        digest = hashlib.sha256(f"{seed} {turn}".encode()).digest()
        found.add(int.from_bytes(digest, "big") % whole)
        turn += 1
    return found


def _nth(axes: Sequence[Axis], n: int) -> dict[str, Value]:
    out = []
    for axis in reversed(axes):
        n, place = divmod(n, axis.size)
        out.append((axis.name, replace(axis.value, value=axis.options[place])))
    return dict(reversed(out))
