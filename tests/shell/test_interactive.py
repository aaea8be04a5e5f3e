"""The whole program in a real terminal, on the fake engine: a newcomer's first minute, mistakes, Ctrl-C, history."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

pexpect = pytest.importorskip("pexpect", reason="POSIX terminals only")
from terminal import Terminal, shell  # noqa: E402  # imports pexpect

from invoke_shell.models.catalogue import ASSETS  # noqa: E402

pytestmark = pytest.mark.timeout(120)

HALF = "▀"
CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"
SLOW = {"INVOKE_SHELL_FAKE_LATENCY": "0.1"}


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def worker_of(pid: int) -> int:
    """The worker of a shell, which may have a process that reads models too."""
    if not shutil.which("ps"):
        pytest.skip("ps is not installed")
    ps = ["ps", "-o", "pid=,args=", "--ppid", str(pid)]
    listed = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
    (only,) = [line.split()[0] for line in listed.splitlines() if "invoke_shell.runtime.worker" in line]
    return int(only)


def test_a_newcomers_first_minute(home):
    with shell(home) as terminal:
        terminal.wait("pocket 128x128: demo model")
        assert terminal.lines[0].startswith("invoke_shell ")
        assert "try: txt2img a red boat    Tab completes" in terminal.text

        terminal.line("txt2img a red boat on a green sea")
        terminal.wait("@1")
        terminal.wait_prompt()

        drawn = [line for line in terminal.lines if set(line) == {HALF}]
        assert len(drawn) == 20
        assert {len(line) for line in drawn} == {40}
        first = terminal.row(HALF)
        colours = {terminal.style(row, column).fg for row in range(first, first + 20) for column in range(40)}
        assert len(colours) > 2
        assert "default" not in colours
        under = terminal.lines[terminal.row("@1")]
        assert re.fullmatch(r"@1  128x128  seed \d+  \d+\.\d s  …/000001-a-red-boat-on-a-green-\d+\.png", under)
        assert len(list((home / "outputs").iterdir())) == 1


def test_a_mistake_keeps_the_line_with_carets_and_a_suggestion(home):
    with shell(home) as terminal:
        terminal.line('txt2img "a cat" --stpes 30')
        terminal.wait("did you mean --steps?")
        terminal.wait(lambda screen: terminal.edited == 'txt2img "a cat" --stpes 30')

        message = terminal.row("txt2img has no --stpes")
        typed, carets = terminal.lines[message - 2 : message]
        assert carets.strip() == "^" * 7
        assert typed[carets.index("^") :].startswith("--stpes")
        assert terminal.style(message - 1, carets.index("^")).fg == "red"
        assert not list(home.glob("outputs/*"))

        terminal.type("\x7f" * 5 + "steps\r")
        terminal.wait("@1 ")


def test_an_unknown_word_is_red_and_underlined_while_typing(home):
    with shell(home) as terminal:
        terminal.type('txt2img "a cat" --stpes 3')
        terminal.wait("--stpes 3")
        terminal.settle()
        row = terminal.prompt_row
        colours = {word: terminal.style(row, terminal.lines[row].index(word)) for word in ("txt2img", '"a', "--stpes")}

        assert (colours["--stpes"].fg, colours["--stpes"].underscore) == ("red", True)
        assert (colours["txt2img"].fg, colours['"a'].fg) == ("green", "brown")


def test_after_a_pipe_only_what_takes_pictures_is_offered(home):
    with shell(home) as terminal:
        terminal.type("txt2img a fox | ")
        screen = terminal.wait("Make a picture larger")

        offered = screen.partition("invoke> ")[2]
        assert "upscale" in offered
        assert "Draw pictures from a text prompt." not in offered  # txt2img

        terminal.type("l")
        screen = terminal.wait(lambda screen: "levels" in screen and "upscale" not in screen)
        assert "load_image" not in screen
        terminal.type("\x7f")
        terminal.wait(lambda screen: terminal.edited == "txt2img a fox |")

        terminal.type("ups\t")
        terminal.wait(lambda screen: terminal.edited == "txt2img a fox | upscale")
        terminal.type("\r")
        terminal.wait("256x256")


def test_progress_is_shown_and_ctrl_c_returns_to_a_prompt_that_works(home):
    with shell(home, **SLOW) as terminal:
        terminal.line("txt2img a fox --steps 60 | upscale")
        terminal.wait(re.compile(r"1/2 txt2img .* \d+/60 +\d+\.\d it/s +0:0\d left").search)
        terminal.type(CTRL_C)
        terminal.wait("stopped")
        terminal.wait_prompt()

        assert "it/s" not in terminal.text
        assert not terminal.screen.cursor.hidden
        terminal.line("txt2img a fox --steps 2")
        terminal.wait("@1 ")


def far(one: str, other: str) -> int:
    """How far two colours in hex are apart, in the channel that differs most; scaling down blurs a little."""
    return max(abs(a - b) for a, b in zip(bytes.fromhex(one), bytes.fromhex(other), strict=True))


def test_the_picture_is_seen_while_it_is_drawn_and_replaced_when_it_is_finished(home):
    with shell(home, INVOKE_SHELL_FAKE_LATENCY="0.08", INVOKE_IMAGE_PROTOCOL="half-blocks") as terminal:
        terminal.line('txt2img "a fox" --steps 30 --seed 7')
        terminal.wait(lambda screen: HALF in screen and "/30" in screen)
        terminal.settle(0.02)
        top = terminal.row(HALF)
        seen = [[terminal.style(top + y, x)[1:3] for x in range(32)] for y in range(16)]
        terminal.wait("@1 ")
        terminal.wait_prompt()

        # The fake engine's latents are its picture's pattern of 8x8 cells, eight times smaller: 4x4 pixels a cell here.
        first = terminal.row(HALF)
        for y in range(8):
            for x in range(8):
                cell = {colour for row in seen[2 * y : 2 * y + 2] for both in row[4 * x : 4 * x + 4] for colour in both}
                middle = terminal.style(first + (5 * y + 2) // 2, 5 * x + 2)
                assert len(cell) == 1
                assert far(cell.pop(), middle.bg if (5 * y + 2) % 2 else middle.fg) < 16
        assert len([line for line in terminal.lines if set(line) == {HALF}]) == 20


def test_what_a_stopped_line_had_finished_is_kept_and_drawn(home):
    with shell(home, **SLOW) as terminal:
        terminal.line("txt2img a fox --steps 8 -n 3 --seed 5")
        terminal.wait("@1 ")
        terminal.type(CTRL_C)
        terminal.wait("stopped")
        terminal.wait_prompt()

        assert HALF in terminal.text
        assert "1 of 3 done and kept" in terminal.text or "2 of 3 done and kept" in terminal.text
        terminal.line("@1 | upscale")
        terminal.wait("256x256")


def test_a_killed_worker_is_one_line_and_the_next_line_works(home):
    with shell(home, **SLOW) as terminal:
        terminal.line("txt2img a fox --steps 60")
        terminal.wait("/60")
        os.kill(worker_of(terminal.program.pid), signal.SIGKILL)
        terminal.wait_prompt()

        assert "Traceback" not in terminal.text
        terminal.line("txt2img a fox --steps 2")
        terminal.wait("@1 ")


def test_history_and_results_are_there_after_a_kill(home):
    with shell(home) as terminal:
        terminal.line("txt2img a fox --seed 3")
        terminal.wait("@1 ")
        terminal.wait_prompt()
        os.kill(terminal.program.pid, signal.SIGKILL)

    with shell(home) as terminal:
        terminal.wait("last @1, ")
        assert "try:" not in terminal.text
        terminal.type(UP)
        terminal.wait(lambda screen: terminal.edited == "txt2img a fox --seed 3")
        terminal.type(CTRL_C)
        terminal.line("@1 | upscale")
        terminal.wait("@2 ")


def test_recall_puts_the_line_into_the_prompt_and_does_not_run_it(home):
    with shell(home) as terminal:
        terminal.line("txt2img a fox --seed 3 --steps 2")
        terminal.wait("@1 ")
        terminal.wait_prompt()
        terminal.line("recall @1")
        terminal.wait(lambda screen: 'txt2img "a fox"' in terminal.edited)

        assert len(list((home / "outputs").iterdir())) == 1


def test_keys_typed_ahead_of_the_first_prompt_and_of_a_run_are_kept(home):
    with shell(home, **SLOW) as terminal:
        terminal.line("txt2img a fox --steps 12")
        terminal.wait(re.compile("[1-4]/12").search)
        terminal.type("help exit\r")
        terminal.wait(re.compile("([89]|10|11)/12").search)
        assert "help exit" not in terminal.text  # not echoed into the progress
        terminal.wait("@1 ")
        terminal.wait("exit: Leave the shell")
        terminal.wait_prompt()


def test_ctrl_d_leaves_and_ctrl_c_says_how(home):
    with shell(home) as terminal:
        terminal.type(CTRL_C)
        terminal.wait("Ctrl-D or exit leaves")
        terminal.wait_prompt()
        terminal.type(CTRL_D)

        assert terminal.ended() == 0


def test_exit_leaves_while_a_worker_is_there(home):
    with shell(home) as terminal:
        terminal.line("txt2img a fox")
        terminal.wait("@1 ")
        terminal.wait_prompt()
        worker = worker_of(terminal.program.pid)
        terminal.line("exit")

        assert terminal.ended() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_ctrl_c_while_the_shell_closes_ends_nothing(home):
    with shell(home) as terminal:
        terminal.type(CTRL_D)
        while terminal.program.isalive():
            terminal.type(CTRL_C)
            terminal.pump(0.002)

        assert (terminal.program.signalstatus, terminal.program.exitstatus) == (None, 0)
        assert "Traceback" not in terminal.raw


def test_answers_of_the_terminal_are_never_echoed(home):
    with shell(home) as terminal:
        for _ in range(5):  # Ctrl-L is read with Ctrl-C, and done before the next prompt has the terminal
            terminal.type("\x03\x0c" + "txt2img a fox --steps 3 " * 8)
            terminal.settle()

        assert "^[" not in terminal.raw
        terminal.type("\x03")
        terminal.wait_prompt()
        terminal.line("txt2img a fox")
        terminal.wait("@1")


def test_ctrl_c_is_heard_behind_more_keys_than_the_system_keeps(home):
    with shell(home, **SLOW) as terminal:
        terminal.line("txt2img a fox --steps 90 --size 64x64")
        terminal.wait("/90")
        for _ in range(20):
            terminal.type("x" * 1000)
            terminal.pump(0)
        terminal.type(CTRL_C)
        terminal.wait("stopped in txt2img", seconds=6)
        terminal.wait_prompt()


def test_a_long_paste_into_a_run_stands_in_the_next_line_and_does_not_run(home):
    pasted = "\n".join(f"txt2img picture {n} of a long tale" for n in range(300))
    with shell(home, **SLOW) as terminal:
        terminal.line("txt2img a fox --steps 20")
        terminal.wait("/20")
        for at in range(0, len(pasted) + 12, 1000):
            terminal.type(f"\x1b[200~{pasted}\x1b[201~"[at : at + 1000])
            terminal.pump(0)
        terminal.wait("picture 299 of a long tale")
        terminal.type("\x7f" * 4)
        terminal.wait("picture 299 of a long\n")

        assert len(list((home / "outputs").iterdir())) == 1


def test_pastes_are_marked_from_the_first_prompt_to_the_last_but_not_for_other_programs(home):
    marked, plain = "\x1b[?2004h", "\x1b[?2004l"
    with shell(home) as terminal:
        terminal.type(CTRL_C)
        terminal.line("txt2img a fox --steps 2")
        terminal.wait("@1")
        terminal.wait_prompt()
        assert plain not in terminal.raw

        terminal.line("$ echo other")
        terminal.wait("other\n")
        terminal.wait_prompt()
        _, after = terminal.raw.split(plain)
        assert after.index("other") < after.index(marked)
        terminal.type(CTRL_D)
        terminal.ended()
        assert terminal.raw.rindex(plain) > terminal.raw.rindex(marked)


def test_ctrl_c_right_behind_enter_stops_the_line(home):
    with shell(home) as terminal:
        terminal.type("txt2img a fox\r" + CTRL_C + "txt2img a boat\r")
        terminal.wait("@1")
        terminal.wait_prompt()

        assert re.search("stopped *$", terminal.lines[terminal.row("txt2img a fox") + 1])
        terminal.type(UP * 2)
        terminal.wait(lambda screen: terminal.edited == "txt2img a fox")


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_ctrl_z_stops_a_run_and_gives_the_terminal_to_the_shell_around_it(home):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("INVOKE")}
    env = {**clean, **SLOW, "TERM": "xterm-256color", "INVOKE_SHELL_ENGINE": "fake", "PS1": "outer> "}
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], env, cwd=home)
    try:
        terminal.wait("outer>")
        terminal.type(f"{sys.executable} -m invoke_shell --home {home}\r")
        terminal.wait_prompt()
        terminal.line("txt2img a fox --steps 30")
        terminal.wait("/30")
        terminal.type("\x1a")
        terminal.wait("Stopped")
        assert not terminal.screen.cursor.hidden
        terminal.type("stty -a | tr ' ' '\\n' | grep -x -e -isig -e -icanon -e -echo; echo as $((1 + 1))found\r")
        terminal.wait("as 2found")
        assert not {"-isig", "-icanon", "-echo"} & set(terminal.lines)
        terminal.type("fg\r")
        terminal.wait("@1  ")
        terminal.wait_prompt()
    finally:
        terminal.close()


def test_an_editor_that_is_not_there_is_told(home):
    with shell(home, VISUAL="", EDITOR="no-such-editor -x") as terminal:
        terminal.type("txt2img a boat")
        terminal.wait(lambda screen: terminal.edited == "txt2img a boat")
        terminal.type("\x18\x05")
        terminal.wait("EDITOR is no-such-editor -x, and there is no no-such-editor")
        terminal.wait(lambda screen: terminal.edited == "txt2img a boat")


@pytest.mark.parametrize("keys", [("emacs", "\x18\x05"), ("vi", "\x1b", "v")])
def test_the_line_in_an_editor_comes_back_and_does_not_run(home, keys):
    editor = home / "editor"
    editor.write_text(
        """#!/bin/sh\nprintf 'which? '\nread colour\nsed "s/a boat/a $colour boat/" "$1" > x\nmv x "$1"\n"""
    )
    editor.chmod(0o755)
    with shell(home, VISUAL=str(editor)) as terminal:
        terminal.line(f"set keys {keys[0]}")
        terminal.wait(f"keys is {keys[0]}")
        terminal.wait_prompt()
        terminal.type("txt2img a boat")
        terminal.wait(lambda screen: terminal.edited == "txt2img a boat")
        for key in keys[1:]:
            terminal.type(key)
            terminal.settle(0.7)
        terminal.wait("which?")
        terminal.type("red\r")  # a terminal as programs expect it: with lines and echo
        terminal.wait("which? red")
        terminal.wait(lambda screen: terminal.edited == "txt2img a red boat")
        terminal.settle()

        assert not list(home.glob("outputs/*"))


