"""Every picture node in the whole program: what its examples make, a replay makes again, pixel by pixel."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from invoke_shell import cli, commands

NODES = [n for n in commands.registry().values() if n.group in ("change", "combine")]
LINES = [e for n in NODES for e in n.examples]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run the program on the fake engine in a folder with pictures of every mode; the records it printed."""
    monkeypatch.setenv("INVOKE_SHELL_ENGINE", "fake")
    monkeypatch.setenv("INVOKE_SHELL_PLUGINS", "")
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").resize((48, 48)).rotate(90).save("b.png")
    Image.merge("RGBA", [Image.open("b.png"), *[Image.new("L", (48, 48), v) for v in (90, 200, 128)]]).save("a.png")
    Image.radial_gradient("L").resize((64, 64)).save("mask.png")

    def run(*arguments):
        capsys.readouterr()
        status = cli.run(["--home", "home", "--inline", "--json", *arguments])
        out, err = capsys.readouterr()
        assert status == 0, err
        return [json.loads(line) for line in out.splitlines()]

    return run


@pytest.mark.parametrize("line", LINES)
def test_a_replay_of_every_example_is_exact(run, line):
    run("-c", "txt2img one --seed 1 --size 64x64 --steps 2 -n 3")
    made = [r for r in run("--continue", "-c", line) if r["event"] == "result"]

    again = run("replay", "--exact", *[r["path"] for r in made])

    assert made
    assert [r["verdict"] for r in again if r["event"] == "replay"] == ["exact"] * len(made)


def test_labels_of_a_sweep_are_made_again(run):
    (made,) = [
        r
        for r in run(
            "-c", "txt2img a {red|blue} star --guidance 3,5 --seed 1 | contact_sheet --label prompt --label guidance"
        )
        if r["event"] == "result" and r["command"].startswith("txt2img")
    ][-1:]

    again = run("replay", "--exact", made["path"])

    assert [r["verdict"] for r in again if r["event"] == "replay"] == ["exact"]
