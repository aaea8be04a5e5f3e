"""The short texts other programs read."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_material import MODEL, txt2img

from invoke_shell.metadata.companions import LEVELS, SAMPLERS, dream, parameters
from invoke_shell.metadata.summary import INVOKEAI_2, Summary, summarise
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.records import Resource, StepRecord

# AUTOMATIC1111's own expression for the last line.
FIELD = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
SOURCE = Resource(hash="blake3:" + "1" * 64, width=6, height=4)


def summary(step: StepRecord) -> Summary:
    made = summarise([step])
    assert made is not None
    return made


def line(step: StepRecord, **options: Any) -> str:
    return parameters(summary(step), "0.1.0", **options)


def test_the_whole_line():
    step = txt2img(prompt="a (red) boat", negative="blurry", scheduler="dpmpp_2m_karras", guidance=7.5)

    assert line(step) == (
        "a \\(red\\) boat\n"
        "Negative prompt: blurry\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 42, Size: 6x4, "
        "Model hash: cc6cb27103, Model: pocket, RNG: CPU, Version: invoke_shell 0.1.0"
    )


def test_img2img_says_its_strength():
    step = replace(txt2img(strength=0.6, guidance=7), inputs={"frame": (SOURCE,)})

    assert "CFG scale: 7, " in line(step)
    assert ", Denoising strength: 0.6, RNG: CPU" in line(step)


def test_the_hash_is_the_first_ten_digits_of_sha256_when_autov2_is_not_there():
    model = replace(MODEL, hashes={"sha256": MODEL.hashes["sha256"]})

    assert "Model hash: cc6cb27103, " in line(replace(txt2img(), models={"model": model}))


def test_without_hashes_or_model_the_fields_are_left_out():
    assert "Model hash" not in line(replace(txt2img(), models={"model": replace(MODEL, hashes={})}))
    assert "Model" not in line(replace(txt2img(), models={}))


def test_what_else_decides_the_noise_is_said_in_its_words():
    step = txt2img(rng="philox", ensd=31337, blend=["77:0.25"], seamless="both")

    assert ", Variation seed: 77, Variation seed strength: 0.25, ENSD: 31337, RNG: NV, Tiling: True, " in line(step)
    assert "Variation" not in line(txt2img(blend=["77:0.25", "78:0.1"]))
    assert line(txt2img(rng="cpu", ensd=0, blend=[], seamless="none")) == line(txt2img())


def test_privacy_leaves_the_models_name_out():
    assert "pocket" not in line(txt2img(), privacy=True)


def test_a_name_with_a_comma_is_quoted():
    step = replace(txt2img(), models={"model": replace(MODEL, name='a, "b": c')})

    assert 'Model: "a, \\"b\\": c", ' in line(step)


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), st.text(max_size=20))
def test_the_last_line_is_read_by_a1111s_own_expression(prompt: str, name: str):
    step = replace(txt2img(prompt=prompt), models={"model": replace(MODEL, name=name)})

    last = line(step).split("\n")[-1]

    found = dict(FIELD.findall(last))
    assert (found["Steps"], found["Seed"], found["Size"], found["Sampler"]) == ("20", "42", "6x4", "Euler a")


def test_every_scheduler_has_a_name_there():
    assert {s.base or s.name for s in SCHEDULERS.values()} == set(SAMPLERS)
    assert {s.sigmas for s in SCHEDULERS.values()} == {"", *LEVELS}
    assert set(INVOKEAI_2) <= set(SAMPLERS)


def test_dream():
    step = txt2img(negative="blurry")

    assert dream(summary(step)) == '"a red boat on a green sea [blurry]" -s 20 -S 42 -W 6 -H 4 -C 7.5 -A k_euler_a'


def test_dream_of_img2img():
    step = replace(txt2img(strength=0.6), inputs={"frame": (SOURCE,)})

    assert dream(summary(step)).endswith(" -A k_euler_a -f 0.6")


@settings(deadline=None)
@given(st.text())
def test_dream_is_one_line_with_the_prompt_as_its_first_word(prompt: str):
    text = dream(summary(txt2img(prompt=prompt)))

    assert text.splitlines() == [text]
    assert shlex.split(text)[0] == " ".join(prompt.split())


@pytest.mark.parametrize(
    ("inputs", "kind"), [({}, "txt2img"), ({"frame"}, "img2img"), ({"frame", "mask"}, "inpainting")]
)
def test_the_type_of_a_generation(inputs: set[str], kind: str):
    assert summary(replace(txt2img(), inputs=dict.fromkeys(sorted(inputs), (SOURCE,)))).type == kind