def test_an_output_that_is_no_terminal_gets_plain_lines(home):
    env = {k: v for k, v in os.environ.items() if not k.startswith("INVOKE")}
    argv = ["sh", "-c", '"$0" -m invoke_shell --home "$1" | cat', sys.executable, str(home)]
    terminal = Terminal(argv, {**env, "TERM": "xterm-256color", "INVOKE_SHELL_ENGINE": "fake"}, cwd=home)
    try:
        terminal.wait("invoke>")
        terminal.type("txt2img a\r")
        terminal.wait("@1")
        terminal.type(CTRL_D)
        terminal.ended()
    finally:
        terminal.close()

    assert "\x1b" not in terminal.raw


def test_plain_lines_end_with_their_row(home):
    with shell(home, TERM="dumb") as terminal:
        terminal.type("txt2img half")
        terminal.wait("txt2img half")
        terminal.type(CTRL_C)
        terminal.wait("leaves")
        terminal.type(CTRL_D)
        terminal.ended()

        half = terminal.row("txt2img half")
        assert [line.rstrip() for line in terminal.lines[half + 1 : half + 3]] == ["Ctrl-D or exit leaves", "invoke>"]


def test_forty_columns_are_enough(home):
    with shell(home, columns=40, rows=30) as terminal:
        terminal.line('txt2img "a cat" --stpes 30')
        terminal.wait("did you mean --steps?")
        terminal.type(CTRL_C)
        terminal.wait_prompt()
        terminal.line("txt2img a fox -n 6")
        terminal.wait("@6")
        terminal.wait_prompt()

        assert HALF in terminal.text
        assert max(len(line) for line in terminal.lines) <= 40


