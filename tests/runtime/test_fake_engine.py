"""What only the fake engine can do: take time and fail on demand."""

import subprocess
import sys
import time

import pytest

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Size
from invoke_shell.records import ModelRecord
from invoke_shell.runtime.fake import FakeEngine, Mishap, pattern

MODEL = ModelRecord(name="none", kind="checkpoint")
ASKED = Generation(
    prompt="x", model=MODEL, size=Size(64, 64), steps=5, guidance=5.0, scheduler="euler", seed=1,
)  # fmt: skip


def test_picture_is_a_symmetric_pattern_of_several_colours():
    image = pattern(b"seed", 64, 64).pil()

    assert len(image.getcolors()) > 1
    assert image.transpose(0).tobytes() == image.tobytes()


def test_latency_is_per_step():
    start = time.perf_counter()

    next(FakeEngine(latency=0.01).generate(ASKED))

    assert time.perf_counter() - start >= 0.05


@pytest.mark.parametrize("kind", ["out-of-memory", "bad-numbers"])
def test_mishap_is_an_error_at_its_step(told, kind):
    engine = FakeEngine(mishap=Mishap.parse(f"{kind}@3")).watch(told)

    with pytest.raises(RunError) as raised:
        next(engine.generate(ASKED))

    assert raised.value.code == kind
    assert [done for done, _, _ in told.ticks] == [1, 2]


def test_crash_ends_the_process(monkeypatch):
    code = (
        "from invoke_shell.runtime.fake import *; from invoke_shell.pipeline.context import Generation;"
        "from invoke_shell.pipeline.types import Size; from invoke_shell.records import ModelRecord;"
        "next(FakeEngine.from_environment().generate(Generation(prompt='x', size=Size(64, 64), steps=5, guidance=5.0,"
        "model=ModelRecord(name='none', kind='checkpoint'), scheduler='euler', seed=1)))"
    )
    monkeypatch.setenv("INVOKE_SHELL_FAKE_MISHAP", "crash@2")

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 139


def test_unknown_mishap_is_named():
    with pytest.raises(ValueError, match=r"^fire is none of out-of-memory, bad-numbers, crash$"):
        Mishap.parse("fire@2")
