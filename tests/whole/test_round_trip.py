"""Line -> PNG -> line -> PNG: a picture, alone, makes itself again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

LINES = {
    "txt2img": 'txt2img "a red boat" --seed 7 --steps 3',
    "unquoted and swept": "txt2img a {red|blue} boat --seed 1..2 --steps 2",
    "nasty prompt": r'txt2img "a \"quoted\" \\ prompt | with; # marks and \u{1f600} 日本 \{a|b\}" --seed 3',
    "img2img": 'txt2img "a cat" --seed 1 --steps 4 | img2img --strength 0.5',
    "img2img by step": 'txt2img "a cat" --seed 1 --steps 4 | img2img --start-step 1 --pure-noise',
    "four stages": 'txt2img "a cat" --seed 1 | img2img --strength 0.3 | upscale --scale 1.5 | blur 2',
    "a sheet": 'txt2img "a cat" --seed 1..3 | contact_sheet --columns 2 --background #ff8800',
    "from a file": "load_image a.png | img2img a house --seed 2",
    "many files": "load_image a.png b.png | resize 32x32 | contact_sheet",
    "schedulers": 'txt2img "a cat" --seed 1 --scheduler ddim,euler_a,heun --steps 3',
    "crop": "load_image a.png | crop 1:2:30:31",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_picture_makes_itself_again(invoke, line):
    made = invoke("--json", "-c", line)
    assert made.status == 0, made.err

    again = invoke("--json", "replay", "--exact", *[r["path"] for r in made.results])

    assert again.status == 0
    assert [r["pixel_hash"] for r in again.results] == [r["pixel_hash"] for r in made.results]


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_the_command_in_a_picture_typed_again_gives_its_bytes(invoke, line, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    made = invoke("--json", "-c", line)
    last = made.results[-1]

    typed = invoke("--json", "-c", last["command"])

    assert typed.status == 0, typed.err
    final = typed.results[-1]
    assert final["command"] == last["command"]
    assert Path(final["path"]).read_bytes() == Path(last["path"]).read_bytes()


def test_only_the_png_and_another_home_are_enough(invoke, tmp_path):
    made = invoke("--json", "-c", 'txt2img "a cat" --seed 1..2 | upscale | contact_sheet')
    alone = tmp_path / "friend.png"
    shutil.copy(made.results[-1]["path"], alone)
    shutil.rmtree(tmp_path / "home")

    again = invoke("--json", "replay", "--exact", str(alone), home=tmp_path / "other")

    assert again.status == 0
    assert [r["verdict"] for r in again.records if r["event"] == "replay"] == ["exact"]


def test_an_edited_picture_says_so(invoke, tmp_path):
    made = invoke("--json", "-c", 'txt2img "a cat" --seed 1')
    edited = tmp_path / "edited.png"
    with Image.open(made.results[0]["path"]) as picture:
        picture.load()
        texts = dict(picture.text)
        picture.putpixel((3, 3), (1, 2, 3))
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("sd-metadata", texts["sd-metadata"])
        picture.save(edited, pnginfo=info)

    again = invoke("replay", str(edited))

    assert again.status == 0
    assert "edited since it was made: its pixels are not the recorded ones" in again.out


def test_a_source_that_is_nowhere_blocks_with_every_missing_thing(invoke, tmp_path):
    made = invoke("--json", "-c", "load_image a.png b.png | contact_sheet")
    alone = tmp_path / "sheet.png"
    shutil.copy(made.results[-1]["path"], alone)

    again = invoke("--json", "replay", str(alone), home=tmp_path / "other")

    assert again.status == 3
    record = again.records[-1]
    assert record["verdict"] == "blocked"
    assert len(record["missing"]) == 2
    assert all("is not among yours" in m for m in record["missing"])


def test_a_replay_never_reads_settings_or_the_cache(invoke):
    made = invoke("--json", "-c", 'txt2img "a cat" --seed 1')

    again = invoke("--json", "-c", "set steps 3", "-c", "set negative dogs", "-c", "replay @1 --exact")

    assert again.status == 0
    assert again.results[0]["pixel_hash"] == made.results[0]["pixel_hash"]
    assert again.results[0]["cached"] is False


def test_a_replay_runs_with_the_threads_the_picture_was_made_with(invoke):
    made = invoke("--json", "-c", "set threads 3", "-c", 'txt2img "a cat" --seed 1')

    again = invoke("--json", "replay", made.results[0]["path"])

    steps = [json.loads(Image.open(r["path"]).text["sd-metadata"]) for r in (*made.results, *again.results)]
    assert [s["environment"]["threads"] for s in steps] == [3, 3]
    assert again.records[-1]["reasons"] == []


def test_a_replay_with_other_values_makes_another_picture(invoke):
    invoke("-c", 'txt2img "a cat" --seed 1 --steps 4')

    again = invoke("--json", "replay", "@1", "--steps", "3", "--seed", "+1")

    assert again.status == 0
    assert again.results[0]["seed"] == 2
    assert "--steps 3" in again.results[0]["command"]


def test_an_ambiguous_flag_of_a_replay_names_the_ways_to_say_it(invoke):
    invoke("-c", 'txt2img "a cat" --seed 1 | img2img --strength 0.5')

    again = invoke("replay", "@1", "--steps", "3")

    assert again.status == 2
    assert "write --txt2img.steps or --img2img.steps" in again.err


def test_the_metadata_of_a_picture_names_no_folder(invoke, home, folder):
    made = invoke("--json", "-c", "load_image a.png | img2img a house --seed 1")

    data = Path(made.results[0]["path"]).read_bytes()

    assert str(home).encode() not in data
    assert str(folder).encode() not in data
    text = json.loads(Image.open(made.results[0]["path"]).text["sd-metadata"])
    assert [s["node"] for s in text["steps"]] == ["load_image", "img2img"]
