"""Replays: what they compare, what they record, what they count from, and what they do not start unasked."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from invoke_shell.commands import registry
from invoke_shell.compose import Options, compose
from invoke_shell.metadata.history import from_metadata
from invoke_shell.metadata.replay import recall
from invoke_shell.shell.replay.finding import AsRecorded

LINE = 'txt2img "a cat" --seed 1 --steps 4'
FOREIGN = "a cat\nSteps: {steps}, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64, Model: pocket, RNG: CPU{more}"


def metadata(path: str | Path) -> dict:
    with Image.open(path) as picture:
        return json.loads(picture.text["sd-metadata"])


def write(path: Path, **texts: str) -> None:
    """A picture with these texts, as another program writes it."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (64, 64), "red").save(path, pnginfo=info)


@pytest.fixture
def made(invoke) -> Path:
    """A picture of this home."""
    return Path(invoke("--json", "-c", LINE).results[-1]["path"])


@pytest.fixture
def forged(made, folder):
    """Writes the picture's metadata with changes into a file of another name; the pixels are red."""

    def write_changed(change) -> str:
        data = metadata(made)
        change(data)
        write(folder / "forged.png", **{"sd-metadata": json.dumps(data)})
        return "forged.png"

    return write_changed


# -- the verdict -------------------------------------------------------------------------------------------------------


def test_the_verdict_is_recorded_in_the_new_picture(invoke, made):
    again = invoke("--json", "replay", str(made))

    new = metadata(again.results[-1]["path"])["steps"][-1]
    assert new["replay"] == {
        "of": metadata(made)["result"]["pixel_hash"], "verdict": "exact", "max_difference": 0, "psnr": None,
    }  # fmt: skip
    assert again.results[-1]["path"] != str(made)


def test_a_replay_of_a_replay_compares_with_that_one_and_sees_no_other_difference(invoke, made):
    first = invoke("--json", "replay", str(made)).results[-1]["path"]

    again = invoke("--json", "replay", first)

    assert again.records[-1]["verdict"] == "exact"
    assert again.records[-1]["reasons"] == []


def test_with_other_values_what_changed_is_recorded(invoke, made):
    again = invoke("--json", "replay", str(made), "--steps", "3")

    new = metadata(again.results[-1]["path"])["steps"][-1]
    assert new["replay"] == {"of": metadata(made)["result"]["pixel_hash"], "changed": {"steps": "3"}}


def test_a_foreign_pictures_verdict_is_recorded_with_its_numbers(invoke, folder):
    write(folder / "friend.png", parameters=FOREIGN.format(steps=4, more=""))

    again = invoke("--json", "replay", "friend.png")

    found = again.records[-1]
    assert metadata(again.results[-1]["path"])["steps"][-1]["replay"] | {"of": ""} == {
        "of": "", "tool": "a1111", "verdict": "different", "max_difference": found["max_difference"],
        "psnr": found["psnr"],
    }  # fmt: skip
    assert 0 < found["psnr"] < 40


# -- counting from what was recorded -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "text", "now"),
    [("steps", "+2", "--steps 6"), ("steps", "-1", "--steps 3"), ("seed", "+1", "--seed 2"),
     ("seed", "41", "--seed 41"),
     ("guidance", "+0.5", "--guidance 2.5"), ("guidance", "3", "--guidance 3"), ("clip-skip", "+1", "--clip-skip 1")],
)  # fmt: skip
def test_a_number_is_counted_from_the_recorded_one(flag, text, now, invoke, made):
    again = invoke("--json", "replay", str(made), f"--{flag}", text)

    assert again.status == 0, again.err
    assert f" {now} " in again.results[-1]["command"] + " "


@pytest.mark.parametrize(
    ("flag", "text", "sentence"),
    [("steps", "+500", "--steps is 1 to 150, not 504"), ("steps", "-9", "--steps is 1 to 150, not -5"),
     ("steps", "+0.5", "--steps is a whole number, not +0.5"), ("seed", "-1", "--seed is 0 to 18446744073709551615")],
)  # fmt: skip
def test_a_number_out_of_range_is_said(flag, text, sentence, invoke, made):
    again = invoke("replay", str(made), f"--{flag}", text)

    assert again.status == 2
    assert sentence in again.err


# -- what has changed since --------------------------------------------------------------------------------------------


