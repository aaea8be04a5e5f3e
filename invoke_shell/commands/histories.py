"""What pictures were made with, read from their histories: the latest value of a name, and what differs between them.

From the recorded steps and not from the values that flow: a replay has the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from invoke_shell.records import Json, StepRecord

__all__ = ["differing", "said", "value_of", "values_of"]


def values_of(step: StepRecord | None) -> Mapping[str, Json]:
    """Every value in a picture's history, the latest of each name, along the pictures that were piped."""
    found: dict[str, Json] = {}
    while step is not None:
        for name, value in step.params.items():
            found.setdefault(name, value)
        for name, model in step.models.items():
            found.setdefault(name, model.name)
        before = next(iter(step.inputs.values()), ())
        step = next((i for i in before if isinstance(i, StepRecord)), None)
    return found


def value_of(step: StepRecord | None, name: str) -> Json:
    """The latest value of a name; None when there is none."""
    return values_of(step).get(name)


def differing(steps: Sequence[StepRecord]) -> list[str]:
    """The names whose values are not the same in all of these histories, in the order of the first that has them."""
    all_values = [values_of(step) for step in steps]
    names = dict.fromkeys(name for values in all_values for name in values)
    return [name for name in names if any(v.get(name) != all_values[0].get(name) for v in all_values[1:])]


def said(name: str, value: Json) -> str:
    """A text speaks for itself, a number needs its name."""
    if value is None:
        return f"no {name}"
    return value if isinstance(value, str) else f"{name} {value}"
