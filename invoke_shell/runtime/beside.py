"""What some models read beside the latents: an inpainting one the mask and what it leaves, an edit one the source."""

from __future__ import annotations

import torch
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.records import Image, Mask
from invoke_shell.runtime import latents, pictures
from invoke_shell.runtime.device import Place
from invoke_shell.runtime.families import Task
from invoke_shell.runtime.loading import Checkpoint

__all__ = ["beside", "check_task"]


def check_task(task: Task, asked: Generation) -> None:
    """Raise RunError (bad-model) for a model that was not trained for what is asked. task: what its U-Net is for."""
    edits, name = task == "edit", asked.model.name
    if asked.image_guidance is not None and not edits:
        message = f"{name} was not trained to follow instructions"
        raise RunError(message, hint="img2img redraws a picture with any model", code="bad-model")
    if asked.image_guidance is None and edits:
        message = f"{name} cannot draw by itself: it changes a picture as it is told"
        raise RunError(message, hint='load_image FILE | instruct "make it night"', code="bad-model")


def beside(model: Checkpoint, asked: Generation, place: Place, tiled: bool, copies: int) -> Tensor | None:
    """Channels (copies, d, h, w), or None for a model that reads latents alone. copies: of the latents in one call."""
    if not model.task:
        return None
    if asked.image_guidance is not None:
        return _source(model, asked, place, tiled, copies)
    mask, image = asked.mask, asked.source
    if mask is None or image is None:  # drawn freely: all of an empty picture is painted
        width, height = asked.size.width, asked.size.height
        mask = Mask(mode="L", width=width, height=height, pixels=b"\xff" * (width * height))
        image = Image(mode="RGB", width=width, height=height, pixels=b"\0" * (3 * width * height))
    kept = latents.encoded(model, image, place, tiled, mask=mask)
    small = pictures.mask_to_latents(mask, (kept.shape[-2], kept.shape[-1]), kept.device, kept.dtype)
    return torch.cat([small, kept], dim=1).repeat(copies, 1, 1, 1)


def _source(model: Checkpoint, asked: Generation, place: Place, tiled: bool, copies: int) -> Tensor:
    """The source's latents, not scaled, as InstructPix2Pix was trained; nothing in the copy that knows no picture."""
    assert asked.source is not None  # an edit has one
    image = latents.encoded(model, asked.source, place, tiled, scaled=False)
    return image if copies == 1 else torch.cat([image, image, torch.zeros_like(image)])
