"""The JSON Schema of `sd-metadata`, made from the nodes' own schemas and the envelope around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke_shell.metadata.history import HASH, ID, NAME
from invoke_shell.metadata.record import MAX_STEPS, SPEC, VERSION
from invoke_shell.metadata.strict import HIGHEST, LOWEST
from invoke_shell.pipeline.derive import json_schema
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.registry import Registry

__all__ = ["Schema", "envelope", "node_schemas", "recorded_schema", "whole_schema"]

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
SIDE: Schema = {"type": "integer", "minimum": 0}
ANY_OBJECT: Schema = {"type": "object"}
ID_TEXT: Schema = {"type": "string", "pattern": f"^{ID.pattern}$"}
HASH_TEXT: Schema = {"type": "string", "pattern": f"^{HASH.pattern}$"}


def envelope(node_schemas: Mapping[str, Schema]) -> Schema:
    """JSON Schema (draft 2020-12) of the text of an `sd-metadata` chunk.

    node_schemas: node name -> schema of its recorded parameters, an object. Steps of nodes not named here (another
    plugin's, a later version's) are held to the form of a step only.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:invoke-shell:sd-metadata:{VERSION}",
        "title": f"sd-metadata, spec version {VERSION}",
        "type": "object",
        "required": [
            "spec", "spec_version", "model", "model_hash", "app_id", "app_version", "image", "steps", "resources",
            "environment", "result",
        ],
        "properties": _top(),
        "$defs": {
            "step": _step(node_schemas),
            "ref": _either("step", "resource"),
            "resource": _resource(),
            "image": _image(),
            "result": _result(),
        },
    }  # fmt: skip


def whole_schema(registry: Registry) -> Schema:
    """`envelope` for the nodes of a registry."""
    return envelope(node_schemas(registry))


def node_schemas(registry: Registry) -> dict[str, Schema]:
    """The schema of the recorded parameters of every node that is a step, by its name."""
    steps = [node for node in registry.values() if not node.stage_only and not node.builtin]
    return {node.name: recorded_schema(node) for node in steps}


def recorded_schema(node: Node[Any, Any]) -> Schema:
    """What `envelope` wants of a node: the part of its schema that is recorded.

    All of it is written; but a node may get a parameter later, and pictures from before then have not got it: so one
    that has a default may be absent.
    """
    whole = json_schema(node)
    names = [param.name for param in node.recorded if param.required or param.kind.is_seed]
    return {
        "type": "object",
        "properties": {param.name: _of_a_record(param, whole["properties"][param.name]) for param in node.recorded},
        "required": names,
        "additionalProperties": False,
        "description": node.summary,
    }


def _of_a_record(param: Param, schema: Schema) -> Schema:
    """A seed that was not typed has been drawn by then: it is a number."""
    if not param.kind.is_seed or "anyOf" not in schema:
        return schema
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return {**schema["anyOf"][0], **rest}


