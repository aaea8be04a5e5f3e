"""What a prompt says besides its words: weights, blends, texts side by side. Never raises; no torch.

    prompt := part | "(" part ("," part)* ")" (".blend" | ".and") "(" [ number ("," number)* ] ")"
    part   := text | '"' text '"'            quoted where it has a comma in it
    text   := words, and in them   word+  word--   (words)1.3  (words)+  (words:1.3)

A bracket without a weight is text, and so is one that has no partner: a text with none of this means itself. `\\(`, `\\)`,
`\\+`, `\\-`, `\\"`, `\\[`, `\\]`, `\\<`, `\\:` and `\\\\` are the sign alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from invoke_shell.errors import Fault
from invoke_shell.pipeline.types import number

__all__ = ["DIALECT", "Part", "Piece", "Prompt", "literal", "plain_text", "read_prompt", "weighted_text"]

DIALECT = 1  # of this page; raised when the same text would weigh otherwise
MORE, LESS = 1.1, 0.9  # of one + and one -

Joined = Literal["", "blend", "and"]


class Piece(NamedTuple):
    """Words of one weight."""

    text: str
    weight: float = 1.0


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
NUMBER = r"(?:\d{1,4}(?:\.\d{0,20})?|\.\d{1,20})"
BEHIND = re.compile(rf"(\++|-+|{NUMBER})(?![\w+.-])")  # a bracket
BEHIND_DOT = re.compile(rf"(\++|-+|{NUMBER}(?<!\.))(?=\.(?:\s|\Z))")  # the same at the end of a sentence
WITHIN = re.compile(rf"(?<!\\)(?:\\\\)*(:\s{{0,9}}([+-]?{NUMBER})\s{{0,9}})\Z")
CLOCK = re.compile(r"\d:\d{1,4}\Z")  # 16:9 and 12:30 are no weights
SIGNS = re.compile(r"\\.|[()]", re.S)
RUNS = re.compile(r"\\.|\++|-+", re.S)
WORD_END = re.compile(r"[\s,()\"]")
ENDS = frozenset(" \t\r\n,.;:!?)]}\"'")  # what may stand behind `word+`
ESCAPED = re.compile(r"\\([()\[\]+\-\\\"<>:])")
LONE = re.compile(r"(?<!\\)\(\(([^()\[\]]{1,40})\)\)|(?<!\\)\[([^()\[\]]{1,40})\]")
LIKE_WEIGHT = re.compile(r"\\?[\d.+-]")
LOOSE = re.compile(r"(?<!\w)[+-]|[+-](?!\w)")  # a sign that is not inside of a word
QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*', re.S)


def read_prompt(text: str) -> Prompt:
    """A prompt of any text."""
    join = next((m for m in JOIN.finditer(text)), None)
    if join is None:
        return Prompt((Part(_pieces(text)),), notes=tuple(_notes(text)))
    items = _items(text, join)
    if items is None or text[join.end() :].strip() or join[1] == "swap":
        return Prompt((Part(_pieces(text)),), faults=(_misplaced(join),))
    return _joined(text, join, items)


def plain_text(text: str) -> str:
    """The words of a prompt, without weights and marks."""
    return read_prompt(text).text


def literal(text: str) -> str:
    """A prompt that means this text; the text itself where it can be."""
    read = read_prompt(text)
    itself = read.parts == (Part((Piece(text),)),) and not read.joined and not read.faults
    return text if itself else re.sub(r"([()+\-\\\"])", r"\\\1", text)


def weighted_text(pieces: Sequence[Piece]) -> str:
    """The prompt of such pieces: `a (red:1.21) boat`, blanks outside of the brackets.

    A blank is added between a bracket and a text that would be read as its weight.
    """
    if all(p.weight == 1 for p in pieces):
        return literal("".join(p.text for p in pieces))
    out = ""
    for piece in pieces:
        written = _written(piece)
        out += f" {written}" if out[-1:] == ")" and LIKE_WEIGHT.match(written) else written
    return out


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
    how: Joined = "blend" if join[1] == "blend" else "and"
    words = [w.strip() for w in join[2].split(",") if w.strip()]
    normalize = not (words and words[-1] == "no_normalize" and how == "blend")
    weights = [_weight(w) for w in (words if normalize else words[:-1])]
    faults = list(_wrong(text, join, how, items, words, weights, normalize))
    read = [w for w in weights if w is not None]
    if len(read) != len(items):
        read = [1.0] * len(items)
    parts = tuple(Part(_pieces(item), weight) for item, weight in zip(items, read, strict=True))
    return Prompt(parts, how, normalize, tuple(faults), tuple(_notes(text[: join.start()])))


def _weight(word: str) -> float | None:
    return float(word) if re.fullmatch(rf"[+-]?{NUMBER}", word) else None


def _wrong(
    text: str,
    join: re.Match[str],
    how: str,
    items: Sequence[object],
    words: Sequence[str],
    weights: Sequence[float | None],
    normalize: bool,
) -> Iterator[Fault]:
    span = join.span(2)
    if None in weights:
        bad = words[weights.index(None)]
        at = text.index(bad, span[0])
        yield Fault(at, at + len(bad), f"a weight of .{how}() is a number, not {bad}", "", "bad-prompt")
    elif weights and len(weights) != len(items):
        texts, numbers = _counted(len(items), "text"), _counted(len(weights), "weight")
        yield Fault(*span, f".{how}() has {numbers} for {texts}", "one for each, or none at all", "bad-prompt")
    elif how == "blend" and normalize and weights and abs(sum(w or 0 for w in weights)) < 1e-6:
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


# -- weights ---------------------------------------------------------------------------------------------------------


class _Mark(NamedTuple):
    """Where a bracket that weighs opens or closes. weight: of an opening one, None of a closing one."""

    start: int
    end: int
    weight: float | None


def _pieces(text: str) -> tuple[Piece, ...]:
    """A text in pieces of one weight each. Weights of brackets in each other multiply, from the outside in."""
    stack, at = [1.0], 0
    found: list[Piece] = []
    for mark in sorted(_marks(text)):
        found += _runs(text, at, mark.start, stack[-1])
        at = mark.end
        if mark.weight is None:
            stack.pop()
        else:
            stack.append(stack[-1] * mark.weight)
    found += _runs(text, at, len(text), stack[-1])
    return _fused(found)


def _marks(text: str) -> Iterator[_Mark]:
    """The brackets that weigh. Those without a weight, and those without a partner, are text."""
    opened: list[int] = []
    for m in SIGNS.finditer(text):
        if m[0] == "(":
            opened.append(m.start())
        elif m[0] == ")" and opened:
            yield from _pair(text, opened.pop(), m.start())


def _pair(text: str, begin: int, end: int) -> Iterator[_Mark]:
    inner = text[max(begin + 1, end - 40) : end]
    within = WITHIN.search(inner)
    behind = BEHIND.match(text, end + 1) or BEHIND_DOT.match(text, end + 1)
    if within and (CLOCK.search(inner) or not text[begin + 1 : end - len(within[1])].strip()):
        within = None
    if not (within or behind) or not text[begin + 1 : end].strip():
        return
    weight = (_of_run(behind[1]) if behind else 1.0) * (float(within[2]) if within else 1.0)
    yield _Mark(begin, begin + 1, weight)
    yield _Mark(end - (len(within[1]) if within else 0), behind.end() if behind else end + 1, None)


def _of_run(run: str) -> float:
    """1.21 of `++`, 0.9 of `-`, 1.3 of `1.3`."""
    if run[0] in "+-":
        return math.pow(MORE if run[0] == "+" else LESS, min(len(run), 1000))
    return float(run)


def _runs(text: str, begin: int, end: int, weight: float) -> Iterator[Piece]:
    """A stretch without brackets that weigh: the words with + or - behind them apart."""
    at = begin
    for m in RUNS.finditer(text, begin, end):
        if m[0][0] == "\\" or (m.end() < len(text) and text[m.end()] not in ENDS):
            continue
        start = _word_start(text, at, m.start())
        if start < m.start():
            yield Piece(_unescaped(text[at:start]), weight)
            yield Piece(_unescaped(text[start : m.start()]), weight * _of_run(m[0]))
            at = m.end()
    yield Piece(_unescaped(text[at:end]), weight)


def _word_start(text: str, begin: int, end: int) -> int:
    """Where the word that ends at `end` begins."""
    start = end
    while start > begin and (not WORD_END.match(text[start - 1]) or text[start - 2 : start - 1] == "\\"):
        start -= 1
    return start


def _unescaped(text: str) -> str:
    return ESCAPED.sub(r"\1", text) if "\\" in text else text


def _fused(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Neighbours of one weight in one; blanks between two weights belong to the piece before them."""
    out: list[Piece] = []
    for text, weight in pieces:
        if not text:
            continue
        if out and (out[-1].weight == weight or not text.strip()):
            out[-1] = Piece(out[-1].text + text, out[-1].weight)
        elif out and not out[-1].text.strip():
            out[-1] = Piece(out[-1].text + text, weight)
        else:
            out.append(Piece(text, weight))
    return tuple(out) or (Piece(""),)


def _notes(text: str) -> Iterator[str]:
    """Brackets that weigh in other programs."""
    for m in LONE.finditer(text):
        inner, other = (m[1], "1.21") if m[1] else (m[2], "0.9")
        if "|" not in inner and ":" not in inner:
            yield f"{m[0]} is text here, brackets and all: a weight is written ({inner}:{other})"


def _written(piece: Piece) -> str:
    """A piece beside others, where no bracket of it may find a partner."""
    inner = piece.text.strip()
    safe = LOOSE.sub(r"\\\g<0>", re.sub(r"([()\\\"])", r"\\\1", inner))
    if piece.weight != 1 and inner:
        safe = f"({safe}:{_weight_text(piece.weight)})"
    before, _, after = piece.text.partition(inner) if inner else (piece.text, "", "")
    return f"{before}{safe}{after}"


def _weight_text(weight: float) -> str:
    """A number with a point in it, as no time of day has."""
    text = number(round(weight, 12))
    text = text if "e" not in text else f"{weight:.12f}"
    return text if "." in text else f"{text}.0"
