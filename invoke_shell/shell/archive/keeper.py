"""What a session keeps: its lines, results and sources in this home, and how they are found again."""

from __future__ import annotations

import json
import logging
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import BlockedError, MetadataError, OutputError, nearest
from invoke_shell.metadata.files import sidecar
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.types import REFERENCE, Handle
from invoke_shell.records import Image, ModelRecord, StepRecord, digest, topological
from invoke_shell.shell.archive import store as stores
from invoke_shell.shell.archive.handles import numbers_text, resolve
from invoke_shell.shell.archive.journal import Written
from invoke_shell.shell.archive.outputs import free_names, write_both, write_new
from invoke_shell.shell.archive.pixels import Pixels
from invoke_shell.shell.archive.results import Parcel, Results, has_pixels
from invoke_shell.shell.archive.store import ResultRow, Store
from invoke_shell.shell.home import Home

if TYPE_CHECKING:
    # Loaded by what needs them: a keeper is made before the first prompt.
    from invoke_shell.pipeline.events import FrameDone
    from invoke_shell.pipeline.plan import Given, InputRef, Plan

__all__ = ["Keeper"]

# In a command of the system: a word or a flag's value, so that me@host and @types/node stay what they are.
HANDLE = re.compile(rf"(?<![^\s='\"(]){REFERENCE}(?![^\s'\");|&<>])")

log = logging.getLogger("invoke_shell.keeper")


