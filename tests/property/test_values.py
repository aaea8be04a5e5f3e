"""Every kind of parameter reads what it writes: as text, as words of a line, as JSON."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_kit import REGISTRY, chain_of, filler, model_of
from pipeline_strategies import LINKS, one, sweeps, values

from invoke_shell.pipeline.chain import words
from invoke_shell.pipeline.kinds import kind_of
from invoke_shell.pipeline.types import Handle, number
from invoke_shell.records import ModelRecord

PARAMS = [(n.name, p) for n in REGISTRY.values() for p in n.params.values() if not n.builtin]
few = settings(max_examples=max(10, settings.default.max_examples // 4))  # of each of some eighty parameters
IDS = [f"{node}.{p.name}" for node, p in PARAMS]


def same(read, value):
    """Equal, and of one type: Path("a") is no "a", 1.0 no 1, though a Seed is an int."""
    return read == value and (isinstance(read, type(value)) or isinstance(value, type(read)))


@pytest.mark.parametrize(("node", "p"), PARAMS, ids=IDS)
@few
@given(data=st.data())
def test_text_reads_back(node, p, data):
    value = data.draw(values(p) if not p.kind.is_text else one(p))

    assert same(p.kind.parse(p.kind.format(value)), value)


@pytest.mark.parametrize(("node", "p"), PARAMS, ids=IDS)
@few
@given(data=st.data())
def test_json_reads_back(node, p, data):
    value = data.draw(values(p).filter(lambda v: v != "random"))

    plain = json.loads(json.dumps(p.kind.plain(value)))
    assert same(p.kind.from_plain(plain), value)


def needed(node, p):
    """Words of the other parameters that a line must have."""
    others = [q for q in REGISTRY[node].params.values() if q.required and q is not p and p.arg.excludes != q.name]
    return [word for q in others for word in ([] if q.positional else [q.flag]) + [filler(q)]]


@pytest.mark.parametrize(("node", "p"), PARAMS, ids=IDS)
@few
@given(data=st.data())
def test_words_of_a_line_read_back(node, p, data):
    value = data.draw(values(p))
    if p.kind.many:
        value = (value,)
    front = "" if REGISTRY[node].takes == "none" else "@1 | "
    rest = needed(node, p)

    chain = chain_of(f"{front}{' '.join([node, *words(p, value), *rest])}")

    assert same(chain.stages[-1].values[p.name].value, value)


SWEPT = [(n, p) for n, p in PARAMS if (p.kind.sweeps or p.kind.is_text) and not p.kind.many and not p.kind.optional]


@pytest.mark.parametrize(("node", "p"), SWEPT, ids=[f"{n}.{p.name}" for n, p in SWEPT])
@few
@given(data=st.data())
def test_sweeps_read_back(node, p, data):
    sweep = data.draw(sweeps(p))
    front = "" if REGISTRY[node].takes == "none" else "@1 | "
    rest = needed(node, p)

    chain = chain_of(f"{front}{' '.join([node, *words(p, sweep), *rest])}")

    assert chain.stages[-1].values[p.name].value == sweep


@given(LINKS)
def test_a_link_reads_back(link):
    assert Handle.parse(str(link)) == link


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_shortest_text_that_reads_back(x):
    text = number(x)

    assert float(text) == x
    assert len(text) <= len(repr(x))


@given(st.builds(model_of, st.sampled_from(["pocket", "a b", "x"])))
def test_a_model_is_written_by_name_and_hash(model):
    kind = kind_of(ModelRecord)

    assert kind is not None
    assert kind.format(model) == f"{model.name}@{model.hash[7:13]}"
    assert kind.plain(model) == kind.format(model)
