"""`info`, `info --check`, `schema`: what is inside pictures, for people and programs."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
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

    assert "there is no sd-metadata of invoke_shell in it" in invoke("info", "--check", "a.png").err
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