class Keeper:
    """One session of one home. say: for what the person should know, one line each.

    run: the command file whose line is running and which of its lines that is; zeros for none.
    """

    def __init__(
        self,
        home: Home,
        registry: Registry,
        store: Store,
        session: stores.Session,
        results: Results,
        say: Callable[[str], None],
    ) -> None:
        self.home = home
        self.registry = registry
        self.store = store
        self.session = session
        self.results = results
        self.say = say
        self.sources = Pixels(home.resources, self._result_files, keeping=not store.in_memory)
        self.run = (0, 0)
        self.begun = time.perf_counter()
        self.names: dict[str, list[tuple[int, int]]] = {}
        self.exported: list[Written] = []
        self._taken: set[Path] = set()

    @property
    def session_name(self) -> str:
        return self.session.name

    def close(self) -> None:
        """Close the store. What could not be written is lost with this process, which is no news to the next one."""
        for n in self.results.unsaved:
            self.store.lose(n)
        self.store.close()

    # -- lines and results -------------------------------------------------------------------------------------------

    def begin(self, plan: Plan, resolved: str) -> int:
        """Remember a line with its plan before its first step."""
        from invoke_shell.pipeline.stored import to_plain

        self.begun = time.perf_counter()
        self.names.clear()
        self.exported.clear()
        self._taken.clear()
        kept = json.dumps(to_plain(plan, self.registry))
        return self.store.begin_line(self.session.id, plan.source, resolved, kept, len(plan.results), self.run)

    def begin_again(self, line: int) -> None:
        """A line that ended early goes on: what it had made belongs to its names."""
        self.begun = time.perf_counter()
        self.names.clear()
        self.exported.clear()
        self._taken.clear()
        for row in self.store.made_by_line(line):
            if row.name:
                self.names.setdefault(row.name, []).append((row.place, row.n))
        self.store.begin_again(line)

    def end(self, line: int, said: str, numbers: Sequence[int], status: stores.Status) -> None:
        """A line is over; its names are set now, all at once, and what it made can be undone."""
        self.store.end_line(line, status, time.perf_counter() - self.begun)
        named = {name: self._name(name, [n for _, n in sorted(places)]) for name, places in self.names.items()}
        if numbers or self.exported:
            gone, there = dict.fromkeys(numbers, "discarded"), dict.fromkeys(numbers, "done")
            self.store.journal.add(self.session.id, said, gone, there, self.exported, named)

    def give_name(self, name: str, numbers: list[int], said: str) -> None:
        """Let a name stand for results that are there; it can be undone."""
        self.store.journal.add(self.session.id, said, {}, {}, (), {name: self._name(name, numbers)})

    def _name(self, name: str, numbers: list[int]) -> tuple[list[int], list[int]]:
        """Let a name stand for pictures, said when it stood for others; those it stood for, and those now."""
        before = self.store.set_name(self.session.id, name, numbers)
        if not set(before) <= set(numbers):  # of a line that goes on a name only grows
            self.say(f"@{name} was {numbers_text(before)} and is {numbers_text(numbers)} now")
        return before, numbers

    def keep(
        self, line: int, event: FrameDone, parcel: Parcel, *, place: int, inner: bool, parents: tuple[int, ...]
    ) -> ResultRow:
        """Write a result's file, then its row. Raises OutputError; the picture is kept in memory then.

        place: among the line's results, from 0.
        """
        frame = event.frame
        seed = frame.values.get("seed")
        facts = stores.Facts(
            seed=None if seed is None else int(seed),
            title=str(frame.values.get("prompt", "") or frame.step.node),
            model=next((m.name for m in frame.step.models.values()), ""),
            metadata=parcel.packed.metadata,
            name=event.name,
            place=place,
            inner=inner,
            parents=parents,
            seconds=event.seconds,
        )
        if not parcel.form.lossless:
            self.sources.keep(frame.image, {"name": ""})  # the handle stands for these, not for what the file gives
        beside = parcel.packed.sidecar
        row = self.results.keep_picture(
            line, frame.image, lambda n: parcel.packed.data, facts, suffix=parcel.form.suffix, beside=beside
        )
        if beside:
            self._tell_beside(row.path, self.results.fault)
        if event.name:
            self.names.setdefault(event.name, []).append((place, row.n))
        return row

    def export(self, target: Path, parcel: Parcel, *, trusted: bool, again: bool = False) -> None:
        """Write a copy where the person said; nothing is overwritten. Raises OutputError.

        target: with its ending, or - for standard output. again: a line goes on, and may have written this picture
        before it ended.
        """
        data = parcel.packed.data
        if str(target) == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        if not trusted and not target.resolve().is_relative_to(self.results.folder().resolve()):
            message = f"{target} is outside the output folder, where a file may write only with --trust"
            raise OutputError(message, code="not-trusted")
        if again and (before := _same_picture(target, data)):
            self.say(f"{before} is there already")
            return
        # The second picture of one line may not fail because the first took the name.
        beside, fault = parcel.packed.sidecar, ""
        tag, exactly = f"save-{time.monotonic_ns()}", target not in self._taken
        if beside:
            written, fault = write_both(data, beside, target, tag=tag, exactly=exactly)
        else:
            written = write_new(data, target, tag=tag, exactly=exactly)
        self._taken.add(target)
        self.exported.append(Written(path=str(written.absolute()), hash=digest(data)))
        self.say(f"saved {written}" + (f"  {parcel.note}" if parcel.note else ""))
        if beside:
            self._tell_beside(written, fault)
        if beside and not fault:
            self.exported.append(Written(path=str(sidecar(written).absolute()), hash=digest(beside)))

    def _tell_beside(self, picture: Path, fault: str) -> None:
        """Where the JSON is that a picture has no room for; the picture is whole without it: a fault is only told."""
        if fault:
            self.say(f"what does not fit into {picture.name} is lost: {fault}")
        else:
            self.say(f"beside it: {sidecar(picture)}")

    def remember(self, name: str, text: str | None) -> None:
        """Keep a setting of the session; None forgets it."""
        self.store.set_setting(self.session.id, name, text)

    # -- handles -----------------------------------------------------------------------------------------------------

    def rows(self, text: str) -> list[ResultRow]:
        """The results a handle names. Raises BlockedError."""
        try:
            handle = Handle.parse(text)
        except ValueError as error:
            near = nearest(text, self.store.names(self.session.id))
            meant = Handle.meant(text) or (f"@{near}" if near else "")
            hint = f"did you mean {meant}?" if meant else ""
            raise BlockedError(f"{text} is not {error}", hint=hint, code="unknown-handle") from None
        if text[1:].isdigit() and int(text[1:]) in self.results.unsaved:
            return self.store.results(int(text[1:]))  # its file could not be written; it lives in memory
        return resolve(self.store, self.session.id, handle)

    def row(self, text: str) -> ResultRow:
        """The one result a handle names. Raises BlockedError."""
        found = self.rows(text)
        if len(found) != 1:
            message = f"{text} names {len(found)} pictures; one is wanted"
            raise BlockedError(message, hint=f"as in: {found[0].handle}", code="unknown-handle")
        return found[0]

    def handle(self, text: str) -> list[Given]:
        """The results of a handle, ready for a line. Raises BlockedError."""
        return [self.given(row) for row in self.rows(text)]

    def last(self) -> list[Given]:
        """All results of the last line that made any."""
        return [self.given(row) for row in self.store.last_results(self.session.id)]

    def pixels(self, digits: str) -> InputRef | None:
        """A picture of the person's by its pixel hash, or its first 12 digits and more: a kept source or a result."""
        return self.sources.find(digits)

    def given(self, row: ResultRow) -> Given:
        """A result with its history, if its file still has the recorded pixels; else the file as an atom."""
        from invoke_shell.metadata.decode import read_image
        from invoke_shell.pipeline.plan import Given
        from invoke_shell.shell.archive.given import flows_of, input_ref

        image, resource = read_image(self.results.data(row), row.path.name)
        path = row.path if row.n not in self.results.unsaved and row.trashed is None else None
        ref = input_ref(resource, path, None if path is not None else image)
        if image.hash != row.pixel_hash and (kept := self._unedited(row, image)) is not None:
            ref = kept
        elif image.hash != row.pixel_hash:
            self.say(f"{row.handle} was edited since it was made: it is taken as a file, without its history")
            return Given(ref=ref, handle=row.handle)
        step = _history(row)
        if step is None:
            return Given(ref=ref, handle=row.handle)
        return Given(
            ref=ref, step=step, values=flows_of(step, self.registry), handle=row.handle, model=_last_model(step)
        )

    def _unedited(self, row: ResultRow, image: Image) -> InputRef | None:
        """The pixels a lossy file was made from, if the file still gives back what was written."""
        from invoke_shell.metadata.decode import read_image
        from invoke_shell.metadata.read import form_of
        from invoke_shell.metadata.verdict import is_of

        form = form_of(json.loads(row.metadata or "{}"))
        kept = None if form.lossless else self.sources.find(row.pixel_hash)
        same = kept is not None and is_of(image, read_image(Path(kept.path))[0], form)
        return kept if same else None

    def _result_files(self, start: str) -> list[Path]:
        return [row.trashed or row.path for row in self.store.with_pixels(start)]

    def with_paths(self, command: str) -> str:
        """A system command with its handles replaced by quoted paths. Raises BlockedError."""
        return HANDLE.sub(lambda m: " ".join(shlex.quote(str(r.trashed or r.path)) for r in self.rows(m[0])), command)


def _same_picture(target: Path, data: bytes) -> Path | None:
    """The file under this name, or its next ones, that has these pixels."""
    from invoke_shell.metadata.decode import read_image

    wanted = read_image(data, target.name)[0].hash
    return next((p for p in takewhile(Path.exists, free_names(target)) if has_pixels(p, wanted)), None)


def _history(row: ResultRow) -> StepRecord | None:
    from invoke_shell.metadata.history import from_metadata, loads

    try:
        return from_metadata(loads(row.metadata))
    except MetadataError as error:
        log.warning("the history of %s cannot be read: %s", row.handle, error.message)
        return None


def _last_model(step: StepRecord) -> ModelRecord | None:
    models: list[Any] = [m for s in topological(step) for m in s.models.values() if m.kind == "checkpoint"]
    return models[-1] if models else None