@pytest.mark.parametrize("how", ["TERM=dumb", "set plain on"])
def test_plain_has_no_pictures_and_no_escape_codes(home, how):
    env = {"TERM": "dumb"} if how == "TERM=dumb" else {}
    if not env:
        (home / "config.yaml").write_text("plain: on\n")
    with shell(home, **env) as terminal:
        terminal.type("txt2img a fox --stpes 3\r")
        terminal.wait("did you mean --steps?")
        terminal.wait(lambda screen: terminal.prompt_row > terminal.row("did you mean"))
        terminal.raw = ""
        terminal.type("\x15txt2img a fox --seed 3\r")
        terminal.wait("@1 ")

        assert HALF not in terminal.text
        assert "\x1b[3" not in terminal.raw
        terminal.type(CTRL_D)
        assert terminal.ended() == 0


@pytest.mark.parametrize(("columns", "rows"), [(20, 5), (12, 3)])
def test_a_very_small_window_has_a_prompt(home, columns, rows):
    with shell(home, columns=columns, rows=rows) as terminal:
        terminal.type("blur")
        terminal.wait(lambda screen: terminal.edited == "blur")
        terminal.type(CTRL_C)
        terminal.wait_prompt()
        terminal.type("txt2img a\r")
        terminal.wait(lambda screen: list(home.glob("outputs/*.png")))
        terminal.wait_prompt()

        assert "too small" not in terminal.raw


