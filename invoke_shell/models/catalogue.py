"""The models of a home: which are here (shelf.py), which is meant (meaning.py), what is in them (contents.py).

Nothing is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError
from invoke_shell.models.contents import Contents, Verdict
from invoke_shell.models.files import Tick, quiet, refusal, shown
from invoke_shell.models.hashing import Digests
from invoke_shell.models.meaning import Meaning
from invoke_shell.models.shelf import ASSETS, Shelf
from invoke_shell.records import ModelRecord

if TYPE_CHECKING:
    from invoke_shell.models.convert import Converted
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.rows import Rows
    from invoke_shell.models.scan import Scanned
    from invoke_shell.models.sources import Source

__all__ = ["ASSETS", "Catalogue"]


class Catalogue:
    """The models of one home. folders: the home's own, always looked into. path: catalogue.db; None is memory alone.

    Threads may share it. All methods raise BlockedError for what cannot be found or used, and OutputError when
    another program holds the file.
    """

    def __init__(
        self, folders: Sequence[Path] = (), digests: Digests | None = None, *, path: Path | None = None
    ) -> None:
        self.folders = list(folders)
        self.path = path
        self.digests = digests or Digests()
        self._shelf = Shelf(self.folders, path)
        self._contents = Contents(lambda: self._rows, self.digests)
        self._meaning = Meaning(self._shelf, self._contents)

    @property
    def _rows(self) -> Rows:
        return self._shelf.rows

    def watch(self, told: Callable[[Entry], AbstractContextManager[Tick]]) -> None:
        """From now on tell this one of a model that must be read whole before anything else can be done."""
        self._contents.watch = told

    def notices(self) -> list[str]:
        """Sentences about the file that were not said yet."""
        return self._rows.notices() if self._shelf.is_open else []

    # -- what lines, replays and menus ask ---------------------------------------------------------------------------

    def find(self, text: str, kind: str = "checkpoint", *, read: int | None = None) -> ModelRecord:
        """The model a word names: name, `name@9f21c0`, path, key, or 6 and more hash digits.

        read: bytes of the largest model whose content is read where its hash is not known, None for any; the hash of a
        larger one is "".
        """
        found = self._contents.fresh(self._meaning.of_kind(text, kind))
        return (self.hash(found) if read is None or found.finding.bytes <= read else found).record

    def hashed(self, model: ModelRecord, tick: Tick = quiet) -> ModelRecord:
        """A model that was found, with its hash, read by a process of low priority.

        Raises BlockedError when its file is another since.
        """
        entry = self._contents.fresh(self._meaning.at(model.path, model.kind))
        if entry.stamp != model.stamp:
            raise refusal(entry.path, "changed since it was found", "run the line again")
        return replace(self._contents.hash_apart(entry, tick).record, name=model.name)

    def weighed(self, model: ModelRecord, tick: Tick = quiet) -> None:
        """Learn the identity of a found model's weights, by a process of low priority. Raises BlockedError."""
        self._contents.weigh_apart(self._meaning.at(model.path, model.kind), tick)

    def by_hash(self, text: str, kind: str = "checkpoint", *, read: int | None = None) -> ModelRecord | None:
        """The model with this hash, or whose hash digits begin so (6 or more); None when there is none.

        read: bytes that may be read, of all models whose hash is not known together; None for AT_ONCE.
        """
        found = self._meaning.by_hash(text, kind, read)
        return found.record if found is not None else None

    def all(self, kind: str = "checkpoint") -> Iterator[ModelRecord]:
        """Every model of a kind; hashes where they are known."""
        return (entry.record for entry in self.entries(kind))

    def entries(self, kind: str = "") -> list[Entry]:
        """Every model, or those of a kind, by name; the box first."""
        return self._shelf.entries(kind)

    def entry(self, text: str, kind: str = "") -> Entry:
        """The model that a person means by a word; kind "" for any."""
        return self._meaning.of_kind(text, kind) if kind else self._meaning.any_kind(text)

    # -- what the command does ---------------------------------------------------------------------------------------

    def add(
        self, path: Path, *, name: str = "", kind: str = "", source: str = "", original: Mapping[str, str] | None = None
    ) -> Entry:
        """Put a file or folder into the catalogue; it stays where it is. kind: for a file that nobody can tell."""
        from invoke_shell.models.examine import examined

        path = path.expanduser().absolute()
        entry = replace(examined(path, "added", name=name, source=source), original=original or {})
        if kind and entry.kind not in ("", kind):
            from invoke_shell.models.words import mistaken

            raise mistaken(entry, kind, path)
        if kind:
            entry = replace(entry, finding=replace(entry.finding, kind=kind))
        if not entry.kind:
            hint = f"if you know what it is: models add {shown(path)} --kind upscaler, for one"
            raise refusal(path, f"is {entry.finding.reason}", hint)
        (kept,) = self._rows.put([entry], self._shelf.taken)
        return self.rename(kept, name) if name and kept.name != entry.name else kept

    def remove(self, entry: Entry) -> None:
        """Take a model out of the catalogue; its file stays. What is in the home's folder would come back at once."""
        if entry.origin in ("box", "home"):
            where = "comes with the program" if entry.origin == "box" else f"lies in {shown(entry.path.parent)}"
            hint = "" if entry.origin == "box" else "move its file to be rid of it"
            raise BlockedError(f"{entry.name} {where} and is always there", hint=hint, code="bad-model")
        self._rows.drop([str(entry.path)])
        why = f"{shown(entry.path)} was removed: models add {shown(entry.path)} brings it back"
        self._rows.look({str(entry.path): (entry.stamp, why)})

    def rename(self, entry: Entry, name: str) -> Entry:
        """Give a model another name, which no other of its kind may have."""
        from invoke_shell.models.entry import clean_name
        from invoke_shell.models.words import taken

        if clean_name(name) != name:
            hint = f"as in: {clean_name(name)}"
            raise BlockedError(f"{shown(name)} cannot be the name of a model", hint=hint, code="bad-value")
        if entry.origin == "box":
            raise BlockedError(f"{entry.name} comes with the program and keeps its name", code="bad-model")
        there = next((e for e in self.entries(entry.kind) if e.name == name and e.key != entry.key), None)
        if there is not None:
            raise taken(there)
        return self._rows.change(entry, name=name)

    def scan(self, folders: Sequence[Path], tick: Tick = quiet) -> Scanned:
        """Take in what is in other programs' folders; again, only what is new since. tick: files looked at."""
        from invoke_shell.models.scan import scan  # only a scan pays for it

        return scan(self._rows, [f.expanduser() for f in folders], "scanned", self._shelf.taken, tick)

    def hash(self, entry: Entry, tick: Tick | None = None) -> Entry:
        """The model with its hashes, read where they are not known. tick: bytes; may raise to stop; None: `watch`."""
        return self._contents.hash(entry, tick)

    def verify(self, entry: Entry, tick: Tick = quiet) -> tuple[Verdict, Entry]:
        """Read a model anew and compare. damaged: its content is another although nothing wrote to it."""
        return self._contents.verify(entry, tick)

    def convert(
        self, source: Path, target: Path | None = None, tick: Tick = quiet
    ) -> tuple[Converted, Mapping[str, str]]:
        """Make a safetensors file of a pickle; with it what `add` takes as `original`. See convert.py."""
        from invoke_shell.models.convert import convert

        source = source.expanduser().absolute()
        before = self.digests.of(source, ("blake3", "sha256"), tick)
        done = convert(source, target.expanduser().absolute() if target is not None else None)
        return done, {"name": source.name, **before}

    def fetch(self, source: Source, *, name: str = "", kind: str = "", tick: Tick = quiet) -> Entry:
        """Download a model from a hub and add it. tick: bytes; see sources.py."""
        from invoke_shell.models.sources import download

        got = download(source, self.digests, tick)
        return self.hash(self.add(got.path, name=name, kind=kind, source=got.source))

    def set_weights(self, entry: Entry, weights: Mapping[str, str]) -> Entry:
        """Keep the identity of a model's weights, by part."""
        return self._contents.set_weights(entry, weights)

    def fact(self, name: str, value: str | None = None) -> str:
        """A text that is kept by name in this home; `value` replaces it. What it was."""
        before = self._rows.fact(name)
        if value is not None and value != before:
            self._rows.keep_fact(name, value)
        return before
