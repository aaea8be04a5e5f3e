"""A picture that is handed to a line: where its pixels are read from, and the values that follow from its history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invoke_shell.pipeline.facts import InputRef
from invoke_shell.pipeline.registry import Registry
from invoke_shell.records import Image, Resource, StepRecord

__all__ = ["flows_of", "input_ref"]


def input_ref(resource: Resource, path: Path | None = None, image: Image | None = None) -> InputRef:
    """A source picture with the place to read it from."""
    return InputRef(
        hash=resource.hash,
        width=resource.width,
        height=resource.height,
        mode=resource.mode,
        name=resource.name,
        file_hash=resource.file_hash,
        facts=resource.facts,
        path=str(path.resolve()) if path is not None else "",
        image=image,
    )


def flows_of(step: StepRecord, registry: Registry) -> Mapping[str, Any]:
    """The values that follow from a recorded step: those its node gives, else its makers'.

    A model never follows from a handle. No recursion: histories are long.
    """
    values: dict[str, Any] = {}
    at: StepRecord | None = step
    while at is not None:
        node = registry.get(at.node)
        for name in node.gives if node is not None else ():
            p = node.params[name] if node is not None else None
            if p is not None and not p.kind.model and name in at.params and name not in values:
                values[name] = p.kind.from_plain(at.params[name])
        piped = at.inputs.get(node.frames, ()) if node is not None and node.frames else ()
        at = piped[0] if len(piped) == 1 and isinstance(piped[0], StepRecord) else None
    return values