def styles(written: str) -> set[int]:
    """The numbers of all styles and colours in what a program wrote."""
    return {int(code) for part in re.findall(r"\x1b\[([\d;]*)m", written) for code in part.split(";") if code}


def test_no_color_edits_without_colours(home):
    with shell(home, NO_COLOR="1") as terminal:
        terminal.line("txt2img a fox --seed 3")
        terminal.wait("@1 ")

        assert HALF not in terminal.text
        assert styles(terminal.raw) <= {0, 1, 2, 4, 7}  # none, bold, dim, underlined, reversed


def test_no_color_without_a_value_says_nothing(home):
    with shell(home, NO_COLOR="") as terminal:
        terminal.type("txt2img")
        terminal.wait(lambda screen: terminal.style(terminal.prompt_row, 9).fg == "green")


def test_no_theme_is_no_colour_in_menus_either_and_grey_text_is_dim(home):
    (home / "config.yaml").write_text("theme: none\n")
    with shell(home) as terminal:
        before = len(terminal.raw)
        terminal.type("txt2img a | upsc")
        terminal.wait("upscale_diffuse")
        terminal.settle()

        assert styles(terminal.raw[before:]) - {39, 49} <= {0, 1, 2, 4, 7}
        assert re.search(r"\x1b\[[\d;]*\b2m(\x1b\[[\d;]*m)*ale", terminal.raw[before:])


