"""Texts beside and on pictures."""

import pytest
from command_kit import FakeContext, frame_of, pixel
from hypothesis import given
from hypothesis import strategies as st
from pipeline_kit import plain_image
from pixel_kit import BLACK, BLUE, RED, WHITE, alphas, colours, pictures

from invoke_shell.commands.draw import text_label
from invoke_shell.commands.letters import broken
from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Color
from invoke_shell.records import Image

PLAIN = frame_of(plain_image(100, 40, RED))


def part(image, top, bottom):
    return Image.from_pil(image.pil().crop((0, top, image.width, bottom)))


@pytest.mark.parametrize(("where", "picture", "strip"), [("below", (0, 40), (40, 60)), ("above", (20, 60), (0, 20))])
def test_a_strip_with_the_text_stands_beside_the_picture(where, picture, strip):
    labelled = text_label(FakeContext(), PLAIN, "seed 7", where=where)

    assert labelled.size == (100, 60)
    assert part(labelled, *picture) == PLAIN.image
    assert {WHITE, BLACK} <= set(colours(part(labelled, *strip)))


def test_inside_it_lies_on_the_lower_edge():
    labelled = text_label(FakeContext(), PLAIN, "seed 7", where="inside", background=Color(0, 0, 255, 0))

    assert labelled.size == (100, 40)
    assert part(labelled, 0, 20) == part(PLAIN.image, 0, 20)
    assert {RED, BLACK} <= set(colours(part(labelled, 20, 40)))
    assert BLUE not in colours(labelled)


def test_the_text_stands_in_the_middle():
    strip = (
        part(text_label(FakeContext(), PLAIN, "o", font_size=20), 40, 65).pil().convert("L").point(lambda v: 255 - v)
    )

    left, top, right, bottom = strip.getbbox()
    assert abs((left + right) / 2 - 50) <= 1
    assert 0 < top < bottom < 25


def test_colours_of_letters_and_strip():
    labelled = text_label(FakeContext(), PLAIN, "M", font_size=40, color=Color(0, 255, 0), background=Color(0, 0, 255))

    assert {(0, 255, 0), BLUE} <= set(colours(part(labelled, 40, 90)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a b c", ["a b c"]),
        ("one two three", ["one", "two", "three"]),
        ("ab cd ef", ["ab cd", "ef"]),
        ("abcdefgh", ["abcde", "fgh"]),
        ("x abcdefgh y", ["x", "abcde", "fgh y"]),
        ("", [""]),
        ("   ", [""]),
        ("a b 7", ["a b 7"]),
        ("ab b 7", ["ab", "b 7"]),
        ("ab, b 7, c", ["ab,", "b 7,", "c"]),
        ("seeds 7", ["seeds", "7"]),
    ],
)
def test_where_rows_are_broken(text, wanted):
    assert broken(text, lambda t: len(t) <= 5) == wanted


@given(st.text("ab ", max_size=30), st.integers(0, 6))
def test_breaking_loses_no_letter_and_a_row_that_does_not_fit_is_one_letter(text, width):
    found = broken(text, lambda t: len(t) <= width)

    assert "".join(found).replace(" ", "") == text.replace(" ", "")
    assert all(len(row) <= max(width, 1) for row in found)


def test_each_line_of_a_text_is_a_row():
    assert text_label(FakeContext(), PLAIN, "one\ntwo").height == text_label(FakeContext(), PLAIN, "one").height + 20


@given(
    pictures(), st.sampled_from(["", "x", "two words", "日本", "\x00"]), st.sampled_from(["below", "above", "inside"])
)
def test_any_picture_can_be_labelled_and_keeps_its_pixels(image, text, where):
    labelled = text_label(FakeContext(), frame_of(image), text, where=where, font_size=4)

    assert labelled == text_label(FakeContext(), frame_of(image), text, where=where, font_size=4)
    assert labelled.mode == image.mode
    if where != "inside":
        top = labelled.height - image.height if where == "above" else 0
        kept = part(labelled, top, top + image.height)
        assert kept.pil().convert("RGBA").tobytes() == image.pil().convert("RGBA").tobytes()


@pytest.mark.parametrize(("where", "mode"), [("below", "RGBA"), ("inside", "RGB")])
def test_what_colours_a_grey_picture_needs(where, mode):
    grey, clear = frame_of(plain_image(20, 20, (9,))), Color(255, 255, 255, 128)

    assert text_label(FakeContext(), grey, "x", where=where, color=Color(255, 0, 0)).mode == "RGB"
    assert text_label(FakeContext(), grey, "x", where=where, color=Color(255, 0, 0, 128)).mode == "RGB"
    assert (
        text_label(FakeContext(), frame_of(plain_image(20, 20, RED)), "x", where=where, background=clear).mode == mode
    )


def test_a_strip_may_be_transparent():
    labelled = text_label(FakeContext(), PLAIN, "i", background=Color(255, 255, 255, 0))

    assert labelled.mode == "RGBA"
    assert (alphas(part(labelled, 0, 40)), pixel(labelled, 0, 50)[3]) == ([255] * 4000, 0)


def test_a_text_higher_than_the_picture_shows_its_firstbroken():
    labelled = text_label(FakeContext(), frame_of(plain_image(40, 10, RED)), "M\ni\ni", where="inside", font_size=8)

    assert labelled == text_label(FakeContext(), frame_of(plain_image(40, 10, RED)), "M", where="inside", font_size=8)


def test_a_text_for_too_large_a_picture_is_refused():
    with pytest.raises(RunError, match="text_label would make a picture of 9000x"):
        text_label(FakeContext(), frame_of(plain_image(9000, 1)), "x\n" * 100, font_size=512)


def test_accents_greek_and_cyrillic_are_letters_and_what_the_font_lacks_is_said():
    ctx = FakeContext()

    drawn = [text_label(ctx, PLAIN, letter, font_size=20) for letter in ("ü", "u", "я", "λ")]
    assert (len({image.hash for image in drawn}), ctx.said) == (4, [])

    text_label(ctx, PLAIN, "fox 狐", font_size=20)
    assert ctx.said == ["text_label: the font has no 狐: boxes stand there"]
