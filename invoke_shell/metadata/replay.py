"""A recorded history back to a plan, and to text. The graph itself is run, not its text.

Nothing of the session, the config or a model's advice takes part: a value is the recorded one, or the node's default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

from invoke_shell.errors import Fault, LineError, nearest
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.chain import Source
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.plan import Call, InputRef, Plan
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.script import Unsaid, everything, resolved_text
from invoke_shell.pipeline.stored import with_flows
from invoke_shell.pipeline.types import Seed, Weighted, number
from invoke_shell.records import ModelRecord, Resource, StepRecord, topological

__all__ = ["Finder", "Recalled", "model_missing", "overridden", "recall", "recall_all"]

MOST_TOGETHER = 32  # pictures of a batch that a file may ask for
NUMBER = re.compile(r"[+-]\d{1,19}(\.\d{1,9})?")  # counted from what was recorded

KNOWN = "load_image FILE makes it known, and a copy by save --embed brings it along"


class Finder(Protocol):
    """Where recorded things are looked for: the catalogue, and the person's own pictures."""

    def model(self, record: ModelRecord) -> ModelRecord | None:
        """By hash, then by name."""
        ...

    def picture(self, resource: Resource) -> InputRef | None:
        """By pixel hash, never by a path from the file."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """A recorded history as a plan.

    missing: what must be there before it can run, a sentence each; notes: what differs.
    """

    plan: Plan
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    steps: tuple[StepRecord, ...] = field(default=(), repr=False)

    def text(self, registry: Registry, unsaid: Unsaid = everything) -> str:
        """The command line, or the lines, that make the picture."""
        return resolved_text(self.plan, registry, unsaid)


def recall(last: StepRecord, registry: Registry, finder: Finder) -> Recalled:
    """The plan that makes a picture again, as far as nodes, models and sources are here."""
    return recall_all([last], registry, finder)


def recall_all(lasts: Sequence[StepRecord], registry: Registry, finder: Finder) -> Recalled:
    """As recall, of several pictures: what they have in common is made once. Results in the order given."""
    reader = _Reader(registry, finder)
    steps = {step.key: step for last in lasts for step in topological(last)}
    for step in steps.values():
        reader.take(step)
    calls = with_flows(reader.calls, registry)
    results = tuple(dict.fromkeys(reader.ids[last.key] for last in lasts if last.key in reader.ids))
    plan = Plan(
        source="",
        calls=calls,
        stages=tuple(c.node for c in calls),
        results=results or tuple(c.id for c in calls[-1:]),  # of a last step that is not known, what comes before it
    )
    return Recalled(
        plan=replace(plan, source=resolved_text(plan, registry)),
        missing=tuple(dict.fromkeys(reader.missing)),
        notes=tuple(dict.fromkeys(reader.notes)),
        steps=tuple(steps.values()),
    )


class _Reader:
    def __init__(self, registry: Registry, finder: Finder) -> None:
        self.registry = registry
        self.finder = finder
        self.calls: list[Call] = []
        self.ids: dict[str, int] = {}
        self.missing: list[str] = []
        self.notes: list[str] = []

    def take(self, step: StepRecord) -> None:
        node = self.registry.get(step.node)
        if node is None or node.builtin:
            name = visible(step.node)
            self.missing.append(f"the node {name} is not installed ({visible(step.package)} has it)")
            return
        self.revision(node, step)
        inputs = {name: self.inputs(items) for name, items in step.inputs.items() if self.has(node, name)}
        self.missing += [f"{node.name} was given no {name}" for name in _needed(node) if not step.inputs.get(name)]
        params = {p.name: self.value(node, p, step) for p in node.params.values() if not p.kind.picture}
        call = Call(
            id=len(self.calls),
            stage=len(self.calls),
            node=node.name,
            params=params,
            sources=dict.fromkeys(node.params, Source.LINE),
            inputs=inputs,
            together=self.together(step),
        )
        self.ids[step.key] = call.id
        self.calls.append(call)

    def revision(self, node: Node[Any, Any], step: StepRecord) -> None:
        """Why the same values may give other pixels: what changed in the node since."""
        if node.version == step.version:
            return
        since = [why for n, why in sorted(node.changes.items()) if step.version < n <= node.version]
        reason = f": {'; '.join(since)}" if since else ""
        self.notes.append(f"{node.name} was revision {step.version} and is {node.version} here{reason}")

    def together(self, step: StepRecord) -> tuple[int, int]:
        """The batch that a picture was drawn in and its row: they decide its last bits, so it is drawn so again."""
        facts = step.facts.get("batch")
        size, index = (facts.get("size"), facts.get("index")) if isinstance(facts, dict) else (1, 0)
        if not isinstance(size, int) or not isinstance(index, int) or not 0 <= index < size <= MOST_TOGETHER:
            return 1, 0
        return size, index

    def has(self, node: Node[Any, Any], name: str) -> bool:
        """Whether a node still takes pictures under this name."""
        if name == node.frames or (name in node.params and node.params[name].kind.picture):
            return True
        self.missing.append(f"{node.name} takes no {visible(name)} here")
        return False

    def inputs(self, items: Sequence[StepRecord | Resource]) -> tuple[int | InputRef, ...]:
        """Steps that are no node here are left out: that they are missing was said."""
        return tuple(
            self.ids[i.key] if isinstance(i, StepRecord) else self.picture(i)
            for i in items
            if not isinstance(i, StepRecord) or i.key in self.ids
        )

    def picture(self, resource: Resource) -> InputRef:
        found = self.finder.picture(resource)
        if found is not None:
            return found
        name = f" ({visible(resource.name)})" if resource.name else ""
        self.missing.append(f"the source picture {resource.hash[:23]}{name} is not among yours: {KNOWN}")
        return InputRef(hash=resource.hash, width=resource.width, height=resource.height, mode=resource.mode)

    def value(self, node: Node[Any, Any], p: Param, step: StepRecord) -> Any:
        if p.kind.model and p not in node.recorded:
            return self.model(p, step.models.get(p.name))
        if p.name not in step.params and (p.required or p.kind.is_seed):
            self.missing.append(f"{node.name}: its {p.name} was not recorded")
        if p.name not in step.params:
            return None if p.required else p.default
        recorded = step.params[p.name]
        try:
            if p.kind.many:
                items = [self.item(p, v, step, f"{p.name}.{n}") for n, v in enumerate(_several(recorded))]
            else:
                items = [self.item(p, recorded, step, p.name)]
        except ValueError:
            text = visible(str(recorded)[:80])
            said = f"{node.name}: {p.flag} is {p.kind.label}, not {text}"
            self.missing.append(f"{node.name} has no {p.flag} {text}" if p.kind.choices else said)
            return None if p.required else p.default
        # A stranger's value may be of the right kind and far beyond what the flag takes.
        self.missing += [f"{node.name}: {wrong}" for item in items if (wrong := p.check(item))]
        return tuple(items) if p.kind.many else items[0]

    def item(self, p: Param, recorded: Any, step: StepRecord, name: str) -> Any:
        """One recorded value; a model among them is the one recorded under `name`. Raises ValueError."""
        value = p.kind.from_plain(recorded)
        if not p.kind.model:
            return value
        found = self.model(p, step.models.get(name))
        return replace(value, value=found) if isinstance(value, Weighted) else found

    def model(self, p: Param, record: ModelRecord | None) -> ModelRecord | None:
        if record is None:
            return None
        found = self.finder.model(record)
        if found is None:
            self.missing.append(model_missing(record))
            return record
        if found.hash != record.hash:
            self.notes.append(_another(found, record))
        return found


def _another(found: ModelRecord, record: ModelRecord) -> str:
    """What is said of a model that is not the file that was recorded."""
    for name, how in (("weights", "the same numbers"), ("weights-half", "the same numbers as far as float16 tells")):
        if record.hashes.get(name) and record.hashes[name] == found.hashes.get(name):
            return f"{visible(record.text)} is {found.text} here: another file with {how}"
    return f"{visible(record.name)} here has another hash: {found.text}, not {record.text}"


def _needed(node: Node[Any, Any]) -> Iterator[str]:
    """Names under which a node must be given pictures."""
    if node.takes != "none":
        yield node.frames
    yield from (p.name for p in node.params.values() if p.kind.picture and p.required)


def model_missing(record: ModelRecord) -> str:
    """The sentence on a model that is not here."""
    return f"the {visible(record.kind)} {visible(record.text)} is not here ({record.hash[:40]})"


def overridden(plan: Plan, registry: Registry, changes: Mapping[str, str], draw: Callable[[], int]) -> Plan:
    """A plan with other values: flag name (`steps`, `img2img.steps`, `2.steps`) -> text.

    A seed may be `random`. A number may be counted from the recorded one: `+5`, and `-5` where the flag takes none
    below 0.
    Raises LineError for an unknown or ambiguous flag or a bad value.
    """
    calls = list(plan.calls)
    for name, text in changes.items():
        for i in _meant(calls, registry, name):
            node = registry[calls[i].node]
            p = node.params[name.rpartition(".")[2].replace("-", "_")]
            value = _read(p, text, calls[i].params.get(p.name), draw)
            params = {**calls[i].params, p.name: value}
            if p.arg.excludes:
                params[p.arg.excludes] = node.params[p.arg.excludes].default
            for other in node.params.values():
                if other.arg.excludes == p.name:
                    params[other.name] = other.default
            calls[i] = replace(calls[i], params=params)
    changed = replace(plan, calls=with_flows(calls, registry))
    return replace(changed, source=resolved_text(changed, registry))


def _meant(calls: Sequence[Call], registry: Registry, name: str) -> list[int]:
    """The calls a flag means; one stage of one command, unless all calls of the command have the same value."""
    stage, _, flag = name.rpartition(".")
    flag = flag.replace("-", "_")
    having = [i for i, c in enumerate(calls) if c.node and flag in registry[c.node].params]
    if stage.isdigit():
        having = [i for i in having if i == int(stage) - 1]
    elif stage:
        having = [i for i in having if calls[i].node == stage]
    if not having:
        guess = nearest(f"--{name}", [f for c in calls if c.node for f in registry[c.node].flags])
        hint = f"did you mean {guess}?" if guess else ""
        raise _wrong(f"--{name}", f"no step here has --{name}", hint, "unknown-flag")
    commands = list(dict.fromkeys(calls[i].node for i in having))
    if len(commands) > 1:
        hint = "write " + " or ".join(f"--{c}.{flag.replace('_', '-')}" for c in commands)
        raise _wrong(f"--{name}", f"--{name} could be of {' or '.join(commands)}", hint, "unknown-flag")
    if len({repr(calls[i].params.get(flag)) for i in having}) > 1:
        hint = "write " + " or ".join(f"--{i + 1}.{flag.replace('_', '-')}" for i in having)
        raise _wrong(f"--{name}", f"{commands[0]} stands there {len(having)} times", hint, "unknown-flag")
    return having


def _read(p: Param, text: str, old: Any, draw: Callable[[], int]) -> Any:
    if p.kind.is_seed and text == "random":
        return Seed(draw())
    if p.kind.is_switch:
        return text != "off"
    try:
        counted = _counted(p, text, old)
        value = p.kind.parse(p.arg.spell(text) if p.arg.spell else text) if counted is None else counted
    except ValueError as error:
        wanted = str(error) if p.arg.spell else f"{p.flag} is {error}, not {text}"
        raise _wrong(text, wanted, "", "bad-value") from None
    if wrong := p.check(value):
        raise _wrong(text, wrong, "", "out-of-range")
    return value


def _counted(p: Param, text: str, old: Any) -> Any:
    """The recorded number and so much more or less; None for a text that is a value of its own. Raises ValueError."""
    below = p.kind.is_seed or p.arg.ge is None or p.arg.ge < 0  # -5 is a value there; a seed of -1 others' random
    if not NUMBER.fullmatch(text) or (text[0] == "-" and below) or not _is_number(old):
        return None
    if p.kind.is_seed:
        return Seed(int(old) + int(text)) if text[1:].isdigit() else None
    total = Decimal(str(old)) + Decimal(text)
    return p.kind.parse(number(float(total)) if isinstance(old, float) else str(total))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(word: str, message: str, hint: str, code: str) -> LineError:
    return LineError(word, [Fault(0, len(word), message, hint, code)])


def _several(recorded: Any) -> list[Any]:
    """The values of a list; of an older revision of a node, which took one or none here, that one."""
    if isinstance(recorded, list):
        return recorded
    return [] if recorded is None else [recorded]
