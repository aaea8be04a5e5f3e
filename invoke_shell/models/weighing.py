"""Which models are the same in another layout or precision: their weights compared, across the files of a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from invoke_shell.models.files import Tick, quiet

if TYPE_CHECKING:
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.models.entry import Entry
    from invoke_shell.records import ModelRecord

__all__ = ["Same", "alike", "same_model", "twins", "weigh"]

Same = Literal["exact", "half", ""]


def weigh(catalogue: Catalogue, entry: Entry, tick: Tick = quiet) -> Entry:
    """The model with the identity of its weights, computed where it is not known. tick: bytes; may raise to stop.

    Raises BlockedError when its files cannot be read.
    """
    if not entry.unweighed:
        return entry
    from invoke_shell.models.identity import identities, to_texts  # numpy

    return catalogue.set_weights(entry, to_texts(identities(entry.path, tick)))


def twins(catalogue: Catalogue, entry: Entry) -> dict[str, Same]:
    """Names of the other models whose weights are the same as far as they are known, and how far they are."""
    others = (e for e in catalogue.entries(entry.kind) if e.path != entry.path)
    found = {e.name: alike(entry.record.hashes, e.record.hashes) for e in others}
    return {name: same for name, same in found.items() if same}


def same_model(catalogue: Catalogue, record: ModelRecord) -> ModelRecord | None:
    """The model here with the weights of a recorded one, in another file; None when there is none or nobody knows."""
    here = {e.name: e for e in catalogue.entries(record.kind)}
    found = {name: alike(record.hashes, e.record.hashes) for name, e in here.items()}
    best = next((name for same in ("exact", "half") for name in found if found[name] == same), None)
    return catalogue.hash(here[best]).record if best is not None else None


def alike(one: Mapping[str, str], other: Mapping[str, str]) -> Same:
    """How far the weights of two models are the same, by the hashes of their records; "" for not, or not known."""
    if one.get("weights") and one["weights"] == other.get("weights"):
        return "exact"
    return "half" if one.get("weights-half") and one["weights-half"] == other.get("weights-half") else ""
