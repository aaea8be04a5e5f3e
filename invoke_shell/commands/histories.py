"""What pictures were made with, read from their histories: the latest value of a name, and what differs between them.

From the recorded steps and not from the values that flow: a replay has the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from invoke_shell.records import Json, StepRecord

__all__ = ["differing", "said", "shortened", "value_of", "values_of"]

LONG = 40  # letters of a text that is shortened to what differs
AROUND = 2  # words that are kept on each side of it


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
    """A prompt and a word speak for themselves; a number and another text need their name."""
    if value is None or value == "":
        return f"no {name}"
    if isinstance(value, str) and name != "prompt" and " " in value:
        return f"{name}: {value}"
    return value if isinstance(value, str) else f"{name} {value}"


def shortened(values: Sequence[Json]) -> list[Json]:
    """Long texts without the words that all of them begin and end with, so that one sees in what they differ."""
    texts = [value.split() for value in dict.fromkeys(v for v in values if isinstance(v, str) and v)]
    if len(texts) < 2 or max(len(" ".join(words)) for words in texts) <= LONG:
        return list(values)
    shortest = min(len(words) for words in texts)
    before = _alike(texts, shortest)
    after = _alike([words[::-1] for words in texts], shortest - before)
    return [_middle(value, before - AROUND, after - AROUND) if isinstance(value, str) else value for value in values]


def _alike(texts: Sequence[Sequence[str]], most: int) -> int:
    """How many words all of these begin with."""
    same = (len({words[n] for words in texts}) == 1 for n in range(most))
    return next((n for n, alike in enumerate(same) if not alike), most)


def _middle(text: str, before: int, after: int) -> str:
    """A text without its first and last words; one word is not worth leaving out."""
    words = text.split()
    head, tail = before > 1, after > 1
    kept = words[before if head else 0 : len(words) - after if tail else None]
    return " ".join((["…"] if head else []) + kept + (["…"] if tail else [])) if head or tail else text
