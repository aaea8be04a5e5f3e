"""Words to values, and what is said of a line that is wrong: whole messages, carets included."""

import pytest
from pipeline_kit import REGISTRY, Mood, chain_of, codes, complaint

from invoke_shell.errors import CODES
from invoke_shell.pipeline.bind import read
from invoke_shell.pipeline.chain import Source, Value
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.types import Handle, ModelName, Pattern, Ratio, Side, Size, Sweep, Weighted


def typed(text, registry=None):
    """The values of the last stage."""
    chain = chain_of(text, registry) if registry else chain_of(text)
    return {name: v.value for name, v in chain.stages[-1].values.items()}


def nodes(text):
    return [s.node for s in chain_of(text).stages]


# -- what is wrong -----------------------------------------------------------------------------------------------------

FAULTS = {
    "unknown-command": """
  txt2imgg "a cat"
  ^^^^^^^^
there is no command txt2imgg
  did you mean txt2img?""",
    "unknown-command of another shell": """
  !fetch
  ^^^^^^
there is no command !fetch
  today's word is recall""",
    "unknown-command, and nothing is said of what follows it": """
  foo | upscale | contact_sheet
  ^^^
there is no command foo""",
    "unknown-command, a quoted text in the middle": """
  load_image a.png | "a cat"
                     ^^^^^^^
there is no command "a cat"
  a quoted text can only begin a line""",
    "unknown-flag": """
  @-1 | upscale --scal 3
                ^^^^^^
upscale has no --scal
  did you mean --scale?""",
    "unknown-flag, near none": """
  @-1 | upscale --foo 3
                ^^^^^
upscale has no --foo""",
    "unknown-flag, short": """
  @-1 | upscale -q
                ^^
upscale has no -q""",
    "unknown-flag, for help": """
  txt2img --help "x"
          ^^^^^^
txt2img has no --help
  its help is txt2img?""",
    "unknown-flag, never a prefix": """
  txt2img "x" --step 5
              ^^^^^^
txt2img has no --step
  did you mean --steps?""",
    "unknown-flag behind an unquoted prompt": """
  txt2img a cat --foo bar
                ^^^^^
txt2img has no --foo
  if it belongs to the prompt, quote it: "a cat --foo\"""",
    "missing-value": """
  txt2img "x" --steps
              ^^^^^^^
--steps needs a whole number
  as in: --steps 24""",
    "missing-value before a flag": """
  txt2img "x" --negative --seed 5
              ^^^^^^^^^^
--negative needs a text
  as in: --negative "...\"""",
    "missing-value of -I": """
  img2img "x" -I
              ^^
-I needs a picture: a path, a handle such as @12, or blake3:...
  as in: -I a.png""",
    "missing-value of a side": """
  txt2img "x" -W
              ^^
-W is a whole number
  as in: -W 512""",
    "flag-value": """
  every_kind --on=5
                 ^^
--on takes no value
  write --on or --no-on""",
    "repeated-flag": """
  txt2img "x" -s 5 --steps 6
              ^^   ^^^^^^^
--steps stands twice
  keep one""",
    "repeated-flag of texts": """
  txt2img "x" --negative a b --negative c d
              ^^^^^^^^^^     ^^^^^^^^^^
--negative stands twice
  keep one""",
    "repeated-flag, once without its flag": """
  txt2img "x" --prompt y
          ^^^ ^^^^^^^^
--prompt stands twice
  keep one""",
    "repeated-flag, once as a side": """
  txt2img "x" -W 512 --size 512x512
              ^^^^^^ ^^^^^^
--size stands twice
  keep one""",
    "extra-word": """
  @-1 | blur 2 3 4
               ^^^
blur takes one radius
  blur? tells what it takes""",
    "extra-word of a command without words": """
  @-1 | upscale 2
                ^
upscale takes no such word
  upscale? tells what it takes""",
    "extra-word behind a quoted prompt": """
  txt2img "a cat" on a mat
                  ^^^^^^^^
txt2img takes one prompt
  put all of it in quotes""",
    "extra-word, a name before a flag": """
  txt2img a cat as @fox --steps 5
                ^^^^^^^
as @fox must end the stage
  put it behind all flags, or quote it as text""",
    "missing-argument": """
  txt2img --steps 5
  ^^^^^^^
txt2img needs a prompt
  as in: txt2img "a red boat on a green sea" --seed 7""",
    "missing-argument with a vowel": """
  load_image
  ^^^^^^^^^^
load_image needs an image
  as in: load_image a.png | blur""",
    "bad-value": """
  txt2img "x" --steps many
                      ^^^^
--steps is a whole number, not many""",
    "bad-value of a word": """
  @-1 | resize 3:4
               ^^^
size is a size such as 512x768, not 3:4""",
    "bad-value of a seed": """
  txt2img "x" --seed abc
                     ^^^
--seed is a whole number from 0 to 18446744073709551615, or random, not abc
  random draws one""",
    "out-of-range": """
  txt2img "x" --steps 999
                      ^^^
--steps is 1 to 150, not 999""",
    "out-of-range, a size": """
  txt2img "x" --size 512x510
                     ^^^^^^^
--size is 64 to 4096 px, a multiple of 8, not 512x510""",
    "out-of-range, a side": """
  txt2img "x" -W 513
                 ^^^
--size is 64 to 4096 px, a multiple of 8, not 513x""",
    "out-of-range, in a sweep": """
  txt2img "x" --steps 100..200
                      ^^^^^^^^
--steps is 1 to 150, not 151""",
    "out-of-range, seed -1": """
  txt2img "x" --seed -1
                     ^^
--seed is 0 to 18446744073709551615, not -1
  write random for a drawn seed, or @-1.seed for that of the last picture""",
    "bad-choice": """
  @-1 | resize 64x64 --how fil
                           ^^^
--how has no choice fil
  did you mean fill?""",
    "bad-choice, near none": """
  @-1 | resize 64x64 --how xyz
                           ^^^
--how has no choice xyz
  one of fit, fill, stretch""",
    "bad-choice in a sweep": """
  txt2img "x" -A euler,dimm
                 ^^^^^^^^^^
--scheduler has no choice dimm
  did you mean ddim?""",
    "excluded-flag": """
  @-1 | img2img --start-step 3 --strength 0.5
                ^^^^^^^^^^^^   ^^^^^^^^^^
--strength and --start-step say the same thing twice
  keep one of them""",
    "quote-needed": """
  txt2img a 5" nail on a wall
             ^
this " has no partner
  write "a 5\\" nail on a wall\"""",
    "quote-needed for a word like a flag": """
  txt2img a -4x cat -foo bar
                    ^^^^
txt2img has no -foo
  if it belongs to the prompt, quote it: "a -4x cat -foo bar\"""",
    "quote-needed in a text flag": """
  txt2img "x" --negative ugly -bad
                              ^^^^
txt2img has no -bad
  if it belongs to the negative, quote it: "ugly -bad\"""",
    "split-prompt": """
  txt2img a {red|blue} cat --steps 5 on a mat
          ^^^^^^^^^^^^^^^^           ^^^^^^^^
the prompt stands in two pieces
  put it in one piece: "a {red|blue} cat on a mat\"""",
    "bad-handle among handles": """
  @12 foo | upscale
      ^^^
foo is not a handle
  a stage of handles has nothing else in it, as in @12 @-1 | upscale""",
    "bad-handle, one value as a picture": """
  load_image @12.seed
             ^^^^^^^^
@12.seed is one value of a picture
  the picture is @12""",
    "bad-handle, a picture as one value": """
  txt2img "x" --steps @12
                      ^^^
--steps is a whole number, not @12
  one value of it is @12.steps""",
    "bad-handle in the middle of a line": """
  load_image a.png | @12
                     ^^^
@12 brings earlier pictures, so it can only begin a line""",
    "bad-handle as a name": """
  txt2img "x" as @kept
                 ^^^^^
@kept cannot be a name
  as in: as @fox""",
    "empty-stage, a name alone": """
  as @fox
  ^^
there is no command before as""",
    "bad-sweep, a range": """
  txt2img "x" --steps 1..
                      ^^^
--steps is a range such as 1..8, or 10..50..10 with a step, not 1..""",
    "bad-sweep, no step": """
  txt2img "x" --steps 1..8..0
                      ^^^^^^^
--steps is a range whose step is not 0, as 10..50..10, not 1..8..0""",
    "bad-sweep, a list": """
  txt2img "x" --steps 1,,2
                      ^^^^
--steps is a list with a value beside each comma, as 5,7.5,9, not 1,,2""",
    "bad-sweep, a value": """
  txt2img "x" --steps 1,x
                      ^^^
--steps is a whole number, not 1,x""",
    "bad-sweep, too many": """
  txt2img "x" --seed 1..5000
                     ^^^^^^^
--seed is a sweep of at most 4096 values, not 1..5000""",
    "too-many alternatives": """
  txt2img "{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}"
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
these braces make more than 4096 prompts
  --pick 8 draws eight of them""",
    "bad-prompt": """
  txt2img '("a", "b").blend(1)'
                            ^
.blend() has 1 weight for 2 texts
  one for each, or none at all""",
    "no-input": """
  upscale
  ^^^^^^^
upscale needs a picture, and nothing comes before it
  as in: load_image a.png | upscale, or @-1 | upscale""",
    "extra-input": """
  load_image a.png | txt2img y
  ^^^^^^^^^^         ^^^^^^^
txt2img takes no pictures, but load_image passes some on
  begin a line of its own with txt2img""",
    "extra-input from the last line": """
  | txt2img y
    ^^^^^^^
txt2img takes no pictures, but the last line passes some on
  begin a line of its own with txt2img""",
    "extra-input from a handle": """
  @12 | txt2img y
  ^^^   ^^^^^^^
txt2img takes no pictures, but the handle passes some on
  begin a line of its own with txt2img""",
    "extra-input into a builtin": """
  txt2img x | help
              ^^^^
help stands alone on a line; it takes no pictures and passes none on""",
    "bad-handle that is nearly one": """
  @3,@5 | blur
  ^^^^^
@3,@5 is not a handle
  did you mean @3 @5?""",
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_said(name):
    wanted = FAULTS[name].lstrip("\n")
    line = wanted.splitlines()[0][2:]

    assert complaint(line) == wanted
    assert codes(line) == [name.split(",")[0].split()[0]]


def test_every_code_of_a_line_is_in_the_table():
    of_a_line = set(list(CODES)[: list(CODES).index("no-last")])
    of_the_parser = {"open-quote", "open-pipe", "open-line", "bad-escape", "background", "empty-stage"}
    of_the_plan = {"repeated-picture", "too-many"}

    tested = {name.split(",")[0].split()[0] for name in FAULTS}

    assert of_a_line - of_the_parser - of_the_plan <= tested


def test_all_faults_of_a_line_come_at_once_in_reading_order():
    wanted = """
  txt2img "x" --stepz 5 --seed -1 | upscale --scale 99 | resize
                ^^^^^^^          ^^                    ^^   ^^^^^^
txt2img has no --stepz
  did you mean --steps?
--seed is 0 to 18446744073709551615, not -1
  write random for a drawn seed, or @-1.seed for that of the last picture
--scale is 1 to 16, not 99
resize needs a size
  as in: @-1 | resize 96x64""".lstrip("\n")

    assert complaint(wanted.splitlines()[0][2:]).splitlines()[2:] == wanted.splitlines()[2:]
    assert codes(wanted.splitlines()[0][2:]) == ["unknown-flag", "out-of-range", "out-of-range", "missing-argument"]


@pytest.mark.parametrize(
    ("before", "cells"), [("日本", 4), ("😀", 2), ("é", 1), ("e\u0301", 1), ("👩\u200d🚀", 2), ("“ab”", 4), ("\t", 1)]
)
def test_carets_count_display_cells(before, cells):
    line = f"txt2img {before} --stepz 5"

    carets = complaint(line).splitlines()[1]
    assert carets == " " * (2 + 8 + cells + 1) + "^^^^^^^"


def test_a_wide_word_gets_wide_carets():
    assert complaint("日本").splitlines()[:2] == ["  日本", "  ^^^^"]


def test_what_would_steer_the_terminal_is_not_shown():
    shown = complaint("txt2img '\x1b[31m\u202e' --stepz 5").splitlines()

    assert shown[0] == "  txt2img '\ufffd[31m\ufffd' --stepz 5"
    assert shown[1] == " " * 19 + "^^^^^^^"


def test_each_line_of_a_text_gets_its_own_carets():
    wanted = """
  txt2img "x" --stepz 5
              ^^^^^^^
txt2img has no --stepz
  did you mean --steps?
  foo
  ^^^
there is no command foo""".lstrip("\n")

    assert complaint('# a comment\ntxt2img "x" --stepz 5\n@-1 | upscale\nfoo') == wanted


def test_a_stage_over_several_lines_is_one_stage():
    assert typed('txt2img "x" \\\n  --steps 5 |\n  upscale --scale 3') == {"scale": 3.0}


# -- what is read ------------------------------------------------------------------------------------------------------

VALUES = [
    ('txt2img "a cat"', {"prompt": "a cat"}),
    ("txt2img a cat", {"prompt": "a cat"}),
    ("txt2img   a   cat  ", {"prompt": "a   cat"}),
    ('"a cat" --steps 5', {"prompt": "a cat", "steps": 5}),
    ("'a cat'", {"prompt": "a cat"}),
    ("“a cat”", {"prompt": "a cat"}),
    ("txt2img --steps 5 a cat", {"steps": 5, "prompt": "a cat"}),
    ("txt2img a cat --steps 5", {"prompt": "a cat", "steps": 5}),
    ('txt2img --steps 5 "a cat" --seed 7', {"steps": 5, "prompt": "a cat", "seed": 7}),
    ("txt2img a girl's hat", {"prompt": "a girl's hat"}),
    ("txt2img rock 'n' roll", {"prompt": "rock 'n' roll"}),
    ('txt2img a sign "--steps 5" -- on it', None),
    ('txt2img a sign "| ; --steps 5" on it', {"prompt": 'a sign "| ; --steps 5" on it'}),
    ("txt2img a {red | blue} boat", {"prompt": Sweep(("a red  boat", "a  blue boat"), '"a {red | blue} boat"')}),
    ("txt2img -- a --steps 5", {"prompt": "a --steps 5"}),
    ("txt2img none", {"prompt": "none"}),
    ('txt2img "none"', {"prompt": "none"}),
    ("txt2img -4 degrees", {"prompt": "-4 degrees"}),
    ("txt2img a - b", {"prompt": "a - b"}),
    ("txt2img a — b", {"prompt": "a — b"}),
    ("txt2img a #1 hit", {"prompt": "a #1 hit"}),
    ("txt2img a\u00a0cat", {"prompt": "a cat"}),
    ("txt2img a \\\ncat", {"prompt": "a cat"}),
    ("txt2img 'as' @x y", {"prompt": "as"}),
    ("txt2img as a cat", {"prompt": "as a cat"}),
    ("txt2img --prompt=cat", {"prompt": "cat"}),
    ('txt2img --prompt="a cat"', {"prompt": "a cat"}),
    ('txt2img "--steps is a word"', {"prompt": "--steps is a word"}),
    ("txt2img x --negative ugly, bad -n 2", {"prompt": "x", "negative": "ugly, bad", "count": 2}),
    ('txt2img x -N "" ', {"prompt": "x", "negative": ""}),
    ("txt2img x --negative none", {"prompt": "x", "negative": "none"}),
    ("txt2img x -s 5 -S 7 -C 3 -A euler -n 2", {"prompt": "x", "steps": 5, "seed": 7, "guidance": 3.0,
                                               "scheduler": "euler", "count": 2}),
    ("txt2img x --cfg 5", {"prompt": "x", "guidance": 5.0}),
    ("txt2img x --cfg_scale 5", {"prompt": "x", "guidance": 5.0}),
    ("txt2img x --negative_prompt y", {"prompt": "x", "negative": "y"}),
    ("txt2img x --sampler k_euler_a", {"prompt": "x", "scheduler": "euler_a"}),
    ('txt2img x --sampler "Euler a"', {"prompt": "x", "scheduler": "euler_a"}),
    ("txt2img x -A euler,k_euler_a", {"prompt": "x", "scheduler": Sweep(("euler", "euler_a"), "euler,euler_a")}),
    ("txt2img x -W 512 -H 768", {"prompt": "x", "size": Size(512, 768)}),
    ("txt2img x -H 768 -W=512", {"prompt": "x", "size": Size(512, 768)}),
    ("txt2img x -W 512", {"prompt": "x", "size": Side(512, 0)}),
    ("txt2img x --size x768", {"prompt": "x", "size": Side(0, 768)}),
    ("txt2img x --size 3:4", {"prompt": "x", "size": Ratio(3, 4)}),
    ("txt2img x --size 512", {"prompt": "x", "size": Size(512, 512)}),
    ("txt2img x --size 512×768", {"prompt": "x", "size": Size(512, 768)}),
    ("txt2img x --seed random", {"prompt": "x", "seed": "random"}),
    ("txt2img x --seed @-1.seed", {"prompt": "x", "seed": Handle("@-1", "seed")}),
    ("txt2img @12.prompt", {"prompt": Handle("@12", "prompt")}),
    ('txt2img "@12.prompt"', {"prompt": "@12.prompt"}),
    ("txt2img x --model @12", {"prompt": "x", "model": Handle("@12")}),
    ("txt2img x --model a,b", {"prompt": "x", "model": Sweep((ModelName("a"), ModelName("b")), "a,b")}),
    ('txt2img x --model "a,b"', {"prompt": "x", "model": "a,b"}),
    ('txt2img x --steps "5"', {"prompt": "x", "steps": 5}),
    ("@-1 | img2img --pure-noise", {"pure_noise": True}),
    ("@-1 | img2img --no-pure-noise", {"pure_noise": False}),
    ("@-1 | img2img --no_pure_noise", {"pure_noise": False}),
    ("@-1 | img2img --start-step none", {"start_step": None}),
    ("@-1 | img2img --start_step 5 --strength=0.5", None),
    ("every_kind --remark none", {"remark": None}),
    ("every_kind --remark 'none'", {"remark": "none"}),
    ("every_kind --label none", {"label": "none"}),
    ("every_kind --mood wild --tile 4", {"mood": Mood.WILD, "tile": 4}),
    ('every_kind --choice "two words"', {"choice": "two words"}),
    ('every_kind --choice "a,b"', {"choice": "a,b"}),
    ("every_kind --numbers 1 --numbers 2", {"numbers": (1, 2)}),
    ('every_kind --names "{a|b}" --names none', {"names": ("{a|b}", "none")}),
    ("every_kind --lora a:0.5 --lora b", {"lora": (Weighted(ModelName("a"), 0.5), Weighted(ModelName("b")))}),
    ("load_image a*.png", {"image": Pattern("a*.png")}),
    ("load_image --steps", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wanted"), [v for v in VALUES if v[1] is not None])
def test_values_of_a_stage(line, wanted):
    if line == "txt2img 'as' @x y":
        assert codes(line) == ["extra-word"]
        return

    assert typed(line) == wanted
    assert list(typed(line)) == list(wanted)


@pytest.mark.parametrize("line", [v[0] for v in VALUES if v[1] is None])
def test_lines_that_look_right_and_are_not(line):
    assert codes(line)


def test_a_quoted_word_is_never_a_flag_or_a_name():
    assert codes('txt2img "x" "--steps" 5') == ["extra-word"]
    assert codes('txt2img x "as" "@x"') == []
    assert chain_of('txt2img x "as" "@x"').stages[0].name == ""


def test_names_and_handles_of_stages():
    chain = chain_of("@12 @-4..-1 @fox[2] @kept @@ | upscale as @big")

    assert [h.text for h in chain.stages[0].handles] == ["@12", "@-4..-1", "@fox[2]", "@kept", "@@"]
    assert chain.stages[1].name == "big"


def test_the_picture_flag_puts_load_image_in_front():
    chain = chain_of("img2img a red house -I a.png -I @12 --seed 3")

    assert [s.node for s in chain.stages] == ["load_image", "img2img"]
    assert [str(v) for v in chain.stages[0].values["image"].value] == ["a.png", "@12"]
    assert chain.stages[1].values["prompt"].value == "a red house"


def test_the_picture_flag_with_its_value_behind_an_equals_sign():
    chain = chain_of('upscale -I="a b.png"')

    assert str(chain.stages[0].values["image"].value) == "a b.png"


def test_a_line_goes_on_from_the_last_one():
    assert chain_of("| upscale").continues


def test_a_builtin_stands_alone():
    (bound,) = read("help txt2img", _registry()).bound

    assert bound.builtin is not None
    assert bound.builtin.name == "help"
    assert bound.chain.stages[0].values["word"].value == "txt2img"


def test_a_builtin_may_take_the_rest_of_the_line_as_it_stands():
    (bound,) = read('explain txt2img "x"  --steps 5 | upscale', _registry()).bound

    assert bound.chain.stages[0].values["line"].value == 'txt2img "x"  --steps 5 | upscale'
    assert not bound.faults


def test_without_an_implicit_command_a_quoted_text_is_unknown():
    bare = Registry(_registry().nodes)

    assert codes('"a cat"', bare) == ["unknown-command"]


def test_a_setting_stands_for_a_value_that_is_required():
    settings = {"img2img.prompt": Value("x", Source.SESSION)}

    assert complaint("load_image a.png | img2img", settings=settings) == ""
    assert complaint("txt2img", settings={"prompt": Value("x", Source.SESSION)}) == ""
    assert complaint("txt2img", settings=settings) != ""


def test_a_prompt_that_follows_need_not_be_typed():
    assert complaint("txt2img x | img2img") == ""
    assert complaint("@12 | img2img") == ""


def test_spans_colour_every_word():
    text = 'txt2img "x" --steps 5 --seed @12.seed | upscale as @y # z'
    spans = {text[a:b]: kind for a, b, kind in read(text, _registry()).spans}

    assert spans == {
        "txt2img": "command",
        '"x"': "string",
        "--steps": "flag",
        "5": "number",
        "--seed": "flag",
        "@12.seed": "handle",
        "|": "pipe",
        "upscale": "command",
        "as": "pipe",
        "@y": "handle",
        "# z": "comment",
    }


def test_the_span_of_a_value_is_its_words():
    text = "txt2img a red boat --steps 5"
    values = chain_of(text).stages[0].values

    assert [text[slice(*v.span)] for v in values.values()] == ["a red boat", "5"]


def _registry():
    from pipeline_kit import REGISTRY

    return REGISTRY


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("compare @3 @7", "@3 | compare @7"),
        ("compare @3 @5 @7 --gap 8", "@3 @5 | compare @7 --gap 8"),
        ("upscale @12", "@12 | upscale"),
        ("contact_sheet @15..22 @-1", "@15..22 @-1 | contact_sheet"),
        ("upscale @fox as @big | blur", "@fox | upscale as @big | blur"),
    ],
)
def test_handles_beyond_those_a_command_has_words_for_are_its_pictures(typed, meant):
    assert chain_of(typed) == chain_of(meant)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("compare @3", "compare needs a picture, and nothing comes before it"),
        ("@1 | compare @3 @7", "compare takes one other picture"),
        ("upscale @x @", "@ is not a handle"),
    ],
)
def test_handles_that_cannot_stand_there_are_said(typed, said):
    assert said in [f.message for f in read(typed, REGISTRY).faults]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("3", "@3"),
        ("@7-9", "@7..9"),
        ("@7..@9", "@7..9"),
        ("7:9", "@7..9"),
        ("@3,5,@8", "@3 @5 @8"),
        ("@fox[1,3]", "@fox[1] @fox[3]"),
        ("fox.png", ""),
        ("@", ""),
    ],
)
def test_a_text_that_is_nearly_a_handle_is_known_for_it(text, meant):
    assert Handle.meant(text) == meant
