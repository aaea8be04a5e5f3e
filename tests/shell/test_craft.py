"""The craft's loop in a real terminal: many seeds, a few kept by the sheet's labels; a killed file, and the rest."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect", reason="POSIX terminals only")
from terminal import shell  # noqa: E402  # imports pexpect

pytestmark = pytest.mark.timeout(180)

HALF = "▀"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def test_of_64_seeds_three_are_kept_by_the_sheets_labels_and_go_on(home):
    with shell(home, columns=100, rows=150) as terminal:
        terminal.line("txt2img a fox --seed 101..164 --size 64x64 --steps 2")
        terminal.wait("@64  64x64  seed 164", seconds=60)  # each is brought to the disk
        terminal.wait_prompt()
        sheet = "\n".join(terminal.lines[terminal.row(HALF) : terminal.prompt_row])
        labels = re.findall(r"@\d+", sheet)
        assert labels == [f"@{n}" for n in range(1, 65)]  # under their cells, in reading order

        first, second, third = labels[6], labels[39], labels[62]
        terminal.line(f"keep {first} {second} {third}")
        terminal.wait("@7 @40 @63 kept; @kept is 3 pictures")
        terminal.wait_prompt()
        terminal.line("discard --rest")
        terminal.wait("61 pictures moved to the trash; undo brings them back")
        terminal.wait_prompt()
        terminal.line("@kept | upscale")
        terminal.wait("@67  128x128  seed 163")
        terminal.wait_prompt()

        assert [re.search(rf"@{n}  128x128  seed (\d+)", terminal.text)[1] for n in (65, 66, 67)] == [
            "107",
            "140",
            "163",
        ]
        assert len(pictures(home / "outputs")) == 6
        assert len(pictures(home / "trash")) == 61
        terminal.line("undo")
        terminal.wait("undone: @kept | upscale (@65..67 to the trash)")
        terminal.wait_prompt()
        terminal.line("undo")
        terminal.wait("undone: discard --rest (@1..6 @8..39 @41..62 @64 back)")
        assert len(pictures(home / "outputs")) == 64


def test_the_terminal_itself_is_a_clipboard(home):
    with shell(home, SSH_CONNECTION="somewhere") as terminal:
        terminal.line("txt2img a fox --seed 7 --size 64x64 --steps 2")
        terminal.wait("@1 ")
        terminal.wait_prompt()
        terminal.line("copy @1")
        terminal.wait("the line of @1 is in the clipboard (the terminal)")

        data = re.search(r"\x1b]52;c;([A-Za-z0-9+/=]+)\x07", terminal.raw)
        line = base64.b64decode(data[1]).decode()
        assert line.startswith('txt2img "a fox" ')
        assert " --steps 2 " in line
        assert " --seed 7 " in line


def test_a_file_of_512_pictures_that_was_killed_is_told_at_the_next_start_and_resumed(home):
    file = home / "many.invoke"
    file.write_text(
        "set show off\n" + "".join(f'txt2img "fox {n}" --seed 1..64 --size 64x64 --steps 2\n' for n in range(8))
    )
    env = {**os.environ, "INVOKE_SHELL_ENGINE": "fake", "INVOKE_SHELL_PLUGINS": ""}
    argv = [sys.executable, "-m", "invoke_shell", "--home", str(home), str(file)]
    program = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while len(pictures(home / "outputs")) < 312 and time.monotonic() < end:
        time.sleep(0.01)
    program.send_signal(signal.SIGKILL)
    program.wait()
    there = len(pictures(home / "outputs"))
    assert 312 <= there < 512

    with shell(home) as terminal:
        terminal.wait(re.compile("done:\\s+resume").search)
        found = re.search(r"^many\.invoke: (\d+) of 512 done: resume$", terminal.text, re.M)
        assert found, terminal.text
        assert int(found[1]) == there
        terminal.line("resume")
        terminal.wait(lambda screen: len(pictures(home / "outputs")) == 512, seconds=60)
        terminal.wait_prompt()

        names = [path.stem.split("-", 1)[1] for path in pictures(home / "outputs")]
        assert sorted(names) == sorted(f"fox-{n}-{seed}" for n in range(8) for seed in range(1, 65))
        terminal.line("resume")
        terminal.wait("nothing was left unfinished")

    with shell(home) as terminal:
        terminal.wait("last @")
        assert "resume" not in terminal.text
