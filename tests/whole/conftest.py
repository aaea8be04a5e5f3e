"""The whole program in this process, on the fake engine: arguments in, status and streams out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from invoke_shell import cli


@dataclass
class Ran:
    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict]:
        """What --json printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def results(self) -> list[dict]:
        return [r for r in self.records if r["event"] == "result"]


Invoke = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the pictures the nodes' examples speak of."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (64, 64), colour).save(folder / f"{name}.png")
    Image.new("L", (64, 64), 255).save(folder / "mask.png")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def invoke(home: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the program: `invoke("-c", "txt2img x")`; home=... for another home; inline=False for a worker process."""
    monkeypatch.setenv("INVOKE_SHELL_ENGINE", "fake")
    monkeypatch.setenv("INVOKE_SHELL_PLUGINS", "")

    def run(*arguments: str, home: Path = home, inline: bool = True) -> Ran:
        capsys.readouterr()
        try:
            status = cli.run(["--home", str(home), *(["--inline"] if inline else []), *arguments])
        except SystemExit as leaving:  # argparse's own way out
            status = int(leaving.code or 0)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run
