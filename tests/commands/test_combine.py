"""Sheets of many pictures."""

import pytest
from command_kit import FakeContext, frame_of, pixel
from pipeline_kit import plain_image

from invoke_shell.commands.sheets import contact_sheet
from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Color

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def pictures(*colours, size=(4, 4)):
    return [frame_of(plain_image(*size, c)) for c in colours]


@pytest.mark.parametrize(
    ("count", "columns", "across", "down"),
    [(1, None, 1, 1), (2, None, 2, 1), (3, None, 2, 2), (4, None, 2, 2), (5, None, 3, 2), (9, None, 3, 3),
     (5, 1, 1, 5), (5, 2, 2, 3), (3, 256, 3, 1)],
)  # fmt: skip
def test_how_many_pictures_stand_in_a_row(count, columns, across, down):
    sheet = contact_sheet(FakeContext(), pictures(*[RED] * count), columns=columns, gap=2)

    assert sheet.size == (across * 6 + 2, down * 6 + 2)


def test_pictures_stand_in_reading_order():
    sheet = contact_sheet(FakeContext(), pictures(RED, GREEN, BLUE), columns=2, gap=1)

    assert [pixel(sheet, x, y) for x, y in ((1, 1), (6, 1), (1, 6), (6, 6))] == [RED, GREEN, BLUE, (255, 255, 255)]


def test_a_smaller_picture_stands_in_the_middle_of_its_cell():
    small = frame_of(plain_image(2, 2, GREEN))

    sheet = contact_sheet(FakeContext(), [*pictures(RED), small], columns=2, gap=0, background=Color(0, 0, 0))

    assert [pixel(sheet, x, 0) for x in (4, 5)] == [(0, 0, 0)] * 2
    assert pixel(sheet, 5, 1) == pixel(sheet, 6, 2) == GREEN


def test_the_background_shows_through_what_is_transparent():
    clear = frame_of(plain_image(2, 2, (0, 255, 0, 0)))

    sheet = contact_sheet(FakeContext(), [clear], gap=0, background=Color(1, 2, 3))

    assert pixel(sheet, 0, 0) == (1, 2, 3)


def test_grey_pictures_are_shown_too():
    assert pixel(contact_sheet(FakeContext(), [frame_of(plain_image(1, 1, (7,)))], gap=0), 0, 0) == (7, 7, 7)


def test_no_pictures_are_said():
    with pytest.raises(RunError, match="contact_sheet got no pictures"):
        contact_sheet(FakeContext(), [])


def test_a_sheet_too_large_to_be_read_back_is_refused():
    with pytest.raises(RunError, match="contact_sheet would make a picture of 8000x8004"):
        contact_sheet(FakeContext(), [frame_of(plain_image(4000, 8004, (0,)))] * 2, gap=0)
