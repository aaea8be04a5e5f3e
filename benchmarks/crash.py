"""Kills a program that makes pictures, at random moments, and looks at what is left: nothing it reported may be lost.

    python -m benchmarks.crash --times 1000

Where a kill hit is read from what the dead process left on the disk, so the program needs no instruments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from invoke_shell.shell.archive.outputs import part_name
from invoke_shell.shell.archive.results import Results, has_pixels
from invoke_shell.shell.archive.store import ResultRow, Store

IN_THE_WINDOW = (  # between a picture's first byte and the line that reports it
    "bytes on their way to the disk",
    "all bytes there, no name yet",
    "named, part file still there",
    "named, row still pending",
    "row done, not reported yet",
)
PHASES = ("starting", "between two pictures", "number reserved, no byte yet", *IN_THE_WINDOW)
STARTING = 0.1  # share of the kills that may hit a program still starting
WATCHED = 0.7  # share of the kills that wait until a picture's file begins
WRITING = 0.002  # seconds after that within which they hit: about as long as a picture takes to be done
SPREAD = 0.04  # seconds after the first result within which the others hit: some pictures long


def program(home: Path) -> list[str]:
    """The command that is killed: a whole session on the fake engine that prints the JSON line of each result."""
    draw = f"txt2img x --steps 1 --size 64x64 --seed {random.randrange(2**32)} -n 4000"
    return [sys.executable, "-m", "invoke_shell", "--home", str(home), "--inline", "--json", "-c", draw]


@dataclass
class Tally:
    """What was found over all kills. reported: pixel hash by number. files: names of finished results.

    faults: sentences, none of which may be there.
    """

    phases: Counter[str] = field(default_factory=Counter)
    reported: dict[int, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    completed: int = 0
    lost: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def in_the_window(self) -> int:
        return sum(self.phases[phase] for phase in IN_THE_WINDOW)


def kill_once(home: Path, tally: Tally, dice: random.Random) -> None:
    """Start the program, kill it, see where it was hit, recover as the next start does, and check everything."""
    before = _last_number(home)
    reported = _killed(program(home), dice, home / "outputs")
    for event in reported:
        if event["handle"] in tally.reported:
            tally.faults.append(f"@{event['handle']} was given twice")
        tally.reported[event["handle"]] = event["pixel_hash"]
    store = Store.open(home)
    try:
        tally.faults += store.notices()
        tally.phases[_phase(store, {event["handle"] for event in reported}, before)] += 1
        results = Results(store, lambda: home / "outputs")
        recovered = results.recover()
        tally.completed += len(recovered.completed)
        tally.lost += len(recovered.lost)
        tally.faults += _faults(store, range(before + 1, store.last_number() + 1), tally)
    finally:
        store.close()


def _killed(command: list[str], dice: random.Random, outputs: Path) -> list[dict]:
    """Run and kill; the result events that it got out before."""
    environment = {**os.environ, "INVOKE_SHELL_ENGINE": "fake", "INVOKE_SHELL_PLUGINS": ""}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    first = ""
    if dice.random() < STARTING:
        time.sleep(dice.uniform(0, 0.25))
    else:
        first = child.stdout.readline()
        if dice.random() < WATCHED:
            _until_a_file_begins(outputs)
            time.sleep(dice.uniform(0, WRITING))
        else:
            time.sleep(dice.uniform(0, SPREAD))
    child.kill()
    rest, _ = child.communicate()
    lines = (first + rest).splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return [event for event in events if event["event"] == "result"]


def _until_a_file_begins(outputs: Path) -> None:
    """Return when the first byte of a picture's file is seen, or after half a second."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            if any(part.stat().st_size for part in outputs.glob(".*.part")):
                return


