"""What stands in a prompt besides words: LoRAs that become flags, wildcards, mistakes at their place; and --pick."""

import pytest
from pipeline_kit import REGISTRY, chain_of, codes, complaint, model_of, plan_of, values_of

from invoke_shell.errors import LineError
from invoke_shell.pipeline.chain import to_text
from invoke_shell.pipeline.facts import needs
from invoke_shell.pipeline.script import resolved_text
from invoke_shell.pipeline.tags import untagged

LISTS = {"colour": ("red", "green", "dark {blue|grey}"), "thing": ("boat", "__colour__ house")}


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("txt2img a boat <lora:ink:0.8>", 'txt2img "a boat" --lora ink:0.8'),
        ("txt2img a boat <lora:ink:0.8>, at sea", 'txt2img "a boat, at sea" --lora ink:0.8'),
        ("txt2img <lora:ink> a boat", 'txt2img "a boat" --lora ink:1'),
        ('txt2img "a boat <lora:my ink:-0.5><lora:b:1>"', 'txt2img "a boat" --lora "my ink:-0.5" --lora b:1'),
        ("txt2img 'a boat <LoRA:ink:0.8>'", 'txt2img "a boat" --lora ink:0.8'),
        ("txt2img a boat --lora b:1 -N <lora:ink:0.8>", 'txt2img "a boat" --negative "" --lora b:1 --lora ink:0.8'),
        ("txt2img a <embedding:mood> boat", 'txt2img "a mood boat" --embedding mood'),
        ("txt2img a {red|blue} boat <lora:ink:0.8>", 'txt2img "a {red|blue} boat" --lora ink:0.8'),
        ("txt2img a __colour__ boat <lora:ink:0.8>", 'txt2img "a __colour__ boat" --lora ink:0.8'),
        (r"txt2img a \<lora:ink:0.8>", r'txt2img "a \\<lora:ink:0.8>"'),
        ("txt2img a <boat>", 'txt2img "a <boat>"'),
        ("load_image a.png | text_label <lora:ink:0.8>", 'load_image a.png | text_label "<lora:ink:0.8>"'),
        (r'txt2img "a \u{3c}lora:ink:0.8>"', r'txt2img "a \u{3c}lora:ink:0.8>"'),
        (r'txt2img "a \u{5f}_colour__ boat"', r'txt2img "a \u{5f}_colour__ boat"'),
        ("txt2img 'a __colour__ boat'", r'txt2img "a \u{5f}_colour__ boat"'),
    ],
)  # fmt: skip
def test_what_a_prompt_names_becomes_flags(typed, wanted):
    assert to_text(chain_of(typed), REGISTRY) == wanted
    assert chain_of(wanted) == chain_of(typed)


def test_a_text_keeps_its_blanks_where_a_lora_was():
    assert untagged("a  red <lora:x:1> boat") == "a  red boat"
    assert untagged("a boat") == "a boat"


@pytest.mark.parametrize(
    "wanted",
    [
        """
  txt2img a boat <lora:ink:much>
                 ^^^^^^^^^^^^^^^
a strength is a number, not much
  as in: <lora:ink:0.8>""",
        """
  txt2img a boat <lora:ink:99>
                 ^^^^^^^^^^^^^
--lora takes -10 to 10 behind its colon, not ink:99""",
        """
  txt2img a {<lora:ink:1>|plain} boat
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^
a LoRA or an embedding cannot be one of several alternatives
  write a line for each, or the LoRA outside of the braces""",
        """
  txt2img ("a boat", "a {red|blue} house").blend(1, 2, 3)
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
.blend() has 3 weights for 2 texts
  one for each, or none at all""",
        """
  txt2img a boat --negative ("a", "b").blend(1)
                                             ^
.blend() has 1 weight for 2 texts
  one for each, or none at all""",
    ],
)
def test_what_is_wrong_in_a_prompt_is_told_at_its_place(wanted):
    assert complaint(wanted.splitlines()[1][2:]) == wanted.lstrip("\n")


