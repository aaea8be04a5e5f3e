"""Words of one text that weigh more or less: `word+`, `word--`, `(words)1.3`, `(words:1.3)`. Never raises; no torch.

A bracket without a weight is text, and so is one that has no partner.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from invoke_shell.pipeline.types import number

__all__ = ["NUMBER", "Piece", "read_pieces", "written"]

MORE, LESS = 1.1, 0.9  # of one + and one -


class Piece(NamedTuple):
    """Words of one weight."""

    text: str
    weight: float = 1.0


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
LIKE_WEIGHT = re.compile(r"\\?[\d.+-]")
PARTNERS = re.compile(r"[()\\\"]")
MARKS = re.compile(r"[-+()\\\"]")
LOOSE = re.compile(r"(?<!\w)[+-]|[+-](?!\w)")  # a sign that is not inside of a word


def read_pieces(text: str) -> tuple[Piece, ...]:
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


class _Mark(NamedTuple):
    """Where a bracket that weighs opens or closes. weight: of an opening one, None of a closing one."""

    start: int
    end: int
    weight: float | None


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


def written(pieces: Sequence[Piece]) -> str:
    """The text of such pieces, the blanks outside of the brackets.

    A blank is added between a bracket and a text that would be read as its weight.
    """
    out = ""
    for piece in pieces:
        text = _piece_text(piece)
        out += f" {text}" if out[-1:] == ")" and LIKE_WEIGHT.match(text) else text
    return out


def _piece_text(piece: Piece) -> str:
    """A piece beside others, where no bracket of it may find a partner."""
    inner = piece.text.strip()
    safe = LOOSE.sub(r"\\\g<0>", PARTNERS.sub(r"\\\g<0>", inner)) if MARKS.search(inner) else inner
    if piece.weight != 1 and inner:
        safe = f"({safe}:{_weight_text(piece.weight)})"
    before, _, after = piece.text.partition(inner) if inner else (piece.text, "", "")
    return f"{before}{safe}{after}"


def _weight_text(weight: float) -> str:
    """A number with a point in it, as no time of day has."""
    text = number(round(weight, 12))
    text = text if "e" not in text else f"{weight:.12f}"
    return text if "." in text else f"{text}.0"
