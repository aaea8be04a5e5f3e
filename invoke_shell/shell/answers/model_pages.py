"""What is said of models: a line of the list, a page, a scan's outcome; and the same as records for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import cells
from invoke_shell.metadata.visible import visible
from invoke_shell.models.files import shown, size_text

if TYPE_CHECKING:
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.scan import Scanned

__all__ = ["NAME", "details", "fit", "likenesses", "page", "record", "row", "summary", "wrapped"]

NAME = 26  # cells of a name in the table
TOLD = 10  # refused files that a scan names


def row(entry: Entry) -> str:
    """At most 80 columns: name, kind, family, size, hash."""
    found = entry.finding
    family = " ".join(part for part in (found.base, found.variant) if part)
    digits = entry.hash.rpartition(":")[2][:6]
    name, size = fit(visible(entry.name), NAME), size_text(found.bytes)
    return f"{name} {entry.kind:<12} {fit(visible(family), 20)} {size:>8} {digits}".rstrip()


def likenesses(same: Mapping[str, str]) -> str:
    """`; the same weights as fox (as far as float16 tells)`, or nothing."""
    if not same:
        return ""
    names = (visible(name) + (" (as far as float16 tells)" if how == "half" else "") for name, how in same.items())
    return f"; the same weights as {', '.join(names)}"


def fit(text: str, width: int) -> str:
    """Filled up or cut to a number of cells."""
    if cells(text) > width:
        while cells(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cells(text))


def page(entry: Entry, more: dict[str, str]) -> Iterator[str]:
    """What `show` says, a line for each fact."""
    found = entry.finding
    yield f"{visible(entry.name)}: {entry.kind}" + (f", {found.base}" if found.base else ", family unknown")
    for label, value in _facts(entry, more):
        if value:
            first, *rest = wrapped(visible(value), 14)
            yield f"  {label:<11} {first.lstrip()}"
            yield from rest


def wrapped(text: str, indent: int, *, more: int = 0) -> list[str]:
    """Lines of at most 80 columns; a path or a hash is never broken. more: of all lines but the first."""
    from textwrap import wrap

    first, rest = " " * indent, " " * (indent + more)
    return wrap(text, 80, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def _facts(entry: Entry, more: dict[str, str]) -> Iterator[tuple[str, str]]:
    found = entry.finding
    yield "variant", found.variant
    yield "why", found.reason
    yield "path", str(entry.path)
    yield "", "" if entry.path.exists() else "nothing is there any more: models scan its new folder"
    yield "weights", ", ".join(p for p in (found.format, found.dtype, size_text(found.bytes)) if p)
    yield "holds", ", ".join(found.parts)
    yield "predicts", found.prediction + (", zero terminal SNR" if found.zero_snr else "")
    yield "words", ", ".join(found.words)
    yield "defaults", "  ".join(f"--{k} {v}" for k, v in found.advice.items())
    yield from ((label, found.told.get(label, "")) for label in ("title", "author", "license", "usage_hint"))
    scheme, _, digits = entry.hash.rpartition(":")
    yield scheme or "hash", digits or f"not read yet; models verify {entry.name} does it"
    yield from (more or entry.hashes).items()
    yield from ((f"was {name}", digits) for name, digits in entry.original.items())
    yield from entry.weights.items()
    yield "from", entry.source
    yield "key", entry.key
    yield "added", _date(entry.added)
    yield "verified", _date(entry.verified)
    yield from (("note", note) for note in found.notes)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""


def record(entry: Entry) -> dict[str, Any]:
    """One JSON object of a model; keys are added, never renamed."""
    found = entry.finding
    return {
        "event": "model", "name": entry.name, "kind": entry.kind, "base": found.base, "variant": found.variant,
        "format": found.format, "dtype": found.dtype, "bytes": found.bytes, "path": str(entry.path),
        "hash": entry.hash or None, "key": entry.key or None, "words": [*found.words], "origin": entry.origin,
    }  # fmt: skip


def details(entry: Entry) -> dict[str, Any]:
    found = entry.finding
    return {
        "reason": found.reason, "prediction": found.prediction or None, "zero_snr": found.zero_snr,
        "parts": [*found.parts], "advice": dict(found.advice), "told": dict(found.told), "notes": [*found.notes],
        "original": dict(entry.original), "weights": dict(entry.weights), "source": entry.source or None,
        "added": entry.added or None, "verified": entry.verified or None,
    }  # fmt: skip


# -- what is said of a scan ------------------------------------------------------------------------------------------


def summary(folder: Path, out: Scanned) -> Iterator[str]:
    found = Counter(e.kind for e in (*out.new, *out.changed, *out.moved))
    news = ", ".join(f"{len(some)} {what}" for what, some in _news(out) if some) or "nothing new"
    yield f"{visible(str(folder))}: {out.files} file{'' if out.files == 1 else 's'}, {news}"
    if found:
        yield from wrapped(", ".join(f"{count} {kind}" for kind, count in found.most_common()), 2)
    if out.pickles:
        several = len(out.pickles) > 1
        some, each = (f"{len(out.pickles)} pickles are", "each") if several else ("1 pickle is", "it")
        yield f"  {some} left out, which could run any program; this makes {each} safe:"
        yield f"    models convert {shown(out.pickles[0])}"
    others = [why for path, why in out.refused.items() if path not in out.pickles]
    yield from (line for why in [*others, *map(visible, out.faults)][:TOLD] for line in wrapped(why, 2, more=2))
    if len(others) + len(out.faults) > TOLD:
        yield f"  … and {len(others) + len(out.faults) - TOLD} more; --json tells all"


def _news(out: Scanned) -> Iterator[tuple[str, Sequence[object]]]:
    yield from (("new", out.new), ("changed", out.changed), ("moved", out.moved), ("gone", out.gone))
