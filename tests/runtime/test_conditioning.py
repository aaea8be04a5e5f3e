"""Prompts to embeddings: equal to diffusers', in chunks when long, never encoded twice."""

import dataclasses

import pytest
import torch

from invoke_shell.pipeline.types import Size
from invoke_shell.runtime.conditioning import Embeddings, unknown_words

LONG = "abcde " * 24  # 120 letters; the small vocabulary has a token for each


@pytest.fixture
def counted(real_engine, small_model):
    """The small model's way to read, and the list that grows with every run of its text encoder."""
    reader = real_engine.stock.checkpoint(small_model).reader
    calls = []
    hook = reader.networks[0].register_forward_hook(lambda *_: calls.append(1))
    yield reader, calls
    hook.remove()


def states(reader, prompt, negative, say=None):
    """What the U-Net is told, (n, tokens, width)."""
    coded = Embeddings().pair(reader, prompt, negative, say or silent)
    return reader.conditioning(coded, Size(64, 64)).states


def silent(text):
    raise AssertionError(f"said {text}")


@torch.no_grad()
def test_one_chunk_equals_encode_prompt(counted, diffusers_pipe):
    positive, negative = diffusers_pipe.encode_prompt("A red Circle, 日本!", "cpu", 1, True, "blue")

    pair = states(counted[0], "A red Circle, 日本!", "blue")

    assert torch.equal(pair, torch.cat([negative, positive]))


@torch.no_grad()
def test_empty_prompt_equals_encode_prompt(counted, diffusers_pipe):
    positive, negative = diffusers_pipe.encode_prompt("", "cpu", 1, True, None)

    assert torch.equal(states(counted[0], "", ""), torch.cat([negative, positive]))


@torch.no_grad()
def test_long_prompt_is_chunks_and_the_negative_is_filled_to_match(counted):
    said = []

    pair = states(counted[0], LONG, "blue", said.append)

    empty = states(counted[0], "", None)
    assert said == ["prompt has 120 tokens: 2 chunks of 75"]
    assert pair.shape == (2, 154, 32)
    assert torch.equal(pair[:1, 77:], empty)


@torch.no_grad()
def test_chunks_join_where_the_tokens_do(counted):
    pair = states(counted[0], "a" * 75 + " " + "b" * 10, None, lambda text: None)

    # The 75th letter ends the word, so both halves are tokenised alone as they are together.
    first = states(counted[0], "a" * 75, None)
    second = states(counted[0], "b" * 10, None)
    assert torch.equal(pair, torch.cat([first, second], dim=1))


def test_prompt_is_not_encoded_again(counted):
    reader, calls = counted
    cache = Embeddings()

    for _ in range(3):
        cache.pair(reader, "a red circle", "blue", silent)

    assert len(calls) == 2


def test_only_the_changed_prompt_is_encoded(counted):
    reader, calls = counted
    cache = Embeddings()

    cache.pair(reader, "a red circle", "blue", silent)
    cache.pair(reader, "a green circle", "blue", silent)

    assert len(calls) == 3


def test_another_model_has_other_embeddings(counted):
    reader, calls = counted
    cache = Embeddings()
    other = dataclasses.replace(reader, key="other")

    cache.pair(reader, "a red circle", None, silent)
    cache.pair(other, "a red circle", None, silent)

    assert len(calls) == 2


def test_longest_unused_prompt_is_forgotten(counted):
    reader, calls = counted
    cache = Embeddings(capacity=2)

    for prompt in ("a", "b", "a", "c", "a", "b"):
        cache.pair(reader, prompt, None, silent)

    assert len(calls) == 4  # a, b, c, and b again


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("a red star", []),
        ("A Red cathedral, in the CATHEDRAL", ["cathedral"]),
        ("a girl's star", ["girl's"]),
        ("3 red stars", ["stars"]),
        ("", []),
    ],
)
def test_unknown_words(prompt, unknown):
    assert unknown_words(prompt, frozenset({"a", "red", "star", "in", "the"})) == unknown
