"""Prompts of other programs in our words: weights written out, and what is no text taken out and named.

Ours is `(x:1.2)`; a bracket without a weight is text. Weights of several brackets around a text are multiplied out, so
nothing is nested: `((a) b)` is `(a:1.21) (b:1.1)`. What is text there and a mark here is escaped: `c++` is `c\\+\\+`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.result import Lora, Notes, model_name
from invoke_shell.pipeline.prompts import Piece, is_sound, literal, weighted_text

__all__ = ["A1111", "COMFYUI", "NOVELAI", "Dialect", "Rewritten", "rewrite"]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a program weighs text. brackets: opening -> (closing, factor). absolute: `(x:1.2)` inside another bracket
    weighs 1.2, else it is multiplied. edits: `[a:b:0.5]`, AND and BREAK mean something. escapes: `\\(` is a bracket as
    text. colons: `1.3::text::` is a weight. embeddings: `embedding:name` is a textual inversion.
    """

    brackets: dict[str, tuple[str, float]]
    absolute: bool = False
    edits: bool = False
    escapes: bool = True
    colons: bool = False
    embeddings: bool = False

    @cached_property
    def signs(self) -> re.Pattern[str]:
        """A bracket, or what is escaped."""
        signs = "".join(self.brackets) + "".join(closing for closing, _ in self.brackets.values())
        escaped = r"\\.|" if self.escapes else ""
        return re.compile(f"{escaped}[{re.escape(signs)}]", re.S)


A1111 = Dialect(brackets={"(": (")", 1.1), "[": ("]", 1 / 1.1)}, edits=True)
COMFYUI = Dialect(brackets={"(": (")", 1.1)}, absolute=True, embeddings=True)
NOVELAI = Dialect(brackets={"{": ("}", 1.05), "[": ("]", 1 / 1.05)}, escapes=False, colons=True)

TAG = re.compile(r"<(\w{1,40}):([^<>:]{1,200})((?::[^<>]{0,200})?)>")
MOST = 1000  # a weight beyond is a slip
EMBEDDING = re.compile(r"\bembedding:([\w./\\-]{1,100})")
LORA_TAGS = ("lora", "lyco", "loha", "locon")
EDIT = re.compile(r"\[([^\[\]()\\]{0,500}[:|][^\[\]()\\]{0,500})\]")
JOINS = re.compile(r"\b(BREAK|AND)\b")
WEIGHT = re.compile(r":\s*([+-]?(?:\d{1,6}(?:\.\d{0,12})?|\.\d{1,12}))\s*(?=\))")
COLONS = re.compile(r"(-?\d{1,4}(?:\.\d{0,6})?)::|::")  # NovelAI 4: `1.3::text::`


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A prompt in our words, and the LoRAs and textual inversions it named."""

    text: str
    loras: tuple[Lora, ...] = ()
    embeddings: tuple[str, ...] = ()


def rewrite(text: str, dialect: Dialect, notes: Notes, label: str = "prompt") -> Rewritten:
    """A prompt of another program in our words; what cannot be said in them is noted.

    label: what the text is called in a note.
    """
    loras: list[Lora] = []
    embeddings: list[str] = []
    text = loose.words(text).replace("\r\n", "\n")
    if "<" in text:
        text = TAG.sub(lambda m: _tag(m, loras, embeddings, notes), text)
    if dialect.embeddings and "embedding:" in text:
        text = EMBEDDING.sub(lambda m: _embedding(m[1], embeddings), text)
    if dialect.edits:
        text = _joined(EDIT.sub(lambda m: _edited(m[0], notes), text) if "[" in text else text, label, notes)
    pieces = [piece for part, base in _sections(text, dialect) for piece in _weighed(part, dialect, base)]
    if any(piece.weight != 1 for piece in pieces):
        notes.guess(f"the weights in the {label} pull a little otherwise here: as InvokeAI's do")
    ours = weighted_text(_trimmed(pieces))
    if not is_sound(ours):  # such as a text that reads `).blend(` behind a bracket
        ours = literal("".join(piece.text for piece in pieces).strip())
    return Rewritten(text=ours, loras=tuple(loras), embeddings=tuple(embeddings))


def _trimmed(pieces: list[Piece]) -> list[Piece]:
    """Without blanks at the ends of the whole text, and without empty pieces."""
    if pieces:
        pieces[0] = pieces[0]._replace(text=pieces[0].text.lstrip())
        pieces[-1] = pieces[-1]._replace(text=pieces[-1].text.rstrip())
    return [piece for piece in pieces if piece.text]


def _embedding(name: str, embeddings: list[str]) -> str:
    """ComfyUI's `embedding:name.pt`; here its name is its word."""
    embeddings.append(model_name(name))
    return model_name(name)


def _tag(found: re.Match[str], loras: list[Lora], embeddings: list[str], notes: Notes) -> str:
    """`<lora:name:0.8>` and its kind, out of the text. A weight may be `te=0.5:unet=1`: the first number counts."""
    kind, name, rest = found[1].lower(), found[2], found[3]
    if kind in ("embed", "embedding"):
        return _embedding(name, embeddings)
    if kind not in LORA_TAGS:
        notes.lost(found[0])
        return ""
    weights = [loose.real(part.rpartition("=")[2]) for part in rest.split(":")[1:]]
    loras.append(Lora(name=model_name(name), weight=weights[0] if weights else None))
    return ""


