"""A parameter of a node: what its type and its Arg say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from invoke_shell.pipeline.kinds import Kind, kind_of
from invoke_shell.pipeline.types import Count, Side, Size, Weighted, number

__all__ = ["COUNT", "MISSING", "PICK", "UNROLLED", "Arg", "Param"]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg:
    """What a type alone cannot say about a parameter.

    ge, le: inclusive bounds, of both sides for a Size. unit: for people ("px"). short: one letter, `-s`.
    aliases: other flags that are read and never written. follows: takes the upstream value of the same name and type
    when not typed. pixels: False when it changes no pixel: not recorded, not in cache keys. text: swallows unquoted
    words. excludes: another parameter that cannot be typed together with it. model: kind of model of a ModelRecord.
    choices: of a str, when they are a table and no Literal. group: heading in the help.
    alone: of a number: the value when the flag stands without one; None where it must have one.
    prompt: of a text: weights, blends and LoRAs are read in it, and `__wildcards__`.
    spell: other programs' spelling of a choice -> ours; raises ValueError when there is none.
    """

    help: str
    unit: str = ""
    ge: float | None = None
    le: float | None = None
    multiple_of: int | None = None
    short: str = ""
    aliases: tuple[str, ...] = ()
    follows: bool = False
    pixels: bool = True
    text: bool = False
    prompt: bool = False
    excludes: str = ""
    model: str = ""
    choices: tuple[str, ...] = ()
    group: str = ""
    alone: int | None = None
    spell: Callable[[str], str] | None = None


@dataclass(frozen=True, kw_only=True)
class Param:
    """One parameter of a node. `within`: the name of the dataclass parameter it was flattened from."""

    name: str
    kind: Kind
    arg: Arg
    default: Any = MISSING
    positional: bool = False
    within: str = ""

    @cached_property
    def flag(self) -> str:
        """`--start-step` of `start_step`."""
        return "--" + self.name.replace("_", "-")

    @cached_property
    def required(self) -> bool:
        """True when a value must be typed, piped or set."""
        return self.default is MISSING

    @cached_property
    def bounded(self) -> bool:
        """True when not every value of its type may be given."""
        return self.arg.ge is not None or self.arg.le is not None or bool(self.arg.multiple_of)

    @cached_property
    def span(self) -> str:
        """The range for people: `1 to 150`, `64 to 4096 px, a multiple of 8`, or ""."""
        a = self.arg
        if a.ge is None and a.le is None:
            return f"a multiple of {a.multiple_of}" if a.multiple_of else ""
        low, high = (None if x is None else number(x) for x in (a.ge, a.le))
        text = f"{low} to {high}" if low and high else f"{low} or more" if low else f"at most {high}"
        text += f" {a.unit}" if a.unit else ""
        return f"{text}, a multiple of {a.multiple_of}" if a.multiple_of else text

    def check(self, value: Any) -> str:
        """What is wrong with the range of a value, as a sentence; "" when nothing."""
        if not self.bounded:
            return ""
        for x in _measures(value):
            if isinstance(x, int | float) and not isinstance(x, bool) and self._outside(x):
                if isinstance(value, Weighted):
                    return f"{self.flag} takes {self.span} behind its colon, not {self.kind.format(value)}"
                return f"{self.flag} is {self.span or self.kind.label}, not {self.kind.format(value)}"
        return ""

    def _outside(self, x: float) -> bool:
        a = self.arg
        return bool(
            (a.ge is not None and x < a.ge) or (a.le is not None and x > a.le) or (a.multiple_of and x % a.multiple_of)
        )


def _measures(value: Any) -> tuple[Any, ...]:
    """The numbers of a value that bounds are about."""
    if isinstance(value, Size):
        return value.width, value.height
    if isinstance(value, Side):
        return (value.width or value.height,)
    return (value.weight if isinstance(value, Weighted) else value,)


COUNT = Param(
    name="count",
    kind=kind_of(Count),  # type: ignore[arg-type]  # Count is in the closed set
    arg=Arg(
        help="How many pictures; the seed counts up.", ge=1, le=4096, short="n", aliases=("--iterations",), pixels=False
    ),
    default=1,
)


PICK = Param(
    name="pick",
    kind=kind_of(int | None),  # type: ignore[arg-type]
    arg=Arg(help="Draw so many of all the combinations of a sweep, by the seed.", ge=1, le=4096, pixels=False),
    default=None,
)

UNROLLED = (COUNT, PICK)  # what plan makes several calls of; no node gets them
