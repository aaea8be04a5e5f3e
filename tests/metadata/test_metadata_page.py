"""docs/metadata.md: its example is real, its limits are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
from test_metadata_schema import SCHEMA

from invoke_shell.metadata import png, read, strict
from invoke_shell.metadata.decode import MAX_PIXELS
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.record import MAX_STEPS, to_metadata
from invoke_shell.metadata.strict import dumps

PAGE = (Path(__file__).parents[2] / "docs" / "metadata.md").read_text(encoding="utf-8")


def test_the_example_is_read_written_again_and_of_the_schema():
    data = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]

    step = from_metadata(loads(dumps(data)))

    again = to_metadata(step, mode="RGB", app_version="0.1.0", created=data["created"], command=data["command"])
    assert again == data
    jsonschema.validate(data, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_limits_on_the_page_are_the_codes():
    numbers = {
        f"{png.MAX_TEXT >> 20} MiB; {png.MAX_TEXT >> 22} MiB when not ASCII",
        f"{png.MAX_TEXTS >> 20} MiB",
        f"{png.MAX_TEXT_CHUNKS:,} and {png.MAX_CHUNKS:,}",
        f"depth {strict.MAX_DEPTH}, {strict.MAX_VALUES:,} commas",
        f"{MAX_STEPS:,} each",
        f"{read.SHOWN:,} characters, {read.SHOWN_IN_ALL:,} in all",
        f"{read.MAX_OTHER >> 20} MiB",
        f"{MAX_PIXELS // 1_000_000} million",
    }

    assert {text for text in numbers if text not in PAGE} == set()
