"""The values of one call, each with its source: typed > piped > session > config > the model's advice > default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from invoke_shell.errors import Fault, LineError
from invoke_shell.pipeline.calls import Call, models_of
from invoke_shell.pipeline.chain import Chain, Source, Stage, Value
from invoke_shell.pipeline.facts import Facts, Given, setting
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.types import RANDOM, Handle, ModelName, Ratio, Seed, Side, Size, Weighted
from invoke_shell.records import ModelRecord

__all__ = ["Resolver", "common"]

MAX_SEED = 2**64 - 1


class Resolver:
    """Finds the values of calls; what is worth saying goes into `notes`."""

    def __init__(self, chain: Chain, facts: Facts, settings: Mapping[str, Value]) -> None:
        self.chain = chain
        self.facts = facts
        self.settings = settings
        self.notes: list[str] = []

    def fault(self, span: tuple[int, int] | None, message: str, hint: str, code: str) -> LineError:
        """An error at a word of the line."""
        return LineError(self.chain.source, [Fault(*self.chain.local(span), message, hint, code)])

    def resolve(
        self,
        node: Node[Any, Any],
        stage: Stage,
        typed: Mapping[str, Value],
        flowing: Mapping[str, Any],
        group: tuple[Call, ...],
    ) -> dict[str, Value]:
        """Every parameter's value and source; the model first, because its advice gives defaults."""
        advice: dict[str, Any] = {}
        out: dict[str, Value] = {}
        for p in sorted(node.params.values(), key=lambda p: not p.kind.model):
            value = typed.get(p.name)
            if value is not None and not p.kind.picture:
                value = replace(value, value=self.linked(p, value.value, value.span))
            if value is None:
                value = self.untyped(node, p, flowing, advice)
            if value is None:
                message = f"{node.name} needs a {p.name}: none was typed and none comes down the pipe"
                raise self.fault(stage.span, message, f"write it: {p.flag} ...", "missing-argument")
            if p.kind.model:
                value = replace(value, value=self.model(p, value.value))
                if isinstance(value.value, ModelRecord):
                    self.say_other_model(node, value.value, group)
                    advice = {**value.value.advice, **advice}
            elif isinstance(value.value, Ratio | Side):
                value = replace(value, value=self.whole_size(p, value, advice))
            out[p.name] = value
        self.check_families(node, stage, out)
        _settle_excluded(node, out)
        return {n: out[n] for n in node.params}

    def check_families(self, node: Node[Any, Any], stage: Stage, values: Mapping[str, Value]) -> None:
        """What is put on a model must be made for its family, as far as both are known. Raises LineError."""
        model = values["model"].value if "model" in values else None
        if not isinstance(model, ModelRecord) or not model.base:
            return
        others = {name: values[name] for name, p in node.params.items() if p.kind.model and name != "model"}
        for name, other in models_of({name: value.value for name, value in others.items()}):
            value, p = others[name.partition(".")[0]], node.params[name.partition(".")[0]]
            if other.base and model.base not in other.base.split("/"):
                kind = p.kind.model.replace("_", " ")
                message = f"the {kind} {other.name} is for {other.base}, and the model {model.name} is of {model.base}"
                raise self.fault(value.span or stage.span, message, "", "bad-model")

    def untyped(
        self, node: Node[Any, Any], p: Param, flowing: Mapping[str, Any], advice: Mapping[str, Any]
    ) -> Value | None:
        if p.arg.follows and p.name in flowing and _fits(p, flowing[p.name]):
            return Value(flowing[p.name], Source.PIPE)
        if p.kind.is_seed and flowing.get(p.name) is not None:
            return Value(None, Source.PIPE)
        if (given := setting(node, p, self.settings)) is not None and not p.kind.picture:
            return given
        if (advised := _advised(p, advice)) is not None:
            return Value(advised, Source.MODEL)
        return None if p.required else Value(p.default, Source.DEFAULT)

    def whole_size(self, p: Param, value: Value, advice: Mapping[str, Any]) -> Size:
        """The size of a ratio or of one side, from the model's own."""
        own = _advised(p, advice) or p.default
        own = own if isinstance(own, Size) else Size(512, 512)
        found = value.value.at(own.width * own.height) if isinstance(value.value, Ratio) else value.value.of(own)
        if wrong := p.check(found):
            raise self.fault(value.span, f"{value.value} would be {found}: {wrong}", "", "out-of-range")
        return found

    def seed(self, p: Param, value: Value, group: tuple[Call, ...], drawn: Seed, nth: int) -> Value:
        """A typed seed as it is; an untyped one follows the upstream picture's + 1; else it is drawn.

        The same noise twice burns in, so no two stages of one picture share a seed.
        """
        before = group[0].flows.get(p.name) if group and value.value is None else None
        if before is not None:
            return replace(value, value=Seed((int(before) + 1 + nth) % (MAX_SEED + 1)))
        start = drawn if value.value is None or value.value == RANDOM else value.value
        if start + nth > MAX_SEED:
            raise self.fault(value.span, f"seeds go up to {MAX_SEED}", "", "out-of-range")
        return replace(value, value=Seed(start + nth))

    # -- models ------------------------------------------------------------------------------------------------------

    def model(self, p: Param, value: Any) -> Any:
        if isinstance(value, ModelName):
            return self.facts.models[(p.kind.model, str(value))]
        if isinstance(value, tuple):
            return tuple(self.model(p, v) for v in value)
        if isinstance(value, Weighted):
            return replace(value, value=self.model(p, value.value))
        return value

    def say_other_model(self, node: Node[Any, Any], model: ModelRecord, group: tuple[Call, ...]) -> None:
        for call in group:
            before = call.given.model if call.given else None
            if before is None or before.kind != model.kind:
                continue  # a VAE beside the model is no other model
            other = before.hash != model.hash if model.hash else before.name != model.name
            if other and "model" in node.gives:
                made = f"{call.given.handle if call.given else 'it'} was made with {before.text}"
                self.notes.append(f"{made}; {node.name} runs {model.text}")

    # -- links -------------------------------------------------------------------------------------------------------

    def linked(self, p: Param, value: Any, span: tuple[int, int] | None) -> Any:
        """A value with every `@12.seed` in it replaced by what it stands for."""
        if isinstance(value, tuple):
            return tuple(self.linked(p, v, span) for v in value)
        if isinstance(value, Weighted):
            return replace(value, value=self.linked(p, value.value, span))
        return self.field_of(p, value, span) if isinstance(value, Handle) else value

    def field_of(self, p: Param, handle: Handle, span: tuple[int, int] | None) -> Any:
        """The one value which all pictures of a handle share; of a model also without its name, `--model @12`."""
        name = handle.field or "model"
        found = [_field(g, name) for g in self.facts.handles[handle.text]]
        if not found or found[0] is None or any(f != found[0] for f in found):
            why = "has more than one" if any(f is not None for f in found) else "has no"
            raise self.fault(span, f"{handle.text} {why} {name}", "", "bad-handle")
        value = found[0]
        if p.kind.model or isinstance(value, ModelRecord):
            if not isinstance(value, ModelRecord) or value.kind != p.kind.model:
                raise self.fault(span, f"{handle} is not {p.kind.label}", "", "bad-handle")
            return value
        try:
            read = p.kind.from_plain(value if isinstance(value, int | float | str) else str(value))
        except ValueError as error:
            raise self.fault(span, f"{handle} is not {error}", "", "bad-handle") from None
        if wrong := p.check(read):
            raise self.fault(span, wrong, f"that is {handle}", "out-of-range")
        return read


