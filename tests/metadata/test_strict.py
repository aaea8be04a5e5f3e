"""JSON from a stranger."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_material import plain

from invoke_shell.errors import MetadataError
from invoke_shell.metadata.strict import MAX_DEPTH, MAX_VALUES, dumps, listing, loads

REFUSED = [
    ("", "it is not JSON from character 0 on"),
    ("{", "it is not JSON from character 1 on"),
    ("\ufeff{}", "it is not JSON from character 0 on"),
    ('{"a": 1, "a": 2}', "the JSON has an object with the same key twice"),
    ('{"b": {"a": 1, "\\u0061": 2}}', "the JSON has an object with the same key twice"),
    ("[NaN]", "the JSON has NaN, which is no number"),
    ("[-Infinity]", "the JSON has -Infinity, which is no number"),
    ("[1e999]", "the JSON has a number too large for a float"),
    (f"[{2**64}]", "the JSON has an integer beyond 64 bits"),
    (f"[{-(2**63) - 1}]", "the JSON has an integer beyond 64 bits"),
    ("[" + "9" * 1_000_000 + "]", "the JSON has an integer beyond 64 bits"),
    ('["\\ud800"]', "the JSON has half a surrogate pair, which is no character"),
    ('{"\\udfff": 1}', "the JSON has half a surrogate pair, which is no character"),
    ("[" * 65 + "]" * 65, "the JSON is nested deeper than 64 levels"),
    ('{"a":' * 65 + "1" + "}" * 65, "the JSON is nested deeper than 64 levels"),
    ("[" * 100_000, "the JSON is nested deeper than 64 levels"),
    ('{"a":' * 100_000, "the JSON is nested deeper than 64 levels"),
    ("[" + "1," * 350_000 + "1]", "the JSON has more than 350,000 values"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text[:12] for text, _ in REFUSED])
def test_refused_with_a_sentence(text: str, message: str):
    with pytest.raises(MetadataError) as caught:
        loads(text)

    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"[{2**64 - 1}, {-(2**63)}]", [2**64 - 1, -(2**63)]),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
        ('["\\ud83d\\ude00"]', ["\N{GRINNING FACE}"]),
        ('["\\\\ud800"]', ["\\ud800"]),
        ("5", 5),
    ],
)
def test_read(text: str, value: Any):
    assert loads(text) == value


@settings(deadline=None)
@given(plain)
def test_what_is_written_is_ascii_and_comes_back(value: Any):
    text = dumps(value)

    assert text.isascii()
    assert loads(text) == value


@pytest.mark.parametrize(
    "value", [float("nan"), [float("inf")], {"a": "\ud800"}, {"a": {1, 2}}, 2**64, [[]] * MAX_VALUES]
)
def test_what_could_not_be_read_is_not_written(value: Any):
    with pytest.raises(MetadataError):
        dumps(value)


@settings(deadline=None)
@given(st.text(st.sampled_from('{}[]",:\\u0d8e1-. \n'), max_size=60))
def test_any_text_is_read_or_refused(text: str):
    with suppress(MetadataError):
        json.dumps(loads(text), allow_nan=False)


# -- for a listing -----------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=8), plain, max_size=6))
def test_a_listing_gives_the_same_value_and_where_its_parts_stand(value: Any):
    text = dumps(value)

    found, spans = listing(text)

    assert found == loads(text) == value
    assert {key: loads(text[begin:end]) for key, (begin, end) in spans.items()} == value


@pytest.mark.parametrize(
    "text",
    ['{ "a":1}', '{"a" :1}', '{"a":1 }', "[1]", "1", '"a"', '{"a":\n1}', '{"a":1}\n', "{}", '{"b":[1, 2],"a":1}'],
)
def test_a_listing_of_what_is_not_compact_is_read_all_the_same(text: str):
    assert listing(text)[0] == loads(text)


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{"a":1}}', '{"a":1,"a":2}', '{"a":NaN}', '{"a":1,b}',
     '{"a":-Infinity}', '{"a":' + "[" * 5000, "{" * 5000, '{"a":' + "9" * 5000 + "}", "[1", '{"a":1,"b"}'],
)  # fmt: skip
def test_a_listing_refuses_what_is_refused(text: str):
    with pytest.raises(MetadataError):
        listing(text)
