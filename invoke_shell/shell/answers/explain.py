"""What a line would do: every value with its source, how often each node runs, what would be written. Nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from invoke_shell.pipeline.chain import Source
from invoke_shell.pipeline.node import UNROLLED, Node, Param
from invoke_shell.pipeline.plan import Call, Plan
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.types import Size
from invoke_shell.records import ModelRecord
from invoke_shell.runtime.estimate import estimate

__all__ = ["drawn", "explain"]

WIDTH = 80  # columns of the paragraph of defaults
ABSENT = ("", '""', "none", "off")  # values that stand for doing nothing
SHOWN = 6  # values of a sweep named one by one
ORIGIN = {
    Source.DEFAULT: "default",
    Source.MODEL: "the model's advice",
    Source.CONFIG: "config",
    Source.SESSION: "session",
    Source.PIPE: "follows",
    Source.LINE: "typed",
}


def explain(plan: Plan, registry: Registry, precision: str = "float32") -> Iterator[str]:
    """Lines for people; the first is the sum. precision: that models will most likely compute in."""
    yield _sum(plan)
    fresh = drawn(plan, registry)
    for number, name in enumerate(plan.stages):
        calls = plan.stage_calls(number)
        if name == "@":
            yield f"{number + 1}  {' '.join(c.given.handle for c in calls if c.given)}"
            continue
        node = registry[name]
        yield f"{number + 1}  {name:<14} {_often(node, calls)}".rstrip()
        yield from _values(node, calls, fresh)
        yield from _tokens(calls)
        yield from _memory(calls, precision)
    yield "Nothing was run."


def _sum(plan: Plan) -> str:
    models = {v.text for c in plan.calls for v in c.params.values() if isinstance(v, ModelRecord)}
    parts = [f"{_pictures(len(plan.results))} to be written"]
    if models:
        parts.append(f"model {', '.join(sorted(models))}")
    return "; ".join(parts)


def _often(node: Node[Any, Any], calls: Sequence[Call]) -> str:
    times = "once" if len(calls) == 1 else f"{len(calls)} times"
    if node.takes == "all":
        times += f", of {_pictures(len(calls[0].inputs.get(node.frames, ())))}" if calls else ""
    notes = dict.fromkeys(node.explains(c.params) for c in calls) if node.explains else {}
    return "; ".join(part for part in (times, *notes) if part)


def _tokens(calls: Sequence[Call]) -> Iterator[str]:
    """With --tokens how the prompts are cut, from the model's own files."""
    asked = [c for c in calls if c.params.get("tokens") and isinstance(c.params.get("model"), ModelRecord)]
    if not asked:
        return
    from invoke_shell.runtime.tokens import speller_of, token_lines

    spell = speller_of(Path(asked[0].params["model"].path))
    if spell is None:
        yield "     tokens       not known: the model brings no CLIP tokenizer"
        return
    texts = dict.fromkeys((name, c.params[name]) for c in asked[:SHOWN] for name in ("prompt", "negative"))
    yield from (f"     {line}" for name, text in texts for line in token_lines(name, text, spell))


def drawn(plan: Plan, registry: Registry) -> set[int]:
    """Calls whose seed, or that of the picture they change, was drawn for this plan: a run draws its own."""
    found: set[int] = set()
    for call in plan.calls:
        node = registry[call.node] if call.node else None
        if node is None:
            continue
        source = call.sources.get(node.seed.name) if node.seed else Source.PIPE
        follows = source is Source.PIPE and any(i in found for i in call.inputs.get(node.frames, ()))
        if follows or source is Source.DEFAULT:
            found.add(call.id)
    return found


def _values(node: Node[Any, Any], calls: Sequence[Call], fresh: set[int]) -> Iterator[str]:
    """What was chosen, a line each with who chose it; then in one paragraph the defaults that do something."""
    defaults: list[str] = []
    for p in node.params.values():
        if p in UNROLLED or not calls:
            continue
        source = calls[0].sources.get(p.name, Source.LINE)
        several = list(dict.fromkeys(_shown(p, c) for c in calls))
        text = ", ".join(several[:SHOWN]) + (f", … {several[-1]}" if len(several) > SHOWN else "")
        text = "drawn when it runs" if p.kind.is_seed and calls[0].id in fresh else text
        if source is not Source.DEFAULT:
            if text:
                yield f"     {p.name:<12} {text}  ({ORIGIN[source]})"
        elif text not in ABSENT:
            defaults.append(f"{p.name} {text}")
    if defaults:
        text = f"{'defaults':<12} {', '.join(defaults)}"
        yield from wrap(text, WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 18, break_on_hyphens=False)


def _memory(calls: Sequence[Call], precision: str) -> Iterator[str]:
    """What the largest picture of a stage will take, for each model that draws in it; from headers alone."""
    largest: dict[str, tuple[ModelRecord, Size]] = {}
    for call in calls:
        model, size = call.params.get("model"), call.params.get("size")
        if isinstance(model, ModelRecord) and isinstance(size, Size):
            there = largest.get(model.path)
            if there is None or _pixels(size) > _pixels(there[1]):
                largest[model.path] = (model, size)
    guided = any(float(call.params.get("guidance", 1)) > 1 for call in calls)
    for model, size in largest.values():
        if found := estimate(model, size, precision, guided):
            yield f"     {'memory':<12} {found}; {model.name} at {size} in {precision}"


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def _pixels(size: Size) -> int:
    return size.width * size.height


def _shown(p: Param, call: Call) -> str:
    if p.kind.picture:
        items = call.inputs.get(p.name, ())
        return " ".join(f"picture {i}" if isinstance(i, int) else i.name or i.hash[:19] for i in items)
    value = call.params.get(p.name)
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return ", ".join(_one(p, v) for v in value)
    return _one(p, value)


def _one(p: Param, value: object) -> str:
    return f'"{value}"' if p.kind.is_text else p.kind.format(value)
