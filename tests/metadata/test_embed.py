"""A finished picture as the bytes of its PNG."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from metadata_material import frame, histories, image, txt2img
from PIL import Image as Pillow

from invoke_shell.errors import MetadataError
from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.png import XMP, Png, encode, strip
from invoke_shell.records import Frame, Resource, StepRecord, topological

CREATED = "2026-11-21T04:00:00Z"


def embedded(given: Frame, **options: Any) -> bytes:
    return embed(given, **{"app_version": "0.1.0", "created": CREATED, **options})


def info(data: bytes) -> dict[str, Any]:
    return Pillow.open(io.BytesIO(data)).info


def test_what_is_in_a_picture():
    found = Png(io.BytesIO(embedded(frame())))

    assert [(t.kind, t.keyword, t.late) for t in found.texts] == [
        ("tEXt", "sd-metadata", False),
        ("tEXt", "Dream", False),
        ("tEXt", "parameters", False),
        ("iTXt", XMP, False),
    ]


def test_equal_arguments_give_equal_bytes():
    assert embedded(frame()) == embedded(frame())
    assert embedded(frame()) != embedded(frame(), created="2026-11-21T04:00:01Z")


@settings(deadline=None)
@given(histories())
def test_a_picture_written_again_from_what_is_in_it_is_the_same_file(step: StepRecord):
    first = embedded(Frame(image=image(), step=step), command="a line")
    data = loads(info(first)["sd-metadata"])

    again = embedded(Frame(image=image(), step=from_metadata(data)), command=data["command"], created=data["created"])

    assert again == first


def test_sd_metadata_is_ascii_text_whatever_the_prompt():
    data = embedded(frame(prompt='猫 "and" | \\ \n café 😀'))
    chunk = Png(io.BytesIO(data)).texts[0]

    assert (chunk.kind, chunk.keyword) == ("tEXt", "sd-metadata")
    assert info(data)["sd-metadata"].isascii()
    assert json.loads(info(data)["sd-metadata"])["steps"][0]["params"]["prompt"] == '猫 "and" | \\ \n café 😀'


def test_the_a1111_line_can_be_left_out():
    assert "parameters" not in info(embedded(frame(), a1111=False))


def test_a_picture_that_was_not_drawn_here_has_no_mark_and_no_parameters():
    source = Resource(hash="blake3:" + "1" * 64, width=6, height=4)
    step = replace(txt2img(), node="blur", params={"radius": 2}, models={}, inputs={"frame": (source,)})

    found = info(embedded(Frame(image=image(), step=step)))

    assert set(found) == {"sd-metadata", "Dream"}
    assert found["Dream"] == '""'


def test_the_mark_says_when_a_picture_from_outside_went_in():
    source = Resource(hash="blake3:" + "1" * 64, width=6, height=4)
    drawn = replace(txt2img(), node="img2img", inputs={"frame": (source,)})

    assert "digitalsourcetype/trainedAlgorithmicMedia<" in info(embedded(frame()))[XMP]
    assert (
        "digitalsourcetype/compositeWithTrainedAlgorithmicMedia<"
        in info(embedded(Frame(image=image(), step=drawn)))[XMP]
    )


def test_the_mark_is_well_formed():
    from xml.etree import ElementTree

    description = ElementTree.fromstring(info(embedded(frame()))[XMP]).find(".//{*}DigitalSourceType")

    assert description is not None
    assert description.text == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_a_stripped_picture_is_the_bare_picture():
    assert strip(embedded(frame())) == encode(image())


def test_a_value_that_is_no_json_is_refused_with_a_sentence():
    broken = frame()
    step = replace(broken.step, facts={"first_sigma": float("inf")})

    with pytest.raises(MetadataError) as caught:
        embedded(Frame(image=broken.image, step=step))

    assert caught.value.message.startswith("a value cannot be written as JSON: ")


def test_the_recorded_hash_is_that_of_the_pixels():
    data = embedded(frame())
    read = Pillow.open(io.BytesIO(data))
    last = list(topological(from_metadata(loads(read.info["sd-metadata"]))))[-1]

    assert last.output_hash == image().hash
