"""Where the pixels of one picture go: cropping to a size, room around it, turning, mirroring; and sharpening."""

import pytest
from command_kit import frame_of, pixel
from hypothesis import given
from hypothesis import strategies as st
from pipeline_kit import plain_image
from pixel_kit import BLUE, GREEN, MODES, RED, WHITE, alphas, colours, grey, levels, picture, pictures, rows

from invoke_shell.commands.adjust import crop, flip, pad, resize, rotate, sharpen
from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Box, Color, Size
from invoke_shell.records import Image

NINE = grey([1, 2, 3], [4, 5, 6], [7, 8, 9])
PLACES = {
    "top_left": [[1, 2], [4, 5]],
    "top": [[1, 2], [4, 5]],
    "top_right": [[2, 3], [5, 6]],
    "left": [[1, 2], [4, 5]],
    "center": [[1, 2], [4, 5]],
    "right": [[2, 3], [5, 6]],
    "bottom_left": [[4, 5], [7, 8]],
    "bottom": [[4, 5], [7, 8]],
    "bottom_right": [[5, 6], [8, 9]],
}


@pytest.mark.parametrize("size", [(1000, 1), (1, 1000)])
def test_a_very_flat_picture_keeps_one_pixel(size):
    assert min(resize(frame_of(plain_image(*size)), Size(96, 64)).size) == 1


# -- crop --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_a_size_is_cut_at_its_place_and_halves_go_left_and_up(place):
    assert levels(crop(frame_of(NINE), to=Size(2, 2), place=place)) == PLACES[place]


@given(pictures(), st.data())
def test_a_crop_to_its_own_size_changes_nothing(image, data):
    assert crop(frame_of(image), to=Size(*image.size), place=data.draw(st.sampled_from(list(PLACES)))) == image


@pytest.mark.parametrize(
    ("values", "message", "hint", "code"),
    [
        ({}, "crop needs a box, or a size with --to", "as in: crop 0:0:32:32, or: crop --to 32x32", "missing-argument"),
        (
            {"to": Size(4, 2)},
            "crop --to 4x2 is larger than a picture of 3x3",
            "pad --to adds room, resize makes larger",
            "wrong-shape",
        ),
        (
            {"box": Box(1, 1, 3, 1)},
            "crop 1:1:3:1 lies outside a picture of 3x3",
            "its own box is 0:0:3:3",
            "wrong-shape",
        ),
    ],
)
def test_what_cannot_be_cropped_is_said(values, message, hint, code):
    with pytest.raises(RunError) as caught:
        crop(frame_of(NINE), **values)

    assert (caught.value.message, caught.value.hint, caught.value.code) == (message, hint, code)


# -- pad ---------------------------------------------------------------------------------------------------------------


def test_each_side_gets_the_margin_and_its_own():
    padded = pad(frame_of(grey([7])), 1, left=1, top=2, background=Color(0, 0, 0))

    assert levels(padded) == [[0] * 4, [0] * 4, [0] * 4, [0, 0, 7, 0], [0] * 4]


@pytest.mark.parametrize(
    ("place", "at"), [("top_left", (0, 0)), ("center", (1, 0)), ("bottom_right", (3, 1)), ("left", (0, 0))]
)
def test_a_picture_stands_at_its_place_in_the_size(place, at):
    padded = pad(frame_of(grey([7])), to=Size(4, 2), place=place, background=Color(0, 0, 0))

    assert padded.size == (4, 2)
    assert pixel(padded, *at) == (7,)
    assert sum(padded.pixels) == 7


@given(pictures(), st.integers(0, 3), st.integers(0, 3), st.sampled_from(["#ffffff", "#ff8800", "#00000000"]))
def test_what_was_there_is_there_unchanged(image, margin, left, colour):
    padded = pad(frame_of(image), margin, left=left, background=Color.parse(colour))

    inner = Image.from_pil(
        padded.pil().crop((margin + left, margin, margin + left + image.width, margin + image.height))
    )
    assert padded.size == (image.width + left + 2 * margin, image.height + 2 * margin)
    assert inner.pil().convert("RGBA").tobytes() == image.pil().convert("RGBA").tobytes()


