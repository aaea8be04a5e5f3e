"""IP-Adapters: pictures that a model is told of as it is told of words. Put on and taken off as LoRAs are.

The image encoder is looked for beside the adapter's file, where its publishers put it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import PicturePrompt
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _diffusers, _ip
from invoke_shell.runtime._diffusers import Denoiser
from invoke_shell.runtime.device import Place, ran_out
from invoke_shell.runtime.families import titled
from invoke_shell.runtime.sources import aligned, model_key, tensors

__all__ = ["Eye", "PictureAdapters", "eye_of", "load_eye"]

PARTS = ("image_proj", "ip_adapter")
KEPT_PICTURES = 32  # as the encoders see them: 1 MB each at most


@dataclass(frozen=True, kw_only=True)
class Eye:
    """An image encoder that is loaded."""

    network: Any
    bytes: int


class PictureAdapters:
    """The IP-Adapters of one loaded model. Raises RunError (bad-model), and leaves the model bare, for a misfit."""

    def __init__(self, family: str, unet: Denoiser) -> None:
        self._family = family
        self._unet = unet
        self._bare: dict[str, Any] = {}
        self._keys: tuple[str, ...] = ()
        self._seen: OrderedDict[tuple[Any, ...], tuple[Tensor, Tensor]] = OrderedDict()

    def wear(self, prompts: Sequence[PicturePrompt]) -> None:
        """From now on the model runs with these, each at its weight, and with no others."""
        keys = tuple(model_key(p.model) for p in prompts)
        if keys != self._keys:
            self._take_off()
            if prompts:
                self._put_on([p.model for p in prompts])
            self._keys = keys
        if prompts:
            _ip.weigh(self._unet, [p.weight for p in prompts])

    def embeddings(
        self, prompts: Sequence[PicturePrompt], eyes: Sequence[Eye], place: Place, copies: Sequence[bool]
    ) -> list[Tensor]:
        """For each adapter (copies, pictures, ...): the pictures in the copies that are told of them, else nothing."""
        rows = []
        for prompt, eye, states in zip(prompts, eyes, _ip.wants_states(self._unet), strict=True):
            seen, nothing = self._look(prompt, eye, place, states=states)
            rows.append(torch.stack([seen if told else nothing for told in copies]))
        return rows

    def _look(self, prompt: PicturePrompt, eye: Eye, place: Place, *, states: bool) -> tuple[Tensor, Tensor]:
        key = (id(eye), states, tuple(image.hash for image in prompt.images))
        if key not in self._seen:
            pixels = _ip.pixels_for(eye.network, [image.pil().convert("RGB") for image in prompt.images])
            pixels = pixels.to(place.device, place.dtype)
            seen = _ip.looked_at(eye.network, pixels, states=states)
            nothing = (
                _ip.looked_at(eye.network, torch.zeros_like(pixels), states=True) if states else torch.zeros_like(seen)
            )
            self._seen[key] = seen, nothing
        self._seen.move_to_end(key)
        if len(self._seen) > KEPT_PICTURES:
            self._seen.popitem(last=False)
        return self._seen[key]

    def _take_off(self) -> None:
        if self._bare:
            _ip.take_off(self._unet, self._bare)
        self._bare, self._keys = {}, ()

    def _put_on(self, models: Sequence[ModelRecord]) -> None:
        weights = [self._read(model) for model in models]
        self._bare = _ip.processors_of(self._unet)
        try:
            _ip.put_on(self._unet, weights)
        except (ValueError, KeyError, RuntimeError, TypeError) as error:
            self._take_off()
            if ran_out(error):
                raise
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise _refused(models[0], f"loading it failed: {reason[0]}") from error
        aligned(self._unet)

    def _read(self, model: ModelRecord) -> dict[str, dict[str, Tensor]]:
        if model.base and model.base != self._family:
            raise _refused(model, f"it was made for {titled(model.base)}, and this model is {titled(self._family)}")
        try:
            found = _diffusers.read_weights(model.path)
        except (OSError, ValueError, SafetensorError) as error:
            raise _refused(model, "it is no safetensors file that can be read") from error
        weights = {part: {n.removeprefix(f"{part}."): t for n, t in found.items() if n.startswith(f"{part}.")}
                   for part in PARTS}  # fmt: skip
        self._check(model, weights)
        return weights

    def _check(self, model: ModelRecord, weights: dict[str, dict[str, Tensor]]) -> None:
        eye, words = weights["image_proj"], weights["ip_adapter"]
        widths = {t.shape[1] for n, t in words.items() if n.endswith("to_k_ip.weight")}
        if not eye or not widths:
            raise _refused(model, "it is no IP-Adapter that this knows")
        if not {"proj.weight", "proj.3.weight", "latents"} & set(eye) or "perceiver_resampler.proj_in.weight" in eye:
            raise _refused(model, "it reads faces, and this has no face recogniser")
        wanted = self._unet.config.cross_attention_dim
        if widths != {wanted}:
            wide = " and ".join(map(str, sorted(widths)))
            raise _refused(model, f"it is {wide} wide and the model's text {wanted}: it was made for another base")


def eye_of(model: ModelRecord) -> Path:
    """The folder of an adapter's image encoder. Raises RunError (missing-file)."""
    beside = Path(model.path).parent
    places = [beside / "image_encoder", beside.parent / "image_encoder", beside.parent / "models" / "image_encoder"]
    if "vit-h" in model.name or "plus" in model.name:  # SDXL's that read with Stable Diffusion 1's encoder
        places = [places[2], *places[:2]]
    for place in places:
        if (place / "config.json").is_file():
            return place
    message = f"the IP-Adapter {model.name} has no image encoder beside it"
    raise RunError(message, hint=f"a CLIP vision model belongs into {places[0]}", code="missing-file")


def load_eye(folder: Path, place: Place) -> Eye:
    """An image encoder. Raises RunError (bad-model)."""
    try:
        network = _ip.load_image_encoder(str(folder), place.dtype).eval().to(place.device)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        if ran_out(error):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        message = f"the image encoder cannot be used: {reason[0]}"
        raise RunError(message, hint=f"its folder: {folder}", code="bad-model") from error
    aligned(network)
    return Eye(network=network, bytes=sum(t.nbytes for t in tensors(network)))


def _refused(model: ModelRecord, reason: str) -> RunError:
    message = f"the IP-Adapter {model.name} cannot be used here: {reason}"
    return RunError(message, hint=f"its file: {model.path}", code="bad-model")
