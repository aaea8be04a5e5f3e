"""What metadata costs: reading it out of many pictures, ours and other programs', and writing one picture.

    python -m benchmarks.metadata [--files 2000] [--rounds 5] [--whole] [--programs]

--whole times `invoke-shell --json info` as a process of its own against a script that prints what sd-parsers finds,
both with their bytecode cached; each group of files is repeated up to --files. --programs: a table by program, without
start-up.

The files are our own (a chain of four steps in each), warm in the page cache. Every round runs all readers one after
the other; the table gives the median of the rounds. sd-parsers is measured when it is installed, genuine files of other
programs when INVOKE_SHELL_SAMPLES names a folder of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image as Pillow

from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.png import encode
from invoke_shell.metadata.read import read_picture
from invoke_shell.records import Frame, Image, ModelRecord, StepRecord

ENVIRONMENT = {
    "python": "3.11.7", "torch": "2.13.0", "diffusers": "0.42.1", "transformers": "5.23.0", "device": "cpu",
    "device_name": "AMD EPYC", "dtype": "float32", "threads": 2, "attention": "sdpa", "deterministic": False,
}  # fmt: skip
FACTS = {
    "noise": {"function": "torch.randn", "device": "cpu", "dtype": "float32", "shape": [1, 4, 8, 8]},
    "precision": {"weights": "float32", "compute": "float32", "vae": "float32"},
    "scheduler": {"class": "EulerAncestralDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012},
    "steps_run": 20, "model_calls": 20, "first_sigma": 14.6146, "batch": {"size": 1, "index": 0},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--programs", action="store_true")
    options = parser.parse_args()
    print(machine())
    if options.programs:
        by_program(options.rounds)
        return
    if options.whole:
        whole_programs(options.files, options.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder), options.files)
        print(f"\nreading {len(paths)} PNGs of {paths[0].stat().st_size:,} bytes, median of {options.rounds} rounds")
        report(timed(readers(paths), options.rounds), per=len(paths), unit="us a file")
    for label, found in foreign_files().items():
        print(f"\nreading {len(found)} {label}, median of {options.rounds} rounds")
        report(timed(foreign_readers(found), options.rounds), per=len(found), unit="us a file")
    for name, picture in pictures().items():
        print(f"\nwriting one {name} of 512x512, median of {options.rounds * 3} rounds")
        report(timed(writers(picture), options.rounds * 3), per=1, unit="ms", sizes=sizes(picture))


# -- whole programs --------------------------------------------------------------------------------------------------

SD_PARSERS = """
import json, sys
from sd_parsers import ParserManager
manager = ParserManager()
for name in sys.argv[1:]:
    found = manager.parse(name)
    print(json.dumps({"prompt": [str(prompt) for prompt in found.prompts] if found else None}))
"""


def whole_programs(count: int, rounds: int) -> None:
    """`info --json` beside sd-parsers, start-up included: processor time, wall time, memory; medians."""
    with tempfile.TemporaryDirectory() as folder:
        foreign = {label: (paths * (count // len(paths) + 1))[:count] for label, paths in foreign_files().items()}
        groups = {"PNGs of our own": written(Path(folder), count), **foreign}
        bytecode = str(Path(folder) / "bytecode")
        for label, paths in groups.items():
            names = [str(path) for path in paths]
            home = str(Path(folder) / "home")
            programs = {
                "invoke-shell --json info": ["-m", "invoke_shell", "--home", home, "--json", "info", *names],
                "sd-parsers, printed": ["-c", SD_PARSERS, *names],
            }
            print(f"\n{label}, {len(paths):,} files, median of {rounds} rounds")
            taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in programs}
            for number in range(rounds + 1):
                for name, arguments in programs.items():
                    spent = cost(arguments, bytecode)
                    taken[name] += [spent] if number else []  # the first one writes the bytecode
            for name, costs in taken.items():
                processor, wall, memory = (median(column) for column in zip(*costs, strict=True))
                print(f"  {name:32}{processor:8.2f} s of processor{wall:8.2f} s{memory:8.0f} MB")


def cost(arguments: list[str], bytecode: str) -> tuple[float, float, float]:
    """Processor seconds, wall seconds and peak memory (MB) of a Python process whose output goes nowhere."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**kept, "PYTHONPYCACHEPREFIX": bytecode},
    )
    _, _, used = os.wait4(process.pid, 0)
    return used.ru_utime + used.ru_stime, time.perf_counter() - begun, used.ru_maxrss / 1024


