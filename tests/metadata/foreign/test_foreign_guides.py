"""ControlNets and IP-Adapters of other programs: read, carried where the model is here, else said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from foreign_material import found, told

from invoke_shell.metadata.foreign.result import Guide

DETAILS = "a red boat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, RNG: CPU"
CANNY = Guide(kind="controlnet", model="control_v11p_sd15_canny", weight=0.8, start=0.1, end=0.7, made_by="canny")
NEWER = (
    'ControlNet 0: "Module: canny, Model: control_v11p_sd15_canny [d14c016b], Weight: 0.8, Resize Mode: Crop,'
    ' Processor Res: 512, Guidance Start: 0.1, Guidance End: 0.7, Control Mode: Balanced"'
)
OLDER = (
    'ControlNet 0: "preprocessor: canny, model: control_v11p_sd15_canny [d14c016b], weight: 0.8,'
    ' starting/ending: (0.1, 0.7), control mode: Balanced, preprocessor params: (512, 100, 200)"'
)
FIELDS = (
    "ControlNet Enabled: True, ControlNet Module: canny, ControlNet Model: control_v11p_sd15_canny [d14c016b],"
    " ControlNet Weight: 0.8, ControlNet Guidance Start: 0.1, ControlNet Guidance End: 0.7"
)


def guides(details: str) -> Any:
    return found("a1111", parameters=f"{DETAILS}, {details}")


@pytest.mark.parametrize("details", [NEWER, OLDER, FIELDS, FIELDS.replace("ControlNet ", "ControlNet-0 ")])
def test_a_unit_of_automatic1111(details: str):
    assert guides(details).guides == (CANNY,)
    assert guides(details).missing == ()


def test_units_that_are_off_or_without_a_model_are_nothing():
    assert guides(FIELDS.replace("True", "False")).guides == ()
    assert guides('ControlNet 0: "Module: reference_only, Model: None, Weight: 1"').guides == ()


def test_an_ip_adapter_is_a_unit_with_that_module():
    unit = guides('ControlNet 1: "Module: ip-adapter_clip_sd15, Model: ip-adapter-plus_sd15 [c817b455], Weight: 0.6"')

    assert unit.guides == (Guide(kind="ip_adapter", model="ip-adapter-plus_sd15", weight=0.6),)


def test_a_control_mode_that_is_none_of_ours_is_said():
    assert guides(NEWER.replace("Balanced", "ControlNet is more important")).missing == (
        "not carried: the control mode ControlNet is more important",
    )


def test_the_line_says_which_pictures_are_wanted():
    line = told("a1111", parameters=f"{DETAILS}, {NEWER}")

    assert line.text.endswith("--control control_v11p_sd15_canny:0.8 --control-start 0.1 --control-end 0.7")
    assert line.missing == (
        "the picture that --control control_v11p_sd15_canny reads is not in the file, made by canny:"
        " add --control-image FILE",
    )


def test_a_weight_out_of_range_is_left_out_and_said():
    line = told("a1111", parameters=f"{DETAILS}, {NEWER.replace('0.8', '80')}")

    assert "--control " not in line.text
    assert "left out: --control takes 0 to 10 behind its colon, not control_v11p_sd15_canny:80" in line.missing


def test_lists_of_invokeai():
    record = {
        "positive_prompt": "a", "seed": 1,
        "controlnets": [{
            "image": {"image_name": "dir/x.png"}, "control_model": {"name": "canny", "key": "1"},
            "control_weight": 0.8, "begin_step_percent": 0.1, "end_step_percent": 1,
        }],
        "ipAdapters": [{"ip_adapter_model": {"model_name": "plus"}, "weight": [0.5, 0.6], "image": None}],
    }  # fmt: skip
    picture = found("invokeai", invokeai_metadata=json.dumps(record))

    assert picture.guides == (
        Guide(kind="controlnet", model="canny", weight=0.8, start=0.1, end=1.0, source="x.png"),
        Guide(kind="ip_adapter", model="plus", weight=0.5),
    )
    assert picture.missing == ()


@pytest.mark.parametrize("value", [None, 5, "x", [], [None], [{}], [{"control_model": 5}], {"a": 1}])
def test_lists_that_are_none(value: Any):
    record = {"positive_prompt": "a", "seed": 1, "controlnets": value, "ipAdapters": value}

    assert found("invokeai", invokeai_metadata=json.dumps(record)).guides == ()