@pytest.mark.parametrize(
    ("mode", "colour", "wanted"),
    [
        ("L", "white", "L"), ("L", "red", "RGB"), ("L", "#ffffff80", "RGBA"),
        ("RGB", "white", "RGB"), ("RGB", "#ffffff00", "RGBA"), ("RGBA", "white", "RGBA"),
    ],
)  # fmt: skip
def test_the_mode_has_room_for_the_background(mode, colour, wanted):
    padded = pad(
        frame_of(Image(mode=mode, width=1, height=1, pixels=bytes(len(mode)))), 1, background=Color.parse(colour)
    )

    assert padded.mode == wanted


def test_nothing_to_add_is_the_picture_itself():
    assert pad(frame_of(NINE)) == NINE


def test_a_size_that_is_too_small_is_said():
    with pytest.raises(RunError) as caught:
        pad(frame_of(NINE), left=2, to=Size(4, 3))

    assert caught.value.message == "pad --to 4x3 is smaller than 5x3"
    assert (caught.value.hint, caught.value.code) == ("crop --to cuts, resize makes smaller", "wrong-shape")


# -- rotate ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("angle", "wanted"),
    [
        (0, [[1, 2], [3, 4], [5, 6]]),
        (90, [[5, 3, 1], [6, 4, 2]]),
        (180, [[6, 5], [4, 3], [2, 1]]),
        (270, [[2, 4, 6], [1, 3, 5]]),
        (-90, [[2, 4, 6], [1, 3, 5]]),
        (360, [[1, 2], [3, 4], [5, 6]]),
        (-360, [[1, 2], [3, 4], [5, 6]]),
    ],
)
def test_quarter_turns_go_clockwise_and_change_no_pixel(angle, wanted):
    assert levels(rotate(frame_of(grey([1, 2], [3, 4], [5, 6])), angle)) == wanted


@given(pictures())
def test_four_quarter_turns_are_none(image):
    turned = image
    for _ in range(4):
        turned = rotate(frame_of(turned), 90)

    assert turned == image


def test_any_other_angle_keeps_the_middle_and_fills_the_corners():
    turned = rotate(frame_of(plain_image(20, 10, RED)), 45, background=Color(0, 0, 255))

    middle = turned.width // 2, turned.height // 2
    assert turned.width >= 21
    assert turned.mode == "RGB"
    assert pixel(turned, 0, 0) == pixel(turned, turned.width - 1, 0) == BLUE
    assert pixel(turned, *middle) == RED


def test_a_positive_angle_turns_the_top_to_the_right():
    upright = Image.from_pil(pad(frame_of(plain_image(1, 40, WHITE)), 20, background=Color(0, 0, 0)).pil())
    turned = rotate(frame_of(upright), 45, background=Color(0, 0, 0)).pil().convert("L")
    middle = turned.width // 2

    right, left = (sum(turned.crop((a, 0, b, middle)).tobytes()) for a, b in ((middle, turned.width), (0, middle)))

    assert right > 10 * left


def test_a_transparent_picture_shows_the_background_and_keeps_its_colour():
    clear = frame_of(plain_image(9, 9, (*GREEN, 0)))

    assert set(rows(rotate(clear, 30, background=Color(1, 2, 3)))[0]) == {(1, 2, 3, 255)}
    turned = rotate(frame_of(plain_image(9, 9, (*GREEN, 255))), 30, background=Color(0, 0, 0, 0))
    assert {p[:3] for row in rows(turned) for p in row if p[3] > 8} <= {(g, 255, g) for g in range(3)}


