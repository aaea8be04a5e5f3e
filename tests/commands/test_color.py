"""What happens to colours; every pixel and its alpha stay where they are."""

import colorsys

import pytest
from command_kit import frame_of
from hypothesis import given
from hypothesis import strategies as st
from pipeline_kit import plain_image
from pixel_kit import BLUE, GREEN, RED, alphas, colours, grey, picture, pictures
from pixel_kit import levels as levels_of

from invoke_shell.commands.color import (
    brightness,
    contrast,
    grayscale,
    hue,
    invert,
    levels,
    match_colors,
    posterize,
    saturation,
)
from invoke_shell.errors import RunError

RAMP = grey([0, 16, 64, 127, 128, 200, 235, 255])
CHANGES = {
    "levels": lambda f: levels(f, black=10, white=240, gamma=1.4),
    "brightness": lambda f: brightness(f, 1.3),
    "contrast": lambda f: contrast(f, 0.7),
    "saturation": lambda f: saturation(f, 1.6),
    "hue": lambda f: hue(f, 33.0),
    "invert": invert,
    "posterize": lambda f: posterize(f, 3),
    "match_colors": lambda f: match_colors(f, RAMP),
}
LEAVE = {
    "levels": levels,
    "brightness": lambda f: brightness(f, 1.0),
    "contrast": lambda f: contrast(f, 1.0),
    "saturation": lambda f: saturation(f, 1.0),
    "hue": lambda f: hue(f, 0.0),
    "hue, a whole turn": lambda f: hue(f, 360.0),
    "hue, a whole turn back": lambda f: hue(f, -360.0),
    "invert twice": lambda f: invert(frame_of(invert(f))),
    "posterize": lambda f: posterize(f, 256),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@given(pictures())
def test_size_mode_and_alpha_stay_and_the_same_comes_out_twice(change, image):
    changed = change(frame_of(image))

    assert (changed.size, changed.mode, alphas(changed)) == (image.size, image.mode, alphas(image))
    assert change(frame_of(image)) == changed


@pytest.mark.parametrize("change", LEAVE.values(), ids=LEAVE)
@given(pictures())
def test_values_that_change_nothing_change_no_pixel(change, image):
    assert change(frame_of(image)) == image


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda f: levels(f, black=64, white=200), [0, 0, 0, 118, 120, 255, 255, 255]),
        (lambda f: levels(f, gamma=2.0), [0, 64, 128, 180, 181, 226, 245, 255]),
        (lambda f: levels(f, gamma=0.5), [0, 1, 16, 63, 64, 157, 217, 255]),
        (lambda f: levels(f, black=127, white=128), [0, 0, 0, 0, 255, 255, 255, 255]),
        (lambda f: brightness(f, 0.0), [0] * 8),
        (lambda f: brightness(f, 2.0), [0, 32, 128, 254, 255, 255, 255, 255]),
        (lambda f: contrast(f, 0.0), [128] * 8),
        (lambda f: contrast(f, 2.0), [0, 0, 0, 126, 128, 255, 255, 255]),
        (invert, [255, 239, 191, 128, 127, 55, 20, 0]),
        (lambda f: posterize(f, 2), [0, 0, 0, 0, 255, 255, 255, 255]),
        (lambda f: posterize(f, 3), [0, 0, 128, 128, 128, 255, 255, 255]),
    ],
)
def test_levels_that_come_out(change, wanted):
    assert levels_of(change(frame_of(RAMP))) == [wanted]


def test_black_above_white_is_said():
    with pytest.raises(RunError) as caught:
        levels(frame_of(RAMP), black=200, white=200)

    assert caught.value.message == "levels has --black 200 and --white 200"
    assert (caught.value.hint, caught.value.code) == ("black lies below white", "out-of-range")


# -- colour ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("degrees", "wanted"),
    [(120, [GREEN, BLUE, RED]), (-120, [BLUE, RED, GREEN]), (60, [(255, 255, 0), (0, 255, 255), (255, 0, 255)])],
)
def test_the_wheel_turns_red_to_green(degrees, wanted):
    assert colours(hue(frame_of(picture([[RED, GREEN, BLUE]])), degrees)) == wanted


@given(pictures(["RGB"]), st.floats(-360, 360))
def test_hue_is_what_the_standard_library_has_and_keeps_lightest_and_darkest(image, degrees):
    turned = colours(hue(frame_of(image), degrees))

    for before, after in zip(colours(image), turned, strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in before))
        wanted = [255 * c for c in colorsys.hsv_to_rgb((h + degrees / 360) % 1, s, v)]
        assert all(abs(a - b) <= 0.5 + 1e-6 for a, b in zip(after, wanted, strict=True))
        assert (max(after), min(after)) == (max(before), min(before))


def test_no_saturation_is_the_grey_of_the_luminance():
    reds = frame_of(picture([[RED, GREEN, BLUE]]))

    assert colours(saturation(reds, 0.0)) == [(v,) * 3 for v in (76, 150, 29)]
    assert levels_of(grayscale(reds)) == [[76, 150, 29]]


def test_more_saturation_moves_colours_apart_and_leaves_greys():
    more = colours(saturation(frame_of(picture([[(120, 100, 100), (90, 90, 90)]])), 2.0))

    assert more == [(134, 94, 94), (90, 90, 90)]


def test_grayscale_with_alpha_keeps_both():
    clear = grayscale(frame_of(picture([[(255, 0, 0, 7)]])))

    assert (clear.mode, clear.pixels) == ("RGBA", bytes([76, 76, 76, 7]))


# -- match_colors ------------------------------------------------------------------------------------------------------


@given(pictures(["L", "RGB"]))
def test_a_picture_matched_with_itself_is_itself(image):
    assert match_colors(frame_of(image), image) == image


@given(
    st.lists(st.integers(0, 255), min_size=6, max_size=6, unique=True),
    st.lists(st.integers(0, 255), min_size=6, max_size=6),
)
def test_values_of_one_rank_change_places(mine, theirs):
    matched = match_colors(frame_of(grey(mine)), grey(theirs))

    ranks = sorted(range(6), key=mine.__getitem__)
    assert [levels_of(matched)[0][n] for n in ranks] == sorted(theirs)


@given(pictures(), pictures())
def test_no_colour_comes_that_the_other_picture_has_not(image, other):
    matched = match_colors(frame_of(image), other)

    seen = [p for p, a in zip(colours(other), alphas(other), strict=True) if a]
    if seen and any(alphas(image)):
        for band in range(len(colours(matched)[0])):
            theirs = {p[band] if band < len(p) else p[0] for p in seen} if matched.mode != "L" else {p[0] for p in seen}
            assert {p[band] for p, a in zip(colours(matched), alphas(image), strict=True) if a} <= theirs


def test_one_colour_becomes_the_median_of_the_other():
    assert colours(match_colors(frame_of(plain_image(3, 3, (9, 9, 9))), picture([[RED, RED, (7, 8, 9)]]))) == [RED] * 9


def test_a_grey_picture_takes_colour_from_a_coloured_one():
    matched = match_colors(frame_of(grey([0, 255])), picture([[(0, 10, 20), (200, 100, 50)]]))

    assert colours(matched) == [(0, 10, 20), (200, 100, 50)]


def test_what_is_fully_transparent_does_not_count():
    other = picture([[(10, 20, 30, 255), (255, 255, 255, 0)]])

    assert colours(match_colors(frame_of(picture([[RED, BLUE]])), other)) == [(10, 20, 30)] * 2
    assert match_colors(frame_of(RAMP), picture([[(1, 2, 3, 0)]])).pil().convert("L").tobytes() == RAMP.pixels
