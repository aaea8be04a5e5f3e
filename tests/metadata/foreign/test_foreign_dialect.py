"""Prompts of other programs in our words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_shell.metadata.foreign.dialect import A1111, COMFYUI, NOVELAI, Dialect, rewrite
from invoke_shell.metadata.foreign.result import Lora, Notes
from invoke_shell.pipeline.prompts import plain_text, read_prompt

A1111_TEXTS = [
    ("a cat", "a cat"),
    ("(a)", "(a:1.1)"),
    ("((x))", "(x:1.21)"),
    ("[x]", "(x:0.9091)"),
    ("[[x]]", "(x:0.8264)"),
    ("(x:1.21)", "(x:1.21)"),
    ("(x: 1.215 )", "(x:1.215)"),
    ("(x:.5)", "(x:0.5)"),
    ("a ( b ) c", "a  (b:1.1)  c"),
    ("((a) b)", "(a:1.21) (b:1.1)"),
    ("((a:1.3) b)", "(a:1.43) (b:1.1)"),
    ("(a (b (c:2) d) e)", "(a:1.1) (b:1.21) (c:2.42) (d:1.21) (e:1.1)"),
    (r"miku \(vocaloid\)", "miku (vocaloid)"),
    (r"(miku \(vocaloid\):1.2)", r"(miku \(vocaloid\):1.2)"),
    (r"a \\ b", "a \\ b"),
    ("(a", "(a"),
    ("a)", "a)"),
    ("(a [b) c]", "(a [b:1.1) c]"),
    ("(a:b:1.2)", "(a:b:1.2)"),
    ("(a:b)", "(a:b:1.1)"),
    ("a: b", "a: b"),
    ("()", ""),
    ("[a:b]", "(a:b:0.9091)"),
    ("", ""),
]


@pytest.mark.parametrize(("theirs", "ours"), A1111_TEXTS)
def test_weights_of_automatic1111_are_written_out(theirs: str, ours: str):
    assert rewrite(theirs, A1111, Notes()).text == ours


@pytest.mark.parametrize(
    ("theirs", "ours", "named"),
    [
        ("a [cat:dog:0.5]", "a cat", "[cat:dog:0.5]"),
        ("a [dog:10]", "a dog", "[dog:10]"),
        ("a [dog::0.5]", "a dog", "[dog::0.5]"),
        ("a [:dog:0.5]", "a dog", "[:dog:0.5]"),
        ("a [cat|dog|fox]", "a cat", "[cat|dog|fox]"),
    ],
)
def test_a_prompt_that_changes_during_the_run_keeps_its_first_text(theirs: str, ours: str, named: str):
    notes = Notes()

    assert rewrite(theirs, A1111, notes).text == ours
    assert notes.missing == (f"not carried: a prompt that changes during the run {named}",)


def test_break_and_and_join_texts_and_are_named():
    notes = Notes()

    assert rewrite("a cat, BREAK a dog\nAND a SAND fox", A1111, notes).text == "a cat, a dog, a SAND fox"
    assert notes.missing == (
        "BREAK in the prompt is not carried: what it joins is one text",
        "AND in the prompt is not carried: what it joins is one text",
    )


def test_loras_are_taken_out_of_the_text():
    notes = Notes()
    said = rewrite("a cat <lora:sub/detail.v2:0.8> <lyco:x> <lora:y:te=0.5:unet=1>, <hypernet:z:1>", A1111, notes)

    assert said.text == "a cat   ,"
    assert said.loras == (Lora(name="detail.v2", weight=0.8), Lora(name="x"), Lora(name="y", weight=0.5))
    assert notes.missing == ("not carried: <hypernet:z:1>",)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("(a)", "(a:1.1)"),
        ("((a:1.3) b)", "(a:1.3) (b:1.1)"),  # a weight stands for itself, whatever is around it
        ("[a] (b:0.5)", "[a] (b:0.5)"),
        (r"\(a\)", "(a)"),
        ("a AND b BREAK [c:d:0.5]", "a AND b BREAK [c:d:0.5]"),
    ],
)
def test_weights_of_comfyui(theirs: str, ours: str):
    assert rewrite(theirs, COMFYUI, Notes()).text == ours


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("{a}", "(a:1.05)"),
        ("{{a}}, [b], (c)", r"(a:1.1025), (b:0.9524), \(c\)"),
        ("1.5::a, b::, c", "(a, b:1.5), c"),
        ("-1::hat ::x", "(hat:-1.0) x"),
        ("0.5::{a}", "(a:0.525)"),
        (r"a \(b\)", r"a \\\(b\\\)"),
    ],
)
def test_weights_of_novelai(theirs: str, ours: str):
    assert rewrite(theirs, NOVELAI, Notes()).text == ours


def test_textual_inversions_are_named_by_their_word():
    said = rewrite("a embedding:sub/easy.pt, <embed:bad>", COMFYUI, Notes())

    assert (said.text, said.embeddings) == ("a easy, bad", ("bad", "easy"))


def test_a_weight_beyond_all_reason_is_none():
    assert rewrite("(a:99999)" + "(" * 9000 + "b" + ")" * 9000, A1111, Notes()).text == "ab"


def test_weights_are_said_once_for_each_prompt():
    notes = Notes()
    rewrite("(a) (b:1.2)", A1111, notes)
    rewrite("(a)", A1111, notes, "negative prompt")
    rewrite("a (plain text", A1111, notes)

    assert notes.guessed == (
        "the weights in the prompt pull a little otherwise here: as InvokeAI's do",
        "the weights in the negative prompt pull a little otherwise here: as InvokeAI's do",
    )


@given(st.text("ab :()[]{}\\|.,1<>lora", max_size=60), st.sampled_from([A1111, COMFYUI, NOVELAI]))
def test_any_text_can_be_rewritten(text: str, dialect: Dialect):
    assert isinstance(rewrite(text, dialect, Notes()).text, str)


@given(st.text("abc ,.!?'-+_/:;<>\"", max_size=60))
def test_a_text_without_brackets_means_itself(text: str):
    assert plain_text(rewrite(text.replace("<", ""), A1111, Notes()).text) == text.replace("<", "").strip()


@given(st.text("ab ()[]\\", max_size=40))
def test_what_our_own_parameters_escape_comes_back(text: str):
    escaped = "".join("\\" + c if c in "\\()[]" else c for c in text)

    assert plain_text(rewrite(escaped, A1111, Notes()).text) == text.strip()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("c++ and 8k+, x-", r"c\+\+ and 8k\+, x\-"),
        ("(c++:1.2) b", r"(c\+\+:1.2) b"),
        ('("a", "b").blend(1, 2)', '"a", "b".blend1, 2'),
    ],
)
def test_what_is_text_there_and_a_mark_here_is_escaped(theirs: str, ours: str):
    said = rewrite(theirs, A1111, Notes()).text

    assert said == ours
    assert read_prompt(said).faults == ()
