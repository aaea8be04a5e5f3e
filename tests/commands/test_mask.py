"""Masks: what is white, how they grow and soften, and what they do to alpha."""

import pytest
from command_kit import FakeContext, frame_of
from hypothesis import given
from hypothesis import strategies as st
from pipeline_kit import plain_image
from pixel_kit import BLUE, RED, WHITE, alphas, colours, grey, levels, picture, pictures

from invoke_shell.commands.mask import apply_mask, mask_blur, mask_from, mask_grow, mask_invert
from invoke_shell.errors import RunError
from invoke_shell.metadata.decode import to_mask
from invoke_shell.pipeline.types import Box, Color
from invoke_shell.records import Mask

DOT = grey([0] * 7, [0] * 7, [0] * 7, [0, 0, 0, 255, 0, 0, 0], [0] * 7, [0] * 7, [0] * 7)


def mask_of(image):
    return Mask(mode="L", width=image.width, height=image.height, pixels=image.pixels)


# -- mask_from ---------------------------------------------------------------------------------------------------------


def test_what_is_transparent_is_white():
    assert levels(mask_from(frame_of(picture([[(1, 2, 3, 0), (1, 2, 3, 100), (1, 2, 3, 255)]])), "alpha")) == [
        [255, 155, 0]
    ]
    assert levels(mask_from(frame_of(picture([[WHITE]])), "alpha")) == [[0]]


@pytest.mark.parametrize(("tolerance", "wanted"), [(0, [255, 0, 0, 0]), (10, [255, 255, 0, 0]), (255, [255] * 4)])
def test_a_colour_and_what_is_near_in_every_channel(tolerance, wanted):
    image = frame_of(picture([[(200, 0, 0), (210, 10, 10), (200, 11, 0), BLUE]]))

    assert levels(mask_from(image, "color", key=Color(200, 0, 0), tolerance=tolerance)) == [wanted]


@pytest.mark.parametrize(
    ("threshold", "wanted"), [(0, [255] * 4), (76, [0, 255, 255, 255]), (77, [0, 0, 255, 255]), (255, [0, 0, 0, 255])]
)
def test_what_is_light(threshold, wanted):
    image = frame_of(picture([[(0, 0, 0), RED, (128, 128, 128), WHITE]]))

    assert levels(mask_from(image, "luminance", threshold=threshold)) == [wanted]


@pytest.mark.parametrize("what", ["color", "luminance"])
def test_colours_count_under_alpha_too(what):
    assert levels(mask_from(frame_of(picture([[(255, 255, 255, 0), (0, 0, 0, 9)]])), what)) == [[255, 0]]


def test_shapes_fill_their_box():
    image = frame_of(plain_image(6, 5))

    box = levels(mask_from(image, "rectangle", box=Box(1, 2, 4, 2)))
    round_ = levels(mask_from(image, "ellipse", box=Box(0, 0, 5, 5)))

    assert box == [[0] * 6, [0] * 6, [0, 255, 255, 255, 255, 0], [0, 255, 255, 255, 255, 0], [0] * 6]
    assert [row[:5] for row in round_] == [row[:5][::-1] for row in round_] == [row[:5] for row in round_[::-1]]
    assert (round_[0][0], round_[0][2], round_[2][0], round_[2][2]) == (0, 255, 255, 255)
    assert not any(row[5] for row in round_)


@given(pictures(), st.sampled_from(["rectangle", "ellipse"]))
def test_a_shape_without_a_box_fills_the_picture(image, what):
    made = mask_from(frame_of(image), what)

    assert made.size == image.size
    assert made.pil().getbbox() == (0, 0, *image.size)
    assert what == "ellipse" or set(made.pixels) == {255}


@pytest.mark.parametrize("box", [Box(0, 0, 7, 1), Box(5, 0, 2, 1), Box(0, 0, 0, 1), Box(0, 5, 1, 1)])
def test_a_shape_outside_is_said(box):
    with pytest.raises(RunError) as caught:
        mask_from(frame_of(plain_image(6, 5)), "ellipse", box=box)

    what = "lies outside" if box.width else "is empty, in"
    assert caught.value.message == f"mask_from {box} {what} a picture of 6x5"
    assert (caught.value.hint, caught.value.code) == ("its own box is 0:0:6:5", "wrong-shape")


