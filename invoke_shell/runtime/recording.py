"""What is recorded of a picture besides its values: noise, precision, scheduler, what the model wore."""

from __future__ import annotations

from typing import Any

import torch

from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.prompts import DIALECT, read_prompt
from invoke_shell.runtime import noise, request, schedulers
from invoke_shell.runtime.adapters import Adapters
from invoke_shell.runtime.device import Place
from invoke_shell.runtime.loading import Checkpoint
from invoke_shell.runtime.start import Run

__all__ = ["facts", "short", "worn"]


def facts(asked: Generation, run: Run, place: Place) -> dict[str, Any]:
    """The facts of a picture that is about to be drawn, plain JSON."""
    own = {
        "noise": noise.described(asked, tuple(run.noise.shape), schedulers.is_noisy(asked)),
        "precision": _precision(run.model, place),
        "scheduler": schedulers.described(run.scheduler),
        "model_calls": len(run.timesteps),
        "first_sigma": schedulers.sigma_at(run.scheduler, asked.scheduler, asked.start_step, run.timesteps),
        "family": run.model.family,
        **_dialect(asked),
    }
    return request.facts(asked, **own, **worn(asked, run.model.adapters))


def _dialect(asked: Generation) -> dict[str, int]:
    """Which rules weighed the words, where some do."""
    prompts = [read_prompt(text) for text in (asked.prompt, asked.negative)]
    return {"prompt_dialect": DIALECT} if any(p.weighted or p.joined for p in prompts) else {}


def short(dtype: torch.dtype) -> str:
    """`float16`."""
    return str(dtype).removeprefix("torch.")


def _precision(model: Checkpoint, place: Place) -> dict[str, str]:
    vae = next(model.vae.parameters()).dtype
    return {"weights": model.stored, "compute": short(place.dtype), "vae": short(vae)}


def worn(asked: Generation, adapters: Adapters) -> dict[str, Any]:
    """LoRAs with their strengths and the layers they reach; nothing for a picture without."""
    rows = zip(asked.loras, adapters.layers(), strict=True)
    worn = [{"name": lora.value.name, "weight": lora.weight, "layers": layers} for lora, layers in rows]
    controls = [{"name": c.model.name, "weight": c.weight, "start": c.start, "end": c.end} for c in asked.controls]
    seen = [{"name": p.model.name, "weight": p.weight, "pictures": len(p.images)} for p in asked.picture_prompts]
    told = {"loras": worn, "controls": controls, "picture_prompts": seen}
    return {name: row for name, row in told.items() if row}
