"""The engine: a request becomes a picture on this machine; tries again when memory runs out.

Models come from stock.py; drawing.py and enlarging.py do the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

import torch

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Enlargement, Generation
from invoke_shell.records import Made, ModelRecord
from invoke_shell.runtime import device, request
from invoke_shell.runtime._diffusers import import_libraries
from invoke_shell.runtime.conditioning import Embeddings
from invoke_shell.runtime.drawing import Desk, draw
from invoke_shell.runtime.enlarging import enlarge
from invoke_shell.runtime.piped import draw_piped
from invoke_shell.runtime.pipelines import check_can, piped_family
from invoke_shell.runtime.policy import SILENT, Once, Policy, Watcher
from invoke_shell.runtime.seamless import seamless
from invoke_shell.runtime.stock import Stock

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
        yield self._with_memory(lambda tiled: self._draw(request, tiled), request.model, str(request.size))

    def enlarge(self, request: Enlargement) -> Iterator[Made]:
        """The picture, enlarged when the iterator is advanced."""
        size = f"{request.image.width}x{request.image.height}"
        yield self._with_memory(lambda tiled: self._enlarge(request), request.model, size)

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

    def _with_memory(self, work: Callable[[bool], T], model: ModelRecord, size: str) -> T:
        """Do the work; when memory runs out, make room and try once more with the VAE in tiles."""
        try:
            return work(False)
        except (RuntimeError, MemoryError) as error:
            if not device.ran_out(error):
                raise
        # Outside of the handler, whose traceback would keep the failed run's tensors alive.
        self.stock.make_room(model)
        try:
            return work(True)
        except (RuntimeError, MemoryError) as error:
            if not device.ran_out(error):
                raise
            message = f"{size} with {model.name} needs more memory than {self.place.device} has free"
            raise RunError(message, hint="try a smaller picture", code="out-of-memory") from error

    @torch.inference_mode()
    def _draw(self, asked: Generation, tiled: bool) -> Made:
        if (untouched := request.passed_through(asked)) is not None:
            return untouched
        if family := piped_family(asked.model):
            check_can(family, asked)
            prepared = request.prepare(asked, self._watcher.say, family.multiple)
            return draw_piped(self.stock.piped(prepared, family), prepared, self.desk(tiled))
        model = self.stock.dressed(asked)
        prepared = request.prepare(asked, self._watcher.say, max(8, model.factor))
        refiner = self.stock.checkpoint(asked.refiner) if asked.refiner else None
        with seamless(asked.seamless, model.unet, model.vae, *([refiner.unet] if refiner else [])):
            return draw(model, prepared, self.desk(tiled), refiner)

    @torch.inference_mode()
    def _enlarge(self, asked: Enlargement) -> Made:
        return enlarge(self.stock.upscaler(asked.model), asked, self._watcher.tick)
