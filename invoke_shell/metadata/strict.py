"""JSON from a stranger: standard, bounded, and every number and string in it can be used without a second thought."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C one, as the decoder uses it
from typing import Any

from invoke_shell.errors import MetadataError
from invoke_shell.records import Json

__all__ = ["MAX_DEPTH", "MAX_VALUES", "dumps", "listing", "loads"]

MAX_DEPTH = 64
# Commas and brackets: a bound on the number of values, known before any is made. As many one-key objects take 50 MB;
# 4096 steps have 250,000.
MAX_VALUES = 350_000
BOXES = (dict, list)
LOWEST, HIGHEST = -(2**63), 2**64 - 1


def loads(text: str) -> Json:
    """The value of a JSON text.

    Raises MetadataError for what is not JSON, NaN and Infinity, duplicate keys, lone surrogates, integers beyond
    64 bits, floats beyond double precision, more than MAX_DEPTH levels or MAX_VALUES values.
    """
    boxes = text.count("[") + text.count("{")
    if text.count(",") + boxes > MAX_VALUES:
        raise MetadataError(f"the JSON has more than {MAX_VALUES:,} values")
    try:
        value = DECODER.decode(text)
    except RecursionError:
        raise MetadataError(f"the JSON is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise MetadataError(f"it is not JSON from character {error.pos} on") from None
    if boxes > MAX_DEPTH:  # fewer cannot be nested deeper
        _check_depth(value)
    if "\\ud" in text or "\\uD" in text:
        _check_text(value)
    return value  # type: ignore[no-any-return]


def listing(text: str) -> tuple[Json, dict[str, tuple[int, int]]]:
    """The value of a JSON text for a list of thousands, and where the values of its outermost object stand in it.

    Half of the time of `loads`: nothing of ours is called while it is read, so keys twice further in, long integers and
    levels up to Python's own limit are not looked for. Where the text is not as compact as ours it is read by `loads`,
    and the places are not told. Raises MetadataError.
    """
    spans: dict[str, tuple[int, int]] = {}
    if len(text) <= MAX_VALUES:  # it cannot have more values than characters
        try:
            if (value := _by_hand(text, spans)) is not None:
                return value, spans
        except (IndexError, StopIteration, ValueError, RecursionError):
            pass
    return loads(text), {}


def _by_hand(text: str, spans: dict[str, tuple[int, int]]) -> dict[str, Any] | None:
    """The outermost object; None when it has blanks, or a key twice. Raises what the parts of json do."""
    found: dict[str, Any] = {}
    at = 0 if text[0] == "{" else len(text)
    while text[at + 1] == '"':
        key, colon = scanstring(text, at + 2)
        if text[colon] != ":" or key in found:
            return None
        found[key], end = SCAN(text, colon + 1)
        spans[key] = colon + 1, end
        if text[end] != ",":
            return found if text[end] == "}" and end + 1 == len(text) else None
        at = end
    return None


def dumps(value: Json) -> str:
    """Compact ASCII JSON in the order of the value. Raises MetadataError for what `loads` would refuse."""
    try:
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError) as error:
        raise MetadataError(f"a value cannot be written as JSON: {error}") from None
    loads(text)
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise MetadataError("the JSON has an object with the same key twice")
    return made


def _integer(digits: str) -> int:
    if len(digits) < 19:
        return int(digits)
    # The length first: int() of a million digits takes seconds, or raises a ValueError of its own.
    if len(digits) > 20 or not LOWEST <= int(digits) <= HIGHEST:
        raise MetadataError("the JSON has an integer beyond 64 bits")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise MetadataError("the JSON has a number too large for a float")
    return value


def _constant(name: str) -> Any:
    raise MetadataError(f"the JSON has {name}, which is no number")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant)
SCAN = json.JSONDecoder(parse_constant=_constant).scan_once  # type: ignore[attr-defined]  # a value, and its end


def _check_depth(value: Any) -> None:
    level = [value] if type(value) in BOXES else []
    for _ in range(MAX_DEPTH):
        level = [inner for box in level for inner in _inside(box) if type(inner) in BOXES]
        if not level:
            return
    raise MetadataError(f"the JSON is nested deeper than {MAX_DEPTH} levels")


def _inside(box: Any) -> Iterable[Any]:
    return box.values() if type(box) is dict else box


def _check_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise MetadataError("the JSON has half a surrogate pair, which is no character") from None
