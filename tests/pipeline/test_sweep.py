"""Sweeps: ranges, lists, choices, alternatives; their limits and their order."""

import pytest
from pipeline_kit import chain_of, plan_of, values_of

from invoke_shell.errors import LineError
from invoke_shell.pipeline.kinds import kind_of
from invoke_shell.pipeline.sweep import LIMIT, alternatives, is_sweep, read_sweep
from invoke_shell.pipeline.templates import canonical, has_alternatives
from invoke_shell.pipeline.types import Color, Size

INT, FLOAT = kind_of(int), kind_of(float)


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        (INT, "1..4", (1, 2, 3, 4)),
        (INT, "4..1", (4, 3, 2, 1)),
        (INT, "-2..1", (-2, -1, 0, 1)),
        (INT, "10..50..10", (10, 20, 30, 40, 50)),
        (INT, "50..10..10", (50, 40, 30, 20, 10)),
        (INT, "50..10..-20", (50, 30, 10)),
        (INT, "10..45..10", (10, 20, 30, 40)),
        (INT, "3..3", (3,)),
        (INT, "1..3,9", (1, 2, 3, 9)),
        (INT, "5,7,9", (5, 7, 9)),
        (FLOAT, "5,7.5,9", (5.0, 7.5, 9.0)),
        (FLOAT, "0.1..0.5..0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
        (FLOAT, "1..0..0.25", (1.0, 0.75, 0.5, 0.25, 0.0)),
        (FLOAT, ".5..2", (0.5, 1.5)),
        (FLOAT, "1..2..0.3", (1.0, 1.3, 1.6, 1.9)),
        (kind_of(Size), "64x64,64x96", (Size(64, 64), Size(64, 96))),
        (kind_of(Color), "red,#f00", (Color(255, 0, 0), Color(255, 0, 0))),
    ],
)
def test_values_of_a_sweep(kind, text, wanted):
    assert is_sweep(kind, text)
    assert read_sweep(kind, text).values == wanted
    assert read_sweep(kind, text).text == text


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (INT, "1..", "a range such as 1..8, or 10..50..10 with a step"),
        (INT, "..8", "a range such as 1..8, or 10..50..10 with a step"),
        (INT, "1..2..3..4", "a range such as 1..8, or 10..50..10 with a step"),
        (INT, "a..b", "a range such as 1..8, or 10..50..10 with a step"),
        (INT, "1..8..0", "a range whose step is not 0, as 10..50..10"),
        (INT, "1,,2", "a list with a value beside each comma, as 5,7.5,9"),
        (INT, ",", "a list with a value beside each comma, as 5,7.5,9"),
        (INT, "1..2..0.5", "a whole number"),
        (INT, "1,x", "a whole number"),
        (INT, f"0..{LIMIT}", f"a sweep of at most {LIMIT} values"),
        (INT, "0..1" + "0" * 30, f"a sweep of at most {LIMIT} values"),
        (FLOAT, "0..1..0.0000000001", f"a sweep of at most {LIMIT} values"),
        (INT, "1..4000,1..4000", f"a sweep of at most {LIMIT} values"),
    ],
)
def test_a_sweep_that_cannot_be_read(kind, text, message):
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.").replace("(", r"\(") + "$"):
        read_sweep(kind, text)


def test_the_largest_sweep_there_is():
    assert len(read_sweep(INT, f"1..{LIMIT}").values) == LIMIT


def test_a_path_with_a_range_in_it_is_no_sweep():
    assert values_of(plan_of("load_image a..b.png"), "load_image") == [()]


ALTERNATIVES = [
    ("a {red|blue} boat", ["a red boat", "a blue boat"]),
    ("{a|b} {c|d}", ["a c", "a d", "b c", "b d"]),
    ("{a|{b|c}} d", ["a d", "b d", "c d"]),
    ("{a|b{c|d}e}", ["a", "bce", "bde"]),
    ("{|a}", ["", "a"]),
    ("{a|b|}", ["a", "b", ""]),
    ("a {red} boat", ["a {red} boat"]),
    ("a {red|blue boat", ["a {red|blue boat"]),
    ("a red|blue} boat", ["a red|blue} boat"]),
    ("{a} {b|c}", ["{a} b", "{a} c"]),
    ("{{a|b}}", ["{a}", "{b}"]),
    (r"\{a|b\}", ["{a|b}"]),
    (r"{a|\{b|c\}}", ["a", "{b", "c}"]),
    (r"{a\}|b}", ["a}", "b"]),
]


@pytest.mark.parametrize("escapes", [True, False])
@pytest.mark.parametrize(("body", "wanted"), ALTERNATIVES)
def test_alternatives_of_a_prompt(body, wanted, escapes):
    if body == r"{a|\{b|c\}}":
        wanted = ["a", "{b", "c}"]

    assert alternatives(body, escapes=escapes) == wanted
    assert has_alternatives(body) == (len(wanted) > 1)


@pytest.mark.parametrize(
    ("body", "escapes", "wanted"),
    [
        (r"{a\"|b}", True, ['a"', "b"]),
        (r"{a\"|b}", False, ['a\\"', "b"]),
        (r"{a\u{7c}b|c}", True, ["a|b", "c"]),
        (r"C:\{a|b}", False, ["C:{a|b}"]),
        (r"C:\\{a|b}", True, ["C:\\a", "C:\\b"]),
    ],
)
def test_escapes_are_read_inside_alternatives(body, escapes, wanted):
    assert alternatives(body, escapes=escapes) == wanted


@pytest.mark.parametrize("escapes", [True, False])
@pytest.mark.parametrize("body", [b for b, _ in ALTERNATIVES] + [r'a\b "{c|d|\|}"', "{a\n|b\t}", r"{\u{41}|b}"])
def test_canonical_alternatives_stand_for_the_same_texts(body, escapes):
    text = canonical(body, escapes=escapes)

    assert alternatives(text[1:-1], escapes=True) == alternatives(body, escapes=escapes)
    assert canonical(text[1:-1], escapes=True) == text
    assert text.isprintable()


def test_too_many_alternatives_are_refused():
    with pytest.raises(ValueError, match="these braces make more than 4096 prompts"):
        alternatives("{a|b}" * 13, escapes=True)


@pytest.mark.parametrize(
    "line",
    [
        "txt2img 'a {b|c}'",
        r'txt2img "a \{b|c\}"',
        'txt2img "a {b}"',
        'txt2img x --steps "5"',
        'txt2img x --model "a,b"',
        "txt2img x --seed @12.seed",
    ],
)
def test_what_is_no_sweep(line):
    assert len(plan_of(line, models={("checkpoint", "a,b"): _model()}).calls) == 1


def test_a_quoted_range_is_no_number():
    with pytest.raises(LineError, match=r"--steps is a whole number, not 1\.\.8"):
        chain_of('txt2img x --steps "1..8"')


# -- order and count ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "names", "wanted"),
    [
        ("txt2img x --steps 1,2 --seed 5,6", ("steps", "seed"), [(1, 5), (1, 6), (2, 5), (2, 6)]),
        ("txt2img x --seed 5,6 --steps 1,2", ("seed", "steps"), [(5, 1), (5, 2), (6, 1), (6, 2)]),
        ("txt2img {a|b} --steps 1,2", ("prompt", "steps"), [("a", 1), ("a", 2), ("b", 1), ("b", 2)]),
        ("txt2img --steps 1,2 {a|b}", ("steps", "prompt"), [(1, "a"), (1, "b"), (2, "a"), (2, "b")]),
        ("txt2img x -n 2 --seed 7 --steps 1,2", ("seed", "steps"), [(7, 1), (7, 2), (8, 1), (8, 2)]),
        ("txt2img x --steps 1,2 -n 2 --seed 7", ("seed", "steps"), [(7, 1), (8, 1), (7, 2), (8, 2)]),
        ("txt2img x -n 3 --seed 7", ("seed", "steps"), [(7, 24), (8, 24), (9, 24)]),
        ("txt2img x --seed 9..7", ("seed", "steps"), [(9, 24), (8, 24), (7, 24)]),
    ],
)
def test_the_flag_typed_last_varies_fastest(line, names, wanted):
    assert values_of(plan_of(line), "txt2img", *names) == wanted


def test_a_sweep_multiplies_its_own_stage_and_later_stages_see_all():
    made = plan_of("txt2img {a|b} --seed 1 | img2img --strength 0.5,1 | contact_sheet")

    assert values_of(made, "img2img", "prompt", "strength") == [("a", 0.5), ("a", 1.0), ("b", 0.5), ("b", 1.0)]
    (sheet,) = [c for c in made.calls if c.node == "contact_sheet"]
    assert list(sheet.inputs["frames"]) == [c.id for c in made.calls if c.node == "img2img"]


def test_a_sweep_of_a_node_that_takes_all_pictures():
    made = plan_of("load_image a.png b.png | contact_sheet --columns 1,2")

    assert values_of(made, "contact_sheet", "columns") == [1, 2]


@pytest.mark.parametrize(
    ("line", "under", "named"),
    [
        ("txt2img x --seed 1..4 -n 2", "1..4", "--seed 2"),
        ("txt2img x --seed 1,1", "1,1", "--seed 1"),
        ("txt2img x --steps 5,5 --seed 1", "5,5", "--steps 5"),
        ("txt2img {a|a} --seed 1", "{a|a}", '--prompt "a"'),
        ("txt2img x --steps 5,6,5 -A euler,ddim --seed 1", "txt2img", "--steps 5 --scheduler euler"),
        ("txt2img x --seed random,random", "random,random", "--seed 1000"),
    ],
)
def test_pairs_that_come_out_twice_are_refused_by_name(line, under, named):
    wanted = (
        f"  {line}\n  {' ' * line.index(under)}{'^' * len(under)}\n"
        f"txt2img would make the same picture twice: {named}\n  take the overlap out of the sweep or of --count"
    )

    with pytest.raises(LineError) as caught:
        plan_of(line)
    assert str(caught.value) == wanted
    assert caught.value.code == "repeated-picture"


def test_the_same_values_for_different_pictures_are_no_repetition():
    assert len(values_of(plan_of("load_image a.png b.png | blur 1,2"), "blur", "radius")) == 4


def test_values_that_run_the_same_steps_run_once_and_that_is_said():
    made = plan_of("load_image a.png | img2img x --steps 20 --strength 0.5,0.51,0.6 --seed 1")

    assert values_of(made, "img2img", "strength") == [0.5, 0.6]
    assert made.notes == ("img2img runs --strength 0.51 once, with --strength 0.5: the same steps",)


@pytest.mark.parametrize("line", ["txt2img x --seed 1..70 --steps 1..70", "txt2img x --seed 1..4096 | blur"])
def test_more_steps_than_the_limit_are_refused_before_anything_runs(line):
    with pytest.raises(LineError) as caught:
        plan_of(line)

    carets = "^" * len(line)
    wanted = (
        f"  {line}\n  {carets}\nthis line makes more than 4096 steps\n  make the sweeps shorter, or run them in parts"
    )
    assert str(caught.value) == wanted
    assert caught.value.code == "too-many"


def _model():
    from pipeline_kit import model_of

    return model_of("ab")


@pytest.mark.parametrize("deep", [51, 400, 5000])
def test_braces_that_stand_too_deep_in_each_other_are_refused(deep):
    line = f"txt2img {'{a|' * deep}b{'}' * deep}"

    with pytest.raises(LineError) as caught:
        plan_of(line)

    assert (caught.value.message, caught.value.code) == ("braces may stand 50 deep in each other", "bad-sweep")


def test_many_braces_beside_each_other_are_not_deep():
    made = plan_of(f"txt2img {'{a} ' * 200}{{b|c}} {'{' * 200} --seed 1")

    assert len(made.results) == 2
