"""What a session looks like in a terminal: pictures, result lines, carets, progress."""

from __future__ import annotations

import io
import re
import time

import pyte
import pytest
from shell_kit import REGISTRY, readings

from invoke_shell.errors import BlockedError, Cancelled, Fault, LineError
from invoke_shell.pipeline.events import ChainDone, ChainStarted, Failed, Progress, Said, StageStarted
from invoke_shell.records import Image
from invoke_shell.shell.display import block, progress
from invoke_shell.shell.display.pictures import Pictures
from invoke_shell.shell.display.progress import PlainProgress, ProgressLine, State, row
from invoke_shell.shell.display.screen import TerminalView
from invoke_shell.shell.display.terminal import Answer
from invoke_shell.shell.display.view import Result, Where
from invoke_shell.shell.settings import Settings

COLOURS = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]")
HALF = "▀"


class Screen(io.StringIO):
    """What a view writes, and how a terminal shows it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        screen = pyte.Screen(80, 200)
        pyte.Stream(screen).feed(self.getvalue().replace("\n", "\r\n"))
        return [line.rstrip() for line in screen.display if line.strip()]

    @property
    def bare(self) -> str:
        return COLOURS.sub("", self.getvalue())


def picture(grey: int = 128, size: int = 8) -> Image:
    return Image(mode="L", width=size, height=size, pixels=bytes([grey]) * size * size)


def result(n: int, **more) -> Result:
    image = more.pop("image", picture(n))
    values = {"path": f"/out/{n}.png", "seed": 7, "seconds": 1.2, "session": "s", "command": "txt2img a"}
    return Result(n=n, image=image, **{**values, **more})


def view(screen: Screen, **settings: str) -> TerminalView:
    chosen = Settings(REGISTRY)
    for name, text in {"pictures": "half-blocks", **settings}.items():
        chosen.set(name, text)
    return TerminalView(
        chosen, out=screen, stdin=io.StringIO(), env={"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    )


def run(v: TerminalView, *results: Result, stages=("txt2img",)) -> None:
    """A whole line as the session tells it."""
    v.event(ChainStarted(stages=stages, pictures=len(results)))
    for r in results:
        v.result(r)
    v.event(ChainDone(pictures=len(results), seconds=1))
    v.line_done()


@pytest.fixture
def screen():
    return Screen()


# -- results -----------------------------------------------------------------------------------------------------------


def test_one_picture_is_drawn_and_its_line_stands_under_it(screen):
    run(view(screen), result(12))

    assert all(set(line) == {HALF} for line in screen.lines[:-1])
    assert len(screen.lines[0]) == 40
    assert screen.lines[-1] == "@12  8x8  seed 7  1.2 s  /out/12.png"


def test_several_pictures_have_their_lines_at_once_and_are_drawn_together(screen):
    v = view(screen)
    v.event(ChainStarted(stages=("txt2img",), pictures=3))
    v.result(result(1))

    assert screen.lines == ["@1  8x8  seed 7  1.2 s  /out/1.png"]

    v.result(result(2))
    v.result(result(3))
    v.event(ChainDone(pictures=3, seconds=1))

    assert screen.lines[3].count(HALF) > 60
    assert screen.lines[-1].split() == ["@1", "@2", "@3"]


def test_more_than_four_are_a_sheet_with_a_handle_under_each(screen):
    run(view(screen), *(result(n) for n in range(1, 10)))

    drawn = [line for line in screen.lines if HALF in line or re.fullmatch(r"(@\d+\s*)+", line)]
    handles = [handle for line in drawn if HALF not in line for handle in line.split()]
    assert handles == [f"@{n}" for n in range(1, 10)]


def test_a_sheet_that_the_line_made_is_drawn_alone_and_as_wide_as_the_window(screen):
    parts = [result(n, inner=True) for n in range(1, 6)]
    run(view(screen), *parts, result(6, image=Image(mode="L", width=1600, height=200, pixels=bytes(1600 * 200))))

    drawn = [line for line in screen.lines if HALF in line]
    assert {len(line) for line in drawn} == {80}
    assert len(drawn) == 5
    assert [line.split()[0] for line in screen.lines if "@" in line] == [f"@{n}" for n in range(1, 7)]


def test_the_parts_of_a_sheet_that_was_not_made_are_drawn(screen):
    v = view(screen)
    v.event(ChainStarted(stages=("txt2img", "contact_sheet"), pictures=3))
    v.result(result(1, inner=True))
    v.event(Failed(error=Cancelled("stopped")))
    v.line_done()

    assert HALF in screen.lines[-1]


def test_a_picture_that_was_named_on_the_way_is_drawn_beside_the_last(screen):
    run(view(screen), result(1, inner=True, name="base"), result(2))

    assert screen.lines[-1].split() == ["@1", "@2"]


def test_what_was_made_before_a_stop_is_drawn_before_the_reason(screen):
    v = view(screen)
    v.event(ChainStarted(stages=("txt2img",), pictures=3))
    v.result(result(1))
    v.event(Failed(error=Cancelled("stopped: 1 of 3 done and kept")))
    v.error(Cancelled("stopped: 1 of 3 done and kept"), Where())
    v.line_done()

    assert HALF in screen.lines[1]
    assert screen.lines[-1] == "stopped: 1 of 3 done and kept"


def test_pictures_of_several_runs_of_one_line_are_each_drawn(screen):
    v = view(screen)
    for n in (1, 2):
        v.event(ChainStarted(stages=("txt2img",), pictures=1))
        v.result(result(n))
        v.event(ChainDone(pictures=1, seconds=1))
        v.text(f"{n}: exact")
    v.line_done()

    assert [line for line in screen.lines if HALF not in line] == [
        "@1  8x8  seed 7  1.2 s  /out/1.png",
        "1: exact",
        "@2  8x8  seed 7  1.2 s  /out/2.png",
        "2: exact",
    ]


@pytest.mark.parametrize(("show", "columns"), [("off", 0), ("20", 20), ("auto", 40)])
def test_the_setting_says_how_large_results_are_drawn(screen, show, columns):
    run(view(screen, show=show), result(1))

    assert len(screen.lines[0]) == columns or (not columns and screen.lines[0].startswith("@1"))


def test_a_picture_that_the_line_showed_is_not_drawn_again(screen):
    v = view(screen)
    v.event(ChainStarted(stages=("txt2img", "show_image"), pictures=1))
    v.show([picture(1)], [], 20)
    before = screen.getvalue().count(HALF)
    v.result(result(1))
    v.event(ChainDone(pictures=1, seconds=1))

    assert before > 0
    assert screen.getvalue().count(HALF) == before
    assert screen.lines[-1].startswith("@1")


def test_where_nothing_can_be_drawn_the_person_who_asked_is_told_why(screen):
    v = view(screen, pictures="path")

    v.show([picture()], [], None)
    v.show([], [], None)

    assert screen.lines == ["no picture is drawn here: the setting says so"]
    run(v, result(1))
    assert len(screen.lines) == 2  # a result has its line


@pytest.mark.parametrize(
    ("color", "env", "plain", "why"),
    [
        (True, {}, "off", ""),
        (True, {}, "on", "plain is on"),
        (False, {"NO_COLOR": "1"}, "off", "NO_COLOR is set"),
        (False, {}, "on", "colours are off"),
    ],
)
def test_what_says_that_there_are_no_pictures(screen, color, env, plain, why):
    settings = Settings(REGISTRY)
    settings.set("plain", plain)

    assert TerminalView(settings, color=color, out=screen, stdin=io.StringIO(), env=env).why_plain == why


def test_held_pictures_are_small():
    v = view(Screen())
    v.event(ChainStarted(stages=("txt2img",), pictures=2))
    v.result(result(1, image=picture(5, size=2000)))

    assert v._held[0].image.size == (512, 512)


@pytest.mark.parametrize("how", ["setting", "no colour"])
def test_plain_has_no_escape_codes_and_no_pictures(screen, how):
    v = view(screen, plain="on") if how == "setting" else view(screen)
    v.color = how == "setting"
    run(v, result(1), stages=("txt2img", "upscale"))
    v.error(LineError("txt2img", [Fault(0, 7, "message", "hint")]), Where())
    v.say("a note", warning=True)
    v.restore()

    assert "\x1b" not in screen.getvalue()
    assert HALF not in screen.getvalue()
    assert screen.lines == [
        "@1  8x8  seed 7  1.2 s  /out/1.png",
        "  txt2img",
        "  ^^^^^^^",
        "message",
        "  hint",
        "note: a note",
    ]


# -- errors ------------------------------------------------------------------------------------------------------------


def shown(screen, error, *, above="", where=None) -> list[str]:
    v = view(screen)
    v.begin(above)
    v.error(error, where or Where())
    v.restore()
    return screen.bare.splitlines()


def test_carets_stand_straight_under_the_line_that_was_typed(screen):
    line = 'txt2img "a cat" --stpes 30 | upscal'
    error = LineError(line, readings(line).faults)

    assert ["invoke> " + line, *shown(screen, error, above="invoke> " + line)] == [
        'invoke> txt2img "a cat" --stpes 30 | upscal',
        "                        ^^^^^^^      ^^^^^^",
        "txt2img has no --stpes",
        "  did you mean --steps?",
        "there is no command upscal",
        "  did you mean upscale?",
    ]


def test_carets_of_something_missing_stand_under_the_word_though_the_line_is_one_of_two(screen):
    source = "load_image b.png | upscale"
    error = BlockedError(
        "there is no file b.png", code="missing-file", source=source, faults=[Fault(11, 16, "there is no file b.png")]
    )

    assert shown(screen, error, above=f"invoke> help; {source}") == [
        "                         ^^^^^",
        "there is no file b.png",
    ]


def test_wide_characters_move_the_carets(screen):
    line = 'txt2img "日本" --stpes 30'

    assert shown(screen, LineError(line, readings(line).faults), above="invoke> " + line)[0] == (
        "                       ^^^^^^^"
    )


def test_a_result_takes_one_row_with_as_much_of_its_path_as_fits(screen, monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    short, long = "/home/anna/boat.png", f"/home/anna/{'pictures/' * 8}000012-boat.png"
    elsewhere = f"/mnt/{'pictures/' * 8}000012-boat.png"
    at_home = f"/home/anna/{'p/' * 20}boat.png"

    run(view(screen, show="off"), *(result(n, path=p) for n, p in enumerate((short, at_home, long, elsewhere), 1)))

    assert screen.lines[-4:] == [
        "@1  8x8  seed 7  1.2 s  /home/anna/boat.png",
        f"@2  8x8  seed 7  1.2 s  ~/{'p/' * 20}boat.png",
        "@3  8x8  seed 7  1.2 s  …/000012-boat.png",
        "@4  8x8  seed 7  1.2 s  …/000012-boat.png",
    ]


def test_what_is_said_is_broken_between_words(screen):
    v = view(screen)

    v.say("a picture " * 12)
    v.say("a picture " * 12, warning=True)

    assert [len(line) for line in screen.lines] == [79, 39, 77, 47]
    assert screen.lines[2].startswith("note: a picture")


def test_a_line_that_does_not_stand_above_is_shown_again(screen):
    line = "txt2img a |\nupscal"

    assert shown(screen, LineError(line, readings(line).faults), above="invoke> " + line)[:2] == [
        "  upscal",
        "  ^^^^^^",
    ]


def test_a_line_wider_than_the_terminal_is_shown_around_each_fault(screen):
    line = f'txt2img "{"a cat " * 20}" --stpes 30 | upscal'
    lines = shown(screen, LineError(line, readings(line).faults), above="invoke> " + line)

    assert all(len(text) < 80 for text in lines)
    for text, carets in ((lines[0], lines[1]), (lines[4], lines[5])):
        assert text[carets.index("^") : carets.rindex("^") + 1] in ("--stpes", "upscal")


def test_colour_is_on_the_carets_alone_and_the_sentence_is_bold(screen):
    view(screen).error(LineError("upscal", readings("upscal").faults), Where())

    assert screen.getvalue() == (
        "  upscal\n\x1b[1;31m  ^^^^^^\x1b[0m\n"
        "\x1b[1mthere is no command upscal\x1b[0m\n\x1b[2m  did you mean upscale?\x1b[0m\n"
    )  # fmt: skip


def test_an_error_without_a_word_is_a_sentence_and_a_hint(screen):
    assert shown(screen, BlockedError("there is no model x", hint="there is: pocket", code="unknown-model")) == [
        "there is no model x",
        "  there is: pocket",
    ]


def test_an_error_of_a_file_names_line_and_column(screen):
    error = LineError("txt2img a --stpes 3", readings("txt2img a --stpes 3").faults)

    assert shown(screen, error, where=Where(file="poster.invoke", line=14))[0] == (
        "poster.invoke:14:11: txt2img has no --stpes"
    )


# -- what is said ------------------------------------------------------------------------------------------------------


def test_foreign_text_cannot_command_the_terminal(screen):
    v = view(screen)
    for tell in (v.text, v.say, lambda text: v.error(BlockedError(text), Where())):
        tell("a\x1b[2Jb")

    assert "\x1b[2J" not in screen.getvalue()
    assert screen.lines == ["a\\u{1B}[2Jb"] * 3


def test_warnings_say_so_in_a_word_and_quiet_keeps_only_them(screen):
    v = view(screen)
    v.quiet = True
    v.event(Said(text="pocket does not know: cathedral", warning=True))
    v.event(Said(text="loaded in 0.3 s"))

    assert screen.lines == ["note: pocket does not know: cathedral"]


def test_an_output_without_unicode_gets_ascii(screen):
    screen.encoding = "ascii"
    view(screen).text("a café")

    assert screen.getvalue() == "a caf\\xe9\n"


# -- progress ----------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def told(*events, seconds: float = 0.125) -> State:
    """A state after events, each after some time."""
    clock = Clock()
    state = State(clock)
    for event in events:
        state.take(event)
        clock.time += seconds
    clock.time -= seconds
    return state


STEPS = [Progress(stage=1, call=0, done=n, total=20) for n in range(1, 13)]


def test_progress_says_stage_steps_speed_and_time_left():
    state = told(
        ChainStarted(stages=("a", "img2img", "c"), pictures=1), StageStarted(stage=1, node="img2img", calls=1), *STEPS
    )

    assert (state.label, state.done, state.total, state.rate) == ("2/3 img2img", 12, 20, "8.0 it/s  0:01 left")


def test_a_step_that_takes_longer_than_the_others_does_not_end_the_time_left():
    clock = Clock()
    state = State(clock)
    state.take(ChainStarted(stages=("txt2img",), pictures=1))
    for done in (1, 11):
        state.take(Progress(stage=0, call=0, done=done, total=20))
        clock.time += 10
    clock.time += 50

    assert state.rate == "1.0 it/s  0:08 left"


def test_progress_counts_pictures_and_the_time_for_all_of_them():
    state = told(
        ChainStarted(stages=("txt2img",), pictures=8),
        StageStarted(stage=0, node="txt2img", calls=8),
        Progress(stage=0, call=2, done=18, total=20),
        Progress(stage=0, call=2, done=20, total=20),
        Progress(stage=0, call=3, done=2, total=20),
        seconds=4,
    )

    assert (state.label, state.rate) == ("txt2img  picture 4 of 8", "2.0 s/it  3:16 left")


def test_speed_is_not_known_before_two_steps_and_not_that_of_the_stage_before():
    start = ChainStarted(stages=("txt2img", "upscale"), pictures=1)

    assert told(start).rate == ""
    assert told(start, Progress(stage=0, call=0, done=1, total=20)).rate == ""
    after = told(start, *STEPS, StageStarted(stage=1, node="upscale", calls=1))
    assert (after.label, after.rate, after.total) == ("2/2 upscale", "", 0)


def test_a_quick_run_draws_no_progress(screen):
    run(view(screen, show="off"), result(1))
    time.sleep(0.05)

    assert screen.getvalue() == "\x1b[1;36m@1\x1b[0m  8x8  seed 7  1.2 s  /out/1.png\n"


def test_a_line_of_which_nothing_is_heard_is_working(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    screen = Screen()
    v = view(screen)
    v.begin("invoke> txt2img a")
    end = time.monotonic() + 10
    while "working" not in screen.bare and time.monotonic() < end:
        time.sleep(0.01)

    assert screen.lines[0].startswith("working")
    v.line_done()
    assert screen.lines == []


def test_progress_appears_after_a_while_and_is_gone_afterwards(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.05)
    screen = Screen()
    line = ProgressLine(screen)
    line.take(ChainStarted(stages=("txt2img",), pictures=1))
    line.take(Progress(stage=0, call=0, done=7, total=20))
    end = time.monotonic() + 10
    while "7/20" not in screen.bare and time.monotonic() < end:
        time.sleep(0.01)

    assert any("txt2img" in text and "7/20" in text for text in screen.lines)
    line.hide()
    assert screen.lines == []
    assert screen.getvalue().rindex("\x1b[?25h") > screen.getvalue().rindex("\x1b[?25l")


def latents(size: int = 16) -> Image:
    """A small picture whose pixels all differ."""
    pixels = bytes(v for y in range(size) for x in range(size) for v in (x * 15, y * 15, 40))
    return Image(mode="RGB", width=size, height=size, pixels=pixels)


def appears(screen: Screen, text: str) -> None:
    end = time.monotonic() + 10
    while text not in screen.bare and time.monotonic() < end:
        time.sleep(0.01)
    assert text in screen.bare


def half_block_pixels(text: str, rows: int, columns: int) -> list[list[tuple[str, str]]]:
    """(upper, lower) colours of the cells of a screen's first rows."""
    screen = pyte.Screen(80, 60)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return [[(screen.buffer[y][x].fg, screen.buffer[y][x].bg) for x in range(columns)] for y in range(rows)]


