"""Lists of words on disk: what a wildcard names, and one sentence for each that cannot be used."""

import pytest

from invoke_shell.errors import BlockedError
from invoke_shell.shell.wildcards import Wildcards


@pytest.fixture
def lists(tmp_path):
    (tmp_path / "animals").mkdir()
    (tmp_path / "colour.txt").write_text("# colours\nred\n\n  green \nred\n{dark|light} blue\n", encoding="utf-8-sig")
    (tmp_path / "animals" / "birds.txt").write_text("a __colour__ owl\n", encoding="utf-8")
    return Wildcards(tmp_path)


def test_lines_without_comments_blanks_and_twins(lists):
    assert lists.lines("colour") == ("red", "green", "{dark|light} blue")


def test_names_of_all_folders(lists):
    assert lists.names() == ["animals/birds", "colour"]


def test_a_wildcard_brings_those_it_names(lists):
    assert set(lists.with_inner("animals/birds")) == {"animals/birds", "colour"}


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("color", None, "there is no wildcard color", "did you mean __colour__?\n  in '...' it is text"),
        ("../colour", None, "there is no wildcard ../colour", None),
        ("empty", b"# nothing\n", "the wildcard empty has no lines", None),
        ("bytes", b"\xff\xfe\x00", "the wildcard bytes cannot be read: it is no text in UTF-8", None),
        ("lora", b"a <lora:x:1>\n", "the wildcard lora names a LoRA or an embedding",
         "write it on the line itself, or as --lora NAME:0.8"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_sentence(lists, name, text, message, hint):
    if text is not None:
        (lists.folder / f"{name}.txt").write_bytes(text)

    with pytest.raises(BlockedError) as raised:
        lists.lines(name)

    assert raised.value.message == message
    assert hint is None or raised.value.hint == hint


def test_an_unknown_one_says_where_its_lines_belong(lists):
    with pytest.raises(BlockedError) as raised:
        lists.lines("weather")

    assert raised.value.hint == f"its lines belong into {lists.folder / 'weather.txt'}\n  in '...' it is text"
