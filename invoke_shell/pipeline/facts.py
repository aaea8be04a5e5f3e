"""What a chain needs looked up, and what was found. The shell looks; nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from invoke_shell.pipeline.chain import Chain, Source, Stage, Value
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.templates import Template
from invoke_shell.pipeline.types import Handle, Pattern, PixelHash, Sweep, Weighted
from invoke_shell.records import Image, ModelRecord, Resource, StepRecord

__all__ = ["Facts", "Given", "InputRef", "Need", "Needs", "needs", "setting"]


@dataclass(frozen=True, kw_only=True)
class InputRef:
    """A source picture with a place to read it from. path is local and never recorded; image when it is in memory."""

    hash: str
    width: int
    height: int
    mode: str = "RGB"
    path: str = ""
    name: str = ""
    file_hash: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    image: Image | None = field(default=None, repr=False, compare=False)

    def resource(self) -> Resource:
        """What is recorded of it."""
        return Resource(
            hash=self.hash,
            width=self.width,
            height=self.height,
            mode=self.mode,
            name=self.name,
            file_hash=self.file_hash,
            facts=self.facts,
        )


@dataclass(frozen=True, kw_only=True)
class Given:
    """An earlier result: its pixels, the step that made it, the values that follow from it.

    step None: only a file is left of its history. model: what it was made with; said when another runs, never followed.
    """

    ref: InputRef
    step: StepRecord | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    handle: str = ""
    model: ModelRecord | None = None


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something to look up, and the span of its word when it was typed.

    what: handle, picture (a path), pattern, hash, model (of a kind), wildcard or last.
    """

    what: str
    text: str
    kind: str = ""
    span: tuple[int, int] | None = None


Needs = tuple[Need, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found. pictures: path, pattern or hash -> pictures; models: (kind, text) -> record.

    wildcards: name -> lines, those that other wildcards name too.
    """

    handles: Mapping[str, tuple[Given, ...]] = field(default_factory=dict)
    last: tuple[Given, ...] = ()
    pictures: Mapping[str, tuple[InputRef, ...]] = field(default_factory=dict)
    models: Mapping[tuple[str, str], ModelRecord] = field(default_factory=dict)
    wildcards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def needs(chain: Chain, registry: Registry, settings: Mapping[str, Value]) -> Needs:
    """Everything a chain needs looked up, in reading order, each once."""
    found: dict[tuple[str, str, str], Need] = {}
    for need in _all_needs(chain, registry, settings):
        found.setdefault((need.what, need.kind, need.text), need)
    return tuple(found.values())


def _all_needs(chain: Chain, registry: Registry, settings: Mapping[str, Value]) -> Iterator[Need]:
    flowing: set[tuple[str, str]] = set()  # name and kind of the models that surely come down the pipe
    if chain.continues:
        yield Need(what="last", text="|")
    for stage in chain.stages:
        for handle in stage.handles:
            yield Need(what="handle", text=handle.text, span=stage.span)
        if not stage.node:
            continue
        node = registry[stage.node]
        flowing = set() if node.takes == "all" else flowing
        for p in _as_typed(node, stage):
            if p.name in stage.values:
                yield from _needs_of(p, stage.values[p.name])
            elif not (p.arg.follows and (p.name, p.kind.model) in flowing) and not p.kind.picture:
                yield from _needs_of(p, setting(node, p, settings) or Value(p.default, Source.DEFAULT))
        flowing |= {(n, node.params[n].kind.model) for n in node.gives}


def _as_typed(node: Node[Any, Any], stage: Stage) -> list[Param]:
    """A node's parameters, those typed first, in the order of the line."""
    return [node.params[n] for n in stage.values] + [p for p in node.params.values() if p.name not in stage.values]


def _needs_of(p: Param, value: Value) -> Iterator[Need]:
    items = value.value.values if isinstance(value.value, Sweep) else value.value
    for name in value.value.names if isinstance(value.value, Template) else ():
        yield Need(what="wildcard", text=name, span=value.span)
    for item in items if isinstance(items, tuple) else (items,):
        item = item.value if isinstance(item, Weighted) else item
        if isinstance(item, Handle):
            yield Need(what="handle", text=item.text, span=value.span)
        elif p.kind.picture and isinstance(item, Path | PixelHash | Pattern):
            what = {Pattern: "pattern", PixelHash: "hash"}.get(type(item), "picture")
            yield Need(what=what, text=str(item), span=value.span)
        elif p.kind.model and isinstance(item, str):
            yield Need(what="model", text=str(item), kind=p.kind.model, span=value.span)


def setting(node: Node[Any, Any], p: Param, settings: Mapping[str, Value]) -> Value | None:
    """What is set for a parameter, or None.

    The session beats the config; within each, `set img2img.steps 30` beats `set steps 30`.
    """
    special, general = settings.get(f"{node.name}.{p.name}"), settings.get(p.name)
    if special is None or general is None:
        return special or general
    return general if general.source > special.source else special
