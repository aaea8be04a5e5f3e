"""Tokens without a library are those of the library; and the lines that show them."""

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from invoke_shell.models.catalogue import ASSETS
from invoke_shell.runtime import clip_words
from invoke_shell.runtime.tokens import speller_of, token_lines

TEXTS = st.text(alphabet="abcdefgh ABC'’.,!?-_09äßé猫😀²\n\tthe ing", max_size=30) | st.text(
    st.characters(exclude_categories=("Cn", "Co", "Cs")), max_size=20
)


@pytest.fixture(scope="module", params=["pocket", "clip"])
def both(request, tmp_path_factory):
    """A speller of ours and the library's tokenizer of the same vocabulary."""
    from invoke_shell.runtime._diffusers import load_tokenizer, make_tokenizer

    if request.param == "pocket":
        return speller_of(ASSETS / "pocket"), load_tokenizer(str(ASSETS / "pocket"), "tokenizer")
    file = tmp_path_factory.mktemp("file") / "model.safetensors"
    file.write_bytes(b"")
    return speller_of(file), make_tokenizer(*clip_words.vocabulary(), "<|endoftext|>")


@settings(deadline=None)
@example(text="\u0391\u03a3 don't 'tis x'S ''s")
@given(text=TEXTS)
def test_tokens_are_the_librarys(both, text):
    spell, library = both
    ids = library(text, add_special_tokens=False, verbose=False)["input_ids"]

    assert spell(text) == [library.convert_ids_to_tokens(n) for n in ids]


def test_a_folder_without_a_tokenizer_has_no_speller(tmp_path):
    assert speller_of(tmp_path) is None


def test_lines_of_a_blend():
    spell = speller_of(ASSETS / "pocket")

    assert list(token_lines("prompt", '("a red+ boat", "a").blend(2, 1)', spell)) == [
        "prompt 1 of 2, weight 2: 3 tokens of 75: a red×1.1 boat",
        "prompt 2 of 2, weight 1: 1 token of 75: a",
    ]


def test_showing_tokens_imports_no_torch():
    code = "import sys, invoke_shell.runtime.tokens; print([m for m in ('torch', 'transformers') if m in sys.modules])"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"
