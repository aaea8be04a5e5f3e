"""Files of models: what tells one apart from another, and what is wrong with one as a sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from invoke_shell.errors import BlockedError, nearest
from invoke_shell.pipeline.text import quote_word

__all__ = ["PICKLES", "WEIGHTS", "Tick", "quiet", "reading", "refusal", "shown", "size_text", "stamp", "stamp_of"]

WEIGHTS = (".safetensors", ".sft", ".gguf")  # endings of what may be a model
PICKLES = (".ckpt", ".pt", ".pth", ".bin")

# (done, of all): bytes or files. Called often and cheaply; raises Cancelled to stop.
Tick: TypeAlias = Callable[[int, int], None]


def quiet(done: int, total: int) -> None:
    """A Tick for nobody."""


def shown(path: Path | str) -> str:
    """A path as it would be typed: quoted where it must be, escaped where it cannot be printed."""
    return quote_word(str(path))


def stamp(found: os.stat_result) -> str:
    """`device:inode:bytes:mtime_ns`: another text when a file was replaced or written to."""
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def stamp_of(path: Path) -> str:
    """The stamp of a file. Raises BlockedError."""
    try:
        return stamp(path.stat())
    except OSError as error:
        raise _unreadable(path, error) from error


def refusal(path: Path, why: str, hint: str = "") -> BlockedError:
    """A file or folder that is no usable model: `PATH is cut short`."""
    return BlockedError(f"{shown(path)} {why}", hint=hint, code="bad-model")


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A file, open, without a buffer. What the system refuses is raised as BlockedError."""
    try:
        with path.open("rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BlockedError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return BlockedError(f"there is no model at {shown(path)}", hint=_near(path), code="unknown-model")
    return refusal(path, f"cannot be read: {(error.strerror or str(error)).lower()}")


def _near(path: Path) -> str:
    """A hint at the file beside that may be meant, or at the first folder that is not there."""
    folder = next((p for p in path.parents if p.is_dir()), path.parent)
    if folder != path.parent:
        return f"there is no folder {shown(folder / path.relative_to(folder).parts[0])}"
    try:
        near = nearest(path.name, (e.name for e in os.scandir(folder)))
    except OSError:
        return ""
    return f"did you mean {shown(folder / near)}?" if near else ""


def size_text(count: int) -> str:
    """`6.5 GB`, in thousands, as disks are sold and downloads are counted."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 999.5 * size else f"{count / size:.0f} {unit}"
    return f"{count} B"