def _edited(text: str, notes: Notes) -> str:
    """`[a:b:0.5]` and `[a|b]` change the prompt during the run; the first text that is there stays."""
    parts = [part.strip() for part in re.split("[:|]", text[1:-1])]
    if "|" not in text and loose.real(parts.pop()) is None:
        return text  # `[a:b]` is a text between brackets
    notes.lost("a prompt that changes during the run", text)
    return next((part for part in parts if part), "")


def _joined(text: str, label: str, notes: Notes) -> str:
    """Without BREAK and AND, which make several texts of one."""
    first, *rest = JOINS.split(text)
    for word in rest[::2]:
        notes.say(f"{word} in the {label} is not carried: what it joins is one text")
    texts = [part.strip().strip(",").strip() for part in (first, *rest[1::2])]
    return ", ".join(part for part in texts if part) if rest else text


# -- weights ---------------------------------------------------------------------------------------------------------


def _sections(text: str, dialect: Dialect) -> Iterator[tuple[str, Weight]]:
    """Parts between NovelAI's `1.3::` and `::`, with their weight; the whole text in other dialects."""
    at, base = 0, Weight(1.0)
    for found in COLONS.finditer(text) if dialect.colons else ():
        yield text[at : found.start()], base
        at, base = found.end(), Weight(float(found[1]), exact=True) if found[1] else Weight(1.0)
    yield text[at:], base


def _weighed(text: str, dialect: Dialect, base: Weight) -> Iterator[Piece]:
    """The text in pieces of one weight each."""
    at = 0
    if not dialect.signs.search(text):
        yield Piece(text, base.rounded)
        return
    stack = [base]
    for mark in _marks(text, dialect):
        if piece := text[at : mark.start]:
            yield Piece(_plain(piece, dialect), stack[-1].rounded)
        at = mark.end
        if mark.weight is not None:
            stack.append(stack[-1].times(mark.weight, absolute=dialect.absolute))
        else:
            stack.pop()
    if piece := text[at:]:
        yield Piece(_plain(piece, dialect), stack[-1].rounded)


class Weight(NamedTuple):
    """A factor; exact when it was written as it is, else a product."""

    value: float
    exact: bool = False
    depth: int = 0

    def times(self, inner: Weight, *, absolute: bool) -> Weight:
        """The weight inside a bracket of weight `inner`, which stands inside this one."""
        if inner.exact and (absolute or not self.depth):
            return inner._replace(depth=self.depth + 1)
        return Weight(self.value * inner.value, depth=self.depth + 1)

    @property
    def rounded(self) -> float:
        """As it is to be written; a product rounded to four places."""
        if not abs(self.value) < MOST:
            return 1.0
        return self.value if self.exact else round(self.value, 4)


class Mark(NamedTuple):
    """Where a bracket stands, its own weight text with it. weight: of an opening one, None of a closing one."""

    start: int
    end: int
    weight: Weight | None = None


def _marks(text: str, dialect: Dialect) -> list[Mark]:
    """Brackets that weigh, in order. One that never closes is text here, as is one that never opened."""
    opened: dict[str, list[int]] = {opening: [] for opening in dialect.brackets}
    closing = {close: opening for opening, (close, _) in dialect.brackets.items()}
    marks: list[Mark] = []
    for at, sign in _signs(text, dialect):
        if sign in opened:
            opened[sign].append(at)
        elif opened[closing[sign]]:
            begin = opened[closing[sign]].pop()
            marks += _pair(text, begin, at, dialect.brackets[closing[sign]][1])
            for others in opened.values():  # what opened in between and did not close is text
                while others and others[-1] > begin:
                    others.pop()
    return sorted(marks, key=lambda mark: mark.start)


def _pair(text: str, begin: int, end: int, factor: float) -> Iterator[Mark]:
    """The two marks of a pair of brackets; `:1.2` before a round closing one belongs to it."""
    found = _written_weight(text, begin, end) if text[begin] == "(" else None
    yield Mark(begin, begin + 1, Weight(float(found[1]), exact=True) if found else Weight(factor))
    yield Mark(found.start() if found else end, end + 1)


def _written_weight(text: str, begin: int, end: int) -> re.Match[str] | None:
    colon = text.rfind(":", max(begin, end - 30), end)
    found = WEIGHT.match(text, colon) if colon >= 0 else None
    return found if found and found.end() == end else None


def _signs(text: str, dialect: Dialect) -> Iterator[tuple[int, str]]:
    """Every bracket of the dialect that is not escaped."""
    for found in dialect.signs.finditer(text):
        if len(found[0]) == 1:
            yield found.start(), found[0]


def _plain(text: str, dialect: Dialect) -> str:
    """Escapes undone: what is text there."""
    return re.sub(r"\\([()\[\]\\])", r"\1", text) if dialect.escapes and "\\" in text else text
