"""PNG by chunk: what is written, what is found, what is stripped."""

from __future__ import annotations

import io
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_material import chunk, image, itxt, png, text, ztxt
from PIL import Image as Pillow

from invoke_shell.errors import MetadataError
from invoke_shell.metadata import png as module
from invoke_shell.metadata.png import XMP, Png, chunks, encode, strip, text_chunk
from invoke_shell.records import Image

modes = st.sampled_from(["RGB", "RGBA", "L"])


@st.composite
def pictures(draw: st.DrawFn) -> Image:
    mode, width, height = draw(modes), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    size = width * height * len(mode)
    return Image(mode=mode, width=width, height=height, pixels=draw(st.binary(min_size=size, max_size=size)))


def opened(data: bytes) -> Png:
    return Png(io.BytesIO(data))


def texts(data: bytes) -> dict[str, str]:
    found = opened(data)
    return {t.keyword: found.text(t) for t in found.texts}


def fault(data: bytes) -> str:
    found = opened(data)
    with pytest.raises(MetadataError) as caught:
        found.text(found.texts[0])
    return caught.value.message


# -- writing ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(pictures())
def test_pillow_reads_the_pixels_that_were_written(picture: Image):
    read = Pillow.open(io.BytesIO(encode(picture)))

    assert (read.mode, read.size, read.tobytes()) == (picture.mode, picture.size, picture.pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("height", [255, 256, 257, 600])
def test_a_picture_of_several_bands_is_whole(mode: str, height: int):
    picture = image(3, height, mode, seed=7)

    assert Pillow.open(io.BytesIO(encode(picture))).tobytes() == picture.pixels


def test_equal_input_gives_equal_bytes():
    written = [encode(image(), [text_chunk("sd-metadata", "{}"), text_chunk(XMP, "<x/>")]) for _ in range(2)]

    assert written[0] == written[1]


def test_texts_stand_before_the_pixels_and_pillow_sees_them_at_once():
    data = encode(image(), [text_chunk("sd-metadata", '{"a":1}'), text_chunk("Dream", "猫"), text_chunk(XMP, "<x/>")])

    assert [name for name, _, _ in chunks(io.BytesIO(data))] == [b"IHDR", b"tEXt", b"iTXt", b"iTXt", b"IDAT", b"IEND"]
    assert Pillow.open(io.BytesIO(data)).info == {"sd-metadata": '{"a":1}', "Dream": "猫", XMP: "<x/>", "xmp": b"<x/>"}


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_comes_back(value: str):
    data = encode(image(), [text_chunk("parameters", value)])

    assert texts(data) == {"parameters": value.replace("\0", "\ufffd")}


@pytest.mark.parametrize(
    ("value", "kind"),
    [("plain", b"tEXt"), ("café", b"tEXt"), ("猫", b"iTXt"), ("Ã©", b"iTXt")],  # the last is "é" to those who try UTF-8
)
def test_the_kind_of_chunk(value: str, kind: bytes):
    assert text_chunk("Dream", value)[0] == kind


def test_half_a_surrogate_pair_does_not_stop_the_writing():
    assert text_chunk("Dream", "a\ud800b")[1].endswith(b"a?b")


# -- reading ---------------------------------------------------------------------------------------------------------


def test_all_three_kinds_are_read():
    data = png(text("a", b"one"), ztxt("b", b"two"), itxt("c", "drei €".encode()), itxt("d", "猫".encode(), True))

    assert texts(data) == {"a": "one", "b": "two", "c": "drei €", "d": "猫"}


def test_text_after_the_pixels_is_found_and_said():
    found = opened(png(text("a", b"one"), after=ztxt("b", b"two")))

    assert [(t.keyword, t.late) for t in found.texts] == [("a", False), ("b", True)]


@pytest.mark.parametrize(("raw", "value"), [("é".encode(), "é"), ("é".encode("latin-1"), "é"), (b"\xff\xfe", "ÿþ")])
def test_utf_8_in_text_chunks_is_read_though_it_is_not_allowed(raw: bytes, value: str):
    assert texts(png(text("a", raw), ztxt("b", raw))) == {"a": value, "b": value}


def test_the_header():
    found = opened(png(width=300, height=200))

    assert (found.width, found.height, found.bits, found.color, found.warnings) == (300, 200, 8, 0, [])


def test_pixels_are_not_read():
    class Counting(io.BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.read_bytes += len(data)
            return data

    whole = png(text("a", b"one"))
    large = whole.replace(b"IEND", b"IEND")[:-12] + chunk(b"IDAT", bytes(10_000_000)) + whole[-12:]
    file = Counting(large)

    assert [t.keyword for t in Png(file).texts] == ["a"]
    assert file.read_bytes < 100_000


NO_PNG = [
    (b"", "it is not a PNG"),
    (b"\x89PNG\r\n\x1a\n", "it is not a PNG"),
    (b"GIF89a" + bytes(60), "it is not a PNG"),
    (png()[:16] + b"\0\0\0\x09" + png()[20:], "it begins as a PNG, but the checksum of its header is wrong"),
    (png(width=0), "it is a PNG of 0x1 pixels, which cannot be"),
    (png(height=2**31), "it is a PNG of 1x2147483648 pixels, which cannot be"),
]


@pytest.mark.parametrize(("data", "message"), NO_PNG)
def test_what_is_no_png(data: bytes, message: str):
    with pytest.raises(MetadataError) as caught:
        opened(data)

    assert caught.value.message == message


WHOLE = png(text("a", b"one"))
DAMAGED = [
    (WHOLE[:-12], "the file ends before its IEND chunk"),
    (WHOLE[:-20], "the chunk IDAT says it has 10 bytes, more than the file"),
    (WHOLE[:-12] + b"\0\0\0\0\0\0\0\0" + WHOLE[-12:], "there is no chunk at byte 72; what follows is not read"),
    (
        WHOLE[:33] + b"\x7f\xff\xff\xff" + WHOLE[37:],
        "the chunk tEXt says it has 2,147,483,647 bytes, more than the file",
    ),
]


@pytest.mark.parametrize(("data", "warning"), DAMAGED)
def test_damage_is_said_and_what_stands_before_it_is_read(data: bytes, warning: str):
    assert opened(data).warnings == [warning]


def test_what_follows_iend_is_ignored():
    found = opened(WHOLE + b"PK\x03\x04" + text("late", b"x"))

    assert ([t.keyword for t in found.texts], found.warnings) == (["a"], [])


ITXT = b"a\0"
BROKEN = [
    (chunk(b"tEXt", b"a\0one", crc=1), 'the tEXt chunk "a" has a wrong checksum'),
    (chunk(b"zTXt", b"a\0\0junk"), 'the zTXt chunk "a" cannot be inflated'),
    (chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 900)[:-6]), 'the zTXt chunk "a" is cut short'),
    (chunk(b"zTXt", b"a\0\x07x"), 'the zTXt chunk "a" is laid out in no way the PNG standard knows'),
    (chunk(b"zTXt", b"a\0"), 'the zTXt chunk "a" is laid out in no way the PNG standard knows'),
    (chunk(b"iTXt", ITXT), 'the iTXt chunk "a" is laid out in no way the PNG standard knows'),
    (chunk(b"iTXt", ITXT + b"\0\0en"), 'the iTXt chunk "a" is laid out in no way the PNG standard knows'),
    (chunk(b"iTXt", ITXT + b"\0\0en\0key"), 'the iTXt chunk "a" is laid out in no way the PNG standard knows'),
    (chunk(b"iTXt", ITXT + b"\x05\0\0\0x"), 'the iTXt chunk "a" is laid out in no way the PNG standard knows'),
    (text("a\x1b[2J", b"x")[:-1] + b"\0", 'the tEXt chunk "a\\u{1B}[2J" has a wrong checksum'),
]


