"""Programs killed in the middle of lines and files, and what the next one makes of it: the rest, and nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from invoke_shell.compose import Options, compose

pytestmark = pytest.mark.timeout(120)


def killed(home: Path, folder: Path, *arguments: str, after: int) -> None:
    """Run the program, and kill it when it has told so many results."""
    env = {**os.environ, "INVOKE_SHELL_ENGINE": "fake", "INVOKE_SHELL_PLUGINS": "", "INVOKE_SHELL_FAKE_LATENCY": "0.02"}
    argv = [sys.executable, "-m", "invoke_shell", "--home", str(home), "--inline", *arguments]
    program = subprocess.Popen(argv, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stderr is not None
    told = 0
    while told < after:
        line = program.stdout.readline()
        assert line, program.stderr.read()
        told += line.startswith("@")
    program.send_signal(signal.SIGKILL)
    program.communicate()


def hashes(ran) -> list[str]:
    return [r["pixel_hash"] for r in ran.results]


SWEEP = "txt2img fox --seed 1..12 --size 64x64 --steps 3 as @base | blur | contact_sheet"


def test_a_killed_sweep_goes_on_where_it_was_and_its_names_are_whole(invoke, home, folder, tmp_path):
    whole = invoke("--json", "-c", SWEEP, home=tmp_path / "other")
    killed(home, folder, "-c", SWEEP, after=16)  # 12 of txt2img, then some of blur

    listed = invoke("--json", "-c", "resume --list").records
    ran = invoke("--json", "-c", "resume")
    after = invoke("--json", "--continue", "-c", "@base | contact_sheet")

    assert ran.status == 0, ran.err
    assert [r["event"] for r in listed] == ["unfinished"]
    done = int(listed[0]["progress"].split()[0])
    assert 16 <= done < 25
    assert listed[0]["progress"].endswith("of 25 done")
    assert len(ran.results) == 25 - done
    assert hashes(ran) == hashes(whole)[done:]
    assert after.results[0]["pixel_hash"] == invoke(
        "--json", "--continue", "-c", "@base | contact_sheet", home=tmp_path / "other"
    ).results[0]["pixel_hash"]  # fmt: skip
    again = invoke("-c", "resume")
    assert (again.status, again.err) == (1, "nothing was left unfinished\n")


def test_a_shell_that_runs_goes_on_with_what_one_beside_it_left(invoke, home, folder):
    session = compose(Options(home=str(home), inline=True), interactive=False)
    assert session.run("txt2img cat") == 0

    killed(home, folder, "-c", SWEEP, after=2)

    assert session.run("resume") == 0
    session.close()
    assert len(list((home / "outputs").glob("*.png"))) == 26


def test_what_is_to_be_forgotten_is_not_spoken_of_any_more(invoke, home, folder):
    killed(home, folder, "-c", SWEEP, after=2)

    number = invoke("--json", "-c", "resume --list").records[0]["key"]
    wrong = invoke("-c", "resume 99")
    forgotten = invoke("-c", f"resume {number} --forget")

    assert wrong.err == "99 was not left unfinished\n  resume --list tells what was\n"
    assert forgotten.err.startswith("forgotten: txt2img fox --seed 1..12")
    assert invoke("-c", "resume --list").err == "nothing was left unfinished\n"


def test_a_line_that_saves_writes_no_file_twice(invoke, home, folder):
    killed(home, folder, "-c", "txt2img fox --seed 1..9 --steps 3 | save out.png | blur", after=3)

    ran = invoke("-c", "resume")

    assert ran.status == 0, ran.err
    assert len(list(folder.glob("out*.png"))) == 9
    assert len(list((home / "outputs").glob("*.png"))) == 9


FILE = """# invoke 1
set steps 3
txt2img "a fox" --seed 1..20 --size 64x64 as @foxes

# what is made of them
@foxes[3] @foxes[5] | blur as @soft
| contact_sheet --columns 2
@-1 | upscale
txt2img "a cat" --seed 1..10 --size 64x64
"""


@pytest.fixture
def file(folder):
    path = folder / "many.invoke"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("after", [7, 27])
def test_a_killed_file_goes_on_in_its_session_and_makes_the_same_pictures(invoke, home, folder, file, tmp_path, after):
    whole = invoke("--json", str(file), home=tmp_path / "other")
    killed(home, folder, str(file), after=after)

    told = invoke("-c", "resume --list").out
    ran = invoke("--json", "--resume", str(file))

    assert whole.status == ran.status == 0, ran.err
    assert len(whole.results) == 34
    done = 34 - len(ran.results)
    assert told == f"       {f'{done} of 34 done':<18} {file}\n"
    assert after <= done < 34
    assert hashes(ran) == hashes(whole)[done:]
    assert {r["session"] for r in ran.results} == {ran.results[0]["session"]}
    assert invoke("--resume", str(file)).err == f"{file} is done: there is nothing to resume\n"


def test_a_file_that_was_changed_meanwhile_goes_on_as_it_was(invoke, home, folder, file):
    killed(home, folder, str(file), after=3)
    file.write_text("txt2img dog\n")

    ran = invoke("--json", "-c", "resume")

    assert f"{file} was changed since; what it said then goes on" in ran.err
    assert "a cat" in ran.results[-1]["command"]


def test_a_file_stops_at_a_line_that_fails_and_says_how_to_go_on(invoke, folder):
    (folder / "bad.invoke").write_text("txt2img fox --seed 7\n@-1 | crop 0:0:999:999\ntxt2img cat --seed 7\n")

    ran = invoke("bad.invoke")
    again = invoke("--json", "-c", "resume")

    assert ran.status == again.status == 1
    assert "stopped in command 2 of 3 of bad.invoke: resume goes on there" in ran.err
    assert again.results == []  # what is done is not made again, and the line that fails fails again


def test_a_file_shows_its_lines_as_it_goes(invoke, folder, file):
    ran = invoke("-c", f"source {file} --show")

    shown = [line for line in ran.err.splitlines() if line[:4].strip().isdigit()]
    assert [line.split()[0] for line in shown] == ["2", "3", "6", "7", "8", "9"]
    assert shown[2] == "   6  @foxes[3] @foxes[5] | blur as @soft"


def test_standard_input_can_be_resumed_too(invoke, home, folder):
    env = {**os.environ, "INVOKE_SHELL_ENGINE": "fake", "INVOKE_SHELL_FAKE_LATENCY": "0.03"}
    argv = [sys.executable, "-m", "invoke_shell", "--home", str(home), "--inline", "-"]
    program = subprocess.Popen(argv, env=env, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write("txt2img fox --seed 1..6 --steps 3\ntxt2img cat --steps 3\n")
    program.stdin.close()
    program.stdout.readline()
    program.kill()
    program.wait()
    program.stdout.close()

    ran = invoke("-c", "resume")

    assert ran.status == 0, ran.err
    assert len(list((home / "outputs").glob("*.png"))) == 7
