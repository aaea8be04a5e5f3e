"""Sweeps: `1..8`, `10..50..10`, `5,7.5,9`, and `{red|blue}` in a prompt. Decimal arithmetic, ends included."""

from __future__ import annotations

import re
from typing import Any

from invoke_shell.pipeline.kinds import Kind
from invoke_shell.pipeline.templates import Texts
from invoke_shell.pipeline.types import Sweep

__all__ = ["LIMIT", "alternatives", "is_sweep", "read_sweep"]

LIMIT = 4096  # values of one sweep, pictures of one stage, steps of one plan

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
RANGE = re.compile(rf"({NUMBER}?)\.\.({NUMBER}?)(?:\.\.({NUMBER}))?")


def is_sweep(kind: Kind, text: str) -> bool:
    """Whether a bare word is meant as several values of this kind."""
    if not kind.sweeps or text.startswith("@"):
        return False
    return "," in text or (".." in text and not kind.model and not kind.choices)


def read_sweep(kind: Kind, text: str) -> Sweep:
    """The values of a sweep, in order. Raises ValueError with what is wrong."""
    values: list[Any] = []
    for part in text.split(","):
        if not part:
            raise ValueError("a list with a value beside each comma, as 5,7.5,9")
        texts = _range(part) if ".." in part and not (kind.choices or kind.model) else [part]
        values += [kind.parse(t) for t in texts]
        if len(values) > LIMIT:
            raise ValueError(f"a sweep of at most {LIMIT} values")
    return Sweep(tuple(values), text)


def _range(part: str) -> list[str]:
    from decimal import Decimal  # 1 ms; only a range pays for it

    m = RANGE.fullmatch(part)
    if not m or not m[1] or not m[2] or "..." in part:
        raise ValueError("a range such as 1..8, or 10..50..10 with a step")
    first, last = Decimal(m[1]), Decimal(m[2])
    step = abs(Decimal(m[3])) if m[3] else Decimal(1)
    if not step:
        raise ValueError("a range whose step is not 0, as 10..50..10")
    if abs(last - first) / step >= LIMIT:
        raise ValueError(f"a sweep of at most {LIMIT} values")
    count = int(abs(last - first) / step) + 1
    sign = 1 if last >= first else -1
    return [f"{first + sign * step * i:f}" for i in range(count)]


def alternatives(body: str, *, escapes: bool) -> list[str]:
    r"""Every text a body with alternatives stands for; the group written last varies fastest.

    escapes: the body stood in double quotes, so its escapes are read too; else only `\{` and `\}` are.
    """
    texts = Texts(body, escapes=escapes)
    if texts.size > LIMIT:
        raise ValueError(f"these braces make more than {LIMIT} prompts")
    return list(texts)
