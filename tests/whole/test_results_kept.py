"""Keeping, discarding, undo and redo, the trash: nothing is lost that the person did not empty."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest


@pytest.fixture
def outputs(home: Path) -> Path:
    return home / "outputs"


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.glob("*.png"))


def test_the_rest_is_what_was_not_kept_and_kept_goes_on_in_a_pipe(invoke, outputs, home):
    ran = invoke(
        "-c", "txt2img fox --seed 1..6", "-c", "keep @2 @5", "-c", "discard --rest", "-c", "@kept | blur as @soft",
        "-c", "discard --rest",
    )  # fmt: skip

    assert ran.status == 0, ran.err
    assert [line for line in ran.out.splitlines() if "128x128" not in line] == [
        "@2 @5 kept; @kept is 2 pictures",
        "@1 @3 @4 @6 moved to the trash; undo brings them back",
        "@7 @8 moved to the trash; undo brings them back",
    ]
    assert names(outputs) == ["000002-fox-2.png", "000005-fox-5.png"]
    assert len(names(home / "trash")) == 6


def test_undo_goes_back_step_by_step_and_redo_forward(invoke, outputs, folder):
    invoke("-c", "txt2img fox --seed 1..3 | save out.png", "-c", "keep @2", "-c", "discard --rest")
    assert (names(outputs), names(folder)) == (["000002-fox-2.png"], ["a.png", "b.png", "mask.png", "out-2.png",
                                                                     "out-3.png", "out.png"])  # fmt: skip

    first = invoke("--continue", "-c", "undo")
    assert first.out == "undone: discard --rest (@1 @3 back); redo does it again\n"
    assert len(names(outputs)) == 3
    assert invoke("--continue", "-c", "undo").out.startswith("undone: keep @2 (@2 not kept any more)")
    third = invoke("--continue", "-c", "undo")
    assert third.out.startswith("undone: txt2img fox --seed 1..3 | save out.png (@1..3 to the trash, out.png, out-2")
    assert (names(outputs), names(folder)) == ([], ["a.png", "b.png", "mask.png"])
    fourth = invoke("--continue", "-c", "undo")
    assert (fourth.status, fourth.err) == (1, "there is nothing to undo in this session\n")

    for _ in range(3):
        assert invoke("--continue", "-c", "redo").status == 0
    assert (names(outputs), len(names(folder))) == (["000002-fox-2.png"], 6)
    assert invoke("--continue", "-c", "@kept | blur").status == 0
    nothing = invoke("--continue", "-c", "redo")
    assert nothing.err == "there is nothing to redo\n  redo does again what undo took back\n"


def test_a_new_line_ends_redo(invoke):
    invoke("-c", "txt2img fox", "-c", "undo", "-c", "txt2img cat")

    assert invoke("--continue", "-c", "redo").status == 1


def test_a_saved_file_that_was_changed_since_stays(invoke, folder):
    invoke("-c", "txt2img fox | save out.png")
    (folder / "out.png").write_bytes(b"mine")

    ran = invoke("--continue", "-c", "undo")

    assert "out.png was changed since, and stays" in ran.err
    assert (folder / "out.png").read_bytes() == b"mine"


def test_a_discarded_picture_is_used_from_the_trash_and_comes_back_with_keep(invoke, outputs):
    invoke("-c", "txt2img fox", "-c", "discard @-1")

    assert names(outputs) == []
    assert invoke("-c", "@1 | blur").status == 0
    ran = invoke("-c", "keep @1")
    assert ran.out == "@1 kept\n"
    assert re.fullmatch(r"@kept has those of one session: `sessions \S+` goes on where these were made\n", ran.err)
    assert len(names(outputs)) == 2


def test_only_an_emptied_trash_loses_pixels_and_the_line_makes_them_again(invoke, home, outputs):
    made = invoke("--json", "-c", "txt2img fox --seed 7").results[0]
    invoke("--continue", "-c", "discard @1")
    old = home / "trash" / "000001-fox-7.png"
    os.utime(old, (time.time() - 40 * 86400,) * 2)
    (home / "trash" / "young.png").write_bytes(b"young")

    listed = invoke("-c", "trash", "-c", "trash --older 30d")
    emptied = invoke("-c", "trash empty --older 30d")

    assert "2 in the trash" in listed.err
    assert "1 in the trash" in listed.err
    assert emptied.out.startswith("1 file deleted, ")
    assert names(home / "trash") == ["young.png"]
    undone = invoke("--session", "none", "-c", "@1 | blur")
    assert "the file of @1 is gone" in undone.err
    assert "replay @1 makes it again" in undone.err
    again = invoke("--json", "-c", "replay @1")
    assert [r["verdict"] for r in again.records if r["event"] == "replay"] == ["exact"]
    assert again.results[0]["pixel_hash"] == made["pixel_hash"]


def test_undo_says_what_is_in_the_trash_no_more(invoke):
    invoke("-c", "txt2img fox", "-c", "discard @1", "-c", "trash empty")

    ran = invoke("--continue", "-c", "undo")

    assert ran.out == "undone: discard @1 (nothing is there any more); redo does it again\n"
    assert ran.err == "not in the trash any more: @1; replay @1 makes it again\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("discard", "discard takes handles, or --rest"),
        ("discard @1 --rest", "discard takes handles, or --rest, not both"),
        ("keep @9", "@9 is no result"),
        ("keep fox", "fox is not a handle such as @12, @-1, @-4..-1, @@ or @name\n  did you mean @fox?\n"),
        ("keep 1", "@@ or @name\n  did you mean @1?\n"),
        ("discard @1..@3", "@@ or @name\n  did you mean @1..3?\n"),
        ("@1 | keep", "keep stands alone on a line; it takes no pictures and passes none on\n  write keep @1\n"),
        ("trash empty --older 3x", "3x is no time: a number of minutes, hours, days or weeks is wanted"),
        ("@kept | blur", "nothing is kept in this session yet"),
    ],
)
def test_what_cannot_be_is_one_sentence(invoke, line, said):
    ran = invoke("-c", "txt2img fox as @fox", "-c", line)

    assert ran.status in (2, 3)
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_strangers_file_deletes_nothing(invoke, folder):
    (folder / "x.invoke").write_text("trash empty\n")

    ran = invoke("x.invoke")

    assert ran.status != 0
    assert "trash empty deletes files, which a file may only with --trust" in ran.err


def test_a_discarded_result_whose_file_was_gone_is_told_so_and_comes_back_as_it_was(invoke):
    made = invoke("--session", "s", "--json", "-c", "txt2img fox -n 2").results
    Path(made[0]["path"]).unlink()

    ran = invoke("--session", "s", "-c", "keep @1", "-c", "discard @1..2", "-c", "discard @1", "-c", "undo")

    assert ran.out.splitlines()[1:] == [
        "@2 moved to the trash; undo brings it back",
        "@1 discarded; the file was gone already",
        "undone: discard @1..2 (@1 kept, @2 back); redo does it again",
    ]
    assert ran.err == "@1 discarded before\n"
    assert invoke("--session", "s", "-c", "history --kept").out


def test_undo_gives_a_name_back_to_what_it_stood_for(invoke):
    ran = invoke(
        "--json", "-c", "txt2img a as @x", "-c", "txt2img b -n 2 as @x", "-c", "undo", "-c", "@x | blur", "-c", "undo",
        "-c", "redo", "-c", "undo", "-c", "undo", "-c", "@x | blur",
    )  # fmt: skip

    told = [r["text"] for r in ran.records if r["event"] == "text"]
    assert told[0] == "undone: txt2img b -n 2 as @x (@2 @3 to the trash, @x is @1 again); redo does it again"
    assert ran.results[3]["parents"] == [1]
    assert told[-1] == "undone: txt2img a as @x (@1 to the trash); redo does it again"
    assert ran.records[-1]["message"] == "@x is no name of this session"


def test_a_part_of_a_name_is_kept_and_handed_to_a_program(invoke, folder):
    (folder / "x.invoke").write_text("txt2img a --seed 1..5 as @x\n@x[2..4] | contact_sheet\n")
    made = invoke("--session", "s", "--json", "x.invoke").results
    command = "$ printf '%s\\n' @x[3..2] --of=@1 me@host @types/node > said"

    ran = invoke("--session", "s", "-c", "keep @x[2..4]", "-c", command)

    assert sorted(made[5]["parents"]) == [2, 3, 4]
    assert (ran.status, ran.out) == (0, "@2..4 kept; @kept is 3 pictures\n")
    paths = [row["path"] for row in made]
    assert Path("said").read_text().split() == [paths[2], paths[1], f"--of={paths[0]}", "me@host", "@types/node"]


def test_a_line_of_handles_shows_its_pictures_and_may_name_them(invoke):
    first = invoke("--session", "s", "--json", "-c", "txt2img a --seed 1..3 as @x").results

    shown = invoke("--session", "s", "--json", "-c", "@3 @x[1..2] @1")
    named = invoke("--session", "s", "-c", "@2..3 as @best", "-c", "keep @best", "-c", "undo", "-c", "undo")
    after = invoke("--session", "s", "-c", "@best", "-c", "redo", "-c", "@best")

    told = ("handle", "path", "seed", "pixel_hash", "command", "name")
    assert [[r[key] for key in told] for r in shown.results] == [[first[n][key] for key in told] for n in (2, 0, 1)]
    assert [line.split()[:2] for line in named.out.splitlines()[:2]] == [["@2", "@best"], ["@3", "@best"]]
    assert named.out.splitlines()[2:] == [
        "@2 @3 kept; @kept is 2 pictures",
        "undone: keep @best (@2 @3 not kept any more); redo does it again",
        "undone: @2..3 as @best (@best is no name any more); redo does it again",
    ]
    assert "@best is no name of this session" in after.err
    again = invoke("--session", "s", "-c", "redo", "-c", "@best")
    assert [line.split()[0] for line in again.out.splitlines()[1:]] == ["@2", "@3"]
    assert invoke("--session", "s", "-c", "history").out.count("\n") == 1


def test_the_trash_says_what_is_too_young_to_be_emptied(invoke):
    empty = invoke("-c", "trash", "-c", "trash empty")
    young = invoke("-c", "txt2img fox", "-c", "discard @1", "-c", "trash empty --older 2h", "-c", "trash --older 0m")

    assert empty.err + empty.out == "the trash is empty\nthe trash is empty\n"
    assert young.out.splitlines()[-2] == "nothing has been in the trash for 2h"
    assert young.err.endswith("; trash empty --older 0m deletes them\n")


def test_disk_counts_pictures_wherever_they_are(invoke, folder):
    (folder / "notes.txt").write_text("not ours")
    invoke("--outdir", str(folder), "-c", "txt2img fox")
    invoke("--outdir", str(folder / "more"), "-c", "txt2img cat")

    rows = {r["what"]: r for r in invoke("--json", "-c", "disk").records}

    assert (rows["pictures"]["files"], rows["pictures"]["path"]) == (2, str(folder))
    assert rows["sessions"]["bytes"] > 4000


def test_disk_tells_what_takes_room(invoke):
    invoke("-c", "txt2img fox", "-c", "txt2img cat", "-c", "discard @2")

    rows = {r["what"]: r for r in invoke("--json", "-c", "disk").records}

    assert (rows["pictures"]["files"], rows["trash"]["files"]) == (1, 1)
    assert rows["pictures"]["bytes"] > 100


def test_two_results_are_compared_and_what_differs_is_named(invoke):
    ran = invoke("-c", "txt2img fox --seed 1..3 --steps 2", "-c", "compare @1 @3", "-c", "compare @1 @3")
    files = invoke("-c", "load_image a.png | compare b.png")

    assert ran.err.count("they differ in seed (1, 3)") == 2  # from the cache as when it was drawn
    assert [line[:8] for line in ran.out.splitlines()[-2:]] == ["@4  260x", "@5  260x"]
    assert "cached" in ran.out.splitlines()[-1]
    assert "seed" not in ran.out.splitlines()[-1]  # it is of both, and their seeds differ
    assert ran.out.splitlines()[-1].endswith("-fox.png")
    assert "differ" not in files.err


def test_a_sweep_of_two_values_becomes_a_sheet_of_rows_and_columns(invoke):
    ran = invoke("--json", "-c", "txt2img fox --guidance 3,7 --seed 1..3 --size 64x64 | contact_sheet --axes")

    assert ran.status == 0, ran.err
    assert [r["verdict"] for r in invoke("--json", "-c", "replay @7").records if r["event"] == "replay"] == ["exact"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("txt2img fox | save ../out.png", "is outside the output folder, where a file may write only with --trust"),
        ("$ touch made", "a $ line runs a program of the system, which a file may only with --trust"),
        ("discard @1", "@1 is a number of one home, and a file may be run in another"),
    ],
)
@pytest.mark.parametrize("how", ["file", "source"])
def test_what_a_strangers_file_may_not_is_told_before_its_first_line(invoke, folder, line, said, how):
    invoke("-c", "txt2img fox --size 64x64")
    (folder / "x.invoke").write_text(f"txt2img cat --size 64x64\n{line}\n")

    ran = invoke("x.invoke") if how == "file" else invoke("-c", "source x.invoke")

    assert ran.status == 2
    assert said in ran.err
    assert ran.out == ""
    assert not (folder / "made").exists()


def test_a_trusted_file_may(invoke, folder):
    (folder / "x.invoke").write_text("txt2img cat --size 64x64 | save ../out.png\n$ touch made\n")

    ran = invoke("-c", "source x.invoke --trust")

    assert ran.status == 0, ran.err
    assert (folder.parent / "out.png").exists()
    assert (folder / "made").exists()
