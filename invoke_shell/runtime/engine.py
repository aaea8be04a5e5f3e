"""The engine: a request becomes a picture on this machine; tries again when memory runs out.

Models come from stock.py; drawing.py and enlarging.py do the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self, TypeVar

import torch

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Enlargement, Generation
from invoke_shell.records import Made, ModelRecord
from invoke_shell.runtime import device, recording, request
from invoke_shell.runtime._diffusers import import_libraries
from invoke_shell.runtime.conditioning import Embeddings
from invoke_shell.runtime.drawing import Desk, draw
from invoke_shell.runtime.enlarging import enlarge
from invoke_shell.runtime.estimate import estimate
from invoke_shell.runtime.piped import draw_piped
from invoke_shell.runtime.pipelines import check_can, piped_family
from invoke_shell.runtime.policy import SILENT, Once, Policy, Watcher
from invoke_shell.runtime.seamless import seamless
from invoke_shell.runtime.sources import model_key
from invoke_shell.runtime.stock import Stock
from invoke_shell.runtime.ways import Way, cheaper, first_way

__all__ = ["DiffusersEngine"]

T = TypeVar("T")


class DiffusersEngine:
    """Runs Stable Diffusion 1, 2 and XL, and upscaler files; implements pipeline.context.Engine.

    One thread at a time. A batch of one always: larger ones change the last bits of every picture in them.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.place = device.find(self.policy)
        device.settle(self.policy, self.place)
        self.stock = Stock(self.place)
        self._embeddings = Embeddings()
        self._ways: dict[str, Way] = {}
        self._watcher = Once(SILENT)

    def watch(self, watcher: Watcher) -> Self:
        """From now on tell this one; a run's context. Lines that many pictures give rise to are said once."""
        if self._watcher.watcher is not watcher:
            self._watcher = Once(watcher)
        return self

    def warm(self, model: ModelRecord | None = None) -> None:
        """Import the libraries, and load a model, before anyone waits for them."""
        import_libraries()
        if model is not None:
            self.stock.warm(model)

    def generate(self, request: Generation) -> Iterator[Made]:
        """The picture of a request, drawn when the iterator is advanced."""
        first = self._first_way(request)
        yield self._with_memory(lambda way: self._draw(request, way or first), request.model, str(request.size), first)

    def enlarge(self, request: Enlargement) -> Iterator[Made]:
        """The picture, enlarged when the iterator is advanced."""
        size = f"{request.image.width}x{request.image.height}"
        yield self._with_memory(lambda way: self._enlarge(request), request.model, size, None)

    def environment(self) -> Mapping[str, Any]:
        """Versions, device, threads, determinism; what a bit-exact replay needs to be equal."""
        return device.environment(self.policy, self.place)

    def desk(self, tiled: bool = False) -> Desk:
        """What this engine draws with. tiled: the VAE works in tiles."""
        return Desk(
            place=self.place,
            embeddings=self._embeddings,
            watcher=self._watcher,
            previews=self.policy.previews,
            tiled=tiled,
        )

    def _first_way(self, asked: Generation) -> Way:
        """How to begin, by the policy and by the model's size in its headers; a way that helped stays."""
        if known := self._ways.get(model_key(asked.model)):
            return known
        on_cpu = self.place.device.type == "cpu"
        told = None if on_cpu else estimate(asked.model, asked.size, recording.short(self.place.dtype), guided=True)
        weights = list(told.weights.values()) if told else [0]
        return first_way(
            self.policy, on_cpu=on_cpu, weights=sum(weights), largest=max(weights), budget=self.place.memory
        )

    def _with_memory(self, work: Callable[[Way | None], T], model: ModelRecord, size: str, way: Way | None) -> T:
        """Do the work; when memory runs out, make room and try once more in the next cheaper way.

        way: None for what has one way alone.
        """
        try:
            return work(way)
        except (RuntimeError, MemoryError) as error:
            if not device.ran_out(error):
                raise
        # Outside of the handler, whose traceback would keep the failed run's tensors alive.
        self.stock.make_room(model)
        again = cheaper(way, on_cpu=self.place.device.type == "cpu") if way else None
        self._watcher.say(again.said if again else "memory ran out; once more with nothing else loaded")
        if again and again.offload != "none":
            self._ways[model_key(model)] = again  # or every picture would load the model twice
        try:
            return work(again or way)
        except (RuntimeError, MemoryError) as error:
            if not device.ran_out(error):
                raise
            message = f"{size} with {model.name} needs more memory than {self.place.device} has free"
            raise RunError(message, hint="try a smaller picture", code="out-of-memory") from error

    @torch.inference_mode()
    def _draw(self, asked: Generation, way: Way) -> Made:
        if (untouched := request.passed_through(asked)) is not None:
            return untouched
        self.stock.offload(way.offload)
        made = self._drawn(asked, self.desk(way.tiled))
        return replace(made, facts={**made.facts, **way.facts})

    def _drawn(self, asked: Generation, desk: Desk) -> Made:
        if family := piped_family(asked.model):
            check_can(family, asked)
            prepared = request.prepare(asked, self._watcher.say, family.multiple)
            return draw_piped(self.stock.piped(prepared, family), prepared, desk)
        model = self.stock.dressed(asked)
        prepared = request.prepare(asked, self._watcher.say, max(8, model.factor))
        refiner = self.stock.checkpoint(asked.refiner) if asked.refiner else None
        with seamless(asked.seamless, model.unet, model.vae, *([refiner.unet] if refiner else [])):
            return draw(model, prepared, desk, refiner)

    @torch.inference_mode()
    def _enlarge(self, asked: Enlargement) -> Made:
        return enlarge(self.stock.upscaler(asked.model), asked, self._watcher.tick)
