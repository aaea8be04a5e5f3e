"""The command line's contract: what goes in, what comes out, with which status."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from invoke_shell import __version__

ROOT = Path(__file__).parents[2]


def events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# -- lines and words -------------------------------------------------------------------------------------------------


def test_a_result_is_one_json_object_with_the_promised_keys(invoke):
    ran = invoke("--json", "-c", 'txt2img "a cat" --seed 7 as @cat')

    (result,) = ran.records
    assert ran.status == 0
    assert {k: result[k] for k in ("event", "handle", "width", "height", "seed", "line", "name", "parents")} == {
        "event": "result", "handle": 1, "width": 128, "height": 128, "seed": 7, "line": 1, "name": "cat", "parents": [],
    }  # fmt: skip
    assert Path(result["path"]).name == "000001-a-cat-7.png"
    assert result["pixel_hash"].startswith("blake3:")


def test_results_of_a_handle_name_their_parent_and_what_followed(invoke):
    ran = invoke("--json", "-c", 'txt2img "a cat" --seed 7', "-c", "@-1 | img2img --strength 0.5")
    plain = invoke("--continue", "-c", "@1 | img2img --strength 0.5 --seed 3")

    assert ran.results[1]["parents"] == [1]
    assert ran.results[1]["seed"] == 8
    assert "from @1: prompt, negative" in plain.out


def test_each_argument_of_a_command_is_one_value_never_parsed_again(invoke):
    prompt = 'a | b ; $ rm -rf --steps 3 {x|y} "z" \\ as @n'

    ran = invoke("--json", "txt2img", prompt, "--seed", "7", "--negative=a | b")

    assert ran.status == 0, ran.err
    step = json.loads(Image.open(ran.results[0]["path"]).text["sd-metadata"])["steps"][0]
    assert step["params"]["prompt"] == prompt
    assert step["params"]["negative"] == "a | b"


def test_the_rest_of_the_line_reaches_explain(invoke):
    ran = invoke("explain", "txt2img x --seed 1..8 | contact_sheet")

    assert ran.status == 0
    assert "9 pictures to be written" in ran.out
    assert ran.out.rstrip().endswith("Nothing was run.")


def test_explain_names_what_was_chosen_and_folds_the_defaults(invoke):
    ran = invoke("explain", "txt2img x --seed 7 | contact_sheet --label seed --label steps")

    rows = ran.out.splitlines()
    assert len([row for row in rows if row.startswith("     defaults")]) == 2
    assert all(len(row) <= 80 for row in rows if "memory" not in row)
    assert rows[1] == "1  txt2img        once"
    assert '     prompt       "x"  (typed)' in rows
    assert "hires 1, " in ran.out
    assert "negative" not in ran.out
    assert '     label        "seed", "steps"  (typed)' in rows


def test_explain_names_no_seed_that_only_a_run_draws(invoke):
    drawn = invoke("explain", "txt2img x | upscale | img2img").out
    typed = invoke("explain", "txt2img x --seed 7 | upscale | img2img").out

    assert "seed         drawn when it runs  (follows)" in drawn
    assert "seed drawn when it runs," in " ".join(drawn.split())
    assert ("drawn" in typed, "seed         8  (follows)" in typed) == (False, True)


def test_explain_of_a_sheet_without_labels_names_none(invoke):
    ran = invoke("explain", "txt2img x | contact_sheet")

    assert "2  contact_sheet  once, of 1 picture\n" in ran.out
    assert "     defaults     gap 4, background #ffffff, font_size 16\n" in ran.out


def test_lines_of_one_call_share_a_session(invoke):
    ran = invoke("-c", 'txt2img "a cat" as @cat', "-c", "@cat | blur", "-c", "@@ | upscale", "-c", "| blur")

    assert ran.status == 0
    assert len(ran.out.splitlines()) == 4


def test_a_dry_run_changes_nothing_and_explains_what_was_set(invoke, folder):
    made = invoke("--json", "-c", 'txt2img "a cat" --seed 1', "-c", "set steps 7").results[0]
    lines = ["set steps 3", "undo", "discard @1", "strip @1", "replay @1", "set --keep guidance 3", "$ touch here"]

    dry = invoke("--continue", "--dry-run", *[w for line in lines for w in ("-c", line)], "-c", "txt2img x")

    assert dry.status == 0
    assert [line for line in dry.out.splitlines() if line.startswith("not run")] == [
        "not run: undo", "not run: discard", "not run: strip", "not run: replay", "not run: set",
        "not run: $ touch here",
    ]  # fmt: skip
    assert "steps        3  (session)" in dry.out
    assert Path(made["path"]).exists()
    assert not (folder / "here").exists()
    after = invoke("--continue", "-c", "explain txt2img x").out
    assert "steps        7  (session)" in after
    assert "guidance     2 " in after


def test_a_dry_run_of_a_file_plays_the_pictures_of_the_lines_before(invoke, folder):
    (folder / "all.invoke").write_text(
        "txt2img x --seed 5 -n 2 as @x\n@x[2] | img2img y as @y\n| upscale\ntxt2img z\n@-1 | img2img\n"
    )

    dry = invoke("--dry-run", "all.invoke")

    assert (dry.status, dry.err) == (0, "")
    told = [" ".join(line.split()) for line in dry.out.splitlines()]
    assert [line for line in told if line.startswith(("1 @", "1 (", "seed 5", "seed 7"))] == [
        "seed 5, 6 (typed)", "1 @x", "seed 7 (follows)", "1 (of a line before)",
    ]  # fmt: skip
    assert " ".join(dry.out.split()).count("seed drawn when it runs") == 2
    assert invoke("--dry-run", "-c", "@nobody | blur").status == 3


def test_a_dry_run_writes_nothing(invoke, home):
    ran = invoke("--dry-run", "-c", 'txt2img "a cat"')

    assert ran.status == 0
    assert "1 picture to be written" in ran.out
    assert not (home / "outputs").exists()


def test_standard_input_is_a_command_file(invoke, monkeypatch, tmp_path):
    script = tmp_path / "lines"
    script.write_text('txt2img "a cat" --seed 1\n')
    with script.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)

        ran = invoke("-")

    assert ran.status == 0
    assert ran.out.startswith("@1  128x128  seed 1")


def test_pictures_go_through_pipes():
    data = _program("--inline", "-c", "load_image - | blur 3 | save -", stdin=_png("red"))

    assert data.startswith(b"\x89PNG") or b"\x89PNG" in data


def _png(colour: str) -> bytes:
    import io

    out = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(out, "PNG")
    return out.getvalue()


def _program(*arguments: str, stdin: bytes = b"", home: str = "") -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "invoke_shell", "--home", home or folder, *arguments]
        environment = {**os.environ, "INVOKE_SHELL_ENGINE": "fake"}
        return subprocess.run(command, input=stdin, capture_output=True, check=True, env=environment).stdout


LOADED = "print(sorted(m for m in sys.modules if m.startswith(('invoke_shell.', 'torch', 'PIL', 'rich', 'prompt'))))"


def test_the_version_loads_no_shell():
    script = (
        "import sys\nsys.argv = ['x', '--version']\nfrom invoke_shell.__main__ import main\n"
        f"try: main()\nexcept SystemExit: {LOADED}"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    version, modules = ran.stdout.splitlines()
    assert version == f"invoke_shell {__version__}"
    assert modules == "['invoke_shell.__main__', 'invoke_shell.cli', 'invoke_shell.collector', 'invoke_shell.errors']"


@pytest.mark.parametrize(
    "arguments", [("-c", "txt2img a --stepz 3"), ("info", "a.png"), ("nodes",), ("help", "txt2img")]
)
def test_what_runs_nothing_loads_no_torch(folder, home, arguments):
    script = (
        "import sys\nfrom invoke_shell.cli import run\n"
        f"run(['--home', {str(home)!r}, *{list(arguments)!r}])\n"
        "heavy = ('torch', 'diffusers', 'transformers', 'numpy', 'rich', 'prompt_toolkit')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines()[-1] == "[]"


# -- sessions and settings -------------------------------------------------------------------------------------------


def test_a_setting_of_the_session_beats_advice_and_yields_to_the_line(invoke):
    ran = invoke("-c", "set steps 7", "-c", "explain txt2img x", "-c", "explain txt2img x --steps 9")

    assert "steps        7  (session)" in ran.out
    assert "steps        9  (typed)" in ran.out


def test_a_setting_of_one_command_beats_the_general_one(invoke):
    ran = invoke("-c", "set img2img.steps 5", "-c", "set steps 7", "-c", "explain txt2img x | img2img")

    assert ran.out.index("steps        7  (session)") < ran.out.index("steps        5  (session)")


def test_a_kept_value_is_there_when_the_session_forgets_it(invoke):
    ran = invoke("-c", "set --keep steps 7", "-c", "set steps 9", "-c", "unset steps", "-c", "settings")

    assert re.search(r"^steps +7 +config ", ran.out, re.MULTILINE)


def test_a_kept_setting_is_there_in_the_next_session(invoke, home):
    invoke("-c", "set --keep steps 7")

    ran = invoke("-c", "explain txt2img x", "-c", "settings")

    assert (home / "config.yaml").read_text() == "steps: 7\n"
    assert re.search(r"^steps +7 +config +Denoising steps\.$", ran.out, re.M)


def test_a_faulty_config_is_told_with_its_place_and_the_rest_holds(invoke, home):
    home.mkdir()
    (home / "config.yaml").write_text("# mine\nsteps: 999\nshow: off\nnonsense: 3\n")

    ran = invoke("-c", "settings")

    assert "config.yaml:2:8: steps is 1 to 150, not 999" in ran.err
    assert "config.yaml:4:1: there is no setting nonsense" in ran.err
    assert "show" in ran.out


def test_a_session_is_taken_up_with_its_names_and_settings(invoke):
    invoke("--session", "work", "-c", "set steps 7", "-c", 'txt2img "a cat" as @cat')

    ran = invoke("--session", "work", "-c", "@cat | blur", "-c", "explain txt2img x")
    last = invoke("--continue", "-c", "@cat | blur")
    other = invoke("-c", "@cat | blur")

    assert ran.status == 0
    assert "steps        7  (session)" in ran.out
    assert last.status == 0
    assert other.status == 3


def test_the_history_lists_lines_and_again_runs_one_with_changes(invoke):
    invoke("--session", "s", "-c", 'txt2img "a cat" --seed 7', "-c", "@-1 | blur 3")

    history = invoke("--session", "s", "-c", "history")
    again = invoke("--session", "s", "--json", "-c", "again @1 --steps 3", "-c", "again @2", "-c", "again @1 --seed +1")

    assert '@1             txt2img "a cat" --seed 7' in history.out
    assert again.results[0]["command"].count("--steps 3") == 1
    assert again.results[0]["seed"] != 7
    assert again.results[1]["parents"] == [1]
    assert again.results[2]["seed"] == 8


def test_a_name_that_moves_says_so(invoke):
    ran = invoke("-c", "txt2img a as @x", "-c", "txt2img b as @x")

    assert "@x was @1 and is @2 now" in ran.err


def test_names_hold_a_whole_sweep_and_are_indexed(invoke):
    ran = invoke("--json", "-c", "txt2img a --seed 1..3 as @x", "-c", "@x[2] | blur", "-c", "@x | contact_sheet")

    assert ran.results[3]["parents"] == [2]
    assert sorted(ran.results[4]["parents"]) == [1, 2, 3]


# -- events and the cache --------------------------------------------------------------------------------------------


def test_changing_the_last_stage_runs_only_the_last_stage(invoke, tmp_path):
    log = tmp_path / "events"
    invoke("-c", 'txt2img "a cat" --seed 1 | upscale | blur 1')

    invoke("--events", str(log), "-c", 'txt2img "a cat" --seed 1 | upscale | blur 2')

    done = {e["node"]: (e["ran"], e["cached"]) for e in events(log) if e["event"] == "StageDone"}
    assert done == {"txt2img": (0, 1), "upscale": (0, 1), "blur": (1, 0)}


def test_the_cache_can_be_deleted_at_any_time(invoke, home):
    import shutil

    first = invoke("--json", "-c", 'txt2img "a cat" --seed 1')
    shutil.rmtree(home / "cache")

    again = invoke("--json", "-c", 'txt2img "a cat" --seed 1')

    assert again.results[0]["cached"] is False
    assert again.results[0]["pixel_hash"] == first.results[0]["pixel_hash"]


def test_events_tell_a_run_in_order(invoke, tmp_path):
    log = tmp_path / "events"

    invoke("--events", str(log), "-c", 'txt2img "a cat" --seed 1 --steps 2 | blur')

    names = [e["event"] for e in events(log)]
    assert names[0] == "ChainStarted"
    assert names[-1] == "ChainDone"
    assert [n for n in names if n in ("StageStarted", "FrameDone", "StageDone")] == [
        "StageStarted", "FrameDone", "StageDone", "StageStarted", "FrameDone", "StageDone",
    ]  # fmt: skip


# -- pictures --------------------------------------------------------------------------------------------------------


def test_strip_writes_a_copy_without_what_was_inside(invoke, folder):
    made = invoke("--json", "-c", 'txt2img "a cat" --seed 1')
    path = made.results[0]["path"]

    ran = invoke("strip", path, "--all", "-o", "bare.png")

    assert ran.status == 0, ran.err
    assert Image.open("bare.png").info == {}
    assert list(Image.open("bare.png").getdata()) == list(Image.open(path).getdata())
    assert "sd-metadata" in Image.open(path).text


def test_info_says_program_command_and_steps(invoke):
    made = invoke("--json", "-c", 'txt2img "a cat" --seed 1 | blur')

    ran = invoke("--json", "info", made.results[0]["path"])

    (record,) = ran.records
    assert record["tool"] == "invoke_shell"
    assert record["command"] == made.results[0]["command"]
    assert [s["node"] for s in record["steps"]] == ["txt2img", "blur"]
    assert record["missing"] == []


def test_recall_prints_the_lines_of_pictures(invoke):
    made = invoke("--json", "-c", 'txt2img "a cat" --seed 1..2')

    ran = invoke("recall", *[r["path"] for r in made.results])

    assert ran.out.splitlines() == [line for r in made.results for line in (f"# {r['path']}", r["command"])]


def test_keep_all_gives_in_between_pictures_a_file(invoke):
    ran = invoke("--json", "-c", "set keep all", "-c", 'txt2img "a cat" --seed 1 | upscale | blur')

    assert [r["width"] for r in ran.results] == [128, 256, 256]


def test_nothing_is_overwritten_when_the_file_name_has_no_number(invoke):
    ran = invoke("--json", "-c", "set filename {prompt}", "-c", "txt2img cat", "-c", "txt2img cat")

    assert [Path(r["path"]).name for r in ran.results] == ["cat.png", "cat-2.png"]


def test_a_result_whose_file_is_gone_can_be_replayed(invoke):
    made = invoke("--json", "-c", 'txt2img "a cat" --seed 1')
    Path(made.results[0]["path"]).unlink()

    blocked = invoke("-c", "@1 | blur")
    again = invoke("replay", "@1")

    assert blocked.status == 3
    assert "replay @1 makes it again" in blocked.err
    assert again.status == 0
    assert "@1: exact" in again.out


def test_a_system_line_gets_the_paths_of_handles(invoke, folder):
    ran = invoke("-c", 'txt2img "a cat" --seed 1', "-c", "$ cp @1 copy.png")

    assert ran.status == 0, ran.err
    assert (folder / "copy.png").exists()


def test_the_log_holds_the_trace_of_a_failing_node_and_no_prompt(invoke, home, folder):
    invoke("-c", 'txt2img "a very secret prompt" --seed 1')

    log = home / "logs" / "invoke-shell.log"
    assert not log.exists() or "secret" not in log.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_log_on_a_full_disk_does_not_write_over_the_screen(invoke, home, capsys):
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "invoke-shell.log").symlink_to("/dev/full")

    ran = invoke("-v", "-c", 'txt2img "a cat" --seed 1')
    logging.getLogger("invoke_shell.test").error("a line that finds no room")

    assert ran.status == 0
    assert "Logging error" not in ran.err + capsys.readouterr().err


@pytest.mark.parametrize(("file", "why"), [("nowhere/events", "no such file or directory"), (".", "is a directory")])
def test_an_events_file_that_cannot_be_written_is_told_before_anything_runs(invoke, file, why):
    ran = invoke("--events", file, "-c", 'txt2img "a cat" --seed 1')

    assert (ran.status, ran.out) == (1, "")
    assert ran.err == f"{file} cannot be written: {why}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_an_events_file_on_a_full_disk_is_told(invoke):
    ran = invoke("--events", "/dev/full", "-c", 'txt2img "a cat" --seed 1')

    assert (ran.status, ran.err) == (1, "/dev/full cannot be written: no space left on device\n")


def test_behind_two_dashes_every_argument_is_a_value(invoke):
    one = invoke("--json", "txt2img", "--seed", "7", "--", "--weird prompt").results
    two = invoke("txt2img", "--seed", "7", "--", "--weird", "prompt")

    assert one[0]["command"].startswith('txt2img "--weird prompt" ')
    assert two.status == 2
    assert "txt2img takes one prompt\n  put all of it in quotes" in two.err


def test_help_of_every_command_is_short(invoke):
    from invoke_shell.compose import everything

    for name in everything():
        ran = invoke("help", name)

        assert ran.status == 0
        assert ran.out.startswith(f"{name}: ")
        assert len(ran.out.splitlines()) <= 60


def test_unset_says_what_holds_again(invoke):
    ran = invoke(
        "-c", "set show off", "-c", "unset show", "-c", "set steps 30", "-c", "unset steps", "-c", "unset steps"
    )

    assert ran.err.splitlines() == [
        "show is off",
        "show is auto again (default)",
        "steps is 30",
        "steps is not set any more",
        "steps is not set in this session",
    ]