def by_program(rounds: int) -> None:
    """Genuine files by program: `info --json` in this process, start-up left out, and sd-parsers; medians."""
    from sd_parsers import ParserManager

    from invoke_shell.cli import run

    manager = ParserManager()
    groups: dict[str, list[Path]] = {}
    for path in foreign_files()["genuine files of other programs"]:
        groups.setdefault(path.parent.name, []).append(path)
    home = tempfile.mkdtemp()
    print(f"\n{'':20}{'files':>6}{'kB':>8}{'info, us':>10}{'sd-parsers':>12}{'read by it':>12}")
    for name, paths in sorted(groups.items()):
        names = [str(path) for path in paths * 5]
        contenders: dict[str, Callable[[], object]] = {
            "info": lambda names=names: run(["--home", home, "--json", "info", *names]),
            "sd-parsers": lambda names=names: [printed(manager.parse(each)) for each in names],
        }
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            for contender in contenders.values():
                contender()
            times = timed(contenders, rounds)
        ours, theirs = (seconds / len(names) * 1e6 for seconds in times.values())
        kinds = set(paths)
        size = sum(path.stat().st_size for path in kinds) / len(kinds) / 1000
        told = sum(bool((found := manager.parse(path)) and found.prompts) for path in kinds)
        print(f"{name:20}{len(kinds):6}{size:8.0f}{ours:10.0f}{theirs:12.0f}{told:12}")


def printed(found: Any) -> None:
    print(json.dumps({"prompt": [str(prompt) for prompt in found.prompts] if found else None}))


# -- reading ---------------------------------------------------------------------------------------------------------


def history(seed: int) -> Frame:
    """txt2img | img2img | upscale | crop."""
    model = ModelRecord(
        name="pocket", kind="checkpoint", base="sd1", format="folder", bytes=50_000_000,
        hash="blake3-tree:" + "ab" * 32, hashes={"sha256": "cd" * 32, "autov2": "cd" * 5},
    )  # fmt: skip
    params = {
        "prompt": "a red boat on a green sea, evening light", "negative": "blurry", "size": "64x64", "steps": 20,
        "guidance": 7.5, "scheduler": "euler_a", "seed": seed,
    }  # fmt: skip
    image = Image(mode="RGB", width=64, height=64, pixels=random.Random(seed).randbytes(64 * 64 * 3))
    step = StepRecord(
        node="txt2img", version=1, package="invoke_shell", params=params, models={"model": model}, facts=FACTS,
        environment=ENVIRONMENT, output_hash="blake3:" + "01" * 32, width=64, height=64,
    )  # fmt: skip
    for node, more in (
        ("img2img", {**params, "strength": 0.6}),
        ("upscale", {"scale": 2}),
        ("crop", {"box": "0:0:8:8"}),
    ):
        step = replace(
            step, node=node, params=more, inputs={"frame": (step,)}, output_hash=image.hash,
            models={"model": model} if node == "img2img" else {}, facts=FACTS if node == "img2img" else {},
        )  # fmt: skip
    return Frame(image=image, step=step)


