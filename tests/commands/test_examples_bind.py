"""The examples of every node mean something, and every node has some. Running them whole comes elsewhere."""

import pytest
from pipeline_kit import made_by, plan_of

from invoke_shell import commands, records
from invoke_shell.metadata import decode
from invoke_shell.pipeline.bind import read
from invoke_shell.pipeline.chain import to_text

REGISTRY = commands.registry()
EXAMPLES = [(n.name, e) for n in REGISTRY.values() for e in n.examples]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[e for _, e in EXAMPLES])
def test_an_example_binds_and_plans(name, example):
    reading = read(example, REGISTRY)

    assert reading.faults == []
    assert reading.parsed.notes == []
    assert made_by(plan_of(example, REGISTRY), name)
    assert to_text(reading.bound[0].chain, REGISTRY)


@pytest.mark.parametrize("name", list(REGISTRY))
def test_every_node_is_documented(name):
    node = REGISTRY[name]

    assert node.examples
    assert node.group
    assert node.summary.endswith(".")
    assert 10 < len(node.summary) < 120
    for p in node.params.values():
        assert p.arg.help.endswith(".")


def test_one_flag_means_one_thing_everywhere():
    meanings = {}
    for node in REGISTRY.values():
        for flag, p in node.flags.items():
            meanings.setdefault(flag, set()).add((type(p.kind).__name__, p.arg.unit))

    assert {flag: said for flag, said in meanings.items() if len(said) > 1} == {}


def test_what_is_made_can_be_read_back():
    assert records.MAX_PIXELS == decode.MAX_PIXELS
