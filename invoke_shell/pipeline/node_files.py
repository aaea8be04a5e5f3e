"""Nodes in files of one's own: each `.py` of a folder, as a package's entry point would name it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

__all__ = ["NodeFile", "node_files", "reachable"]


@dataclass(frozen=True)
class NodeFile:
    """Looks like an entry point: a name, a module to load, and no distribution."""

    path: Path
    dist: None = None

    @property
    def name(self) -> str:
        return self.path.name

    def load(self) -> ModuleType:
        """The file as a module of its own name. Raises ImportError when that is another's, and what the file raises."""
        module = import_module(self.path.stem)
        if not module.__file__ or Path(module.__file__).resolve() != self.path.resolve():
            raise ImportError(f"there is another module {self.path.stem}; give the file another name")
        return module


def node_files(folder: Path | None) -> list[NodeFile]:
    """The files of a folder in order; those that begin with _ are for the others to import."""
    if folder is None or not folder.is_dir():
        return []
    reachable(folder)
    return [NodeFile(path) for path in sorted(folder.glob("[!_]*.py")) if path.is_file()]


def reachable(folder: Path) -> None:
    """Let the folder's modules be imported: last of all, so that no file there becomes another's module."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
