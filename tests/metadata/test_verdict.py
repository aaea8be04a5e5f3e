"""How a replay compares with what it replays."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_material import ENVIRONMENT, after, image, txt2img

from invoke_shell.metadata.verdict import Verdict, differences, is_edited, reasons, verdict
from invoke_shell.records import Image


def grey(*values: int) -> Image:
    return Image(mode="L", width=len(values), height=1, pixels=bytes(values))


def test_exact():
    assert verdict(image().hash, image(), image()) == Verdict(outcome="exact", max_difference=0)


def test_exact_needs_nothing_to_compare_with():
    assert verdict(image().hash, image()).outcome == "exact"


def test_close_with_numbers():
    found = verdict(grey(10, 20, 30, 40).hash, grey(10, 21, 30, 38), grey(10, 20, 30, 40))

    assert (found.outcome, found.max_difference) == ("close", 2)
    assert found.psnr == pytest.approx(10 * math.log10(255**2 * 4 / 5))


@pytest.mark.parametrize(("off", "outcome"), [(2, "close"), (3, "different")])
def test_forty_decibels_part_close_from_different(off: int, outcome: str):
    found = verdict(grey(100, 100).hash, grey(100 + off, 100 + off), grey(100, 100))

    assert (found.outcome, round(found.psnr or 0, 1)) == (outcome, {2: 42.1, 3: 38.6}[off])


@pytest.mark.parametrize(
    ("old", "why"),
    [
        (None, ""),
        (grey(1, 2, 3), "the picture is 3x1, the new one 2x1"),
        (image(2, 1, "RGB"), "the picture has channels RGB, the new one L"),
    ],
)
def test_nothing_to_compare_with_is_different(old: Image | None, why: str):
    assert verdict("blake3:0", grey(1, 2), old) == Verdict(outcome="different", unlike=why)


def test_equal_pixels_under_another_recorded_hash_are_close_and_no_number_is_infinite():
    assert verdict("blake3:0", grey(1, 2), grey(1, 2)) == Verdict(outcome="close", max_difference=0)


@settings(deadline=None)
@given(st.binary(min_size=12, max_size=12), st.binary(min_size=12, max_size=12))
def test_psnr_is_that_of_its_definition(one: bytes, other: bytes):
    new, old = (Image(mode="RGB", width=2, height=2, pixels=p) for p in (one, other))
    squares = sum((a - b) ** 2 for a, b in zip(one, other, strict=True))

    found = verdict("blake3:0", new, old)

    assert found.max_difference == max(abs(a - b) for a, b in zip(one, other, strict=True))
    assert found.psnr == (pytest.approx(10 * math.log10(255**2 * 12 / squares)) if squares else None)


def test_one_edited_pixel_is_seen():
    edited = bytes([image().pixels[0] ^ 1]) + image().pixels[1:]

    assert is_edited(image().hash, Image(mode="RGB", width=6, height=4, pixels=edited))
    assert not is_edited(image().hash, image())


def test_differences_are_sentences():
    then = {"torch": "2.10.0", "device": "cuda:0", "deterministic": True, "threads": 8, "gone": None, "\x1bx": [1]}

    assert differences(then, {"torch": "2.13.1", "device": "cuda:0", "deterministic": False}) == [
        "torch was 2.10.0, now it is 2.13.1",
        "deterministic was on, now it is off",
        "threads was 8, now it is not there",
        "\\u{1B}x was [1], now it is not there",
    ]


def test_differences_of_objects_name_their_values():
    then = {"precision": {"weights": "float16", "vae": "float32"}, "shape": [1, 4]}
    now = {"precision": {"weights": "float32", "vae": "float32"}, "shape": (1, 4)}

    assert differences(then, now) == ["precision.weights was float16, now it is float32"]


def test_reasons_are_looked_for_in_every_step_and_said_once():
    drawn = txt2img()
    here = replace(drawn, environment={**ENVIRONMENT, "torch": "2.14.0"}, facts={**drawn.facts, "steps_run": 19})
    recorded, replayed = (after(s, "blur", image(seed=2), radius=2) for s in (drawn, here))

    assert reasons(recorded, replayed) == ["torch was 2.13.0, now it is 2.14.0", "steps_run was 20, now it is 19"]
    assert reasons(recorded, recorded) == []


def test_a_long_value_is_cut():
    (sentence,) = differences({"a": "x" * 10_000}, {})

    assert sentence == f"a was {'x' * 77}..., now it is not there"