def written(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{n:06}.png" for n in range(count)]
    for n, path in enumerate(paths):
        path.write_bytes(embed(history(n), app_version="0.1.0", created="2026-11-21T04:00:00Z", command="txt2img ..."))
    return paths


def readers(paths: list[Path]) -> dict[str, Callable[[], object]]:
    def pillow_text(path: Path) -> object:
        with Pillow.open(path) as image:
            return json.loads(image.info["sd-metadata"])

    def pillow_open(path: Path) -> object:
        with Pillow.open(path) as image:
            return image.size

    found: dict[str, Callable[[Path], object]] = {
        "bytes of the file, read": Path.read_bytes,
        "read_picture (info)": read_picture,
        "read_picture and its steps": lambda path: read_picture(path).step(),
        "Pillow open": pillow_open,
        "Pillow open and json.loads": pillow_text,
    }
    if (sd_parsers := installed("sd-parsers")) != "absent":
        from sd_parsers import ParserManager

        found[f"sd-parsers {sd_parsers}"] = ParserManager().parse
    return {name: lambda read=read: deque(map(read, paths), maxlen=0) for name, read in found.items()}


# -- other programs' -------------------------------------------------------------------------------------------------


def foreign_files() -> dict[str, list[Path]]:
    """Genuine pictures of the folder that INVOKE_SHELL_SAMPLES names, often enough that a round is long."""
    folder = os.environ.get("INVOKE_SHELL_SAMPLES", "")
    if not folder:
        return {}
    found = [path for path in sorted(Path(folder).rglob("*")) if path.suffix in (".png", ".jpg", ".webp")]
    groups = {"genuine files of other programs": found, "of them PNGs": [p for p in found if p.suffix == ".png"]}
    return {label: paths * 20 for label, paths in groups.items()}


def foreign_readers(paths: list[Path]) -> dict[str, Callable[[], object]]:
    from invoke_shell.commands import registry
    from invoke_shell.metadata.foreign.line import to_line

    nodes = registry()

    def line(path: Path) -> object:
        found = read_picture(path).foreign
        return found and to_line(found, nodes)

    contenders: dict[str, Callable[[Path], object]] = {
        "read_picture, texts alone": read_picture,
        "read_picture and its values": lambda path: read_picture(path).foreign,
        "read_picture and its line": line,
    }
    if (sd_parsers := installed("sd-parsers")) != "absent":
        from sd_parsers import ParserManager

        contenders[f"sd-parsers {sd_parsers}"] = ParserManager().parse
    return {name: lambda read=read: deque(map(read, paths), maxlen=0) for name, read in contenders.items()}


# -- writing ---------------------------------------------------------------------------------------------------------


def pictures() -> dict[str, Image]:
    """Noise, the worst there is, and a smooth picture with a little grain, as photographs have."""
    grain = random.Random(1)
    smooth = bytearray()
    for y in range(512):
        for x in range(512):
            smooth += bytes(min(255, (x * a + y * b) // 4 + grain.randrange(6)) for a, b in ((1, 1), (0, 2), (2, 0)))
    both = {"noise": os.urandom(512 * 512 * 3), "smooth picture": bytes(smooth)}
    return {name: Image(mode="RGB", width=512, height=512, pixels=pixels) for name, pixels in both.items()}


def pillow_saved(image: Image, **options: int) -> bytes:
    out = BytesIO()
    image.pil().save(out, "PNG", **options)
    return out.getvalue()


def writers(image: Image) -> dict[str, Callable[[], object]]:
    return {
        "encode": lambda: encode(image),
        "Pillow, as it is": lambda: pillow_saved(image),
        "Pillow, level 1": lambda: pillow_saved(image, compress_level=1),
        "Pillow, run lengths": lambda: pillow_saved(image, compress_type=3),
    }


def sizes(image: Image) -> dict[str, int]:
    return {name: len(write()) for name, write in writers(image).items()}  # type: ignore[arg-type]


# -- tables ----------------------------------------------------------------------------------------------------------


def timed(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each; the contenders take turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    return {name: median(taken) for name, taken in times.items()}


def report(times: dict[str, float], *, per: int, unit: str, sizes: dict[str, int] | None = None) -> None:
    scale = 1e6 if unit.startswith("us") else 1e3
    for name, seconds in times.items():
        size = f"{sizes[name]:>10,} bytes" if sizes else ""
        print(f"  {name:32} {seconds / per * scale:9.1f} {unit}{size}")


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def machine() -> str:
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = named[0].partition(": ")[2] if named else platform.processor()
    versions = f"Python {platform.python_version()}, Pillow {installed('pillow')}"
    return f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {versions}"


if __name__ == "__main__":
    main()
