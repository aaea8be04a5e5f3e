"""Short words: where they expand, in the line and before it runs, and what may be one."""

from __future__ import annotations

import pytest
from shell_kit import ENTER, FakeSession, Typist, offers, readings, stands

from invoke_shell.errors import LineError
from invoke_shell.shell.archive.store import Store
from invoke_shell.shell.edit_line.abbreviations import define, expansion

KNOWN = {"ink": 'txt2img "in ink" --steps 8', "big": "upscale --scale 4"}


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("ink", 0),
        ("  ink", 2),
        ("txt2img x | big", 12),
        ("txt2img x; ink", 11),
        ("txt2img x\nbig", 10),
        ("txt2img ink", None),
        ('"ink', None),
        ("inks", None),
        ("txt2img x | blur big", None),
        ("", None),
        ("# ink", None),
    ],
)
def test_only_what_stands_for_a_command_expands(text, begins):
    found = expansion(readings(text), text, len(text), KNOWN)

    assert (None if found is None else found[0]) == begins


def test_a_word_expands_with_a_blank_and_with_enter_and_the_long_line_runs(tmp_path):
    session = FakeSession(tmp_path)
    for word, text in KNOWN.items():
        session.store.set_abbreviation(word, text)

    ran = Typist(session).types(
        "ink ", stands('txt2img "in ink" --steps 8 '), "--seed 7 | big", ENTER, lambda typist: bool(session.ran)
    )

    assert ran == ['txt2img "in ink" --steps 8 --seed 7 | upscale --scale 4']


def test_a_short_word_is_offered_and_not_red(tmp_path):
    session = FakeSession(tmp_path)
    session.store.set_abbreviation("ink", KNOWN["ink"])

    Typist(session).types("in", offers("ink"), "k", lambda typist: styles(typist) == [""])


def styles(typist):
    """The styles of the line's pieces."""
    return [style for style, _ in typist.editor.prompt.lexer.lex_document(typist.buffer.document)(0)]


def test_what_may_be_an_abbreviation(tmp_path):
    store = Store.open(tmp_path)
    registry = FakeSession(tmp_path / "other").registry

    define(store, registry, "ink txt2img a fox")
    define(store, registry, "ink  blur")

    assert store.abbreviations() == {"ink": "blur"}
    for text, said in (
        ("txt2img x", "txt2img is a command already"),
        ("3d blur", "3d cannot be an abbreviation"),
        ("ink", "ink stands for nothing yet"),
    ):
        with pytest.raises(LineError) as raised:
            define(store, registry, text)
        assert raised.value.faults[0].message == said
    store.close()
