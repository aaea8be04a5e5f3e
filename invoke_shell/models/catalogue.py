"""Which models there are and how they are found: the one in the box, the home's folder, and what was added or scanned.

Nothing is loaded here. A model is found by name, key, path or hash; the hash decides, the name is for people.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError
from invoke_shell.models.contents import Contents, Verdict
from invoke_shell.models.files import Tick, quiet, refusal, shown
from invoke_shell.models.hashing import Digests
from invoke_shell.records import ModelRecord

if TYPE_CHECKING:
    from invoke_shell.models.convert import Converted
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.rows import Rows
    from invoke_shell.models.scan import Scanned
    from invoke_shell.models.sources import Source

__all__ = ["ASSETS", "Catalogue"]

ASSETS = Path(__file__).resolve().parent.parent / "assets"
AT_ONCE = 1_000_000_000  # bytes that are hashed, unasked, to find a model by its hash
DIGITS = "0123456789abcdef"
PARTED = ("components", "checkpoint")  # kinds of folders with text encoders and a VAE in them
ENOUGH = 6  # hex digits that a hash may be shortened to


class Catalogue:
    """The models of one home. folders: the home's own, always looked into. path: catalogue.db; None is memory alone.

    Threads may share it. All methods raise BlockedError for what cannot be found or used, and OutputError when
    another program holds the file.
    """

    def __init__(
        self, folders: Sequence[Path] = (), digests: Digests | None = None, *, path: Path | None = None
    ) -> None:
        self.folders = list(folders)
        self.digests = digests or Digests()
        self.path = path
        self._contents = Contents(lambda: self._rows, self.digests)
        self._lock = threading.RLock()
        self._seen: dict[str, int] | None = None
        self._examined: dict[Path, Entry] = {}

    @cached_property
    def _rows(self) -> Rows:
        from invoke_shell.models.rows import Rows

        return Rows(self.path)

    @cached_property
    def _box(self) -> list[Entry]:
        """What comes with the program; never in the file, because two installations may share a home."""
        return [self._boxed(path) for path in _box_paths()]

    def _boxed(self, path: Path) -> Entry:
        from invoke_shell.models.examine import examined  # not before a model is asked for

        if path not in self._examined:
            self._examined[path] = examined(path, "box")
        return self._examined[path]

    def watch(self, told: Callable[[Entry], AbstractContextManager[Tick]]) -> None:
        """From now on tell this one of a model that must be read whole before anything else can be done."""
        self._contents.watch = told

    def notices(self) -> list[str]:
        """Sentences about the file that were not said yet."""
        return self._rows.notices() if "_rows" in self.__dict__ else []

    # -- what lines, replays and menus ask ---------------------------------------------------------------------------

    def find(self, text: str, kind: str = "checkpoint", *, read: int | None = None) -> ModelRecord:
        """The model a word names: name, `name@9f21c0`, path, key, or 6 and more hash digits.

        read: bytes of the largest model whose content is read where its hash is not known, None for any; the hash of a
        larger one is "".
        """
        found = self._contents.fresh(self._named(text, kind))
        return (self.hash(found) if read is None or found.finding.bytes <= read else found).record

    def hashed(self, model: ModelRecord, tick: Tick = quiet) -> ModelRecord:
        """A model that was found, with its hash, read by a process of low priority.

        Raises BlockedError when its file is another since.
        """
        entry = self._contents.fresh(self._at(model.path, model.kind))
        if entry.stamp != model.stamp:
            raise refusal(entry.path, "changed since it was found", "run the line again")
        return replace(self._contents.hash_apart(entry, tick).record, name=model.name)

    def weighed(self, model: ModelRecord, tick: Tick = quiet) -> None:
        """Learn the identity of a found model's weights, by a process of low priority. Raises BlockedError."""
        self._contents.weigh_apart(self._at(model.path, model.kind), tick)

    def by_hash(self, text: str, kind: str = "checkpoint", *, read: int | None = None) -> ModelRecord | None:
        """The model with this hash, or whose hash digits begin so (6 or more); None when there is none.

        read: bytes that may be read, of all models whose hash is not known together; None for AT_ONCE.
        """
        found = self._by_hash(text, kind, read)
        return found.record if found is not None else None

    def all(self, kind: str = "checkpoint") -> Iterator[ModelRecord]:
        """Every model of a kind; hashes where they are known."""
        return (entry.record for entry in self.entries(kind))

    def entries(self, kind: str = "") -> list[Entry]:
        """Every model, or those of a kind, by name; the box first."""
        self._refresh()
        return [e for e in self._box if not kind or e.kind == kind] + self._rows.all(kind)

    def entry(self, text: str, kind: str = "") -> Entry:
        """The model of any kind that a person means by a word."""
        if kind or _is_path(text):
            return self._named(text, kind)
        found = {e.kind: e for e in self.entries() if text in (e.name, e.key) or e.name == text.partition("@")[0]}
        if len(found) > 1:
            hint = f"say which with --kind {' or --kind '.join(found)}"
            raise BlockedError(f"{len(found)} models are called {shown(text)}", hint=hint, code="unknown-model")
        return next(iter(found.values()), None) or self._named(text, "")

    # -- what the command does ---------------------------------------------------------------------------------------

    def add(
        self, path: Path, *, name: str = "", kind: str = "", source: str = "", original: Mapping[str, str] | None = None
    ) -> Entry:
        """Put a file or folder into the catalogue; it stays where it is. kind: for a file that nobody can tell."""
        from invoke_shell.models.examine import examined

        path = path.expanduser().absolute()
        entry = replace(examined(path, "added", name=name, source=source), original=original or {})
        if kind:
            entry = replace(entry, finding=replace(entry.finding, kind=kind))
        if not entry.kind:
            hint = f"if you know what it is: models add {shown(path)} --kind upscaler, for one"
            raise refusal(path, f"is {entry.finding.reason}", hint)
        (kept,) = self._rows.put([entry], self._taken)
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

        return scan(self._rows, [f.expanduser() for f in folders], "scanned", self._taken, tick)

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

    # -- finding -----------------------------------------------------------------------------------------------------

    def _named(self, text: str, kind: str) -> Entry:
        if kind == "components":
            return self._components(text)
        name, at, digits = text.partition("@")
        if _is_path(text):
            return self._at(text, kind)
        boxed = next((self._boxed(p) for p in _box_paths() if name in (p.name, p.stem)), None)
        if boxed is not None and kind in ("", boxed.kind):  # without opening the file: most lines need no other
            return self._exactly(boxed, digits, kind) if at else boxed
        entries = self.entries(kind)
        named = next((e for e in entries if e.name == name or (e.key and e.key == text)), None)
        if named is not None and at:
            return self._exactly(named, digits, kind)
        if entry := named or self._by_hash(digits if at else text, kind):
            return entry
        from invoke_shell.models.words import mistaken, unknown

        other = next((e for e in self.entries() if e.name == name), None) if kind else None
        raise mistaken(other, kind) if other else unknown(text, kind, entries)

    def _exactly(self, named: Entry, digits: str, kind: str) -> Entry:
        """What `name@digits` means: the hash decides, the name is for people. Raises BlockedError for another one."""
        named = self.hash(named)
        found = named if named.is_or_was(digits.lower()) else self._by_hash(digits, kind)
        if found is None:
            from invoke_shell.models.words import another

            raise another(named, digits)
        return found

    def _by_hash(self, text: str, kind: str, read: int | None = None) -> Entry | None:
        """Of several with one content the first. Raises BlockedError when several contents begin so."""
        scheme, _, digits = text.lower().rpartition(":")
        if len(digits) < ENOUGH or not all(c in DIGITS for c in digits):
            return None
        entries = [self._read_box(e) if e.origin == "box" else e for e in self.entries(kind) if _is_of(e, scheme)]
        silent = [e for e in entries if not e.hash]
        found = self._beginning(entries, digits)
        if not found and sum(e.finding.bytes for e in silent) <= (AT_ONCE if read is None else read):
            found = self._beginning([self._read(e) for e in silent], digits)
        found = [e for e in found if e.is_now(digits)] or found  # before what was converted from it
        if len({e.hash for e in found}) > 1:
            names = ", ".join(e.record.text for e in found)
            raise BlockedError(f"several models' hashes begin with {digits}: {names}", code="unknown-model")
        return found[0] if found else None

    def _beginning(self, entries: Sequence[Entry], digits: str) -> list[Entry]:
        """Those with a hash that begins so and that are still what they were."""
        found = [e for e in entries if e.is_or_was(digits)]
        return [e for e in found if e.path.exists() and self._contents.fresh(e).hash]

    def _read(self, entry: Entry) -> Entry:
        """With its hash; a model that cannot be read goes without."""
        try:
            return self.hash(entry)
        except BlockedError:
            return entry

    def _read_box(self, entry: Entry) -> Entry:
        """With its hash, looked for once: what comes with the program does not change while it runs."""
        if not self._examined[entry.path].hash:
            self._examined[entry.path] = self.hash(entry)
        return self._examined[entry.path]

    def _components(self, text: str) -> Entry:
        """A folder with text encoders and a VAE, by name or path: of loose files, or a diffusers folder."""
        from invoke_shell.models.words import mistaken, unknown

        if _is_path(text):
            found = self._at(text, "")
            if found.kind not in PARTED or found.finding.format != "folder":
                raise mistaken(found, "components", found.path)
            return found
        entries = [e for kind in PARTED for e in self.entries(kind) if e.finding.format == "folder"]
        name, _, digits = text.partition("@")
        for entry in entries:
            if entry.name == name and (not digits or self.hash(entry).hash.rpartition(":")[2].startswith(digits)):
                return entry
        raise unknown(text, "components", entries)

    def _at(self, text: str, kind: str) -> Entry:
        """The model at a path, in the catalogue or not."""
        from invoke_shell.models.examine import examined
        from invoke_shell.models.words import mistaken

        path = Path(text).expanduser().absolute()
        entry = self._rows.at(path) or examined(path, "added")
        if kind and entry.kind != kind:
            raise mistaken(entry, kind, path)
        return entry

    # -- the home's folder -------------------------------------------------------------------------------------------

    @property
    def _taken(self) -> set[str]:
        return {e.name for e in self._box}

    def _refresh(self) -> None:
        """Take in what lies in the home's folders; nothing is done while no folder changed."""
        with self._lock:
            if self._seen is not None and all(_mtime(p) == m for p, m in self._seen.items()):
                return
            folders = [f for f in self.folders if f.is_dir()]
            if not folders:
                return
            from invoke_shell.models.scan import scan

            self._seen = scan(self._rows, folders, "home", self._taken).folders


def _box_paths() -> list[Path]:
    folders = sorted(p for p in ASSETS.iterdir() if (p / "model_index.json").is_file())
    return [*folders, *sorted(ASSETS.glob("*/*.safetensors"))]


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


def _is_path(text: str) -> bool:
    """Whether a word is a path and no name: it has a separator, or begins as paths do."""
    return "/" in text or "\\" in text or text.startswith((".", "~"))


def _is_of(entry: Entry, scheme: str) -> bool:
    """Whether a model may have a hash of a scheme: trees are folders, all else are files."""
    return not scheme or (scheme == "blake3-tree") == (entry.finding.format == "folder")
