"""What a worker survives, and how it leaves. On the fake engine: a worker without torch starts in a moment."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pipeline_kit import chain_of, facts_for

from invoke_shell import commands
from invoke_shell.errors import Cancelled
from invoke_shell.pipeline.events import ChainDone, Failed, Progress
from invoke_shell.pipeline.plan import needs, plan
from invoke_shell.runtime.policy import Setup
from invoke_shell.runtime.system import deaf_to_interrupts
from invoke_shell.runtime.wire import Channel
from invoke_shell.runtime.worker import WorkerRuntime

REGISTRY = commands.registry()


def plan_of(line):
    chain = chain_of(line, REGISTRY)
    return plan(chain, REGISTRY, facts_for(needs(chain, REGISTRY, {})), {}, lambda: 11)


DRAW = plan_of("txt2img x --size 64x64 --steps 10")


@pytest.fixture
def worker(tmp_path):
    runtime = WorkerRuntime(Setup(engine="fake"), log=tmp_path / "logs" / "worker.log")
    yield runtime
    runtime.close()


def first_progress(events):
    return next(event for event in events if isinstance(event, Progress))


def test_killed_worker_is_one_event_and_the_next_line_works(worker, monkeypatch):
    monkeypatch.setenv("INVOKE_SHELL_FAKE_LATENCY", "0.2")
    events = worker.submit(DRAW)
    first_progress(events)
    os.kill(worker._process.pid, signal.SIGKILL)

    last = list(events)[-1]

    assert isinstance(last, Failed)
    assert last.error.code == "worker-died"
    assert last.error.message == ("the worker process ended: signal 9 (killed), most often because memory ran out")
    monkeypatch.setenv("INVOKE_SHELL_FAKE_LATENCY", "0")
    assert isinstance(list(worker.submit(DRAW))[-1], ChainDone)


def test_worker_that_died_between_lines_is_replaced(worker):
    list(worker.submit(DRAW))
    worker._process.kill()
    worker._process.wait()

    assert isinstance(list(worker.submit(DRAW))[-1], ChainDone)


def test_crash_in_a_step_is_one_event(worker, monkeypatch):
    monkeypatch.setenv("INVOKE_SHELL_FAKE_MISHAP", "crash@2")

    last = list(worker.submit(DRAW))[-1]

    assert isinstance(last, Failed)
    assert last.error.message == "the worker process ended: exit status 139"
    assert "the next line starts another" in last.error.hint


@pytest.mark.parametrize("kind", ["out-of-memory", "bad-numbers"])
def test_engine_error_crosses_the_pipe_and_the_worker_stays(worker, monkeypatch, kind):
    monkeypatch.setenv("INVOKE_SHELL_FAKE_MISHAP", f"{kind}@2")

    last = list(worker.submit(DRAW))[-1]

    assert isinstance(last, Failed)
    assert last.error.code == kind
    assert worker._process.poll() is None


def test_worker_ended_by_the_person_is_a_stop(worker, monkeypatch):
    monkeypatch.setenv("INVOKE_SHELL_FAKE_LATENCY", "0.2")
    events = worker.submit(DRAW)
    first_progress(events)

    worker.kill()

    last = list(events)[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, Cancelled)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_while_a_process_is_started_is_heard_afterwards():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with deaf_to_interrupts():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            child = subprocess.run(
                [sys.executable, "-c", "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert heard == []
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
    assert "SIGINT" in child.stdout


def test_interrupt_of_the_terminal_does_not_reach_the_worker(worker, monkeypatch):
    monkeypatch.setenv("INVOKE_SHELL_FAKE_LATENCY", "0.02")
    events = worker.submit(DRAW)
    os.kill(worker._process.pid, signal.SIGINT)  # before its first line ran, and after
    first_progress(events)
    os.kill(worker._process.pid, signal.SIGINT)

    assert isinstance(list(events)[-1], ChainDone)


def test_closing_ends_the_worker_in_mid_step(worker, monkeypatch):
    monkeypatch.setenv("INVOKE_SHELL_FAKE_LATENCY", "60")
    next(worker.submit(DRAW))
    process = worker._process
    start = time.monotonic()

    worker.close()

    assert process.poll() == 0
    assert time.monotonic() - start < 2


SHELL = """
import sys, threading
sys.path[:0] = sys.argv[1:]
from test_worker import DRAW, Setup, WorkerRuntime
worker = WorkerRuntime(Setup(engine="fake"))
next(worker.submit(DRAW))
print(worker._process.pid, flush=True)
threading.Event().wait()
"""


def test_worker_leaves_when_its_shell_is_killed_in_mid_step():
    here = Path(__file__).parent
    shell = subprocess.Popen(
        [sys.executable, "-c", SHELL, str(here), str(here.parent), str(here.parents[1])],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "INVOKE_SHELL_FAKE_LATENCY": "60"},
    )  # fmt: skip
    worker = int(shell.stdout.readline())
    assert is_running(worker)

    shell.kill()
    shell.wait()

    deadline = time.monotonic() + 5
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(worker)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_libraries_that_print_do_not_disturb_the_messages(tmp_path):
    code = (
        "from invoke_shell.runtime.child import _pipes; channel = _pipes(); print('noise', flush=True);"
        "channel.send('heard ' + channel.receive())"
    )
    import pickle
    import struct

    question = pickle.dumps("you")
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", code], input=struct.pack("<Q", len(question)) + question, stdout=subprocess.PIPE,
            stderr=log, check=True,
        )  # fmt: skip

    assert pickle.loads(done.stdout[8:]) == "heard you"
    assert (tmp_path / "log").read_text() == "noise\n"


def test_fake_worker_imports_no_torch(worker, tmp_path):
    list(worker.submit(DRAW))

    assert "torch" not in Path(f"/proc/{worker._process.pid}/maps").read_text()


def test_file_in_the_working_folder_is_not_imported(tmp_path, monkeypatch, worker):
    (tmp_path / "pickle.py").write_text("raise SystemExit('imported from the working folder')")
    monkeypatch.chdir(tmp_path)

    assert isinstance(list(worker.submit(DRAW))[-1], ChainDone)


def test_log_is_put_aside_when_it_is_long(tmp_path):
    log = tmp_path / "worker.log"
    log.write_bytes(b"x" * 2_000_000)
    worker = WorkerRuntime(Setup(engine="fake"), log=log)

    list(worker.submit(DRAW))
    worker.close()

    assert log.stat().st_size < 1_000_000
    assert (tmp_path / "worker.log.1").stat().st_size == 2_000_000


@pytest.mark.timeout(60)
@pytest.mark.parametrize("message", [1, 2])
def test_ctrl_c_while_a_message_is_on_its_way_cancels_the_run(worker, monkeypatch, message):
    """As from a signal handler: in the middle of a write, which holds the channel's lock."""
    monkeypatch.setenv("INVOKE_SHELL_FAKE_LATENCY", "0.2")
    written = 0

    def called(frame, event, argument):
        nonlocal written
        if frame.f_code is not Channel.send.__code__:
            return None
        written += 1
        return inside if written == message else None

    def inside(frame, event, argument):
        if frame.f_locals["self"]._lock.locked():
            sys.settrace(None)
            worker.cancel()
            return None
        return inside

    sys.settrace(called)
    try:
        events = worker.submit(DRAW)
    finally:
        sys.settrace(None)

    assert worker._cancelled
    assert isinstance(list(events)[-1].error, Cancelled)
