"""Pictures to latents and back, through a model's VAE."""

from __future__ import annotations

import torch
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.records import Image, Mask
from invoke_shell.runtime import pictures
from invoke_shell.runtime._diffusers import encode_latents
from invoke_shell.runtime.device import Place
from invoke_shell.runtime.loading import Checkpoint

__all__ = ["bad_numbers", "decoded", "encoded"]


def encoded(
    model: Checkpoint, image: Image, place: Place, tiled: bool, *, mask: Mask | None = None, scaled: bool = True
) -> Tensor:
    """Latents (1, c, h, w) of a picture; the mode of the posterior: no noise. scaled: as the U-Net draws them.

    mask: what is white in it becomes the middle grey that inpainting models were trained to see there.
    """
    vae_dtype = next(model.vae.parameters()).dtype
    picture = 2.0 * pictures.to_unit(image, place.device, vae_dtype) - 1.0
    if mask is not None:
        picture = picture * pictures.kept_by(mask, place.device, vae_dtype)
    _set_tiling(model, tiled)
    found = encode_latents(model.vae, picture)
    return (found * model.scaling if scaled else found).to(place.dtype)


def decoded(model: Checkpoint, latents: Tensor, place: Place, tiled: bool) -> Image:
    """The picture of latents (1, c, h, w). Raises RunError (bad-numbers) for NaN."""
    _set_tiling(model, tiled)
    vae_dtype = next(model.vae.parameters()).dtype
    picture = model.vae.decode((latents / model.scaling).to(vae_dtype), return_dict=False)[0]
    if not bool(torch.isfinite(picture).all()):
        raise bad_numbers(model.name, place)
    return pictures.from_unit(picture * 0.5 + 0.5)


def bad_numbers(name: str, place: Place) -> RunError:
    """A model gave NaN, with what may help."""
    wider = "" if place.dtype == torch.float32 else "`set precision float32`, "
    hint = f"try {wider}a lower --guidance or another --scheduler"
    return RunError(f"{name} gave numbers that are none (NaN)", hint=hint, code="bad-numbers")


def _set_tiling(model: Checkpoint, tiled: bool) -> None:
    if tiled:
        model.vae.enable_tiling()
    else:
        model.vae.disable_tiling()
