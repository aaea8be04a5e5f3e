"""Picture files to pixels."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from metadata_material import chunk, image, png, text, ztxt
from PIL import Image as Pillow
from PIL import ImageCms

from invoke_shell.errors import BlockedError
from invoke_shell.metadata.decode import FORMATS, read_image, to_mask
from invoke_shell.metadata.png import encode
from invoke_shell.records import Image, digest


def saved(picture: Pillow.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def refused(source: Path | bytes) -> tuple[str, str]:
    with pytest.raises(BlockedError) as caught:
        read_image(source)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_our_own_picture_is_read_as_it_is(mode: str, tmp_path: Path):
    picture = image(mode=mode)
    (tmp_path / "a.png").write_bytes(encode(picture))

    read, resource = read_image(tmp_path / "a.png")

    assert read == picture
    assert (resource.hash, resource.width, resource.height, resource.mode) == (picture.hash, 6, 4, mode)
    assert (resource.name, resource.file_hash) == ("a.png", digest(encode(picture)))
    assert resource.facts == {"format": "PNG"}


def test_bytes_have_the_name_they_are_given():
    assert read_image(encode(image()))[1].name == ""
    assert read_image(encode(image()), "stdin.png")[1].name == "stdin.png"


REDUCED = [
    ("1", "L", {"from_mode": "1"}),
    ("P", "RGB", {"from_mode": "P"}),
    ("LA", "RGBA", {"from_mode": "LA"}),
    ("I;16", "L", {"from_mode": "I;16", "bits": 16}),
]


@pytest.mark.parametrize(("given", "mode", "facts"), REDUCED)
def test_other_modes_are_reduced_and_recorded(given: str, mode: str, facts: dict[str, Any]):
    read, resource = read_image(saved(Pillow.new(given, (3, 2))))

    assert read.mode == mode
    assert resource.facts == {"format": "PNG", **facts}


def test_a_palette_with_a_transparent_colour_has_alpha():
    picture = Pillow.new("P", (2, 1))
    picture.putpalette([9, 8, 7, 1, 2, 3])
    picture.putdata([0, 1])

    read, _ = read_image(saved(picture, transparency=1))

    assert (read.mode, read.pixels) == ("RGBA", bytes([9, 8, 7, 255, 1, 2, 3, 0]))


def test_sixteen_bits_are_rounded_to_eight():
    values = [0, 128, 129, 257, 32_768, 65_406, 65_407, 65_535]
    picture = Pillow.frombytes("I;16", (8, 1), b"".join(v.to_bytes(2, "little") for v in values))

    assert list(read_image(saved(picture))[0].pixels) == [0, 0, 1, 1, 128, 254, 255, 255]


def test_a_picture_is_turned_as_its_exif_says():
    picture = Pillow.frombytes("L", (2, 1), bytes([10, 250]))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned clockwise

    read, resource = read_image(saved(picture, exif=exif))

    assert (read.size, read.pixels) == ((1, 2), bytes([10, 250]))
    assert resource.facts == {"format": "PNG", "orientation": 6}


def test_the_first_frame_of_an_animation():
    frames = [Pillow.new("RGB", (2, 2), colour) for colour in ("red", "blue", "lime")]

    read, resource = read_image(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert read.pixels == bytes([255, 0, 0]) * 4
    assert resource.facts == {"format": "GIF", "from_mode": "P", "frames": 3}


def test_a_colour_profile_is_turned_to_srgb():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Pillow.new("RGB", (2, 2), (10, 200, 90))

    same, told = read_image(saved(picture, icc_profile=srgb))
    _, wrong = read_image(saved(picture, icc_profile=lab))
    _, broken = read_image(saved(picture, icc_profile=b"no profile"))

    assert same.pixels == bytes([10, 200, 90]) * 4
    assert [r.facts["icc"] for r in (told, wrong, broken)] == ["converted", "ignored", "ignored"]


def test_alpha_survives_a_colour_profile():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Pillow.new("RGBA", (2, 2), (10, 200, 90, 77))

    assert read_image(saved(picture, icc_profile=srgb))[0].pixels == bytes([10, 200, 90, 77]) * 4


def test_cmyk_becomes_rgb():
    read, resource = read_image(saved(Pillow.new("CMYK", (2, 2)), "JPEG"))

    assert (read.mode, read.pixels) == ("RGB", bytes([255]) * 12)
    assert resource.facts == {"format": "JPEG", "from_mode": "CMYK"}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF"])
def test_other_formats(kind: str):
    assert read_image(saved(Pillow.new("RGB", (8, 8), "red"), kind))[1].facts["format"] == kind


def test_a_png_that_pillow_refuses_for_its_texts_is_read():
    large, broken = ztxt("a", b"x" * (2 << 20)), chunk(b"tEXt", b"a\0b", crc=1)

    assert read_image(png(large, broken, text("c", b"d")))[0].size == (1, 1)


# -- what bad input gets ---------------------------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path):
    assert refused(tmp_path / "a\x1b.png") == ("missing-file", f"there is no file {tmp_path}/a\\u{{1B}}.png")


def test_a_folder(tmp_path: Path):
    assert refused(tmp_path) == ("not-a-picture", f"{tmp_path} is a folder, not a picture")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this system's folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")

    assert refused(tmp_path / "pipe") == ("not-a-picture", f"{tmp_path}/pipe is no regular file")


def test_a_name_no_system_allows():
    assert refused(Path("a\0b"))[0] == "missing-file"


def test_what_is_no_picture(tmp_path: Path):
    (tmp_path / "a.png").write_text("hello")

    assert refused(tmp_path / "a.png") == ("not-a-picture", f"{tmp_path}/a.png cannot be read as a picture")


def test_an_empty_file(tmp_path: Path):
    (tmp_path / "a.png").touch()

    assert refused(tmp_path / "a.png") == ("not-a-picture", f"{tmp_path}/a.png cannot be read as a picture")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_a_truncated_file(kind: str, tmp_path: Path):
    whole = saved(Pillow.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)), kind)
    (tmp_path / "a.x").write_bytes(whole[: len(whole) * 2 // 3])

    code, message = refused(tmp_path / "a.x")

    assert code == "not-a-picture"
    assert message in (f"{tmp_path}/a.x is cut short", f"{tmp_path}/a.x cannot be read as a picture")


@pytest.mark.parametrize(
    ("side", "reason"),
    [
        (8001, "has 8001x8001 pixels, more than the limit of 64 million"),
        (10_000, "has 10000x10000 pixels, more than the limit of 64 million"),  # Pillow only warns here
        (60_000, "has far more pixels than the limit of 64 million"),
    ],
)
def test_a_pixel_bomb_is_refused_before_it_is_decoded(side: int, reason: str, recwarn: pytest.WarningsRecorder):
    assert refused(png(width=side, height=side)) == ("not-a-picture", f"the picture {reason}")
    assert not recwarn.list


def test_a_postscript_file_is_never_run():
    assert "EPS" not in FORMATS
    assert refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")[0] == "not-a-picture"


# -- masks -----------------------------------------------------------------------------------------------------------


def test_white_is_repainted():
    grey = Image(mode="L", width=3, height=1, pixels=bytes([0, 100, 255]))

    assert to_mask(grey).pixels == bytes([0, 100, 255])


def test_luminance_of_colours():
    colours = Image(mode="RGB", width=3, height=1, pixels=bytes([255, 255, 255, 0, 0, 0, 255, 0, 0]))

    assert to_mask(colours).pixels == bytes([255, 0, 76])


def test_transparent_is_repainted():
    holes = Image(mode="RGBA", width=3, height=1, pixels=bytes([9, 9, 9, 0, 255, 255, 255, 255, 0, 0, 0, 55]))

    assert to_mask(holes).pixels == bytes([255, 0, 200])


def test_an_opaque_alpha_channel_is_none():
    opaque = Image(mode="RGBA", width=2, height=1, pixels=bytes([255, 255, 255, 255, 0, 0, 0, 255]))

    assert to_mask(opaque).pixels == bytes([255, 0])
