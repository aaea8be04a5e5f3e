"""Examples are data: every one of a node's, and every file in examples/, runs and replays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from invoke_shell.compose import everything

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "examples").glob("*.invoke"))
REGISTRY = everything()
# These look at the person's own machine, start its programs, or leave the shell.
OUTSIDE = ("exit", "doctor", "source", "open", "edit", "copy")
NODE_LINES = [(n.name, e) for n in REGISTRY.values() for e in n.examples if n.name not in OUTSIDE]
HANDLES = "txt2img one --seed 1 --size 64x64 --steps 2 -n 3"


@pytest.mark.parametrize(("name", "line"), NODE_LINES, ids=[line for _, line in NODE_LINES])
def test_every_example_of_a_command_runs(invoke, folder, name, line):
    first = invoke("--json", "-c", HANDLES)
    for picture in ("a.png", "b.png"):
        shutil.copy(first.results[0]["path"], folder / picture)

    ran = invoke("--continue", "-c", line)

    assert ran.status == 0, ran.err
    assert ran.out + ran.err


def test_every_node_and_builtin_has_an_example():
    without = [n.name for n in REGISTRY.values() if not n.examples]

    assert without == []


@pytest.mark.parametrize("file", FILES, ids=[f.stem for f in FILES])
def test_every_example_file_runs_and_its_pictures_make_themselves_again(invoke, file):
    made = invoke("--json", str(file))
    paths = [r["path"] for r in made.results]

    again = invoke("--json", "replay", "--exact", *paths)

    assert made.status == 0, made.err
    assert again.status == 0
    assert [r["verdict"] for r in again.records if r["event"] == "replay"] == ["exact"] * len(paths)


def test_there_are_six_example_files_each_with_its_header():
    heads = [f.read_text().splitlines()[0] for f in FILES]

    assert heads == ["# invoke 1"] * 6
