"""Processor time until the prompt is on the screen, against a bare prompt_toolkit prompt in the same run.

    python -m benchmarks.startup

Also until a key that was typed at once is on the screen, when the language, the settings and the store are there too;
and how much of both is the import of our own modules, by `-X importtime`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.table import machine, show
from benchmarks.terminals import Program, environment

BAR = 1.45
IMPORTS = 60  # ms of our own imports until the prompt
KEY = "%"  # nothing else on the first screen has one
RUNS = 7
BARE = "from prompt_toolkit import PromptSession; PromptSession('invoke> ').prompt()"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=15)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        sides = {
            "bare prompt_toolkit": [sys.executable, "-c", BARE],
            "invoke_shell": [sys.executable, "-m", "invoke_shell", "--home", str(folder / "home")],
        }
        measured: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for round_ in range(times + 1):  # the first one writes the bytecode
            for side, argv in sides.items():
                one = until_drawn(argv, env), until_typed(argv, env)
                if round_:
                    measured[side].append(one)
        imported = [own_imports(folder, env, typed=typed) for typed in (False, True)]
    return report(measured, imported)


def until_drawn(argv: list[str], env: dict[str, str]) -> float:
    """Milliseconds until the prompt is written."""
    program = Program(argv, env)
    try:
        program.wait("invoke>")
        return program.stopped_cpu()
    finally:
        program.close()


def until_typed(argv: list[str], env: dict[str, str]) -> float:
    """Milliseconds until a key typed before the prompt is written after it."""
    program = Program(argv, env)
    try:
        program.type(KEY)
        program.wait("invoke>")
        program.wait(KEY, program.heard.index("invoke>") + len("invoke>"))
        return program.stopped_cpu()
    finally:
        program.close()


def own_imports(folder: Path, env: dict[str, str], *, typed: bool) -> tuple[float, int]:
    """Milliseconds in our own modules, without what they import, and how many they are; the least of some runs."""
    found = []
    told = folder / "importtime"
    for _ in range(RUNS):
        command = f"exec {sys.executable} -X importtime -m invoke_shell --home {folder / 'home'} 2> {told}"
        argv = ["/bin/sh", "-c", command]
        until_typed(argv, env) if typed else until_drawn(argv, env)
        text = told.read_text(encoding="utf-8", errors="replace")
        took = [int(us) for us in re.findall(r"^import time: +(\d+) \| +\d+ \| +invoke_shell", text, re.M)]
        found.append((sum(took) / 1000, len(took)))
    return min(found)


def report(measured: dict[str, list[tuple[float, float]]], imported: list[tuple[float, int]]) -> int:
    bare, ours = measured.values()
    rows, ratios = [], []
    for place, what in enumerate(("prompt on screen", "first key on screen")):
        for side, times in measured.items():
            column = [t[place] for t in times]
            rows.append([what, side, *(f"{x:.0f}" for x in (median(column), min(column), max(column)))])
        ratios.append(median(a[place] / b[place] for a, b in zip(ours, bare, strict=True)))
    print(machine())
    show(["until", "program", "CPU ms, median", "min", "max"], rows)
    print(f"\nprompt on screen: {ratios[0]:.2f}x (at most {BAR}x is wanted); first key on screen: {ratios[1]:.2f}x")
    (before, few), (until_key, all_) = imported
    print(
        f"our own imports: {before:.0f} ms in {few} modules until the prompt (at most {IMPORTS} ms is wanted), "
        f"{until_key:.0f} ms in {all_} until the first key"
    )
    return 0 if ratios[0] <= BAR and before <= IMPORTS else 1


if __name__ == "__main__":
    raise SystemExit(main())
