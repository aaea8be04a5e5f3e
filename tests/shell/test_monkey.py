"""Seconds of random keys, pastes, resizes and Ctrl-C; `python -m benchmarks.monkey` is the same for ten minutes."""

from __future__ import annotations

import pytest

pytest.importorskip("pexpect", reason="POSIX terminals only")

from benchmarks.monkey import Monkey, faults

pytestmark = pytest.mark.timeout(180)


def test_random_keys_leave_a_living_prompt_and_a_whole_store(tmp_path):
    monkey = Monkey(tmp_path, seed=7)
    try:
        monkey.play(6)
        monkey.leave()
    finally:
        monkey.program.close()

    assert faults(tmp_path) == []
    assert monkey.counted["lines"] > 5


def test_a_damaged_picture_is_a_fault(tmp_path):
    monkey = Monkey(tmp_path, seed=7)
    try:
        monkey.leave()
    finally:
        monkey.program.close()
    (picture,) = (tmp_path / "outputs").glob("*.png")
    picture.write_bytes(picture.read_bytes()[:200])

    assert [fault.partition(":")[0] for fault in faults(tmp_path)] == ["@1"]
