"""docs/session.md, played: every line typed in a real terminal, every answer seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect", reason="POSIX terminals only")
from terminal import Terminal, shell  # noqa: E402  # imports pexpect

pytestmark = pytest.mark.timeout(180)

PAGE = Path(__file__).parents[2] / "docs" / "session.md"
PROMPT, TAB, CLEAR = "invoke> ", "⇥", "\x03"
POSTER = """\
# invoke 1
txt2img "northern lights over a fjord" --seed 5 --steps 4 as @north
@north | upscale --scale 2
"""


def rows(page: str) -> list[str]:
    """The lines of all session blocks."""
    blocks = re.findall(r"^```session\n(.*?)^```$", page, re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


class Player:
    """Types what the page types, and looks for what it answers. Answers are searched in all that was written."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.since = 0  # how much of the screen's history belongs to lines before

    def play(self, row: str) -> None:
        if row == f"{PROMPT}^D":
            self.terminal.type("\x04")
            assert self.terminal.ended() == 0
        elif row == "^C":
            self.terminal.wait(lambda screen: "picture 3 of 8" in screen)
            self.terminal.type("\x03")
        elif row.endswith("▮"):
            self.sees(row.removesuffix("▮"))
        elif row.startswith(PROMPT):
            self.types(row.removeprefix(PROMPT))
        else:
            self.sees(row)

    def types(self, keys: str) -> None:
        self.terminal.wait(lambda screen: self.terminal.prompt_row >= 0 and self.at_prompt)
        if self.terminal.edited:
            self.terminal.type(CLEAR)
        self.terminal.wait_prompt()
        self.terminal.screen.reset()
        self.terminal.raw = ""
        parts = keys.split(TAB)
        for part in parts[:-1]:
            self.terminal.type(part)
            self.terminal.settle(0.15)
            self.terminal.type("\t")
            self.terminal.settle(0.15)
        self.terminal.type(parts[-1])
        self.terminal.wait(lambda screen: parts[-1][-20:].strip() in screen.replace("\n", "").replace("        ", ""))
        self.terminal.type("\r")

    @property
    def at_prompt(self) -> bool:
        return self.terminal.screen.cursor.y >= self.terminal.prompt_row

    def sees(self, row: str) -> None:
        """A row of the page, `…` for anything, on the screen or scrolled off it; a long one may be broken."""
        wanted = ".*".join(re.escape(part.strip()) for part in row.split("…"))
        self.terminal.wait(lambda screen: bool(re.search(wanted, plain(self.terminal.raw + "\n" + screen), re.S)))


def plain(text: str) -> str:
    """What was written, without escape codes; rows that the terminal broke are joined."""
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\r", "", text)


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "poster.invoke").write_text(POSTER, "utf-8")
    friend = [sys.executable, "-m", "invoke_shell", "--home", str(tmp_path / "friend"), "--outdir", str(folder)]
    lines = ["-c", "set filename friend", "-c", 'txt2img "a glass whale" --steps 28 --guidance 6 --seed 77']
    subprocess.run([*friend, *lines], check=True, capture_output=True, timeout=60, env=fake_engine())
    return folder


def fake_engine() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("INVOKE")}
    return {**kept, "INVOKE_SHELL_ENGINE": "fake"}


def test_the_session_of_the_page_plays_through(home):
    told = rows(PAGE.read_text("utf-8"))
    assert sum(row.startswith(PROMPT) for row in told) > 15

    with shell(home, columns=100, rows=50, INVOKE_SHELL_FAKE_LATENCY="0.03") as terminal:
        player = Player(terminal)
        for row in told:
            player.play(row)

    assert (home / "today.invoke").is_file()


def test_every_behaviour_of_the_shell_has_a_test_that_is_there():
    page = (PAGE.parent / "shell.md").read_text("utf-8")
    table = re.findall(r"^\| (\d+) \| .* \| (`.*`) \|$", page, re.M)

    assert [int(number) for number, _ in table] == list(range(1, 26))
    for _, cell in table:
        for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", cell):
            assert re.search(rf"^def {name}\(", (PAGE.parents[1] / "tests" / file).read_text("utf-8"), re.M), name
