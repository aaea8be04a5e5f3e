"""How the families read a prompt: one class each, over the text encoders that a model brings.

`Clip` is Stable Diffusion 1 and 2, `TwoClips` is SDXL, `BigClip` its refiner. A prompt of one chunk of 75 tokens gives
what diffusers' encode_prompt gives, bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Size
from invoke_shell.runtime._diffusers import TextEncoder, Tokenizer, replaced_tokens, text_states

__all__ = ["PLAIN", "BigClip", "Clip", "Coded", "Conditioning", "Encoder", "Inversion", "Reader", "Reading", "TwoClips"]

BEAUTIFUL, UGLY = 6.0, 2.5  # aesthetic scores that SDXL's refiner is told


@dataclass(frozen=True, kw_only=True)
class Coded:
    """One prompt, read. states: (1, 77 k, width), k chunks; pooled: (1, width) of the first chunk, SDXL alone."""

    states: Tensor
    pooled: Tensor | None = None

    def emptied(self) -> Coded:
        """As much, all zeros: what SDXL was trained to see where there is no prompt."""
        pooled = None if self.pooled is None else torch.zeros_like(self.pooled)
        return Coded(states=torch.zeros_like(self.states), pooled=pooled)


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """What a U-Net is told besides latents and timestep; n is 2 with guidance, the negative prompt first.

    states: (n, tokens, width). added: SDXL's `text_embeds` (n, width) and `time_ids` (n, 6).
    """

    states: Tensor
    added: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Inversion:
    """A textual inversion: a word and what it stands for. vectors: (tokens, width), one for each text encoder."""

    word: str
    key: str
    vectors: tuple[Tensor, ...] = field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What changes how prompts are read, part of the cache's key.

    skip: layers left out at the encoders' end. adapters: the LoRAs in them, as a key.
    """

    skip: int = 0
    inversions: tuple[Inversion, ...] = ()
    adapters: str = ""


PLAIN = Reading()


