"""How a prompt is cut into tokens and what each weighs, as lines for people. No torch here.

The engine spells with a model's own tokenizer. `speller_of` reads the same files without a library, for `explain`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

from invoke_shell.pipeline.prompts import Part, read_prompt
from invoke_shell.pipeline.types import number
from invoke_shell.runtime import clip_words

__all__ = ["END", "ROOM", "Spell", "speller_of", "token_lines"]

END = "</w>"  # of a word
ROOM = 75  # tokens of a chunk of CLIP's, marks not counted

Spell = Callable[[str], Sequence[str]]  # a text -> its tokens, as they are written in a vocabulary


def token_lines(label: str, text: str, spell: Spell, room: int = ROOM) -> Iterator[str]:
    """`prompt: 4 tokens of 75: a red×1.21 cath·edral`; a line for each chunk of each text that is joined."""
    prompt = read_prompt(text)
    for n, part in enumerate(prompt.parts, 1):
        place = f" {n} of {len(prompt.parts)}, weight {number(part.weight)}" if prompt.joined else ""
        yield from (f"{label}{place}: {line}" for line in _of_part(part, spell, room))


def _of_part(part: Part, spell: Spell, room: int) -> Iterator[str]:
    row = [(token, piece.weight) for piece in part.pieces for token in spell(piece.text)]
    chunks = [row[i : i + room] for i in range(0, max(1, len(row)), room)]
    for n, chunk in enumerate(chunks, 1):
        chunked = f", chunk {n} of {len(chunks)}" if len(chunks) > 1 else ""
        tokens = f"{len(chunk)} token{'' if len(chunk) == 1 else 's'} of {room}{chunked}"
        yield ": ".join([tokens, *([" ".join(_words(chunk))] if chunk else [])])


def _words(chunk: Sequence[tuple[str, float]]) -> Iterator[str]:
    """Words, the tokens of one parted by `·`, each with its weight."""
    word, weighs = "", 1.0
    for token, weight in chunk:
        word, weighs = (f"{word}·" if word else "") + token.removesuffix(END), weight
        if token.endswith(END):
            yield word + _weight_text(weighs)
            word = ""
    if word:
        yield word + _weight_text(weighs)


def _weight_text(weight: float) -> str:
    return "" if weight == 1 else f"×{number(round(weight, 3))}"


# -- without a library -----------------------------------------------------------------------------------------------

BLANKS = re.compile(r"[^\S\x1c-\x1f]+")  # Unicode's; the four are blanks to Python alone
MARKED = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d")


def speller_of(model: Path) -> Spell | None:
    """The first tokenizer of a diffusers folder, CLIP's own for a single file; None for what is neither."""
    if model.is_file():
        return _speller({pair: rank for rank, pair in enumerate(clip_words.vocabulary()[1])})
    try:
        lines = (model / "tokenizer" / "merges.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    return _speller({(p[0], p[1]): rank for rank, p in enumerate(pairs) if len(p) == 2})


def _speller(ranks: Mapping[tuple[str, str], int]) -> Spell:
    letters = _byte_letters()

    @lru_cache(maxsize=4096)
    def word(text: str) -> tuple[str, ...]:
        parts = [letters[byte] for byte in text.encode("utf-8", "replace")]
        parts[-1] += END
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: ranks.get(pair, len(ranks)))
            if best not in ranks:
                break
            parts = _merged(parts, best)
        return tuple(parts)

    return lambda text: [token for piece in _cut(text) for token in word(piece)]


def _merged(parts: Sequence[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(parts):
        both = tuple(parts[at : at + 2]) == pair
        out.append("".join(pair) if both else parts[at])
        at += 2 if both else 1
    return out


def _cut(text: str) -> Iterator[str]:
    """Runs of letters, single digits, runs of signs; lower case, composed."""
    # Sign by sign, as the library does: all of a text would end Greek words in another sigma.
    text = "".join(sign.lower() for sign in BLANKS.sub(" ", unicodedata.normalize("NFC", text)))
    at = 0
    while at < len(text):
        kind = _kind(text[at])
        if marked := MARKED.match(text, at):
            end = marked.end()
        else:
            end = at + 1
            while kind in "LS" and end < len(text) and _kind(text[end]) == kind:
                end += 1
        if kind != " ":
            yield text[at:end]
        at = end


@cache
def _kind(sign: str) -> str:
    """L a letter, N a digit, a blank, S any other sign."""
    if BLANKS.match(sign):
        return " "
    category = unicodedata.category(sign)[0]
    return category if category in "LN" else "S"


@cache
def _byte_letters() -> list[str]:
    """The printable letter of each byte, in the bytes' order."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in kept]
    table = {byte: chr(byte) for byte in kept} | {byte: chr(256 + n) for n, byte in enumerate(moved)}
    return [table[byte] for byte in range(256)]
