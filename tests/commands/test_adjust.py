"""Resizing, cropping and blurring of small pictures."""

import pytest
from command_kit import frame_of, pixel

from invoke_shell.commands.adjust import blur, crop, resize
from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Box, Size
from invoke_shell.records import Image


def halves(width=8, height=4, left=(255, 0, 0), right=(0, 0, 255)):
    """A picture of two colours side by side; its left half keeps the larger part of an odd width."""
    row = bytes(left) * (width - width // 2) + bytes(right) * (width // 2)
    mode = {3: "RGB", 4: "RGBA"}[len(left)]
    return frame_of(Image(mode=mode, width=width, height=height, pixels=row * height))


@pytest.mark.parametrize(
    ("how", "wanted", "size"),
    [
        ("fit", Size(4, 4), (4, 2)),
        ("fit", Size(100, 8), (16, 8)),
        ("fill", Size(4, 4), (4, 4)),
        ("stretch", Size(3, 9), (3, 9)),
    ],
)
def test_how_a_picture_is_resized(how, wanted, size):
    assert resize(halves(), wanted, how=how, resampler="nearest").size == size


def test_fill_cuts_the_sides_and_stretch_keeps_them():
    wide = halves(16, 4)

    filled, stretched = (resize(wide, Size(4, 4), how=h, resampler="nearest") for h in ("fill", "stretch"))

    assert pixel(stretched, 0, 0) == (255, 0, 0)
    assert pixel(filled, 1, 0) == (255, 0, 0)
    assert pixel(filled, 2, 0) == (0, 0, 255)


def test_nearest_invents_no_colours():
    assert set(resize(halves(), Size(16, 8), how="stretch", resampler="nearest").pil().getdata()) == {
        (255, 0, 0),
        (0, 0, 255),
    }


@pytest.mark.parametrize("how", ["fit", "fill", "stretch"])
def test_a_picture_too_large_to_be_read_back_is_refused(how):
    with pytest.raises(RunError) as caught:
        resize(halves(8, 8), Size(16384, 16384), how=how)

    assert caught.value.message == "resize would make a picture of 16384x16384"
    assert (caught.value.hint, caught.value.code) == ("at most 64 million pixels", "out-of-range")


def test_a_large_box_for_a_flat_picture_is_fine():
    assert resize(halves(16, 1), Size(16384, 16384)).size == (16384, 1024)


@pytest.mark.parametrize("box", [Box(0, 0, 8, 4), Box(4, 0, 4, 4), Box(3, 1, 2, 2), Box(7, 3, 1, 1)])
def test_a_crop_is_the_pixels_of_its_box(box):
    picture = halves()

    cut = crop(picture, box)

    assert cut.size == (box.width, box.height)
    assert pixel(cut, 0, 0) == pixel(picture.image, box.x, box.y)


@pytest.mark.parametrize("box", [Box(0, 0, 9, 4), Box(5, 0, 4, 4), Box(0, 1, 8, 4), Box(8, 0, 1, 1), Box(0, 0, 0, 4)])
def test_a_crop_outside_of_the_picture_says_the_picture_s_own_box(box):
    with pytest.raises(RunError) as caught:
        crop(halves(), box)

    what = "lies outside" if box.width else "is empty, in"
    assert caught.value.message == f"crop {box} {what} a picture of 8x4"
    assert (caught.value.hint, caught.value.code) == ("its own box is 0:0:8:4", "wrong-shape")


def test_a_blur_mixes_neighbours_and_leaves_even_areas():
    blurred = blur(halves(64, 4), 1.0)

    assert pixel(blurred, 0, 0) == (255, 0, 0)
    assert 0 < pixel(blurred, 31, 0)[0] < 255


def test_a_blur_of_nothing_is_the_picture_itself():
    picture = halves()

    assert blur(picture, 0.0) == picture.image


def test_the_colour_of_what_is_transparent_does_not_bleed():
    blurred = blur(halves(64, 4, (0, 255, 0, 0), (0, 0, 255, 255)), 2.0)

    assert blurred.mode == "RGBA"
    red, green, blue, alpha = pixel(blurred, 32, 0)
    assert (red, green) == (0, 0)
    assert blue > 250
    assert 100 < alpha < 255


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_mode_stays_what_it_is(mode):
    picture = frame_of(Image(mode=mode, width=8, height=4, pixels=bytes(32 * len(mode))))

    assert {resize(picture, Size(4, 2)).mode, crop(picture, Box(0, 0, 2, 2)).mode, blur(picture).mode} == {mode}
