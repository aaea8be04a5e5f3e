"""Room on the disk: what takes it, and emptying the trash."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke_shell.shell.workbench import Workbench

__all__ = ["emptied", "in_trash", "rows"]


def in_trash(folder: Path, older: float = 0.0) -> list[tuple[Path, int, float]]:
    """(file, bytes, when it came) of what has been in the trash for `older` seconds and more, the newest last."""
    now = time.time()
    return sorted((f for f in _files(folder) if now - f[2] >= older), key=lambda f: f[2])


def emptied(folder: Path, older: float = 0.0) -> tuple[int, int]:
    """Delete what has been in the trash that long; how many files, and their bytes."""
    count = size = 0
    for path, room, _ in in_trash(folder, older):
        with suppress(OSError):
            path.unlink()
            count, size = count + 1, size + room
    return count, size


def rows(bench: Workbench) -> Iterator[tuple[str, int, int, str]]:
    """(what, files, bytes, where) of everything that grows."""
    home, keeper = bench.home, bench.keeper
    pictures = keeper.store.files()
    yield _these("pictures", pictures, _above(pictures) or keeper.results.folder())
    yield _of("trash", keeper.results.trash)
    yield _these("sessions", sorted(home.data.glob("sessions.db*")), home.data / "sessions.db")
    yield _of("sources", home.resources)
    yield _of("steps", home.cache / "steps")
    yield _of("models", home.models)
    yield _of("logs", home.log_file.parent)


def _these(name: str, paths: Iterable[Path], where: Path) -> tuple[str, int, int, str]:
    """As _of, of files by their paths: pictures may lie in many folders, beside those of other programs."""
    sizes = []
    for path in paths:
        with suppress(OSError):
            sizes.append(path.stat().st_size)
    return name, len(sizes), sum(sizes), str(where)


def _above(paths: Sequence[Path]) -> Path | None:
    """The folder that all of them are in; None where there is no such folder."""
    with suppress(ValueError):  # no files, or on several drives
        return Path(os.path.commonpath([path.parent for path in paths]))
    return None


def _of(name: str, folder: Path) -> tuple[str, int, int, str]:
    found = list(_files(folder))
    return name, len(found), sum(size for _, size, _ in found), str(folder)


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Every file under a folder; links are not followed, what vanishes meanwhile is left out."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            with suppress(OSError):
                about = path.lstat()
                yield path, about.st_size, about.st_mtime
