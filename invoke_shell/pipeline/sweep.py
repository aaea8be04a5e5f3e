"""Sweeps: `1..8`, `10..50..10`, `5,7.5,9`, and `{red|blue}` in a prompt. Decimal arithmetic, ends included."""

from __future__ import annotations

import itertools
import re
from typing import Any

from invoke_shell.pipeline.kinds import Kind
from invoke_shell.pipeline.text import escape, unescape
from invoke_shell.pipeline.types import Sweep

__all__ = ["LIMIT", "alternatives", "canonical", "has_alternatives", "is_sweep", "read_sweep"]

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
    if not m or not m[1] or not m[2]:
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


def has_alternatives(body: str) -> bool:
    """Whether a prompt has braces with a bar: `a {red|blue} boat`."""
    return "{" in body and any(len(p) > 1 for p in _pieces(body))


def alternatives(body: str, *, escapes: bool) -> list[str]:
    r"""Every text a body with alternatives stands for; the group written last varies fastest.

    escapes: the body stood in double quotes, so its escapes are read too; else only `\{` and `\}` are.
    """
    read = unescape if escapes else _braces
    options = [[o for a in p for o in _nested(a, read)] for p in _pieces(body)]
    total = 1
    for o in options:
        total *= len(o)
        if total > LIMIT:
            raise ValueError(f"these braces make more than {LIMIT} prompts")
    return ["".join(combination) for combination in itertools.product(*options)]


def canonical(body: str, *, escapes: bool) -> str:
    """A body as the double-quoted word that stands for the same texts."""
    return f'"{_written(body, unescape if escapes else _braces, inside=False)}"'


def _written(body: str, read: Any, *, inside: bool) -> str:
    out = []
    for piece in _pieces(body):
        if len(piece) > 1:
            out.append("{" + "|".join(_written(option, read, inside=True) for option in piece) + "}")
        else:
            plain = escape(read(piece[0]))
            out.append(plain.replace("|", "\\u{7c}") if inside else plain)
    return "".join(out)


def _braces(text: str) -> str:
    return text.replace("\\{", "{").replace("\\}", "}")


def _nested(text: str, read: Any) -> list[str]:
    if not has_alternatives(text):
        return [read(text)]
    return alternatives(text, escapes=read is unescape)


def _pieces(body: str) -> list[list[str]]:
    """Parts in order: plain text as a list of one, a group as the list of its alternatives."""
    out: list[list[str]] = []
    plain, at = 0, 0
    while at < len(body):
        if body[at] == "\\":
            at += 2
            continue
        if body[at] == "{" and (group := _group(body, at)):
            end, options = group
            if plain < at:
                out.append([body[plain:at]])
            out.append(options)
            plain = at = end
            continue
        at += 1
    if plain < len(body):
        out.append([body[plain:]])
    return out


def _group(body: str, at: int) -> tuple[int, list[str]] | None:
    """The end and alternatives of the group at `at`; None when it has no bar or never closes."""
    depth, start, options = 0, at + 1, []
    i = at
    while i < len(body):
        c = body[i]
        if c == "\\":
            i += 2
            continue
        depth += (c == "{") - (c == "}")
        if (depth == 1 and c == "|") or depth == 0:
            options.append(body[start:i])
            start = i + 1
        if depth == 0:
            return (i + 1, options) if len(options) > 1 else None
        i += 1
    return None
