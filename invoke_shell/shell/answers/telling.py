"""A picture of ours, told: file, steps with what is not usual, what came from outside, where it ran, its line."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from invoke_shell.metadata.contents import size_text
from invoke_shell.metadata.read import PictureInfo
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.text import parse, quote
from invoke_shell.pipeline.types import number
from invoke_shell.records import Json, StepRecord
from invoke_shell.shell.display.wrapping import columns, hung

__all__ = ["command_lines", "file_line", "folded", "told"]

NAME = 13  # columns of a step's name, and of a heading
MOST = 16  # steps that are told one by one
KINDS = {"JPEG": "JPEG", "WEBP": "WebP", "PNG": "PNG"}


def file_line(label: str, found: PictureInfo, size: int) -> str:
    """`a.png: invoke_shell 0.1.0, 64x64 PNG, 22 kB, 2026-11-21 04:00 UTC`."""
    data = found.data or {}
    version = f" {visible(str(data['app_version']))}" if isinstance(data.get("app_version"), str) else ""
    kind = KINDS.get(found.kind, found.kind) + (f" (quality {found.form.quality})" if not found.form.lossless else "")
    parts = [f"{found.tool or 'no program known'}{version}", f"{found.width}x{found.height} {kind}", size_text(size)]
    created = data.get("created")
    if isinstance(created, str) and created:
        parts.append(visible(created.replace("T", " ").removesuffix("Z")[:16]) + " UTC")
    return hung(f"{visible(label)}: {', '.join(parts)}")


def told(registry: Registry, data: Mapping[str, Any], steps: Sequence[StepRecord], command: str) -> Iterator[str]:
    """The lines below. steps: of its history, in order; data: the same as JSON."""
    for place, step in enumerate(steps[:MOST], 1):
        name = visible(step.node)
        yield from _wrapped(f"{place:>3}  {name:<{max(NAME - 1, len(name) + 2)}}", _step(registry, step))
    if len(steps) > MOST:
        yield f"     and {len(steps) - MOST} steps more"
    for row in _rows(data):
        is_picture = row.get("kind") in ("image", "mask")
        yield from _wrapped(_heading("source" if is_picture else "model"), _source(row) if is_picture else _model(row))
    drawn = [step.environment for step in steps if "device" in step.environment]
    if ran := _ran((drawn or [steps[-1].environment])[-1]):
        yield from _wrapped(_heading("ran on"), ran)
    if isinstance(replay := steps[-1].facts.get("replay"), dict):
        yield from _wrapped(_heading("replay"), _replayed(replay))
    yield from command_lines(_heading("command"), command)


def _replayed(facts: Mapping[str, Json]) -> list[str]:
    """What a replay recorded of itself; a number that there was none of is left out."""
    return [f"{visible(name).replace('_', ' ')} {visible(str(v))}" for name, v in facts.items() if v is not None]


def command_lines(head: str, command: str) -> Iterator[str]:
    """A command behind a head; folded on a terminal, elsewhere a line is taken, not read."""
    lines = command.splitlines() or [""]
    if sys.stdout.isatty():
        lines = [part for line in lines for part in folded(line, columns() - len(head))]
    yield head + lines[0]
    yield from (" " * len(head) + line for line in lines[1:])


def _heading(word: str) -> str:
    return f"  {word:<{NAME + 2}}"


def _wrapped(head: str, parts: Sequence[str]) -> Iterator[str]:
    """Parts one after the other, two blanks between, in as many lines as the terminal needs."""
    most = columns()
    whole = [part.replace(" ", "\0") for part in parts]  # a part is broken only when it is longer than a line
    lines: list[str] = []
    for part in whole:
        if lines and len(head) + len(lines[-1]) + 2 + len(part) <= most:
            lines[-1] += "\0\0" + part
        else:
            lines.append(part)
    blank = " " * len(head)
    out = [piece for line in lines for piece in _broken(line.replace("\0", " "), most - len(head))]
    yield from ((head if n == 0 else blank) + line for n, line in enumerate(out or [""]))


def folded(line: str, most: int) -> list[str]:
    """A line of the language in lines that fit where that can be; it means the same, so it can be copied."""
    places = [t.start for t in parse(line).tokens if not t.quote and (t.value.startswith("--") or t.kind == "pipe")]
    pieces = [line[a:b] for a, b in pairwise([0, *places, len(line)])]
    out = [""]
    for piece in pieces:
        if out[-1] and len(out[-1]) + len(piece) + 2 > most:
            out.append("  ")
        out[-1] += piece
    return [f"{part.rstrip()} \\" for part in out[:-1]] + [out[-1]]


def _broken(line: str, most: int) -> list[str]:
    return [line] if len(line) <= most else textwrap.wrap(line, most, drop_whitespace=True) or [line]


def _step(registry: Registry, step: StepRecord) -> list[str]:
    """What is not the node's default, its seed always; then how it ran."""
    node = registry.get(step.node)
    known = node.params if node is not None else {}
    parts = []
    for name, value in step.params.items():
        p = known.get(name)
        usual = p is not None and not p.required and value == _plain_default(p)
        if p is not None and p.kind.is_text and p.positional:
            parts.append(visible(quote(str(value))))
        elif not usual or (p is not None and p.kind.is_seed):
            parts.append(f"{visible(name).replace('_', '-')} {_text(value)}")
    run, of = step.facts.get("steps_run"), step.params.get("steps")
    if isinstance(run, int) and isinstance(of, int) and run != of:
        parts.append(f"{run} of {of} steps ran")
    return [*parts, f"gives {step.width}x{step.height}"]


def _plain_default(p: Any) -> Any:
    return [p.kind.plain(v) for v in p.default or ()] if p.kind.many else p.kind.plain(p.default)


def _text(value: Json) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    if isinstance(value, float):
        return number(value)
    text = visible(str(value))
    return quote(text) if isinstance(value, str) and (not text or " " in text) else text


def _rows(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = data.get("resources")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _hash(row: Mapping[str, Any], key: str) -> str:
    """`blake3:8b51eef126263ffe`: the digits that find it in a line."""
    algorithm, _, digits = visible(str(row.get(key) or "")).partition(":")
    return f"{algorithm}:{digits[:16]}" if digits else "no hash"


def _source(row: Mapping[str, Any]) -> list[str]:
    content, marks = row.get("resource_content"), row.get("marks")
    inside = f"inside ({size_text(len(content) * 3 // 4)})" if isinstance(content, str) else ""
    marked = f"marked {', '.join(visible(str(mark)) for mark in marks)}" if isinstance(marks, list) and marks else ""
    name = visible(str(row.get("name") or "without a name"))
    size = f"{row.get('width')}x{row.get('height')}"
    return [part for part in (name, size, _hash(row, "pixel_hash"), inside, marked) if part]


def _model(row: Mapping[str, Any]) -> list[str]:
    size = row.get("bytes")
    about = [visible(str(row.get(key) or "")) for key in ("name", "kind", "base")]
    return [
        *(part for part in about if part),
        _hash(row, "resource_hash"),
        *([size_text(size)] if isinstance(size, int) else []),
    ]


def _ran(environment: Mapping[str, Any]) -> list[str]:
    """The device and the versions that decide about pixels."""
    device, name = environment.get("device"), environment.get("device_name")
    where = f"{device} ({name})" if device and name else str(device or "")
    versions = [f"{key} {environment[key]}" for key in ("torch", "diffusers", "pillow") if environment.get(key)]
    rest = [str(environment[key]) for key in ("dtype",) if environment.get(key)]
    return [visible(part) for part in (where, *rest, *versions) if part]
