"""Records that somebody edited: what cannot be made is refused with its reason, and an edit is named where it shows."""

from __future__ import annotations

import json

import pytest
from PIL import Image, PngImagePlugin


@pytest.fixture
def edited(invoke, folder):
    """A picture of this program with its record changed; gives the file's name."""

    def make(change) -> str:
        result = invoke("--json", "-c", 'txt2img "a cat" --seed 1').results[0]
        with Image.open(result["path"]) as picture:
            data = json.loads(picture.info["sd-metadata"])
            change(data)
            chunks = PngImagePlugin.PngInfo()
            chunks.add_text("sd-metadata", json.dumps(data))
            picture.save(folder / "edited.png", pnginfo=chunks)
        return "edited.png"

    return make


def in_params(**values):
    return lambda data: data["steps"][0]["params"].update(values)


REFUSED = [
    (in_params(steps="many"), "txt2img: --steps is a whole number, not many"),
    (in_params(steps=9999), "txt2img: --steps is 1 to 150, not 9999"),
    (in_params(scheduler="fast"), "txt2img has no --scheduler fast"),
    (in_params(seed=None), "txt2img: --seed is a whole number from 0 to 18446744073709551615, or random, not None"),
    (lambda data: data["steps"][0]["params"].pop("seed"), "txt2img: its seed was not recorded"),
    (lambda data: data["steps"][0]["params"].pop("prompt"), "txt2img: its prompt was not recorded"),
    (lambda data: data["steps"][0].update(node="sparkle"), "the node sparkle is not installed (invoke_shell has it)"),
]


@pytest.mark.parametrize(("change", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_what_cannot_be_made_is_no_line_and_no_picture(invoke, edited, change, why):
    name = edited(change)

    recalled, replayed = invoke("recall", name), invoke("replay", name)

    assert (recalled.status, recalled.out) == (3, "")
    assert recalled.err == f"no command can be made of {name}: {why}\n"
    assert (replayed.status, replayed.out) == (3, f"{name}: blocked\n  {why}\n")


def test_an_edited_prompt_is_named_where_the_pixels_differ(invoke, edited):
    name = edited(in_params(prompt="a dog"))

    replayed = invoke("replay", "--exact", name)

    said = 'the record was edited: image.prompt is [{"prompt": "a cat", "weight": 1.0}], and the steps say '
    assert replayed.status == 1
    assert f'possible reasons: {said}[{{"prompt": "a dog", "weight": 1.0}}]' in " ".join(replayed.out.split())


def test_an_edit_that_changes_no_pixel_is_no_reason(invoke, edited):
    name = edited(lambda data: data["image"].update(seed=5))

    replayed = invoke("--json", "replay", "--exact", name)

    assert (replayed.status, replayed.records[-1]["verdict"]) == (0, "exact")
    assert replayed.records[-1]["reasons"] == []


def test_another_size_is_named(invoke, edited):
    name = edited(in_params(size="64x128"))

    replayed = invoke("--json", "replay", name).records[-1]

    assert (replayed["verdict"], replayed["psnr"]) == ("different", None)
    assert replayed["reasons"][0] == "the picture is 128x128, the new one 64x128"


def test_only_a_missing_model_is_replaced_by_another(invoke, folder):
    def blocked(line: str) -> str:
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("parameters", line)
        Image.new("RGB", (64, 64)).save(folder / "theirs.png", pnginfo=chunks)
        return invoke("replay", "theirs.png").out

    settings = "Steps: 5, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64"
    another = "  replay --model NAME draws it with another one\n"

    assert blocked(f"a cat\n{settings}, Model: fox").endswith(f"  there is no model fox\n{another}")
    assert blocked(f"a cat <lora:fox:1>\n{settings}").endswith("blocked\n  there is no LoRA fox\n")