def _top() -> Schema:
    return {
        "spec": {"const": SPEC},
        "spec_version": {"type": "string", "pattern": f"^{VERSION}(\\.[0-9]+)?$"},
        "created": {"type": "string", "format": "date-time"},
        "command": TEXT,
        "model": {"type": ["string", "null"]},
        "model_weights": TEXT,
        "model_hash": {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"},
        "app_id": TEXT,
        "app_version": TEXT,
        "image": {"$ref": "#/$defs/image"},
        "steps": {"type": "array", "minItems": 1, "maxItems": MAX_STEPS, "items": {"$ref": "#/$defs/step"}},
        "resources": {"type": "array", "maxItems": MAX_STEPS, "items": {"$ref": "#/$defs/resource"}},
        "environment": ANY_OBJECT,
        "result": {"$ref": "#/$defs/result"},
    }


def _step(node_schemas: Mapping[str, Schema]) -> Schema:
    properties: Schema = {
        "id": ID_TEXT,
        "node": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "version": SIDE,
        "package": TEXT,
        "params": ANY_OBJECT,
        "inputs": {"type": "object", "additionalProperties": {"type": "array", "items": {"$ref": "#/$defs/ref"}}},
        "models": {"type": "object", "additionalProperties": _either("resource")},
        "environment": ANY_OBJECT,
        "output_hash": HASH_TEXT,
        "width": SIDE,
        "height": SIDE,
    }
    cases = [_case(name, schema) for name, schema in node_schemas.items()]
    required = ["id", "node", "version", "package", "params", "inputs", "models", "output_hash", "width", "height"]
    step: Schema = {"type": "object", "required": required, "properties": properties}
    return {**step, "allOf": cases} if cases else step


def _case(name: str, schema: Schema) -> Schema:
    """The parameters of one node."""
    return {
        "if": {"properties": {"node": {"const": name}}, "required": ["node"]},
        "then": {"properties": {"params": schema}},
    }


def _either(*names: str) -> Schema:
    return {
        "type": "object",
        "oneOf": [{"required": [name]} for name in names],
        "properties": {name: ID_TEXT for name in names},
    }


def _resource() -> Schema:
    return {
        "type": "object",
        "required": ["resource_id", "kind"],
        "properties": {
            "resource_id": ID_TEXT,
            "kind": TEXT,
            "linkage": {"enum": ["shared", "static"]},
            "resource_mime": {"const": "image/png"},
            "resource_content": {"type": "string", "contentEncoding": "base64"},
            "resource_hash": HASH_TEXT,
            "pixel_hash": HASH_TEXT,
            "name": {"type": "string", "pattern": "^[^/\\\\]*$"},
            "base": TEXT,
            "format": TEXT,
            "license": TEXT,
            "bytes": SIDE,
            "width": SIDE,
            "height": SIDE,
            "mode": {"enum": ["RGB", "RGBA", "L"]},
            "hashes": {"type": "object", "additionalProperties": TEXT},
            "marks": {"type": "array", "items": TEXT},
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"enum": ["image", "mask"]}}},
                "then": {"required": ["pixel_hash", "width", "height"]},
            },
            {
                "if": {"properties": {"linkage": {"const": "static"}}, "required": ["linkage"]},
                "then": {"required": ["resource_content", "resource_mime", "pixel_hash"]},
            },
        ],
    }


def _image() -> Schema:
    """RFC 266's view of the last generation, with what its readers insist on."""
    weighted = {
        "type": "object",
        "required": ["prompt", "weight"],
        "properties": {"prompt": TEXT, "weight": {"type": "number"}},
    }
    return {
        "type": "object",
        "required": [
            "type", "prompt", "sampler", "seed", "variations", "postprocessing", "steps", "cfg_scale", "width",
            "height",
        ],
        "properties": {
            "type": {"enum": ["txt2img", "img2img", "inpainting", "external"]},
            "prompt": {"type": "array", "minItems": 1, "items": weighted},
            "negative_prompt": TEXT,
            "sampler": {"type": ["string", "null"]},
            "seed": {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST},
            "variations": {"type": "array"},
            "steps": {"type": "integer"},
            "cfg_scale": {"type": "number"},
            "width": SIDE,
            "height": SIDE,
            "postprocessing": {"type": ["array", "null"]},
            "strength": {"type": "number"},
            "strength_steps": {"type": "number"},
        },
    }  # fmt: skip


def _result() -> Schema:
    return {
        "type": "object",
        "required": ["step", "pixel_hash", "width", "height", "mode"],
        "properties": {
            "step": ID_TEXT,
            "pixel_hash": HASH_TEXT,
            "width": SIDE,
            "height": SIDE,
            "mode": {"enum": ["RGB", "RGBA", "L"]},
            "format": {"enum": ["jpeg", "webp"]},
            "quality": {"type": "integer", "minimum": 1, "maximum": 100},
        },
    }
