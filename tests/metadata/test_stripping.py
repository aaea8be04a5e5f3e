"""Copies without what is inside: the same pixels, the same look, and every removed thing named."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import pytest
from metadata_material import chunk, frame, image, itxt, png, text, txt2img
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps

from invoke_shell.errors import BlockedError, MetadataError
from invoke_shell.metadata.companions import xmp
from invoke_shell.metadata.contents import Contents
from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.jpeg_webp import Form
from invoke_shell.metadata.png import encode
from invoke_shell.metadata.provenance import TRAINED
from invoke_shell.metadata.stripping import strip_file
from invoke_shell.records import Frame

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PICTURE = Pillow.linear_gradient("L").convert("RGB").resize((40, 24))
FORMATS = {"PNG": {}, "JPEG": {"quality": 90}, "WEBP": {"quality": 80}}


def saved(form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    PICTURE.save(out, form, **{**FORMATS[form], **options})
    return out.getvalue()


def exif(turned: int = 1) -> bytes:
    found = Pillow.Exif()
    found[0x0112], found[0x010F] = turned, "Alice's camera"
    found.get_ifd(0x8825)[1] = "N"
    return found.tobytes()


def seen(data: bytes) -> tuple[tuple[int, int], bytes, Any]:
    """What a viewer shows: size, pixels, profile."""
    with Pillow.open(io.BytesIO(data)) as picture:
        upright = ImageOps.exif_transpose(picture)
        return upright.size, upright.convert("RGBA").tobytes(), picture.info.get("icc_profile")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("turned", [1, 6])
def test_a_copy_looks_the_same_and_says_nothing(form: str, turned: int):
    data = saved(form, exif=exif(turned), icc_profile=ICC, xmp=b"<x:xmpmeta>Alice</x:xmpmeta>") + b"PK\3\4trailing"

    found = strip_file(data, "a")

    assert seen(found.data) == seen(data)
    assert b"Alice" not in found.data
    assert b"trailing" not in found.data
    assert {"EXIF", "what follows the picture's end"} <= set(found.removed)
    assert ("XMP" in found.removed) or form == "PNG"
    assert strip_file(found.data, "a").data == found.data


@pytest.mark.parametrize("form", [Form(), Form(name="jpeg"), Form(name="webp"), Form(name="webp", quality=100)])
def test_our_own_keep_the_mark_unless_it_is_to_go_too(form: Form):
    data = embed(frame(), app_version="1", form=form)

    kept, bare = strip_file(data, "a"), strip_file(data, "a", marks=False)

    assert {"sd-metadata", "XMP with sd-metadata"} & set(kept.removed)
    assert kept.kept == (f"the mark of AI origin ({TRAINED})",)
    assert f"digitalsourcetype/{TRAINED}<".encode() in kept.data
    assert bare.kept == ()
    for copy in (kept.data, bare.data):
        assert seen(copy) == seen(data)
        assert b"a red boat" not in copy
    assert b"xmpmeta" not in bare.data


def test_every_removed_thing_is_named():
    data = png(
        text("parameters", b"x"), itxt("com\x9bment", b"y"), chunk(b"tIME", b"\7\xea\1\1\1\1\1"), chunk(b"caBX", b"z"),
        chunk(b"teXx", b""), text("XML:com.adobe.xmp", b"q"),
    )  # fmt: skip

    assert strip_file(data, "a").removed == (
        "parameters", "com\\u{9B}ment", "the time", "Content Credentials (C2PA)", "the chunk teXx", "XMP",
    )  # fmt: skip


def test_hundreds_of_texts_are_not_named_one_by_one():
    assert strip_file(png(*[text(f"k{n}", b"") for n in range(300)]), "a").removed[-2:] == ("k11", "288 more")


def test_a_jpegs_segments_are_named():
    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body

    data = saved("JPEG", comment=b"Alice")
    odd = (
        segment(0xED, b"Photoshop 3.0\0")
        + segment(0xEB, b"JP\0\1")
        + segment(0xE2, b"MPF\0Alice")
        + segment(0xE7, b"?")
    )
    found = strip_file(data[:2] + odd + data[2:], "a")

    assert found.removed == (
        "Photoshop's data (IPTC)", "Content Credentials (C2PA)", "the segment APP2", "the segment APP7", "a comment",
    )  # fmt: skip
    assert seen(found.data) == seen(data)


def test_a_progressive_jpeg_with_restarts_stays_whole():
    data = saved("JPEG", progressive=True, restart_marker_blocks=1, exif=exif())

    assert seen(strip_file(data, "a").data) == seen(data)


def test_an_animation_keeps_its_frames():
    out = io.BytesIO()
    PICTURE.save(out, "WEBP", save_all=True, append_images=[PICTURE.rotate(9), PICTURE.rotate(20)], exif=exif())

    with Pillow.open(io.BytesIO(strip_file(out.getvalue(), "a").data)) as picture:
        assert picture.n_frames == 3
        assert not picture.getexif()


def test_nothing_to_take_out():
    assert strip_file(encode(image()), "a").removed == ()


def test_what_is_hidden_in_pixels_is_said():
    bits = "".join(f"{byte:08b}" for byte in b"stealth_pnginfo" + (40).to_bytes(4) + b"hello")
    hidden = Pillow.new("RGBA", (64, 64), (9, 9, 9, 254))
    for n, bit in enumerate(bits):
        hidden.putpixel((n // 64, n % 64), (9, 9, 9, 254 + int(bit)))
    out = io.BytesIO()
    hidden.save(out, "PNG")

    assert strip_file(out.getvalue(), "a").kept == ("metadata hidden in the alpha channel, which are pixels",)


@pytest.mark.parametrize("data", [b"GIF89a", b"", b"\0" * 99, b"RIFF\0\0\0\0AVI "])
def test_other_formats_are_refused(data: bytes):
    with pytest.raises(BlockedError, match=r"^a\.gif is no PNG, JPEG or WebP, and others are not stripped"):
        strip_file(data, "a.gif")


@pytest.mark.parametrize("form", FORMATS)
def test_any_cut_and_any_change_is_answered(form: str):
    import random

    data = saved(form, exif=exif(6), icc_profile=ICC)
    dice = random.Random(5)
    damaged = [data[: dice.randrange(len(data))] for _ in range(40)]
    for _ in range(200):
        at = dice.randrange(len(data))
        damaged.append(data[:at] + dice.randbytes(dice.randrange(1, 5)) + data[at + 1 :])

    for one in damaged:
        with suppress(MetadataError, BlockedError):
            assert strip_file(one, "a").data


def test_an_embedded_source_goes_too():
    picture = image(24, 24)
    data = embed(
        Frame(image=image(), step=txt2img()), app_version="1", contents=Contents(inside={picture.hash: encode(picture)})
    )

    assert strip_file(data, "a", marks=False).data == encode(image())
    assert xmp("") not in data.decode("latin-1")