def test_a_wildcard_is_looked_up_and_nothing_else_is():
    chain = chain_of("txt2img __colour__ or __colour__ boat in __a/b__, snake__case, ___x___ --negative __bad__")

    assert [n.text for n in needs(chain, REGISTRY, {}) if n.what == "wildcard"] == ["colour", "a/b", "bad"]


def test_a_wildcard_is_every_line_of_its_list():
    made = plan_of("txt2img a __thing__ --seed 1", wildcards=LISTS)

    assert values_of(made, "txt2img", "prompt") == [
        "a boat", "a red house", "a green house", "a dark blue house", "a dark grey house",
    ]  # fmt: skip


def test_what_a_wildcard_became_is_what_is_recorded():
    made = plan_of("txt2img a __colour__ boat --seed 1", wildcards=LISTS)

    lines = resolved_text(made, REGISTRY).splitlines()
    assert [line.split(" --")[0] for line in lines] == [
        f'txt2img "a {c} boat"' for c in ("red", "green", "dark blue", "dark grey")
    ]


def test_a_wildcard_in_itself_is_one_sentence():
    with pytest.raises(LineError, match="the wildcard a holds itself"):
        plan_of("txt2img __a__", wildcards={"a": ("x", "y __b__"), "b": ("__a__",)})


# -- pick ------------------------------------------------------------------------------------------------------------


def prompts(line, **found):
    return values_of(plan_of(line, **found), "txt2img", "prompt")


def test_pick_draws_some_of_all_combinations_the_same_for_a_seed():
    line = "txt2img {a|b|c|d} {e|f|g|h} --pick 3 --seed 7"
    every = prompts("txt2img {a|b|c|d} {e|f|g|h} --seed 7")

    drawn = prompts(line)

    assert drawn == prompts(line)
    assert drawn == [p for p in every if p in drawn]
    assert len(drawn) == len(set(drawn)) == 3
    assert any(prompts(line.replace("7", str(seed))) != drawn for seed in range(20))


def test_pick_is_of_every_sweep_and_count_is_of_each_pick():
    made = plan_of("txt2img {a|b} --steps 1..9 --pick 2 -n 2 --seed 5", wildcards=LISTS)

    rows = values_of(made, "txt2img", "prompt", "steps", "seed")
    assert [row[2] for row in rows] == [5, 6, 5, 6]
    assert len({row[:2] for row in rows}) == 2


def test_pick_of_more_than_there_are_is_all():
    assert prompts("txt2img {a|b} --pick 9 --seed 1") == ["a", "b"]


def test_pick_without_a_seed_draws_by_the_one_that_is_recorded():
    first = plan_of("txt2img {a|b|c|d} {e|f|g|h} --pick 3", first_seed=77)

    seeds = {*values_of(first, "txt2img", "seed")}
    assert seeds == {77}
    assert values_of(first, "txt2img", "prompt") == prompts("txt2img {a|b|c|d} {e|f|g|h} --pick 3 --seed 77")


def test_pick_reaches_into_more_than_a_line_may_make():
    lists = {"n": tuple(f"w{i}" for i in range(2000))}
    line = "txt2img __n__ __n__ __n__ {a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}"

    assert len(set(prompts(f"{line} --pick 5 --seed 1", wildcards=lists))) == 5
    with pytest.raises(LineError, match="this line makes more than 4096 steps\n  --pick 8 draws eight of them"):
        prompts("txt2img __n__ __n__", wildcards=lists)


def test_pick_is_nothing_a_picture_records():
    made = plan_of("txt2img {a|b} --pick 1 --seed 1")

    assert "pick" not in made.calls[0].params
    assert codes("txt2img {a|b} --pick 0") == ["out-of-range"]


def test_a_lora_of_another_base_is_told_before_anything_is_loaded():
    models = {
        ("checkpoint", "pocket"): model_of("pocket", base="sd1"),
        ("lora", "ink"): model_of("ink", "lora", base="sdxl"),
    }

    with pytest.raises(LineError) as raised:
        plan_of("txt2img a boat <lora:ink:0.8> --seed 1", models=models)

    assert (
        str(raised.value)
        == """\
  txt2img a boat <lora:ink:0.8> --seed 1
                 ^^^^^^^^^^^^^^
the lora ink is for sdxl, and the model pocket is of sd1"""
    )
