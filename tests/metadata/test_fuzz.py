"""Mutated pictures are read without an exception but ours; `python -m benchmarks.fuzz` does a million."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import CORPUS, Fuzzer

FILES = sorted(CORPUS.iterdir())


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_the_corpus_itself_is_read(path: Path, tmp_path: Path):
    from invoke_shell.metadata.read import read_picture

    info = read_picture(path)

    assert info.tool != ""
    assert info.warnings == () or "stealth" in path.name
    assert (info.data is None) == (not path.name.startswith("ours"))
    assert info.data is not None or info.foreign is not None


@given(source=st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutant_raises_nothing_of_its_own(source: random.Random, tmp_path: Path, no_network: None):
    fuzzer = Fuzzer.of(CORPUS, source)

    fuzzer.read(fuzzer.mutant(), tmp_path / "mutant.png")


def test_fifteen_hundred_mutants_raise_nothing_and_most_are_still_read(tmp_path: Path, no_network: None):
    fuzzer = Fuzzer.of(CORPUS, random.Random(20261121))

    for _ in range(1500):
        fuzzer.read(fuzzer.mutant(), tmp_path / "mutant.png")

    # A fuzzer whose mutants are all refused at the door tests the door.
    assert fuzzer.seen["lines"] > 400
    assert fuzzer.seen["histories"] > 80
