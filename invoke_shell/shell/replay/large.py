"""What a stranger's picture may run without a word: how much work a plan is, as far as it can be told beforehand."""

from __future__ import annotations

from collections.abc import Iterator

from invoke_shell.pipeline.calls import Call, Plan
from invoke_shell.pipeline.facts import InputRef
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.types import Size

__all__ = ["large"]

# A picture as people make them stays below: four passes of 50 steps, 4096x4096 at the end.
MOST_STEPS = 200
MOST_DRAWN = 16
MOST_CALLS = 64
MOST_PIXELS = 16_777_216
MOST_SAMPLED = 400  # million pixels, each as often as there are steps: 24 steps at 4096x4096, 200 at 1408x1408


def large(plan: Plan, registry: Registry) -> str:
    """What of a plan goes beyond, as a sentence; "" when nothing does."""
    found = [f"{number:,} {what}" for number, most, what in _measured(plan, registry) if number > most]
    return f"it would take {' and '.join(found)}" if found else ""


def _measured(plan: Plan, registry: Registry) -> Iterator[tuple[int, int, str]]:
    calls = [call for call in plan.calls if call.node]
    drawn = [call for call in calls if registry[call.node].seed is not None]
    areas = _areas(plan)
    yield sum(_steps(call) for call in drawn), MOST_STEPS, "sampler steps"
    yield sum(_steps(call) * areas[call.id] for call in drawn) // 1_000_000, MOST_SAMPLED, "million pixels to sample"
    yield len(drawn), MOST_DRAWN, "pictures to draw"
    yield len(calls), MOST_CALLS, "commands"
    yield max(areas.values(), default=0), MOST_PIXELS, "pixels in a picture"


def _steps(call: Call) -> int:
    steps = call.params.get("steps")
    return steps if isinstance(steps, int) else 0


def _areas(plan: Plan) -> dict[int, int]:
    """Pixels of each call's picture: its size where it has one, else its largest input's, by its scale or hires."""
    areas: dict[int, int] = {}
    for call in plan.calls:
        size, scale = call.params.get("size"), call.params.get("scale", call.params.get("hires"))
        before = max((_area(item, areas) for items in call.inputs.values() for item in items), default=0)
        if isinstance(size, Size):
            before = size.width * size.height
        areas[call.id] = round(before * scale * scale) if isinstance(scale, int | float) else before
    return areas


def _area(item: int | InputRef, areas: dict[int, int]) -> int:
    return item.width * item.height if isinstance(item, InputRef) else areas.get(item, 0)
