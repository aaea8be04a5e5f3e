"""What a text was understood as: lines with their chains and faults, colours, and what its end awaits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from invoke_shell.errors import Fault
from invoke_shell.pipeline.chain import Chain, Value
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.text import Line, Parsed, Token

__all__ = ["Bound", "Pending", "Reading", "Told"]


@dataclass(slots=True)
class Pending:
    """What the end of a line awaits, for completion and help.

    kind: command, flag, value, text, handle or none. prefix: what of it is typed; start: where it begins. used: names
    of parameters that have a value; typed: their values.
    """

    kind: str
    prefix: str = ""
    start: int = 0
    node: Node[Any, Any] | None = None
    param: Param | None = None
    used: frozenset[str] = frozenset()
    typed: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Bound:
    """One line bound: its chain, or the builtin it is (chain of one stage), and what was wrong."""

    line: Line
    chain: Chain
    faults: list[Fault] = field(default_factory=list)
    builtin: Node[Any, Any] | None = None


@dataclass(slots=True)
class Reading:
    """A whole text understood as far as it goes."""

    parsed: Parsed
    bound: list[Bound]
    faults: list[Fault]
    spans: list[tuple[int, int, str]]
    pending: Pending

    @property
    def incomplete(self) -> bool:
        """True when Enter should add a line instead of running."""
        return self.parsed.incomplete


class Told:
    """What is found in one stage: faults, colours and what is awaited go into the reading."""

    def __init__(self, text: str, bound: Bound, reading: Reading) -> None:
        self.text = text
        self.bound = bound
        self.reading = reading
        self.node: Node[Any, Any] | None = None
        self.values: dict[str, Value] = {}

    def fault(self, start: int, end: int, message: str, hint: str, code: str, **more: Any) -> None:
        self.bound.faults.append(Fault(start, end, message, hint, code, **more))
        self.paint(start, end, "error")

    def paint(self, start: int, end: int, kind: str) -> None:
        self.reading.spans.append((start, end, kind))

    def expects(self, kind: str, prefix: str, start: int, param: Param | None = None) -> None:
        """Remember what the end of the text awaits; the last word at the end wins."""
        self.reading.pending = Pending(kind, prefix, start, self.node, param, frozenset(self.values), self.values)

    def at_end(self, token: Token) -> bool:
        return token.end == len(self.text)
