"""The key of a step's result, what is kept of it, and what a cache must do. The cache itself lives in the runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from invoke_shell.records import Made, StepRecord, digest

__all__ = ["Cache", "Kept", "step_key"]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What one turn of a node gave. said: what it told of its pictures, which is told again with them."""

    made: Sequence[Made]
    said: Sequence[str] = ()


class Cache(Protocol):
    """Results of steps by key. May forget anything at any time; must never give back anything but what was put."""

    def get(self, key: str) -> Kept | None:
        """What was put under the key, or None."""
        ...

    def put(self, key: str, kept: Kept) -> None:
        """Keep what one turn gave."""
        ...


def step_key(
    step: StepRecord,
    input_hashes: Mapping[str, Sequence[str]],
    environment: Mapping[str, Any],
    besides: Mapping[str, Any],
) -> str:
    """Everything that changes a pixel: node, version, values, input pixels, model hashes, environment in force.

    step: the record as it stands before the run (no output, no facts). besides: values that change what is told,
    and the edition of a plugin's code.
    """
    models = {name: model.hash or model.stamp or model.path for name, model in step.models.items()}
    plain = [step.node, step.version, step.package, dict(step.params), models]
    inputs = {name: list(hashes) for name, hashes in input_hashes.items()}
    text = json.dumps([plain, inputs, dict(environment), dict(besides)], sort_keys=True)
    return digest(text.encode())
