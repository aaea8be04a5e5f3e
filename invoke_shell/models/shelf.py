"""Which models are here: the one in the box, what lies in the home's folder, and what was added or scanned."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.rows import Rows

__all__ = ["ASSETS", "Shelf"]

ASSETS = Path(__file__).resolve().parent.parent / "assets"


class Shelf:
    """folders: the home's own, looked into whenever one of them changed. path: catalogue.db; None is memory alone.

    Threads may share it.
    """

    def __init__(self, folders: Sequence[Path], path: Path | None) -> None:
        self.folders = folders
        self.path = path
        self._lock = threading.RLock()
        self._seen: dict[str, int] | None = None
        self._examined: dict[Path, Entry] = {}

    @cached_property
    def rows(self) -> Rows:
        """The catalogue's file, opened when it is needed."""
        from invoke_shell.models.rows import Rows

        return Rows(self.path)

    @property
    def is_open(self) -> bool:
        """Whether anything needed the file."""
        return "rows" in self.__dict__

    @cached_property
    def box(self) -> list[Entry]:
        """What comes with the program; never in the file, because two installations may share a home."""
        return [self._boxed(path) for path in _box_paths()]

    @property
    def taken(self) -> set[str]:
        """Names that no other model may have."""
        return {e.name for e in self.box}

    def in_box(self, name: str) -> Entry | None:
        """What comes with the program under a name; no other file is opened for it."""
        return next((self._boxed(p) for p in _box_paths() if name in (p.name, p.stem)), None)

    def boxed(self, entry: Entry) -> Entry:
        """Keep what is known of one in the box by now."""
        self._examined[entry.path] = entry
        return entry

    def entries(self, kind: str = "") -> list[Entry]:
        """Every model, or those of a kind, by name; the box first."""
        self._refresh()
        return [e for e in self.box if not kind or e.kind == kind] + self.rows.all(kind)

    def at(self, path: Path) -> Entry:
        """The model at a path, in the catalogue or not. Raises BlockedError for what is none."""
        from invoke_shell.models.examine import examined

        return self.rows.at(path) or examined(path, "added")

    def _boxed(self, path: Path) -> Entry:
        from invoke_shell.models.examine import examined  # not before a model is asked for

        if path not in self._examined:
            self._examined[path] = examined(path, "box")
        return self._examined[path]

    def _refresh(self) -> None:
        """Take in what lies in the home's folders; nothing is done while no folder changed."""
        with self._lock:
            if self._seen is not None and all(_mtime(p) == m for p, m in self._seen.items()):
                return
            folders = [f for f in self.folders if f.is_dir()]
            if not folders:
                return
            from invoke_shell.models.scan import scan

            self._seen = scan(self.rows, folders, "home", self.taken).folders


def _box_paths() -> list[Path]:
    folders = sorted(p for p in ASSETS.iterdir() if (p / "model_index.json").is_file())
    return [*folders, *sorted(ASSETS.glob("*/*.safetensors"))]


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1
