"""`sd-metadata` back to a history of steps, the inverse of record.py.

The file is a stranger's: whatever is not of the form is a MetadataError that says where.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from invoke_shell.errors import MetadataError
from invoke_shell.metadata import strict
from invoke_shell.metadata.record import IMAGE_KEYS, MAX_STEPS, SPEC, STEP_KEYS, VERSION, base_name
from invoke_shell.metadata.visible import visible
from invoke_shell.records import Json, ModelRecord, Resource, StepRecord

__all__ = ["from_metadata", "listing", "loads", "read_resource"]

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
HASH = re.compile(r"([a-z0-9-]+:[0-9a-f]{8,128})?")  # "" while not known

T = TypeVar("T")


def loads(text: str) -> dict[str, Json]:
    """The `sd-metadata` of this program from its text, checked for its form as JSON and its version only.

    Raises MetadataError; code `newer-spec` for a later major version.
    """
    return _ours(strict.loads(text))


def listing(text: str) -> tuple[dict[str, Json], str]:
    """As loads, by strict.listing, and the text of the steps, "" where it is not told."""
    data, spans = strict.listing(text)
    return _ours(data), text[slice(*spans.get("steps", (0, 0)))]


def _ours(data: Json) -> dict[str, Json]:
    """The data of this program and of a version that is known. Raises MetadataError."""
    if not isinstance(data, dict) or data.get("spec") != SPEC:
        raise MetadataError(f"it does not say that it is {SPEC}")
    version = data.get("spec_version")
    if not isinstance(version, str) or not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", version):
        raise MetadataError("its spec_version cannot be read")
    if int(version.partition(".")[0]) > int(VERSION):
        raise MetadataError(
            f"it is of spec version {version}, and this program reads up to version {VERSION}",
            hint="a newer invoke_shell reads it",
            code="newer-spec",
        )
    return data


def from_metadata(data: Mapping[str, Json]) -> StepRecord:
    """The step that made the picture, with its history.

    Raises MetadataError, naming the step, where the data is not of the form: the file is a stranger's.
    """
    rows = _get(data, "steps", list, where="the metadata")
    if not 1 <= len(rows) <= MAX_STEPS:
        raise MetadataError(f"a picture's history has 1 to {MAX_STEPS:,} steps, not {len(rows):,}")
    table = _resources(_get(data, "resources", list, [], where="the metadata"))
    shared = _get(data, "environment", dict, {}, where="the metadata")
    made: dict[str, StepRecord] = {}
    for number, row in enumerate(rows, 1):
        where = f"step {number}"
        step_id = _matching(_object(row, where), "id", ID, where)
        if step_id in made:
            raise MetadataError(f"two steps have the id {step_id}")
        made[step_id] = _read_step(_object(row, where), where, made, table, shared)
        _ = made[step_id].key  # while the inputs' keys are cached: a history may be thousands of steps deep
    last = _matching(_get(data, "result", dict, where="the metadata"), "step", ID, "the result")
    if last not in made:
        raise MetadataError(f"the result is of step {last}, and there is no such step")
    return made[last]


def _read_step(
    row: dict[str, Any],
    where: str,
    made: Mapping[str, StepRecord],
    table: Mapping[str, Resource | ModelRecord],
    shared: dict[str, Any],
) -> StepRecord:
    models = _get(row, "models", dict, {}, where=where)
    inputs = _get(row, "inputs", dict, {}, where=where)
    return StepRecord(
        node=_matching(row, "node", NAME, where),
        version=_whole(row, "version", where),
        package=_get(row, "package", str, "", where=where),
        params=_get(row, "params", dict, {}, where=where),
        inputs={name: _read_inputs(refs, f"{where}, {visible(name)}", made, table) for name, refs in inputs.items()},
        models={name: _read_model(ref, f"{where}, {visible(name)}", table) for name, ref in models.items()},
        facts=_read_facts(row, STEP_KEYS, where),
        environment=_get(row, "environment", dict, shared, where=where),
        output_hash=_matching(row, "output_hash", HASH, where, ""),
        width=_whole(row, "width", where),
        height=_whole(row, "height", where),
    )


def _read_inputs(
    refs: Any, where: str, made: Mapping[str, StepRecord], table: Mapping[str, Resource | ModelRecord]
) -> tuple[StepRecord | Resource, ...]:
    if not isinstance(refs, list):
        raise MetadataError(f"{where}: the inputs are no list")
    return tuple(_read_input(_object(ref, where), where, made, table) for ref in refs)


def _read_input(
    ref: dict[str, Any], where: str, made: Mapping[str, StepRecord], table: Mapping[str, Resource | ModelRecord]
) -> StepRecord | Resource:
    if "step" in ref:
        step_id = _matching(ref, "step", ID, where)
        if step_id not in made:
            raise MetadataError(f"{where}: it takes step {step_id}, which does not come before it")
        return made[step_id]
    found = table.get(_matching(ref, "resource", ID, where))
    if not isinstance(found, Resource):
        raise MetadataError(f"{where}: it takes {ref['resource']}, which is no picture in the resources")
    return found


def _read_model(ref: Any, where: str, table: Mapping[str, Resource | ModelRecord]) -> ModelRecord:
    found = table.get(_matching(_object(ref, where), "resource", ID, where))
    if not isinstance(found, ModelRecord):
        raise MetadataError(f"{where}: it runs {ref['resource']}, which is no model in the resources")
    return found


def _resources(rows: list[Any]) -> dict[str, Resource | ModelRecord]:
    if len(rows) > MAX_STEPS:
        raise MetadataError(f"a picture's history may have {MAX_STEPS:,} resources, not {len(rows):,}")
    table: dict[str, Resource | ModelRecord] = {}
    for number, row in enumerate(rows, 1):
        where = f"resource {number}"
        resource_id = _matching(_object(row, where), "resource_id", ID, where)
        if resource_id in table:
            raise MetadataError(f"two resources have the id {resource_id}")
        table[resource_id] = read_resource(row, where)
    return table


def read_resource(row: dict[str, Any], where: str) -> Resource | ModelRecord:
    """One row of `resources`. Raises MetadataError."""
    name = base_name(_get(row, "name", str, "", where=where))
    kind = _matching(row, "kind", NAME, where)
    if kind in ("image", "mask"):
        return Resource(
            hash=_matching(row, "pixel_hash", HASH, where, ""),
            width=_whole(row, "width", where),
            height=_whole(row, "height", where),
            mode=_get(row, "mode", str, "RGB", where=where),
            name=name,
            file_hash=_matching(row, "resource_hash", HASH, where, ""),
            facts=_read_facts(row, IMAGE_KEYS, where),
        )
    return ModelRecord(
        name=name,
        kind=kind,
        base=_get(row, "base", str, "", where=where),
        format=_get(row, "format", str, "", where=where),
        hash=_matching(row, "resource_hash", HASH, where, ""),
        bytes=_whole(row, "bytes", where),
        license=_get(row, "license", str, "", where=where),
        hashes={k: v for k, v in _get(row, "hashes", dict, {}, where=where).items() if isinstance(v, str)},
    )


def _read_facts(row: dict[str, Any], taken: frozenset[str], where: str) -> dict[str, Any]:
    own = {name: value for name, value in row.items() if name not in taken}
    return {**own, **_get(row, "facts", dict, {}, where=where)}


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MetadataError(f"{where} is no object")
    return value


def _get(row: Mapping[str, Any], name: str, kind: type[T], default: T | None = None, *, where: str) -> T:
    """A value of exactly this type (a bool is no int). Raises MetadataError; also when it is absent without default."""
    value = row.get(name, default)
    if type(value) is not kind:
        wanted = {list: "a list", dict: "an object", str: "a text", int: "a whole number"}[kind]
        raise MetadataError(f"{where}: {name} is {'not there' if value is None else f'not {wanted}'}")
    return value


def _matching(row: Mapping[str, Any], name: str, form: re.Pattern[str], where: str, default: str | None = None) -> str:
    value = _get(row, name, str, default, where=where)
    if not form.fullmatch(value):
        raise MetadataError(f'{where}: {name} cannot be "{visible(value[:80])}"')
    return value


def _whole(row: Mapping[str, Any], name: str, where: str) -> int:
    value = _get(row, name, int, 0, where=where)
    if not 0 <= value <= 2**53:
        raise MetadataError(f"{where}: {name} cannot be {value}")
    return value
