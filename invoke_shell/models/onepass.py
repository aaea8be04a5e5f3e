"""All hashes of a file in one read."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from invoke_shell.errors import BlockedError
from invoke_shell.models.files import Tick, quiet, reading, refusal, shown, stamp

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["PIECE", "USUAL", "algorithms", "hash_file"]

# autov1 looks at 64 KiB only, and is how pictures made before 2023 name their model.
USUAL = ("blake3", "sha256", "autov1")

# Measured with benchmarks/hashing.py --ways: 1 to 4 MiB stay in the processor's cache, 16 MiB fall out of it.
PIECE = 4 << 20
BUFFERS = 4  # pieces under way at once; with two a thread that is woken late leaves SHA-256 waiting: 1.07x the time
LONGEST = 1024  # bytes of a shake


class Hasher(Protocol):
    """What hashlib and blake3 have in common."""

    def update(self, data: memoryview, /) -> object:
        """Take the next bytes; gives the interpreter away while at it."""
        ...


class _Part:
    """SHA-256 of the bytes from `start` up to `stop` of a file."""

    def __init__(self, start: int, stop: int | None = None) -> None:
        self.start, self.stop, self.at = start, stop, 0
        self.hasher = hashlib.sha256()

    def update(self, data: memoryview, /) -> None:
        begin = max(0, self.start - self.at)
        end = len(data) if self.stop is None else max(0, self.stop - self.at)
        self.hasher.update(data[begin:end])
        self.at += len(data)


def algorithms() -> list[str]:
    """Every name that `hash_file` takes; a shake wants its length in bytes, as in shake_128:32."""
    return sorted({"blake3", "autov1", "autov3", *hashlib.algorithms_guaranteed})


def hash_file(path: Path, names: Sequence[str] = USUAL, tick: Tick = quiet, *, mapped: bool = False) -> dict[str, str]:
    """Hex digests of a file by name, in one read. mapped: by mapped.py where that is faster, which says who may.

    autov1: SHA-256 of 64 KiB from 1 MiB on (its first 8 digits are the old "model hash"). autov3: SHA-256 of what
    follows the header of a safetensors file. Both are given whole. tick: told the bytes read, may raise to stop.
    Raises BlockedError for a file that cannot be read or changes meanwhile, and for a name that is no algorithm.
    """
    wanted = dict.fromkeys(names)
    mapped = mapped and list(wanted) == ["blake3"]
    hashers = {name: _hasher(name, path, threads=mapped) for name in wanted}
    with reading(path) as file:
        before = os.fstat(file.fileno())
        if mapped:
            _feed_mapped(file, hashers["blake3"], before.st_size, tick)
        else:
            _feed(file, list(hashers.values()), before.st_size, tick)
        same = stamp(before) == stamp(os.fstat(file.fileno())) == stamp(path.stat())
    if not same:
        raise refusal(path, "changed while it was read", "try again when it is written completely")
    return {name: _hexdigest(name, hasher) for name, hasher in hashers.items()}


def _hasher(name: str, path: Path, *, threads: bool) -> Hasher:
    if name == "blake3":
        from blake3 import blake3

        # More threads over pieces that are read wait for each other (0.75x the speed), and beside SHA-256 take its
        # processor away.
        return blake3(max_threads=blake3.AUTO if threads else 1)
    if name == "autov1":
        return _Part(0x100000, 0x110000)
    if name == "autov3":
        return _Part(_header_end(path))
    bare, _, length = name.partition(":")
    sized = length.isdecimal() and 0 < int(length) <= LONGEST
    if bare in hashlib.algorithms_available and bare.startswith("shake_") == sized and (sized or not length):
        return hashlib.new(bare, usedforsecurity=False)
    hint = f"there is: {', '.join(algorithms())}; a shake wants its length in bytes, as in shake_128:32"
    raise BlockedError(f"there is no hash called {shown(name)}", hint=hint, code="bad-choice")


def _header_end(path: Path) -> int:
    """Where the tensors of a safetensors file begin."""
    with reading(path) as file:
        head = file.read(8)
        size = os.fstat(file.fileno()).st_size
    end = 8 + struct.unpack("<Q", head)[0] if len(head) == 8 else size + 1
    if end > size:
        raise refusal(path, "has no AutoV3: it is no whole safetensors file")
    return end


def _hexdigest(name: str, hasher: Hasher) -> str:
    if isinstance(hasher, _Part):
        return hasher.hasher.hexdigest()
    length = name.partition(":")[2]
    found: str = hasher.hexdigest(*([int(length)] if length else []))  # type: ignore[attr-defined]
    return found


def _feed_mapped(file: BinaryIO, hasher: Hasher, size: int, tick: Tick) -> None:
    from invoke_shell.models.mapped import feed

    with suppress(ValueError):  # the file is shorter now, which is told by its stamp
        feed(file, hasher, size, tick)


def _feed(file: BinaryIO, hashers: Sequence[Hasher], size: int, tick: Tick) -> None:
    """Give every hasher the whole file. One works here, each other in a thread of its own, three pieces behind at most.

    Tried: a thread for each and this one only reading; with two processors the handing over costs a fifth.
    """
    from concurrent.futures import ThreadPoolExecutor  # 4 ms; most starts hash nothing

    here, elsewhere = _shared_out(hashers)
    buffers = [memoryview(bytearray(PIECE)) for _ in range(BUFFERS if elsewhere else 1)]
    under_way: list[list[Future[object]]] = [[] for _ in buffers]
    pools = [ThreadPoolExecutor(1) for _ in elsewhere]
    done = 0
    try:
        for turn in cycle(range(len(buffers))):
            _settle(under_way[turn])  # the buffer is free again
            count = file.readinto(buffers[turn])  # type: ignore[attr-defined]  # unbuffered files have it
            if not count or done > size:
                break  # a file that grows faster than it is read would never end
            piece = buffers[turn][:count]
            under_way[turn] = [pool.submit(h.update, piece) for pool, h in zip(pools, elsewhere, strict=True)]
            for hasher in here:
                hasher.update(piece)
            done += count
            tick(done, size)
        _settle(future for work in under_way for future in work)
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def _shared_out(hashers: Sequence[Hasher]) -> tuple[list[Hasher], list[Hasher]]:
    """(those that work where the file is read, the others): what looks at a small part, and the first of the rest."""
    small = [h for h in hashers if isinstance(h, _Part) and h.stop is not None]
    rest = [h for h in hashers if h not in small]
    return small + rest[:1], rest[1:]


def _settle(work: Iterable[Future[object]]) -> None:
    for future in work:
        future.result()
