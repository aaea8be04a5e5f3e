"""The key of a step's result, and what a cache must do. The cache itself lives in the runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from invoke_shell.records import Made, StepRecord, digest

__all__ = ["Cache", "step_key"]


class Cache(Protocol):
    """Results of steps by key. May forget anything at any time; must never give back anything but what was put."""

    def get(self, key: str) -> Sequence[Made] | None:
        """The pictures put under the key, or None."""
        ...

    def put(self, key: str, made: Sequence[Made]) -> None:
        """Keep the pictures of one call."""
        ...


def step_key(step: StepRecord, input_hashes: Mapping[str, Sequence[str]], environment: Mapping[str, Any]) -> str:
    """Everything that changes a pixel: node, version, values, input pixels, model hashes, environment in force.

    step: the record as it stands before the run (no output, no facts).
    """
    models = {name: model.hash or model.stamp or model.path for name, model in step.models.items()}
    plain = [step.node, step.version, step.package, dict(step.params), models]
    inputs = {name: list(hashes) for name, hashes in input_hashes.items()}
    text = json.dumps([plain, inputs, dict(environment)], sort_keys=True)
    return digest(text.encode())