def common(flows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values equal in all pictures; those alone flow on."""
    if not flows:
        return {}
    first, rest = flows[0], flows[1:]
    return {n: v for n, v in first.items() if all(n in r and r[n] == v for r in rest)}


def _fits(p: Param, value: Any) -> bool:
    """Whether a value that comes down the pipe is of a parameter's type; a type includes the model's kind."""
    if p.kind.model:
        return isinstance(value, ModelRecord) and value.kind == p.kind.model
    try:
        return bool(p.kind.from_plain(p.kind.plain(value)) == value) and not p.check(value)
    except (ValueError, TypeError):
        return False


def _advised(p: Param, advice: Mapping[str, Any]) -> Any:
    """What the model advises; None when nothing, or nothing that the parameter takes."""
    try:
        advised = p.kind.from_plain(advice[p.name]) if p.name in advice else None
    except ValueError:
        return None
    return None if advised is None or p.check(advised) else advised


def _settle_excluded(node: Node[Any, Any], values: dict[str, Value]) -> None:
    """Of two parameters that exclude each other the one of the higher source stands; the other is as if never said."""
    for p in node.params.values():
        if p.arg.excludes:
            other = node.params[p.arg.excludes]
            wins = values[p.name].source > values[other.name].source and values[p.name].value is not None
            if wins or values[other.name].value is not None:
                loser = other if wins else p
                values[loser.name] = Value(loser.default, Source.DEFAULT)


def _field(given: Given, name: str) -> Any:
    """A value of an earlier result: one that flows, its model, or any that its step recorded."""
    if name in given.values:
        return given.values[name]
    if name == "model":
        return given.model
    return given.step.params.get(name) if given.step is not None else None
