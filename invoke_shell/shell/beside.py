"""Hashes of models are made beside the drawing: a picture waits for one only when it is finished first.

A model of some gigabytes takes seconds to read whole; loading it and drawing take longer. So a line runs with what is
known of the file (device, inode, size, time), a process of the lowest priority reads it, and what is written into the
picture is the hash. docs/models.md, "First use".
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from invoke_shell.errors import Cancelled, InvokeShellError
from invoke_shell.records import ModelRecord, StepRecord, topological

if TYPE_CHECKING:
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.models.files import Tick

__all__ = ["HashesBeside", "unhashed", "with_models"]

LOOKS = 0.1  # seconds between two looks at a hash that is waited for
FAREWELL = 2.0  # seconds the thread has to leave

log = logging.getLogger("invoke_shell.beside")


@dataclass(eq=False)
class _Job:
    """A model being read. read, total: bytes. found: its record with the hash; why: a sentence when there is none."""

    model: ModelRecord
    read: int = 0
    total: int = 0
    done: threading.Event = field(default_factory=threading.Event)
    found: ModelRecord | None = None
    why: str = ""


class HashesBeside:
    """The thread that reads models, one after the other; started when there is something to read.

    weighing: it also computes the identity of their weights, as long as nobody waits for a hash.
    """

    def __init__(self, catalogue: Catalogue, *, weighing: bool = False) -> None:
        self._catalogue = catalogue
        self._weighing = weighing
        self._jobs: dict[str, _Job] = {}
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hurried = False  # no Event: a signal handler sets it, which may have come inside the Event's own lock
        self._closing = threading.Event()
        self._current: _Job | None = None

    @property
    def reading(self) -> str:
        """`sd15 34 %`: the model that is read, and how far; "" when none is."""
        job = self._current
        return f"{job.model.name} {100 * job.read // max(1, job.total)} %" if job is not None else ""

    def begin(self, models: Iterable[ModelRecord]) -> None:
        """Read those whose hash is not known and that are not being read; returns at once."""
        self._hurried = False
        for model in models:
            before = self._jobs.get(model.stamp)
            if model.stamp and not model.hash and (before is None or before.why):
                self._jobs[model.stamp] = job = _Job(model, total=model.bytes)
                self._waiting.put(job)
        if self._thread is None and not self._waiting.empty():
            self._thread = threading.Thread(target=self._read_all, daemon=True, name="hashes")
            self._thread.start()

    def hashed(self, model: ModelRecord, tick: Tick) -> tuple[ModelRecord, str]:
        """The model with its hash, waited for; or as it is, and the sentence that says why. tick: (bytes, of)."""
        job = self._jobs.get(model.stamp)
        if job is None:
            return model, "it was not read"
        while not job.done.wait(LOOKS):
            if self._hurried:
                return model, "it was not read to its end"
            tick(job.read, job.total)
        return job.found or model, job.why

    def hurry(self) -> None:
        """Nobody waits any more in this run; the reading goes on. May be called by a signal handler."""
        self._hurried = True

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join(FAREWELL)

    def _read_all(self) -> None:
        while (job := self._waiting.get()) is not None and not self._closing.is_set():
            self._current = job
            try:
                job.found = self._catalogue.hashed(job.model, self._ticker(job))
            except InvokeShellError as error:
                job.why = error.message
                log.info("%s was not hashed: %s", job.model.name, error.message)
            finally:
                job.done.set()
            if self._weighing and job.found is not None and self._waiting.empty():
                self._weigh(job)
            self._current = None

    def _weigh(self, job: _Job) -> None:
        """The identity of its weights too, once nobody waits for a hash: it takes several times as long."""
        try:
            self._catalogue.weighed(job.model, self._ticker(job))
        except InvokeShellError as error:
            log.info("the weights of %s were not compared: %s", job.model.name, error.message)

    def _ticker(self, job: _Job) -> Tick:
        def tick(read: int, total: int) -> None:
            job.read, job.total = read, total
            if self._closing.is_set():
                raise Cancelled("the shell was left")

        return tick


def unhashed(last: StepRecord) -> list[ModelRecord]:
    """The models of a history that were found here and have no hash yet, each once."""
    models = {m.stamp: m for step in topological(last) for m in step.models.values() if m.stamp and not m.hash}
    return list(models.values())


def with_models(last: StepRecord, known: dict[str, ModelRecord]) -> StepRecord:
    """A history with other records of some models, by their stamps. No recursion: histories are long."""
    made: dict[str, StepRecord] = {}
    for step in topological(last):
        models = {name: known.get(m.stamp, m) if m.stamp else m for name, m in step.models.items()}
        inputs = {
            name: tuple(made[i.key] if isinstance(i, StepRecord) else i for i in items)
            for name, items in step.inputs.items()
        }
        made[step.key] = replace(step, models=models, inputs=inputs)
        _ = made[step.key].key  # while the inputs' keys are cached
    return made[last.key]
