"""Four pictures drawn together against the same four one by one: processor time, and how far their pixels differ.

    python -m benchmarks.batch [--runs 3] [--steps 8]

A small U-Net of random weights, where calling costs most, and the model in the box. The two sides alternate; one
thread, because others use the machine too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import invoke_shell
from benchmarks.table import machine, show
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, ModelRecord
from invoke_shell.runtime.engine import DiffusersEngine
from invoke_shell.runtime.policy import Policy
from tests.models_small import small_record, small_sd1

POCKET = Path(invoke_shell.__file__).parent / "assets" / "pocket"
COUNT = 4
FAR = 1  # levels of 255 that a picture of a batch may be away from the same drawn alone


def drawn(engine: DiffusersEngine, asked: Sequence[Generation]) -> tuple[float, list[Image]]:
    """Seconds of the processor, and the pictures."""
    begun = time.process_time()
    engine.expect(asked)
    images = [next(iter(engine.generate(one))).image for one in asked]
    return time.process_time() - begun, images


def apart(ours: Sequence[Image], theirs: Sequence[Image]) -> int:
    """The largest difference of a level."""
    pairs = (zip(a.pixels, b.pixels, strict=True) for a, b in zip(ours, theirs, strict=True))
    return max(abs(x - y) for pair in pairs for x, y in pair)


def measure(name: str, model: ModelRecord, side: int, steps: int, runs: int) -> list[str]:
    engines = [DiffusersEngine(Policy(device="cpu", threads=1, batch=batch)) for batch in (COUNT, 1)]
    asked = [
        Generation(
            prompt="a red boat", model=model, size=Size(side, side), steps=steps, guidance=5.0, scheduler="euler",
            seed=seed,
        )
        for seed in range(COUNT)
    ]  # fmt: skip
    (_, together), (_, alone) = (drawn(engine, asked) for engine in engines)  # loads the models
    times: list[list[float]] = [[], []]
    for _ in range(runs):
        for taken, engine in zip(times, engines, strict=True):
            taken.append(drawn(engine, asked)[0])
    one, other = (median(taken) for taken in times)
    return [name, f"{side}x{side}", f"{one:.2f}", f"{other:.2f}", f"{other / one:.2f}", str(apart(together, alone))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        small = small_record(small_sd1(Path(folder)))
        pocket = ModelRecord(name="pocket", kind="checkpoint", base="sd1", format="folder", path=str(POCKET))
        rows = [
            measure(name, model, side, options.steps, options.runs)
            for name, model, side in (("small", small, 64), ("small", small, 128), ("pocket", pocket, 128))
        ]
    print(machine())
    show(["model", "size", f"{COUNT} together, s", f"{COUNT} alone, s", "times as quick", "levels apart"], rows)
    worst = max(int(row[-1]) for row in rows)
    print(f"\n{worst} of 255 apart at most ({FAR} is allowed)")
    return 0 if worst <= FAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
