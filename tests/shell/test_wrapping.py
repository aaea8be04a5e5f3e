"""Sentences on a terminal."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_shell.errors import cells
from invoke_shell.shell.display.wrapping import columns_kept, in_column, wrapped


def test_a_long_line_is_broken_at_blanks_and_goes_on_further_in():
    assert wrapped("  missing: one two three\nshort", 16) == "  missing: one\n    two three\nshort"


def test_what_fits_stays_as_it_is():
    assert wrapped("a  b", 4) == "a  b"


def test_a_word_that_is_longer_than_a_line_stays_whole():
    word = "x" * 30

    assert wrapped(f"see {word}", 10) == f"see\n  {word}"


PATH = "/a/very/long/path/that/nobody/should/have/to/put/together/again.safetensors"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("one two three four five", "one two three four\nfive"),
        ("  a hint that is long too", "  a hint that is\n  long too"),
        (f"see {PATH} there", f"see\n{PATH}\nthere"),
        ("狐狸 狐狸 狐狸 狐狸 狐狸", "狐狸 狐狸 狐狸 狐狸\n狐狸"),
        ("  txt2img --a b --c d --e\n              ^\nno b", "  txt2img --a b --c d --e\n              ^\nno b"),
    ],
)
def test_lines_end_between_words(text, wanted):
    assert wrapped(text, 20, hang=0) == wanted


def test_two_blanks_part_columns_and_stay():
    assert wrapped("one  two  three  four", 12, hang=0) == "one  two\nthree  four"


def test_a_row_of_a_list_stays_in_its_column_and_within_a_few_rows(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")

    assert in_column("   1  ", "a short line", "  0.1 s") == "   1  a short line  0.1 s"
    rows = in_column("   1  ", "a longer line " * 40, "  0.1 s").split("\n")
    assert [row[:6] for row in rows] == ["   1  ", " " * 6, " " * 6]
    assert rows[-1].endswith(" …  0.1 s")
    assert max(map(len, rows)) <= 60
    whole = in_column("* ", "狐狸" * 60, rows=1)
    assert whole.endswith("…")
    assert cells(whole) <= 60


def test_in_a_pipe_a_row_of_a_list_is_one_line():
    assert in_column("   1  ", "a longer line " * 40, "  0.1 s").count("\n") == 0


@given(st.text("ab 狐^\n", max_size=200), st.integers(20, 40))
def test_nothing_is_lost_and_only_words_are_wider(text, width):
    out = wrapped(text, width)

    assert out.split() == text.split()
    assert all(cells(line) <= width or " " not in line.strip() or "^" in text for line in out.split("\n"))


def test_an_error_of_the_program_is_broken_between_words_on_a_terminal(tmp_path):
    import pexpect
    import pyte

    words = ["-m", "invoke_shell", "--home", str(tmp_path / "home"), "models", "add", f"{PATH}/{'x' * 20}"]
    child = pexpect.spawn(sys.executable, words, dimensions=(24, 80), encoding="utf-8")
    child.expect(pexpect.EOF, timeout=60)
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(child.before)

    rows = [row.rstrip() for row in screen.display if row.strip()]
    assert rows[0] == "there is no model at"
    assert rows[-1] == "  there is no folder /a"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  hue   Turn all the colours round.", "  hue   Turn all the\n        colours round."),
        ("a   on   default  Also write it.", "a   on   default  Also\n         write it."),
        ("a sentence without any columns", "a sentence without any\n  columns"),
        ("  of a paragraph of more rows", "  of a paragraph of\n  more rows"),
        ("  hue   Turn.", "  hue   Turn."),
    ],
)
def test_what_follows_in_a_page_stands_below_its_column(text, wanted):
    assert columns_kept(text, 22) == wanted


@given(st.lists(st.text("ab ", max_size=60)), st.integers(20, 60))
def test_a_page_keeps_its_words(lines, width):
    page = "\n".join(lines)

    assert columns_kept(page, width).split() == page.split()
