"""Pictures for ControlNets: edges as OpenCV draws them, lines, a picture without details, depth."""

import pytest
from hypothesis import given
from pixel_kit import BLACK, WHITE, grey, levels, picture, pictures, rows

from invoke_shell.commands.outline import canny, depth_map, lineart, tile
from invoke_shell.errors import RunError
from invoke_shell.records import Frame, Image

# What OpenCV 5.0 draws of `scene`, with 100 and 200, and with 350 and 700.
EDGES = [
    "..................",
    ".......###........",
    ".....##...##......",
    "....##.....##.....",
    "....#.......#.....",
    "...#........#.....",
    "...#........#.....",
    "...#........#.....",
    "....#.......#.....",
    "###.##.....##.####",
    ".....#######......",
    "..................",
    "..................",
    "..................",
]
STRONG = [
    "..................",
    ".......###........",
    ".....##...##......",
    "....##.....##.....",
    "....#.......#.....",
    "...#........#.....",
    "...#........#.....",
    "...#........#.....",
    "....#.......#.....",
    "....##.....##.....",
    ".....#######......",
    "..................",
    "..................",
    "..................",
]


def scene():
    """A disc, a slope of colour, and a floor."""
    return picture(
        [[(200 * ((x - 8) ** 2 + (y - 6) ** 2 < 22), x * 9 % 256, 90 * (y > 9)) for x in range(18)] for y in range(14)]
    )


def made(node, image, **values):
    return node(frame_of(image), **values)


def frame_of(image):
    from invoke_shell.records import StepRecord

    step = StepRecord(node="load_image", version=1, package="x", params={}, inputs={}, environment={},
                      output_hash=image.hash, width=image.width, height=image.height)  # fmt: skip
    return Frame(image=image, step=step, values={})


@pytest.mark.parametrize(("low", "high", "wanted"), [(100, 200, EDGES), (350, 700, STRONG)])
def test_canny_draws_opencvs_edges(low, high, wanted):
    found = made(canny, scene(), low=low, high=high)

    assert ["".join("#" if v else "." for v in row) for row in levels(found)] == wanted
    assert {v for row in levels(found) for v in row} == {0, 255}


@given(pictures())
def test_canny_takes_any_picture_and_keeps_its_size(image):
    found = made(canny, image)

    assert (found.mode, found.size) == ("L", image.size)
    assert set(found.pixels) <= {0, 255}


def test_canny_with_low_above_high_is_one_sentence():
    with pytest.raises(RunError, match="canny has --low 9 and --high 3"):
        made(canny, grey([0, 1]), low=9, high=3)


def test_lines_are_what_is_darker_than_its_surroundings():
    image = picture([[BLACK if x == 8 else WHITE for x in range(17)] for _ in range(17)])

    found = levels(made(lineart, image, spread=2.0))

    assert found[8][8] > 100
    assert found[8][0] == found[8][16] == 0


@given(pictures())
def test_lines_of_any_picture(image):
    found = made(lineart, image)

    assert (found.mode, found.size) == ("L", image.size)


def test_a_tile_has_no_details_and_its_colours_where_they_were():
    image = picture([[WHITE if (x + y) % 2 else BLACK for x in range(16)] for y in range(16)])

    assert {p for row in rows(made(tile, image, times=8)) for p in row} == {(128, 128, 128)}
    assert made(tile, image, times=1) == image


@given(pictures())
def test_tile_takes_any_picture(image):
    assert made(tile, image).size == image.size


def test_depth_is_spread_from_black_to_white():
    assert levels(made(depth_map, grey([10, 20, 60]))) == [[0, 51, 255]]
    assert levels(made(depth_map, grey([10, 20, 60]), near_dark=True)) == [[255, 204, 0]]
    assert levels(made(depth_map, grey([7, 7]))) == [[0, 0]]


def test_nothing_is_drawn_of_one_colour():
    plain = Image(mode="RGB", width=9, height=7, pixels=bytes([90, 20, 30]) * 63)

    assert not any(made(canny, plain).pixels)
    assert not any(made(lineart, plain).pixels)
