"""Models before they are loaded: a header, a scan of 2,000 files, the list of them, the start, a first picture.

python -m benchmarks.models [--files 2000] [--rounds 7]

The headers are those of the real models, names and shapes and all; the weights are holes in the files.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.table import machine, show
from invoke_shell.models.catalogue import Catalogue
from invoke_shell.models.entry import Entry
from invoke_shell.models.finding import Finding
from invoke_shell.models.probe import look
from invoke_shell.models.rows import Rows
from tests.models.model_files import checkpoint, flux, many_files, write

LIST = "import sys; from invoke_shell.cli import run; sys.exit(run(['--home', sys.argv[1], 'models']))"
IMPORT = "import invoke_shell.cli, invoke_shell.records, invoke_shell.errors, {}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *_headers(Path(folder), options.rounds),
            *_scans(Path(folder), options.files),
            *_lists(Path(folder), options.files, options.rounds),
            _start(options.rounds),
        ]
        first, again = _pictures(Path(folder))
    print(machine())
    show(["what", "wall", "processor", "at most"], [[name, *map(_seconds, times)] for name, *times in rows])
    print(f"\na picture of a model of 1 GB that was never read: {first:.2f} s, read before: {again:.2f} s")
    return 0 if all(spent <= bar for _, _, spent, bar in rows) else 1


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


Row = tuple[str, float, float, float]  # what, wall, processor, at most: seconds


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """(wall, processor) seconds, children included."""
    start, before = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - start, sum(os.times()[:4]) - before


def _headers(folder: Path, rounds: int) -> list[Row]:
    found = []
    for name, shapes in (("SDXL", checkpoint("sdxl")), ("SD 1.5", checkpoint("sd1")), ("Flux", flux())):
        path = write(folder / f"{name}.safetensors", shapes)
        times = [_timed(lambda path=path: [look(path) for _ in range(10)]) for _ in range(rounds)]
        wall, spent = (median(t) / 10 for t in zip(*times, strict=True))
        found.append((f"look at a file of {name} ({path.stat().st_size / 1e9:.1f} GB)", wall, spent, 0.020))
    return found


def _scans(folder: Path, files: int) -> list[Row]:
    for path in many_files(folder / "collection", files):
        _evict(path)
    catalogue = folder / "home" / "catalogue.db"
    first = _timed(lambda: Catalogue(path=catalogue).scan([folder / "collection"]))
    again = [_timed(lambda: Catalogue(path=catalogue).scan([folder / "collection"])) for _ in range(5)]
    warm = tuple(median(t) for t in zip(*again, strict=True))
    return [(f"scan of {files:,} files, from the disk", *first, 5.0), ("the same again", *warm, 0.5)]


def _evict(path: Path) -> None:
    """Have the next reader ask the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _lists(folder: Path, files: int, rounds: int) -> list[Row]:
    """`models` as a program of its own, against the same with no models to list."""
    Rows(folder / "full/catalogue.db").put(
        Entry(name=f"fox-{n}", path=Path(f"/models/{n}"), stamp=str(n), origin="scanned", finding=_finding(n))
        for n in range(files)
    )
    commands = {home: [sys.executable, "-c", LIST, str(folder / home)] for home in ("none", "full")}
    return [(f"models with {files:,} of them, beyond the start", *_difference(*commands.values(), rounds=rounds), 0.2)]


def _pictures(folder: Path, rounds: int = 3) -> tuple[float, float]:
    """Seconds from start to end of a picture whose model was never read, and was; the fake engine draws for 5 s."""
    model = write(folder / "big.safetensors", {**checkpoint("sd1"), "model_ema.x": ()}, dtype="U8")
    env = {**os.environ, "INVOKE_SHELL_ENGINE": "fake", "INVOKE_SHELL_FAKE_LATENCY": "0.25"}
    times: dict[str, list[float]] = {"first": [], "again": []}
    for n in range(rounds):
        line = ["-c", f'txt2img a --steps 20 --seed 1 --model "{model}"']
        command = [sys.executable, "-m", "invoke_shell", "--home", str(folder / f"home{n}"), *line]
        for seconds in times.values():
            start = time.perf_counter()
            subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            seconds.append(time.perf_counter() - start)
            command[-1] = line[-1].replace("seed 1", "seed 2")  # not from the cache
    return median(times["first"]), median(times["again"])


def _finding(n: int) -> Finding:
    told = {"title": f"Fox {n}", "license": "MIT"}
    return Finding(kind="lora", base="sdxl", reason="pairs of small matrices" * 3, bytes=n * 10**6, told=told)


def _start(rounds: int) -> Row:
    """What importing the catalogue adds to a start that has imported what every start does."""
    commands = [[sys.executable, "-c", IMPORT.format(m)] for m in ("sys", "invoke_shell.models.catalogue")]
    return "importing the catalogue", *_difference(*commands, rounds=3 * rounds), 0.010


def _difference(less: list[str], more: list[str], *, rounds: int) -> tuple[float, float]:
    """(wall, processor) seconds that one program takes more than another; medians of runs in turn."""
    found = []
    for _ in range(rounds):
        (wall, spent), (wall_more, spent_more) = (_timed(lambda c=c: _run(c)) for c in (less, more))
        found.append((wall_more - wall, spent_more - spent))
    wall, spent = (median(column) for column in zip(*found, strict=True))
    return wall, spent


def _run(command: list[str]) -> None:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as it is installed: nothing is compiled at every start
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    raise SystemExit(main())
