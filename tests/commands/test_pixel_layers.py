"""Two pictures in one: layers, pasting, pairs; and labels of a sheet."""

from dataclasses import replace

import pytest
from command_kit import FakeContext, frame_of, pixel
from hypothesis import given
from hypothesis import strategies as st
from pipeline_kit import model_of, plain_image
from pixel_kit import BLACK, BLUE, GREEN, MODES, RED, WHITE, alphas, colours, grey, levels, picture, pictures, rows

from invoke_shell.commands.combine import blend, paste_image
from invoke_shell.commands.sheets import compare, contact_sheet
from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Color
from invoke_shell.records import Frame, Image, StepRecord

MODES_OF_BLEND = blend.params["mode"].kind.choices
CORNERS = {"top_left": (0, 0), "top_right": (3, 0), "bottom_left": (0, 2), "bottom_right": (3, 2), "center": (1, 1)}


def blended(below, above, **values):
    return blend(FakeContext(), frame_of(below), above, **values)


def same_size(draw_modes=MODES):
    """Two pictures of one size, of any modes."""

    def another(image):
        pair = st.sampled_from(draw_modes).flatmap(
            lambda mode: st.binary(
                min_size=image.width * image.height * len(mode), max_size=image.width * image.height * len(mode)
            ).map(lambda data: Image(mode=mode, width=image.width, height=image.height, pixels=data))
        )
        return st.tuples(st.just(image), pair)

    return pictures(draw_modes).flatmap(another)


# -- blend -------------------------------------------------------------------------------------------------------------


# Of levels from 0 to 1, below and above. soft_light is the "pegtop" form, which has no corner at the middle.
FORMULAS = {
    "normal": lambda a, b: b,
    "multiply": lambda a, b: a * b,
    "screen": lambda a, b: a + b - a * b,
    "overlay": lambda a, b: 2 * a * b if a < 0.5 else 1 - 2 * (1 - a) * (1 - b),
    "soft_light": lambda a, b: (1 - a) * a * b + a * (a + b - a * b),
    "hard_light": lambda a, b: 2 * a * b if b < 0.5 else 1 - 2 * (1 - a) * (1 - b),
    "darker": min,
    "lighter": max,
    "difference": lambda a, b: abs(a - b),
    "add": lambda a, b: min(1, a + b),
    "subtract": lambda a, b: max(0, a - b),
}


@pytest.mark.parametrize("mode", MODES_OF_BLEND)
def test_how_levels_are_mixed(mode):
    tones = range(0, 256, 15)

    made = levels(blended(grey(*[[a] * len(tones) for a in tones]), grey(*[list(tones)] * len(tones)), mode=mode))

    wanted = [[255 * FORMULAS[mode](a / 255, b / 255) for b in tones] for a in tones]
    assert all(got == pytest.approx(row, abs=3) for got, row in zip(made, wanted, strict=True))


@given(same_size(), st.sampled_from(MODES_OF_BLEND))
def test_nothing_of_the_other_leaves_the_picture(pair, mode):
    below, above = pair

    made = blended(below, above, mode=mode, opacity=0.0)

    assert made.pil().convert("RGBA").tobytes() == below.pil().convert("RGBA").tobytes()


@given(same_size(["L", "RGB"]))
def test_all_of_an_opaque_other_is_the_other(pair):
    below, above = pair

    assert blended(below, above).pil().convert("RGB").tobytes() == above.pil().convert("RGB").tobytes()


@given(same_size(["RGBA"]), st.sampled_from(MODES_OF_BLEND), st.floats(0, 1))
def test_alpha_is_that_of_layers(pair, mode, opacity):
    below, above = pair

    made = alphas(blended(below, above, mode=mode, opacity=opacity))

    for under, over, both in zip(alphas(below), alphas(above), made, strict=True):
        assert both == pytest.approx(under + over * opacity * (1 - under / 255), abs=1.5)


def test_half_of_it_is_the_middle():
    assert levels(blended(grey([0, 100]), grey([200, 200]), opacity=0.5))[0] == pytest.approx([100, 150], abs=1)


def test_above_what_is_transparent_the_other_is_not_mixed():
    below, above = picture([[(255, 255, 255, 0)]]), picture([[(10, 20, 30, 255)]])

    assert rows(blended(below, above, mode="multiply")) == [[(10, 20, 30, 255)]]


