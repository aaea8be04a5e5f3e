"""Sheets by the values that pictures were made with, and pairs with what differs between them."""

from __future__ import annotations

import pytest
from command_kit import FakeContext, pixel
from pipeline_kit import plain_image

from invoke_shell.commands.histories import differing, said, shortened, values_of
from invoke_shell.commands.sheets import compare, contact_sheet
from invoke_shell.errors import RunError
from invoke_shell.records import Frame, ModelRecord, StepRecord

WHITE = (255, 255, 255)
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
CELL = 40


def made(colour, *before, model="", **params):
    """A picture of one colour that a step with these values made."""
    models = {"model": ModelRecord(name=model, kind="checkpoint")} if model else {}
    inputs = {"frame": tuple(f.step for f in before)} if before else {}
    step = StepRecord(node="txt2img", version=1, package="", params=params, inputs=inputs, models=models)
    return Frame(image=plain_image(CELL, CELL, colour), step=step)


def cells(sheet):
    """The colours of whole cells, row by row: squares of one colour that is not the background."""
    found = {}
    for y in range(sheet.height):
        for x in range(sheet.width):
            colour = pixel(sheet, x, y)
            if colour in COLOURS:
                found.setdefault(colour, (y, x))
    return [colour for colour, _ in sorted(found.items(), key=lambda item: item[1])]


def place(sheet, colour):
    return next((x, y) for y in range(sheet.height) for x in range(sheet.width) if pixel(sheet, x, y) == colour)


def sweep():
    """guidance 3 and 7 by seed 1, 2, 3: the seed changes first."""
    values = [(guidance, seed) for guidance in (3, 7) for seed in (1, 2, 3)]
    return [made(c, guidance=g, seed=s, prompt="x") for c, (g, s) in zip(COLOURS, values, strict=True)]


def columns_and_rows(sheet):
    """The places of the six colours of a sweep, as (column, row) by the order of their corners."""
    corners = [place(sheet, c) for c in COLOURS]
    xs, ys = (sorted({corner[i] for corner in corners}) for i in (0, 1))
    return [(xs.index(x), ys.index(y)) for x, y in corners]


def test_axes_are_found_and_what_changes_first_goes_across():
    found = contact_sheet(FakeContext(), sweep(), axes=True)
    named = contact_sheet(FakeContext(), sweep(), across=["seed"], down=["guidance"])

    assert found == named
    assert columns_and_rows(found) == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]


def test_axes_can_be_turned():
    sheet = contact_sheet(FakeContext(), sweep(), across=["guidance"], down=["seed"])

    assert columns_and_rows(sheet) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_labels_stand_over_the_columns_and_before_the_rows():
    plain, labelled = contact_sheet(FakeContext(), sweep(), columns=3), contact_sheet(FakeContext(), sweep(), axes=True)
    x, y = place(labelled, COLOURS[0])

    assert labelled.width > plain.width
    assert labelled.height > plain.height
    head = [pixel(labelled, i, j) for i in range(x, x + CELL) for j in range(y)]
    side = [pixel(labelled, i, j) for i in range(x) for j in range(y, y + CELL)]
    assert any(sum(p) < 200 for p in head)
    assert any(sum(p) < 200 for p in side)
    corner = {pixel(labelled, i, j) for i in range(x) for j in range(y)}
    assert corner == {WHITE}


def test_one_axis_is_columns_with_their_pictures_in_order():
    sheet = contact_sheet(FakeContext(), sweep(), across=["seed"])

    assert columns_and_rows(sheet) == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    rows = contact_sheet(FakeContext(), sweep(), down=["guidance"])
    assert columns_and_rows(rows) == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]


def test_pictures_of_the_same_values_stand_in_reading_order():
    alike = [made(colour, seed=1) for colour in COLOURS]

    assert contact_sheet(FakeContext(), alike, axes=True) == contact_sheet(FakeContext(), alike)


