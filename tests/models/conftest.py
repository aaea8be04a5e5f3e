"""The whole program in this process with a catalogue of its own, on no engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

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


Invoke = Callable[..., Ran]


@pytest.fixture
def invoke(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the program: `invoke("models", "list")`; its home is `tmp_path / "home"`."""
    monkeypatch.setenv("INVOKE_SHELL_ENGINE", "fake")
    monkeypatch.setenv("INVOKE_SHELL_PLUGINS", "")

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        try:
            status = cli.run(["--home", str(tmp_path / "home"), "--inline", *arguments])
        except SystemExit as leaving:  # argparse's own way out
            status = int(leaving.code or 0)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run
