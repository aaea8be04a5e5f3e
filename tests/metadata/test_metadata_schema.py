"""The schema of `sd-metadata`, held against what is really written."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from metadata_material import after, frame, histories, image, txt2img
from pipeline_kit import frames, run_of

from invoke_shell import commands
from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.history import loads
from invoke_shell.metadata.png import Png
from invoke_shell.metadata.record import to_metadata
from invoke_shell.metadata.schema import envelope, recorded_schema
from invoke_shell.records import StepRecord

REGISTRY = commands.registry()
NODES = {node.name: node for node in REGISTRY.nodes.values() if not node.stage_only and not node.builtin}
SCHEMA = envelope({name: recorded_schema(node) for name, node in NODES.items()})
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
LINES = [
    'txt2img "a boat" --seed 7',
    'load_image a.png | img2img "a house" --strength 0.6 --seed 3 | upscale --scale 2 | crop 0:0:8:8',
    'txt2img "a star" --seed 1..4 | contact_sheet --columns 2 | blur 1.5 | resize 64x64 --how fill',
]


def faults(data: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(data)]


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("privacy", [False, True])
def test_real_pictures_are_of_the_schema(line: str, privacy: bool):
    import io

    *_, made = frames(run_of(line, registry=REGISTRY))
    found = Png(io.BytesIO(embed(made, app_version="0.1.0", created="2026-11-21T04:00:00Z", privacy=privacy)))

    assert faults(loads(found.text(found.texts[0]))) == []


@settings(deadline=None)
@given(histories())
def test_steps_of_unknown_nodes_are_held_to_the_form_alone(step: StepRecord):
    data = to_metadata(step, mode="RGB", app_version="0.1.0")

    assert [fault for fault in faults(data) if "model_hash" not in fault and ".params" not in fault] == []


def test_a_history_without_a_model_is_of_the_schema():
    step = after(txt2img(), "blur", image(seed=2), radius=2)

    assert faults(to_metadata(step, mode="RGB", app_version="0.1.0")) == []


WRONG = [
    (("steps", 0, "params", "steps"), "many", "$.steps[0].params.steps: 'many' is not of type 'integer'"),
    (("steps", 0, "params", "steps"), 0, "$.steps[0].params.steps: 0 is less than the minimum of 1"),
    (("steps", 0, "id"), "../s1", "$.steps[0].id: '../s1' does not match"),
    (
        ("steps", 0, "inputs"),
        {"frame": {"step": "s1"}},
        "$.steps[0].inputs.frame: {'step': 's1'} is not of type 'array'",
    ),
    (("resources", 0, "name"), "/home/alice/x", "$.resources[0].name: '/home/alice/x' does not match"),
    (("spec_version",), "2", "$.spec_version: '2' does not match"),
    (("result", "mode"), "P", "$.result.mode: 'P' is not one of"),
    (("steps",), [], "$.steps: [] should be non-empty"),
]


@pytest.mark.parametrize(("place", "value", "message"), WRONG)
def test_what_is_wrong_is_found(place: tuple[Any, ...], value: Any, message: str):
    data: Any = deepcopy(to_metadata(frame().step, mode="RGB", app_version="0.1.0"))
    at = data
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value

    assert [fault for fault in faults(data) if fault.startswith(message)]


def test_only_what_is_recorded_is_asked_for():
    schema = recorded_schema(NODES["img2img"])

    assert set(schema["properties"]) == {p.name for p in NODES["img2img"].recorded}
    assert not {"frame", "model", "count"} & set(schema["properties"])


def test_a_picture_from_before_a_parameter_is_of_the_schema():
    data: Any = to_metadata(frame().step, mode="RGB", app_version="0.1.0")
    del data["steps"][0]["params"]["clip_skip"]

    assert faults(data) == []
    del data["steps"][0]["params"]["seed"]
    assert faults(data) == ["$.steps[0].params: 'seed' is a required property"]
