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
