"""What stands behind `replay` and `again`: pictures, and flags with the values that are to be others."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from invoke_shell.errors import Fault, LineError
from invoke_shell.pipeline.text import parse

if TYPE_CHECKING:
    from invoke_shell.pipeline.registry import Registry

__all__ = ["options", "switches_of"]


def switches_of(registry: Registry) -> set[str]:
    """The flags of all nodes that take no value: `pure-noise`."""
    nodes = [node for node in registry.values() if not node.builtin]
    return {p.flag.lstrip("-") for node in nodes for p in node.params.values() if p.kind.is_switch}


def options(text: str, switches: Collection[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Words and `--flag value` pairs of a text. A switch stands alone: it is `on`, with `no-` before it `off`.

    Raises LineError.
    """
    parsed = parse(text)
    if parsed.faults:
        raise LineError(text, parsed.faults)
    tokens = [t for t in parsed.tokens if t.kind == "word"]
    words: list[str] = []
    flags: dict[str, str] = {}
    i = 0
    while i < len(tokens):
        t = tokens[i]
        i += 1
        if t.quote or (t.eq < 0 and not t.value.startswith("-")):
            words.append(t.value)
        elif t.eq >= 0:
            flags[text[t.start : t.eq].lstrip("-—–")] = t.value
        elif switched := _switch(t.value.lstrip("-"), switches):
            name, said = switched
            flags[name] = said
            if i < len(tokens) and tokens[i].value in ("on", "off"):
                flags[name] = tokens[i].value
                i += 1
        elif i < len(tokens):
            flags[t.value.lstrip("-")] = tokens[i].value
            i += 1
        else:
            raise LineError(text, [Fault(t.start, t.end, f"{t.value} needs a value", "", "missing-value")])
    return words, flags


def _switch(name: str, switches: Collection[str]) -> tuple[str, str] | None:
    """What a word says of a switch, its stage in front or not: `pure-noise`, `2.no-pure-noise`."""
    stage, dot, own = name.rpartition(".")
    if own in switches:
        return name, "on"
    off = own.removeprefix("no-")
    return (stage + dot + off, "off") if off != own and off in switches else None
