"""Prompts to embeddings: chunks of 75 tokens for long ones, and a cache, so that a prompt is encoded once.

A prompt of one chunk gives what diffusers' encode_prompt gives, bit for bit.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from invoke_shell.runtime._diffusers import TextEncoder, Tokenizer

__all__ = ["Embeddings", "Encoder", "unknown_words"]

CACHED_PROMPTS = 256  # 0.25 MB each for a model of width 768


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """The parts of one model that read prompts. key: of the model, for the cache."""

    key: str
    tokenizer: Tokenizer
    network: TextEncoder
    device: torch.device

    @property
    def room(self) -> int:
        """Tokens of a chunk without the marks at its ends: 75 for CLIP."""
        return self.tokenizer.model_max_length - 2

    def chunks(self, text: str) -> tuple[list[list[int]], int]:
        """Token numbers in chunks of 77, marks and padding included, and how many tokens the text has."""
        ids = list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        pieces = [ids[i : i + self.room] for i in range(0, len(ids), self.room)] or [[]]
        return [self._framed(piece) for piece in pieces], len(ids)

    def _framed(self, piece: list[int]) -> list[int]:
        framed = [self.tokenizer.bos_token_id, *piece, self.tokenizer.eos_token_id]
        return framed + [self.tokenizer.pad_token_id] * (self.tokenizer.model_max_length - len(framed))

    def encode(self, chunk: list[int]) -> Tensor:
        """One chunk, (1, 77, width). One at a time: in a batch its last bits would depend on its neighbours."""
        ids = torch.tensor([chunk], device=self.device)
        return self.network(ids, attention_mask=self._attention_mask(chunk))[0]

    def _attention_mask(self, chunk: list[int]) -> Tensor | None:
        if not getattr(self.network.config, "use_attention_mask", False):
            return None
        read = chunk.index(self.tokenizer.eos_token_id) + 1
        return torch.tensor([[1] * read + [0] * (len(chunk) - read)], device=self.device)


class Embeddings:
    """Embeddings by (model, text), the longest unused forgotten first; outlives the models it came from."""

    def __init__(self, capacity: int = CACHED_PROMPTS) -> None:
        self._kept: OrderedDict[tuple[str, str], Tensor] = OrderedDict()
        self._capacity = capacity

    def pair(self, encoder: Encoder, prompt: str, negative: str | None, say: Callable[[str], None]) -> Tensor:
        """Embeddings of a prompt (1, 77 k, width); with a negative (2, ...), the negative first.

        The shorter of the two is filled with empty chunks. say: is told of a prompt of several chunks.
        """
        texts = [prompt] if negative is None else [negative, prompt]
        coded = [self._of(encoder, text, say) for text in texts]
        length = max(c.shape[1] for c in coded)
        return torch.cat([self._filled(encoder, c, length) for c in coded])

    def _of(self, encoder: Encoder, text: str, say: Callable[[str], None]) -> Tensor:
        key = (encoder.key, text)
        if key not in self._kept:
            chunks, _ = encoder.chunks(text)
            self._kept[key] = torch.cat([encoder.encode(chunk) for chunk in chunks], dim=1)
        self._kept.move_to_end(key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        self._tell(encoder, text, self._kept[key], say)
        return self._kept[key]

    def _tell(self, encoder: Encoder, text: str, coded: Tensor, say: Callable[[str], None]) -> None:
        count = coded.shape[1] // (encoder.room + 2)
        if count > 1:
            say(f"prompt has {encoder.chunks(text)[1]} tokens: {count} chunks of {encoder.room}")

    def _filled(self, encoder: Encoder, coded: Tensor, length: int) -> Tensor:
        missing = (length - coded.shape[1]) // (encoder.room + 2)
        if not missing:
            return coded
        empty = self._of(encoder, "", lambda text: None)
        return torch.cat([coded, *[empty] * missing], dim=1)


def unknown_words(text: str, known: frozenset[str]) -> list[str]:
    """Words of a prompt that a model's vocabulary lacks, each once, in order."""
    return list(dict.fromkeys(word for word in _words(text) if word not in known))


def _words(text: str) -> Iterator[str]:
    return (m[0] for m in re.finditer(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text.lower()))
