"""Sessions, the history of lines, and a session as a file that makes the same pictures elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

LINES = (
    'txt2img "a fox" --seed 1..3 --size 64x64 --steps 2 as @foxes',
    "@foxes[2] | blur as @soft",
    'load_image a.png | img2img "a {red|blue} boat" --strength 0.5 --seed 5 --steps 4 | blend b.png --opacity 0.5',
    "@foxes @soft | contact_sheet --label seed",
    "discard @foxes[1]",
)


@pytest.fixture
def played(invoke):
    """A session with a sweep, names, a source, a mask, a sheet, and a picture thrown away."""
    ran = invoke("--session", "fox", "--json", *(word for line in LINES for word in ("-c", line)))
    assert ran.status == 0, ran.err
    return ran


def test_an_export_makes_the_same_pictures_in_another_home(invoke, played, folder, tmp_path):
    made = {r["pixel_hash"] for r in played.results}
    assert len(made) == 7

    done = invoke("--session", "fox", "-c", "export fox --with-files")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(folder / "fox.invoke", elsewhere)
    shutil.move(folder / "fox-files", elsewhere)
    again = invoke("--json", str(elsewhere / "fox.invoke"), home=tmp_path / "other")

    assert done.out == "fox.invoke makes 6 pictures, 2 sources beside it\n"
    assert again.status == 0, again.err
    more = {r["pixel_hash"]: r["command"] for r in again.results if r["pixel_hash"] not in made}
    assert {r["pixel_hash"] for r in again.results} >= made  # the one thrown away is in the sheet
    assert [command.split()[0] for command in more.values()] == ["load_image"]  # used twice, so loaded by its own line
    text = (elsewhere / "fox.invoke").read_text()
    assert text.startswith("# invoke 1\n# session fox: 6 pictures, invoke_shell ")
    assert "\n# checkpoint pocket@" in text
    assert text.count("\n# source blake3:") == 2
    assert f"\n\n# {LINES[1]}\n" in text
    assert "@1" not in text.replace("pocket@", "")
    assert text.count(" as @soft\n") == 2  # and in the comment above it
    assert "@foxes" not in text.replace(LINES[1], "").replace(LINES[3], "").replace(LINES[0], "")  # of several pictures


def test_an_exported_file_is_run_by_the_name_it_was_given(invoke, folder):
    invoke("--session", "s", "-c", "txt2img fox --seed 1", "-c", "export poster")

    assert len(invoke("--json", "-c", "source poster").results) == 1
    assert invoke("-c", "source postr").err == "there is no file postr\n"
    assert invoke("-c", "source .").err == ". is a folder\n"
    assert invoke("-c", "export .").err.startswith("this session has no results yet")
    assert invoke("--session", "s", "-c", "export .").err == ". is a folder\n  as in: export today.invoke\n"


def test_an_export_makes_once_what_was_made_twice_and_keeps_its_name(invoke, folder):
    lines = ("txt2img fox --seed 1", "txt2img fox --seed 1 as @fox", "@fox | blur")
    invoke("--session", "s", *(word for line in lines for word in ("-c", line)))

    done = invoke("--session", "s", "-c", "export s.invoke")

    assert done.out == "s.invoke makes 2 pictures\n"
    assert [line[-7:] for line in Path("s.invoke").read_text().splitlines() if line.startswith("txt2img")] == [
        "as @fox"
    ]
    assert len(invoke("--json", "s.invoke").results) == 2


def test_an_export_without_files_names_sources_by_their_pixels(invoke, played, folder, tmp_path):
    invoke("--session", "fox", "-c", "export some.invoke @4..5")

    here = invoke("--json", "some.invoke")
    there = invoke("some.invoke", home=tmp_path / "other")

    assert [r["pixel_hash"] for r in here.results][-2:] == [r["pixel_hash"] for r in played.results[3:5]]
    assert there.status == 3
    assert "no picture of yours has the hash blake3:" in there.err


def test_an_export_overwrites_nothing_and_a_strangers_file_exports_nowhere(invoke, played, folder, home):
    (folder / "here.invoke").write_text("mine")
    (folder / "bad.invoke").write_text("txt2img x\nexport ../out.invoke\n")

    assert invoke("--session", "fox", "-c", "export here.invoke").status == 1
    assert (folder / "here.invoke").read_text() == "mine"
    assert "may write only with --trust" in invoke("bad.invoke").err
    assert "this session has no results yet" in invoke("-c", "export x.invoke").err


def test_sessions_are_listed_taken_up_and_cloned(invoke, played):
    invoke("--session", "cat", "-c", "txt2img cat", "-c", "set steps 7")

    listed = invoke("--json", "-c", "sessions").records
    assert [(r["name"], r["pictures"], r["current"]) for r in listed[1:]] == [("cat", 1, False), ("fox", 6, False)]
    assert listed[0]["current"]
    back = invoke("--json", "-c", "sessions fox", "-c", "@soft | blur")
    assert back.results[0]["parents"] == [4]
    cloned = invoke("--json", "-c", "sessions cat --clone kitten", "-c", "txt2img x", "-c", "sessions")
    assert "--steps 7" in cloned.results[0]["command"]
    assert {r["name"]: r["pictures"] for r in cloned.records if r["event"] == "session"}["kitten"] == 1
    copied = invoke("--session", "kitten", "-c", "sessions --clone lion")
    assert copied.err == "this is session lion now, a copy of kitten\n"
    taken = invoke("-c", "sessions --clone cat")
    assert taken.err == "there is a session cat already\n  sessions cat goes on in it\n"
    assert "there is no session dog" in invoke("-c", "sessions dog --clone x").err
    for line in ('sessions ""', "sessions '  '", 'sessions --clone ""', "sessions cat --clone ' '"):
        assert invoke("-c", line).err.endswith("a session needs a name\n  as in: sessions fox\n")


def test_a_new_session_is_called_new_and_listed_as_soon_as_it_has_a_name(invoke):
    new = invoke("-c", 'sessions "boats | 2"')
    back = invoke("-c", 'sessions "boats | 2"')
    listed = invoke("--json", "-c", "help", "-c", "sessions").records

    assert new.err == "this is session boats | 2 now, a new one\n"
    assert back.err == "this is session boats | 2 now, 0 pictures\n"
    assert [r["name"] for r in listed if r["event"] == "session"][1:] == ["boats | 2"]
    taken = invoke("-c", 'sessions --clone "boats | 2"').err
    assert taken == 'there is a session boats | 2 already\n  sessions "boats | 2" goes on in it\n'


def test_history_is_searched_and_filtered(invoke, played):
    invoke("--session", "fox", "-c", "keep @4", "-c", "@-1 | crop 0:0:9999:9999")

    def texts(*options: str) -> list[str]:
        ran = invoke("--session", "fox", "--json", "-c", " ".join(["history", *options]))
        return [r["text"] for r in ran.records]

    assert texts() == [*LINES[:4], "@-1 | crop 0:0:9999:9999"]
    assert texts("fox", "size") == [LINES[0]]
    assert texts("--status failed") == ["@-1 | crop 0:0:9999:9999"]
    assert texts("--kept") == [LINES[1]]
    assert texts("--since 1h --limit 1") == ["@-1 | crop 0:0:9999:9999"]
    assert texts("whale") == []
    shown = invoke("--session", "fox", "-c", "history --limit 2").out.splitlines()
    assert shown[0].split()[:2] == ["4", "@7"]
    assert shown[1].endswith("failed")


def test_an_empty_session_is_not_the_last(invoke, played):
    invoke("-c", "help")

    assert invoke("--continue", "-c", "@soft | blur").status == 0


def seeds(ran) -> list[int]:
    return [r["seed"] for r in ran.results]


def test_again_draws_as_many_fresh_seeds_as_there_were_and_counts_on_from_the_pictures_own(invoke):
    lines = ("txt2img fox --size 64x64 --steps 2 -n 2", "txt2img cat --seed 5..7")
    first = invoke("--session", "s", "--json", *(word for line in lines for word in ("-c", line)))

    fresh = invoke("--session", "s", "--json", "-c", "again @3 --size 64x64")
    counted = invoke("--session", "s", "--json", "-c", "again @2 --seed +1 -n 1")
    varied = invoke("--session", "s", "--json", "-c", "again @1 --variation 0.2 -n 3")

    assert len(set(seeds(fresh)) - {5, 6, 7}) == 3
    assert seeds(counted) == [seeds(first)[1] + 1]
    assert set(seeds(varied)) == {seeds(first)[0]}
    assert len({r["pixel_hash"] for r in varied.results}) == 3


def test_again_draws_anew_from_a_picture_whose_seed_would_follow(invoke):
    invoke("--session", "s", "-c", "txt2img fox --seed 1", "-c", "@1 | img2img boat --strength 0.5")

    once, twice = (invoke("--session", "s", "--json", "-c", line) for line in ("again", "again @2 -n 2"))

    assert len({2, *seeds(once), *seeds(twice)}) == 4


def test_again_takes_switches_as_a_line_does(invoke):
    invoke("--session", "s", "-c", "txt2img fox --seed 1", "-c", "@1 | img2img boat --strength 0.5")

    def command(line: str) -> str:
        return invoke("--session", "s", "--json", "-c", line).results[0]["command"]

    assert " --pure-noise --steps 4 " in command("again @2 --pure-noise --steps 4")
    assert " --no-pure-noise " in command("again @3 --no-pure-noise")
    assert " --no-pure-noise " in command("again @3 --img2img.pure-noise off")
    assert " --pure-noise " in command("replay @2 --pure-noise")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("again @1 --stpes 4", "  --stpes\n  ^^^^^^^\nno stage of the line has --stpes\n  did you mean --steps?\n"),
        ("replay @1 --stpes 4", "  --stpes\n  ^^^^^^^\nno step here has --stpes\n  did you mean --steps?\n"),
        ("again @1 --steps abc", "  abc\n  ^^^\n--steps is a whole number, not abc\n"),
        ("again @1 --steps 900", "  900\n  ^^^\n--steps is 1 to 150, not 900\n"),
        ("again @1..3", "@1..3 was made by several lines, and again runs one\n  as in: again @3\n"),
        (
            "again @1 @2",
            "  @2\n  ^^\nagain takes one handle, and @2 is one too many\n"
            "  a line is run once for all of its pictures\n",
        ),
    ],
)
def test_what_again_cannot_do_is_said_of_the_word_that_was_typed(invoke, line, said):
    invoke("--session", "s", "-c", "txt2img fox --seed 1..2 as @f", "-c", "txt2img cat")

    assert invoke("--session", "s", "-c", line).err == said
    assert len(invoke("--session", "s", "--json", "-c", "again @f --steps 4").results) == 2  # a line, by all it made


def test_a_handle_with_a_question_mark_tells_a_pictures_life(invoke, played):
    ran = invoke("--session", "fox", "-c", "keep @soft", "-c", "@4?", "-c", "@1?", "-c", "history blur")

    assert " by line 2 of fox, @soft, from @2, kept\n" in ran.out
    assert " by line 1 of fox, @foxes, in the trash\n" in ran.out
    Path(played.results[1]["path"]).unlink()
    assert "/000002-a-fox-2.png  gone: replay @2 makes it again\n" in invoke("--session", "fox", "-c", "@2?").out
    invoke("--session", "fox", "-c", "discard @4")
    assert "in the trash" in invoke("--session", "fox", "-c", "history blur").out


def test_a_handle_of_another_session_is_told_with_the_way_to_it(invoke):
    invoke("-c", 'txt2img "a cat" --seed 1..2')

    new = invoke("-c", "@-1 | blur")

    assert new.status == 3
    assert new.err.endswith(
        "@-1 goes back too far: this session has no results yet\n"
        "  the last picture of all is @2; --continue takes up the last session\n"
    )
    assert invoke("--continue", "-c", "@-1 | blur").status == 0
