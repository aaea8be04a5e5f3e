"""AUTOMATIC1111's text and its imitators', after the grammar their writers follow."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from foreign_material import GPU, core, found, opened, png, told
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from invoke_shell.metadata.foreign.infotext import fields_of, parts
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Lora, Source

PLAIN = (
    "a red boat\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 512x768, Model hash: cc6cb27103, Model: v1-5"
)


def said(text: str, tool: str = "a1111") -> Any:
    return found(tool, parameters=text)


# -- the text --------------------------------------------------------------------------------------------------------


def test_a_plain_one_is_read_whole():
    picture = said(PLAIN)

    assert core(picture) == ("a red boat", "blurry", 42, 20, 7.5, "euler_a", (512, 768), "v1-5")
    assert picture.model.hashes == {"autov2": "cc6cb27103"}
    assert told("a1111", parameters=PLAIN) == (
        'txt2img "a red boat" --negative "blurry" --size 512x768 --steps 20 --guidance 7.5 --scheduler euler_a'
        " --rng philox --seed 42 --model v1-5",
        (),
        (GPU,),
        False,
        {"checkpoint": ("v1-5",)},
        "a1111",
        False,
    )


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        ("a\nb\n\nc\nNegative prompt: d\ne\nSteps: 20, Seed: 1, Size: 8x8", "a\nb\n\nc", "d\ne"),
        ("a\nSteps: 20, Seed: 1, Size: 8x8", "a", ""),
        ("Steps: 20, Seed: 1, Size: 8x8", "", ""),
        ("Negative prompt: d\nSteps: 20, Seed: 1, Size: 8x8", "", "d"),
        ("a\n\nNegative prompt: d\nSteps: 20, Seed: 1, Size: 8x8\n", "a", "d"),  # Stability Matrix
        ("a\r\nNegative prompt: d\r\nSteps: 20, Seed: 1, Size: 8x8\r\n\0", "a", "d"),
        ("Steps: take three\nSteps: 20, Seed: 1, Size: 8x8", "Steps: take three", ""),
        ("a\nSteps: 20, Seed: 1, Size: 8x8\nTemplate: x\nNegative Template: y", "a", ""),
        ("a\nSeed: 1, Size: 8x8, CFG scale: 6, App: SD.Next, Steps: 20", "a", ""),
    ],
)
def test_prompts_and_details_are_told_apart(text: str, prompt: str, negative: str):
    picture = said(text)

    assert (picture.prompt, picture.negative, picture.steps, picture.seed) == (prompt, negative, 20, 1)


def test_a_text_without_details_is_none():
    assert parts("a cat: on a mat, at: 5") == ("a cat: on a mat, at: 5", "", "")


values = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=20).map(str.strip)


@given(st.dictionaries(st.from_regex(r"[A-Z][a-z]{1,8}( [a-z]{2,8})?", fullmatch=True), values, max_size=8))
def test_fields_come_back_as_they_were_written(fields: dict[str, str]):
    """A value with a comma, a colon or a line end is quoted as JSON, all others stand as they are."""
    plain = {name: value for name, value in fields.items() if value and value[0] not in '"[{'}
    line = ", ".join(
        f"{name}: {json.dumps(value, ensure_ascii=False) if set(value) & set(',:') else value}"
        for name, value in plain.items()
    )

    assert fields_of(line) == plain


def test_json_that_is_not_quoted_is_cut_out():
    fields = fields_of(
        'Steps: 20, Hashes: {"model": "0123456789", "lora:a, b": "x"}, Seed: 1, Civitai resources: '
        '[{"type":"checkpoint","modelName":"A, B"}], Civitai metadata: {}, Created Date: 2026-01-04T01:27:21.27Z'
    )

    assert fields == {
        "Steps": "20",
        "Hashes": {"model": "0123456789", "lora:a, b": "x"},
        "Seed": "1",
        "Civitai resources": [{"type": "checkpoint", "modelName": "A, B"}],
        "Civitai metadata": {},
        "Created Date": "2026-01-04T01:27:21.27Z",
    }


# -- models ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("details", "name", "hashes"),
    [
        ("Model hash: 7460a6fa", "", {"autov1": "7460a6fa"}),
        ("Model hash: cc6cb27103, Model: sub/v1-5.safetensors", "v1-5", {"autov2": "cc6cb27103"}),
        ('Hashes: {"model": "CC6CB27103"}, Model: x', "x", {"autov2": "cc6cb27103"}),
        ('Model: "a, b"', "a, b", {}),
        ('Civitai resources: [{"type":"lora","modelName":"L"},{"type":"checkpoint","modelName":"C"}]', "C", {}),
        ("Model: ../../etc", "etc", {}),
    ],
)
def test_the_model_and_its_hashes(details: str, name: str, hashes: dict[str, str]):
    model = said(f"a\nSteps: 20, Seed: 1, {details}").model

    assert (model.name, model.hashes) == (name, hashes)


def test_a_model_known_by_its_hash_alone_is_said():
    line = told(
        "a1111", parameters="a\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Model hash: 7460a6fa"
    )

    assert "--model" not in line.text
    assert "the model is known by its hash alone: autov1 7460a6fa" in line.missing


def test_loras_have_the_weight_of_the_prompt_and_the_hash_of_the_details():
    text = (
        "a <lora:detail:0.8> <lora:style>\nSteps: 20, Seed: 1, Size: 64x64, "
        'Lora hashes: "detail: aabbccddeeff, style: 001122334455, other: 99"'
    )
    picture = said(text)

    assert picture.prompt == "a"
    assert picture.loras == (
        Lora(name="detail", weight=0.8, hash="aabbccddeeff"),
        Lora(name="style", hash="001122334455"),
        Lora(name="other", hash="99"),
    )
    assert told("a1111", parameters=text).text.endswith(" --lora detail:0.8 --lora style:1 --lora other:1")


# -- what has no equal -----------------------------------------------------------------------------------------------


def test_every_field_without_an_equal_is_said_by_name_and_value():
    text = (
        "a\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64, Clip skip: 2, VAE: kl.safetensors, "
        'ENSD: 31337, RNG: CPU, ADetailer model: "face, 8n", Tiling: True, TI hashes: "easy: 00", Version: v1.10.1'
    )

    line = told("a1111", parameters=text)
    assert line.text.endswith(" --ensd 31337 --seed 1 --embedding easy --vae kl --clip-skip 1 --seamless both")
    assert line.missing == ("not carried: ADetailer model face, 8n",)


@pytest.mark.parametrize(
    ("details", "noise"),
    [("RNG: CPU", "cpu"), ("RNG: NV", "gpu"), ("Version: v1.6.0", "gpu"), ("Version: ComfyUI", "cpu")],
)
def test_where_the_noise_was_drawn(details: str, noise: str):
    assert said(f"a\nSteps: 20, Seed: 1, {details}").noise == noise


def test_numbers_that_are_none_and_numbers_out_of_range_are_left_out_and_said():
    line = told("a1111", parameters="a\nSteps: 999, Sampler: Euler, CFG scale: many, Seed: -1, Size: 500x20")

    assert line.text == 'txt2img "a" --scheduler euler --rng philox'
    assert line.missing == (
        "CFG scale is no number: many",
        "left out: --steps is 1 to 150, not 999",
        "left out: --seed is 0 to 18446744073709551615, not -1",
        "left out: --size is 64 to 4096 px, a multiple of 8, not 500x20",
    )


# -- passes ----------------------------------------------------------------------------------------------------------

BASE = (
    "a\nNegative prompt: b\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 512x512"
)


def test_the_hires_fix_is_an_upscale_and_an_img2img():
    text = f"{BASE}, Denoising strength: 0.4, Hires upscale: 2, Hires steps: 10, Hires upscaler: Latent, RNG: CPU"
    picture = said(text)

    assert picture.strength is None
    assert picture.then == (
        Enlarge(scale=2.0),
        Draw(
            seed=5,
            steps=10,
            guidance=7.0,
            scheduler="dpmpp_2m_karras",
            near="dpmpp_2m_karras",
            scheduler_text="DPM++ 2M, Karras",
            strength=0.4,
        ),
    )
    line = told("a1111", parameters=text)
    assert line.text == (
        'txt2img "a" --negative "b" --size 512x512 --steps 20 --guidance 7 --scheduler dpmpp_2m_karras --seed 5'
        " | upscale --scale 2"
        " | img2img --strength 0.4 --steps 10 --guidance 7 --scheduler dpmpp_2m_karras --seed 5"
    )
    assert line.guessed == ("the hires fix enlarges pixels here; there it used Latent",)


def test_the_hires_fix_with_an_upscaler_and_values_of_its_own():
    text = (
        f"{BASE}, Denoising strength: 0.3, Hires resize: 1024x768, Hires upscaler: 4x-UltraSharp, Hires prompt: c, "
        "Hires sampler: Euler a, Hires CFG Scale: 4, Hires checkpoint: other.safetensors [abcdef1234], RNG: CPU"
    )
    line = told("a1111", parameters=text)

    assert line.text.endswith(
        " | resize 1024x768 --how stretch"
        ' | img2img "c" --strength 0.3 --steps 20 --guidance 4 --scheduler euler_a --seed 5 --model other'
    )
    assert line.missing == ("not carried: upscaler 4x-UltraSharp",)


def test_an_upscaler_network_is_named():
    text = f"{BASE}, Denoising strength: 0.3, Hires upscale: 1.5, Hires upscaler: R-ESRGAN 4x+, RNG: CPU"

    assert ' | upscale --scale 1.5 --upscaler "R-ESRGAN 4x+" | img2img ' in told("a1111", parameters=text).text


def test_the_highres_fix_of_2022_has_a_first_pass():
    text = f"{BASE.replace('512x512', '1024x1024')}, Denoising strength: 0.7, First pass size: 512x512"

    assert " --size 512x512 " in told("a1111", parameters=text).text
    assert " | resize 1024x1024 --how stretch | img2img --strength 0.7 " in told("a1111", parameters=text).text
    unknown = told("a1111", parameters=text.replace("First pass size: 512x512", "First pass size: 0x0"))
    assert unknown.text.count("|") == 0
    assert "not carried: a first pass at a smaller size (highres fix) 0x0" in unknown.missing


def test_a_denoising_strength_alone_is_img2img():
    text = f"{BASE}, Denoising strength: 0.75, Mask blur: 4"
    line = told("a1111", parameters=text)

    assert said(text).source == Source(how="stretch")
    assert line.text.startswith('| resize 512x512 --how stretch | img2img "a" --negative "b" --strength 0.75 ')
    assert line.continues
    assert line.missing == (
        "not carried: a mask Mask blur 4",
        "the source picture is not in the file: pipe it in, as in load_image FILE | ...",
    )


def test_the_extras_tab_upscales():
    text = f"{BASE}, Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+"

    assert told("a1111", parameters=text).text.endswith(' | upscale --scale 4 --upscaler "R-ESRGAN 4x+"')


# -- files -----------------------------------------------------------------------------------------------------------

FORGE = PLAIN.replace("Model: v1-5", "Model: v1-5, Distilled CFG Scale: 3.5, Version: f2.0.1v1.10.1")
SDNEXT = (
    "a red boat\nNegative prompt: blurry\nSteps: 20, Size: 512x768, Seed: 42, CFG scale: 7.5, App: SD.Next, "
    "Version: 058a7f0, Pipeline: StableDiffusionPipeline, Operations: txt2img, Sampler: Euler a, Model: v1-5"
)
CIVITAI = (
    "a red boat\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 512x768, "
    'Clip skip: 2, Created Date: 2026-01-04T01:27:21.2759270Z, Civitai resources: [{"type":"checkpoint",'
    '"modelVersionId":1,"modelName":"v1-5","modelVersionName":"v1, final"}], Civitai metadata: {}'
)
WANTED = ("a red boat", "blurry", 42, 20, 7.5, "euler_a", (512, 768), "v1-5")


@pytest.mark.parametrize(("text", "tool"), [(PLAIN, "a1111"), (FORGE, "forge"), (SDNEXT, "sdnext"), (CIVITAI, "a1111")])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_every_kind_of_file_and_every_imitator(text: str, tool: str, kind: str, tmp_path: Path):
    info = opened(written(text, kind), tmp_path, f"a.{kind.lower()}")

    assert info.tool == tool
    assert info.foreign is not None
    assert core(info.foreign) == WANTED


def written(text: str, kind: str) -> bytes:
    """A picture with the text where each kind keeps it."""
    if kind == "PNG":
        return png(parameters=text)
    out = io.BytesIO()
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    options = {"comment": text.encode()} if kind == "GIF" else {"exif": exif}
    Pillow.new("RGB", (8, 8)).save(out, kind, **options)
    return out.getvalue()


def test_our_own_parameters_line_is_read_when_a_site_dropped_the_rest(tmp_path: Path):
    details = "Steps: 20, Sampler: Euler a, CFG scale: 5, Seed: 1, Size: 64x64, RNG: CPU, Version: invoke_shell 0.1.0"
    line = f"a \\(b\\)\n{details}"
    info = opened(png(parameters=line), tmp_path)

    assert info.tool == "invoke_shell"
    assert told("invoke_shell", parameters=line).text == (
        'txt2img "a (b)" --size 64x64 --steps 20 --guidance 5 --scheduler euler_a --seed 1'
    )


# -- strangers -------------------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_exception(text: str):
    fields_of(text)
    parts(f"{text}\nSteps: 1, {text}")


@pytest.mark.parametrize(
    "unit", ["k: [1,", 'k: {"a":1,', "a", " ", "Steps: 1\n", "((", "[a:b", "<lora:", "Size: 5x5, "]
)
def test_two_million_characters_take_no_two_seconds(unit: str):
    text = "x\nSteps: 1, " + unit * (2_000_000 // len(unit))
    begun = time.process_time()

    found("a1111", parameters=text)

    assert time.process_time() - begun < 2


def test_a_picture_of_a_batch_keeps_its_own_seed_and_is_drawn_alone():
    line = told("a1111", parameters="a\nSteps: 20, Sampler: Euler a, Seed: 1002, RNG: CPU, Batch size: 4, Batch pos: 2")

    assert "--seed 1002" in line.text
    assert (
        "it was picture 3 of a batch of 4; its seed is its own, so it is drawn alone here, and its last bits may differ"
        in line.guessed
    )
    assert not [s for s in told("a1111", parameters="a\nSteps: 20, Seed: 1, Size: 64x64").guessed if "batch" in s]
