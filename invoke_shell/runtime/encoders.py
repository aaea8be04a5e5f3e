"""How the families read a prompt: one class each, over the text encoders that a model brings.

`Clip` is Stable Diffusion 1 and 2, `TwoClips` is SDXL, `BigClip` its refiner. A prompt of one chunk of 75 tokens gives
what diffusers' encode_prompt gives, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from invoke_shell.pipeline.prompts import Piece
from invoke_shell.pipeline.types import Size
from invoke_shell.runtime._diffusers import TextEncoder
from invoke_shell.runtime.clip import Encoder, Inversion

__all__ = ["PLAIN", "BigClip", "Clip", "Coded", "Conditioning", "Reader", "Reading", "TwoClips"]

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

    states: (n, tokens, width). added: SDXL's `text_embeds` (n, width) and `time_ids` (n, 6); of
    IP-Adapters `image_embeds`, a list. guidance: (1, width), for
    a consistency model, which reads the guidance instead of being asked twice.
    """

    states: Tensor
    added: Mapping[str, Any] = field(default_factory=dict)
    guidance: Tensor | None = None


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
    """A family's way to read. key: of the model, for the cache.

    zeros_for_empty: no negative prompt is zeros, not the empty prompt.
    """

    @property
    def key(self) -> str: ...

    @property
    def zeros_for_empty(self) -> bool: ...

    @property
    def networks(self) -> Sequence[TextEncoder]: ...

    @property
    def first(self) -> Encoder:
        """The encoder whose tokens are counted and shown."""
        ...

    def read(self, pieces: Sequence[Piece], reading: Reading) -> Coded:
        """A text of any length, its words weighed."""
        ...

    def conditioning(self, coded: Sequence[Coded], size: Size) -> Conditioning:
        """Prompts of equal length as the U-Net takes them; size: of the picture, in pixels."""
        ...


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Stable Diffusion 1 and 2: one encoder, its last layer, normalised.

    SD 2 wants OpenCLIP's layer before the last; its model folders leave the last one out, so that it is the last.
    """

    key: str
    encoder: Encoder
    zeros_for_empty: bool = False

    @property
    def first(self) -> Encoder:
        return self.encoder

    @property
    def networks(self) -> Sequence[TextEncoder]:
        return (self.encoder.network,)

    def read(self, pieces: Sequence[Piece], reading: Reading) -> Coded:
        network = self.encoder.network
        self.encoder.check_skip(reading.skip, network.config.num_hidden_layers - 1)
        if not reading.skip:
            return Coded(states=self.encoder.read(pieces, None, reading.inversions)[0])
        return Coded(
            states=self.encoder.read(pieces, -1 - reading.skip, reading.inversions, network.final_layer_norm)[0]
        )

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
    def first(self) -> Encoder:
        return self.encoders[0]

    @property
    def networks(self) -> Sequence[TextEncoder]:
        return tuple(e.network for e in self.encoders)

    def read(self, pieces: Sequence[Piece], reading: Reading) -> Coded:
        for encoder in self.encoders:
            encoder.check_skip(reading.skip, encoder.network.config.num_hidden_layers - 2)
        sides = [encoder.read(pieces, -2 - reading.skip, reading.inversions) for encoder in self.encoders]
        states = torch.cat([states for states, _ in sides], dim=-1)
        return Coded(states=states, pooled=sides[1][1])

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
    def first(self) -> Encoder:
        return self.encoder

    @property
    def networks(self) -> Sequence[TextEncoder]:
        return (self.encoder.network,)

    def read(self, pieces: Sequence[Piece], reading: Reading) -> Coded:
        self.encoder.check_skip(reading.skip, self.encoder.network.config.num_hidden_layers - 2)
        states, pooled = self.encoder.read(pieces, -2 - reading.skip, reading.inversions)
        return Coded(states=states, pooled=pooled)

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
