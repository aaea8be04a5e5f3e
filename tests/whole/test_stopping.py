"""Ctrl-C that comes where no run hears of it: lines behind it do not begin, and a file can go on there."""

from __future__ import annotations

import os
import signal

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
    assert f"stopped in command 1 of 2 of {folder / 'two.invoke'}: resume goes on there" in capsys.readouterr().err

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
