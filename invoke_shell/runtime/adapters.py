"""LoRAs in a loaded model: put in when a picture asks for them, taken out when the next one does not.

They stay beside the weights and are never merged into them: taking one out gives the model's own bits back, which
unmerging does not (1.3e-6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Weighted
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _lora
from invoke_shell.runtime._diffusers import Component, Denoiser, TextEncoder
from invoke_shell.runtime.device import ran_out
from invoke_shell.runtime.families import titled
from invoke_shell.runtime.sources import aligned, model_key

__all__ = ["Adapters"]

OTHER_KINDS = {"dora_scale": "a DoRA", "hada_w1_a": "a LoHa", "lokr_w1": "a LoKr"}  # by what their tensors' names hold


class Adapters:
    """The LoRAs of one loaded model. Raises RunError (bad-model), and leaves the model bare, when one does not fit."""

    def __init__(self, family: str, unet: Denoiser, texts: Sequence[TextEncoder]) -> None:
        self._family = family
        self._parts: tuple[Component, ...] = (unet, *texts)
        self._keys: tuple[str, ...] = ()
        self._weights: tuple[float, ...] = ()

    def wear(self, loras: Sequence[Weighted[ModelRecord]]) -> None:
        """From now on the model runs with these, each at its strength, and with no others."""
        keys = tuple(model_key(lora.value) for lora in loras)
        weights = tuple(lora.weight for lora in loras)
        if keys != self._keys:
            self._take_off()
            self._put_all_on([lora.value for lora in loras])
            self._keys = keys
        elif weights == self._weights:
            return
        self._weigh(weights)

    @property
    def in_texts(self) -> str:
        """The LoRAs that change how prompts are read, as a key; "" for none."""
        worn = {name for part in self._parts[1:] for name in _lora.adapters_of(part)}
        named = zip(self._keys, self._weights, strict=True)
        return " ".join(f"{key}:{weight!r}" for n, (key, weight) in enumerate(named) if f"lora_{n}" in worn)

    def layers(self) -> list[int]:
        """How many layers each LoRA reaches."""
        return [sum(_lora.count_layers(part, f"lora_{n}") for part in self._parts) for n in range(len(self._keys))]

    def _take_off(self) -> None:
        for part in self._parts:
            _lora.remove_adapters(part)
        self._keys = self._weights = ()

    def _put_all_on(self, loras: Sequence[ModelRecord]) -> None:
        try:
            for place, lora in enumerate(loras):
                self._put_on(lora, f"lora_{place}")
        except BaseException:
            self._take_off()  # half of a stack is nobody's model
            raise

    def _put_on(self, lora: ModelRecord, name: str) -> None:
        if lora.base and lora.base != self._family:
            raise self._refused(lora, f"it was made for {titled(lora.base)}, and this model is {titled(self._family)}")
        try:
            weights, alphas, metadata = self._read(lora)
            self._check(lora, weights)
            _lora.add_lora(self._family, self._parts, weights, alphas, metadata, name)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
            if ran_out(error):
                raise
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise self._refused(lora, f"loading it failed: {reason[0]}") from error
        if not any(_lora.count_layers(part, name) for part in self._parts):
            raise self._misfit(lora)
        for part in self._parts:
            aligned(part)

    def _misfit(self, lora: ModelRecord) -> RunError:
        return self._refused(lora, f"its layers are not those of {titled(self._family)}: it was made for another base")

    def _read(self, lora: ModelRecord) -> tuple[dict[str, Tensor], Any, Any]:
        for mark, kind in OTHER_KINDS.items():
            if any(mark in name for name in _lora.tensor_names(lora.path)):
                raise self._refused(lora, f"it is {kind}, and this runs plain LoRAs")
        return _lora.read_lora(self._family, lora.path, self._parts[0])

    def _check(self, lora: ModelRecord, weights: Mapping[str, Tensor]) -> None:
        """A LoRA of another base has layers that this model lacks, or of other widths; the library takes what fits."""
        if not weights or not all("lora" in name for name in weights):
            raise self._refused(lora, "it is no LoRA that this knows")
        if not _fits(self._parts[0], weights):
            raise self._misfit(lora)

    def _weigh(self, weights: tuple[float, ...]) -> None:
        names = [f"lora_{n}" for n in range(len(weights))]
        for part in self._parts:
            _lora.weigh_adapters(part, dict(zip(names, weights, strict=True)))
        self._weights = weights

    def _refused(self, lora: ModelRecord, reason: str) -> RunError:
        message = f"the LoRA {lora.name} cannot be used here: {reason}"
        return RunError(message, hint=f"its file: {lora.path}", code="bad-model")


def _fits(unet: Component, weights: Mapping[str, Tensor]) -> bool:
    layers = _lora.weight_shapes(unet)
    return all(_fits_layer(layers, name, shape) for name, shape in _lora.unet_matrices(weights).items())


def _fits_layer(layers: Mapping[str, tuple[int, ...]], name: str, shape: tuple[int, ...]) -> bool:
    """A matrix A reads what its layer reads, B writes what it writes; layers are (out, in, ...)."""
    layer, _, side = name.rpartition(".lora_")
    own = layers.get(layer)
    if own is None or len(shape) < 2:
        return False
    return shape[1] == own[1] if side == "A" else shape[0] == own[0]
