"""What follows from a signature: help, JSON Schema, completion."""

import json
import re

import pytest
from jsonschema import Draft202012Validator
from pipeline_kit import REGISTRY, frames, run_of

from invoke_shell.pipeline.bind import read
from invoke_shell.pipeline.derive import complete, flow, help_node, json_schema, kind_text, settable, usage

NODES = [n for n in REGISTRY.values() if not n.builtin]
NAMES = [n.name for n in NODES]


def offered(text):
    """The words that completion offers at the end of a text, as the whole line would read."""
    listed = {"image": ["a.png", "b.png", "folder/"], "model": ["pocket", "other"], "mask": ["m.png"]}
    items = complete(
        read(text, REGISTRY).pending, REGISTRY, text, lambda p, prefix: [(v, "") for v in listed.get(p.name, [])]
    )
    return [text[: i.start] + i.text for i in items]


def words_offered(text):
    """Only the words."""
    return [line.split(" ")[-1] for line in offered(text)]


# -- help --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", NODES, ids=NAMES)
def test_help_is_a_page_of_eighty_columns(node):
    lines = help_node(node)

    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"{node.name}: {node.summary[:40]}")
    for p in node.params.values():
        assert any(line.strip().startswith((p.flag, p.name.upper())) for line in lines)


@pytest.mark.parametrize("node", NODES, ids=NAMES)
def test_a_short_page_has_what_is_typed_most_the_examples_and_the_names_of_the_rest(node):
    lines = help_node(node, 60)
    text = "\n".join(lines)

    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    assert all(p.flag in text or p.name.upper() in text for p in node.params.values())
    assert all(pasted(example) in pasted(text) for example in node.examples)
    for p in node.params.values():
        if p.positional or p.arg.short or p.name == "model":
            assert any(line.strip().startswith((p.flag, p.name.upper())) for line in lines)
    assert f"help {node.name} --all" in " ".join(text.split()) or lines == help_node(node)


def pasted(text):
    """A text as it is read when it is pasted: a backslash at a line's end joins it with the next."""
    return re.sub(r"\s*\\\n\s*", " ", text)


def test_the_help_of_a_command():
    assert (
        "\n".join(help_node(REGISTRY["resize"]))
        == """\
resize: Make a picture another size.
  resize SIZE [--flags]    (each picture → picture)

  SIZE               Width x height. (1 to 16384 px)
  --how              fit keeps all of it, fill cuts the sides that are too long,
                     stretch bends it.
                     fit, fill, stretch; default fit
  --resampler        How new pixels are made from old ones.
                     lanczos, bicubic, bilinear, nearest; default lanczos

  examples
    @-1 | resize 96x64
    load_image a.png | resize 64x64 --how fill"""
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("txt2img", "txt2img PROMPT [--flags]"),
        ("blur", "blur [RADIUS]"),
        ("contact_sheet", "contact_sheet [--flags]"),
        ("paste", "paste MASK [--flags]"),
        ("help", "help [WORD]"),
    ],
)
def test_usage_of_a_command(name, wanted):
    assert usage(REGISTRY[name]) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("txt2img", "nothing → pictures"),
        ("blur", "each picture → picture"),
        ("contact_sheet", "all pictures → picture"),
        ("save", "each picture → the same"),
        ("help", ""),
    ],
)
def test_what_goes_in_and_comes_out(name, wanted):
    assert flow(REGISTRY[name]) == wanted


@pytest.mark.parametrize(
    ("name", "param", "wanted"),
    [
        ("txt2img", "steps", "1 to 150"),
        ("txt2img", "size", "64 to 4096 px, a multiple of 8"),
        ("txt2img", "prompt", "text"),
        ("txt2img", "model", "name of a model"),
        ("img2img", "pure_noise", "switch"),
        ("resize", "how", "fit, fill, stretch"),
        ("resize", "resampler", "lanczos, bicubic, bilinear, nearest"),
        ("every_kind", "shade", "colour"),
        ("every_kind", "picture", "picture"),
        ("every_kind", "stencil", "mask"),
        ("every_kind", "window", "box"),
        ("every_kind", "numbers", "whole number"),
        ("every_kind", "lora", "name of a model with a strength, as name"),
        ("every_kind", "file", "path"),
    ],
)
def test_kinds_in_words(name, param, wanted):
    assert kind_text(REGISTRY[name].params[param]) == wanted


