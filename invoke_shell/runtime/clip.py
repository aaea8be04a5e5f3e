"""One CLIP text encoder: words to tokens, tokens in chunks of 77, and states in which words weigh more or less.

A word above 1 is taken further from what the empty prompt says at its place. One below 1 besides mixes in the same
prompt read without it, the more the nearer it is to 0: so 0 leaves it out, and does not ask for a little of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.pipeline.prompts import Piece
from invoke_shell.runtime._diffusers import TextEncoder, Tokenizer, replaced_tokens, text_states

__all__ = ["NOT_OF_A_PIECE", "Chunk", "Encoder", "Inversion"]

NOT_OF_A_PIECE = -1
NEAREST_TO_0 = 1e-5  # the share of a text without the word is infinite at 0


class Chunk(NamedTuple):
    """77 token numbers, the weight of each, and which piece of the prompt it is of (-1: none, a mark)."""

    ids: list[int]
    weights: list[float]
    pieces: list[int]

    @property
    def weighted(self) -> bool:
        return any(w != 1 for w in self.weights)


class _Token(NamedTuple):
    id: int
    weight: float
    piece: int


@dataclass(frozen=True, kw_only=True)
class Inversion:
    """A textual inversion: a word and what it stands for. vectors: (tokens, width), one for each text encoder."""

    word: str
    key: str
    vectors: tuple[Tensor, ...] = field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A tokenizer and a text encoder; place: which of a model's encoders it is, from 0."""

    tokenizer: Tokenizer
    network: TextEncoder
    device: torch.device
    place: int = 0

    @property
    def room(self) -> int:
        """Tokens of a chunk without the marks at its ends: 75 for CLIP."""
        return self.tokenizer.model_max_length - 2

    def tokens(self, text: str, inversions: Sequence[Inversion] = ()) -> list[int]:
        """Token numbers; a row of an inversion's vectors is -1, -2 and so on, counted through all of them."""
        first = dict(zip((i.word.lower() for i in inversions), _first_numbers(inversions), strict=True))
        rows = {i.word.lower(): len(i.vectors[0]) for i in inversions}
        ids: list[int] = []
        for piece in _cut(text, inversions):
            if (word := piece.strip("<>").lower()) in rows:
                ids += range(first[word], first[word] - rows[word], -1)
            else:
                ids += self.tokenizer(piece, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def spelled(self, text: str, inversions: Sequence[Inversion] = ()) -> list[str]:
        """Tokens of a text as they are written in the vocabulary; a row of an inversion by its word."""
        rows = [i.word + ("</w>" if n == last else "") for i in inversions
                for last in [len(i.vectors[self.place]) - 1] for n in range(last + 1)]  # fmt: skip
        return [
            self.tokenizer.convert_ids_to_tokens(n) if n >= 0 else rows[-1 - n] for n in self.tokens(text, inversions)
        ]

    def chunks(self, pieces: Sequence[Piece], inversions: Sequence[Inversion] = ()) -> list[Chunk]:
        """A prompt in chunks of 77, marks and padding included."""
        row = [
            _Token(token, piece.weight, n)
            for n, piece in enumerate(pieces)
            for token in self.tokens(piece.text, inversions)
        ]
        return [self._framed(row[i : i + self.room]) for i in range(0, max(1, len(row)), self.room)]

    def _framed(self, row: Sequence[_Token]) -> Chunk:
        marks = self.tokenizer
        left = marks.model_max_length - len(row) - 2
        framed = [
            _Token(marks.bos_token_id, 1.0, NOT_OF_A_PIECE),
            *row,
            _Token(marks.eos_token_id, 1.0, NOT_OF_A_PIECE),
            *[_Token(marks.pad_token_id, 1.0, NOT_OF_A_PIECE)] * left,
        ]
        return Chunk([t.id for t in framed], [t.weight for t in framed], [t.piece for t in framed])

    def read(
        self,
        pieces: Sequence[Piece],
        layer: int | None,
        inversions: Sequence[Inversion] = (),
        after: Callable[[Tensor], Tensor] = lambda states: states,
    ) -> tuple[Tensor, Tensor]:
        """A prompt as (1, 77 k, width), and the encoder's own first result of the first chunk, which knows no weights.

        layer: as in `states`. after: what the states go through before anything is weighed.
        """
        chunks = self.chunks(pieces, inversions)
        coded = [self.states(chunk, layer, inversions) for chunk in chunks]
        states = [after(s) for s, _ in coded]
        if not any(chunk.weighted for chunk in chunks):
            return torch.cat(states, dim=1), coded[0][1]
        empty = after(self.states(self._framed(()), layer)[0])

        def without(piece: int) -> list[Tensor]:
            return [after(self.states(chunk, layer, inversions, piece)[0]) for chunk in chunks]

        lighter = [(n, p.weight) for n, p in enumerate(pieces) if p.weight < 1 and any(n in c.pieces for c in chunks)]
        versions = [states, *(without(n) for n, _ in lighter)]
        away = [_away_from_empty(version, empty, chunks) for version in versions]
        return _mixed(away, [1.0, *(_share_without(weight) for _, weight in lighter)]), coded[0][1]

    def states(
        self, chunk: Chunk, layer: int | None, inversions: Sequence[Inversion] = (), without: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """One chunk as (1, 77, width), and the encoder's own first result (SDXL's pooled one, (1, width)).

        layer: None is the last, normalised; -2 the one before it, as it is. without: a piece that is not looked at.
        One chunk at a time: in a batch its last bits would depend on its neighbours.
        """
        vectors = [row for i in inversions for row in i.vectors[self.place]]
        ids = torch.tensor([[max(0, n) for n in chunk.ids]], device=self.device)
        mask = self._attention_mask(chunk, without)
        with replaced_tokens(self.network, {place: vectors[-1 - n] for place, n in enumerate(chunk.ids) if n < 0}):
            return text_states(self.network, ids, mask, layer)

    def check_skip(self, skip: int, most: int) -> None:
        """Raise RunError (out-of-range) when so many layers cannot be left out."""
        if skip > most:
            message = f"--clip-skip {skip} leaves nothing of the text encoder: at most {most} for this model"
            raise RunError(message, code="out-of-range")

    def _attention_mask(self, chunk: Chunk, without: int | None) -> Tensor | None:
        """Which tokens are looked at; None for all."""
        length = len(chunk.ids)
        wants = getattr(self.network.config, "use_attention_mask", False)
        if not wants and without is None:
            return None
        read = chunk.ids.index(self.tokenizer.eos_token_id) + 1 if wants else length
        seen = [n < read and (without is None or chunk.pieces[n] != without) for n in range(length)]
        return torch.tensor([[int(s) for s in seen]], device=self.device)


def _share_without(weight: float) -> float:
    """How much of the text without a word is mixed in: 0 at weight 1, as much as of the text with it at 0.5."""
    return math.tan((1.0 - max(NEAREST_TO_0, weight)) * math.pi / 2)


def _away_from_empty(states: Sequence[Tensor], empty: Tensor, chunks: Sequence[Chunk]) -> Tensor:
    """Each token taken from the empty prompt's state to `weight` times its distance; those of weight 1 to the bit."""
    return torch.cat([_of_chunk(s, empty, chunk) for s, chunk in zip(states, chunks, strict=True)], dim=1)


def _of_chunk(states: Tensor, empty: Tensor, chunk: Chunk) -> Tensor:
    weights = torch.tensor(chunk.weights, dtype=states.dtype, device=states.device).reshape(1, -1, 1)
    return torch.where(weights == 1, states, empty + (states - empty) * weights)


def _mixed(versions: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    if len(versions) == 1:
        return versions[0]
    rows = torch.stack(list(versions), dim=1)
    parts = torch.tensor(shares, dtype=rows.dtype, device=rows.device)
    return torch.sum(rows * (parts / torch.sum(parts)).reshape(-1, 1, 1), dim=1)


def _first_numbers(inversions: Sequence[Inversion]) -> Iterator[int]:
    """The number of each inversion's first row: -1, and below it as many as the ones before have."""
    used = 0
    for inversion in inversions:
        yield -1 - used
        used += len(inversion.vectors[0])


def _cut(text: str, inversions: Sequence[Inversion]) -> list[str]:
    """The text cut at the words of the inversions, `word` or `<word>`, whole and in any case."""
    if not inversions:
        return [text]
    words = "|".join(re.escape(i.word) for i in sorted(inversions, key=lambda i: -len(i.word)))
    return re.split(rf"(<(?:{words})>|(?<!\w)(?:{words})(?!\w))", text, flags=re.IGNORECASE)
