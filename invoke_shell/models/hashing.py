"""Content hashes of models, kept for as long as a file is unchanged. Equal for equal content, wherever it lies.

A file: plain blake3, the value b3sum prints. A folder: `blake3-tree:` over sorted (relative path, size, blake3) lines
of what is loaded: weights, tokenizer files and JSON configs of its components.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from invoke_shell.models.files import Tick, quiet, refusal, stamp_of

__all__ = ["LOADED", "SKIPPED", "Digests", "file_hash", "folder_stamp", "loaded_files", "tree_bytes", "tree_hash"]

LOADED = (".safetensors", ".json", ".txt", ".model")
SKIPPED = ("safety_checker", "feature_extractor")  # never loaded


class Digests:
    """Hashes of files already read, by (device, inode, size, mtime_ns), kept in one JSON file of the cache folder.

    path None keeps them in memory. A changed file has another stamp and is read again. Threads may share it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._fresh: dict[str, dict[str, str]] = {}

    @cached_property
    def _kept(self) -> dict[str, dict[str, str]]:
        return _load(self.path) if self.path is not None else {}

    def known(self, stamp: str) -> Mapping[str, str]:
        """What is known of a stamp: hex digits by algorithm."""
        with self._lock:
            return {**self._kept.get(stamp, {}), **self._fresh.get(stamp, {})}

    def of(self, file: Path, names: Sequence[str] = ("blake3",), tick: Tick = quiet) -> Mapping[str, str]:
        """Hex digits of a file by algorithm; read only for what is not known. Raises as onepass.hash_file does."""
        from invoke_shell.models.onepass import hash_file  # most starts hash nothing

        before = stamp_of(file)
        missing = [name for name in names if name not in self.known(before)]
        if missing:
            self.learn(before, hash_file(file, missing, tick))
        return self.known(before)

    def learn(self, stamp: str, digests: Mapping[str, str]) -> None:
        """Keep hashes that were made elsewhere."""
        with self._lock:
            self._fresh[stamp] = {**self._fresh.get(stamp, {}), **digests}

    def forget(self, stamp: str) -> None:
        """The next look reads the file again."""
        with self._lock:
            self._kept.pop(stamp, None)
            self._fresh.pop(stamp, None)

    def save(self) -> None:
        """Write what was learned beside what others wrote; where that cannot be done, only the next start pays."""
        with self._lock:
            if self.path is None or not self._fresh:
                return
            self._kept = {**_load(self.path), **{s: dict(self.known(s)) for s in self._fresh}}
            if _write(self.path, json.dumps(self._kept)):
                self._fresh = {}


def _load(path: Path) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a cache: what cannot be read is made again
    return {s: d for s, d in found.items() if isinstance(d, dict)} if isinstance(found, dict) else {}


def _write(path: Path, text: str) -> bool:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        return False
    return True


def file_hash(path: Path) -> str:
    """`blake3:` of a file's bytes, equal to b3sum's. Raises BlockedError."""
    return "blake3:" + Digests().of(path)["blake3"]


def tree_hash(folder: Path, digests: Digests | None = None, tick: Tick = quiet) -> str:
    """`blake3-tree:` of a diffusers folder. Raises BlockedError when nothing in it is loaded."""
    from blake3 import blake3

    digests = digests or Digests()
    files = [(path, path.stat().st_size) for path in loaded_files(folder)]
    if not files:
        raise refusal(folder, "has no weights or configs in it", "a diffusers folder has a model_index.json")
    total, before = sum(size for _, size in files), 0
    lines = []
    for path, size in files:
        found = digests.of(path, ("blake3",), lambda done, _, before=before: tick(before + done, total))  # type: ignore[misc]
        lines.append(f"{path.relative_to(folder).as_posix()}\t{size}\tblake3:{found['blake3']}\n")
        before += size
    return "blake3-tree:" + blake3("".join(lines).encode()).hexdigest()


def tree_bytes(folder: Path) -> int:
    """Bytes of what is loaded of a folder."""
    return sum(path.stat().st_size for path in loaded_files(folder))


def folder_stamp(folder: Path) -> str:
    """Another text when a loaded file of a folder was added, taken away, replaced or written to."""
    from blake3 import blake3

    return "tree:" + blake3("\n".join(stamp_of(path) for path in loaded_files(folder)).encode()).hexdigest(16)


def loaded_files(folder: Path) -> Iterator[Path]:
    """What of a diffusers folder is loaded, sorted by relative path: its index, and the files of its components.

    A folder without an index is a component itself.
    """
    index = folder / "model_index.json"
    parts = [p for p in folder.iterdir() if p.is_dir() and p.name not in SKIPPED and not p.name.startswith(".")]
    files = [p for part in parts if index.is_file() for p in _loaded(part)] + ([index] if index.is_file() else [])
    yield from sorted(files or _loaded(folder), key=lambda p: p.relative_to(folder).as_posix())


def _loaded(part: Path) -> list[Path]:
    return [p for p in part.iterdir() if p.is_file() and p.suffix in LOADED]