@pytest.mark.parametrize("angle", [1, 20, 44.5, -10])
def test_the_edge_of_a_turned_picture_lies_between_picture_and_background(angle):
    turned = rotate(frame_of(plain_image(30, 20, (200, 100, 50))), angle, background=Color(20, 30, 40))

    assert {p for p in colours(turned) if not (20 <= p[0] <= 200 and 30 <= p[1] <= 100 and 40 <= p[2] <= 50)} == set()
    assert len({p[0] for p in colours(turned)}) > 10


@pytest.mark.parametrize(("size", "angle", "wanted"), [((40, 20), 45, 42), ((1, 1), 45, 2), ((30, 30), 30, 41)])
def test_a_turned_picture_is_as_large_as_it_must_be(size, angle, wanted):
    width, height = rotate(frame_of(plain_image(*size)), angle).size

    assert wanted <= width <= wanted + 2
    assert wanted <= height <= wanted + 2


def test_a_picture_that_would_be_too_large_is_refused():
    with pytest.raises(RunError, match="rotate would make a picture of 8486x8486"):
        rotate(frame_of(plain_image(12000, 1, (0,))), 45)


@pytest.mark.parametrize("mode", MODES)
def test_one_pixel_can_be_turned(mode):
    assert rotate(frame_of(Image(mode=mode, width=1, height=1, pixels=bytes([9] * len(mode)))), 12.5).mode == mode


# -- flip --------------------------------------------------------------------------------------------------------------


def test_horizontal_swaps_left_and_right_and_vertical_top_and_bottom():
    image = frame_of(grey([1, 2, 3], [4, 5, 6]))

    assert levels(flip(image, "horizontal")) == [[3, 2, 1], [6, 5, 4]]
    assert levels(flip(image, "vertical")) == [[4, 5, 6], [1, 2, 3]]


@given(pictures(), st.sampled_from(["horizontal", "vertical"]))
def test_mirrored_twice_is_the_picture_itself(image, direction):
    assert flip(frame_of(flip(frame_of(image), direction)), direction) == image


# -- sharpen -----------------------------------------------------------------------------------------------------------


def test_sharpening_spreads_both_sides_of_an_edge():
    edge = frame_of(grey(*[[100] * 8 + [150] * 8] * 4))

    row = levels(sharpen(edge, 1.0, radius=1.0))[1]

    assert row[0] == 100
    assert row[7] < 100
    assert row[8] > 150
    assert row[15] == 150


@given(pictures(), st.floats(0, 10), st.floats(0, 5))
def test_sharpening_keeps_mode_size_and_alpha(image, amount, radius):
    sharp = sharpen(frame_of(image), amount, radius=radius)

    assert (sharp.mode, sharp.size, alphas(sharp)) == (image.mode, image.size, alphas(image))


@given(pictures())
def test_an_amount_of_nothing_is_the_picture_itself(image):
    assert sharpen(frame_of(image), 0.0) == image


def test_an_even_area_cannot_be_sharpened():
    flat = picture([[(10, 20, 30)] * 5] * 5)

    assert colours(sharpen(frame_of(flat), 5.0)) == colours(flat)


def test_the_colour_of_what_is_transparent_sharpens_nothing():
    cut = picture([[(0, 255, 0, 0)] * 6 + [(100, 100, 200, 255)] * 6] * 3)

    sharp = rows(sharpen(frame_of(cut), 2.0))[1]

    assert all(p == pytest.approx((100, 100, 200, 255), abs=3) for p in sharp[6:])  # 8 bits, weighted by alpha


def test_sharpening_is_an_unsharp_mask():
    from PIL import ImageFilter

    ramp = picture([[(v, 255 - v, v // 2) for v in (0, 30, 90, 100, 180, 250)]] * 5)
    wanted = ramp.pil().filter(ImageFilter.UnsharpMask(1.5, 150, threshold=0))

    made = sharpen(frame_of(ramp), 1.5, radius=1.5)

    assert max(abs(a - b) for a, b in zip(made.pixels, wanted.tobytes(), strict=True)) <= 1
