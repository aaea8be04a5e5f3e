"""Brings the catalogue up to date with folders: new models, changed, moved and gone ones. Opens only what is new."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from invoke_shell.errors import BlockedError
from invoke_shell.models.entry import Entry, Origin
from invoke_shell.models.examine import examined
from invoke_shell.models.files import PICKLES, Tick, quiet, shown
from invoke_shell.models.finding import Finding
from invoke_shell.models.rows import Rows
from invoke_shell.models.walk import Candidate, Walk, walk

__all__ = ["Scanned", "refusal_text", "scan"]

BATCH = 200  # models that are written at once: a scan that is killed keeps them
# Folders whose safetensors files are upscalers, whatever their layout: the person put them there.
UPSCALERS = {"upscalers", "upscale_models", "esrgan", "realesrgan", "swinir", "scunet", "dat", "hat"}


@dataclass
class Scanned:
    """What a scan came upon. refused: path -> sentence, of files that are no models; gone: paths that are no more.

    faults: what could not be read. folders: all that were walked through, with their mtime_ns.
    """

    files: int = 0
    same: int = 0
    new: list[Entry] = field(default_factory=list)
    changed: list[Entry] = field(default_factory=list)
    moved: list[Entry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    folders: dict[str, int] = field(default_factory=dict)

    @property
    def pickles(self) -> list[str]:
        """Those of the refused that can be converted."""
        return [path for path in self.refused if path.lower().endswith(PICKLES)]


def scan(
    rows: Rows, folders: Sequence[Path], origin: Origin, taken: Collection[str] = (), tick: Tick = quiet
) -> Scanned:
    """Look through folders. taken: names that are somebody else's. tick: told the files looked at, may raise to stop.

    Raises BlockedError for a folder that is not there.
    """
    walks = {folder.absolute(): _walked(folder) for folder in folders}
    scanner = _Scanner(rows, origin, taken)
    scanner.out.folders = {path: mtime for w in walks.values() for path, mtime in w.folders.items()}
    scanner.out.faults = [fault for w in walks.values() for fault in w.faults]
    found = [candidate for w in walks.values() for candidate in w.found]
    try:
        for done, candidate in enumerate(found, 1):
            scanner.take(candidate)
            tick(done, len(found))
    finally:
        scanner.write()
    scanner.forget(walks)
    return scanner.out


def _walked(folder: Path) -> Walk:
    if folder.is_file():
        raise BlockedError(f"{shown(folder)} is a file", hint=f"models add {shown(folder)}", code="bad-model")
    if not folder.is_dir():
        raise BlockedError(f"there is no folder {shown(folder)}", code="missing-file")
    return walk(folder.absolute())


class _Scanner:
    def __init__(self, rows: Rows, origin: Origin, taken: Collection[str]) -> None:
        self.rows, self.origin, self.taken = rows, origin, taken
        self.known = rows.stamps()
        self.looked = rows.looked()
        self.paths = {stamp: path for path, stamp in self.known.items()}
        self.out = Scanned()
        self.waiting: list[tuple[list[Entry], Entry]] = []
        self.others: dict[str, tuple[str, str]] = {}

    def take(self, it: Candidate) -> None:
        """Look at a file, unless it was looked at before and is the same."""
        path = str(it.path)
        self.out.files += 1
        if self.known.get(path) == it.stamp:
            self.out.same += 1
        elif self.looked.get(path, ("", ""))[0] == it.stamp:
            self.out.refused[path] = self.looked[path][1]
        elif not self.is_elsewhere(it):
            self.open(it)

    def is_elsewhere(self, it: Candidate) -> bool:
        """Whether it is known under another path: the same file by a link, or moved from there."""
        before = self.paths.setdefault(it.stamp, str(it.path))
        if before == str(it.path) or before not in self.known:
            return before != str(it.path)
        if not Path(before).exists() and (entry := self.rows.at(Path(before))) is not None:
            self.out.moved.append(self.rows.change(entry, path=it.path, source=it.source))
            self.known[str(it.path)] = self.known.pop(before)
        return True

    def open(self, it: Candidate) -> None:
        try:
            entry = examined(it.path, self.origin, name=it.name, source=it.source)
        except BlockedError as error:
            self.refuse(it, refusal_text(error))
            return
        entry = replace(entry, finding=_by_place(entry.finding, it.path))
        if not entry.kind:
            self.refuse(it, f"{shown(it.path)} is {entry.finding.reason}")
            return
        self.waiting.append((self.out.changed if str(it.path) in self.known else self.out.new, entry))
        if len(self.waiting) >= BATCH:
            self.write()

    def refuse(self, it: Candidate, why: str) -> None:
        self.out.refused[str(it.path)] = why
        self.others[str(it.path)] = (it.stamp, why)

    def write(self) -> None:
        """Put what was found into the catalogue; a model that is none any more leaves it."""
        kept = self.rows.put((entry for _, entry in self.waiting), self.taken)
        for (where, _), entry in zip(self.waiting, kept, strict=True):
            where.append(entry)
        self.rows.drop(path for path in self.others if path in self.known)
        self.rows.look(self.others)
        self.waiting, self.others = [], {}

    def forget(self, walks: Mapping[Path, Walk]) -> None:
        """Drop what is gone; a folder in which nothing is left may be a disk that is not there today."""
        for folder, walked in walks.items():
            if walked.found or self.origin == "home":
                found = {str(c.path) for c in walked.found}
                below = (p for p in self.known if p.startswith(f"{folder}{os.sep}") and p not in found)
                self.out.gone += [p for p in below if not Path(p).exists()]
        self.rows.drop(self.out.gone)


def refusal_text(error: BlockedError) -> str:
    """A refusal on one line."""
    return f"{error.message}: {error.hint}" if error.hint else error.message


def _by_place(found: Finding, path: Path) -> Finding:
    """A network of no known layout in a folder of upscalers is one; only its reader will know more."""
    if found.kind or path.is_dir() or not UPSCALERS & {p.name.lower() for p in path.parents}:
        return found
    return replace(found, kind="upscaler", reason=f"it lies in a folder of upscalers; {found.reason}")