@pytest.mark.parametrize(("part", "message"), BROKEN)
def test_a_broken_text_says_which(part: bytes, message: str):
    assert fault(png(part)) == message


def test_a_text_without_keyword_is_said():
    found = opened(png(chunk(b"tEXt", b"no end"), chunk(b"tEXt", b"\0empty"), chunk(b"tEXt", b"k" * 80 + b"\0x")))

    assert (found.texts, found.warnings) == ([], ["a tEXt chunk has no keyword and is not read"] * 3)


# -- bombs -----------------------------------------------------------------------------------------------------------


def test_a_bomb_is_not_inflated():
    bomb = zlib.compress(bytes(64 << 20), 1)

    assert fault(png(chunk(b"zTXt", b"a\0\0" + bomb))) == 'the zTXt chunk "a" inflates to more than 16 MiB'
    assert fault(png(chunk(b"iTXt", b"a\0\1\0\0\0" + bomb))) == 'the iTXt chunk "a" inflates to more than 16 MiB'


def test_two_honest_mebibytes_are_read_where_pillow_gives_up():
    data = png(ztxt("a", b"x" * (2 << 20)))

    assert len(texts(data)["a"]) == 2 << 20
    with pytest.raises(ValueError, match="too large"):
        Pillow.open(io.BytesIO(data))


