"""From a key to the screen, against prompt_toolkit with a WordCompleter over the same words, in the same run.

    python -m benchmarks.keystroke [--history 100000] [--models 2000]

Ours has a history of so many lines behind its grey text, and so many models; the other completes the models' names too.
Each key is sent when the one before is drawn and the program is idle again. Two figures a key: the time until it is on
the screen, and the processor time of everything it sets off (the menu, the grey text and the toolbar follow it).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.table import machine, show
from benchmarks.terminals import Program, environment

BAR = 2.0
LINE = 'txt2img "a red boat on the sea" --steps 20 --model painter-1234 --seed 7 | upscale --scale 2 | save boat.png'
QUIET = 0.04  # seconds without output: the program is idle
WARM = 1.5  # seconds for what a shell does after its first prompt
BARE = """
import sys
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
words = open(sys.argv[1]).read().split()
PromptSession('invoke> ', completer=WordCompleter(words), complete_while_typing=True).prompt()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--history", type=int, default=100_000, metavar="LINES")
    parser.add_argument("--models", type=int, default=2000)
    options = parser.parse_args()
    times = options.times
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        models = [f"painter-{n}" for n in range(options.models)]
        (folder / "words").write_text("\n".join([*words(), *models]), encoding="utf-8")
        furnish(folder / "home", options.history, models)
        sides = {
            "prompt_toolkit, WordCompleter": [sys.executable, "-c", BARE, str(folder / "words")],
            "invoke_shell": [sys.executable, "-m", "invoke_shell", "--home", str(folder / "home")],
        }
        measured: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for round_ in range(times + 1):  # the first one writes the bytecode
            for side, argv in sides.items():
                one = typed(argv, env)
                if round_:
                    measured[side].append(one)
    return report(measured)


def words() -> list[str]:
    """Every command and flag: what the shell itself completes."""
    from invoke_shell.compose import everything

    nodes = everything()
    return sorted({*nodes, *(flag for node in nodes.values() for flag in node.flags if flag.startswith("--"))})


def furnish(home: Path, lines: int, models: list[str]) -> None:
    """A home where much was typed, and many models are known."""
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.finding import Finding
    from invoke_shell.models.rows import Rows
    from invoke_shell.shell.home import Home

    home.mkdir()
    there = Home.find(str(home))
    typed = (f"\n# 2026-01-01 12:00:00\n+txt2img picture {n} of a red boat --seed {n}\n" for n in range(lines))
    there.history_file.write_text("".join(typed), encoding="utf-8")
    finding = Finding(kind="checkpoint", base="sd1", reason="")
    files = [home / f"{name}.safetensors" for name in models]
    for file in files:
        file.touch()
    Rows(there.data / "catalogue.db").put(
        [Entry(name=file.stem, path=file, stamp="", origin="added", finding=finding) for file in files]
    )


def typed(argv: list[str], env: dict[str, str]) -> tuple[float, float]:
    """(median milliseconds until a key is drawn, milliseconds of processor time a key) over a line."""
    program = Program(argv, env)
    try:
        program.wait("invoke>")
        settle(program, WARM)
        before, waits = program.cpu(), []
        for key in LINE:
            start, heard = time.perf_counter(), len(program.heard)
            program.type(key)
            # A blank is drawn by moving the cursor, so any output counts for one.
            program.wait(key if key != " " else "", heard)
            while len(program.heard) == heard:
                program.read(1)
            waits.append((time.perf_counter() - start) * 1e3)
            settle(program, QUIET)
        return median(waits), (program.cpu() - before) / len(LINE)
    finally:
        program.close()


def settle(program: Program, quiet: float) -> None:
    """Until the program has written nothing for a while."""
    while program.read(quiet):
        pass


def report(measured: dict[str, list[tuple[float, float]]]) -> int:
    bare, ours = measured.values()
    rows, ratios = [], []
    for place, what in enumerate(("until drawn, ms", "processor time, ms")):
        for side, times in measured.items():
            column = [t[place] for t in times]
            rows.append([what, side, *(f"{x:.2f}" for x in (median(column), min(column), max(column)))])
        ratios.append(median(a[place] / b[place] for a, b in zip(ours, bare, strict=True)))
    print(machine())
    show(["a key", "program", "median", "min", "max"], rows)
    print(f"\nuntil drawn: {ratios[0]:.2f}x (at most {BAR:g}x is wanted); processor time: {ratios[1]:.2f}x")
    return 0 if ratios[0] <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