def test_a_node_of_another_revision_says_which_and_why(made):
    nodes = registry()
    since = {2: "noise is drawn in another order", 3: "alpha is kept", 5: "not yet"}
    newer = replace(nodes, nodes={**nodes.nodes, "txt2img": replace(nodes["txt2img"], version=3, changes=since)})

    found = recall(from_metadata(metadata(made)), newer, AsRecorded())

    assert found.notes == (
        "txt2img was revision 1 and is 3 here: noise is drawn in another order; alpha is kept",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("batch", "together"),
    [
        ({"size": 4, "index": 1}, (4, 1)),
        ({"size": 1, "index": 0}, (1, 0)),
        ({"size": 4, "index": 4}, (1, 0)),
        ({"size": 10**6, "index": 0}, (1, 0)),
        ("many", (1, 0)),
    ],
    ids=str,
)
def test_a_picture_of_a_batch_is_drawn_in_its_row_again(made, batch, together):
    data = metadata(made)
    data["steps"][0]["batch"] = batch

    found = recall(from_metadata(data), registry(), AsRecorded())

    assert (found.plan.calls[0].together, found.notes) == (together, ())


def test_a_step_whose_input_is_of_a_missing_node_is_told_and_no_more(invoke, forged):
    def change(data):
        first = {**data["steps"][0], "node": "dream"}
        data["steps"] = [first, {**first, "id": "s2", "node": "crop", "params": {}, "models": {},
                                 "inputs": {"frame": [{"step": "s1"}]}}]  # fmt: skip
        data["result"]["step"] = "s2"

    again = invoke("replay", forged(change))

    assert again.status == 3
    assert "forged.png: blocked\n  the node dream is not installed (invoke_shell has it)\n" in again.out


# -- large runs --------------------------------------------------------------------------------------------------------

HIRES = ", Denoising strength: 0.5, Hires upscale: 2, Hires steps: 120"
MUCH = "it would take 270 sampler steps"


def test_a_strangers_large_run_is_not_started_unasked(invoke, folder):
    write(folder / "friend.png", parameters=FOREIGN.format(steps=150, more=HIRES))

    ran = invoke("replay", "friend.png")

    assert (ran.status, ran.out) == (3, f"friend.png: blocked\n  {MUCH}: replay --yes runs it all the same\n")


def test_yes_runs_it(invoke, folder):
    write(folder / "friend.png", parameters=FOREIGN.format(steps=150, more=HIRES))

    assert invoke("replay", "friend.png", "--yes").status == 0


def test_with_fewer_steps_nobody_is_asked(invoke, folder):
    write(folder / "friend.png", parameters=FOREIGN.format(steps=150, more=HIRES))

    assert invoke("replay", "friend.png", "--txt2img.steps", "3", "--img2img.steps", "3").status == 0


def test_in_the_shell_enter_runs_it(invoke, folder, home):
    write(folder / "a friend.png", parameters=FOREIGN.format(steps=150, more=HIRES))
    session = compose(Options(home=str(home), inline=True), interactive=True)
    try:
        status = session.run('replay "a friend.png" --txt2img.seed +1')

        assert status == 3
        assert session.recalled == 'replay "a friend.png" --txt2img.seed "+1" --yes'
        assert session.run(session.recalled) == 0
    finally:
        session.close()


def test_what_this_home_made_is_never_asked_about(invoke, folder):
    long = 'txt2img "a cat" --seed 1 --steps 150 | img2img --steps 100 --strength 1'
    path = invoke("--json", "-c", long).results[-1]["path"]
    shutil.copy(path, "copy.png")

    assert invoke("replay", "copy.png").status == 0
    assert invoke("replay", "copy.png", home=folder / "other").status == 3


def test_a_hash_of_this_home_in_a_strangers_file_is_no_pass(invoke, forged, made):
    def change(data):
        data["steps"][0]["params"]["size"] = "4096x4096"
        data["steps"] += [{**data["steps"][0], "id": "s2", "node": "upscale", "params": {"scale": 2}, "models": {},
                           "inputs": {"frame": [{"step": "s1"}]}}]  # fmt: skip
        data["result"]["step"] = "s2"

    ran = invoke("replay", forged(change))

    assert ran.status == 3
    assert "it would take 67,108,864 pixels in a picture" in ran.out


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [("steps", 10**9, "txt2img: --steps is 1 to 150, not 1000000000"),
     ("size", "100000x100000", "txt2img: --size is 64 to 4096 px, a multiple of 8, not 100000x100000"),
     ("seed", -1, "txt2img: --seed is 0 to 18446744073709551615, not -1"),
     ("guidance", "much", "txt2img: --guidance is a number, not much"),
     ("scheduler", "os.system", "txt2img has no --scheduler os.system")],
)  # fmt: skip
def test_a_value_beyond_what_the_flag_takes_is_refused(name, value, sentence, invoke, forged):
    ran = invoke("replay", forged(lambda data: data["steps"][0]["params"].update({name: value})))

    assert ran.status == 3
    assert f"forged.png: blocked\n  {sentence}" in ran.out


# -- many pictures -----------------------------------------------------------------------------------------------------