# -- growing, softening, inverting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [0, 1, 2, 3, 512])
def test_a_dot_grows_to_a_square(pixels):
    wanted = [[255 if max(abs(x - 3), abs(y - 3)) <= pixels else 0 for x in range(7)] for y in range(7)]

    assert levels(mask_grow(frame_of(DOT), pixels)) == wanted


@given(pictures(["L"], side=9), st.integers(0, 6))
def test_growing_takes_the_lightest_around(mask, pixels):
    before = levels(mask)
    width, height = mask.size

    def lightest(x, y):
        rows = before[max(0, y - pixels) : y + pixels + 1]
        return max(v for row in rows for v in row[max(0, x - pixels) : x + pixels + 1])

    assert levels(mask_grow(frame_of(mask), pixels)) == [[lightest(x, y) for x in range(width)] for y in range(height)]


@given(pictures(["L"]), st.integers(-4, 4))
def test_shrinking_the_white_is_growing_the_black(mask, pixels):
    negative = mask_invert(frame_of(mask))

    assert mask_grow(frame_of(mask), -pixels) == mask_invert(frame_of(mask_grow(frame_of(negative), pixels)))


def test_the_edge_of_the_picture_eats_nothing():
    assert set(mask_grow(frame_of(grey(*[[255] * 4] * 4)), -3).pixels) == {255}


def test_a_soft_edge_lies_on_both_sides_and_keeps_what_is_far():
    row = levels(mask_blur(frame_of(grey(*[[0] * 12 + [255] * 12] * 3)), 2.0))[1]

    assert (row[0], row[-1]) == (0, 255)
    assert 0 < row[10] < row[11] < row[12] < row[13] < 255


@given(pictures())
def test_a_picture_is_read_as_every_mask_flag_reads_it(image):
    asked = to_mask(image)

    assert mask_grow(frame_of(image), 0).pixels == asked.pixels
    assert mask_blur(frame_of(image), 0.0).pixels == asked.pixels
    assert mask_invert(frame_of(mask_invert(frame_of(image)))).pixels == asked.pixels


# -- apply_mask --------------------------------------------------------------------------------------------------------


@given(pictures())
def test_white_becomes_transparent_and_colours_stay(image):
    mask = mask_of(mask_from(frame_of(image), "luminance"))

    cut = apply_mask(FakeContext(), frame_of(image), mask)

    assert cut.mode == "RGBA"
    assert alphas(cut) == [255 - v for v in mask.pixels]
    assert cut.pil().convert("RGB").tobytes() == image.pil().convert("RGB").tobytes()


@given(pictures(["RGBA"]))
def test_the_mask_of_an_alpha_gives_it_back(image):
    ctx = FakeContext()

    assert apply_mask(ctx, frame_of(image), mask_of(mask_from(frame_of(image), "alpha"))) == image
    assert ctx.said == []


def test_a_mask_of_another_size_is_scaled_and_said():
    ctx = FakeContext()

    cut = apply_mask(ctx, frame_of(plain_image(4, 2)), mask_of(grey([255, 0])))

    assert alphas(cut) == [0, 0, 255, 255] * 2
    assert ctx.said == ["apply_mask scales the mask from 2x1 to 4x2"]


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(RunError) as caught:
        apply_mask(FakeContext(), frame_of(plain_image(8, 8)), mask_of(grey([255, 0])))

    assert caught.value.message == "apply_mask got pictures of two shapes, 8x8 and 2x1"
    assert (caught.value.hint, caught.value.code) == ("crop --to or resize 8x8 --how fill makes one", "wrong-shape")


def test_colours_under_the_mask_are_still_there():
    assert colours(apply_mask(FakeContext(), frame_of(picture([[RED, BLUE]])), mask_of(grey([255, 255])))) == [
        RED,
        BLUE,
    ]
