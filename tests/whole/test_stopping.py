"""Ctrl-C that comes where no run hears of it, terminals that are gone, streams that are closed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from invoke_shell.compose import Options, compose
from invoke_shell.pipeline.events import ChainDone
from invoke_shell.shell.command_files.scripts import run_file
from invoke_shell.shell.session import Session

pytestmark = pytest.mark.timeout(60)

TWO = "txt2img a fox --seed 1 --steps 2 --size 64x64\ntxt2img a boat --seed 2 --steps 2 --size 64x64\n"


@pytest.fixture
def opened(home, folder, monkeypatch):
    """Opens the session; in the test itself, whose streams are others than those of a fixture."""
    monkeypatch.setenv("INVOKE_SHELL_ENGINE", "fake")
    monkeypatch.setenv("INVOKE_SHELL_PLUGINS", "")
    made = []

    def open_session() -> Session:
        made.append(compose(Options(home=str(home), inline=True), interactive=False))
        return made[0]

    yield open_session
    made[0].close()


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def at_the_end_of_a_run(session) -> None:
    """Ctrl-C comes once, when all pictures of the first line are made."""
    left = [ctrl_c]
    session.events = lambda event: isinstance(event, ChainDone) and left and left.pop()()


def between_two_lines(session) -> None:
    """Ctrl-C comes once, when the first line has ended."""
    left, done = [ctrl_c], session.view.line_done

    def line_done() -> None:
        done()
        if left:
            left.pop()()

    session.view.line_done = line_done


def seeds(session) -> list[int]:
    store = session.keeper.store
    return [row.seed for row in store.between(1, store.last_number())]


def test_the_next_line_of_a_list_does_not_begin(opened, capsys):
    session = opened()
    at_the_end_of_a_run(session)

    assert session.run(TWO.replace("\n", ";", 1)) == 130
    assert seeds(session) == [1]
    assert capsys.readouterr().err == "stopping after this step; Ctrl-C again stops now\nstopped\n"


@pytest.mark.parametrize("moment", [at_the_end_of_a_run, between_two_lines])
def test_a_file_stops_and_goes_on_there(opened, folder, capsys, moment):
    session = opened()
    (folder / "two.invoke").write_text(TWO)
    moment(session)

    assert run_file(session, folder / "two.invoke") == 130
    assert seeds(session) == [1]
    assert "stopped in command 1 of 2 of two.invoke: resume goes on there" in capsys.readouterr().err

    assert session.run("resume") == 0
    assert seeds(session) == [1, 2]


def test_ctrl_c_before_the_first_step_stops_the_line(opened, capsys):
    session = opened()
    keep = session.keeper.begin

    def begin(*arguments) -> int:
        line = keep(*arguments)
        ctrl_c()
        return line

    session.keeper.begin = begin

    assert session.run(TWO) == 130
    assert seeds(session) == []
    assert session.keeper.store.history(limit=5)[0].status == "cancelled"


def test_ctrl_c_before_the_program_is_there_is_no_trace():
    early = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "invoke_shell.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from invoke_shell.__main__ import main
sys.exit(main())
"""
    ran = subprocess.run([sys.executable, "-c", early], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


# -- terminals and streams that are gone -------------------------------------------------------------------------------

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors of POSIX")


@posix_only
def test_a_run_that_must_not_hear_of_the_terminals_end_goes_on(opened, monkeypatch):
    session = opened()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        session.events = lambda event: os.kill(os.getpid(), signal.SIGHUP)

        assert session.run(TWO) == 0
        assert seeds(session) == [1, 2]
    finally:
        signal.signal(signal.SIGHUP, before)


@posix_only
def test_the_end_of_the_terminal_stops_the_run_and_what_was_finished_is_kept(home, folder):
    import pty

    env = {**os.environ, "INVOKE_SHELL_ENGINE": "fake", "INVOKE_SHELL_FAKE_LATENCY": "0.05", "TERM": "xterm"}
    child, terminal = pty.fork()
    if child == 0:
        with open("errors", "wb") as errors:
            os.dup2(errors.fileno(), 2)
        os.execve(sys.executable, [sys.executable, "-m", "invoke_shell", "--home", str(home)], env)
    heard = b""
    asked = 0
    os.write(terminal, b"txt2img a fox -n 9 --steps 10 --size 64x64\r")
    while b"@1" not in heard:
        heard += os.read(terminal, 65536)
        if heard.count(b"\x1b[6n") > asked:
            asked += 1
            os.write(terminal, b"\x1b[1;1R")
    os.close(terminal)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert (folder / "errors").read_bytes() == b""
    (database,) = home.rglob("sessions.db")
    with sqlite3.connect(database) as rows:
        assert rows.execute("SELECT status FROM lines").fetchall() == [("cancelled",)]
        assert rows.execute("SELECT count(*) FROM results WHERE state = 'done'").fetchone()[0] >= 1


def program(home, folder, line: str, streams: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "INVOKE_SHELL_ENGINE": "fake", "INVOKE_SHELL_PLUGINS": ""}
    command = f'"$0" -m invoke_shell --home "$1" --inline -c "$2" {streams}'
    argv = ["sh", "-c", command, sys.executable, str(home), line]
    return subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False)


@posix_only
@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_as_empty_ones(home, folder, streams):
    ran = program(home, folder, "txt2img a fox --steps 1 --size 64x64", streams)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert bool(ran.stdout) == (">&-" not in streams.replace("2>&-", ""))
    assert len(list((home / "outputs").iterdir())) == 1


@posix_only
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_behind_the_output_is_told(home, folder):
    ran = program(home, folder, "nodes", "> /dev/full")

    assert ran.returncode == 1
    assert ran.stderr == "the answer cannot be written to <stdout>: no space left on device\n"