def test_one_text_over_the_limit_is_refused_before_it_is_read():
    assert fault(png(text("a", bytes((16 << 20) + 1)))) == 'the tEXt chunk "a" has 16,777,219 bytes, more than 16 MiB'


def test_a_text_of_wide_characters_is_refused_sooner():
    many = "😀".encode() * (2 << 20)

    assert fault(png(itxt("a", many))) == 'the iTXt chunk "a" is not ASCII and over 4 MiB'


def test_all_texts_together_have_a_budget():
    found = opened(png(*(ztxt(f"k{n}", b"x" * (10 << 20)) for n in range(8))))

    read: list[Any] = [len(found.text(t)) for t in found.texts[:6]]

    assert read == [10 << 20] * 6
    assert len(found.text(found.texts[6])) == 10 << 20  # the one that goes over it
    with pytest.raises(MetadataError, match='k7" is not read: the texts before it are over 64 MiB'):
        found.text(found.texts[7])


def test_a_great_many_texts_end_at_the_limit():
    found = opened(png(*(text(f"k{n}", b"") for n in range(2000))))

    assert (len(found.texts), found.warnings) == (1024, ["the file has more than 1,024 texts; the rest is not read"])


def test_a_great_many_chunks_end_at_the_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_CHUNKS", 50)

    found = opened(png(*[chunk(b"teSt", b"")] * 60))

    assert found.warnings == ["the file has more than 50 chunks; the rest is not read"]


@settings(deadline=None)
@given(st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject):
    whole = bytearray(png(text("a", b"one"), ztxt("b", b"two"), itxt("c", b"three", True), after=text("d", b"four")))
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])

    try:
        found = opened(cut)
    except MetadataError:
        return

    for part in found.texts:
        try:
            assert isinstance(found.text(part), str)
        except MetadataError:
            continue


# -- stripping -------------------------------------------------------------------------------------------------------


def test_a_stripped_copy_has_the_same_pixel_bytes_and_no_text():
    data = encode(image(), [text_chunk("sd-metadata", "{}"), text_chunk(XMP, "<x/>"), (b"tIME", bytes(7))])

    assert strip(data + b"trailing") == encode(image())


def test_what_decides_the_look_stays():
    kept = [chunk(b"gAMA", bytes(4)), chunk(b"iCCP", b"x\0\0y"), chunk(b"tRNS", b"\0\0")]
    data = png(*kept, chunk(b"eXIf", b"MM"), chunk(b"caBX", b"c2pa"), text("a", b"one"), after=ztxt("b", b"two"))

    assert strip(data) == png(*kept)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"no", "it is not a PNG"), (WHOLE[:-12], "the PNG is damaged: the file ends before its IEND chunk")],
)
def test_what_cannot_be_stripped_is_refused(data: bytes, message: str):
    with pytest.raises(MetadataError) as caught:
        strip(data)

    assert caught.value.message == message
