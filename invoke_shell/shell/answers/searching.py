"""What a question finds: what is typed for it, commands that are called so, flags, and pages that have the words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from invoke_shell.pipeline import derive
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.registry import Registry
from invoke_shell.shell.answers.pages import summarised
from invoke_shell.shell.answers.tasks import alike, split, tasks_for, words_of

__all__ = ["search"]

TASKS = 4  # of each kind, the most that are shown
FLAGS = 8
NAME = 16  # columns of a flag's name
OWNERS = 3  # commands that are named behind a flag


def search(text: str, registry: Registry) -> list[str]:
    """Lines of 80 columns; none where nothing has the words."""
    words = words_of(text)
    nodes = list(registry.values())
    called = [node for node in nodes if _has(words, f"{node.name} {node.summary}")]
    called.sort(key=lambda node: not _has(words, node.name))
    flags = {flag: found for flag, found in _flags(registry).items() if _has(words, f"{flag} {found[0][1].arg.help}")}
    also = [node.name for node in nodes if node not in called and _has(words, "\n".join(derive.help_node(node)))]
    parts = [
        [line for task in list(tasks_for(text))[:TASKS] for line in (task.what, *derive.wrapped(task.line, "  "))],
        [summarised(node) for node in called],
        [line for flag in list(flags)[:FLAGS] for line in _flag(flag, flags[flag])],
    ]
    if not any(parts):  # a word deep in a page
        parts = [derive.wrapped(f"The pages of these have it: {', '.join(also)}")] if also else []
    lines = [line for part in parts if part for line in ("", *part)]
    return lines[1:]


def _has(words: Sequence[str], text: str) -> bool:
    there = split(text)
    return all(any(alike(word, other) for other in there) for word in words)


def _flags(registry: Registry) -> Mapping[str, list[tuple[Node[Any, Any], Param]]]:
    found: dict[str, list[tuple[Node[Any, Any], Param]]] = {}
    for node in registry.values():
        for p in node.params.values():
            if not p.positional:
                found.setdefault(p.flag, []).append((node, p))
    return found


def _flag(flag: str, owners: Sequence[tuple[Node[Any, Any], Param]]) -> Iterator[str]:
    more = f", … {len(owners) - OWNERS} more" if len(owners) > OWNERS else ""
    names = ", ".join(node.name for node, _ in owners[:OWNERS])
    yield from derive.wrapped(f"{owners[0][1].arg.help} ({names}{more})", f"  {flag:<{NAME}} ", " " * (NAME + 3))
