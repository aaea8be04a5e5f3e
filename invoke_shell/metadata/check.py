"""Whether a picture's `sd-metadata` is what the specification says: the schema first, then what no schema can say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from invoke_shell.errors import MetadataError
from invoke_shell.metadata.contents import BESIDE, contents_of, pictures_of
from invoke_shell.metadata.history import from_metadata
from invoke_shell.metadata.png import Png
from invoke_shell.metadata.record import KEYWORD
from invoke_shell.metadata.schema import Schema, envelope
from invoke_shell.metadata.summary import rfc266
from invoke_shell.metadata.visible import visible
from invoke_shell.records import Image, Json, topological

__all__ = ["MOST", "Wrong", "check_container", "check_data", "check_pixels", "contradictions"]

MOST = 100  # faults of one picture that are told
LONGEST = 60  # characters of a value in a sentence
KINDS = {
    "string": "a text", "integer": "a whole number", "number": "a number", "object": "an object", "array": "a list",
    "boolean": "true or false", "null": "null",
}  # fmt: skip


class Wrong(NamedTuple):
    """A fault: where in the JSON (`$.steps[0].id`, `$` for the whole), and a sentence without its subject."""

    path: str
    message: str


def check_data(data: Mapping[str, Json], node_schemas: Mapping[str, Schema]) -> list[Wrong]:
    """The faults of `sd-metadata` as JSON, at most MOST. node_schemas: as for schema.envelope."""
    return list(islice(_once(_of_the_schema(data, node_schemas)), MOST)) or list(islice(_of_the_history(data), MOST))


def _once(faults: Iterable[Wrong]) -> Iterator[Wrong]:
    """Each once: jsonschema has a fault for every key that is not there, our sentence names them all."""
    seen: set[Wrong] = set()
    for wrong in faults:
        if wrong not in seen:
            seen.add(wrong)
            yield wrong


def _of_the_schema(data: Mapping[str, Json], node_schemas: Mapping[str, Schema]) -> Iterator[Wrong]:
    import jsonschema  # 60 ms, for this command alone

    def faults(value: Any, schema: Schema, where: str) -> Iterator[Wrong]:
        for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
            yield Wrong(visible(where + error.json_path[1:]), _sentence(error))

    yield from faults(data, envelope({}), "$")
    steps = data.get("steps")
    # Each step against its own node: as a condition of the whole schema, 4096 steps would be asked for every node.
    for number, step in enumerate(steps if isinstance(steps, list) else ()):
        schema = node_schemas.get(str(step.get("node"))) if isinstance(step, dict) else None
        if schema is not None and isinstance(step, dict):
            yield from faults(step.get("params"), schema, f"$.steps[{number}].params")


def _sentence(error: Any) -> str:
    """A fault that jsonschema found, in our words."""
    wanted, value = error.validator_value, _short(error.instance)
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f"is {value}, not {' or '.join(KINDS[kind] for kind in kinds)}"
    if error.validator == "required":
        absent = [name for name in wanted if name not in error.instance]
        return f"has no {' and no '.join(absent)}"
    if error.validator == "additionalProperties":
        extra = [name for name in error.instance if name not in error.schema.get("properties", {})]
        return f"has {', '.join(visible(name)[:LONGEST] for name in extra[:4])}, which this node does not take"
    if error.validator in ("minimum", "maximum"):
        return f"is {value}, {'less' if error.validator == 'minimum' else 'more'} than {wanted}"
    if error.validator in ("enum", "const"):
        allowed = [wanted] if error.validator == "const" else wanted
        return f"is {value}, not {' or '.join(_short(one) for one in allowed)}"
    if error.validator == "oneOf":
        return f"is {value}, and not one of {' or '.join(name for one in wanted for name in one['required'])}"
    if error.validator in ("minItems", "maxItems"):
        least = "at least" if error.validator == "minItems" else "at most"
        return f"has {len(error.instance)} items, and may have {least} {wanted}"
    return f"is {value}, which cannot be"


def _short(value: Any) -> str:
    import json

    text = visible(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _of_the_history(data: Mapping[str, Json]) -> Iterator[Wrong]:
    """What needs the steps read: references, the view beside them, and the pictures that are embedded."""
    try:
        last = from_metadata(data)
    except MetadataError as error:
        yield Wrong("$", error.message)
        return
    steps = list(topological(last))
    result: Any = data["result"]
    for name, value in (("pixel_hash", last.output_hash), ("width", last.width), ("height", last.height)):
        if result[name] != value:
            yield Wrong(f"$.result.{name}", f"is {_short(result[name])}, and its step says {_short(value)}")
    if len(steps) != len(data["steps"]):  # type: ignore[arg-type]  # the schema says it is a list
        yield Wrong("$.steps", f"has {len(data['steps'])} steps, of which {len(steps)} made the picture")  # type: ignore[arg-type]
    yield from _view(data["image"], rfc266(steps))
    yield from _embedded(data)


def contradictions(data: Mapping[str, Json]) -> list[str]:
    """Where the view for other readers does not say what the steps say: one of them was edited."""
    found = data.get("image")
    wrong = _view(found, rfc266(list(topological(from_metadata(data))))) if isinstance(found, dict) else ()
    return [f"the record was edited: {w.path.removeprefix('$.')} {w.message}" for w in wrong]


def _view(found: Any, wanted: Mapping[str, Json]) -> Iterable[Wrong]:
    for name, value in wanted.items():
        if found.get(name) != value:
            yield Wrong(f"$.image.{name}", f"is {_short(found.get(name))}, and the steps say {_short(value)}")


def _embedded(data: Mapping[str, Json]) -> Iterable[Wrong]:
    try:
        for _ in pictures_of(contents_of(data, BESIDE)):
            pass
    except MetadataError as error:
        yield Wrong("$.resources", error.message)


def check_container(png: Png) -> Iterator[Wrong]:
    """Where the text stands in a PNG: what other programs' readers insist on."""
    own = [text for text in png.texts if text.keyword == KEYWORD]
    if any(text.kind != "tEXt" for text in own):
        yield Wrong("$", f"stands in a {own[0].kind} chunk, not in an uncompressed tEXt")
    if any(text.late for text in own):
        yield Wrong("$", "stands after the pixels, where many readers do not look")
    if not any(text.keyword == "Dream" for text in png.texts):
        yield Wrong("$", "has no Dream chunk beside it, without which readers of InvokeAI 1 and 2 crash")


def check_pixels(data: Mapping[str, Json], image: Image, *, lossless: bool) -> Iterator[Wrong]:
    """Whether the file's pixels are the recorded ones; of a file with loss only their size can be told."""
    result: Any = data.get("result")
    if (result["width"], result["height"]) != image.size:
        yield Wrong(
            "$.result", f"says {result['width']}x{result['height']}, and the file has {image.width}x{image.height}"
        )
    elif lossless and result["pixel_hash"] != image.hash:
        yield Wrong(
            "$.result.pixel_hash", "is not that of the file's pixels: they were edited, or moved to another file"
        )
