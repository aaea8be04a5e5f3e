"""ControlNets: pictures that say where things are. Their numbers are added to the U-Net's, while their steps last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Control
from invoke_shell.records import Image
from invoke_shell.runtime import pictures
from invoke_shell.runtime._diffusers import Denoiser
from invoke_shell.runtime.families import titled

__all__ = ["ControlNet", "Controlled", "Steering", "check_controls", "steered"]

CALLED = ("encoder_hidden_states", "added_cond_kwargs")  # what a U-Net is told and a ControlNet besides


@dataclass(frozen=True, kw_only=True)
class ControlNet:
    """One that is loaded."""

    network: Any
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Steering:
    """A ControlNet with what a request wants of it. image: (1, 3, h, w) of 0 to 1, in pixels."""

    network: Any
    asked: Control
    image: Tensor

    def runs(self, done: int, calls: int) -> bool:
        """Whether it speaks in the model call after `done` of `calls`: between its start and its end."""
        return self.asked.weight != 0 and done / calls >= self.asked.start and (done + 1) / calls <= self.asked.end


class Controlled:
    """A U-Net with ControlNets beside it, for one loop of so many calls; called as the U-Net is."""

    def __init__(self, unet: Denoiser, steering: Sequence[Steering], calls: int) -> None:
        self._unet: Any = unet
        self._steering = steering
        self._calls = calls
        self._done = 0

    def __call__(self, sample: Tensor, timestep: Tensor, *, return_dict: bool, **told: Any) -> tuple[Tensor]:
        speaking = [s for s in self._steering if s.runs(self._done, self._calls)]
        self._done += 1
        extra = _sum_of([_numbers(s, sample, timestep, told) for s in speaking]) if speaking else {}
        guess: tuple[Tensor] = self._unet(sample, timestep, **told, **extra, return_dict=return_dict)
        return guess


def _numbers(steering: Steering, sample: Tensor, timestep: Tensor, told: dict[str, Any]) -> tuple[list[Tensor], Tensor]:
    """What one ControlNet adds to the U-Net: to each block on the way down, and in the middle."""
    network = steering.network
    given = {name: told[name] for name in CALLED if name in told}
    if "added_cond_kwargs" in given:  # it reads sizes and pooled prompt, and no picture prompts
        own = {name: value for name, value in given["added_cond_kwargs"].items() if name != "image_embeds"}
        given["added_cond_kwargs"] = own or None
    image = torch.cat([steering.image] * len(sample))
    latents = sample[:, : network.config.in_channels]  # an inpainting model reads further channels behind them
    down, middle = network(
        latents, timestep, controlnet_cond=image, conditioning_scale=steering.asked.weight, return_dict=False, **given
    )
    return list(down), middle


def _sum_of(numbers: Sequence[tuple[list[Tensor], Tensor]]) -> dict[str, Any]:
    down, middle = numbers[0]
    for more, center in numbers[1:]:
        down = [one + other for one, other in zip(down, more, strict=True)]
        middle = middle + center
    return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}


def _fitted(image: Image, size: tuple[int, int], say: Callable[[str], None]) -> Image:
    """A control picture in RGB and in the size (width, height) of what is drawn."""
    if image.size == size and image.mode == "RGB":
        return image
    from PIL.Image import Resampling

    pil = image.pil().convert("RGB")
    if pil.size != size:
        say(f"the control picture of {image.width}x{image.height} is sized to {size[0]}x{size[1]}")
        pil = pil.resize(size, Resampling.LANCZOS)
    return Image.from_pil(pil)


def steered(
    networks: Sequence[ControlNet],
    controls: Sequence[Control],
    latents: Tensor,
    factor: int,
    say: Callable[[str], None],
) -> list[Steering]:
    """Each ControlNet with its picture as a tensor, for latents (1, c, h, w) of so many pixels each."""
    size = latents.shape[-1] * factor, latents.shape[-2] * factor
    made = []
    for network, control in zip(networks, controls, strict=True):
        dtype = next(network.network.parameters()).dtype
        tensor = pictures.to_unit(_fitted(control.image, size, say), latents.device, dtype)
        made.append(Steering(network=network.network, asked=control, image=tensor))
    return made


def check_controls(controls: Sequence[Control], family: str) -> None:
    """Raise RunError (bad-model) for a ControlNet of another base, before it is loaded."""
    for control in controls:
        model = control.model
        if model.base and model.base != family:
            message = f"the ControlNet {model.name} is for {titled(model.base)}, and this model is {titled(family)}"
            raise RunError(message, hint=f"its {model.format or 'file'}: {model.path}", code="bad-model")
