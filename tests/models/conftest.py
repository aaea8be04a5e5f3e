"""The whole program in this process with a catalogue of its own, on no engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from invoke_shell import cli
from invoke_shell.models import catalogue
from invoke_shell.shell import models_builtin


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
    everything, real = cli.everything, catalogue.Catalogue

    def with_models():
        registry = everything()
        return replace(registry, nodes={**registry.nodes, "models": models_builtin.models})

    def kept(folders, digests, **options):
        return real(folders, digests, **{"path": tmp_path / "home/catalogue.db", **options})

    monkeypatch.setattr(cli, "everything", with_models)
    monkeypatch.setattr(catalogue, "Catalogue", kept)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        try:
            status = cli.run(["--home", str(tmp_path / "home"), "--inline", *arguments])
        except SystemExit as leaving:  # argparse's own way out
            status = int(leaving.code or 0)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run
