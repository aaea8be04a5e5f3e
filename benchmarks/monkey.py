"""Random keys, pastes, resizes and Ctrl-C into a real terminal; afterwards the prompt lives and the store is whole.

    python -m benchmarks.monkey [--minutes 10] [--seed 1]

Now and then, and at the end, a word typed must come on the screen. At the end a picture is drawn; then every row of the
store has its file, every picture its history, and the log no trace of a fault of ours. The seed repeats the keys, but
not the moments at which they meet the program.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.table import machine
from benchmarks.terminals import Program, environment, shown

CTRL_C, CTRL_D, CLEAR = "\x03", "\x04", "\x15"
# Not among them: Ctrl-D and Ctrl-Z, which end and stop the program rightly, and `$`, which runs programs of the system.
PRINTABLE = [chr(c) for c in range(32, 127) if chr(c) != "$"]
KEYS = [
    "\t", "\r", "\x7f", "\x1b", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[3~", "\x1b[Z",
    "\x1b[1;3C", "\x1b\r", "\x1bOP", "\x1b.", "\x1bb", "\x1bd", "\x00", "\x01", "\x05", "\x06", "\x0b", "\x0c", "\x12",
    "\x14", "\x15", "\x17", "\x18\x05", "\x19", "\x1f", "\x1b[20", "\x1b]11;rgb:ff", "é", "日本", "🎈", "\u202e", "”",
]  # fmt: skip
WORDS = [
    "txt2img", "img2img", "upscale", "contact_sheet", "help", "explain", "history", "again", "recall", "undo", "redo",
    "keep", "discard", "set", "--steps", "--seed", "--size", "--scheduler", "a red boat", "1..3", "@-1", "@@", "@1..9",
    "{red|blue}", "'", '"', "|", ";", "#", "\\", "as @it", "none", "64x64", "999999999999", "-n", "2", "?",
]  # fmt: skip
LINES = [
    "txt2img a fox --steps 3", "txt2img a {red|blue} boat --seed 1..3 --steps 2 | contact_sheet", "@-1 | upscale",
    "explain txt2img a fox --seed 1..8", "help", "help blur", "history", "settings", "undo", "redo", "keep @-1", "@-1?",
    "discard @-1", "again", "set steps 3", "unset steps", "set theme light", "set preview off", "unset preview",
    "recall @-1", "txt2img a --stpes 3", "@99999 | blur", "load_image nothing.png", "disk", "txt2img a --size 7000x1",
]  # fmt: skip
SLOW = "txt2img a slow fox --steps 140 -n 2"
PASTES = [
    "txt2img a\nhelp\n",
    "a\tb\r\nc",
    "“typographic” — text",
    "x" * 3000,
    "\x07\x08 junk \x1b[31m",
    "/nowhere/a.png",
    "",
]
SIZES = [(30, 100), (24, 80), (10, 40), (50, 200), (5, 20), (3, 10), (60, 35)]
CHECKED = 15.0  # seconds between two looks whether the prompt lives
MARK = "zqzq"
LOOKS, PATIENCE = 6, 10.0  # times a word is typed, seconds each has to come on the screen of a machine at rest
SPIN = 0.05  # seconds of processor time that show how busy the machine is


@dataclass
class Monkey:
    """One program under random keys. counted: what was done."""

    home: Path
    seed: int
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.program = self.start()
        self.last: list[str] = []

    def start(self) -> Program:
        env = environment(self.home)
        env |= {"INVOKE_SHELL_FAKE_LATENCY": "0.005", "HOME": str(self.home)}
        env |= dict.fromkeys(("EDITOR", "VISUAL", "BROWSER"), "true") | {"PAGER": "cat", "PYTHONFAULTHANDLER": "1"}
        program = Program([sys.executable, "-m", "invoke_shell", "--home", str(self.home)], env, cwd=self.home)
        program.wait("invoke>")
        return program

    def play(self, seconds: float) -> None:
        """Type for so long; raises AssertionError or TimeoutError when the prompt does not live any more."""
        actions: list[tuple[int, Callable[[], None]]] = [
            (50, self.key), (20, self.word), (8, self.line), (5, self.paste), (4, self.resize), (6, self.stop),
            (2, self.slow),
        ]  # fmt: skip
        weights = [weight for weight, _ in actions]
        end, look = time.monotonic() + seconds, time.monotonic() + CHECKED
        while time.monotonic() < end:
            (action,) = self.chance.choices([action for _, action in actions], weights)
            action()
            self.program.read(self.chance.choice((0, 0, 0.005, 0.02)))
            if time.monotonic() > look:
                self.lives()
                look = time.monotonic() + CHECKED
        self.lives()

    def type(self, keys: str, what: str) -> None:
        self.counted[what] += 1
        self.last = [*self.last[-40:], keys]
        if self.program.alive():
            self.program.type(keys)

    def key(self) -> None:
        self.type(self.chance.choice(self.chance.choice((KEYS, PRINTABLE))), "keys")

    def word(self) -> None:
        self.type(self.chance.choice(WORDS) + " ", "words")

    def line(self) -> None:
        """A line that means something; now and then it is let go on for a while."""
        self.type(CTRL_C + self.chance.choice(LINES) + "\r", "lines")
        end = time.monotonic() + self.chance.choice((0, 0, 0.3, 1))
        while time.monotonic() < end:
            self.program.read(0.05)

    def paste(self) -> None:
        self.type(f"\x1b[200~{self.chance.choice(PASTES)}\x1b[201~", "pastes")

    def resize(self) -> None:
        self.counted["resizes"] += 1
        self.program.resize(*self.chance.choice(SIZES))

    def stop(self) -> None:
        self.type(CTRL_C, "Ctrl-C")

    def slow(self) -> None:
        """A picture that takes a while, and one or two Ctrl-C in the middle of it."""
        self.type(CTRL_C + SLOW + "\r", "slow pictures")
        self.program.read(self.chance.uniform(0.05, 1))
        for _ in range(self.chance.randint(1, 3)):
            self.type(CTRL_C, "Ctrl-C")
            self.program.read(self.chance.uniform(0, 0.2))

    def lives(self) -> None:
        """A typed word comes on the screen. Who chose `exit` from a menu has left rightly and comes back."""
        self.program.resize(30, 100)
        for _ in range(3):
            self.type("\x1b", "keys")
            self.program.read(0.7)  # alone, Escape is one after half a second
            self.type(CTRL_C, "Ctrl-C")
            self.program.read(0.5)
        if not self.program.alive():
            assert self.program.status() == 0, (
                f"ended with {self.program.status()} after {self.last}; at last it wrote:\n{self.program.heard[-3000:]}"
            )
            self.counted["left by a menu"] += 1
            self.program.close()
            self.program = self.start()
        self.program.forget()
        patience = PATIENCE * slowness()
        for _ in range(LOOKS):  # a line may still run, and Ctrl-C takes away what was typed ahead of it
            self.type(CTRL_C + CLEAR + MARK, "looks")
            end = time.monotonic() + patience
            while MARK not in self.program.heard and time.monotonic() < end:
                self.program.read(0.2)
            if MARK in self.program.heard:
                self.type(CLEAR, "keys")
                return
        raise AssertionError(self.dead("the prompt is dead"))

    def dead(self, what: str) -> str:
        """What is known of a program that does not answer: keys, screen, what it waits for. It is ended."""
        last = [keys[:80] for keys in self.last]
        heard, state = self.program.heard, self.program.state()
        trace = self.program.trace()  # at once: a program that nobody reads waits for that
        return (
            f"{what} after {last}\n\nit wrote at last:\n{heard[-1000:]!r}\n\nthe screen:\n{shown(heard)}\n\n"
            f"{state}\n\nit is at:\n{trace}"
        )

    def leave(self) -> None:
        """One more picture, then the way out."""
        self.program.forget()
        slow = slowness()
        for _ in range(LOOKS):
            self.type(CTRL_C + "txt2img the last one --seed 7 --steps 2\r", "lines")
            end = time.monotonic() + PATIENCE * slow
            while "seed 7" not in self.program.heard and time.monotonic() < end:
                self.program.read(0.2)
            if "seed 7" in self.program.heard:
                break
        assert "seed 7" in self.program.heard, self.dead("no picture came in the end")
        for _ in range(30):  # more than once: between a run and the prompt the terminal keeps such keys to itself
            self.program.read(1)
            self.type(CTRL_C, "keys")
            self.program.read(0.2)
            self.type(CTRL_D, "keys")
            self.program.read(2 * slow)
            if not self.program.alive():
                break
        assert not self.program.alive(), self.dead("Ctrl-D does not leave")
        assert self.program.status() == 0, (self.program.status(), self.program.heard[-3000:])
        self.program.close()


def slowness() -> float:
    """How many times longer than at rest a computation takes here and now: 8 under the load of 8 others a core."""
    began, used = time.monotonic(), time.process_time()
    while time.process_time() - used < SPIN:
        pass
    return max(1.0, (time.monotonic() - began) / SPIN)


def faults(home: Path) -> list[str]:
    """What is wrong with a home: the database, pictures without rows or files, traces in the log."""
    from invoke_shell.errors import InvokeShellError
    from invoke_shell.metadata.read import read_picture
    from invoke_shell.shell.archive.store import Store

    found = []
    (database,) = home.rglob("sessions.db")
    with sqlite3.connect(database) as db:
        found += [f"database: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    store = Store.open(database.parent)
    for row in store.between(store.last_number(), 1):
        try:
            read_picture(Path(row.trashed or row.path)).step()
        except InvokeShellError as error:
            found.append(f"{row.handle}: {error.message}")
    store.close()
    for log in home.rglob("*.log"):
        text = log.read_text(encoding="utf-8", errors="replace")
        found += [line for line in text.splitlines() if " ERROR " in line]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(3), "big")
    with tempfile.TemporaryDirectory() as name:
        monkey = Monkey(Path(name), seed)
        try:
            monkey.play(options.minutes * 60)
            monkey.leave()
        finally:
            monkey.program.close()
        found = faults(Path(name))
        pictures = len(list((Path(name) / "outputs").glob("*.png")))
    print(machine())
    print(
        f"seed {seed}, {options.minutes:g} minutes: " + ", ".join(f"{n} {what}" for what, n in monkey.counted.items())
    )
    print(f"{pictures} pictures in the end; faults: {len(found)}")
    print("\n".join(found[:20]))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
