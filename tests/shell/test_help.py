"""Help: all commands by what they take and give, one of them, a search, the keys; never more than asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shell_kit import REGISTRY

from invoke_shell.shell.answers.pages import GROUPS, LONG, TOPICS, flag_page, overview, search, shortened, topic


def names(lines: list[str]) -> list[str]:
    """First words of the indented lines that are no flags."""
    return [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]


def test_all_commands_are_listed_by_what_they_take_and_give():
    lines = overview(REGISTRY, whole=True)

    assert lines[0] == "Begin a line                  nothing → pictures"
    assert "  txt2img          Draw pictures from a text prompt." in lines
    assert "All pictures together         all pictures → picture" in lines
    assert sorted(names(lines)) == sorted(REGISTRY)
    assert max(map(len, lines)) <= 80


def test_the_short_list_fits_and_leaves_no_command_out():
    lines = overview(REGISTRY)

    assert len(lines) <= LONG
    assert max(map(len, lines)) <= 80
    words = set(" ".join(lines).split())
    assert not [name for name in REGISTRY if name not in words]
    assert lines[-2] == "help shell and help --all describe what is only named"


def test_many_more_commands_still_fit():
    more = {f"{name}_{n}": replace(node, name=f"{name}_{n}") for n in range(3) for name, node in REGISTRY.items()}

    lines = overview(replace(REGISTRY, nodes=more))

    assert len(lines) <= LONG
    assert "txt2img_2" in " ".join(lines)


@pytest.mark.parametrize("word", [*GROUPS, *TOPICS, "schedulers"])
def test_every_group_and_topic_has_a_page_of_eighty_columns(word):
    lines = topic(word, REGISTRY)

    assert lines
    assert len(lines) <= LONG
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("blur", "blur"),
        ("grayscale", "grayscale"),
        ("negative prompt", "txt2img"),
        ("sheet", "contact_sheet"),
        ("zebra", ""),
    ],
)
def test_a_search_finds_what_is_called_so_first(text, first):
    found = names(search(text, REGISTRY))

    assert (found[0] if found else "") == first


def test_a_flag_is_described_once_for_all_that_have_it():
    few = replace(REGISTRY, nodes={name: REGISTRY[name] for name in ("txt2img", "blur", "img2img")})

    assert flag_page("--steps", few) == ["--steps of txt2img, img2img: Denoising steps.", "  1 to 150; default 24"]
    assert flag_page("--nothing", REGISTRY) == []


def test_a_long_page_says_where_the_rest_is():
    lines = [str(n) for n in range(100)]

    assert len(shortened(lines, "txt2img", whole=False)) == LONG
    assert shortened(lines, "txt2img", whole=False)[-1] == "… 41 more lines: help txt2img --all"
    assert shortened(lines, "txt2img", whole=True) == lines


def test_every_sentence_of_a_list_ends_where_it_may():
    for line in overview(REGISTRY, whole=True):
        assert not line.endswith((", …", "; …", ": …"))
