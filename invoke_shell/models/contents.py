"""The content of models: hashes and identities of weights, kept in the catalogue for as long as a file is unchanged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from invoke_shell.errors import BlockedError
from invoke_shell.models.files import Tick, quiet, refusal, shown, stamp_of
from invoke_shell.models.hashing import Digests, loaded_files, tree_hash

if TYPE_CHECKING:
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.rows import Rows

__all__ = ["Contents", "Verdict"]

LARGE = 500_000_000  # bytes of a folder; for less the process is not started
Verdict = Literal["unchanged", "hashed", "changed", "damaged", "gone"]


class Contents:
    """Reads models and keeps what was found. rows: the catalogue's file, opened when it is needed.

    watch: gives who is told of a model that must be read whole before anything else can be done.
    """

    def __init__(self, rows: Callable[[], Rows], digests: Digests) -> None:
        self._rows = rows
        self.digests = digests
        self.watch: Callable[[Entry], AbstractContextManager[Tick]] = lambda entry: nullcontext(quiet)

    def fresh(self, entry: Entry) -> Entry:
        """The model as its file is now: looked at again when it was written to. Raises BlockedError when it is gone."""
        if not entry.path.exists():
            hint = f"models scan its new folder, or models remove {entry.name}"
            message = f"{entry.name} is no longer at {shown(entry.path)}"
            raise BlockedError(message, hint=hint, code="unknown-model")
        from invoke_shell.models.examine import examined, stamp_at

        if stamp_at(entry.path) != entry.stamp:
            now = examined(entry.path, entry.origin)
            entry = self.kept(entry, stamp=now.stamp, finding=now.finding, hash="", hashes={}, weights={})
        return entry

    def hash(self, entry: Entry, tick: Tick | None = None) -> Entry:
        """The model with its hashes, read where they are not known. tick: bytes; may raise to stop; None: `watch`."""
        entry = self.fresh(entry)
        if not entry.hash:
            with self.watch(entry) if tick is None else nullcontext(tick) as told:
                entry = self.kept(entry, **self._hashes(entry, told))
            self.digests.save()
        return entry

    def hash_apart(self, entry: Entry, tick: Tick = quiet) -> Entry:
        """The same, read by a process of low priority."""
        from invoke_shell.models import apart

        entry = self.fresh(entry)
        if not entry.hash:
            for stamp, digests in apart.hashes(entry.path, _wanted(entry), tick).items():
                self.digests.learn(stamp, digests)
        return self.hash(entry, tick)

    def weigh_apart(self, entry: Entry, tick: Tick = quiet) -> None:
        """Learn the identity of a model's weights, by a process of low priority. Raises BlockedError."""
        from invoke_shell.models import apart

        entry = self.fresh(entry)
        if entry.key and entry.unweighed:
            self.set_weights(entry, apart.weights(entry.path, tick))

    def verify(self, entry: Entry, tick: Tick = quiet) -> tuple[Verdict, Entry]:
        """Read a model anew and compare. damaged: its content is another although nothing wrote to it."""
        if not entry.path.exists():
            return "gone", entry
        before, was = entry.hash, entry.stamp
        for file in _files(entry.path):
            self.digests.forget(stamp_of(file))
        entry = self.fresh(entry)
        entry = self.kept(entry, **self._hashes(entry, tick), verified=time.time())
        self.digests.save()
        if not before:
            return "hashed", entry
        if entry.hash == before:
            return "unchanged", entry
        return ("damaged" if entry.stamp == was else "changed"), entry

    def set_weights(self, entry: Entry, weights: Mapping[str, str]) -> Entry:
        """Keep the identity of a model's weights, by part."""
        return self.kept(entry, weights=weights)

    def kept(self, entry: Entry, **fields: object) -> Entry:
        """With other fields, which the file keeps when the model is in it."""
        return self._rows().change(entry, **fields) if entry.key else replace(entry, **fields)  # type: ignore[arg-type]

    def _hashes(self, entry: Entry, tick: Tick) -> dict[str, object]:
        """Fields of its content: one read for a file. Raises BlockedError when it changed meanwhile."""
        from invoke_shell.models.examine import stamp_at

        if entry.path.is_dir():
            self._read_large(entry, tick)
            found: dict[str, object] = {"hash": tree_hash(entry.path, self.digests, tick), "hashes": {}}
        else:
            names = _wanted(entry)
            digests = self.digests.of(entry.path, names, tick)
            found = {"hash": f"blake3:{digests['blake3']}", "hashes": {n: digests[n] for n in names if n != "blake3"}}
        if stamp_at(entry.path) != entry.stamp:
            raise refusal(entry.path, "changed while it was read", "try again when it is written completely")
        return found

    def _read_large(self, entry: Entry, tick: Tick) -> None:
        """Learn the digests of a large folder's files from a process that may map them, which is faster."""
        unread = (f for f in _files(entry.path) if "blake3" not in self.digests.known(stamp_of(f)))
        if entry.finding.bytes >= LARGE and next(unread, None) is not None:
            from invoke_shell.models import apart

            for stamp, digests in apart.hashes(entry.path, _wanted(entry), tick, nice=0).items():
                self.digests.learn(stamp, digests)


def _wanted(entry: Entry) -> tuple[str, ...]:
    """The hashes that are made of a model's files: of a folder one, of a file all that others speak of."""
    from invoke_shell.models.onepass import USUAL

    if entry.path.is_dir():
        return USUAL[:1]
    return (*USUAL, "autov3") if entry.kind == "lora" and entry.finding.format == "file" else USUAL


def _files(path: Path) -> Iterator[Path]:
    yield from loaded_files(path) if path.is_dir() else [path]
