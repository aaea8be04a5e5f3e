"""Looks for models in folders as other programs lay them out, by names alone: no file is opened.

AUTOMATIC1111, ComfyUI, InvokeAI and any pile of folders are walked as they are. In Hugging Face's cache a model is the
snapshot that its `main` points to; the same files lie there a second time, as blobs, which are not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from invoke_shell.models.entry import is_generic, name_of
from invoke_shell.models.files import PICKLES, WEIGHTS, stamp
from invoke_shell.models.folders import INDEX
from invoke_shell.models.hashing import folder_stamp

__all__ = ["Candidate", "Walk", "walk"]

DEEPEST = 16
# Where programs keep what is no model, and a great deal of it.
SKIPPED = {"venv", "site-packages", "node_modules", "__pycache__", "python_embeded", "blobs", "outputs", "output"}
CACHE = "models--"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file or folder that may be a model. source: `hf:owner/name@revision` when it lies in such a cache."""

    path: Path
    name: str
    stamp: str
    source: str = ""


@dataclass
class Walk:
    """What was come upon. folders: those walked through, with their mtime_ns. faults: sentences."""

    found: list[Candidate] = field(default_factory=list)
    folders: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def walk(root: Path) -> Walk:
    """Everything below a folder that may be a model, in the order of names."""
    walker = _Walker()
    walker.enter(root, "", 0)
    return walker.walk


class _Walker:
    def __init__(self) -> None:
        self.walk = Walk()
        self.seen: set[tuple[int, int]] = set()

    def enter(self, folder: Path, source: str, depth: int) -> None:
        """Take what is in a folder. A folder that was there already, by another link, is not entered again."""
        try:
            here = folder.stat()
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda e: e.name)
        except OSError as error:
            self.walk.faults.append(f"{folder} cannot be read: {(error.strerror or str(error)).lower()}")
            return
        if (here.st_dev, here.st_ino) in self.seen or depth > DEEPEST:
            return
        self.seen.add((here.st_dev, here.st_ino))
        self.walk.folders[str(folder)] = here.st_mtime_ns
        names = {e.name for e in entries}
        if _is_model(names):
            self.take_folder(folder, source)
            return
        for entry in entries:
            self.take(entry, source, depth)

    def take(self, entry: os.DirEntry[str], source: str, depth: int) -> None:
        try:
            if entry.is_dir():
                self.take_inner(Path(entry.path), source, depth)
            elif entry.name.lower().endswith((*WEIGHTS, *PICKLES)) and entry.is_file():
                self.take_file(Path(entry.path), source, stamp(entry.stat()))
        except OSError as error:
            self.walk.faults.append(f"{entry.path} cannot be read: {(error.strerror or str(error)).lower()}")

    def take_inner(self, folder: Path, source: str, depth: int) -> None:
        if folder.name.startswith(CACHE):
            self.take_cached(folder, depth)
        elif not folder.name.startswith(".") and folder.name.lower() not in SKIPPED:
            self.enter(folder, source, depth + 1)

    def take_cached(self, folder: Path, depth: int) -> None:
        """A repository in Hugging Face's cache: the snapshot that main points to, else the newest."""
        snapshots = folder / "snapshots"
        try:
            revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            revision = ""
        if not revision or not (snapshots / Path(revision).name).is_dir():
            revision = max(_subfolders(snapshots), key=lambda p: p.stat().st_mtime_ns, default=snapshots).name
        if (snapshots / revision).is_dir():
            repository = folder.name.removeprefix(CACHE).replace("--", "/", 1)
            self.enter(snapshots / Path(revision).name, f"hf:{repository}@{revision}", depth + 2)

    def take_folder(self, folder: Path, source: str) -> None:
        self.take_file(folder, source, folder_stamp(folder))

    def take_file(self, path: Path, source: str, found: str) -> None:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            self.walk.faults.append(f"{os.fsencode(path)!r} has a name that is not Unicode: rename it")
            return
        self.walk.found.append(Candidate(path=path, name=name_of(path, source), stamp=found, source=source))


def _is_model(names: set[str]) -> bool:
    """Whether a folder of these files is a model as a whole: a pipeline, or one component with its config."""
    weights = any(n.endswith(".safetensors") and is_generic(n.removesuffix(".safetensors")) for n in names)
    return INDEX in names or ("config.json" in names and weights)


def _subfolders(folder: Path) -> Iterator[Path]:
    try:
        yield from (p for p in folder.iterdir() if p.is_dir())
    except OSError:
        return
