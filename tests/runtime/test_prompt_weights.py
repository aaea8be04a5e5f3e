"""Weights, blends and texts side by side: the tensors of compel, bit for bit, for each family; and what they draw."""

import compel
import pytest
import torch
from compel import ReturnedEmbeddingsType, SplitLongTextMode
from models_small import small_record, small_sd1, small_sd2, small_sdxl

from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.prompts import Piece
from invoke_shell.pipeline.types import Size
from invoke_shell.runtime.conditioning import Embeddings
from invoke_shell.runtime.encoders import Reading

FAMILIES = {"sd1": small_sd1, "sd2": small_sd2, "sdxl": small_sdxl}

PROMPTS = [
    "a red boat",
    "a red++ boat",
    "a red+ boat--",
    "a (red boat)1.3 on a sea",
    "(a red boat)1.5",
    "a red boat (with (white)1.5 sails)0.7",
    "(a)0.5 (red)0.5 boat",
    "a (red)0 boat",
    "a (red)0.2 (boat)0.8 (at night)1.4",
    '("a red boat", "a blue house").blend(0.7, 0.3)',
    '("a red boat", "a blue+ house").blend()',
    '("a red boat", "a blue house").blend(1, -0.5, no_normalize)',
    '("a red boat", "a blue house").and()',
    '("a red boat", "a (blue)1.4 house").and(1, 0.6)',
    "(abcd)1.2 efgh " * 16,
    "(abcd)0.6 efgh " * 16,
    '("' + "abcd efgh " * 16 + '", "a house").blend(1, 1)',
    '("' + "abcd efgh " * 16 + '", "a house").and(0.5, 2)',
    "a \\(red\\) boat+",
]


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tmp_path_factory):
    return small_record(FAMILIES[request.param](tmp_path_factory.mktemp(request.param)), request.param, request.param)


@pytest.fixture(scope="module")
def reader(model, loaded_engine):
    return loaded_engine.stock.checkpoint(model).reader


def silent(text):
    """Not told."""


def theirs(reader, text):
    """compel's states (1, tokens, width): long texts cut where ours are, in the middle of a sentence too."""
    kinds = ReturnedEmbeddingsType
    two = len(reader.networks) == 2
    kind = kinds.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED if two else kinds.LAST_HIDDEN_STATES_NORMALIZED
    sides = [
        compel.Compel(
            encoder.tokenizer,
            encoder.network,
            truncate_long_prompts=False,
            returned_embeddings_type=kind,
            split_long_text_mode=SplitLongTextMode.BRUTAL,
        )(text)
        for encoder in (reader.encoders if two else [reader.encoder])
    ]
    return torch.cat(sides, dim=-1)


def ours(reader, text):
    with torch.no_grad():
        return Embeddings().pair(reader, text, None, silent)[0]


@pytest.mark.parametrize("text", PROMPTS)
def test_tensors_are_compels(reader, text):
    assert torch.equal(ours(reader, text).states, theirs(reader, text))


@pytest.mark.parametrize("text", ["a red++ boat--", "(a red boat)1.5"])
def test_pooled_is_of_the_words_alone(reader, text):
    plain = text.translate(str.maketrans("", "", "+-()1.5"))

    found, wanted = ours(reader, text).pooled, ours(reader, plain).pooled
    assert (found is None and wanted is None) or torch.equal(found, wanted)


def test_pooled_is_blended_as_the_states_are(reader):
    if len(reader.networks) < 2:
        pytest.skip("no pooled result in this family")

    one, two = (ours(reader, text).pooled for text in ("a boat", "a house"))

    assert torch.allclose(ours(reader, '("a boat", "a house").blend(3, 1)').pooled, (3 * one + two) / 4, atol=1e-6)


def test_weights_are_taken_behind_a_skipped_layer_too(reader):
    skipped = Reading(skip=1)
    with torch.no_grad():
        plain = reader.read((Piece("a red boat"),), skipped).states
        heavy = reader.read((Piece("a "), Piece("red", 1.5), Piece(" boat")), skipped).states
        empty = reader.read((Piece(""),), skipped).states

    place = 2  # of r, e, d behind the mark and the a
    assert torch.equal(heavy[:, :place], plain[:, :place])
    assert torch.allclose(heavy[:, place], empty[:, place] + 1.5 * (plain[:, place] - empty[:, place]), atol=1e-6)


def request_of(model, prompt):
    return Generation(
        prompt=prompt, model=model, size=Size(64, 64), steps=2, guidance=5.0, scheduler="ddim", seed=7, negative="blue+"
    )


def test_a_weight_changes_the_picture_and_one_does_not(model, real_engine):
    plain, one, heavy = (
        next(real_engine.generate(request_of(model, text))).image
        for text in ("a red boat", "a (red)1 boat", "a (red)1.5 boat")
    )

    assert plain == one
    assert plain != heavy


def test_words_are_looked_up_without_their_weights(model, real_engine, told):
    from dataclasses import replace

    from invoke_shell.runtime.drawing import told as condition

    checkpoint = replace(real_engine.stock.checkpoint(model), words=frozenset({"a", "red", "boat", "blue"}))
    desk = real_engine.watch(told).desk()

    with torch.inference_mode():
        condition(checkpoint, request_of(model, "a (red cathedral)1.3, boat++"), desk)
        condition(checkpoint, request_of(model, '("a red boat", "a cathedral").blend(1, 1)'), desk)

    assert told.said == [f"{model.name} does not know: cathedral"] * 2  # of each prompt; a line says it once


def test_tokens_are_shown_with_their_weights(model, real_engine, told):
    from dataclasses import replace

    request = replace(request_of(model, "a (red)1.3 boat--"), tokens=True, negative='("a", "b").blend(3, 1)')

    next(real_engine.watch(told).generate(request))

    assert [line for line in told.said if " of 75" in line] == [
        "prompt: 8 tokens of 75: a r·e·d×1.3 b·o·a·t×0.81",
        "negative 1 of 2, weight 3: 1 token of 75: a",
        "negative 2 of 2, weight 1: 1 token of 75: b",
    ]


def test_tokens_of_a_long_prompt_are_shown_by_chunks(model, real_engine, told):
    from dataclasses import replace

    next(real_engine.watch(told).generate(replace(request_of(model, "ab " * 50), tokens=True, negative="")))

    lines = [line for line in told.said if line.startswith(("prompt:", "negative:"))]
    assert [line.rpartition(": ")[0] if "a·b" in line else line for line in lines] == [
        "prompt: 75 tokens of 75, chunk 1 of 2",
        "prompt: 25 tokens of 75, chunk 2 of 2",
        "negative: 0 tokens of 75",
    ]
