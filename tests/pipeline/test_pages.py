"""What docs/language.md and docs/nodes.md show is so."""

import re
from pathlib import Path

import pytest
from command_kit import frame_of, pixel
from pipeline_kit import REGISTRY, chain_of, complaint, frames, plain_image, run_of

from invoke_shell import commands
from invoke_shell.pipeline.chain import to_text
from invoke_shell.pipeline.derive import help_node
from invoke_shell.pipeline.node import Node
from invoke_shell.pipeline.registry import Registry

DOCS = Path(__file__).parents[2] / "docs"
LANGUAGE = (DOCS / "language.md").read_text()
NODES = (DOCS / "nodes.md").read_text()
# `typed` | `canonical`; a bar inside is written as it is typed, so the cells are found by their backquotes.
ROWS = re.findall(r"^\| `(.+)` \| `(.+)` \|$", LANGUAGE.split("| typed | canonical |")[1].split("\n\n")[0], re.M)


@pytest.mark.parametrize(("typed", "canonical"), ROWS, ids=[t for t, _ in ROWS])
def test_what_is_typed_has_its_canonical_form(typed, canonical):
    typed = typed.replace(r"\|", "|")

    assert to_text(chain_of(typed), REGISTRY) == canonical
    assert chain_of(canonical) == chain_of(typed)


def test_there_are_examples_to_read():
    assert len(ROWS) >= 12


def test_the_mistake_of_the_page_is_answered_as_it_says():
    block = re.search(r"^    (txt2img a 5.+)\n((?:    .+\n)+)", LANGUAGE, re.M)
    line, answer = block[1], [row[4:] for row in block[2].splitlines()]

    assert answer == complaint(line).splitlines()[2:4]


def tint():
    """The node of the page."""
    space = {}
    exec(compile(re.search(r"```python\n(.+?)```", NODES, re.S)[1], "tint_node.py", "exec"), space)
    return next(v for v in space.values() if isinstance(v, Node))


def test_the_node_of_the_page_is_a_command_in_every_way():
    made = tint()
    registry = Registry.of(*commands.MODULES, made, loader="load_image")

    (frame,) = frames(run_of("load_image a.png | tint red -a 1", registry=registry))

    assert pixel(frame.image, 0, 0) == (255, 0, 0)
    assert dict(frame.step.params) == {"color": "#ff0000", "amount": 1}
    assert complaint("@-1 | tint red --amount 2", registry).splitlines()[2] == "--amount is 0 to 1, not 2"
    assert "Everything below the first line stands in the help." in "\n".join(help_node(made))
    for example in made.examples:
        assert complaint(example, registry) == ""


def test_the_node_of_the_page_can_be_called():
    from invoke_shell import Color

    assert pixel(tint()(frame_of(plain_image(2, 2)), Color(0, 0, 255), amount=1.0), 0, 0) == (0, 0, 255)
