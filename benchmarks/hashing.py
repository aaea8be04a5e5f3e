"""Hashing a file: our one read against b3sum, and against other ways to read it; two hashes against one.

python -m benchmarks.hashing [--gigabytes 1] [--rounds 9] [--b3sum PATH] [--ways]

Every round does all of it once, in turn, so that a busy machine is busy for all. --ways adds readers that were tried.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest import mock

from blake3 import blake3

from benchmarks.table import machine, show
from invoke_shell.models import onepass
from invoke_shell.models.onepass import USUAL, hash_file

MIB = 1 << 20
BAR = 1.15


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model"
        _write(file, options.gigabytes)
        works = _works(file, options.b3sum)
        works |= _ways(file) if options.ways else {}
        times = _measured(works, options.rounds)
    print(machine())
    show(["what", "GB/s, median", "best", "processor s/GB"], [_row(n, t, options.gigabytes) for n, t in times.items()])
    return _verdict(times)


def _row(name: str, times: list[tuple[float, float]], gigabytes: float) -> list[str]:
    wall, spent = zip(*times, strict=True)
    return [name, *(f"{x:.2f}" for x in (gigabytes / median(wall), gigabytes / min(wall), median(spent) / gigabytes))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--b3sum", default=shutil.which("b3sum"), help="the program to compare with")
    parser.add_argument("--ways", action="store_true", help="other readers too")
    return parser.parse_args()


def _write(file: Path, gigabytes: float) -> None:
    with file.open("wb") as out:
        for _ in range(int(gigabytes * 1e9 / MIB)):
            out.write(os.urandom(MIB))


def _works(file: Path, b3sum: str | None) -> dict[str, Callable[[], object]]:
    works: dict[str, Callable[[], object]] = {
        "plain read": lambda: _read(file),
        "ours: blake3, read": lambda: hash_file(file, ("blake3",)),
        "ours: blake3, mapped": lambda: hash_file(file, ("blake3",), mapped=True),
        "ours: sha256": lambda: hash_file(file, ("sha256",)),
        "ours: blake3, sha256 and autov1": lambda: hash_file(file, USUAL),
    }
    if b3sum:
        works["b3sum"] = lambda: subprocess.run([b3sum, file], stdout=subprocess.DEVNULL, check=True)
        works["b3sum --no-mmap"] = lambda: subprocess.run(
            [b3sum, "--no-mmap", file], stdout=subprocess.DEVNULL, check=True
        )
    return works


def _ways(file: Path) -> dict[str, Callable[[], object]]:
    """Readers that were tried: one thread, other pieces, memory-mapped."""
    ways: dict[str, Callable[[], object]] = {
        "mmap, one thread": lambda: blake3().update_mmap(file).hexdigest(),
        "mmap, all threads": lambda: blake3(max_threads=blake3.AUTO).update_mmap(file).hexdigest(),
    }
    for size in (MIB // 4, MIB, 4 * MIB, 16 * MIB):
        name = f"{size / MIB:g} MiB"
        ways[f"loop of {name}, one thread"] = lambda size=size: _loop(file, size, 1)
        ways[f"loop of {name}, all threads"] = lambda size=size: _loop(file, size, blake3.AUTO)
        ways[f"ours with pieces of {name}: blake3"] = lambda size=size: _with(size, file, ("blake3",))
        ways[f"ours with pieces of {name}: all"] = lambda size=size: _with(size, file, USUAL)
    return ways


def _read(file: Path) -> None:
    buffer = bytearray(MIB)
    with file.open("rb", buffering=0) as source:
        while source.readinto(buffer):
            pass


def _loop(file: Path, size: int, threads: int) -> str:
    hasher, buffer = blake3(max_threads=threads), memoryview(bytearray(size))
    with file.open("rb", buffering=0) as source:
        while count := source.readinto(buffer):
            hasher.update(buffer[:count])
    return hasher.hexdigest()


def _with(size: int, file: Path, names: tuple[str, ...]) -> object:
    with mock.patch.object(onepass, "PIECE", size):
        return hash_file(file, names)


def _measured(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """(seconds, processor seconds of this process and its children) of each, a round at a time."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start, before = time.perf_counter(), sum(os.times()[:4])
            work()
            times[name].append((time.perf_counter() - start, sum(os.times()[:4]) - before))
    return times


def _verdict(times: dict[str, list[tuple[float, float]]]) -> int:
    wall = {name: [w for w, _ in t] for name, t in times.items()}
    slower = [max(pair) for pair in zip(wall["ours: blake3, read"], wall["ours: sha256"], strict=True)]
    both = median(a / b for a, b in zip(wall["ours: blake3, sha256 and autov1"], slower, strict=True))
    print(f"\nall hashes together take {both:.2f}x the slower alone (at most {BAR:g}x is wanted)")
    fine = both <= BAR
    if "b3sum" in wall:
        theirs = [min(pair) for pair in zip(wall["b3sum"], wall["b3sum --no-mmap"], strict=True)]
        against = median(a / b for a, b in zip(wall["ours: blake3, mapped"], theirs, strict=True))
        print(f"blake3 takes {against:.2f}x b3sum in the faster of its two ways (at most 1x is wanted)")
        fine = fine and against <= 1.0
    else:
        print("b3sum is not here to compare with: --b3sum PATH")
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
