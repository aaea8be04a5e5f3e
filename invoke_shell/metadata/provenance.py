"""Marks that say where a picture comes from: found on inputs, told, recorded, and carried on where that is honest.

IPTC's digital source type is said again of what was made from it. Content Credentials (C2PA) are a signature over one
file's bytes: they cannot be true of another file, so they are named in the record, and the person is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from invoke_shell.errors import MetadataError
from invoke_shell.metadata.png import SIGNATURE, XMP, Png
from invoke_shell.metadata.summary import is_generation
from invoke_shell.metadata.visible import visible
from invoke_shell.records import Resource, StepRecord

__all__ = ["COMPOSITE", "TRAINED", "marks_of", "marks_text", "source_type", "term_of"]

TRAINED = "trainedAlgorithmicMedia"
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
TERM = re.compile(rb"cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,60})")
CREDENTIALS = b"jumdc2pa"  # a JUMBF description box, and the first bytes of C2PA's type in it; in every container alike
LABEL = re.compile(rb"TC260:AIGC|tEXtAIGC\0")
MOST = 8  # terms of one file


def marks_of(data: bytes) -> list[str]:
    """The marks on a picture's file: `c2pa`, `aigc` (China's label, GB 45438), `iptc:TERM`. [] for none."""
    packets = [data, *_inflated_xmp(data)]
    terms = {term.decode() for packet in packets for term in TERM.findall(packet)}
    found = ["c2pa"] if CREDENTIALS in data else []
    found += ["aigc"] if any(LABEL.search(packet) for packet in packets) else []
    return found + [f"iptc:{term}" for term in sorted(terms)[:MOST]]


def _inflated_xmp(data: bytes) -> Iterator[bytes]:
    """A PNG's XMP, which may be compressed; elsewhere it stands in the bytes as it is."""
    if not data.startswith(SIGNATURE):
        return
    try:
        png = Png(BytesIO(data))
        yield from (png.text(chunk).encode(errors="replace") for chunk in png.texts if chunk.keyword == XMP)
    except MetadataError:
        return


def marks_text(name: str, marks: Sequence[Any]) -> Iterator[str]:
    """What the person is told: the marks on a source that cannot be the new picture's. IPTC's term can, and is."""
    label = visible(name) or "a source"
    if "c2pa" in marks:
        credentials = "Content Credentials (C2PA), which vouch for that file alone"
        yield f"{label} has {credentials}: the new picture's record names them"
    if "aigc" in marks:
        yield f"{label} has an AIGC label: the new picture's record names it"


def source_type(steps: Sequence[StepRecord]) -> str:
    """IPTC's word for how a picture came to be; "" where nothing was drawn from a prompt, here or in a source.

    trainedAlgorithmicMedia: all of it. compositeWithTrainedAlgorithmicMedia: a picture went in that is not so marked.
    """
    inputs = [item for step in steps for items in step.inputs.values() for item in items]
    marks = [_terms(item) for item in inputs if isinstance(item, Resource)]
    drawn = any(is_generation(step) for step in steps)
    if not drawn and not any(TRAINED in terms or COMPOSITE in terms for terms in marks):
        return ""
    return TRAINED if all(TRAINED in terms for terms in marks) else COMPOSITE


def term_of(marks: Sequence[Any]) -> str:
    """IPTC's word for pictures made by AI, of a file that has these marks; "" where it has none."""
    return next((term for term in (TRAINED, COMPOSITE) if f"iptc:{term}" in marks), "")


def _terms(source: Resource) -> set[str]:
    marks = source.facts.get("marks")
    return {mark.removeprefix("iptc:") for mark in marks if isinstance(mark, str)} if isinstance(marks, list) else set()
