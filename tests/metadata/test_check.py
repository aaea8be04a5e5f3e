"""`info --check`: every fault with its place in the JSON, and nothing to say of what is right."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from typing import Any

import pytest
from metadata_material import after, frame, image, png, text, txt2img, ztxt
from pipeline_kit import frames, run_of

from invoke_shell import commands
from invoke_shell.metadata.check import MOST, check_container, check_data, check_pixels
from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.png import Png
from invoke_shell.metadata.record import to_metadata
from invoke_shell.metadata.schema import node_schemas

REGISTRY = commands.registry()
SCHEMAS = node_schemas(REGISTRY)
DATA: Any = to_metadata(
    after(txt2img(), "blur", image(seed=2), radius=2.0), mode="RGB", app_version="0.1.0", created="2026-11-21T04:00:00Z"
)


def faults(data: Any) -> list[str]:
    return [f"{path} {message}" for path, message in check_data(data, SCHEMAS)]


@pytest.mark.parametrize("line", ['txt2img "a boat" --seed 7', "load_image a.png | blur 2 | upscale"])
def test_what_we_write_has_no_fault(line: str):
    *_, made = frames(run_of(line, registry=REGISTRY))

    assert faults(to_metadata(made.step, mode="RGB", app_version="0.1.0")) == []


CASES: list[tuple[tuple[Any, ...], Any, str]] = [
    (("steps", 0, "params", "steps"), "many", '$.steps[0].params.steps is "many", not a whole number'),
    (("steps", 0, "params", "steps"), 0, "$.steps[0].params.steps is 0, less than 1"),
    (("steps", 0, "params", "guidance"), 1e9, "$.steps[0].params.guidance is 1000000000.0, more than 100"),
    (("steps", 0, "params", "seed"), None, "$.steps[0].params.seed is null, not a whole number"),
    (("steps", 0, "params", "zoom\x1b"), 2, "$.steps[0].params has zoom\\u{1B}, which this node does not take"),
    (("steps", 0, "id"), "../s1", '$.steps[0].id is "../s1", which cannot be'),
    (("steps", 1, "inputs", "frame"), {"step": "s1"}, '$.steps[1].inputs.frame is {"step": "s1"}, not a list'),
    (("steps", 1, "inputs", "frame"), [{}], "$.steps[1].inputs.frame[0] is {}, and not one of step or resource"),
    (
        ("steps", 1, "inputs", "frame"), [{"step": "s9"}],
        "$ step 2, frame: it takes step s9, which does not come before it",
    ),
    (("resources", 0, "name"), "/home/alice/x", '$.resources[0].name is "/home/alice/x", which cannot be'),
    (
        ("resources", 0, "linkage"), "static",
        "$.resources[0] has no resource_content and no resource_mime and no pixel_hash",
    ),
    (("resources", 0, "kind"), "image", "$.resources[0] has no pixel_hash and no width and no height"),
    (("spec_version",), "2", '$.spec_version is "2", which cannot be'),
    (("result", "mode"), "P", '$.result.mode is "P", not "RGB" or "RGBA" or "L"'),
    (("result", "width"), 99, "$.result.width is 99, and its step says 6"),
    (("image", "seed"), 3, "$.image.seed is 3, and the steps say 42"),
    (("steps",), [], "$.steps has 0 items, and may have at least 1"),
    (("app_id",), ..., "$ has no app_id"),
    (("steps", 0, "output_hash"), "x" * 200, f'$.steps[0].output_hash is "{"x" * 56}..., which cannot be'),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "message"), CASES, ids=[m.split(" ")[0] for _, _, m in CASES])
def test_a_fault_has_its_place_and_a_sentence(place: tuple[Any, ...], value: Any, message: str):
    data = deepcopy(DATA)
    at = data
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    if value is ...:
        del at[place[-1]]

    assert faults(data) == [message]


def test_a_step_that_made_nothing_is_found():
    data = deepcopy(DATA)
    data["steps"].append(
        {**deepcopy(data["steps"][0]), "id": "s3", "params": {**data["steps"][0]["params"], "seed": 3}}
    )

    assert faults(data) == ["$.steps has 3 steps, of which 2 made the picture"]


def test_steps_of_nodes_that_are_not_here_are_held_to_the_form():
    data = deepcopy(DATA)
    data["steps"][1]["node"], data["steps"][1]["params"] = "somebodys_node", {"anything": [1, {}]}
    data["image"]["postprocessing"] = [{"type": "somebodys_node"}]

    assert faults(data) == []


def test_an_embedded_picture_that_lies_is_found():
    from base64 import b64encode

    *_, made = frames(run_of("load_image a.png | blur 2", registry=REGISTRY))
    data: Any = to_metadata(made.step, mode="RGB", app_version="0.1.0")
    lie = b64encode(png()).decode()
    data["resources"][0] |= {"linkage": "static", "resource_mime": "image/png", "resource_content": lie}

    (fault,) = faults(data)
    assert fault.startswith("$.resources an embedded picture is not the one it says: blake3:")


def test_no_more_than_a_hundred_faults_are_told():
    data = deepcopy(DATA)
    data["steps"] = [{}] * 4096

    assert len(faults(data)) == MOST


@pytest.mark.parametrize("data", [{}, {"steps": 3}, {"steps": [None], "resources": {}}, {"steps": [{"node": []}]}])
def test_any_json_is_answered(data: Any):
    assert faults(data)


def test_the_chunks_other_readers_need():
    def told(data: bytes) -> list[str]:
        return [wrong.message for wrong in check_container(Png(io.BytesIO(data)))]

    record = json.dumps(DATA).encode()

    assert told(embed(frame(), app_version="1")) == []
    assert told(png(ztxt("sd-metadata", record), text("Dream", b"x"))) == [
        "stands in a zTXt chunk, not in an uncompressed tEXt"
    ]
    assert told(png(text("Dream", b"x"), after=text("sd-metadata", record))) == [
        "stands after the pixels, where many readers do not look"
    ]
    assert told(png(text("sd-metadata", record))) == [
        "has no Dream chunk beside it, without which readers of InvokeAI 1 and 2 crash"
    ]


def test_the_pixels_are_the_recorded_ones():
    def told(picture: Any, **options: bool) -> list[str]:
        return [f"{wrong.path} {wrong.message}" for wrong in check_pixels(DATA, picture, **options)]

    assert told(image(seed=2), lossless=True) == []
    assert told(image(seed=3), lossless=False) == []
    assert told(image(9, 9), lossless=False) == ["$.result says 6x4, and the file has 9x9"]
    assert told(image(seed=3), lossless=True) == [
        "$.result.pixel_hash is not that of the file's pixels: they were edited, or moved to another file"
    ]