def _phase(store: Store, told: set[int], before: int) -> str:
    """What the program was doing, from the last row it made."""
    last = store.last_number()
    row = store.result(last) if last > before else None
    if row is None:
        return "starting"
    if row.state == "pending":
        return _phase_of_pending(row, dict((one.n, owner) for one, owner in store.bury())[row.n])
    return "between two pictures" if row.n in told else "row done, not reported yet"


def _phase_of_pending(row: ResultRow, owner: str) -> str:
    part = part_name(row.path, f"{row.n:06}-{owner}")
    if row.path.exists():
        return "named, part file still there" if part.exists() else "named, row still pending"
    if not part.exists() or not part.stat().st_size:
        return "number reserved, no byte yet"
    whole = has_pixels(part, row.pixel_hash)
    return "all bytes there, no name yet" if whole else "bytes on their way to the disk"


def _last_number(home: Path) -> int:
    store = Store.open(home)
    try:
        return store.last_number()
    finally:
        store.close()


def _faults(store: Store, numbers: range, tally: Tally) -> list[str]:
    """What is wrong with these results, and with the folder of pictures as a whole."""
    rows = store.results(*numbers)
    faults = [fault for row in rows for fault in _faults_of(row, tally.reported.get(row.n))]
    missing = set(numbers) & set(tally.reported) - {row.n for row in rows}
    faults += [f"@{n} was reported and has no row" for n in sorted(missing)]
    tally.files |= {row.path.name for row in rows if row.state == "done"}
    there = {path.name for path in (store.home / "outputs").glob("*")}
    return faults + [f"{name} is no result's file" for name in sorted(there - tally.files)]


def _faults_of(row: ResultRow, reported: str | None) -> list[str]:
    if row.state == "lost" and reported is None:
        return [f"@{row.n} is lost and has a file"] if row.path.exists() else []
    if row.state != "done":
        return [f"@{row.n} was reported and is {row.state}" if reported else f"@{row.n} stayed {row.state}"]
    if reported not in (None, row.pixel_hash):
        return [f"@{row.n} was reported with other pixels"]
    return [] if has_pixels(row.path, row.pixel_hash) else [f"the file of @{row.n} is not whole"]


def run(times: int, seed: int, home: Path) -> Tally:
    """Kill `times` programs one after another on one home, then look at every picture once more."""
    tally, dice = Tally(), random.Random(seed)
    for _ in range(times):
        kill_once(home, tally, dice)
    store = Store.open(home)
    tally.faults += _faults(store, range(1, store.last_number() + 1), tally)
    store.close()
    with sqlite3.connect(home / "sessions.db") as database:
        said = database.execute("PRAGMA integrity_check").fetchall()
    database.close()
    return replace(tally, faults=tally.faults + [f"sessions.db: {row[0]}" for row in said if row[0] != "ok"])


def table(tally: Tally, times: int, seconds: float) -> str:
    """The phases, and what became of the pictures."""
    rows = [f"{'killed while':32}  kills"]
    rows += [f"{phase:32}  {tally.phases[phase]:5}" for phase in PHASES]
    rows += [
        "",
        f"kills {times}, of them {tally.in_the_window} between a picture's first byte and its report; {seconds:.0f} s",
        f"pictures reported {len(tally.reported)}, of them lost: {sum('was reported' in f for f in tally.faults)}",
        f"not reported yet when killed: {tally.completed} made whole at the next start, {tally.lost} lost",
        f"faults: {len(tally.faults)}",
        *tally.faults[:20],
    ]
    return "\n".join(rows)


def main() -> int:
    """Exit status 1 when anything was lost, half written or given twice, or too few kills hit where it matters."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, help="kept afterwards; else a temporary folder")
    args = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = run(args.times, args.seed, args.home or Path(folder))
    print(table(tally, args.times, time.monotonic() - start))
    # A share of a few kills says nothing: the dice may fall anywhere.
    wanted = 0.3 * args.times if args.times >= 500 else 1
    return 1 if tally.faults or tally.in_the_window < wanted else 0


if __name__ == "__main__":
    sys.exit(main())
