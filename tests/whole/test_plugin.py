"""A stranger's node, installed beside the program: help, flags, sweeps, metadata, replay, schema come by themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def program(tmp_path):
    """The program in a process of its own, with the example plugin installed as pip would install it."""
    site = tmp_path / "site"
    info = site / "invoke_shell_frame-1.0.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(ROOT / "examples/plugin/invoke_shell_frame.py", site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: invoke-shell-frame\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text("[invoke_shell.nodes]\nframe = invoke_shell_frame\n")

    def run(*arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "INVOKE_SHELL_ENGINE": "fake"}
        environment.pop("INVOKE_SHELL_PLUGINS", None)
        command = [sys.executable, "-m", "invoke_shell", "--home", str(tmp_path / "home"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    return run


def test_a_plugins_node_is_a_command_like_any_other(program):
    made = program("--json", "-c", "txt2img x --seed 1 | frame 4..8..4 --color red")
    results = [json.loads(line) for line in made.stdout.splitlines()]

    again = program("replay", "--exact", *[r["path"] for r in results])

    assert made.returncode == 0, made.stderr
    assert [r["width"] for r in results] == [136, 144]
    assert "| frame 4 --color #ff0000" in results[0]["command"]
    assert again.returncode == 0, again.stderr


def test_a_plugins_node_has_help_a_schema_and_checks(program):
    assert "  WIDTH              Width of the frame." in program("help", "frame").stdout
    assert json.loads(program("nodes", "frame", "--schema").stdout)["properties"]["width"]["maximum"] == 256
    wrong = program("-c", "txt2img x | frame 999")
    assert wrong.returncode == 2
    assert "is 1 to 256 px, not 999" in wrong.stderr


def test_a_picture_of_a_missing_plugin_is_blocked_and_says_which(program, tmp_path):
    made = program("--json", "-c", "txt2img x --seed 1 | frame")
    path = json.loads(made.stdout)["path"]
    environment = {**os.environ, "INVOKE_SHELL_PLUGINS": "", "INVOKE_SHELL_ENGINE": "fake", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "invoke_shell", "--home", str(tmp_path / "home"), "replay", path]

    ran = subprocess.run(command, capture_output=True, text=True, env=environment)

    assert ran.returncode == 3
    assert "the node frame is not installed (invoke-shell-frame 1.0.0 has it)" in ran.stdout


INKED = '''from typing import Annotated

from invoke_shell import Arg, Color, Frame, Image, node

@node
def inked(frame: Frame, *, side: Annotated[int, Arg(help="Width.", ge=1)] = 8) -> Image:
    """A square of one colour."""
    return Image.from_pil(frame.image.pil().resize((side, side)))
'''


@pytest.fixture
def write(tmp_path):
    """Write a file into the folder of one's own nodes."""
    folder = tmp_path / "home" / "nodes"
    folder.mkdir(parents=True)

    def put(text: str, name: str = "inked.py") -> Path:
        (folder / name).write_text(text)
        return folder / name

    return put


@pytest.fixture
def wide(program, tmp_path):
    """The width of what `inked` makes of one picture."""
    program("-c", "txt2img x --seed 1 | save x.png")

    def run() -> int:
        made = program("--json", "-c", "load_image x.png | inked")
        assert made.returncode == 0, made.stderr
        return json.loads(made.stdout)["width"]

    return run


def test_a_file_in_the_folder_of_nodes_is_a_command_like_any_other(program, write):
    write(INKED)

    made = program("--json", "-c", "txt2img x --seed 1 | inked --side 4..8..4")
    results = [json.loads(line) for line in made.stdout.splitlines()]
    again = program("replay", "--exact", *[r["path"] for r in results])
    inside = json.loads(program("--json", "info", results[0]["path"]).stdout)

    assert [r["width"] for r in results] == [4, 8]
    assert inside["steps"][1]["package"] == "inked.py"
    assert (again.returncode, again.stdout.count("exact")) == (0, 2)
    assert "--side             Width. (1 or more; default 8)" in program("help", "inked").stdout


def test_an_edited_node_runs_anew_without_another_version(write, wide):
    write(INKED)
    before = wide()
    write(INKED.replace("(side, side)", "(side + 1, side)"))

    assert (before, wide()) == (8, 9)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("1/0", "bad.py", "plugin bad.py cannot be loaded: ZeroDivisionError: division by zero"),
        ("x = 1", "bad.py", "plugin bad.py has no node: a function with @node above it is one"),
        (INKED, "json.py", "json; give the file another name"),
        ("import _help", "a.py", "No module named '_help'"),
    ],
    ids=["raises", "no node", "another's name", "missing"],
)
def test_a_file_that_is_no_node_is_one_warning(program, write, text, name, said):
    write(text, name)

    ran = program("-c", "txt2img x --seed 1")

    assert (ran.returncode, ran.stderr.count("\n")) == (0, 1)
    assert said in ran.stderr


def test_a_file_that_is_slow_to_import_is_told_and_works(program, write):
    write("import time\ntime.sleep(1.1)\n" + INKED)

    ran = program("-c", "txt2img x | inked")

    assert ran.returncode == 0
    assert ran.stderr.startswith("plugin inked.py took 1.")
    assert ran.stderr.endswith(" s of this start: what its functions need is better imported inside them\n")


def test_a_file_may_use_another_that_is_no_node(program, write):
    write("SIDE = 5", "_help.py")
    write("from _help import SIDE\n" + INKED.replace("(side, side)", "(SIDE, side)"))

    assert json.loads(program("--json", "-c", "txt2img x | inked").stdout)["width"] == 5


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{}['key']", "inked failed: 'key'\n  KeyError in inked.py, line 8; the log has the rest: "),
        ("frame.image.pil()", "inked failed: a node gives no picture of Pillow: Image.from_pil makes an Image of it\n"),
    ],
)
def test_what_fails_in_a_node_of_ones_own_is_told_with_its_place(program, write, tmp_path, body, said):
    write("\n".join([*INKED.splitlines()[:-1], f"    return {body}"]))

    ran = program("-c", "txt2img x | inked")

    assert ran.returncode == 1
    assert said in ran.stderr
    assert ran.stderr.rstrip().endswith(f" in {tmp_path / 'home' / 'logs' / 'invoke-shell.log'}")


def test_a_node_that_is_there_already_names_both_and_the_way_out(program, write):
    write(INKED.replace("inked", "upscale"))

    ran = program("-c", "txt2img x")

    assert ran.returncode == 2
    assert ran.stderr == (
        "two nodes are called upscale: one of invoke_shell, one of inked.py\n"
        '  rename or remove one; INVOKE_SHELL_PLUGINS="" starts without plugins\n'
    )
