"""Results of steps by content: a line of which the last stage changed runs only that stage.

One file a key, written beside and renamed, sealed with a hash: never half a result, never a wrong one. The folder
may be deleted at any time, and several processes may share it.
"""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from blake3 import blake3

from invoke_shell.pipeline.cache import Kept
from invoke_shell.records import Image, Made

__all__ = ["StepCache"]

MEMORY = 128 << 20
SEAL = 32  # bytes of the hash at a file's beginning
SUFFIX = ".step"
STALE = 3600.0  # seconds after which a file that was never renamed is litter


class StepCache:
    """Implements pipeline.cache.Cache. folder None: memory only. limit: bytes the folder may take.

    What cannot be read is not there; what cannot be written is kept in memory alone.
    """

    def __init__(self, folder: Path | None, limit: int = 1 << 30, memory: int = MEMORY) -> None:
        self._folder = folder
        self._limit = limit
        self._memory_limit = memory
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._written = limit  # so that the first write looks at what earlier processes left

    def get(self, key: str) -> Kept | None:
        """What was put under the key, or None."""
        data = self._memory.get(key) or self._read(key)
        if data is None:
            return None
        self._remember(key, data)
        return _unpacked(data)

    def put(self, key: str, kept: Kept) -> None:
        """Keep what one turn of a node gave."""
        try:
            data = _packed(kept)
        except (TypeError, ValueError):
            return  # a node's facts that are no JSON
        self._remember(key, data)
        if self._folder is not None:
            with suppress(OSError):
                self._write(self._path(key), data)

    def _remember(self, key: str, data: bytes) -> None:
        self._memory[key] = data
        self._memory.move_to_end(key)
        while sum(len(d) for d in self._memory.values()) > self._memory_limit:
            self._memory.popitem(last=False)

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key.rpartition(':')[2]}{SUFFIX}"

    def _read(self, key: str) -> bytes | None:
        if self._folder is None:
            return None
        try:
            path = self._path(key)
            sealed = path.read_bytes()
            os.utime(path)  # used now: it goes last
        except OSError:
            return None
        data = sealed[SEAL:]
        return data if blake3(data).digest() == sealed[:SEAL] else None

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        beside.write_bytes(blake3(data).digest() + data)
        beside.replace(path)
        self._written += len(data)
        if self._written > self._limit // 8:
            self._written = 0
            _sweep(path.parent, self._limit)


def _packed(kept: Kept) -> bytes:
    made = [{"mode": m.image.mode, "size": m.image.size, "facts": dict(m.facts)} for m in kept.made]
    line = json.dumps({"made": made, "said": list(kept.said)}, ensure_ascii=True, separators=(",", ":")).encode()
    return b"\n".join((line, b"".join(m.image.pixels for m in kept.made)))


def _unpacked(data: bytes) -> Kept:
    end = data.index(b"\n")
    head = json.loads(data[:end])
    return Kept(made=tuple(_pictures(head["made"], memoryview(data)[end + 1 :])), said=tuple(head["said"]))


def _pictures(head: list[dict[str, Any]], pixels: memoryview) -> Iterator[Made]:
    for entry in head:
        width, height = entry["size"]
        length = width * height * len(entry["mode"])
        image = Image(mode=entry["mode"], width=width, height=height, pixels=bytes(pixels[:length]))
        pixels = pixels[length:]
        yield Made(image=image, facts=entry["facts"])


def _sweep(folder: Path, limit: int) -> None:
    """Delete the longest unused until three quarters of the limit are left, and what was never finished."""
    found = []
    for path in folder.iterdir():
        with suppress(OSError):  # another process may sweep too
            stat = path.stat()
            if path.suffix == SUFFIX:
                found.append((stat.st_mtime, stat.st_size, path))
            elif path.suffix == ".tmp" and time.time() - stat.st_mtime > STALE:
                path.unlink()
    total = sum(size for _, size, _ in found)
    if total <= limit:
        return
    for _, size, path in sorted(found):
        if total <= limit * 3 // 4:
            return
        with suppress(OSError):
            path.unlink()
        total -= size
