"""Pictures and histories as they travel; nothing recurses over a history."""

import pickle
from dataclasses import replace

import pytest
from blake3 import blake3
from PIL import Image as Pillow
from pipeline_kit import plain_image

from invoke_shell.records import Image, Mask, ModelRecord, Resource, StepRecord, pixel_hash, topological

SOURCE = Resource(hash="blake3:aa", width=1, height=1)


def step(name, *before, **fields):
    """A step of a name, with the steps it takes."""
    return StepRecord(
        node=name, version=1, package="invoke_shell", params={}, inputs={"frames": before} if before else {}, **fields
    )


def long_history(length, last=0):
    made = step("load", SOURCE)
    for n in range(length):
        made = replace(step("blur", made), params={"radius": n})
        _ = made.key
    return replace(made, params={"radius": last})


def test_the_hash_of_pixels_is_over_mode_size_and_rows():
    image = plain_image(3, 2, (1, 2, 3))

    assert image.hash == "blake3:" + blake3(b"RGB 3x2\n" + bytes((1, 2, 3)) * 6).hexdigest()
    assert pixel_hash("RGB", 2, 3, image.pixels) != image.hash


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_picture_survives_pillow(mode):
    image = Image(mode=mode, width=3, height=2, pixels=bytes(range(6 * len(mode))))

    assert Image.from_pil(image.pil()) == image


@pytest.mark.parametrize(
    ("mode", "wanted"), [("1", "RGB"), ("P", "RGB"), ("CMYK", "RGB"), ("LA", "RGBA"), ("I", "RGB")]
)
def test_other_modes_become_one_of_three(mode, wanted):
    assert Image.from_pil(Pillow.new(mode, (2, 2))).mode == wanted


def test_a_picture_has_all_its_bytes():
    with pytest.raises(ValueError, match="RGB 2x2 needs 12 bytes, not 11"):
        Image(mode="RGB", width=2, height=2, pixels=bytes(11))


def test_a_mask_is_a_picture():
    assert isinstance(Mask(mode="L", width=1, height=1, pixels=b"x"), Image)


def test_a_model_is_written_by_name_and_hash():
    assert ModelRecord(name="sd", kind="checkpoint", hash="blake3:9f21c0ffee").text == "sd@9f21c0"
    assert ModelRecord(name="sd", kind="checkpoint").text == "sd"


def test_makers_come_before_users_and_each_step_once():
    base = step("base")
    left, right = step("left", base), step("right", base)

    assert [s.node for s in topological(step("sheet", left, right, base))] == ["base", "left", "right", "sheet"]


def test_equal_steps_have_one_key_and_another_history_another():
    assert step("a", step("b")) == step("a", step("b"))
    assert hash(step("a", step("b"))) == hash(step("a", step("b")))
    assert step("a", step("b")).key != step("a", step("c")).key
    assert step("a", facts={"x": 1}).key == step("a", facts={"x": 2}).key
    assert step("a", facts={"x": 1}) != step("a", facts={"x": 2})
    assert step("a") != "a"


def test_a_difference_deep_in_a_history_is_seen():
    one, two = (step("last", step("middle", step("first", SOURCE, facts={"n": n}))) for n in (1, 2))

    assert one != two


def test_a_history_of_thousands_is_compared_hashed_shown_and_crosses_a_pipe():
    one, two = long_history(3000), long_history(3000)

    assert one == two
    assert one != long_history(3000, last=1)
    assert len({one, two}) == 1
    assert len(repr(one)) < 1000
    assert pickle.loads(pickle.dumps(one)) == one
