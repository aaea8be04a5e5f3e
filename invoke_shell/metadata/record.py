"""A history of steps as plain JSON, the `sd-metadata` of a picture; history.py is the way back.

The form is written down in docs/metadata.md. Never recorded: a directory, a user, a host, where a model lies, a model's
advice.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from invoke_shell.errors import MetadataError
from invoke_shell.metadata.summary import rfc266, summarise
from invoke_shell.records import Json, ModelRecord, Resource, StepRecord, topological

__all__ = ["IMAGE_KEYS", "KEYWORD", "MAX_STEPS", "SPEC", "STEP_KEYS", "VERSION", "base_name", "to_metadata"]

KEYWORD = "sd-metadata"
SPEC = "invoke-shell/sd-metadata"
VERSION = "1"
MAX_STEPS = 4096

# The keys of a step, of a source picture and of a model. Facts stand beside them under their own names, and under
# `facts` when a name is taken; so a reader keeps what it does not know, as a fact.
STEP_KEYS = frozenset((
    "id", "node", "version", "package", "params", "inputs", "models", "environment", "output_hash", "width", "height",
    "facts",
))  # fmt: skip
IMAGE_KEYS = frozenset((
    "resource_id", "kind", "linkage", "pixel_hash", "width", "height", "mode", "name", "resource_hash", "facts",
    "resource_mime", "bytes", "resource_content",
))  # fmt: skip
# What privacy leaves of an environment: versions and switches, nothing that tells one machine from another.
PUBLIC = frozenset((
    "invoke_shell", "python", "torch", "diffusers", "transformers", "safetensors", "numpy", "pillow", "cuda", "cudnn",
    "attention", "deterministic", "tf32", "threads", "dtype", "speed", "batch",
))  # fmt: skip


def to_metadata(
    step: StepRecord,
    *,
    mode: str,
    app_version: str,
    created: str = "",
    command: str = "",
    privacy: bool = False,
    contents: Mapping[str, bytes] | None = None,
    form: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """The whole history that ends in `step` as plain JSON.

    mode: of the picture (RGB, RGBA, L). created: RFC 3339 in UTC. command: the resolved line, for people; a replay
    reads the steps. privacy: no names of files and models, no date, no command, no device, and no contents.
    contents: bare PNGs of source pictures, by pixel hash, to be embedded. form: how the file was written, where it is
    no PNG (`format`, and `quality` where pixels were lost).
    Raises MetadataError for more than MAX_STEPS steps.
    """
    steps = list(topological(step))
    if len(steps) > MAX_STEPS:
        raise MetadataError(f"a picture's history may have {MAX_STEPS:,} steps, not {len(steps):,}")
    table = _Table(privacy, {} if privacy else contents or {})
    ids = {s.key: f"s{n}" for n, s in enumerate(steps, 1)}
    rows: list[Json] = [_step_row(s, ids, table, step.environment) for s in steps]
    when = {} if privacy else _kept({"created": created, "command": command})
    return {
        "spec": SPEC,
        "spec_version": VERSION,
        **when,
        **_model_head(steps, privacy),
        "app_id": "invoke_shell",
        "app_version": app_version,
        "image": rfc266(steps),
        "steps": rows,
        "resources": table.rows,
        "environment": table.environment(step.environment),
        "result": {
            "step": ids[step.key],
            "pixel_hash": step.output_hash,
            "width": step.width,
            "height": step.height,
            "mode": mode,
            **(form or {}),
        },
    }


class _Table:
    """The resources of one picture, equal ones once, numbered as they are met."""

    def __init__(self, privacy: bool, contents: Mapping[str, bytes]) -> None:
        self.rows: list[Json] = []
        self._ids: dict[str, str] = {}
        self._privacy = privacy
        self._contents = dict(contents)  # what is left to embed: each once

    def ref(self, item: Resource | ModelRecord) -> dict[str, Json]:
        row = _model_row(item, self._privacy) if isinstance(item, ModelRecord) else _image_row(item, self._privacy)
        key = json.dumps(row, sort_keys=True)
        if key not in self._ids:
            self._ids[key] = f"r{len(self._ids) + 1}"
            content = self._contents.pop(item.hash, None) if isinstance(item, Resource) else None
            inside = {} if content is None else _embedded(content)
            self.rows.append({"resource_id": self._ids[key], **row, **inside})
        return {"resource": self._ids[key]}

    def environment(self, values: Mapping[str, Json]) -> dict[str, Json]:
        return {k: v for k, v in values.items() if not self._privacy or k in PUBLIC}


def _step_row(step: StepRecord, ids: Mapping[str, str], table: _Table, shared: Mapping[str, Json]) -> dict[str, Json]:
    def ref(item: StepRecord | Resource) -> dict[str, Json]:
        return {"step": ids[item.key]} if isinstance(item, StepRecord) else table.ref(item)

    row: dict[str, Json] = {
        "id": ids[step.key],
        "node": step.node,
        "version": step.version,
        "package": step.package,
        "params": dict(step.params),
        "inputs": {name: [ref(item) for item in items] for name, items in step.inputs.items()},
        "models": {name: table.ref(model) for name, model in step.models.items()},
        "output_hash": step.output_hash,
        "width": step.width,
        "height": step.height,
    }
    if dict(step.environment) != dict(shared):
        row["environment"] = table.environment(step.environment)
    return {**row, **_facts(step.facts, STEP_KEYS)}


def _image_row(item: Resource, privacy: bool) -> dict[str, Json]:
    row: dict[str, Json] = {
        "kind": "image",
        "linkage": "shared",
        "pixel_hash": item.hash,
        "width": item.width,
        "height": item.height,
        "mode": item.mode,
        "name": "" if privacy else base_name(item.name),
        "resource_hash": item.file_hash,
    }
    return {**_kept(row), **_facts(item.facts, IMAGE_KEYS)}


def _embedded(content: bytes) -> dict[str, Json]:
    """The keys of a picture whose pixels travel inside."""
    text = b64encode(content).decode("ascii")
    return {"linkage": "static", "resource_mime": "image/png", "bytes": len(content), "resource_content": text}


def _model_row(item: ModelRecord, privacy: bool) -> dict[str, Json]:
    row: dict[str, Json] = {
        "kind": item.kind,
        "linkage": "shared",
        "resource_hash": item.hash,
        # Without a hash the name is all there is to find the model by.
        "name": "" if privacy and item.hash else base_name(item.name),
        "base": item.base,
        "format": item.format,
        "bytes": item.bytes,
        "license": item.license,
        "hashes": dict(item.hashes),
    }
    return _kept(row)


def _model_head(steps: Sequence[StepRecord], privacy: bool) -> dict[str, Json]:
    """The model as RFC 266 has it: the plain sha256 of its file; null without a model."""
    made = summarise(steps)
    model = made.model if made else None
    if model is None:
        return {"model": None, "model_hash": None}
    name = {} if privacy else {"model_weights": base_name(model.name)}
    return {"model": "stable diffusion", **name, "model_hash": model.hashes.get("sha256")}


def base_name(name: str) -> str:
    return re.split(r"[\\/]", name)[-1]


def _kept(row: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in row.items() if value not in ("", 0, {})}


def _facts(facts: Mapping[str, Any], taken: frozenset[str]) -> dict[str, Json]:
    clashing = {name: value for name, value in facts.items() if name in taken}
    free = {name: value for name, value in facts.items() if name not in taken}
    return {**free, "facts": clashing} if clashing else free
