"""ComfyUI's graph: nodes by id, and what their inputs hold, through links.

A stranger's: links may lead nowhere or in circles, and any input may be of any kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.result import Notes

__all__ = ["FAR", "PICTURES", "TEXTS", "Graph", "Node", "samples", "source_file"]

FAR = 64  # links followed from one place
BOTH_SIDES = re.compile(r"\s{0,9}(\d{2,6})\s{0,9}[xX×]\s{0,9}(\d{2,6})")
SIDES = (("width", "height"), ("empty_latent_width", "empty_latent_height"), ("W", "H"))
SEEDS = ("seed", "noise_seed")
PICTURES = ("samples", "latent", "latent_image", "images", "image", "pixels", "samples_to", "destination")
TEXTS = (
    "populated_text", "text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "bert", "mt5xl", "prompt", "string",
    "value", "string_a", "string_b", "text1", "text2", "text_a", "text_b", "text_c", "wildcard_text", "Text",
)  # fmt: skip
HOLDERS = (
    "value",
    "seed",
    "int",
    "float",
    "number",
    "Number",
    "Value",
    "noise_seed",
    "a",
)  # of nodes that hold a number


@dataclass(frozen=True)
class Node:
    """A node of the graph. inputs: values, or links as [id, output]."""

    id: str
    kind: str
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.kind[:60]


class Graph:
    """The nodes of a graph. Empty when the value is none. Some writers put the graph under `prompt`."""

    def __init__(self, value: Any) -> None:
        found = loose.mapping(value)
        self.nodes = _nodes(found) or _nodes(loose.mapping(found.get("prompt")))

    def linked(self, value: Any) -> Node | None:
        """The node a link points to, through reroutes and switches; None where there is none."""
        if type(value) is not list:
            return None
        for _ in range(FAR):
            node = self._direct(value)
            if node is None or not (passed := _passed(node, self)):
                return node
            value = passed
        return None

    def _direct(self, value: Any) -> Node | None:
        if not isinstance(value, list) or len(value) != 2 or type(value[1]) is not int:
            return None
        return self.nodes.get(str(value[0])) if isinstance(value[0], str | int) else None

    def follow(self, node: Node, *names: str) -> Node | None:
        """The node behind the first input that is a link."""
        return next((found for name in names if (found := self.linked(node.inputs.get(name)))), None)

    def follow_output(self, node: Node, *names: str) -> tuple[Node, int] | None:
        """As follow, with the number of the output."""
        for name in names:
            if found := self.linked(node.inputs.get(name)):
                return found, node.inputs[name][1]
        return None

    def value(self, node: Node, *names: str) -> Any:
        """The first input that is there, through links to nodes that hold a value; lists of one opened."""
        found = next((node.inputs[name] for name in names if name in node.inputs), None)
        for _ in range(FAR):
            behind = self.linked(found)
            if behind is None:
                break
            found = next((behind.inputs[name] for name in (*names, *HOLDERS) if name in behind.inputs), None)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        return None if isinstance(found, list | dict) else found

    def size(self, node: Node, notes: Notes) -> tuple[int, int] | None:
        """Width and height of a node, or of the node they come from."""
        across, down = self._sides(node, 4)
        return notes.size(across, down)

    def _sides(self, node: Node, depth: int) -> tuple[Any, Any]:
        for names in SIDES:
            width, height = (self.value(node, name) for name in names)
            if width and height:
                return width, height
        for name in ("dimensions", "resolution", "size"):  # one text, `1216 x 832   (landscape)`
            if found := BOTH_SIDES.match(self.word(node, name)):
                return int(found[1]), int(found[2])
        behind = self.follow(node, "width", "height", "empty_latent_width", "dimensions", "resolution")
        if behind is None or not depth:
            return None, None
        across, down = (loose.whole(side) for side in self._sides(behind, depth - 1))
        larger = loose.real(self.value(behind, "clip_scale")) or 1.0  # rgthree's empty latent gives its size so
        return (round(across * larger), round(down * larger)) if across and down else (None, None)

    def whole(self, node: Node, notes: Notes, *names: str) -> int | None:
        return notes.whole(f"{names[0]} of {node}", self.value(node, *names))

    def real(self, node: Node, notes: Notes, *names: str) -> float | None:
        return notes.real(f"{names[0]} of {node}", self.value(node, *names))

    def word(self, node: Node | None, *names: str) -> str:
        return loose.words(self.value(node, *names)) if node else ""

    def text(self, value: Any) -> str:
        """A text, or the texts behind a link, joined as their node joins them."""
        return self._text(value, set())

    def _text(self, value: Any, seen: set[str]) -> str:
        node = self.linked(value)
        if node is None:
            return loose.words(value)
        if node.id in seen or len(seen) > FAR:
            return ""
        seen.add(node.id)
        inputs = node.inputs
        found = [text for name in TEXTS if name in inputs and (text := self._text(inputs[name], seen))]
        joint = node.inputs.get("delimiter")
        return (joint if isinstance(joint, str) else " ").join(found)[: loose.MAX_WORDS]


def _nodes(found: dict[str, Any]) -> dict[str, Node]:
    rows = {str(key): loose.mapping(row) for key, row in found.items()}
    return {
        key: Node(key, row["class_type"], loose.mapping(row.get("inputs")))
        for key, row in rows.items()
        if isinstance(row.get("class_type"), str)
    }


def _passed(node: Node, graph: Graph) -> Any:
    """The link a node only passes on: a reroute's, a switch's chosen one; None for other nodes."""
    if node.kind.startswith("Reroute"):
        return next((value for value in node.inputs.values() if isinstance(value, list)), None)
    if node.kind == "ComfySwitchNode":
        chosen = node.inputs.get("switch")
        chosen = graph.value(node, "switch") if isinstance(chosen, list) else chosen
        return node.inputs.get("on_true" if chosen is True else "on_false")
    return None


def samples(node: Node) -> bool:
    """True for a node that runs a sampler over the whole picture, whatever it is called."""
    if node.kind in ("SamplerCustom", "SamplerCustomAdvanced"):
        return True
    named = "sampler_name" in node.inputs and "steps" in node.inputs and any(name in node.inputs for name in SEEDS)
    return named and "Detailer" not in node.kind


def source_file(node: Node) -> bool:
    """True for a node that brings in a picture file."""
    return "LoadImage" in node.kind or "Load Image" in node.kind
