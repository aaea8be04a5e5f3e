"""`info`, `info --check`, `schema`: what is inside pictures, for people and programs."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from PIL import Image


def test_check_answers_for_each_file_with_one_status(invoke, home):
    invoke("-c", 'txt2img "a fox" --seed 3', "-c", "@1 | save a.jpg", "-c", "@1 | save b.webp")
    made = next((home / "outputs").glob("*.png"))

    ran = invoke("info", "--check", str(made), "a.jpg", "b.webp")

    assert ran.status == 0
    assert ran.out.splitlines() == [
        f"{made}: valid sd-metadata, spec 1: 1 step, 1 resource, and these pixels",
        "a.jpg: valid sd-metadata, spec 1: 1 step, 1 resource, in a JPEG with loss",
        "b.webp: valid sd-metadata, spec 1: 1 step, 1 resource, in a WebP with loss",
    ]


def test_check_tells_each_fault_with_its_place(invoke, home, folder):
    invoke("-c", "load_image a.png --embed | blur 2", "-c", "@1 | save a.jpg --embed")
    data = json.loads(Path("a.jpg.json").read_text())
    data["steps"][1]["params"]["radius"] = "wide"
    del data["steps"][0]["id"]
    Path("bad.json").write_text(json.dumps(data))

    ran = invoke("info", "--check", "bad.json", "a.jpg.json")
    record = invoke("--json", "info", "--check", "bad.json").records[0]

    assert ran.status == 1
    assert ran.out.splitlines() == [
        "bad.json: 2 faults",
        "  $.steps[0] has no id",
        '  $.steps[1].params.radius is "wide", not a number',
        "a.jpg.json: valid sd-metadata, spec 1: 2 steps, 1 resource",
    ]
    assert record == {
        "event": "check", "image": "bad.json", "valid": False,
        "faults": [
            {"path": "$.steps[0]", "message": "has no id"},
            {"path": "$.steps[1].params.radius", "message": 'is "wide", not a number'},
        ],
    }  # fmt: skip


def test_check_of_what_is_not_ours(invoke, folder):
    Path("b.json").write_text("{]")
    Path("c.json").write_bytes(b"\xff")

    assert "a.png has no sd-metadata of invoke_shell" in invoke("info", "--check", "a.png").err
    assert invoke("info", "--check", "a.png").status == 3
    assert invoke("info", "--check", "b.json").out == "b.json: 1 fault\n  $ it is not JSON from character 1 on\n"
    assert invoke("info", "--check", "c.json").out == "c.json: 1 fault\n  $ it is not UTF-8\n"
    assert invoke("info", "--check", "gone.json").status == 3


def test_check_notices_pixels_that_were_painted_over(invoke, home):
    invoke("-c", 'txt2img "a fox" --seed 3')
    path = next((home / "outputs").glob("*.png"))
    from PIL.PngImagePlugin import PngInfo

    with Image.open(path) as picture:
        texts = PngInfo()
        for name, text in picture.text.items():
            texts.add_text(name, text)
        picture.putpixel((3, 3), (1, 2, 3))
        picture.save("painted.png", pnginfo=texts)

    ran = invoke("-c", "info painted.png --check")

    assert ran.status == 1
    assert "$.result.pixel_hash is not that of the file's pixels: they were edited" in ran.out


def test_the_schema_is_printed_and_is_what_pictures_are_of(invoke, home):
    invoke("-c", 'txt2img "a fox" --seed 3', "-c", "set format jpeg", "-c", "load_image a.png | blur 2")
    schema = json.loads(invoke("schema").out)

    jsonschema.Draft202012Validator.check_schema(schema)
    for path in (home / "outputs").iterdir():
        record = invoke("--json", "info", str(path)).records[0]
        assert record["steps"]
    assert schema["$id"] == "urn:invoke-shell:sd-metadata:1"


def test_info_tells_file_steps_sources_models_and_line(invoke, home, folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795233600")
    made = invoke(
        "--json", "-c", "load_image a.png --embed | img2img 'a \"red\" boat' --strength 0.5 --seed 7 | crop 0:0:32:32"
    )
    path = made.results[0]["path"]
    pixels = Path(path).stat().st_size

    first, *lines, last = invoke("info", path).out.splitlines()

    assert first == f"{path}: invoke_shell 0.1.0, 32x32 PNG, {round(pixels / 1000)} kB, 2026-11-21 04:00 UTC"
    assert last == f"  command        {made.results[0]['command']}"
    assert [line for line in lines if not line.startswith(("  model ", "  ran on "))] == [
        "  1  load_image  gives 64x64",
        r'  2  img2img     "a \"red\" boat"  strength 0.5  steps 20  guidance 2  seed 7  10 of 20 steps ran',
        "                 gives 64x64",
        "  3  crop        box 0:0:32:32  gives 32x32",
        "  source         a.png  64x64  blake3:9aebe2de73840161  inside (1 kB)",
    ]


def test_info_of_a_long_history_names_the_first_steps(invoke):
    made = invoke("--json", "-c", "txt2img x --seed 1..24 --size 64x64 | contact_sheet")

    out = invoke("info", made.results[-1]["path"]).out

    assert "     and 9 steps more\n" in out


def test_info_in_another_home_says_that_an_embedded_source_is_no_loss(invoke, home, folder, tmp_path):
    made = invoke(
        "--json", "-c", "load_image a.png --embed | blur 2", "-c", "@1 | save a.jpg --embed", "-c", "@1 | save bare.png"
    )
    away = tmp_path / "away"

    assert "missing" not in invoke("info", made.results[0]["path"], home=away).out
    beside = invoke("info", "a.jpg", home=away).out
    assert "missing" not in beside
    assert "  sources beside it in a.jpg.json, 2 kB\n" in beside
    assert (
        "missing: the source picture blake3:9aebe2de73840161 (a.png) is not among yours: "
        in invoke("info", "bare.png", home=away).out
    )


def test_info_of_a_plain_picture_says_its_marks(invoke, folder):
    from invoke_shell.metadata.companions import xmp

    Image.new("RGB", (8, 8)).save("ai.jpg", xmp=xmp("trainedAlgorithmicMedia").encode())

    ran = invoke("info", "ai.jpg", "a.png")

    assert "  marked iptc:trainedAlgorithmicMedia\n" in ran.out
    assert ran.out.count("marked") == 1
    assert ran.status == 0


LONG = (
    'load_image blake3:0dff2f6eb362b179 | img2img "a red -- boat | \\" on # a green sea" --negative "--no" '
    "--strength 0.5 --start-step none --steps 20 --guidance 2 --scheduler dpmpp_2m_karras --seed 3 "
    "| upscale --scale 2 | crop 0:0:8:8"
)


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 119, 400])
def test_a_folded_line_means_what_it_meant(columns):
    from invoke_shell.compose import everything
    from invoke_shell.pipeline.bind import understand
    from invoke_shell.shell.answers.telling import folded

    registry, lines = everything(), folded(LONG, columns)

    assert understand("\n".join(lines), registry)[0].chain.stages == understand(LONG, registry)[0].chain.stages
    assert len(lines) > 1 or columns == 400
    assert all(len(line) <= columns for line in lines) or columns < 60


def test_a_long_name_stands_apart_and_a_replay_tells_no_number_it_has_not(invoke):
    invoke("-c", 'txt2img "a cat" --seed 1..2 | contact_sheet')
    invoke("replay", "@3")

    told = invoke("info", "@4").out.splitlines()

    assert told[3].startswith("  3  contact_sheet  ")
    assert any(line.endswith("verdict exact  max difference 0") for line in told)
