"""ControlNets and IP-Adapters that a file names: AUTOMATIC1111's units of 2023 and later, InvokeAI's lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.result import Guide, Notes, model_name

__all__ = ["of_infotext", "of_invokeai"]

MOST = 16
# `ControlNet 0: "Module: canny, Model: x [d14c016b], ..."`, and in 2023 a field for each value.
UNIT = re.compile(r"ControlNet \d{1,2}")
SINGLE = re.compile(r"(ControlNet(?:[ -]\d{1,2})?) ([A-Z][A-Za-z ]{2,30})")
DIGEST = re.compile(r"\s*\[\w+\]$")
RANGE = re.compile(r"\s*\(?\s*([\d.]{1,9})\s*,\s*([\d.]{1,9})\s*\)?\s*")


def of_infotext(fields: Mapping[str, Any], notes: Notes) -> tuple[tuple[Guide, ...], frozenset[str]]:
    """The units of AUTOMATIC1111's text, and the names of the fields that were read."""
    units: dict[str, dict[str, str]] = {}
    read: dict[str, None] = {}
    for name, value in fields.items():
        if UNIT.fullmatch(name) and isinstance(value, str):
            units[name] = {key.lower(): text for key, text in _pairs(value)}
            read[name] = None
        elif found := SINGLE.fullmatch(name):
            units.setdefault(found[1], {})[found[2].lower()] = loose.words(value) or loose.shown(value)
            read[name] = None
    guides = [guide for unit in list(units.values())[:MOST] if (guide := _unit(unit, notes))]
    return tuple(guides), frozenset(read)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """`a: 1, b: (0, 1)`: a comma inside brackets is part of a value."""
    for part in re.split(r",(?![^()]{0,80}\))", text[:4096]):
        name, colon, value = part.partition(":")
        if colon:
            yield name.strip(), value.strip()


def _unit(unit: Mapping[str, str], notes: Notes) -> Guide | None:
    name = model_name(DIGEST.sub("", unit.get("model", "")))
    if not name or name.lower() == "none" or unit.get("enabled", "True").lower() == "false":
        return None
    module = unit.get("module", unit.get("preprocessor", ""))
    both = RANGE.fullmatch(unit.get("starting/ending", ""))
    start, end = both.groups() if both else (unit.get("guidance start"), unit.get("guidance end"))
    mode = unit.get("control mode", "Balanced")
    if mode.lower() != "balanced":
        notes.lost("the control mode", mode)
    is_adapter = "ip-adapter" in f"{module} {name}".lower()
    return Guide(
        kind="ip_adapter" if is_adapter else "controlnet",
        model=name,
        weight=notes.real("the weight of a ControlNet", unit.get("weight")),
        start=loose.real(start),
        end=loose.real(end),
        made_by="" if module.lower() in ("", "none") or is_adapter else module,
    )


def of_invokeai(data: Mapping[str, Any]) -> tuple[Guide, ...]:
    """The entries of InvokeAI's `controlnets` and `ipAdapters`."""
    guides = [
        *_rows(data, "controlnets", "controlnet", "control_model", "control_weight"),
        *_rows(data, "ipAdapters", "ip_adapter", "ip_adapter_model", "weight"),
    ]
    return tuple(guides)


def _rows(data: Mapping[str, Any], key: str, kind: str, model: str, weight: str) -> Iterator[Guide]:
    for row in map(loose.mapping, loose.items(data.get(key))[:MOST]):
        named = loose.mapping(row.get(model))
        name = model_name(loose.words(named.get("name")) or loose.words(named.get("model_name")))
        share = row.get(weight)
        share = share[0] if isinstance(share, list) and share else share  # of one for each step the first
        if name:
            yield Guide(
                kind=kind,
                model=name,
                weight=loose.real(share),
                start=loose.real(row.get("begin_step_percent")),
                end=loose.real(row.get("end_step_percent")),
                source=loose.words(loose.mapping(row.get("image")).get("image_name")).rpartition("/")[2],
            )
