"""The engine: a request becomes a picture on this machine; tries again when memory runs out.

Models come from stock.py; drawing.py and enlarging.py do the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

import torch

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Enlargement, Generation
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Made, ModelRecord
from invoke_shell.runtime import device, recording, request
from invoke_shell.runtime._diffusers import Denoiser, import_libraries
from invoke_shell.runtime.batching import Batches, Drawn, Pace, may_join
from invoke_shell.runtime.conditioning import Embeddings
from invoke_shell.runtime.drawing import Desk, draw
from invoke_shell.runtime.enlarging import enlarge
from invoke_shell.runtime.estimate import estimate
from invoke_shell.runtime.piped import draw_piped
from invoke_shell.runtime.pipelines import check_can, piped_family
from invoke_shell.runtime.policy import SILENT, Beside, Policy, Watcher
from invoke_shell.runtime.seamless import seamless
from invoke_shell.runtime.sources import model_key
from invoke_shell.runtime.stock import Stock
from invoke_shell.runtime.together import drawn_together
from invoke_shell.runtime.ways import Way, cheaper, first_way

__all__ = ["DiffusersEngine"]

T = TypeVar("T")


class DiffusersEngine:
    """Runs Stable Diffusion 1, 2 and XL, and upscaler files; implements pipeline.context.Engine.

    One thread at a time. A batch of one, unless larger ones are asked for: they change the last bits of their pictures.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.place = device.find(self.policy)
        device.settle(self.policy, self.place)
        self.stock = Stock(self.place)
        self._embeddings = Embeddings()
        self._ways: dict[str, Way] = {}
        self._batches = Batches()
        self._paces: dict[tuple[str, Size], Pace] = {}
        self._watcher: Watcher = SILENT

    def watch(self, watcher: Watcher) -> Self:
        """From now on tell this one; a run's context."""
        self._watcher = watcher
        return self

    def warm(self, model: ModelRecord | None = None) -> None:
        """Import the libraries, and load a model, before anyone waits for them."""
        import_libraries()
        if model is not None:
            self.stock.warm(model)

    @property
    def batch(self) -> int | None:
        """Pictures it draws together at most; None is as many as is quickest."""
        return self.policy.batch

    def expect(self, requests: Sequence[Generation], row: int | None = None) -> None:
        """These will be asked for one by one, and may be drawn together; see pipeline.context.Engine."""
        self._batches.expect(requests, row)

    def generate(self, request: Generation) -> Iterator[Made]:
        """The picture of a request, drawn when the iterator is advanced; perhaps it was drawn with another."""
        if (ready := self._batches.taken(request)) is not None:
            for line in ready.said:
                self._watcher.say(line)
            yield ready.made
            return
        made = self._of_group(request)
        if made is None:
            first, size = self._first_way(request), str(request.size)
            made = self._with_memory(lambda way: self._draw(request, way or first), request.model, size, first)
        yield made

    def enlarge(self, request: Enlargement) -> Iterator[Made]:
        """The picture, enlarged when the iterator is advanced."""
        size = f"{request.image.width}x{request.image.height}"
        yield self._with_memory(lambda way: self._enlarge(request), request.model, size, None)

    def environment(self) -> Mapping[str, Any]:
        """Versions, device, threads, determinism; what a bit-exact replay needs to be equal."""
        return device.environment(self.policy, self.place)

    def memory(self) -> tuple[int, int] | None:
        """Bytes of the GPU that are free, and that it has; None without one."""
        return device.memory(self.place.device)

    def desk(self, tiled: bool = False) -> Desk:
        """What this engine draws with. tiled: the VAE works in tiles."""
        return Desk(
            place=self.place,
            embeddings=self._embeddings,
            watcher=self._watcher,
            previews=self.policy.previews,
            tiled=tiled,
        )

    def _of_group(self, asked: Generation) -> Made | None:
        """The picture of a request, drawn together with those that go with it; None where it is drawn alone."""
        if not may_join(asked) or piped_family(asked.model):
            return None
        pace = self._paces.setdefault((model_key(asked.model), asked.size), Pace())
        waiting, row = self._batches.waiting(asked), self._batches.row
        most = pace.next(waiting) if self.policy.batch is None else self.policy.batch
        group = self._batches.group(asked, most)
        if len(group) == 1 and waiting == 1:
            return None
        begun = time.perf_counter()
        try:
            drawn = self._draw_group(group)
        except (RuntimeError, MemoryError) as error:
            if not device.ran_out(error):
                raise
            self._watcher.mention(f"memory ran out with {len(group)} pictures together; this one is drawn alone")
            return None
        pace.learn(len(group), time.perf_counter() - begun)
        if row is not None:
            return drawn[row].made
        self._batches.ready = drawn[1:]
        return drawn[0].made

    @torch.inference_mode()
    def _draw_group(self, group: Sequence[Generation]) -> list[Drawn]:
        """Pictures of one shape; a single one too, so that its time can be compared."""
        way = self._first_way(group[0])
        self.stock.offload(way.offload)
        unet = self.stock.dressed(group[0]).unet
        first = self.desk(way.tiled)
        besides = [Beside(self._watcher) for _ in group[1:]]
        desks = [first, *(replace(first, watcher=beside, previews=False) for beside in besides)]
        draws = [partial(self._drawn, asked, desk) for asked, desk in zip(group, desks, strict=True)]
        made = drawn_together(unet, draws) if len(group) > 1 else [draws[0](unet)]
        lines = [(), *(beside.lines for beside in besides)]
        return [
            Drawn(asked=asked, made=_in_batch(one, len(group), n, way), said=said)
            for n, (asked, one, said) in enumerate(zip(group, made, lines, strict=True))
        ]

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
        self._watcher.mention(again.said if again else "memory ran out; once more with nothing else loaded")
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

    def _drawn(self, asked: Generation, desk: Desk, unet: Denoiser | None = None) -> Made:
        """unet: in the place of the model's own, with its weights: the seat of a batch."""
        if family := piped_family(asked.model):
            check_can(family, asked)
            prepared = request.prepare(asked, desk.watcher.say, family.multiple)
            return draw_piped(self.stock.piped(prepared, family), prepared, desk)
        model = self.stock.dressed(asked)
        model = replace(model, unet=unet) if unet is not None else model
        prepared = request.prepare(asked, desk.watcher.say, max(8, model.factor))
        refiner = self.stock.checkpoint(asked.refiner) if asked.refiner else None
        with seamless(asked.seamless, model.unet, model.vae, *([refiner.unet] if refiner else [])):
            return draw(model, prepared, desk, refiner)

    @torch.inference_mode()
    def _enlarge(self, asked: Enlargement) -> Made:
        return enlarge(self.stock.upscaler(asked.model), asked, self._watcher.tick)


def _in_batch(made: Made, size: int, index: int, way: Way) -> Made:
    """A picture with its place in the batch among its facts: its last bits depend on it."""
    return replace(made, facts={**made.facts, "batch": {"size": size, "index": index}, **way.facts})
