"""A history to `sd-metadata` and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_material import ENVIRONMENT, MODEL, SHA256, after, histories, image, names, plain, txt2img

from invoke_shell.errors import MetadataError
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.record import to_metadata
from invoke_shell.metadata.strict import dumps
from invoke_shell.records import ModelRecord, Resource, StepRecord, topological


def recorded(step: StepRecord, **options: Any) -> dict[str, Any]:
    return to_metadata(step, **{"mode": "RGB", "app_version": "0.1.0", **options})


def through_text(step: StepRecord, **options: Any) -> StepRecord:
    return from_metadata(loads(dumps(recorded(step, **options))))


def flat(step: StepRecord) -> list[dict[str, Any]]:
    """A history as rows that can be compared without recursion; where a model lies and its advice are not recorded."""
    steps = list(topological(step))
    place = {s.key: n for n, s in enumerate(steps)}

    def item(i: StepRecord | Resource) -> Any:
        return place[i.key] if isinstance(i, StepRecord) else i

    rows = []
    for s in steps:
        row = {f.name: getattr(s, f.name) for f in fields(s)}
        row["inputs"] = {name: tuple(item(i) for i in items) for name, items in s.inputs.items()}
        row["models"] = {name: replace(m, path="", advice={}) for name, m in s.models.items()}
        rows.append(row)
    return rows


@settings(deadline=None)
@given(histories())
def test_a_history_comes_back_as_it_was(step: StepRecord):
    assert flat(through_text(step)) == flat(step)


@settings(deadline=None)
@given(histories(), st.dictionaries(names.map("x-{}".format), plain, max_size=2))
def test_what_is_not_known_is_kept_when_written_again(step: StepRecord, more: dict[str, Any]):
    data = recorded(step)
    for row in data["steps"]:
        row.update(more)

    again = recorded(from_metadata(loads(dumps(data))))

    assert [{name: row[name] for name in more} for row in again["steps"]] == [more] * len(again["steps"])


def test_a_shared_step_is_written_once():
    start = txt2img()
    left, right = (after(start, "blur", image(seed=n), radius=n) for n in (2, 3))
    sheet = replace(after(left, "contact_sheet", image(seed=4)), inputs={"frames": (left, right, left)})

    data = recorded(sheet)

    assert [(row["id"], row["node"], row["inputs"]) for row in data["steps"]] == [
        ("s1", "txt2img", {}),
        ("s2", "blur", {"frame": [{"step": "s1"}]}),
        ("s3", "blur", {"frame": [{"step": "s1"}]}),
        ("s4", "contact_sheet", {"frames": [{"step": "s2"}, {"step": "s3"}, {"step": "s2"}]}),
    ]
    assert data["result"]["step"] == "s4"


def test_a_model_and_a_source_are_written_once_and_referred_to():
    source = Resource(hash="blake3:" + "12" * 32, width=5, height=4, name="cat.jpg", facts={"format": "JPEG"})
    first = replace(txt2img(), node="img2img", inputs={"frame": (source,)})
    second = replace(txt2img(image(seed=2)), node="img2img", inputs={"frame": (first,), "mask": (source,)})

    data = recorded(second)

    assert data["resources"] == [
        {
            "resource_id": "r1",
            "kind": "image",
            "linkage": "shared",
            "pixel_hash": "blake3:" + "12" * 32,
            "width": 5,
            "height": 4,
            "mode": "RGB",
            "name": "cat.jpg",
            "format": "JPEG",
        },
        {
            "resource_id": "r2",
            "kind": "checkpoint",
            "linkage": "shared",
            "resource_hash": MODEL.hash,
            "name": "pocket",
            "base": "sd1",
            "format": "folder",
            "bytes": 50_000_000,
            "license": "Apache-2.0",
            "hashes": {"sha256": SHA256, "autov2": SHA256[:10]},
        },
    ]
    assert [row["models"] for row in data["steps"]] == [{"model": {"resource": "r2"}}] * 2
    assert data["steps"][1]["inputs"] == {"frame": [{"step": "s1"}], "mask": [{"resource": "r1"}]}


def test_the_environment_stands_once_and_in_the_steps_it_differs_in():
    data = recorded(after(txt2img(), "blur", image(seed=2), radius=2))

    assert data["environment"] == {"pillow": "13.0.0"}
    assert [row.get("environment") for row in data["steps"]] == [ENVIRONMENT, None]


def test_the_view_for_older_readers():
    made = txt2img(negative="blurry", scheduler="dpmpp_2m_karras")
    larger = replace(
        after(made, "upscale", image(12, 8), scale=2),
        models={"upscaler": ModelRecord(name="net", kind="upscaler", hash="blake3:" + "9" * 64)},
    )

    data = recorded(larger)

    assert data["image"] == {
        "type": "txt2img",
        "prompt": [{"prompt": "a red boat on a green sea [blurry]", "weight": 1.0}],
        "negative_prompt": "blurry",
        "sampler": "k_dpmpp_2",
        "seed": 42,
        "variations": [],
        "steps": 20,
        "cfg_scale": 7.5,
        "width": 6,
        "height": 4,
        "postprocessing": [{"type": "esrgan", "scale": 2, "strength": 1.0, "denoise_str": 0.0}],
    }
    assert (data["model"], data["model_weights"], data["model_hash"]) == ("stable diffusion", "pocket", SHA256)


def test_without_a_generation_model_is_null_and_the_view_says_external():
    source = Resource(hash="blake3:" + "1" * 64, width=5, height=4)
    step = replace(after(txt2img(), "blur", image(), radius=2), inputs={"frame": (source,)})

    data = recorded(step)

    assert (data["model"], data["model_hash"], data["image"]["type"]) == (None, None, "external")


@pytest.mark.parametrize(
    ("params", "strength"),
    [
        ({"strength": 0.75}, 0.75),
        ({"strength": 0.75, "start_step": None}, 0.75),
        ({"strength": 0.75, "start_step": 10}, 0.5),
        ({"strength": 0.75, "start_step": 0}, 1.0),
        ({"strength": "much"}, 0.0),
        ({}, None),
    ],
)
def test_strength_of_the_view_is_what_ran(params: Mapping[str, Any], strength: float | None):
    source = Resource(hash="blake3:" + "1" * 64, width=6, height=4)

    view = recorded(replace(txt2img(**params), inputs={"frame": (source,)}))["image"]

    assert (view["type"], view.get("strength")) == ("img2img", strength)


def test_a_node_of_any_shape_can_be_written():
    odd = replace(txt2img(), params={"prompt": "x", "seed": 1, "steps": "many", "guidance": None, "scheduler": 3})

    assert recorded(odd)["image"]["steps"] == 0


# -- privacy ---------------------------------------------------------------------------------------------------------


def with_names() -> StepRecord:
    source = Resource(hash="blake3:" + "1" * 64, width=5, height=4, name="/home/alice/Pictures/me at the lake.jpg")
    lora = replace(MODEL, name="C:\\Users\\alice\\my_face.safetensors", kind="lora", hash="blake3:" + "2" * 64)
    return replace(txt2img(), inputs={"frame": (source,)}, models={"model": MODEL, "lora": lora})


def test_no_directory_is_ever_written():
    text = dumps(recorded(with_names()))

    assert "alice" not in text
    assert "Users" not in text
    assert "me at the lake.jpg" in text


def test_privacy_drops_names_dates_command_and_device():
    text = dumps(recorded(with_names(), created="2026-11-21T04:00:00Z", command="load_image x", privacy=True))

    for secret in ("alice", "at the lake", "my_face", "pocket", "2026", "load_image", "AMD", '"device_name"'):
        assert secret not in text
    assert '"torch":"2.13.0"' in text


def test_privacy_keeps_the_name_of_a_model_that_has_no_hash():
    step = replace(txt2img(), models={"model": replace(MODEL, hash="")})

    assert through_text(step, privacy=True).models["model"].name == "pocket"


# -- what a stranger may write ---------------------------------------------------------------------------------------


def test_a_later_major_version_is_refused_and_a_minor_one_is_read():
    data = recorded(txt2img())

    with pytest.raises(MetadataError) as caught:
        loads(json.dumps({**data, "spec_version": "2.0"}))

    assert caught.value.code == "newer-spec"
    assert str(caught.value) == (
        "it is of spec version 2.0, and this program reads up to version 1\n  a newer invoke_shell reads it"
    )
    assert from_metadata(loads(json.dumps({**data, "spec_version": "1.9"}))).node == "txt2img"


BROKEN = [
    ("steps", None, "the metadata: steps is not there"),
    ("steps", [], "a picture's history has 1 to 4,096 steps, not 0"),
    ("steps", [5], "step 1 is no object"),
    ("steps", {}, "the metadata: steps is not a list"),
    ("resources", [{}], "resource 1: resource_id is not there"),
    ("resources", [{"resource_id": "../x", "kind": "image"}], 'resource 1: resource_id cannot be "../x"'),
    ("environment", 3, "the metadata: environment is not an object"),
    ("result", {"step": "s9"}, "the result is of step s9, and there is no such step"),
]


@pytest.mark.parametrize(("key", "value", "message"), BROKEN)
def test_a_broken_envelope_says_where(key: str, value: Any, message: str):
    with pytest.raises(MetadataError) as caught:
        from_metadata({**recorded(txt2img()), key: value})

    assert caught.value.message == message


BROKEN_STEPS = [
    ({"id": "s 1"}, 'step 1: id cannot be "s 1"'),
    ({"node": "rm -rf"}, 'step 1: node cannot be "rm -rf"'),
    ({"node": "\x1b[2J"}, 'step 1: node cannot be "\\u{1B}[2J"'),
    ({"version": True}, "step 1: version is not a whole number"),
    ({"width": -1}, "step 1: width cannot be -1"),
    ({"params": []}, "step 1: params is not an object"),
    ({"output_hash": "blake3:xyz"}, 'step 1: output_hash cannot be "blake3:xyz"'),
    ({"inputs": {"frame": {"step": "s1"}}}, "step 1, frame: the inputs are no list"),
    ({"inputs": {"frame": [{"step": "s1"}]}}, "step 1, frame: it takes step s1, which does not come before it"),
    ({"inputs": {"\u202eframe": ["x"]}}, "step 1, \\u{202E}frame is no object"),
    ({"inputs": {"frame": [{"resource": "r1"}]}}, "step 1, frame: it takes r1, which is no picture in the resources"),
    ({"models": {"model": {"resource": "r7"}}}, "step 1, model: it runs r7, which is no model in the resources"),
    ({"facts": 5}, "step 1: facts is not an object"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN_STEPS)
def test_a_broken_step_says_where(change: dict[str, Any], message: str):
    data = recorded(txt2img())
    data["steps"][0].update(change)

    with pytest.raises(MetadataError) as caught:
        from_metadata(data)

    assert caught.value.message == message


def test_an_id_used_twice_is_refused():
    data = recorded(txt2img())

    with pytest.raises(MetadataError, match="two steps have the id s1"):
        from_metadata({**data, "steps": data["steps"] * 2})
    with pytest.raises(MetadataError, match="two resources have the id r1"):
        from_metadata({**data, "resources": data["resources"] * 2})


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["steps", "resources", "environment", "result"]), plain), st.data())
def test_any_json_is_read_or_refused(change: dict[str, Any], data: st.DataObject):
    whole = {**recorded(txt2img()), **change}
    if isinstance(whole["steps"], list) and whole["steps"] and isinstance(whole["steps"][0], dict):
        keys = st.sampled_from(["id", "node", "inputs", "models", "facts", "environment", "width", "output_hash"])
        whole["steps"] = [{**whole["steps"][0], **data.draw(st.dictionaries(keys, plain))}]

    try:
        step = from_metadata(whole)
    except MetadataError:
        return

    assert isinstance(step, StepRecord)


def chain(length: int) -> StepRecord:
    step = txt2img()
    for n in range(length - 1):
        step = replace(step, node="blur", params={"radius": n}, models={}, inputs={"frame": (step,)}, facts={})
        _ = step.key  # as a run does
    return step


def test_4096_steps_are_written_and_read_and_one_more_is_refused():
    assert sum(1 for _ in topological(through_text(chain(4096)))) == 4096

    with pytest.raises(MetadataError) as caught:
        recorded(chain(4097))

    assert caught.value.message == "a picture's history may have 4,096 steps, not 4,097"
