"""ComfyUI's editor document as the graph that it stands for: nodes with the values of their fields, links by output.

The document has a node's values as a bare list; their names are known for common nodes (comfy_fields.py), or stand
beside the list in documents of later editors. What is muted goes, what is bypassed is passed through, primitives and
set/get pairs are their values, subgraphs are opened. A stranger's: links may lead nowhere or in circles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.comfy_fields import AFTER, FIELDS, SEEDS

__all__ = ["Drawn", "drawn"]

FAR = 64  # links followed from one place, inputs of one node
DEEP = 8  # subgraphs in each other
MOST_NODES = 2_000  # looked at, those of a subgraph as often as it stands in the document
MUTED, BYPASSED = 2, 4
INWARD, OUTWARD = "-10", "-20"  # the ends of a subgraph
NO_NODES = ("Note", "MarkdownNote", "PrimitiveNode", "SetNode", "GetNode")


@dataclass(frozen=True)
class Drawn:
    """graph: as `prompt` holds it. unnamed: kinds of nodes with values that nothing names."""

    graph: dict[str, Any] = field(default_factory=dict)
    unnamed: tuple[str, ...] = ()


class _Wire(NamedTuple):
    """A link: from an output of a node to an input of another."""

    origin: str
    output: int
    target: str
    input: int


def drawn(value: Any) -> Drawn:
    """The graph of an editor's document; an empty one for anything else."""
    document = loose.mapping(value)
    rows = map(loose.mapping, loose.items(loose.mapping(document.get("definitions")).get("subgraphs"))[:MOST_NODES])
    sheets = {row["id"]: _Sheet(row) for row in rows if isinstance(row.get("id"), str)}
    graph: dict[str, Any] = {}
    unnamed: dict[str, None] = {}
    for scope, node in islice(_Scope(_Sheet(document), sheets).all_nodes(), MOST_NODES):
        kind = _kind(node)
        if node.get("mode") in (MUTED, BYPASSED) or kind in NO_NODES or kind in sheets:
            continue
        values = _values(node)
        if values is None:
            unnamed[kind] = None
        graph[scope.key(node)] = {"class_type": kind, "inputs": {**(values or {}), **scope.links(node)}}
    return Drawn(graph, tuple(unnamed))


