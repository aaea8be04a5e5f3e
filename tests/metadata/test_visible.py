"""Foreign text on the terminal, and in file names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invoke_shell.metadata.visible import safe_name, visible, visible_lines

SHOWN = [
    ("a red boat", "a red boat"),
    ("Straße, 猫, 😀, café", "Straße, 猫, 😀, café"),
    ("\x1b[31mred\x07", "\\u{1B}[31mred\\u{7}"),
    ("\x9b2J", "\\u{9B}2J"),
    ("a\r\nb\tc", "a\\u{D}\\u{A}b\\u{9}c"),
    ("abc\u202egpj.exe", "abc\\u{202E}gpj.exe"),
    ("a\u2066b\u2069", "a\\u{2066}b\\u{2069}"),
    ("zero\u200bwidth\ufeff", "zero\\u{200B}width\\u{FEFF}"),
    ("no\u00a0break", "no\\u{A0}break"),
    ("half \ud800", "half \\u{D800}"),
    ("line\u2028separator", "line\\u{2028}separator"),
    ("tag\U000e0041", "tag\\u{E0041}"),
    ("filler\u3164", "filler\\u{3164}"),
]


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_what_hides_is_shown(text: str, shown: str):
    assert visible(text) == shown


@settings(deadline=None)
@given(st.text(st.characters()))
def test_nothing_hidden_is_left(text: str):
    shown = visible(text)

    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    assert visible(shown) == shown


def test_lines_keep_their_feeds_and_nothing_else():
    assert visible_lines("a\nb\r\n\x1b") == "a\nb\\u{D}\n\\u{1B}"


NAMES = [
    ("a red boat", "a-red-boat"),
    ("../../etc/passwd", "etc-passwd"),
    ("..", "picture"),
    ("", "picture"),
    ("--help", "help"),
    (".bashrc", "bashrc"),
    ("C:\\Windows\\x", "C-Windows-x"),
    ("con", "_con"),
    ("NUL.png", "_NUL.png"),
    ("a\x00b\x1bc", "a-b-c"),
    ("猫", "猫"),
]


@pytest.mark.parametrize(("text", "name"), NAMES)
def test_safe_names(text: str, name: str):
    assert safe_name(text) == name


@settings(deadline=None)
@given(st.text(st.characters()), st.integers(4, 100))
def test_any_text_gives_a_file_name(text: str, limit: int):
    name = safe_name(text, limit)

    assert 0 < len(name.encode()) <= max(limit, len("picture"))
    assert not set(name) & set('/\\:*?"<>|\0\n\r\t ')
    assert name[0] not in ".-"
    assert name[-1] not in ". "
    assert visible(name) == name