def test_recall_of_many_is_a_command_file(invoke, folder):
    for n in (2, 10, 1):
        shutil.copy(invoke("--json", "-c", f'txt2img "a cat" --seed {n}').results[-1]["path"], f"a{n}.png")
    Path("all.invoke").write_text(ran := invoke("recall", "a*[0-9].png").out)

    lines = ran.splitlines()
    assert lines[::2] == ["# a1.png", "# a2.png", "# a10.png"]
    assert [line.split("--seed ")[1].split()[0] for line in lines[1::2]] == ["1", "2", "10"]
    assert len(invoke("--json", "all.invoke").results) == 3


def test_recall_goes_on_after_what_it_cannot_read(invoke, made):
    shutil.copy(made, "good.png")

    ran = invoke("recall", "a.png", "good.png")

    assert ran.status == 3
    assert ran.out.startswith('# good.png\ntxt2img "a cat"')
    assert "nothing in it tells how it was made\n  load_image a.png begins a line with it\n" in ran.err


def test_a_line_that_wants_a_picture_is_a_comment_in_a_command_file(invoke, folder, made):
    write(folder / "friend.png", parameters=FOREIGN.format(steps=4, more=", Denoising strength: 0.5"))
    shutil.copy(made, "good.png")

    Path("all.invoke").write_text(invoke("recall", "good.png", "friend.png").out)

    assert "\n# friend.png\n# | resize 64x64" in Path("all.invoke").read_text()
    assert len(invoke("--json", "all.invoke").results) == 1


def test_recall_as_records(invoke, made):
    shutil.copy(made, "good.png")

    (record,) = invoke("--json", "recall", "good.png").records

    assert record["event"], record["image"] == ("recall", "good.png")
    assert record["command"].startswith('txt2img "a cat"')


def test_json_may_stand_at_the_end_and_handles_may_name_several(invoke, made):
    invoke("-c", 'txt2img "a cat" --seed 2')

    ran = invoke("info", "@1..2", "--json")

    assert [record["image"] for record in ran.records] == ["@1", "@2"]
    assert [record["steps"][0]["params"]["seed"] for record in ran.records] == [1, 2]


@pytest.mark.parametrize("command", ["info", "recall", "replay"])
def test_a_pattern_without_a_match_is_said(command, invoke):
    ran = invoke(command, "*.nothing")

    assert ran.status == 3
    assert "no file matches *.nothing" in ran.err


def test_replay_of_a_pattern(invoke, made):
    for n in (1, 2):
        shutil.copy(made, f"x{n}.png")

    ran = invoke("--json", "replay", "--exact", "x*.png")

    assert [r["verdict"] for r in ran.records if r["event"] == "replay"] == ["exact", "exact"]


def test_a_listing_says_what_the_full_look_says(invoke, made, folder):
    """`info --json` of many makes its records by hand."""
    from invoke_shell.metadata.read import read_picture
    from invoke_shell.shell.answers.inside import about

    paths = [str(made), *(r["path"] for r in invoke("--json", "-c", "load_image a.png | img2img b --seed 3").results)]
    session = compose(Options(home=str(folder / "empty"), inline=True), interactive=False)
    try:
        full = [about(session, path, Path(path), read_picture(Path(path)))[1] for path in paths]
    finally:
        session.close()

    assert invoke("--json", "info", *paths, home=folder / "empty").records == full
    assert len(full[1]["missing"]) == 1


def test_a_picture_that_is_not_of_the_form_gets_the_full_look(invoke, forged):
    (record,) = invoke("info", "--json", forged(lambda data: data["steps"][0].update(node="dream"))).records

    assert record["missing"] == ["the node dream is not installed (invoke_shell has it)"]


def test_another_model_stands_in_for_one_that_is_not_here(invoke, forged, folder):
    name = forged(lambda data: data["resources"][0].update(name="gone", resource_hash="blake3:" + "ee" * 32))
    write(folder / "friend.png", parameters=FOREIGN.format(steps=4, more="").replace("pocket", "gone"))

    for picture in (name, "friend.png"):
        assert invoke("replay", picture).status == 3
        ran = invoke("--json", "replay", picture, "--model", "pocket", "--steps", "2")
        assert ran.status == 0, ran.out + ran.err
        assert " --steps 2 " in ran.results[-1]["command"]
        assert " --model pocket" in ran.results[-1]["command"]
        new = metadata(ran.results[-1]["path"])["steps"][-1]
        assert new["replay"]["changed"] == {"model": "pocket", "steps": "2"}


def test_a_model_that_is_not_here_does_not_stand_in(invoke, made):
    ran = invoke("replay", str(made), "--model", "nowhere")

    assert ran.status == 3
    assert "there is no model nowhere" in ran.out