class _Sheet:
    """The nodes and links of the document, or of one subgraph."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        rows = [loose.mapping(row) for row in loose.items(document.get("nodes"))[:MOST_NODES]]
        self.nodes = {str(row.get("id")): row for row in rows if _kind(row)}
        self.wires = dict(_wires(loose.items(document.get("links"))[: 8 * MOST_NODES]))
        self.ends = {wire.input: number for number, wire in self.wires.items() if wire.target == OUTWARD}
        self.setters = {_first(row): row for row in rows if _kind(row) == "SetNode"}


class _Scope:
    """A sheet where it stands. outer: the scope of the node that stands for it, and that node."""

    def __init__(
        self, sheet: _Sheet, sheets: Mapping[str, _Sheet], outer: tuple[_Scope, Mapping[str, Any]] | None = None
    ) -> None:
        self.sheet = sheet
        self.sheets = sheets
        self.outer = outer
        self.depth: int = outer[0].depth + 1 if outer else 0
        self.prefix: str = f"{outer[0].key(outer[1])}:" if outer else ""
        self.found: dict[int, Any] = {}

    def all_nodes(self) -> Iterator[tuple[_Scope, Mapping[str, Any]]]:
        """Every node; behind one that stands for a subgraph that one's nodes."""
        for node in self.sheet.nodes.values():
            yield self, node
            if node.get("mode") not in (MUTED, BYPASSED) and (inner := self.opened(node)):
                yield from inner.all_nodes()

    def key(self, node: Mapping[str, Any]) -> str:
        return f"{self.prefix}{node.get('id')}"[-200:]

    def opened(self, node: Mapping[str, Any]) -> _Scope | None:
        """The subgraph that a node stands for."""
        sheet = self.sheets.get(_kind(node))
        return _Scope(sheet, self.sheets, (self, node)) if sheet and self.depth < DEEP else None

    def links(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """What is linked to a node, by input: `[id, output]`, or the value of a primitive."""
        rows = map(loose.mapping, loose.items(node.get("inputs"))[:FAR])
        found = {row["name"]: self.behind(row.get("link")) for row in rows if isinstance(row.get("name"), str)}
        return {name: value for name, value in found.items() if value is not None}

    def behind(self, link: Any) -> Any:
        """What a link leads to, None for nothing."""
        if type(link) is not int:
            return None
        if link not in self.found:
            self.found[link] = self._behind(link)
        return self.found[link]

    def _behind(self, link: Any) -> Any:
        scope: _Scope = self
        for _ in range(FAR):
            wire = scope.sheet.wires.get(link) if type(link) is int else None
            if wire is None:
                return None
            if wire.origin == INWARD and scope.outer:
                scope, node = scope.outer
                link = _link(node, wire.output)
                continue
            node = scope.sheet.nodes.get(wire.origin, {})
            kind = _kind(node)
            if node.get("mode") == MUTED or not kind:
                return None
            if node.get("mode") == BYPASSED:
                link = _through(node, wire.output)
            elif kind == "PrimitiveNode":
                return next(iter(loose.items(node.get("widgets_values"))), None)
            elif kind == "GetNode":
                link = _link(scope.sheet.setters.get(_first(node), {}), 0)
            elif inner := scope.opened(node):
                scope, link = inner, inner.sheet.ends.get(wire.output)
            else:
                return [scope.key(node), wire.output]
        return None


def _first(node: Mapping[str, Any]) -> str:
    """The first value of a node, as text."""
    return loose.words(next(iter(loose.items(node.get("widgets_values"))), None))


def _wires(rows: list[Any]) -> Iterator[tuple[int, _Wire]]:
    """Links are `[id, node, output, node, input, type]`, and objects in subgraphs."""
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    for row in rows:
        cells: list[Any] = [row.get(name) for name in names] if isinstance(row, dict) else loose.items(row)[:5]
        if len(cells) == 5 and all(type(cells[n]) is int for n in (0, 2, 4)):
            number, origin, output, target, place = cells
            yield number, _Wire(str(origin), output, str(target), place)


def _kind(node: Mapping[str, Any]) -> str:
    kind = node.get("type")
    return kind if isinstance(kind, str) else ""


def _link(node: Mapping[str, Any], place: int) -> Any:
    """The link into an input of a node."""
    inputs = loose.items(node.get("inputs"))
    return loose.mapping(inputs[place]).get("link") if 0 <= place < len(inputs) else None


def _through(node: Mapping[str, Any], output: int) -> Any:
    """The link that a bypassed node passes on: of the first input of the output's type."""
    outputs = loose.items(node.get("outputs"))
    wanted = loose.mapping(outputs[output]).get("type") if 0 <= output < len(outputs) else None
    inputs = map(loose.mapping, loose.items(node.get("inputs"))[:FAR])
    return next((row["link"] for row in inputs if row.get("type") == wanted and row.get("link") is not None), None)


# -- values ----------------------------------------------------------------------------------------------------------


def _values(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """A node's values by name; None where nothing names them."""
    held = node.get("widgets_values")
    if isinstance(held, dict):
        return held
    values = loose.items(held)
    stack = {f"row {n}": value for n, value in enumerate(values) if isinstance(value, dict)}  # of LoRAs
    if names := FIELDS.get(_kind(node)):
        return {**_named(names, values)[0], **stack}
    named, used = _named(_written(node), values)
    if used == len(values):
        return named
    return stack or None


def _named(names: tuple[str, ...], values: list[Any]) -> tuple[dict[str, Any], int]:
    """Values by name, and how many were used; behind a seed stands what the editor does to it after a run."""
    found: dict[str, Any] = {}
    at = 0
    for name in names:
        if at >= len(values):
            break
        found[name] = values[at]
        at += 1
        if name in SEEDS and at < len(values) and (values[at] is True or values[at] is False or values[at] in AFTER):
            at += 1
    return found, at


def _written(node: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of fields that later editors write beside the inputs."""
    rows = map(loose.mapping, loose.items(node.get("inputs"))[:FAR])
    return tuple(name for row in rows if isinstance(name := loose.mapping(row.get("widget")).get("name"), str))
