"""From a path to what the catalogue keeps of it."""

from __future__ import annotations

from pathlib import Path

from invoke_shell.models.entry import Entry, Origin, clean_name, name_of
from invoke_shell.models.files import stamp_of
from invoke_shell.models.hashing import folder_stamp
from invoke_shell.models.probe import look

__all__ = ["examined", "stamp_at"]


def examined(path: Path, origin: Origin, *, name: str = "", source: str = "") -> Entry:
    """What lies at a path, as an entry without key or hash. Raises BlockedError as `look` does."""
    wanted = clean_name(name or name_of(path, source))
    return Entry(name=wanted, path=path, finding=look(path), stamp=stamp_at(path), origin=origin, source=source)


def stamp_at(path: Path) -> str:
    """The stamp of a file or folder. Raises BlockedError."""
    return folder_stamp(path) if path.is_dir() else stamp_of(path)
