"""Prompts to what a U-Net is told: read once and kept, blended or side by side, two of them brought to one length."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from invoke_shell.pipeline.prompts import Piece, Prompt, plain_text, read_prompt
from invoke_shell.runtime.encoders import PLAIN, Coded, Reader, Reading

__all__ = ["Embeddings", "unknown_words"]

CACHED_PROMPTS = 256  # 0.25 MB each for a model of width 768
EMPTY = (Piece(""),)

Say = Callable[[str], None]


class Embeddings:
    """Prompts read, by (model, reading, text), the longest unused forgotten first; outlives the models."""

    def __init__(self, capacity: int = CACHED_PROMPTS) -> None:
        self._kept: OrderedDict[tuple[str, Reading, str], Coded] = OrderedDict()
        self._capacity = capacity

    def pair(
        self, reader: Reader, prompt: str, negative: str | None, say: Say, reading: Reading = PLAIN
    ) -> tuple[Coded, ...]:
        """A prompt, read; with a negative two of equal length, the negative first.

        The shorter of the two is filled with empty chunks. say: is told of a prompt of several chunks.
        """
        positive = self._of(reader, prompt, reading, say)
        if negative is None:
            return (positive,)
        if not negative and reader.zeros_for_empty:
            return positive.emptied(), positive
        return tuple(self._even(reader, (self._of(reader, negative, reading, say), positive), reading))

    def _of(self, reader: Reader, text: str, reading: Reading, say: Say) -> Coded:
        key = (reader.key, reading, text)
        prompt = read_prompt(text)
        if key not in self._kept:
            self._kept[key] = self._read(reader, prompt, reading)
        self._kept.move_to_end(key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        _tell(reader, prompt, reading, say)
        return self._kept[key]

    def _read(self, reader: Reader, prompt: Prompt, reading: Reading) -> Coded:
        coded = [reader.read(part.pieces, reading) for part in prompt.parts]
        weights = [part.weight for part in prompt.parts]
        if prompt.joined == "mixed":
            return _blended(self._even(reader, coded, reading), weights, normalize=prompt.normalize)
        if prompt.joined == "and":
            return self._side_by_side(reader, coded, weights, reading)
        return coded[0]

    def _side_by_side(
        self, reader: Reader, coded: Sequence[Coded], weights: Sequence[float], reading: Reading
    ) -> Coded:
        """Texts one behind the other, each as far from the empty prompt as it weighs; pooled is the first's."""
        rows = []
        for one, weight in zip(coded, weights, strict=True):
            chunks = one.states.shape[1] // (reader.first.room + 2)
            empty = torch.cat([reader.read(EMPTY, reading).states] * chunks, dim=1) if weight != 1 else one.states
            rows.append(one.states if weight == 1 else empty + (one.states - empty) * weight)
        return Coded(states=torch.cat(rows, dim=1), pooled=coded[0].pooled)

    def _even(self, reader: Reader, coded: Sequence[Coded], reading: Reading) -> list[Coded]:
        """All as long as the longest."""
        length = max(c.states.shape[1] for c in coded)
        return [self._filled(reader, c, length, reading) for c in coded]

    def _filled(self, reader: Reader, coded: Coded, length: int, reading: Reading) -> Coded:
        missing = (length - coded.states.shape[1]) // (reader.first.room + 2)
        if not missing:
            return coded
        empty = self._of(reader, "", reading, lambda text: None).states
        return Coded(states=torch.cat([coded.states, *[empty] * missing], dim=1), pooled=coded.pooled)


def _blended(coded: Sequence[Coded], weights: Sequence[float], *, normalize: bool) -> Coded:
    pooled = [c.pooled for c in coded if c.pooled is not None]
    return Coded(
        states=_mean([c.states for c in coded], weights, normalize=normalize),
        pooled=_mean(pooled, weights, normalize=normalize) if pooled else None,
    )


def _mean(rows: Sequence[Tensor], weights: Sequence[float], *, normalize: bool) -> Tensor:
    """The weighted sum of equal shapes (1, ...); normalize: with weights that add up to 1."""
    stacked = torch.stack(list(rows), dim=1)
    parts = torch.tensor(weights, dtype=stacked.dtype, device=stacked.device)
    parts = parts / torch.sum(parts) if normalize else parts
    return torch.sum(stacked * parts.reshape(-1, *[1] * (stacked.dim() - 2)), dim=1)


def _tell(reader: Reader, prompt: Prompt, reading: Reading, say: Say) -> None:
    for note in prompt.notes:
        say(note)
    for part in prompt.parts:
        chunks = reader.first.chunks(part.pieces, reading.inversions)
        if len(chunks) > 1:
            count = sum(n >= 0 for chunk in chunks for n in chunk.pieces)
            say(f"prompt has {count} tokens: {len(chunks)} chunks of {reader.first.room}")


def unknown_words(text: str, known: frozenset[str]) -> list[str]:
    """Words of a prompt that a model's vocabulary lacks, each once, in order."""
    return list(dict.fromkeys(word for word in _words(plain_text(text)) if word not in known))


def _words(text: str) -> Iterator[str]:
    return (m[0] for m in re.finditer(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text.lower()))
