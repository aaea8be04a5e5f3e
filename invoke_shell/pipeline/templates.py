r"""Texts that stand for others: `{red|blue}`, nested too, and `__name__`, every line of wildcards/name.txt.

`\{` and `\}` are braces, and braces without a bar are text. The group written last varies fastest. Nothing is unrolled
before it is asked for: two wildcards of a thousand lines are a million texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from invoke_shell.pipeline.tags import shielded
from invoke_shell.pipeline.text import closing_braces, escape, unescape
from invoke_shell.pipeline.types import Sweep

__all__ = [
    "TOO_DEEP",
    "WILDCARD",
    "Template",
    "Texts",
    "canonical",
    "has_alternatives",
    "text_word",
    "too_deep",
    "wildcards_of",
]

WILDCARD = re.compile(r"(?<![\w\\])__([A-Za-z0-9](?:[\w./-]{0,80}?[A-Za-z0-9])?)__(?!\w)")

NESTED = 50  # groups within each other; a text that is read by recursion has an end

TOO_DEEP = f"braces may stand {NESTED} deep in each other"

Wildcards = Mapping[str, Sequence[str]]
Read = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Template(Sweep):
    """A text that is unrolled in plan: it names wildcards, or stands for more texts than a line may make.

    escapes: the body stood in double quotes. text says it all; two of one text are equal.
    """

    body: str = field(default="", compare=False)
    escapes: bool = field(default=False, compare=False)
    names: tuple[str, ...] = field(default=(), compare=False)

    def texts(self, wildcards: Wildcards) -> Texts:
        """Raises ValueError for a wildcard that holds itself."""
        return Texts(self.body, escapes=self.escapes, wildcards=wildcards)


class Texts(Sequence[str]):
    """Every text a body stands for. `size` is their number, which len() cannot say beyond 2^63.

    wildcards: the lines of each that is known; one that is not known is text. within: those whose lines this is in.
    """

    def __init__(
        self, body: str, *, escapes: bool, wildcards: Wildcards | None = None, within: tuple[str, ...] = ()
    ) -> None:
        if too_deep(body):
            raise ValueError(TOO_DEEP)
        self._read: Read = unescape if escapes else _braces
        self._wildcards = wildcards or {}
        self._within = within
        self._groups = [group for piece in pieces(body) for group in self._of_piece(piece, escapes)]
        self._sizes = [sum(_size(option) for option in group) for group in self._groups]
        self.size = 1
        for size in self._sizes:
            self.size *= size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # no slices are asked for
        if not 0 <= index < self.size:
            raise IndexError(index)
        out = []
        for group, size in zip(reversed(self._groups), reversed(self._sizes), strict=True):
            index, place = divmod(index, size)
            out.append(_pick(group, place))
        return "".join(reversed(out))

    def _of_piece(self, piece: list[str], escapes: bool) -> Iterator[Sequence[str | Texts]]:
        if len(piece) > 1:
            yield [self._inner(option, escapes=escapes) for option in piece]
            return
        at = 0
        for m in WILDCARD.finditer(piece[0]) if self._wildcards else ():
            if m[1] not in self._wildcards:
                continue
            if m[1] in self._within:
                raise ValueError(f"the wildcard {m[1]} holds itself")
            yield [self._read(piece[0][at : m.start()])]
            yield [
                self._inner(line, escapes=False, within=(*self._within, m[1])) if "{" in line or "__" in line else line
                for line in self._wildcards[m[1]]
            ]
            at = m.end()
        yield [self._read(piece[0][at:])]

    def _inner(self, body: str, *, escapes: bool, within: tuple[str, ...] | None = None) -> Texts:
        return Texts(
            body, escapes=escapes, wildcards=self._wildcards, within=self._within if within is None else within
        )


def _size(option: str | Texts) -> int:
    return option.size if isinstance(option, Texts) else 1


def _pick(group: Sequence[str | Texts], place: int) -> str:
    for option in group:
        size = _size(option)
        if place < size:
            return option[place] if isinstance(option, Texts) else option
        place -= size
    raise IndexError(place)


def wildcards_of(body: str) -> tuple[str, ...]:
    """Names of the wildcards in a text, each once."""
    return tuple(dict.fromkeys(WILDCARD.findall(body))) if "__" in body else ()


def has_alternatives(body: str) -> bool:
    """Whether a prompt has braces with a bar: `a {red|blue} boat`."""
    return "{" in body and any(len(p) > 1 for p in pieces(body))


def too_deep(body: str) -> bool:
    """Whether more groups stand in each other than are read."""
    if body.count("{") <= NESTED:
        return False
    open_until: list[int] = []
    for at, end in sorted(closing_braces(body, 0, len(body)).items()):
        while open_until and open_until[-1] < at:
            open_until.pop()
        open_until.append(end)
        if len(open_until) > NESTED:
            return True
    return False


# -- as text ---------------------------------------------------------------------------------------------------------


def canonical(body: str, *, escapes: bool, prompt: bool = False) -> str:
    """A body as the double-quoted word that stands for the same texts. prompt: wildcards are kept."""
    if too_deep(body):  # stands for none, and is only shown
        return f'"{escape(body)}"'
    return f'"{_written(body, unescape if escapes else _braces, inside=False, prompt=prompt)}"'


def text_word(text: str) -> str:
    """A prompt that means itself, as a double-quoted word: what looks like a tag or a wildcard is text."""
    return f'"{_shielded(escape(text))}"'


def _written(body: str, read: Read, *, inside: bool, prompt: bool) -> str:
    out = []
    for piece in pieces(body):
        if len(piece) > 1:
            options = (_written(option, read, inside=True, prompt=prompt) for option in piece)
            out.append("{" + "|".join(options) + "}")
        else:
            plain = _kept(piece[0], read) if prompt else escape(read(piece[0]))
            out.append(plain.replace("|", "\\u{7c}") if inside else plain)
    return "".join(out)


def _kept(text: str, read: Read) -> str:
    """Plain text of a prompt with its wildcards as they are."""
    parts = WILDCARD.split(text)
    words = [f"__{part}__" if n % 2 else _shielded(escape(read(part))) for n, part in enumerate(parts)]
    return "".join(words)


def _shielded(text: str) -> str:
    return WILDCARD.sub(lambda m: "\\u{5f}" + m[0][1:], shielded(text))


def _braces(text: str) -> str:
    return text.replace("\\{", "{").replace("\\}", "}")


# -- cutting ---------------------------------------------------------------------------------------------------------


def pieces(body: str) -> list[list[str]]:
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
