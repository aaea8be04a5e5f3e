"""Sentences on a terminal."""

from invoke_shell.shell.display.wrapping import wrapped


def test_a_long_line_is_broken_at_blanks_and_goes_on_further_in():
    assert wrapped("  missing: one two three\nshort", 16) == "  missing: one\n    two three\nshort"


def test_what_fits_stays_as_it_is():
    assert wrapped("a  b", 4) == "a  b"


def test_a_word_that_is_longer_than_a_line_stays_whole():
    word = "x" * 30

    assert wrapped(f"see {word}", 10) == f"see\n  {word}"
