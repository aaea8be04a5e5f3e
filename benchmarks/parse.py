"""Parse and bind of a three-stage line against `shlex.split` of the same line, in one run.

python -m benchmarks.parse
"""

from __future__ import annotations

import shlex
from statistics import median
from timeit import timeit

from benchmarks.table import machine, show
from invoke_shell.compose import everything
from invoke_shell.pipeline.bind import read
from invoke_shell.pipeline.text import parse

LINE = 'txt2img "a red boat on a green sea" --steps 20 --seed 7 | upscale --scale 2 | show_image'
ROUNDS, TIMES = 21, 300
BAR = 4.0


def main() -> int:
    registry = everything()
    rows = {"parse": [], "parse + bind": [], "shlex.split": []}
    works = {
        "parse": lambda: parse(LINE),
        "parse + bind": lambda: read(LINE, registry),
        "shlex.split": lambda: shlex.split(LINE),
    }
    for _ in range(ROUNDS):
        for name, work in works.items():
            rows[name].append(timeit(work, number=TIMES) / TIMES * 1e6)
    ratios = [a / b for a, b in zip(rows["parse + bind"], rows["shlex.split"], strict=True)]
    print(machine())
    show(
        ["what", "µs, median", "min", "max"],
        [[name, *(f"{x:.1f}" for x in (median(r), min(r), max(r)))] for name, r in rows.items()],
    )
    print(f"\nparse + bind takes {median(ratios):.2f}x shlex.split (at most {BAR:g}x is wanted)")
    return 0 if median(ratios) <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
