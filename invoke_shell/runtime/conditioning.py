"""Prompts to what a U-Net is told: a cache, so that a prompt is read once, and two prompts brought to one length."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator

import torch

from invoke_shell.runtime.encoders import PLAIN, Coded, Reader, Reading

__all__ = ["Embeddings", "unknown_words"]

CACHED_PROMPTS = 256  # 0.25 MB each for a model of width 768

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
        both = self._of(reader, negative, reading, say), positive
        length = max(c.states.shape[1] for c in both)
        return tuple(self._filled(reader, c, length, reading) for c in both)

    def _of(self, reader: Reader, text: str, reading: Reading, say: Say) -> Coded:
        key = (reader.key, reading, text)
        if key not in self._kept:
            self._kept[key] = reader.read(text, reading)
        self._kept.move_to_end(key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        coded = self._kept[key]
        _tell(reader, text, coded, reading, say)
        return coded

    def _filled(self, reader: Reader, coded: Coded, length: int, reading: Reading) -> Coded:
        missing = (length - coded.states.shape[1]) // (reader.room + 2)
        if not missing:
            return coded
        empty = self._of(reader, "", reading, lambda text: None).states
        return Coded(states=torch.cat([coded.states, *[empty] * missing], dim=1), pooled=coded.pooled)


def _tell(reader: Reader, text: str, coded: Coded, reading: Reading, say: Say) -> None:
    count = coded.states.shape[1] // (reader.room + 2)
    if count > 1:
        say(f"prompt has {reader.count(text, reading)} tokens: {count} chunks of {reader.room}")


def unknown_words(text: str, known: frozenset[str]) -> list[str]:
    """Words of a prompt that a model's vocabulary lacks, each once, in order."""
    return list(dict.fromkeys(word for word in _words(text) if word not in known))


def _words(text: str) -> Iterator[str]:
    return (m[0] for m in re.finditer(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text.lower()))