def test_a_shell_in_a_pipe_has_no_escape_codes(home):
    argv = [sys.executable, "-m", "invoke_shell", "--home", str(home)]
    env = {**os.environ, "INVOKE_SHELL_ENGINE": "fake"}

    done = subprocess.run(
        argv, input="txt2img a fox\n", capture_output=True, text=True, env=env, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout.startswith("@1  128x128")


def test_a_long_answer_comes_one_screen_at_a_time_and_stays_readable(home):
    if not shutil.which("less"):
        pytest.skip("less is not installed")
    with shell(home, rows=20) as terminal:
        terminal.line("help --all")
        terminal.wait("Begin a line")
        terminal.wait(lambda screen: terminal.lines[-1].startswith("space goes on, q leaves"))
        terminal.type(" ")
        terminal.wait("contrast")
        terminal.type("q")
        terminal.wait_prompt()
        terminal.line("help flip")
        terminal.wait("flip: Mirror a picture")
        terminal.wait_prompt()


def test_f1_on_a_handle_tells_how_it_was_made(home):
    with shell(home) as terminal:
        terminal.line("txt2img a fox --seed 7 --steps 2")
        terminal.wait("@1 ")
        terminal.wait_prompt()
        terminal.type("@1\x1bOP")
        terminal.wait('txt2img "a fox" --size 128x128 --steps 2 ')
        terminal.wait(lambda screen: "\ninvoke> @1\n" in screen)  # the model may have been read for it meanwhile
        assert "working" not in terminal.text


def test_a_test_card_in_every_protocol(home):
    with shell(home, rows=120) as terminal:
        terminal.line("doctor --pictures")
        terminal.wait("set --keep pictures NAME")  # pyte knows no sixel and shows its text

    assert all(f"\r\n{name}\r\n" in terminal.raw for name in ("kitty", "iterm2", "sixel", "half-blocks"))
    assert all(start in terminal.raw for start in ("\x1b_Ga=T", "\x1b]1337;File=", "\x1bP0;1;0q"))
    assert "38;2;255;255;0" in terminal.raw


def test_other_programs_models_are_offered_once_and_taken_in_by_the_line_that_is_shown(home, tmp_path):
    upscalers = tmp_path / "ComfyUI/models/upscale_models"
    upscalers.mkdir(parents=True)
    shutil.copy(next((ASSETS / "upscalers").glob("*.safetensors")), upscalers / "sharp.safetensors")
    with shell(home, HOME=str(tmp_path)) as terminal:
        terminal.wait("models scan ~/ComfyUI/models")
        offered = terminal.row("found models of ComfyUI; to use them where they lie:")
        line = terminal.lines[offered + 1].strip()
        assert line == "models scan ~/ComfyUI/models"

        terminal.line(line)
        terminal.wait("1 upscaler")
        terminal.line("models show sharp")
        terminal.wait("sharp: upscaler")

    with shell(home, HOME=str(tmp_path)) as terminal:
        assert "found models" not in terminal.text
        terminal.type("@-1 | upscale --upscaler sh\t")
        terminal.wait(lambda screen: terminal.edited.startswith("@-1 | upscale --upscaler sharp"))


def test_ctrl_c_ends_a_program_of_the_system_and_says_so_on_a_row_of_its_own(home):
    with shell(home) as terminal:
        terminal.line("$ echo begun; sleep 60")
        terminal.wait(lambda screen: "\nbegun" in screen)

        terminal.type(CTRL_C)

        terminal.wait(lambda screen: "\nstopped\n" in screen)
        terminal.wait_prompt()
