"""Killed in the middle of it, many times: nothing that was reported is lost. benchmarks/crash.py does it 1000 times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_fifty_kills_lose_nothing_that_was_reported():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.crash", "--times", "50"], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "of them lost: 0\n" in done.stdout
    assert done.stdout.endswith("faults: 0\n")
