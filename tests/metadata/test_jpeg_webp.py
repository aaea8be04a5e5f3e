"""JPEG and WebP files: the same record, read back; what has no room stands beside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from metadata_material import frame, image, txt2img
from PIL import Image as Pillow

from invoke_shell.errors import MetadataError, OutputError
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.embed import pack
from invoke_shell.metadata.files import sidecar
from invoke_shell.metadata.jpeg_webp import PNG, SEGMENT, Form
from invoke_shell.metadata.png import encode
from invoke_shell.metadata.read import read_picture
from invoke_shell.metadata.verdict import is_of, through, verdict
from invoke_shell.records import Frame, Image, topological

FORMS = [Form(name="jpeg"), Form(name="jpeg", quality=60), Form(name="webp"), Form(name="webp", quality=100)]
IDS = [f"{f.name}-{f.quality}" for f in FORMS]
SMOOTH = Image(
    mode="RGB", width=48, height=32, pixels=bytes(c for y in range(32) for x in range(48) for c in (x, y, 90))
)


def written(folder: Path, made: Frame, form: Form, **options: object) -> Path:
    packed = pack(made, app_version="0.1.0", created="2026-11-21T04:00:00Z", form=form, **options)
    path = folder / f"a{form.suffix}"
    path.write_bytes(packed.data)
    if packed.sidecar:
        sidecar(path).write_bytes(packed.sidecar)
    return path


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_the_history_comes_back(form: Form, tmp_path: Path):
    made = frame(prompt='a <red> & "blue" boat, 猫 \x1b ]]> 😀')

    info = read_picture(written(tmp_path, made, form))

    assert info.step().key == made.step.key
    assert (info.tool, info.form, info.beside, info.problem) == ("invoke_shell", form, False, None)
    assert info.pixel_hash == made.image.hash
    assert (info.data or {})["created"] == "2026-11-21T04:00:00Z"


def test_a_webp_of_quality_100_gives_its_pixels_back(tmp_path: Path):
    for mode in ("RGB", "RGBA"):
        picture = image(40, 30, mode)
        path = written(tmp_path, Frame(image=picture, step=txt2img(picture)), Form(name="webp", quality=100))

        assert read_image(path)[0] == picture


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_equal_arguments_give_equal_bytes(form: Form):
    assert pack(frame(), app_version="1", form=form) == pack(frame(), app_version="1", form=form)


def test_other_programs_find_their_line_in_the_user_comment(tmp_path: Path):
    for form in FORMS:
        with Pillow.open(written(tmp_path, frame(prompt="ein Schloß"), form)) as picture:
            exif = picture.getexif()
            comment = exif.get_ifd(0x8769)[0x9286]
            assert (exif[0x0131], exif.get_ifd(0x8769)[0xA001]) == ("invoke_shell 0.1.0", 1)
            assert comment[8:].decode("utf-16-be").startswith("ein Schloß\nSteps: 20, Sampler: Euler a, ")
            assert "digitalsourcetype/trainedAlgorithmicMedia<" in picture.info["xmp"].decode()


def test_exif_gives_a_comment_the_type_that_it_must_have():
    """Undefined, 7: Pillow writes numbers, 1, and validators complain."""
    data = pack(frame(), app_version="1", form=Form(name="jpeg")).data

    assert b"\x92\x86\0\x07" in data
    assert b"\x92\x86\0\x01" not in data


def long(prompt: str = "a very long prompt ") -> Frame:
    return frame(prompt=prompt * (SEGMENT // len(prompt)))


def test_what_a_jpeg_has_no_room_for_stands_beside_it_and_is_said(tmp_path: Path):
    made = long()
    path = written(tmp_path, made, Form(name="jpeg"))

    info = read_picture(path)

    assert pack(made, app_version="1", form=Form(name="jpeg")).notes == (
        "the metadata (132 kB) does not fit into a JPEG and stands beside it, as JSON",
        "the line for other programs does not fit into a JPEG and is left out",
    )
    assert info.beside
    assert info.step().key == made.step.key


def test_a_webp_has_room(tmp_path: Path):
    assert read_picture(written(tmp_path, long(), Form(name="webp"))).step().key == long().step.key


def test_a_json_of_another_picture_is_not_believed(tmp_path: Path):
    path = written(tmp_path, long(), Form(name="jpeg"))
    Pillow.new("RGB", (9, 9)).save(path)

    info = read_picture(path)

    assert info.data is None
    assert info.warnings == (f"{path}.json beside it is of another picture and is not believed",)


def test_a_damaged_json_is_said_when_the_steps_are_asked_for(tmp_path: Path):
    path = written(tmp_path, long(), Form(name="jpeg"))
    sidecar(path).write_text(sidecar(path).read_text()[:-9])

    with pytest.raises(MetadataError, match="it is not JSON from character"):
        read_picture(path).step()


@pytest.mark.parametrize("text", ["", "{}", '{"spec": "something else"}', "\0\xff"])
def test_another_programs_json_is_none_of_ours(text: str, tmp_path: Path):
    Pillow.new("RGB", (9, 9)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg.json").write_text(text)

    info = read_picture(tmp_path / "a.jpg")

    assert (info.tool, info.data, info.problem, info.warnings) == ("", None, None, ())


def test_a_jpeg_cannot_hold_transparency():
    with pytest.raises(OutputError, match=r"^a JPEG has no transparency, and this picture has"):
        pack(Frame(image=image(mode="RGBA"), step=txt2img()), app_version="1", form=Form(name="jpeg"))


def test_a_webp_has_16383_pixels_a_side():
    wide = Image(mode="L", width=16_384, height=1, pixels=bytes(16_384))

    with pytest.raises(OutputError, match=r"^a WebP has at most 16,383 pixels a side, and this picture has 16384x1$"):
        pack(Frame(image=wide, step=txt2img(wide)), app_version="1", form=Form(name="webp"))


# -- verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_a_file_is_of_the_picture_it_was_made_from(form: Form):
    assert is_of(through(SMOOTH, form), SMOOTH, form)


def test_a_painted_spot_is_seen():
    form = Form(name="jpeg", quality=60)
    back = through(SMOOTH, form)
    painted = replace(back, pixels=back.pixels[:300] + b"\xff" * 9 + back.pixels[309:])

    assert not is_of(painted, SMOOTH, form)


def test_a_new_picture_is_compared_as_the_format_gives_it_back():
    form = Form(name="jpeg", quality=20)
    other = replace(SMOOTH, pixels=bytes([SMOOTH.pixels[0] ^ 1]) + SMOOTH.pixels[1:])
    old = through(SMOOTH, form)

    assert verdict(SMOOTH.hash, SMOOTH, old, form).outcome == "exact"
    assert verdict(SMOOTH.hash, other, old, form).outcome == "close"
    assert verdict(SMOOTH.hash, other, old, PNG).psnr < 40


def test_the_steps_of_a_png_say_nothing_of_its_form():
    packed = pack(frame(), app_version="1")

    assert '"quality"' not in packed.metadata
    assert packed.data.startswith(encode(frame().image)[:8])
    assert len(list(topological(frame().step))) == 1