# -- JSON Schema -------------------------------------------------------------------------------------------------------

RUNS = [
    "txt2img x --size 64x64 --steps 2",
    "load_image a.png | img2img x --steps 2 --start-step 1",
    "load_image a.png | img2img x --steps 2 --strength 0",
    "load_image a.png | upscale --scale 1.5",
    "load_image a.png | resize 8x8 --how fill",
    "load_image a.png | crop 0:0:4:4",
    "load_image a.png | blur 0",
    "load_image a.png | contact_sheet --columns 1",
    "load_image a.png",
    "load_image a.png | paste m.png",
    "every_kind --size 3:4 --lora a:0.5 --numbers 5 --names x --tile 1 --maybe 3 --remark y --mood wild --seed 3",
    "every_kind --maybe none --remark none --file none --real -0.5",
]


@pytest.mark.parametrize("line", RUNS)
def test_the_schema_describes_what_runs_record(line):
    step = frames(run_of(line))[-1].step
    schema = json_schema(REGISTRY[step.node])
    recorded = [p.name for p in REGISTRY[step.node].recorded]
    schema["required"] = recorded
    schema["properties"] = {n: schema["properties"][n] for n in recorded}

    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(json.dumps(dict(step.params))))


@pytest.mark.parametrize("node", NODES, ids=NAMES)
def test_a_schema_is_sound_and_its_defaults_are_valid(node):
    schema = json_schema(node)

    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    for p in node.params.values():
        one = schema["properties"][p.name]
        assert one["description"] == p.arg.help
        if not p.required:
            Draft202012Validator(one).validate(one["default"])


@pytest.mark.parametrize(
    ("name", "param", "value"),
    [
        ("txt2img", "steps", 0),
        ("txt2img", "steps", 151),
        ("txt2img", "steps", 2.5),
        ("txt2img", "steps", "5"),
        ("txt2img", "size", "64"),
        ("txt2img", "scheduler", "no"),
        ("every_kind", "numbers", 5),
        ("every_kind", "on", "on"),
        ("every_kind", "whole", None),
        ("every_kind", "tile", 4),
    ],
)
def test_a_schema_refuses_what_a_parameter_does_not_take(name, param, value):
    assert not Draft202012Validator(json_schema(REGISTRY[name])["properties"][param]).is_valid(value)


def test_a_schema_refuses_unknown_and_missing_values():
    validator = Draft202012Validator(json_schema(REGISTRY["blur"]))

    assert validator.is_valid({"radius": 2})
    assert not validator.is_valid({"radius": 2, "more": 1})
    assert not Draft202012Validator(json_schema(REGISTRY["resize"])).is_valid({})


# -- completion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ["txt2img", "load_image", "every_kind", "explain", "help"]),
        ("tx", ["txt2img"]),
        ("up", []),
        ("x; tx", ["txt2img"]),
        ("txt2img x | upscale_", ["upscale_diffuse"]),
        ("txt2img x | txt2", []),
        ("txt2img x --st", ["--steps"]),
        ("txt2img x --steps 5 --steps", []),
        ("txt2img x --se", ["--seed", "--seamless"]),
        ("txt2img x --sede", ["--scheduler"]),
        ("txt2img x --sd", ["--ensd", "--seed", "--scheduler"]),
        ("txt2img --pro", []),
        ("@-1 | resize 8x8 --how ", ["fit", "fill", "stretch"]),
        ("@-1 | resize 8x8 --how=f", ["--how=fit", "--how=fill"]),
        ("@-1 | resize 8x8 --how fit,s", ["fit,stretch"]),
        ("txt2img x -A euler_a", ["euler_a", "euler_a_sgm"]),
        ("txt2img x --model ", ["pocket", "other"]),
        ("txt2img x --model po", ["pocket"]),
        ("load_image ", ["a.png", "b.png", "folder/"]),
        ("load_image a.png ", ["a.png", "b.png", "folder/"]),
        ("@-1 | paste ", ["m.png"]),
        ("txt2img x --prompt y --model z # a comment", []),
        ("$ ls ", []),
        ("foo ", []),
        ("txt2img x --steps ", []),
    ],
)
def test_what_completion_offers(text, wanted):
    assert words_offered(text) == wanted


