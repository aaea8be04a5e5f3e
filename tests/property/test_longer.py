"""The properties once more, with many more examples: python -m pytest -m slow tests/property."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_properties_hold_for_a_thousand_examples_each():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-q"],
        env={**os.environ, "HYPOTHESIS_PROFILE": "long"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-4000:]