def test_a_cell_that_nobody_made_is_empty():
    sheet = contact_sheet(FakeContext(), sweep()[:-1], axes=True)

    assert cells(sheet) == COLOURS[:5]
    x, y = place(sheet, COLOURS[2])[0], place(sheet, COLOURS[3])[1]
    assert {pixel(sheet, x + i, y + i) for i in range(CELL)} == {WHITE}


def test_the_latest_value_of_a_history_counts_and_models_are_values():
    first = made(COLOURS[0], seed=1, steps=4, model="a")
    second = made(COLOURS[1], made(WHITE, seed=1, steps=4, model="a"), seed=2)

    assert values_of(second.step) == {"seed": 2, "steps": 4, "model": "a"}
    assert differing([first.step, second.step]) == ["seed"]
    assert differing([first.step, made(WHITE, seed=1, steps=4, model="b").step]) == ["model"]


@pytest.mark.parametrize(
    ("frames", "values", "said"),
    [
        (sweep(), {"across": ["sed"]}, "contact_sheet: no picture was made with a value called sed"),
        (
            [made(c, seed=1, guidance=3, prompt=p) for c, p in zip(COLOURS, ("a", "b"), strict=False)],
            {"across": ["seed"], "down": ["guidance"]},
            "contact_sheet has two pictures for seed 1, guidance 3: they differ in prompt",
        ),
    ],
)
def test_what_cannot_be_arranged_is_said(frames, values, said):
    with pytest.raises(RunError) as raised:
        contact_sheet(FakeContext(), frames, **values)

    assert raised.value.message == said


def test_what_differs_is_said_and_written_under_both():
    ctx = FakeContext()
    left, right = (
        made(COLOURS[0], seed=3, guidance=5, prompt="a fox"),
        made(COLOURS[1], seed=7, guidance=5, prompt="a cat"),
    )

    sheet = compare(ctx, left, right)
    without = compare(FakeContext(), left, right, values=False)

    assert ctx.said == ['they differ in seed (3, 7), prompt ("a fox", "a cat")']
    assert without.height == CELL
    assert sheet.height > CELL
    under = {pixel(sheet, x, y) for x in range(CELL) for y in range(CELL, sheet.height)}
    beside = {pixel(sheet, x, y) for x in range(CELL + 4, 2 * CELL + 4) for y in range(CELL, sheet.height)}
    assert min(map(sum, under)) < 200
    assert min(map(sum, beside)) < 200


def test_a_value_that_only_one_has_is_none_in_the_other():
    ctx = FakeContext()
    base = made(COLOURS[0], seed=3)

    compare(ctx, base, made(COLOURS[1], base, scale=2.0))

    assert ctx.said == ["they differ in scale (none, 2.0)"]


def test_alike_pictures_have_nothing_to_be_named():
    ctx = FakeContext()

    sheet = compare(ctx, made(COLOURS[0], seed=3), made(COLOURS[1], seed=3))

    assert (ctx.said, sheet.size) == ([], (2 * CELL + 4, CELL))


def test_one_and_the_same_picture_is_called_so():
    ctx = FakeContext()
    one = made(COLOURS[0], seed=3)

    compare(ctx, one, one)

    assert ctx.said == ["they are the same picture"]


def test_three_values_that_differ_are_columns_and_rows_of_two():
    values = [(s, g, k) for s in (1, 2) for g in (3, 7) for k in (4, 8)]
    eight = [*COLOURS, (10, 200, 100), (100, 20, 200)]
    frames = [made(c, seed=s, guidance=g, steps=k) for c, (s, g, k) in zip(eight, values, strict=True)]

    found = contact_sheet(FakeContext(), frames, axes=True)

    assert found == contact_sheet(FakeContext(), frames, across=["steps"], down=["seed", "guidance"])
    assert [place(found, c)[0] for c in COLOURS[::2]] == [place(found, COLOURS[0])[0]] * 3  # steps 4
    assert len({place(found, c)[1] for c in COLOURS}) == 3