@pytest.mark.parametrize(
    ("below", "above", "mode"),
    [("L", "L", "L"), ("L", "RGB", "RGB"), ("L", "RGBA", "RGB"), ("RGB", "L", "RGB"), ("RGB", "RGBA", "RGB"),
     ("RGBA", "L", "RGBA"), ("RGBA", "RGB", "RGBA")],
)  # fmt: skip
def test_the_mode_is_the_pictures_own_with_colour_where_it_gets_some(below, above, mode):
    first, second = (Image(mode=m, width=1, height=1, pixels=bytes([200] * len(m))) for m in (below, above))

    assert blended(first, second).mode == paste_image(frame_of(first), second).mode == mode


@pytest.mark.parametrize(("first", "second"), [((8, 6), (4, 3)), ((4, 3), (8, 6)), ((9, 7), (5, 4)), ((1, 1), (5, 5))])
def test_another_size_is_scaled_and_said(first, second):
    ctx = FakeContext()

    made = blend(ctx, frame_of(plain_image(*first)), plain_image(*second, GREEN))

    assert set(colours(made)) == {GREEN}
    assert made.size == first
    assert ctx.said == [f"blend scales the other picture from {second[0]}x{second[1]} to {first[0]}x{first[1]}"]


@pytest.mark.parametrize(("first", "second"), [((8, 8), (8, 4)), ((64, 64), (64, 62)), ((512, 512), (256, 254))])
def test_another_shape_is_refused(first, second):
    with pytest.raises(RunError) as caught:
        blended(plain_image(*first), plain_image(*second))

    sizes = f"{first[0]}x{first[1]} and {second[0]}x{second[1]}"
    assert caught.value.message == f"blend got pictures of two shapes, {sizes}"
    assert caught.value.hint == f"crop --to or resize {first[0]}x{first[1]} --how fill makes one"
    assert caught.value.code == "wrong-shape"


# -- paste_image -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", CORNERS)
def test_where_a_picture_is_put(place):
    made = paste_image(frame_of(plain_image(5, 4, BLACK)), plain_image(2, 2, RED), place=place)

    left, top = CORNERS[place]
    reds = {(x, y) for y in range(4) for x in range(5) if pixel(made, x, y) == RED}
    assert reds == {(left + x, top + y) for x in (0, 1) for y in (0, 1)}


def test_what_hangs_over_the_edge_is_cut():
    made = paste_image(frame_of(grey([0, 0, 0])), grey([1, 2, 3]), place="left", x=-2)
    other = paste_image(frame_of(grey([0, 0, 0])), grey([1, 2, 3]), x=1)

    assert (levels(made), levels(other)) == ([[3, 0, 0]], [[0, 1, 2]])


@pytest.mark.parametrize("move", [{"x": 4}, {"x": -4}, {"y": 4}, {"y": -4}])
def test_a_picture_put_outside_is_said(move):
    with pytest.raises(RunError) as caught:
        paste_image(frame_of(plain_image(4, 4)), plain_image(4, 4), **move)

    at = f"{move.get('x', 0)},{move.get('y', 0)}"
    assert caught.value.message == f"paste_image puts a picture of 4x4 at {at}, outside of one of 4x4"
    assert (caught.value.hint, caught.value.code) == ("--x and --y move it from its --place", "wrong-shape")


def test_a_scale_and_an_opacity():
    made = paste_image(frame_of(plain_image(8, 8, BLACK)), plain_image(8, 8, WHITE), scale=0.25, opacity=0.5)

    assert pixel(made, 3, 3) == pixel(made, 4, 4) == (128,) * 3
    assert sum(p != BLACK for p in colours(made)) == 4
    assert paste_image(frame_of(plain_image(2, 2, BLACK)), plain_image(1, 1, RED), scale=0.01).size == (2, 2)


def test_what_is_transparent_in_the_other_is_not_pasted():
    made = paste_image(frame_of(picture([[RED, RED]])), picture([[(*BLUE, 0), (*BLUE, 255)]]))

    assert colours(made) == [RED, BLUE]


# -- compare -----------------------------------------------------------------------------------------------------------


def test_two_pictures_stand_side_by_side_with_a_line_between_them():
    made = compare(FakeContext(), frame_of(plain_image(3, 2, RED)), frame_of(plain_image(2, 2, BLUE)), gap=1)

    assert made.size == (6, 2)
    assert rows(made) == [[RED, RED, RED, WHITE, BLUE, BLUE]] * 2


