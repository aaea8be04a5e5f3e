"""What is said when a model is not the one that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from invoke_shell.errors import BlockedError, nearest
from invoke_shell.models.entry import Entry
from invoke_shell.models.files import shown, size_text
from invoke_shell.models.finding import KINDS

__all__ = ["another", "mistaken", "taken", "unknown", "unread"]

FLAGS = {"checkpoint": "--model", "upscaler": "--upscaler", "lora": "--lora", "vae": "--vae", "controlnet": "--control"}
MOST = 12  # names that are listed
FEW = 3  # names that may have been meant


def unknown(text: str, kind: str, entries: Sequence[Entry]) -> BlockedError:
    """No model of a kind is meant by a word. entries: those there are."""
    word = "model" if kind in ("", "checkpoint") else KINDS[kind].partition(" ")[2] if kind in KINDS else kind
    names = [e.name for e in entries]
    near = [one for one in [nearest(text, names)] if one] or _begun(text, names)
    hint = f"did you mean {' or '.join(near)}?" if near else _silent(text, entries) or _listed(names)
    return BlockedError(f"there is no {word} {shown(text)}", hint=hint, code="unknown-model")


def _begun(text: str, names: Sequence[str]) -> list[str]:
    """The few names that begin with a text, or that have it; none when there are more."""
    text = text.casefold()
    begun = [n for n in names if n.casefold().startswith(text)] or [n for n in names if text in n.casefold()]
    return begun if len(begun) <= FEW else []


def _silent(text: str, entries: Sequence[Entry]) -> str:
    """For a hash: it may be of one that was not read yet."""
    digits = text.rpartition(":")[2]
    silent = [e for e in entries if not e.hash and e.origin != "box"]
    if not silent or len(digits) < 6 or digits.strip("0123456789abcdef"):
        return ""
    count = "1 is" if len(silent) == 1 else f"{len(silent)} are"
    return f"{count} not hashed yet ({size_text(sum(e.finding.bytes for e in silent))}): models verify does it"


def unread(entries: Sequence[Entry]) -> str:
    """That a model which is looked for by its hash may be among those whose hash is not known; "" when all are."""
    count = sum(not e.hash and e.origin != "box" for e in entries)
    if not count:
        return ""
    what = "1 model here was" if count == 1 else f"{count} models here were"
    return f"{what} never read, and may be it: models verify reads them"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"there is: {', '.join(sorted(names, key=str.casefold)[:MOST])}{more}" if names else ""


def mistaken(entry: Entry, kind: str, path: Path | None = None) -> BlockedError:
    """A model is there, and is of another kind. path: how it was named, when not by its name."""
    what = KINDS.get(entry.kind) or entry.finding.reason
    flag = FLAGS.get(entry.kind, "")
    hint = f"it is given as {flag} {shown(path or entry.name)}" if flag else ""
    return BlockedError(
        f"{shown(path or entry.name)} is {what}, not {KINDS.get(kind, kind)}", hint=hint, code="bad-model"
    )


def another(entry: Entry, digits: str) -> BlockedError:
    """A model has the name that was asked for, and another content."""
    message = f"{entry.name} is here with another content: {entry.record.text}, not @{shown(digits)}"
    return BlockedError(message, hint=f"{entry.name} alone means the one that is here", code="unknown-model")


def taken(there: Entry) -> BlockedError:
    """A name is that of another model of the kind."""
    message = f"there is {KINDS[there.kind]} called {there.name} already"
    return BlockedError(message, hint=f"it lies at {shown(there.path)}", code="file-exists")