def test_after_a_pipe_only_commands_that_take_pictures():
    found = words_offered("txt2img x | ")

    assert set(found) == {n.name for n in NODES if n.takes != "none"}
    assert found == words_offered("load_image a.png |") or [w.lstrip("|") for w in words_offered("load_image a.png |")]


def test_at_the_start_only_commands_that_need_none():
    assert {REGISTRY[w].takes for w in words_offered("")} == {"none"}


def test_flags_used_are_not_offered_again_but_lists_are():
    found = words_offered('every_kind "x" --whole 3 --numbers 5 --')

    assert "--whole" not in found
    assert {"--numbers", "--names", "--maybe", "--count"} <= set(found)


def test_flags_are_offered_behind_a_prompt_after_a_blank_only():
    assert words_offered("txt2img a red boat") == []
    assert "--steps" in words_offered("txt2img a red boat ")


def test_letters_in_order_are_tried_only_when_no_word_begins_so():
    assert words_offered("txt2img x -A heu")[:2] == ["heun", "heun_karras"]
    assert words_offered("txt2img x -A hk") == ["heun_karras"]


def test_an_item_replaces_the_word_it_completes():
    assert offered("txt2img x --st") == ["txt2img x --steps"]
    assert offered("txt2img a red boat --st") == ["txt2img a red boat --steps"]


def test_a_folder_takes_no_blank_behind_it():
    items = complete(
        read("load_image ", REGISTRY).pending, REGISTRY, "load_image ", lambda p, x: [("a/", ""), ("b", "")]
    )

    assert [(i.text, i.space) for i in items] == [("a/", False), ("b", True)]


def test_a_note_says_what_a_flag_is():
    (item,) = complete(read("txt2img x --ste", REGISTRY).pending, REGISTRY, "txt2img x --ste", lambda p, x: [])

    assert item.note == "Denoising steps.  [1 to 150, 24]"


def test_what_may_be_set():
    found = settable(REGISTRY)

    assert {"steps", "img2img.steps", "model", "count"} <= found.keys()
    assert not {"prompt", "image", "line", "mask"} & found.keys()
    assert found["txt2img.steps"] is REGISTRY["txt2img"].params["steps"]


@pytest.mark.parametrize(
    ("text", "wanted", "start"),
    [
        ("txt2img a boat <lora:in", ["ink"], 21),
        ('txt2img "a boat <lora:in', ["ink"], 22),
        ("txt2img a <embedding:", ["mood"], 21),
        ("txt2img a __co", ["__colour__"], 10),
        ("txt2img a boat --negative __", ["__colour__"], 26),
        (r"txt2img a \<lora:in", [], 0),
        ("txt2img a snake__co", [], 0),
    ],
)
def test_names_inside_a_prompt_are_offered(text, wanted, start):
    listed = {"lora": ["ink", "chrome"], "embedding": ["mood"], "": ["__colour__"]}

    def values(p, prefix):
        return [(name, "") for name in listed[p.kind.model]]

    items = complete(read(text, REGISTRY).pending, REGISTRY, text, values)

    assert [(i.text, i.start, i.space) for i in items] == [(name, start, False) for name in wanted]
