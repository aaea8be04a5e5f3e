"""Help: all commands by what they take and give, one of them, a search, the keys; never more than asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shell_kit import REGISTRY

from invoke_shell.pipeline.bind import read
from invoke_shell.shell.answers.pages import GROUPS, LONG, TOPICS, flag_page, overview, shortened, topic
from invoke_shell.shell.answers.searching import search
from invoke_shell.shell.answers.tasks import TASKS, tasks_for


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


def first_line(text: str) -> str:
    """The first line that is told to be typed."""
    return next((task.line for task in tasks_for(text)), "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("bigger", "upscale"),
        ("how do I make it larger", "upscale"),
        ("remove background", "apply_mask"),
        ("inpainting mask", "inpaint"),
        ("faster", "--steps"),
        ("negative prompt", "--negative"),
        ("same picture again", "replay"),
        ("faces", "restore_faces"),
        ("fix hands", "--zoom"),
        ("cfg", "--guidance"),
        ("sampler", "--scheduler"),
        ("merge two pictures", "blend"),
        ("xy plot", "--axes"),
        ("delete", "discard"),
        ("quit", "exit"),
        ("change the background", "inpaint"),
        ("zebra", ""),
    ],
)
def test_a_question_in_other_words_finds_what_is_typed(text, line):
    assert line in first_line(text)
    assert bool(first_line(text)) == bool(line)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.line)
def test_what_is_told_to_be_typed_is_a_line_without_faults_or_notes(task):
    reading = read(task.line, REGISTRY)

    assert (reading.faults, reading.parsed.notes) == ([], [])
    assert len(task.line) <= 78
    assert len(task.what) <= 80
    assert task in tasks_for(task.what)


def test_a_search_tells_each_command_and_flag_once():
    assert search("negative", REGISTRY) == [
        "Say what shall not be in it: a negative prompt",
        '  txt2img "a boat" --negative "people, text"',
        "",
        "  invert           Make a negative.",
        "",
        "  --negative       What to keep out of the picture. (txt2img, img2img, inpaint,",
        "                   … 3 more)",
    ]


@pytest.mark.parametrize(("text", "first"), [("blur", "blur"), ("grayscale", "grayscale"), ("sheet", "contact_sheet")])
def test_a_search_finds_commands_that_are_called_so_first(text, first):
    lines = search(text, REGISTRY)
    typed = {f"  {task.line}" for task in TASKS}

    assert names([line for line in lines if line not in typed])[0] == first


def test_a_word_deep_in_a_page_is_found_where_nothing_else_has_it():
    assert search("luminance", REGISTRY)
    assert search("zebra", REGISTRY) == []
    assert all(len(line) <= 80 for task in TASKS for line in search(task.what, REGISTRY))


def test_a_flag_is_described_once_for_all_that_have_it():
    few = replace(REGISTRY, nodes={name: REGISTRY[name] for name in ("txt2img", "blur", "img2img")})

    assert flag_page("--steps", few) == ["--steps of txt2img, img2img: Denoising steps.", "  1 to 150; default 24"]
    assert flag_page("--nothing", REGISTRY) == []


def test_a_long_page_says_where_the_rest_is():
    lines = [str(n) for n in range(100)]

    assert len(shortened(lines, "txt2img", whole=False)) == LONG
    assert shortened(lines, "txt2img", whole=False)[-1] == "… 41 more lines: help txt2img --all"
    assert shortened(lines, "txt2img", whole=True) == lines


def test_every_summary_is_whole_in_the_list():
    assert not [line for line in overview(REGISTRY, whole=True) if "…" in line]
