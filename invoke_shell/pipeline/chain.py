"""What a line means: a chain of stages with values, and back to text. Plain data, nothing decided yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from invoke_shell.pipeline.node import Param
from invoke_shell.pipeline.templates import text_word
from invoke_shell.pipeline.text import quote, quote_word
from invoke_shell.pipeline.types import Handle, Pattern, Sweep

if TYPE_CHECKING:
    from invoke_shell.pipeline.registry import Registry

__all__ = ["Chain", "Source", "Stage", "Value", "to_text", "words"]


class Source(IntEnum):
    """Where a value came from; the higher wins."""

    DEFAULT = 0
    MODEL = 1
    CONFIG = 2
    SESSION = 3
    PIPE = 4
    LINE = 5


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its source. Equality is of the value alone."""

    value: Any
    source: Source = Source.LINE
    span: tuple[int, int] | None = field(default=None, compare=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: a node with the values typed for it, or handles that begin the chain (node is "" then)."""

    node: str
    values: Mapping[str, Value] = field(default_factory=dict)
    handles: tuple[Handle, ...] = ()
    name: str = ""
    span: tuple[int, int] = field(default=(0, 0), compare=False)
    text: str = field(default="", compare=False)

    def with_values(self, **values: Value) -> Stage:
        """The same stage with further values."""
        return Stage(
            node=self.node,
            values={**self.values, **values},
            handles=self.handles,
            name=self.name,
            span=self.span,
            text=self.text,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One line. continues: it goes on from all results of the last line.

    source: the text it was read from, which stood at `offset` of a longer one; spans count in the longer.
    """

    stages: tuple[Stage, ...]
    continues: bool = False
    source: str = field(default="", compare=False)
    offset: int = field(default=0, compare=False)

    def local(self, span: tuple[int, int] | None) -> tuple[int, int]:
        """A span of the whole text as one of `source`; the whole of it when there is none."""
        return (0, len(self.source)) if span is None else (span[0] - self.offset, span[1] - self.offset)


SEVERAL = (tuple, list)
NAMED = (Handle, Pattern)


def to_text(chain: Chain, registry: Registry) -> str:
    """What was typed, in canonical form: the inverse of bind."""
    stages = [stage_text(stage, registry) for stage in chain.stages]
    return ("| " if chain.continues else "") + " | ".join(stages)


def stage_text(stage: Stage, registry: Registry) -> str:
    """One stage in canonical form: positionals first, flags in the node's order.

    As typed when it has several sweeps: the one typed last varies fastest.
    """
    if not stage.node:
        out = [str(h) for h in stage.handles]
    else:
        node = registry[stage.node]
        if node.rest:
            return " ".join([stage.node, *(v.value for v in stage.values.values())])
        out = [stage.node]
        typed = [node.params[name] for name in stage.values]
        if sum(_several(p, stage.values[p.name].value) for p in typed) < 2:
            ordered = [p for name, p in node.params.items() if name in stage.values]
            typed = [*(p for p in ordered if p.positional), *(p for p in ordered if not p.positional)]
        for p in typed:
            out += words(p, stage.values[p.name].value, flag=not _stands_alone(node.positionals, p, stage))
    return " ".join([*out, *(["as", "@" + stage.name] if stage.name else [])])


def _several(p: Param, value: Any) -> bool:
    """Whether a value makes more pictures than one."""
    if p.kind.picture and not p.kind.many:
        return isinstance(value, tuple | Pattern | Handle)
    return isinstance(value, Sweep) or (p.name == "count" and value != 1)


def _stands_alone(positionals: tuple[Param, ...], p: Param, stage: Stage) -> bool:
    """A positional may be written without its flag when all before it are written too."""
    if not p.positional:
        return False
    before = positionals[: positionals.index(p)]
    return all(b.name in stage.values and not b.kind.many for b in before)


def words(p: Param, value: Any, *, flag: bool = True) -> list[str]:
    """The words that give `value` to a parameter."""
    if p.kind.is_switch:
        return [p.flag if value else "--no-" + p.flag[2:]]
    if isinstance(value, SEVERAL):
        texts = [value_text(p, item) for item in value]
        return [word for text in texts for word in (p.flag, text)] if flag else texts
    return [p.flag, value_text(p, value)] if flag else [value_text(p, value)]


def value_text(p: Param, value: Any) -> str:
    """A value as one word."""
    if value is None:
        return "none"
    if isinstance(value, Sweep):
        return value.text
    if isinstance(value, NAMED):
        return str(value)
    if p.kind.is_text:
        return text_word(value) if p.arg.prompt else quote(value)
    text = p.kind.format(value)
    return text if p.kind.sweeps and not p.kind.model and not p.kind.choices else quote_word(text)
