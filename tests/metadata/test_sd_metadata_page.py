"""docs/sd-metadata.md: its examples are valid and real, its numbers and keys are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from invoke_shell import commands
from invoke_shell.metadata.check import check_data
from invoke_shell.metadata.companions import NAMESPACE
from invoke_shell.metadata.contents import BESIDE, INSIDE, contents_of
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.jpeg_webp import SEGMENT
from invoke_shell.metadata.png import MAX_TEXT
from invoke_shell.metadata.record import IMAGE_KEYS, KEYWORD, MAX_STEPS, SPEC, STEP_KEYS, to_metadata
from invoke_shell.metadata.schema import node_schemas, whole_schema
from invoke_shell.metadata.strict import MAX_DEPTH, MAX_VALUES, dumps
from invoke_shell.records import MAX_PIXELS, pixel_hash

PAGE = (Path(__file__).parents[2] / "docs" / "sd-metadata.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
REGISTRY = commands.registry()


def table(heading: str) -> set[str]:
    """The keys that the tables under a heading name."""
    part = PAGE.split(f"\n{heading}\n")[1].split("\n#")[0]
    return {key for row in re.findall(r"^\| (`.*?) \|", part, re.M) for key in re.findall(r"`(\w+)`", row)}


@pytest.mark.parametrize("data", EXAMPLES, ids=["drawn", "embedded"])
def test_an_example_is_valid_and_is_written_again_as_it_stands(data: dict[str, Any]):
    step = from_metadata(loads(dumps(data)))

    again = to_metadata(
        step,
        mode="RGB",
        app_version=data["app_version"],
        created=data["created"],
        command=data["command"],
        contents=contents_of(data),
    )

    assert check_data(data, node_schemas(REGISTRY)) == []
    assert again == data


def test_every_key_of_the_schema_is_on_the_page():
    definitions = whole_schema(REGISTRY)["$defs"]

    assert set(whole_schema(REGISTRY)["properties"]) <= table("## The whole")
    assert set(definitions["step"]["properties"]) | STEP_KEYS <= table("### steps")
    assert set(definitions["resource"]["properties"]) | (IMAGE_KEYS - {"facts"}) <= table("### resources")
    assert set(definitions["result"]["properties"]) <= table("### result")


def test_the_pixel_hash_is_as_the_page_computes_it():
    computed = re.search(r"'(blake3:[0-9a-f]{64})'", PAGE)

    assert computed
    assert computed[1] == pixel_hash("RGB", 2, 1, bytes([255, 0, 0, 0, 0, 255]))


@pytest.mark.parametrize(
    "text",
    [
        f"keyword `{KEYWORD}`",
        f'"{SPEC}"',
        f"`{NAMESPACE}`",
        f"at most {SEGMENT:,} bytes",
        f"1 to {MAX_STEPS:,} steps",
        f"at most {INSIDE >> 20} MiB ({BESIDE >> 20} MiB in",
        f"more than {MAX_TEXT >> 20} MiB of text, {MAX_DEPTH} levels",
        f"{MAX_VALUES:,} commas",
        f"{MAX_PIXELS // 1_000_000} million pixels",
    ],
)
def test_its_names_and_limits_are_the_codes(text: str):
    assert text in PAGE
