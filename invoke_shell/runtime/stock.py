"""What is loaded: models by their records, with what a request puts on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.records import ModelRecord
from invoke_shell.runtime.beside import check_task
from invoke_shell.runtime.control_loading import load_control
from invoke_shell.runtime.controls import ControlNet, check_controls
from invoke_shell.runtime.device import Place, free_memory
from invoke_shell.runtime.families import Task
from invoke_shell.runtime.loading import Checkpoint, Vae, load_checkpoint, load_vae, task_before
from invoke_shell.runtime.offload import attach
from invoke_shell.runtime.picture_prompts import Eye, eye_of, load_eye
from invoke_shell.runtime.piped_loading import Piped, load_piped
from invoke_shell.runtime.pipelines import PipedFamily, piped_family
from invoke_shell.runtime.residency import Residency
from invoke_shell.runtime.sources import model_key
from invoke_shell.runtime.upscalers import Upscaler, load_upscaler

__all__ = ["Stock"]


class Stock:
    """Loads models when they are asked for and keeps what fits."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._offload: Literal["none", "model", "group"] = "none"
        self._held = Residency(place.memory)
        self._tasks: dict[str, Task] = {}

    def offload(self, how: Literal["none", "model", "group"]) -> None:
        """From now on models wait in main memory, or not; those that are loaded otherwise are loaded again."""
        if how == self._offload:
            return
        self._held.drop_others("")
        self._offload = how
        self._place = replace(self._place, rests=None if how == "none" else torch.device("cpu"))

    def warm(self, model: ModelRecord) -> None:
        """Load a model; a transformer in one file waits for the request, which says where its other parts are."""
        family = piped_family(model)
        if family is None:
            self.checkpoint(model)
        elif Path(model.path).is_dir():
            self._piped(model, family, None)

    def checkpoint(self, model: ModelRecord) -> Checkpoint:
        """The bare model. Raises RunError (bad-model)."""
        found = self._loaded(model)
        found.adapters.wear(())
        found.pictured.wear(())
        return found

    def _loaded(self, model: ModelRecord) -> Checkpoint:
        def load() -> Checkpoint:
            made = load_checkpoint(model, self._place)
            self._attach(*made.reader.networks, made.unet, made.vae)
            return made

        return self._held.get(model_key(model), load, model.bytes)

    def _attach(self, *parts: Any) -> None:
        attach(parts, self._place.device, self._offload)

    def dressed(self, asked: Generation) -> Checkpoint:
        """The model with what a request puts on it or beside it, and with nothing else."""
        check_task(self._task(asked.model), asked)
        self._check_loras(asked)
        model = self._loaded(asked.model)
        model.adapters.wear(asked.loras)
        model.pictured.wear(asked.picture_prompts)
        check_controls(asked.controls, model.family)
        controls = tuple(self._control(c.model, model) for c in asked.controls)
        model = replace(model, controls=controls, eyes=tuple(self._eye(p.model) for p in asked.picture_prompts))
        vae = self._vae(asked, self._place.dtype, upcast=True)
        return model if vae is None else replace(model, vae=vae.network, scaling=vae.scaling)

    def _task(self, model: ModelRecord) -> Task:
        """Asked before anything is loaded, which takes longer than to say that it was the wrong model."""
        key = model_key(model)
        if key not in self._tasks:
            self._tasks[key] = task_before(model)
        return self._tasks[key]

    def _check_loras(self, asked: Generation) -> None:
        if self._offload == "group" and asked.loras:
            hint = "`set offload model` takes them"
            raise RunError("a model whose layers wait one by one takes no LoRAs", hint=hint, code="bad-setting")

    def _vae(self, asked: Generation, dtype: torch.dtype, *, upcast: bool) -> Vae | None:
        """The VAE that a request puts in the place of the model's own."""
        if asked.vae is None:
            return None
        key, wanted = f"{model_key(asked.vae)} with {model_key(asked.model)}", asked.vae
        place = replace(self._place, dtype=dtype)

        def load() -> Vae:
            made = load_vae(wanted, asked.model, place, upcast=upcast)
            self._attach(made.network)
            return made

        return self._held.get(key, load, wanted.bytes)

    def piped(self, asked: Generation, family: PipedFamily) -> Piped:
        """A model that a pipeline of diffusers runs, with what a request puts on it."""
        model = self._piped(asked.model, family, asked.components)
        self._check_loras(asked)
        model.adapters.wear(asked.loras)
        # Pipelines of transformers run the VAE as they run the rest.
        vae = self._vae(asked, self._place.flow_dtype, upcast=False)
        return model if vae is None else replace(model, parts={**model.parts, "vae": vae.network})

    def _piped(self, model: ModelRecord, family: PipedFamily, components: ModelRecord | None) -> Piped:
        key = f"{model_key(model)} with {model_key(components)}" if components else model_key(model)
        expected = model.bytes + (components.bytes if components else 0)

        def load() -> Piped:
            made = load_piped(model, family, self._place, components)
            self._attach(*made.networks)
            return made

        return self._held.get(key, load, expected)

    def _control(self, wanted: ModelRecord, model: Checkpoint) -> ControlNet:
        return self._held.get(model_key(wanted), lambda: load_control(wanted, model.unet, self._place), wanted.bytes)

    def _eye(self, adapter: ModelRecord) -> Eye:
        folder = eye_of(adapter)
        return self._held.get(f"eye {folder}", lambda: load_eye(folder, self._place))

    def upscaler(self, model: ModelRecord) -> Upscaler:
        """An upscaler network. Raises RunError (bad-model)."""
        return self._held.get(model_key(model), lambda: load_upscaler(model, self._place.device), model.bytes)

    def make_room(self, model: ModelRecord) -> None:
        """Drop every other model: memory ran out."""
        self._held.drop_others(model_key(model))
        free_memory(self._place.device)
