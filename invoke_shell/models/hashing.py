"""Content hashes of models: one file, or a folder as a tree. Equal for equal content, wherever it lies.

A file: plain blake3, the value b3sum prints. A folder: `blake3-tree:` over sorted (relative path, size, blake3) lines of
what is loaded: weights, tokenizer files and JSON configs of its components.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from invoke_shell.errors import BlockedError

__all__ = ["Digests", "file_hash", "loaded_files", "tree_hash"]

LOADED = (".safetensors", ".json", ".txt", ".model")
SKIPPED = ("safety_checker", "feature_extractor")  # never loaded
CHUNK = 4 << 20  # bytes; larger reads gained nothing on the disks tried

Key = tuple[int, int, int, int]


class Digests:
    """Hashes of files already read, by (device, inode, size, mtime_ns), kept in one JSON file of the cache folder.

    path None keeps them in memory. A changed file has another key and is read again.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.known: dict[str, str] = {}
        self.fresh = False
        if path is not None and path.exists():
            self.known = _load(path)

    def of(self, file: Path, read: Callable[[Path], str]) -> str:
        """The hash of a file, read only when it is not known."""
        stat = file.stat()
        key = f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
        if key not in self.known:
            self.known[key] = read(file)
            self.fresh = True
        return self.known[key]

    def save(self) -> None:
        """Write what was learned; a folder that cannot be written costs only the next start."""
        if self.path is None or not self.fresh:
            return
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self.known), encoding="utf-8")
            temporary.replace(self.path)
        except OSError:
            return
        self.fresh = False


def _load(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a cache: what cannot be read is made again
    return found if isinstance(found, dict) else {}


def file_hash(path: Path) -> str:
    """`blake3:` of a file's bytes, equal to b3sum's."""
    from blake3 import blake3

    hasher = blake3()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return "blake3:" + hasher.hexdigest()


def tree_hash(folder: Path, digests: Digests | None = None) -> str:
    """`blake3-tree:` of a diffusers folder. Raises BlockedError when nothing in it is loaded."""
    from blake3 import blake3

    digests = digests or Digests()
    lines = [
        f"{path.relative_to(folder).as_posix()}\t{path.stat().st_size}\t{digests.of(path, file_hash)}\n"
        for path in loaded_files(folder)
    ]
    if not lines:
        raise BlockedError(f"{folder.name} has no weights or configs in it", code="bad-model")
    return "blake3-tree:" + blake3("".join(lines).encode()).hexdigest()


def loaded_files(folder: Path) -> Iterator[Path]:
    """What of a diffusers folder is loaded, sorted by relative path: its index, and the files of its components."""
    parts = [p for p in folder.iterdir() if p.is_dir() and p.name not in SKIPPED and not p.name.startswith(".")]
    files = [p for part in parts for p in part.iterdir() if p.is_file() and p.suffix in LOADED]
    index = folder / "model_index.json"
    yield from sorted([*files, *([index] if index.is_file() else [])], key=lambda p: p.relative_to(folder).as_posix())
