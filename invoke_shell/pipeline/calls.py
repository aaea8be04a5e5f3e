"""What a plan is: a list of calls, each one node with its values and what goes in. Nothing in it is left open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from invoke_shell.pipeline.chain import Source
from invoke_shell.pipeline.facts import Given, InputRef
from invoke_shell.pipeline.types import Weighted
from invoke_shell.records import ModelRecord

__all__ = ["Call", "Plan", "ancestors", "models_of"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One run of one node. inputs: parameter -> calls by id, or source pictures.

    given: an earlier result standing in the place of a node (node is "" then). flows: values that follow from it.
    together: size of the batch a recorded picture was drawn in, and its row.
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
    together: tuple[int, int] = (1, 0)


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


def ancestors(calls: Sequence[Call], last: Call) -> list[Call]:
    """A call and all that go into it."""
    seen: dict[int, Call] = {}
    stack = [last]
    while stack:
        call = stack.pop()
        if call.id not in seen:
            seen[call.id] = call
            stack += [calls[i] for items in call.inputs.values() for i in items if isinstance(i, int)]
    return list(seen.values())


def models_of(params: Mapping[str, Any]) -> Iterator[tuple[str, ModelRecord]]:
    """Models by parameter; of a list `lora.0`, `lora.1`: their strengths are among the values."""
    for name, value in params.items():
        listed = isinstance(value, tuple | list)
        for n, item in enumerate(value if listed else (value,)):
            model = item.value if isinstance(item, Weighted) else item
            if isinstance(model, ModelRecord):
                yield (f"{name}.{n}" if listed else name), model