class Reader(Protocol):
    """A family's way to read. key: of the model, for the cache; room: tokens of a chunk, marks not counted.

    zeros_for_empty: no negative prompt is zeros, not the empty prompt.
    """

    @property
    def key(self) -> str: ...

    @property
    def room(self) -> int: ...

    @property
    def zeros_for_empty(self) -> bool: ...

    @property
    def networks(self) -> Sequence[TextEncoder]: ...

    def count(self, text: str, reading: Reading) -> int:
        """Tokens of a text."""
        ...

    def read(self, text: str, reading: Reading) -> Coded:
        """A text of any length."""
        ...

    def conditioning(self, coded: Sequence[Coded], size: Size) -> Conditioning:
        """Prompts of equal length as the U-Net takes them; size: of the picture, in pixels."""
        ...


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
        for piece in _pieces(text, inversions):
            if (word := piece.strip("<>").lower()) in rows:
                ids += range(first[word], first[word] - rows[word], -1)
            else:
                ids += self.tokenizer(piece, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def chunks(self, text: str, inversions: Sequence[Inversion] = ()) -> list[list[int]]:
        """Token numbers in chunks of 77, marks and padding included."""
        ids = self.tokens(text, inversions)
        return [self._framed(ids[i : i + self.room]) for i in range(0, max(1, len(ids)), self.room)]

    def _framed(self, piece: list[int]) -> list[int]:
        framed = [self.tokenizer.bos_token_id, *piece, self.tokenizer.eos_token_id]
        return framed + [self.tokenizer.pad_token_id] * (self.tokenizer.model_max_length - len(framed))

    def states(
        self, chunk: list[int], layer: int | None, inversions: Sequence[Inversion] = ()
    ) -> tuple[Tensor, Tensor]:
        """One chunk as (1, 77, width), and the encoder's own first result (SDXL's pooled one, (1, width)).

        layer: None is the last, normalised; -2 the one before it, as it is. One chunk at a time: in a batch its last
        bits would depend on its neighbours.
        """
        vectors = [row for i in inversions for row in i.vectors[self.place]]
        ids = torch.tensor([[max(0, n) for n in chunk]], device=self.device)
        with replaced_tokens(self.network, {place: vectors[-1 - n] for place, n in enumerate(chunk) if n < 0}):
            return text_states(self.network, ids, self._attention_mask(chunk), layer)

    def check_skip(self, skip: int, most: int) -> None:
        """Raise RunError (out-of-range) when so many layers cannot be left out."""
        if skip > most:
            message = f"--clip-skip {skip} leaves nothing of the text encoder: at most {most} for this model"
            raise RunError(message, code="out-of-range")

    def _attention_mask(self, chunk: list[int]) -> Tensor | None:
        if not getattr(self.network.config, "use_attention_mask", False):
            return None
        read = chunk.index(self.tokenizer.eos_token_id) + 1
        return torch.tensor([[1] * read + [0] * (len(chunk) - read)], device=self.device)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Stable Diffusion 1 and 2: one encoder, its last layer, normalised.

    SD 2 wants OpenCLIP's layer before the last; its model folders leave the last one out, so that it is the last.
    """

    key: str
    encoder: Encoder
    zeros_for_empty: bool = False

    @property
    def room(self) -> int:
        return self.encoder.room

    @property
    def networks(self) -> Sequence[TextEncoder]:
        return (self.encoder.network,)

    def count(self, text: str, reading: Reading) -> int:
        return len(self.encoder.tokens(text, reading.inversions))

    def read(self, text: str, reading: Reading) -> Coded:
        self.encoder.check_skip(reading.skip, self.encoder.network.config.num_hidden_layers - 1)
        chunks = self.encoder.chunks(text, reading.inversions)
        return Coded(states=torch.cat([self._chunk(chunk, reading) for chunk in chunks], dim=1))

    def _chunk(self, chunk: list[int], reading: Reading) -> Tensor:
        network = self.encoder.network
        if not reading.skip:
            return self.encoder.states(chunk, None, reading.inversions)[0]
        states, _ = self.encoder.states(chunk, -1 - reading.skip, reading.inversions)
        return network.final_layer_norm(states)

    def conditioning(self, coded: Sequence[Coded], size: Size) -> Conditioning:
        return Conditioning(states=torch.cat([c.states for c in coded]))


@dataclass(frozen=True, kw_only=True)
class TwoClips:
    """SDXL: the layers before the last of two encoders side by side, and the second's pooled result.

    zeros_for_empty: model_index.json's force_zeros_for_empty_prompt.
    """

    key: str
    encoders: tuple[Encoder, Encoder]
    zeros_for_empty: bool = True

    @property
    def room(self) -> int:
        return self.encoders[0].room

    @property
    def networks(self) -> Sequence[TextEncoder]:
        return tuple(e.network for e in self.encoders)

    def count(self, text: str, reading: Reading) -> int:
        return len(self.encoders[0].tokens(text, reading.inversions))

    def read(self, text: str, reading: Reading) -> Coded:
        for encoder in self.encoders:
            encoder.check_skip(reading.skip, encoder.network.config.num_hidden_layers - 2)
        sides = [self._side(encoder, text, reading) for encoder in self.encoders]
        states = torch.cat([states for states, _ in sides], dim=-1)
        return Coded(states=states, pooled=sides[1][1])

    def _side(self, encoder: Encoder, text: str, reading: Reading) -> tuple[Tensor, Tensor]:
        chunks = encoder.chunks(text, reading.inversions)
        coded = [encoder.states(chunk, -2 - reading.skip, reading.inversions) for chunk in chunks]
        return torch.cat([states for states, _ in coded], dim=1), coded[0][1]

    def conditioning(self, coded: Sequence[Coded], size: Size) -> Conditioning:
        """With the sizes SDXL was trained with: original (height, width), corner of the crop, target (height, width).

        The picture's own size stands for both, the corner is 0, 0 (Podell et al. 2023, arXiv:2307.01952, 2.2).
        """
        states = torch.cat([c.states for c in coded])
        sizes = [[size.height, size.width, 0, 0, size.height, size.width]] * len(coded)
        pooled = torch.cat([c.pooled for c in coded if c.pooled is not None])
        time_ids = torch.tensor(sizes, dtype=states.dtype, device=states.device)
        return Conditioning(states=states, added={"text_embeds": pooled, "time_ids": time_ids})


@dataclass(frozen=True, kw_only=True)
class BigClip:
    """SDXL's refiner: the larger encoder's layer before the last, and its pooled result.

    zeros_for_empty: model_index.json's force_zeros_for_empty_prompt.
    """

    key: str
    encoder: Encoder
    zeros_for_empty: bool = False

    @property
    def room(self) -> int:
        return self.encoder.room

    @property
    def networks(self) -> Sequence[TextEncoder]:
        return (self.encoder.network,)

    def count(self, text: str, reading: Reading) -> int:
        return len(self.encoder.tokens(text, reading.inversions))

    def read(self, text: str, reading: Reading) -> Coded:
        self.encoder.check_skip(reading.skip, self.encoder.network.config.num_hidden_layers - 2)
        chunks = self.encoder.chunks(text, reading.inversions)
        coded = [self.encoder.states(chunk, -2 - reading.skip, reading.inversions) for chunk in chunks]
        return Coded(states=torch.cat([states for states, _ in coded], dim=1), pooled=coded[0][1])

    def conditioning(self, coded: Sequence[Coded], size: Size) -> Conditioning:
        """With original size (height, width), corner of the crop, and how beautiful the picture is to be: 6 of 10.

        The negative prompt is told 2.5: diffusers' own defaults, and those of the model's makers.
        """
        states = torch.cat([c.states for c in coded])
        scores = [BEAUTIFUL] if len(coded) == 1 else [UGLY, BEAUTIFUL]
        told = [[size.height, size.width, 0, 0, score] for score in scores]
        pooled = torch.cat([c.pooled for c in coded if c.pooled is not None])
        time_ids = torch.tensor(told, dtype=states.dtype, device=states.device)
        return Conditioning(states=states, added={"text_embeds": pooled, "time_ids": time_ids})


def _first_numbers(inversions: Sequence[Inversion]) -> list[int]:
    """The number of each inversion's first row: -1, and below it as many as the ones before have."""
    numbers, used = [], 0
    for inversion in inversions:
        numbers.append(-1 - used)
        used += len(inversion.vectors[0])
    return numbers


def _pieces(text: str, inversions: Sequence[Inversion]) -> list[str]:
    """The text cut at the words of the inversions, `word` or `<word>`, whole and in any case."""
    if not inversions:
        return [text]
    words = "|".join(re.escape(i.word) for i in sorted(inversions, key=lambda i: -len(i.word)))
    return re.split(rf"(<(?:{words})>|(?<!\w)(?:{words})(?!\w))", text, flags=re.IGNORECASE)