def test_values_that_change_together_are_one_axis():
    values = [("a", 20, 1), ("a", 20, 2), ("b", 4, 1), ("b", 4, 2)]
    frames = [made(c, model=m, steps=k, seed=s) for c, (m, k, s) in zip(COLOURS, values, strict=False)]

    found = contact_sheet(FakeContext(), frames, axes=True)

    assert found == contact_sheet(FakeContext(), frames, across=["seed"], down=["steps", "model"])


def test_an_axis_that_is_not_enough_is_told_how_to_go_on():
    frames = [made(c, seed=1, guidance=3, prompt=p) for c, p in zip(COLOURS, ("a", "b"), strict=False)]

    with pytest.raises(RunError) as raised:
        contact_sheet(FakeContext(), frames, across=["seed"], down=["guidance"])

    assert raised.value.hint == "make it an axis too, as in: --down prompt"
    contact_sheet(FakeContext(), frames, across=["seed"], down=["guidance", "prompt"])


LONG = "a red fox in the deep dark forest of the north at night, {} on canvas, highly detailed, best quality"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["a red fox", "a blue fox"], ["a red fox", "a blue fox"]),
        ([LONG.format("oil"), LONG.format("ink")], ["… at night, oil on canvas, …", "… at night, ink on canvas, …"]),
        ([LONG, LONG], [LONG, LONG]),
        (["red" + LONG[5:], "blue" + LONG[5:]], ["red fox in …", "blue fox in …"]),
        ([LONG, "a cat"], [LONG, "a cat"]),
        ([LONG, None, LONG + " signed"], ["… best quality", None, "… best quality signed"]),
        ([7, 8, None], [7, 8, None]),
        (["", ""], ["", ""]),
    ],
)
def test_long_texts_are_shortened_to_what_differs(values, found):
    assert shortened(values) == found


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("prompt", "a red fox", "a red fox"),
        ("negative", "blurry, text", "negative: blurry, text"),
        ("negative", "", "no negative"),
        ("scheduler", "euler", "euler"),
        ("seed", 7, "seed 7"),
        ("lora", None, "no lora"),
    ],
)
def test_a_value_is_named_where_it_does_not_speak_for_itself(name, value, text):
    assert said(name, value) == text


def test_a_label_is_no_higher_than_a_picture_and_says_that_there_is_more():
    prompts = [" ".join(f"{letter}ord" * 3 for _ in range(40)) for letter in "abcd"]
    frames = [made(c, prompt=p, seed=1) for c, p in zip(COLOURS, prompts, strict=False)]

    rows = contact_sheet(FakeContext(), frames, down=["prompt"], font_size=8)
    under = contact_sheet(FakeContext(), frames, label=["prompt"], font_size=8, columns=4)

    assert rows.height == 4 + 4 * (CELL + 4)
    assert under.height == 4 + CELL + 4 * 10 + 4  # four rows of letters


def test_a_letter_that_the_font_lacks_is_said():
    ctx = FakeContext()

    contact_sheet(ctx, [made(COLOURS[0], prompt="eine Füchsin, лиса, αλεπού, 狐 🦊")], label=["prompt"])

    assert ctx.said == ["contact_sheet: the font has no 狐 🦊: boxes stand there"]


def test_labels_before_small_pictures_have_room_to_be_told_apart():
    frames = [made(c, seed=18446744073709551600 + n) for n, c in enumerate(COLOURS[:2])]

    sheet = contact_sheet(FakeContext(), frames, down=["seed"])

    assert sheet.width > 4 * CELL
    parts = [
        sheet.pil().crop((0, 4 + n * (CELL + 4), sheet.width - CELL - 8, 4 + n * (CELL + 4) + CELL)) for n in (0, 1)
    ]
    assert parts[0].tobytes() != parts[1].tobytes()


def test_a_sheet_too_large_says_what_helps():
    big = Frame(image=plain_image(4000, 8100, (0,)), step=made(WHITE, seed=1).step)

    with pytest.raises(RunError) as raised:
        contact_sheet(FakeContext(), [big] * 2)

    assert raised.value.hint == "at most 64 million pixels; smaller before, as in: | resize 512 | contact_sheet"
