"""Prompts: weights, blends, texts side by side; and that a text without any means itself."""

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_shell.pipeline.prompts import Part, Piece, Prompt, literal, plain_text, read_prompt, weighted_text

SIGNS = st.text(alphabet='ab1 ()[]+-.,:\\"<>{}blend', max_size=40)
WORDS = st.text(alphabet=string.ascii_letters + string.digits + " ,.;:!?'äß猫", max_size=40)
PIECES = st.lists(st.builds(Piece, SIGNS, st.sampled_from([1.0, 0.5, 1.21, 1.3, 2.0, -1.0])), max_size=5)


def pieces(text):
    """(words, weight) of a prompt of one text; weights to six places."""
    read = read_prompt(text)
    assert (read.joined, read.faults) == ("", ())
    return [(p.text, round(p.weight, 6)) for p in read.parts[0].pieces]


@given(st.text(max_size=80) | SIGNS)
def test_reading_never_raises(text):
    read = read_prompt(text)

    assert read.parts
    assert all(0 <= f.start <= f.end <= len(text) for f in read.faults)


@given(WORDS)
def test_words_without_marks_mean_themselves(text):
    assert read_prompt(text) == Prompt((Part((Piece(text),)),))


@given(st.text(max_size=60) | SIGNS)
def test_literal_gives_the_text_back(text):
    assert read_prompt(literal(text)).parts == (Part((Piece(text),)),)


@given(PIECES)
def test_written_pieces_are_read_as_they_were(given_pieces):
    read = read_prompt(weighted_text(given_pieces))

    assert not read.faults
    assert marked(read.parts[0].pieces) == marked(given_pieces)


def marked(row):
    """Every sign that is no blank with its weight: what a text encoder sees."""
    return [(sign, p.weight) for p in row for sign in p.text if not sign.isspace()]


@pytest.mark.parametrize(
    "text",
    [
        "a red boat",
        "a well-known e-mail, 50-60 - or so -- maybe",
        "a boat (1950), small",
        "a clock (12:30) on a (16:9) screen",
        "smile :) and :( and 2+2=4, A+B",
        "f(x)y (a)4k (a)b+c",
        "((red)) [blue]",
        "(never closed: 1.2",
        "() ()1.3 (:1.3)",
        "",
    ],
)
def test_text_without_weights_is_kept_to_the_letter(text):
    assert pieces(text) == [(text, 1)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a red+ boat", [("a ", 1), ("red", 1.1), (" boat", 1)]),
        ("a red++, boat--", [("a ", 1), ("red", 1.21), (", boat"[:2], 1), ("boat", 0.81)]),
        ("(a red boat)1.3", [("a red boat", 1.3)]),
        ("(a red boat)+.", [("a red boat", 1.1), (".", 1)]),
        ("(a red boat)1.3.", [("a red boat", 1.3), (".", 1)]),
        ("a (red boat:1.2), sea", [("a ", 1), ("red boat", 1.2), (", sea", 1)]),
        ("(agent 007:1.2)", [("agent 007", 1.2)]),
        ("(a (red:1.5) boat:1.2)", [("a ", 1.2), ("red", 1.8), (" boat", 1.2)]),
        ("((a b)1.2 c)", [("(", 1), ("a b", 1.2), (" c)", 1)]),
        ("(a+ b)0.5", [("a", 0.55), (" b", 0.5)]),
        ("(a)0.5 (b)0.5", [("a b", 0.5)]),
        ("C\\+\\+ and \\(brackets\\)", [("C++ and (brackets)", 1)]),
        ("(say \\(x\\):1.2)", [("say (x)", 1.2)]),
        ("(a)0", [("a", 0)]),
        ("(a:-1)", [("a", -1)]),
    ],
)  # fmt: skip
def test_weights(text, found):
    assert pieces(text) == found


def test_blend_with_weights():
    read = read_prompt('("a red boat", "a house, blue+").blend(0.6, 0.4)')

    assert (read.joined, read.normalize) == ("mixed", True)
    assert [(p.text, p.weight) for p in read.parts] == [("a red boat", 0.6), ("a house, blue", 0.4)]
    assert read.parts[1].pieces[1] == Piece("blue", 1.1)


@pytest.mark.parametrize(
    ("text", "texts", "weights", "joined", "normalize"),
    [
        ("(dog, cat).blend()", ["dog", "cat"], [1, 1], "mixed", True),
        ('("dog", "cat").blend(1, -1, no_normalize)', ["dog", "cat"], [1, -1], "mixed", False),
        ('("a \\"big\\" dog", cat).and(1, 2)', ['a "big" dog', "cat"], [1, 2], "and", True),
        ('("dog", "cat").add()', ["dog", "cat"], [1, 1], "and", True),
        ("(a (red:1.2) dog, cat).and()", ["a red dog", "cat"], [1, 1], "and", True),
    ],
)
def test_texts_joined(text, texts, weights, joined, normalize):
    read = read_prompt(text)

    assert not read.faults
    assert ([p.text for p in read.parts], [p.weight for p in read.parts]) == (texts, weights)
    assert (read.joined, read.normalize) == (joined, normalize)


@pytest.mark.parametrize(
    ("text", "marked_text", "message"),
    [
        ('("a", "b").blend(1)', "1", ".blend() has 1 weight for 2 texts"),
        ('("a", "b").and(1, much)', "much", "a weight of .and() is a number, not much"),
        ('("a", "b").blend(1, -1)', "1, -1", "the weights of .blend() add up to 0"),
        ('x ("a", "b").blend(1, 1)', "blend", ".blend() is of the whole prompt: nothing stands beside it"),
        ('("a", "b").blend(1, 1) x', "blend", ".blend() is of the whole prompt: nothing stands beside it"),
        ("(a).swap(b)", "swap", "there is no .swap() here"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, marked_text, message):
    (fault,) = read_prompt(text).faults

    assert (text[fault.start : fault.end], fault.message) == (marked_text, message)


def test_brackets_that_weigh_elsewhere_are_noted():
    assert read_prompt("a ((red)) [boat], [a:b:0.5]").notes == (
        "((red)) is text here, brackets and all: a weight is written (red:1.21)",
        "[boat] is text here, brackets and all: a weight is written (boat:0.9)",
    )


def test_plain_text_is_the_words_alone():
    assert plain_text('("a (red:1.2) boat", "a sea+").blend(1, 2)') == "a red boat a sea"


def test_long_texts_take_no_longer_than_their_length():
    for text in ("(" * 20_000, ")" * 20_000, "+" * 20_000, "a+ " * 9_000, "(a" * 9_000 + ")1.2" * 9_000, "a-" * 9_000):
        read_prompt(text)


PAGE = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (`.+`) \|$", PAGE.split("| prompt | pieces |")[1].split("\n\n")[0], re.M)


@pytest.mark.parametrize(("text", "shown"), ROWS)
def test_the_page_shows_what_is_read(text, shown):
    found = [f"{words.strip()}{'' if weight == 1 else f'×{weight:g}'}" for words, weight in pieces(text)]

    assert found == shown.strip("`").split("` `")


def test_the_page_has_its_rows_and_its_mistake_is_answered_so():
    block = PAGE.split("told at its place:\n\n")[1].split("\n\n")[0].splitlines()
    (fault,) = read_prompt(block[0].strip().removeprefix("txt2img ")).faults

    assert len(ROWS) == 9
    assert [fault.message, fault.hint] == [line.strip() for line in block[1:]]