def test_a_preview_is_the_exact_pixels_and_gone_afterwards(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    screen, preview = Screen(), latents()
    v = view(screen)
    v.event(ChainStarted(stages=("txt2img",), pictures=1))
    v.event(Progress(stage=0, call=0, done=7, total=20, preview=preview))
    appears(screen, "7/20")

    colours = [preview.pixels[i : i + 3].hex() for i in range(0, len(preview.pixels), 3)]
    doubled = [[colours[(y // 2) * 16 + x // 2] for x in range(32)] for y in range(32)]
    expected = [[(doubled[2 * y][x], doubled[2 * y + 1][x]) for x in range(32)] for y in range(16)]
    assert half_block_pixels(screen.getvalue(), 16, 32) == expected
    assert screen.lines[16] == "txt2img  ━━━━━━━━╸───────────────  7/20"
    v.line_done()
    assert screen.lines == []


@pytest.mark.parametrize("settings", [{"preview": "off"}, {"pictures": "path"}, {"plain": "on"}])
def test_no_preview_where_it_is_unwanted(monkeypatch, settings):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    screen = Screen()
    v = view(screen, **settings)
    v.event(ChainStarted(stages=("txt2img",), pictures=1))
    v.event(Progress(stage=0, call=0, done=7, total=20, preview=latents()))
    time.sleep(0.1)
    v.line_done()

    assert HALF not in screen.bare


@pytest.mark.parametrize(
    ("seconds", "wanted", "drawn"),
    [(0.01, "auto", True), (0.3, "auto", False), (0.3, "on", True), (0.01, "off", False)],
)
def test_no_preview_over_a_slow_line_unless_asked_for(seconds, wanted, drawn):
    pictures = Pictures(io.StringIO(), Screen(), {"TERM": "xterm-256color"})
    pictures._answer = Answer(name="xterm", answered=True, seconds=seconds)

    assert bool(pictures.preview(latents(), wanted=wanted)) is drawn


def test_a_terminal_that_stalls_gets_no_more_previews_of_this_line(monkeypatch):
    monkeypatch.setattr(progress, "STALL", -1.0)
    line = ProgressLine(Screen(), lambda image: ["picture"])
    line.state.take(Progress(stage=0, call=0, done=1, total=9, preview=latents()))
    line._draw()
    line.state.take(Progress(stage=0, call=0, done=2, total=9, preview=latents()))
    line._draw()

    assert line._block._drawn[0] != "picture"


@pytest.mark.parametrize("columns", [20, 30, 40, 60, 100])
def test_the_progress_row_fits_every_width(columns):
    state = told(ChainStarted(stages=("a", "img2img", "c"), pictures=1), *STEPS)
    plain = COLOURS.sub("", row(state, columns))

    assert len(plain) <= columns
    assert plain.startswith("2/3 img2img")
    assert "12/20" in plain


def test_a_redrawn_block_leaves_nothing_behind_when_the_terminal_gets_narrower(monkeypatch):
    out = Screen()
    width = [40]
    monkeypatch.setattr(block, "window", lambda stream: (width[0], 10))
    rows = block.Block(out, hides=True)
    rows.draw(["x" * 30, "y" * 30])
    narrow = pyte.Screen(20, 10)
    pyte.Stream(narrow).feed("x" * 30 + "\r\n" + "y" * 30)  # as a terminal that breaks its rows anew shows them
    width[0] = 20
    out.seek(0)
    out.truncate()
    rows.erase()
    pyte.Stream(narrow).feed(out.getvalue())

    assert [line.strip() for line in narrow.display if line.strip()] == []


def test_progress_without_redrawing_is_a_line_now_and_then():
    clock, said = Clock(), []
    plain = PlainProgress(said.append, clock)
    plain.take(ChainStarted(stages=("txt2img",), pictures=1))
    for step in range(1, 31):
        clock.time += 1
        plain.take(Progress(stage=0, call=0, done=step, total=40))

    assert said == [
        "txt2img  10/40  1.0 it/s  0:30 left",
        "txt2img  20/40  1.0 it/s  0:20 left",
        "txt2img  30/40  1.0 it/s  0:10 left",
    ]


def in_progress(screen, pictures):
    """A view whose progress line is on the screen."""
    v = view(screen)
    v.event(ChainStarted(stages=("txt2img",), pictures=pictures))
    end = time.monotonic() + 10
    while "txt2img" not in screen.bare and time.monotonic() < end:
        time.sleep(0.01)
    return v


def test_what_is_said_during_progress_stands_above_it(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    screen = Screen()
    v = in_progress(screen, pictures=1)
    v.event(Said(text="a word"))

    assert screen.lines[0] == "a word"
    v.line_done()
    assert screen.lines == ["a word"]


def test_progress_stays_under_results_however_quickly_they_come(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    screen = Screen()
    v = in_progress(screen, pictures=9)
    monkeypatch.setattr(progress, "DELAY", 60.0)
    for n in range(1, 6):
        v.result(result(n))
        assert screen.lines[:n] == [f"@{k}  8x8  seed 7  1.2 s  /out/{k}.png" for k in range(1, n + 1)]
        assert screen.lines[n].startswith("txt2img")


def test_a_picture_drawn_in_a_protocol_by_name_leaves_no_progress_behind(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    screen = Screen()
    v = view(screen)
    v.begin("invoke> doctor --pictures")
    end = time.monotonic() + 10
    while "working" not in screen.bare and time.monotonic() < end:
        time.sleep(0.01)
    v.show_as("half-blocks", picture(), 4)

    v.line_done()
    assert screen.lines == [HALF * 4] * 2


def test_where_no_prompt_brings_the_cursor_back_it_is_not_hidden(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    screen = Screen()
    v = in_progress(screen, pictures=1)
    v.line_done()

    assert "txt2img" in screen.getvalue()
    assert "\x1b[?25l" not in screen.getvalue()


def test_progress_comes_back_after_something_was_said_though_nothing_is_told(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.05)
    screen = Screen()
    v = view(screen)
    v.begin("invoke> txt2img a")
    v.say("a word")
    appears(screen, "working")

    assert screen.lines[0] == "a word"
    assert screen.lines[1].startswith("working")
    v.line_done()
    assert screen.lines == ["a word"]


def test_after_something_counted_the_line_is_working_until_it_is_done(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.05)
    screen = Screen()
    v = view(screen)
    v.begin("invoke> txt2img a")
    v.event(ChainStarted(stages=("hashing pocket",), pictures=0))
    v.event(ChainDone(pictures=0, seconds=1))
    appears(screen, "working")

    v.line_done()
    time.sleep(0.2)
    assert screen.lines == []


def test_keys_are_not_echoed_while_a_line_runs_but_by_another_program_and_afterwards():
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    master, slave = pty.openpty()

    def echoes() -> bool:
        return bool(termios.tcgetattr(slave)[3] & termios.ECHO)

    with open(slave, encoding="utf-8") as stdin, open(master, "wb", buffering=0):
        v = TerminalView(Settings(REGISTRY), out=Screen(), stdin=stdin, env={"TERM": "xterm"})
        before = termios.tcgetattr(slave)

        v.begin("invoke> $ vim")
        assert not echoes()
        with v.lent():
            assert termios.tcgetattr(slave) == before
        assert not echoes()
        v.restore()
        assert termios.tcgetattr(slave) == before
