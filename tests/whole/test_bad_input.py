"""What bad input gets: one sentence, a caret, what to do. Never a traceback, and nothing of the line runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TABLE = [
    ('txt2imgg "a cat"', "there is no command txt2imgg\n  did you mean txt2img?", 2),
    ('txt2img "a cat" --stpes 3', "txt2img has no --stpes\n  did you mean --steps?", 2),
    ('txt2img "a cat" --steps 999', "--steps is 1 to 150, not 999", 2),
    ('txt2img "a cat" --steps many', "--steps is a whole number, not many", 2),
    ("steps 30", "set steps 30 sets it for the session; behind a command it is --steps 30", 2),
    ("1 | upscale", "there is no command 1\n  did you mean @1?", 2),
    ("ls", "there is no command ls\n  today's word is $ ls", 2),
    ("@1 upscale", "upscale is not a handle\n  write a | before upscale", 2),
    ("@1 > a.png", "> is not a handle\n  | save a.png writes a file\n", 2),
    ("load_image a.png | upscale 4", "upscale takes no such word\n  upscale? tells what it takes", 2),
    ("load_image a.png | upscale > b.png", "upscale takes no such word\n  | save b.png writes a file", 2),
    ('txt2img "a cat" --n 4', "txt2img has no --n\n  did you mean -n?", 2),
    (
        "txt2img a cat -seed 4",
        "txt2img has no -seed\n  did you mean --seed? if it belongs to the prompt, quote it: ",
        2,
    ),
    ('txt2img "a cat" --upscale 2', "txt2img has no --upscale\n  did you mean | upscale?", 2),
    ("txt2img a cat -I a.png", "txt2img takes no pictures, but load_image passes some on\n  img2img draws from a", 2),
    ('txt2img "a cat" --steps=', "--steps needs a whole number\n  as in: --steps 24", 2),
    ('txt2img "a cat" --seed 1...3', "--seed is a range such as 1..8, or 10..50..10 with a step, not 1...3", 2),
    (
        'txt2img "a cat" --strength 0.5',
        "did you mean --hires-strength? img2img, inpaint and others have --strength",
        2,
    ),
    (
        "load_image a.png | resize 8x8 --radius 3",
        "resize has no --radius\n  blur, sharpen and mask_blur have --radius",
        2,
    ),
    (
        "txt2img a cat && txt2img a dog",
        "there is no && here\n  ; stands between two lines; if it belongs to the prompt, quote it: ",
        2,
    ),
    ("txt2img a cat > cat.png", "there is no > here\n  | save cat.png writes a file; if it belongs to the prompt, ", 2),
    ("txt2img a {red|blue cat", "this { is never closed\n  close it with }, or write \\{ for a brace", 2),
    ("load_image a.png | flip", "flip needs horizontal or vertical\n  as in: @-1 | flip horizontal", 2),
    ("load_image a.png | blend", "blend needs the other picture\n  as in: ", 2),
    ("load_image a.png | hue", "hue needs degrees\n  as in: ", 2),
    ('| | txt2img "a cat"', "there is no command before this |", 2),
    ('txt2img "a cat" |', "a command must follow this |", 2),
    ('txt2img "a cat" | | upscale', "there is no command before this |", 2),
    ('txt2img "a cat', 'this " is never closed', 2),
    ("upscale", "upscale needs a picture, and nothing comes before it", 2),
    ('txt2img "a" | load_image a.png', "load_image takes no pictures, but txt2img passes some on", 2),
    ("load_image nowhere.png", "there is no file nowhere.png", 3),
    ("load_image .", "is a folder", 3),
    ("load_image words.txt", "words.txt", 3),
    ("load_image cut.png", "cut.png", 3),
    ("load_image *.bmp", "no file matches *.bmp", 3),
    ('txt2img "a" --model nowhere', "there is no model nowhere", 3),
    ("@99 | upscale", "@99 is no result", 3),
    ("@fox | upscale", "@fox is no name of this session", 3),
    ("| upscale", "there are no results to go on from", 3),
    ("set stepz 3", "there is no setting stepz\n  did you mean steps?", 2),
    ("set steps 0", "steps is 1 to 150, not 0", 2),
    ("info nowhere.png", "nowhere.png", 3),
    ("replay nowhere.png", "nowhere.png", 3),
    ("strip nowhere.png", "there is no file nowhere.png", 3),
    ("load_image a.png | crop 0:0:99:99", "crop 0:0:99:99 lies outside a picture of 64x64", 1),
    ("load_image a.png | crop 9:9:9:0", "crop 9:9:9:0 is empty, in a picture of 64x64", 1),
    ("load_image a.png | save a.png", "a.png is there already, and nothing is overwritten", 1),
    ("load_image a.png | save a.gif", "save writes PNG, JPEG and WebP files, and a.gif ends in .gif", 1),
]


@pytest.fixture(autouse=True)
def broken_files(folder):
    (folder / "words.txt").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:60])


@pytest.mark.parametrize(("line", "sentence", "status"), TABLE, ids=[t[0] for t in TABLE])
def test_a_mistake_gets_a_sentence_and_its_status(invoke, line, sentence, status):
    ran = invoke("-c", line)

    assert ran.status == status
    assert sentence in ran.err + ran.out
    assert "Traceback" not in ran.err + ran.out


@pytest.mark.parametrize("line", [t[0] for t in TABLE if t[2] in (2, 3)])
def test_nothing_of_a_wrong_line_runs(invoke, line):
    ran = invoke("--json", "-c", line)

    assert ran.results == []


def test_the_caret_stands_under_the_word(invoke):
    ran = invoke("-c", 'txt2img "日本" --stpes 3')

    assert ran.err == (
        '  txt2img "日本" --stpes 3\n'
        "                 ^^^^^^^\n"
        "txt2img has no --stpes\n"
        "  did you mean --steps?\n"
    )  # fmt: skip


def test_all_missing_things_of_a_line_are_named_at_once(invoke):
    ran = invoke("-c", "load_image nowhere.png | img2img x --model gone")

    assert "there is no file nowhere.png" in ran.err
    assert "there is no model gone" in ran.err


def test_a_file_is_checked_whole_before_its_first_line_runs(invoke, folder):
    (folder / "x.invoke").write_text('# invoke 1\ntxt2img "a cat" --seed 1\ntxt2img "b" --stpes 3\n')

    ran = invoke("x.invoke")

    assert ran.status == 2
    assert ran.err.startswith("x.invoke:3:13: txt2img has no --stpes\n")
    assert ran.out == ""


def test_a_missing_input_of_a_later_line_stops_a_file_before_line_1(invoke, folder):
    (folder / "x.invoke").write_text('txt2img "a cat"\nload_image nowhere.png | blur\n')

    ran = invoke("x.invoke")

    assert ran.status == 3
    assert ran.err == (
        f"x.invoke:2:12: there is no file {folder / 'nowhere.png'}\n"
        "  load_image nowhere.png | blur\n"
        "             ^^^^^^^^^^^\n"
    )
    assert ran.out == ""


def test_every_fault_of_a_file_has_its_own_place(invoke, folder):
    (folder / "x.invoke").write_text("txt2img a --stpes 4 | upscal\ntxt2img b --steps 999\n")

    assert invoke("x.invoke").err == (
        "x.invoke:1:11: txt2img has no --stpes\n"
        "  txt2img a --stpes 4 | upscal\n"
        "            ^^^^^^^\n"
        "  did you mean --steps?\n"
        "x.invoke:1:23: there is no command upscal\n"
        "  txt2img a --stpes 4 | upscal\n"
        "                        ^^^^^^\n"
        "  did you mean upscale?\n"
        "x.invoke:2:19: --steps is 1 to 150, not 999\n"
        "  txt2img b --steps 999\n"
        "                    ^^^\n"
    )


def test_keep_going_runs_the_other_lines_and_sums_up(invoke, folder):
    (folder / "x.invoke").write_text("load_image a.png | crop 0:0:99:99\nload_image a.png | blur\n")

    ran = invoke("--keep-going", "x.invoke")

    assert ran.status == 1
    assert "1 of 2 lines done, 1 failed" in ran.err
    assert ran.out.startswith("@1  64x64")


def test_a_file_may_not_run_programs_of_the_system(invoke, folder):
    (folder / "x.invoke").write_text("$ touch marker\n")

    refused = invoke("x.invoke")
    trusted = invoke("--trust", "x.invoke")

    assert refused.status == 2
    assert "only with --trust" in refused.err
    assert trusted.status == 0
    assert (folder / "marker").exists()


def test_a_number_in_a_file_is_refused(invoke, folder):
    (folder / "x.invoke").write_text("@1 | blur\n")

    ran = invoke("x.invoke")

    assert ran.status == 2
    assert "@1 is a number of one home, and a file may be run in another" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_keeps_the_picture(invoke, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)

    ran = invoke("--outdir", str(locked), "-c", 'txt2img "a cat" --seed 1', "-c", "@1 | save here.png")

    assert "is kept in memory" in ran.err
    assert Path("here.png").exists()


def test_an_output_folder_that_is_a_file_keeps_the_picture_and_says_how_to_save_it(invoke, folder):
    ran = invoke("--outdir", "a.png", "-c", 'txt2img "a cat" --seed 1')

    assert ran.status == 1
    assert "@1 is kept in memory; @1 | save PATH writes it elsewhere" in ran.err
    assert invoke("-c", "sessions").err == ""  # the next start has no news of it


def test_a_picture_kept_in_memory_can_be_saved_elsewhere(invoke, folder):
    ran = invoke("--keep-going", "--outdir", "a.png", "-c", 'txt2img "a cat" --seed 1', "-c", "@1 | save here.png")

    assert (folder / "here.png").exists(), ran.err


@pytest.mark.parametrize(
    ("mishap", "sentence"),
    [("out-of-memory", "more memory than fake has free"), ("bad-numbers", "NaN")],
)
def test_a_failing_engine_is_one_line_and_the_next_line_works(invoke, monkeypatch, mishap, sentence):
    monkeypatch.setenv("INVOKE_SHELL_FAKE_MISHAP", mishap)

    ran = invoke("--keep-going", "-c", 'txt2img "a cat"', "-c", "load_image a.png | blur")

    assert ran.status == 1
    assert sentence in ran.err
    assert ran.out.startswith("@1  64x64")


@pytest.mark.parametrize("text", ["a > b", "x >> y", "a cat && c", "gt > v1.5", "quoted && text"])
def test_marks_of_other_shells_are_text_in_quotes_and_where_they_mean_nothing(invoke, text):
    line = f"txt2img {text}" if "&&" not in text else f'txt2img "{text}"'

    assert invoke("--dry-run", "-c", line).status == 0


def test_a_brace_that_is_closed_or_quoted_is_not_held_against_the_next_stage(invoke):
    for before in ("a {red|blue} cat", '"a {red"', "a \\{red"):
        assert "there is no command bluer\n" in invoke("-c", f"txt2img {before} | bluer").err
