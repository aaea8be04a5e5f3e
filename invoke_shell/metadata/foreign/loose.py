"""Values from a stranger's JSON or text, read leniently and within bounds: what is not of the kind wanted is None.

Unlike strict.py, which reads our own: other programs write NaN, numbers as text and keys twice.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from invoke_shell.metadata.strict import MAX_VALUES

__all__ = ["cut_json", "items", "loads", "mapping", "real", "shown", "whole", "words"]

MAX_WORDS = 1 << 16  # characters of a prompt
MAX_SHOWN = 400
WHOLE = re.compile(r"[+-]?\d{1,20}(\.0*)?")
REAL = re.compile(r"[+-]?(\d{1,30}(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
SURROGATE = re.compile("[\ud800-\udfff]")


def loads(text: str) -> Any:
    """The value of a JSON text; None when it is none, is nested too deeply or has too many values."""
    if not text or text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
        return None
    try:
        return QUICK.decode(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    except ValueError:
        return _loads_with_care(text)


def _loads_with_care(text: str) -> Any:
    """The same where a number has more digits than Python reads; None for what is no JSON."""
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def cut_json(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins at a place, and where it ends; (None, at) when none does."""
    try:
        return DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, at


def whole(value: Any) -> int | None:
    """An integer within 64 bits, from a number or its text; 20.0 is 20."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text.partition(".")[0]) if WHOLE.fullmatch(text) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and -(2**63) <= value < 2**64 else None


def real(value: Any) -> float | None:
    """A finite number, from a number or its text."""
    if isinstance(value, str):
        text = value.strip()
        value = float(text) if REAL.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e18 and math.isfinite(value) else None


def words(value: Any) -> str:
    """Text without blanks at its ends, encodable and at most MAX_WORDS long; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    value = value[: MAX_WORDS * 2]
    return (value if value.isascii() else SURROGATE.sub("\ufffd", value)).strip()[:MAX_WORDS]


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; {} for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """A JSON array; [] for anything else."""
    return value if isinstance(value, list) else []


def shown(value: Any) -> str:
    """A value of JSON as text, for a sentence."""
    try:
        return json.dumps(value, ensure_ascii=False)[:MAX_SHOWN]
    except (RecursionError, ValueError, TypeError):
        return "…"


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= 20 else None


def _float(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


QUICK = json.JSONDecoder(parse_constant=lambda name: None, strict=False)  # no call of ours for a number
DECODER = json.JSONDecoder(
    parse_constant=lambda name: None,
    parse_int=_integer,
    parse_float=_float,
    strict=False,
)
