"""What a reader found as a line of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from foreign_material import REGISTRY
from hypothesis import given
from hypothesis import strategies as st

from invoke_shell.commands.generate import txt2img
from invoke_shell.metadata.foreign.line import to_line
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Lora, Model, Notes, Source, model_name
from invoke_shell.pipeline.bind import understand
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.schedulers import SCHEDULERS


def line(**values: Any) -> Any:
    return to_line(Foreign(tool="x", **values), REGISTRY)


WHOLE = {
    "prompt": "a fox", "negative": "blurry", "seed": 7, "steps": 20, "guidance": 7.5, "scheduler": "euler",
    "near": "euler", "scheduler_text": "Euler", "size": (512, 768), "model": Model(name="v1-5"),
}  # fmt: skip


def test_a_whole_one():
    assert line(**WHOLE) == (
        'txt2img "a fox" --negative "blurry" --size 512x768 --steps 20 --guidance 7.5 --scheduler euler --seed 7'
        " --model v1-5",
        (),
        (),
        False,
        {"checkpoint": ("v1-5",)},
        "x",
        False,
    )


EXTRAS = {
    "loras": (Lora(name="a", weight=0.8), Lora(name="b")), "embeddings": ("easy",), "vae": "mse", "clip_skip": 1,
}  # fmt: skip


def test_what_is_put_on_the_model():
    said = line(**WHOLE, **EXTRAS)

    assert said.missing == ()
    assert said.text.endswith(" --lora a:0.8 --lora b:1 --embedding easy --vae mse --clip-skip 1")
    assert said.models == {"checkpoint": ("v1-5",), "lora": ("a", "b"), "embedding": ("easy",), "vae": ("mse",)}


def test_what_no_flag_takes_is_said():
    """A program that has fewer flags: the names of what is lost, once for all stages."""
    bare = {p: txt2img.params[p] for p in txt2img.params if p not in ("lora", "embedding", "vae", "clip_skip", "steps")}
    fewer = Registry({**REGISTRY.nodes, "txt2img": replace(txt2img, params=bare)})

    assert to_line(Foreign(tool="x", **WHOLE, **EXTRAS), fewer).missing == (
        "not carried: steps 20",
        "not carried: lora a at 0.8, b at 1",
        "not carried: embedding easy",
        "not carried: vae mse",
        "not carried: clip skip 1",
    )


def test_a_lora_out_of_range_is_left_out_and_clip_skip_0_is_none():
    said = line(**WHOLE, loras=(Lora(name="a", weight=99.0),), clip_skip=0)

    assert "--lora" not in said.text
    assert "--clip-skip" not in said.text
    assert said.missing == ("left out: --lora takes -10 to 10 behind its colon, not a:99",)


def test_what_the_file_does_not_say_is_said():
    said = line(prompt="a")

    assert said.text == 'txt2img "a"'
    assert said.missing == ("the seed is not in the file: a fresh one is drawn",)
    assert said.guessed == ("not in the file, so what is set here counts: steps, guidance, scheduler, size",)


@pytest.mark.parametrize(
    ("values", "flag", "sentence"),
    [
        ({"steps": 0}, "--steps", "left out: --steps is 1 to 150, not 0"),
        ({"guidance": 1e6}, "--guidance", "left out: --guidance is 0 to 100, not 1000000"),
        ({"seed": -5}, "--seed", "left out: --seed is 0 to 18446744073709551615, not -5"),
        ({"size": (100, 512)}, "--size", "left out: --size is 64 to 4096 px, a multiple of 8, not 100x512"),
    ],
)
def test_numbers_out_of_range_are_left_out(values: dict[str, Any], flag: str, sentence: str):
    said = line(**{**WHOLE, **values})

    assert flag not in said.text
    assert said.missing == (sentence,)


def test_a_strength_out_of_range_is_left_out():
    assert line(**WHOLE, source=Source(), strength=3.0).missing[0] == "left out: --strength is 0 to 1, not 3"


def test_an_enlargement_out_of_range_is_left_out_whole():
    said = line(**WHOLE, then=(Enlarge(scale=0.5), Enlarge(size=(99999, 5)), Enlarge(scale=2.0)))

    assert said.text.count("|") == 1
    assert said.text.endswith(" | upscale --scale 2")
    assert len(said.missing) == 2


def test_a_source_is_piped_in():
    said = line(**WHOLE, source=Source(name="face.png", hash="ab" * 32), strength=0.5)

    assert said.continues
    assert said.text.startswith('| img2img "a fox" ')
    assert said.missing == (
        "the source picture face.png (sha256 abababababababab…) is not in the file: "
        "pipe it in, as in load_image FILE | ...",
    )


def test_a_later_pass_takes_prompts_and_model_from_the_line():
    said = line(**WHOLE, then=(Enlarge(scale=2.0), Draw(strength=0.4, seed=7, steps=10)))

    assert said.text.endswith(" | upscale --scale 2 | img2img --strength 0.4 --steps 10 --seed 7")


def test_nothing_drawn_is_no_line():
    assert line().text == ""


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("v1-5-pruned.safetensors", "v1-5-pruned"),
        ("SDXL\\sub/base.CKPT", "base"),
        ("owner/repo", "repo"),
        ("../../etc/passwd", "passwd"),
        ("~/x", "x"),
        (".hidden", "hidden"),
        ("@12", "12"),
        ("--steps", "steps"),
        ("a|b;c", "a|b;c"),
        ("sd15:fp16", "sd15:fp16"),
        ("", ""),
    ],
)
def test_a_models_name_is_never_a_path_a_handle_or_a_flag(theirs: str, ours: str):
    assert model_name(theirs) == ours


def test_what_cannot_be_printed_is_written_as_an_escape():
    said = line(prompt="a\x1b[31m\u202e\ufe00b\n", model=Model(name="x\u200by"), seed=1)

    assert said.text.startswith('txt2img "a\\u{1b}[31m\\u{202e}\\u{FE00}b\\u{a}"')
    assert understand(said.text, REGISTRY)[0].chain.stages[0].values["prompt"].value == "a\x1b[31m\u202e\ufe00b\n"
    assert said.text.isprintable()


def test_notes_are_safe_short_and_said_once():
    notes = Notes()
    notes.lost("x\x07", "\u202e" + "y" * 500)
    notes.lost("z")
    notes.lost("z")

    assert notes.missing == ("not carried: x\\u{7} \\u{202E}" + "y" * 159 + "…", "not carried: z")


def test_a_value_nested_too_deeply_to_be_shown():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    notes = Notes()
    notes.lost("x", deep)

    assert notes.missing == ("not carried: x …",)


texts = st.text(max_size=12) | st.none()
whole = st.integers() | st.none()
real = st.floats(allow_nan=False, allow_infinity=False) | st.none()
sizes = st.tuples(st.integers(0, 9999), st.integers(0, 9999)) | st.none()
names = st.text(max_size=12).map(model_name)
models = st.builds(Model, name=names) | st.none()
drawn = {
    "prompt": texts, "negative": texts, "seed": whole, "steps": whole, "guidance": real, "strength": real,
    "size": sizes, "scheduler": st.sampled_from(sorted(SCHEDULERS)) | st.none(), "model": models,
}  # fmt: skip
enlarged = st.builds(Enlarge, scale=real, size=sizes, upscaler=names)


@given(
    st.builds(
        Foreign,
        tool=st.just("x"),
        source=st.none() | st.builds(Source, name=st.text(max_size=9), how=st.sampled_from(["", "fit", "stretch"])),
        then=st.lists(st.builds(Draw, **drawn) | enlarged, max_size=3).map(tuple),
        before=st.lists(enlarged, max_size=1).map(tuple),
        loras=st.lists(st.builds(Lora, name=names, weight=real), max_size=2).map(tuple),
        embeddings=st.lists(names, max_size=2).map(tuple),
        vae=names,
        clip_skip=whole,
        **drawn,
    )
)
def test_every_line_binds_and_can_be_printed(found: Foreign):
    said = to_line(found, REGISTRY)

    assert all(sentence.isprintable() for sentence in (said.text, *said.missing, *said.guessed))
    if said.text:
        bound = understand(said.text, REGISTRY)[0].chain
        assert bound.continues == said.continues
        values = bound.stages[-1].values
        if found.drawn and not found.then:
            assert values["prompt"].value == (found.prompt or "")
