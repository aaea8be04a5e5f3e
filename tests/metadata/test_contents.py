"""Source pictures inside a picture: chosen within a budget, taken out again, believed only when they prove it."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from metadata_material import after, image, txt2img

from invoke_shell.errors import MetadataError
from invoke_shell.metadata import contents
from invoke_shell.metadata.contents import Contents, choose, contents_of, pictures_of, size_text, without_contents
from invoke_shell.metadata.embed import embed, pack
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.png import Png, encode
from invoke_shell.records import Frame, Image, Resource, StepRecord


def source(picture: Image, name: str = "photo.jpg") -> Resource:
    return Resource(hash=picture.hash, width=picture.width, height=picture.height, name=name)


def noise(side: int, seed: int) -> Image:
    """A picture that deflate cannot make small."""
    import random

    return Image(mode="RGB", width=side, height=side, pixels=random.Random(seed).randbytes(side * side * 3))


def history(*pictures: Image) -> StepRecord:
    """A generation with these sources."""
    return replace(txt2img(), inputs={"frame": tuple(source(p, f"{n}.jpg") for n, p in enumerate(pictures))})


def chosen(policy: Any, *pictures: Image, **options: Any) -> Contents:
    found = {p.hash: p for p in pictures}
    return choose(history(*pictures), policy, lambda s: found[s.hash], **options)


def own(data: bytes) -> dict[str, Any]:
    png = Png(io.BytesIO(data))
    return loads(png.text(png.texts[0]))


def test_nothing_is_embedded_unasked():
    assert chosen("never", noise(8, 1)) == Contents()


def test_auto_takes_what_is_small_and_says_what_is_not():
    small, large = noise(8, 1), noise(700, 2)

    found = chosen("auto", small, large)

    assert list(found.inside) == [small.hash]
    assert found.beside == {}
    assert found.left == ("1.jpg is not embedded (1.5 MB): load_image --embed, or set embed always",)


def test_always_fills_the_picture_then_the_file_beside_it():
    first, second, third = noise(8, 1), noise(9, 2), noise(10, 3)

    found = chosen("always", first, second, third, inside=len(encode(first)) + len(encode(second)))

    assert list(found.inside) == [first.hash, second.hash]
    assert list(found.beside) == [third.hash]


def test_what_is_over_every_limit_is_left_and_said():
    small, large = noise(8, 1), noise(64, 2)

    found = chosen("always", small, large, inside=0, beside=1000)

    assert list(found.beside) == [small.hash]
    assert found.left == ("1.jpg is not embedded (12 kB): there is room for 1 kB",)


def test_a_source_that_is_gone_is_said():
    assert choose(history(noise(8, 1)), "always", lambda s: None).left == (
        "0.jpg is not embedded: its pixels are not kept here any more",
    )


def test_the_note_is_the_results():
    one = Contents(inside={"a": b"x" * 212_000})

    assert one.note == "source embedded (212 kB)"
    assert Contents(inside={"a": b"x" * 400_000}, beside={"b": b"x" * 1_000_000}).note == "2 sources embedded (1.4 MB)"
    assert Contents().note == ""


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (8 << 20, "8.4 MB")]
)
def test_sizes_for_people(count: int, text: str):
    assert size_text(count) == text


def test_an_embedded_source_comes_back_as_it_was():
    picture = noise(24, 4)
    step = after(history(picture), "blur", image(seed=3), radius=2)
    made = Frame(image=image(seed=3), step=step)

    data = own(embed(made, app_version="0.1.0", contents=choose(step, "always", lambda s: picture)))

    (row,) = [row for row in data["resources"] if row["kind"] == "image"]
    assert (row["linkage"], row["resource_mime"], row["bytes"]) == ("static", "image/png", len(encode(picture)))
    assert list(pictures_of(contents_of(data))) == [picture]
    assert from_metadata(data).key == step.key


def test_a_source_that_is_used_twice_is_there_once():
    picture = noise(24, 4)
    step = replace(txt2img(), inputs={"frame": (source(picture, "a.png"),), "mask": (source(picture, "b.png"),)})

    data = own(
        embed(Frame(image=image(), step=step), app_version="0.1.0", contents=Contents(inside={picture.hash: b"x"}))
    )

    assert [row["linkage"] for row in data["resources"] if row["kind"] == "image"] == ["static", "shared"]


def test_privacy_embeds_nothing():
    picture = noise(24, 4)

    data = own(
        embed(
            Frame(image=image(), step=history(picture)),
            app_version="0.1.0",
            privacy=True,
            contents=Contents(inside={picture.hash: encode(picture)}),
        )
    )

    assert "resource_content" not in str(data)


def test_what_stands_beside_is_by_hash_inside_and_whole_beside():
    inner, outer = noise(8, 1), noise(9, 2)
    made = Frame(image=image(), step=history(inner, outer))

    packed = pack(
        made,
        app_version="0.1.0",
        contents=Contents(inside={inner.hash: encode(inner)}, beside={outer.hash: encode(outer)}),
    )

    assert list(contents_of(own(packed.data))) == [inner.hash]
    assert list(contents_of(loads(packed.sidecar.decode()))) == [inner.hash, outer.hash]
    assert loads(packed.metadata) == without_contents(own(packed.data))


# -- a stranger's ----------------------------------------------------------------------------------------------------


def row(content: str, pixel_hash: str = "blake3:" + "0" * 64) -> Mapping[str, Any]:
    return {
        "resources": [{"resource_id": "r1", "kind": "image", "pixel_hash": pixel_hash, "resource_content": content}]
    }


def test_what_is_no_base64_is_refused():
    with pytest.raises(MetadataError, match=r"^the content of r1 is no base64$"):
        contents_of(row("..!!"))


def test_more_than_the_limit_is_refused_before_it_is_decoded():
    with pytest.raises(MetadataError, match=r"^its embedded pictures have 8.6 MB, more than the limit of 8.4 MB$"):
        contents_of(row("!" * 11_400_000))


@pytest.mark.parametrize("data", [{}, {"resources": 3}, {"resources": [3, None, {"resource_content": 5}]}])
def test_odd_rows_hold_nothing(data: Mapping[str, Any]):
    assert contents_of(data) == {}


def test_a_picture_that_is_not_the_one_it_says_is_refused():
    lie = row(b64encode(encode(noise(4, 1))).decode())

    with pytest.raises(MetadataError, match=r"^an embedded picture is not the one it says: blake3:0000"):
        list(pictures_of(contents_of(lie)))


def test_a_content_that_is_no_picture_is_refused():
    with pytest.raises(MetadataError, match=r"^an embedded picture cannot be read as a picture$"):
        list(pictures_of(contents_of(row(b64encode(b"MZ\x90").decode()))))


def test_a_picture_of_60000_pixels_a_side_is_refused_before_it_is_decoded():
    import struct
    import zlib

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b"")]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(len(d).to_bytes(4) + n + d + zlib.crc32(n + d).to_bytes(4) for n, d in body)

    with pytest.raises(MetadataError, match="more pixels than the limit"):
        list(pictures_of(contents_of(row(b64encode(bomb).decode()))))


def test_models_are_never_embedded():
    """A stranger's picture would bring a model to be loaded."""
    assert contents.sources(txt2img()) == []
