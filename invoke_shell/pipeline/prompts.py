"""What a prompt says besides its words: weights, blends, texts side by side. Never raises; no torch.

    prompt := part | "(" part ("," part)* ")" (".blend" | ".and") "(" [ number ("," number)* ] ")"
    part   := text | '"' text '"'            quoted where it has a comma in it
    text   := words, and in them   word+  word--   (words)1.3  (words)+  (words:1.3)

A bracket without a weight is text, and so is one that has no partner: a text with none of this means itself.
`\\(`, `\\)`, `\\+`, `\\-`, `\\"`, `\\[`, `\\]`, `\\<`, `\\:` and `\\\\` are the sign alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from invoke_shell.errors import Fault
from invoke_shell.pipeline.weights import NUMBER, Piece, read_pieces, written

__all__ = ["DIALECT", "Part", "Piece", "Prompt", "is_sound", "literal", "plain_text", "read_prompt", "weighted_text"]

DIALECT = 1  # of this page; raised when the same text would weigh otherwise

Joined = Literal["", "mixed", "and"]


@dataclass(frozen=True, slots=True)
class Part:
    """A text, and its weight beside the other texts of a blend or an and."""

    pieces: tuple[Piece, ...]
    weight: float = 1.0

    @property
    def text(self) -> str:
        """Its words alone."""
        return "".join(p.text for p in self.pieces)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, read. One part, or several that are blended or stand side by side.

    normalize: the weights of a blend are brought to a sum of 1. faults: what was meant as syntax and is none, with
    places in the text. notes: what other programs would weigh and this does not.
    """

    parts: tuple[Part, ...]
    joined: Joined = ""
    normalize: bool = True
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Its words alone."""
        return " ".join(p.text for p in self.parts)

    @property
    def weighted(self) -> bool:
        """Whether any word weighs more or less than 1."""
        return any(piece.weight != 1 for part in self.parts for piece in part.pieces)


JOIN = re.compile(r"(?<!\\)\)\s{0,9}\.(blend|and|add|swap)\(([^()]{0,2000})\)")
LONE = re.compile(r"(?<!\\)\(\(([^()\[\]]{1,40})\)\)|(?<!\\)\[([^()\[\]]{1,40})\]")
SIGN = re.compile(r"[()+\-\\\"]")  # a text without any means itself
QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*', re.S)


def read_prompt(text: str) -> Prompt:
    """A prompt of any text."""
    join = JOIN.search(text)
    if join is None:
        return Prompt((Part(read_pieces(text)),), notes=tuple(_notes(text)))
    items = _items(text, join)
    if items is None or text[join.end() :].strip() or join[1] == "swap":
        return Prompt((Part(read_pieces(text)),), faults=(_misplaced(join),))
    return _joined(text, join, items)


def is_sound(text: str) -> bool:
    """Whether a prompt has no faults; what reads it does not pay for its pieces."""
    return JOIN.search(text) is None or not read_prompt(text).faults


def plain_text(text: str) -> str:
    """The words of a prompt, without weights and marks."""
    return read_prompt(text).text


def literal(text: str) -> str:
    """A prompt that means this text; the text itself where it can be."""
    if not SIGN.search(text):
        return text
    read = read_prompt(text)
    itself = read.parts == (Part((Piece(text),)),) and not read.joined and not read.faults
    return text if itself else SIGN.sub(r"\\\g<0>", text)


def weighted_text(pieces: Sequence[Piece]) -> str:
    """The prompt of such pieces: `a (red:1.21) boat`, blanks outside of the brackets."""
    if all(p.weight == 1 for p in pieces):
        return literal("".join(p.text for p in pieces))
    return written(pieces)


# -- several texts ---------------------------------------------------------------------------------------------------


def _items(text: str, join: re.Match[str]) -> list[str] | None:
    """The texts in the brackets before `.blend`; None when these do not open the prompt."""
    begin = len(text) - len(text.lstrip())
    if text[begin : begin + 1] != "(":
        return None
    inner = text[begin + 1 : join.start()]
    items: list[str] = []
    place = depth = start = 0
    while place <= len(inner):
        sign = inner[place : place + 1]
        if place == start and (m := QUOTED.match(inner, place)) and inner[m.end() : m.end() + 1] in ("", ","):
            items.append(m[1].replace('\\"', '"'))
            place = start = m.end() + 1
            continue
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return None  # the bracket that closes before .blend opened later
        if not sign or (sign == "," and not depth):
            items.append(inner[start:place].strip())
            start = place + 1
        place += 2 if sign == "\\" else 1
    return items


def _joined(text: str, join: re.Match[str], items: list[str]) -> Prompt:
    how: Joined = "and" if join[1] in ("and", "add") else "mixed"
    words = [w.strip() for w in join[2].split(",") if w.strip()]
    normalize = not (words and words[-1] == "no_normalize" and how == "mixed")
    weights = [_weight(w) for w in (words if normalize else words[:-1])]
    faults = list(_wrong(text, join, items, words, weights, normalize))
    read = [w for w in weights if w is not None]
    if len(read) != len(items):
        read = [1.0] * len(items)
    parts = tuple(Part(read_pieces(item), weight) for item, weight in zip(items, read, strict=True))
    return Prompt(parts, how, normalize, tuple(faults), tuple(_notes(text[: join.start()])))


def _weight(word: str) -> float | None:
    return float(word) if re.fullmatch(rf"[+-]?{NUMBER}", word) else None


def _wrong(
    text: str,
    join: re.Match[str],
    items: Sequence[object],
    words: Sequence[str],
    weights: Sequence[float | None],
    normalize: bool,
) -> Iterator[Fault]:
    span, how = join.span(2), join[1]
    if None in weights:
        bad = words[weights.index(None)]
        at = text.index(bad, span[0])
        yield Fault(at, at + len(bad), f"a weight of .{how}() is a number, not {bad}", "", "bad-prompt")
    elif weights and len(weights) != len(items):
        texts, numbers = _counted(len(items), "text"), _counted(len(weights), "weight")
        yield Fault(*span, f".{how}() has {numbers} for {texts}", "one for each, or none at all", "bad-prompt")
    elif how not in ("and", "add") and normalize and weights and abs(sum(w or 0 for w in weights)) < 1e-6:
        hint = "no_normalize behind them keeps them as they are"
        yield Fault(*span, "the weights of .blend() add up to 0", hint, "bad-prompt")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _misplaced(join: re.Match[str]) -> Fault:
    name = join[1]
    if name == "swap":
        return Fault(*join.span(1), "there is no .swap() here", ".blend() mixes two texts", "bad-prompt")
    hint = f'as in: ("a red boat", "a blue boat").{name}(0.7, 0.3)'
    return Fault(*join.span(1), f".{name}() is of the whole prompt: nothing stands beside it", hint, "bad-prompt")


def _notes(text: str) -> Iterator[str]:
    """Brackets that weigh in other programs."""
    for m in LONE.finditer(text):
        inner, other = (m[1], "1.21") if m[1] else (m[2], "0.9")
        if "|" not in inner and ":" not in inner:
            yield f"{m[0]} is text here, brackets and all: a weight is written ({inner}:{other})"
