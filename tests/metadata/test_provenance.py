"""Marks of origin on inputs: found in every container, recorded, and said again where that is true."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from metadata_material import after, chunk, frame, image, itxt, png, text, txt2img
from PIL import Image as Pillow

from invoke_shell.metadata.companions import xmp
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.jpeg_webp import Form
from invoke_shell.metadata.provenance import COMPOSITE, TRAINED, marks_of, marks_text, source_type
from invoke_shell.records import Resource, StepRecord

XMP = "XML:com.adobe.xmp"
# The head of a C2PA manifest store: a JUMBF superbox and its description box, whose type begins "c2pa".
JUMBF = b"\0\0\0\x3cjumb\0\0\0\x1ejumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0" + b"\0" * 30


def saved(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", (4, 4), "red").save(out, form, **options)
    return out.getvalue()


def app11(data: bytes) -> bytes:
    """A JPEG with a JUMBF segment after its start."""
    segment = b"JP\0\1\0\0\0\1" + JUMBF
    return data[:2] + b"\xff\xeb" + (len(segment) + 2).to_bytes(2) + segment + data[2:]


@pytest.mark.parametrize(
    ("data", "marks"),
    [
        (png(), []),
        (png(chunk(b"caBX", JUMBF)), ["c2pa"]),
        (png(itxt(XMP, xmp(TRAINED).encode())), [f"iptc:{TRAINED}"]),
        (png(itxt(XMP, xmp(TRAINED).encode(), packed=True)), [f"iptc:{TRAINED}"]),
        (png(text("AIGC", b'{"Label":"1"}')), ["aigc"]),
        (app11(saved("JPEG")), ["c2pa"]),
        (saved("JPEG", xmp=xmp(COMPOSITE).encode()), [f"iptc:{COMPOSITE}"]),
        (saved("WEBP", xmp=xmp(TRAINED).replace("Iptc", "TC260:AIGC Iptc", 1).encode()), ["aigc", f"iptc:{TRAINED}"]),
        (b"", []),
    ],
)
def test_marks_are_found(data: bytes, marks: list[str]):
    assert marks_of(data) == marks


def test_our_own_pictures_are_marked():
    for form in (Form(), Form(name="jpeg"), Form(name="webp")):
        assert marks_of(embed(frame(), app_version="1", form=form)) == [f"iptc:{TRAINED}"]


def test_they_are_recorded_with_the_source():
    assert read_image(app11(saved("JPEG")))[1].facts == {"format": "JPEG", "marks": ["c2pa"]}


def test_what_cannot_go_on_is_said():
    assert list(marks_text("a\x1b.jpg", ["c2pa", "aigc", f"iptc:{TRAINED}", 3])) == [
        "a\\u{1B}.jpg has Content Credentials (C2PA), which vouch for that file alone: "
        "the new picture's record names them",
        "a\\u{1B}.jpg has an AIGC label: the new picture's record names it",
    ]


def source(*marks: str) -> Resource:
    return Resource(hash="blake3:" + "1" * 64, width=6, height=4, facts={"marks": list(marks)} if marks else {})


def drawn(*sources: Resource) -> StepRecord:
    return replace(txt2img(), inputs={"frame": sources} if sources else {})


def changed(one: Resource) -> StepRecord:
    return replace(after(txt2img(), "blur", image(seed=2), radius=2), inputs={"frame": (one,)})


@pytest.mark.parametrize(
    ("step", "term"),
    [
        (drawn(), TRAINED),
        (drawn(source()), COMPOSITE),
        (drawn(source(f"iptc:{TRAINED}")), TRAINED),
        (drawn(source(f"iptc:{TRAINED}"), source()), COMPOSITE),
        (drawn(source(f"iptc:{COMPOSITE}")), COMPOSITE),
        (changed(source()), ""),
        (changed(source("c2pa")), ""),
        (changed(source(f"iptc:{TRAINED}")), TRAINED),
        (changed(source(f"iptc:{COMPOSITE}", "aigc")), COMPOSITE),
    ],
)
def test_how_a_picture_came_to_be(step: StepRecord, term: str):
    assert source_type([step]) == term