def test_the_other_is_brought_to_the_same_height():
    def size(one, other):
        return compare(FakeContext(), frame_of(plain_image(*one)), frame_of(plain_image(*other)), gap=0).size

    assert size((4, 6), (10, 20)) == (4 + 3, 6)
    assert size((1, 1), (1, 900)) == (2, 1)


def test_what_is_transparent_shows_the_background():
    left, right = frame_of(picture([[(*RED, 0)]])), frame_of(picture([[(*RED, 255)]]))

    made = compare(FakeContext(), left, right, gap=1, background=Color(1, 2, 3))

    assert rows(made) == [[(1, 2, 3), (1, 2, 3), RED]]


@pytest.mark.parametrize("node", [compare, paste_image])
def test_a_picture_too_large_to_be_read_back_is_refused(node):
    small, long = plain_image(9, 9000), plain_image(2000, 1000, (0,))

    def run():
        if node is paste_image:
            return node(frame_of(small), long, scale=16.0)
        return node(FakeContext(), frame_of(small), frame_of(long))

    with pytest.raises(RunError, match=f"{node.name} would make a picture of"):
        run()


# -- labels of a sheet -------------------------------------------------------------------------------------------------


def step(node="txt2img", before=(), model=None, **params):
    return StepRecord(
        node=node,
        version=1,
        package="",
        params=params,
        inputs={"frame": tuple(before)} if before else {},
        models={"model": model} if model else {},
    )


def framed(made, colour=WHITE, size=(60, 20)):
    return Frame(image=plain_image(*size, colour), step=made)


def strip_of(sheet, size=(60, 20), gap=4):
    """What stands under the first picture."""
    return Image.from_pil(sheet.pil().crop((gap, gap + size[1], gap + size[0], sheet.height - gap)))


def label_of(made, *names):
    return strip_of(contact_sheet(FakeContext(), [framed(made)], label=list(names), font_size=10))


def test_a_label_makes_room_under_each_picture_and_leaves_the_pictures():
    frames = [framed(step(seed=n), RED) for n in (1, 2, 3)]

    plain, labelled = (
        contact_sheet(FakeContext(), frames, columns=3),
        contact_sheet(FakeContext(), frames, columns=3, label=["seed"]),
    )

    assert (plain.width, labelled.width) == (196, 196)
    assert labelled.height == plain.height + 20
    assert labelled.pil().crop((0, 0, 196, 24)).tobytes() == plain.pil().crop((0, 0, 196, 24)).tobytes()
    assert len({contact_sheet(FakeContext(), [f], label=["seed"]).hash for f in frames}) == 3


def test_the_latest_value_of_the_history_is_written():
    first = step(seed=1, guidance=3)
    last = step("blur", [step("img2img", [first], seed=2)], radius=4)

    assert label_of(last, "seed") == label_of(step(seed=2), "seed")
    assert label_of(last, "guidance") == label_of(step(guidance=3), "guidance")
    assert label_of(last, "seed", "guidance") == label_of(step(seed=2, guidance=3), "seed", "guidance")
    assert label_of(last, "seed") != label_of(first, "seed")


def test_a_model_is_written_by_its_name():
    assert label_of(step(model=model_of("pocket@123456")), "model") == label_of(step(scheduler="pocket"), "scheduler")


def test_a_picture_without_the_value_has_an_empty_label():
    sheet = contact_sheet(
        FakeContext(), [framed(step(radius=1)), framed(step(seed=1, steps=3))], columns=1, label=["seed", "steps"]
    )

    assert set(colours(strip_of(Image.from_pil(sheet.pil().crop((0, 0, 68, 48)))))) == {WHITE}


def test_letters_are_light_on_a_dark_background():
    dark = strip_of(contact_sheet(FakeContext(), [framed(step(seed=8))], label=["seed"], background=Color(20, 20, 60)))

    assert max(colours(dark)) == WHITE


def test_a_name_that_no_picture_has_is_said():
    with pytest.raises(RunError) as caught:
        contact_sheet(FakeContext(), [framed(step(seed=1))], label=["sede"])

    assert caught.value.message == "contact_sheet --label sede: no picture was made with a value of this name"
    assert (caught.value.hint, caught.value.code) == ("info tells the values of a picture", "bad-choice")


def test_a_label_does_not_depend_on_the_values_that_flow():
    one = framed(step(seed=1))

    assert contact_sheet(FakeContext(), [replace(one, values={"seed": 5})], label=["seed"]) == contact_sheet(
        FakeContext(), [one], label=["seed"]
    )
