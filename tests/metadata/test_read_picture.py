"""What a picture file says about itself."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from metadata_material import chunk, frame, image, itxt, png, text, ztxt
from PIL import Image as Pillow

from invoke_shell.errors import BlockedError, MetadataError
from invoke_shell.metadata.companions import xmp
from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.png import encode
from invoke_shell.metadata.read import PictureInfo, read_picture
from invoke_shell.records import Image

OURS = embed(frame(), app_version="0.1.0", created="2026-11-21T04:00:00Z", command='txt2img "a red boat"')


def read(data: bytes, folder: Path, name: str = "a.png") -> PictureInfo:
    (folder / name).write_bytes(data)
    return read_picture(folder / name)


def with_metadata(value: Any) -> bytes:
    return png(text("sd-metadata", (value if isinstance(value, str) else json.dumps(value)).encode()))


# -- our own ---------------------------------------------------------------------------------------------------------


def test_our_own_picture_is_read_whole(tmp_path: Path):
    found = read(OURS, tmp_path)

    assert (found.tool, found.width, found.height, found.warnings, found.texts) == ("invoke_shell", 6, 4, (), {})
    assert found.data is not None
    assert found.data["command"] == 'txt2img "a red boat"'
    assert found.pixel_hash == image().hash
    assert found.step().params == frame().step.params


def test_a_picture_without_metadata(tmp_path: Path):
    found = read(encode(image()), tmp_path)

    assert (found.tool, found.data, found.pixel_hash) == ("", None, "")
    with pytest.raises(MetadataError) as caught:
        found.step()
    assert caught.value.code == "no-metadata"
    assert caught.value.message == (
        "there is no sd-metadata of invoke_shell in it: nothing in it tells how it was made"
    )


def test_a_picture_whose_site_dropped_the_rest_is_still_ours(tmp_path: Path):
    line = b"a boat\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 6x4, Version: invoke_shell 0.1.0"

    assert read(png(text("parameters", line)), tmp_path).tool == "invoke_shell"


def test_damaged_metadata_is_a_problem_that_the_replay_names(tmp_path: Path):
    at = OURS.index(b"spec_version")
    found = read(OURS[:at] + b"X" + OURS[at + 1 :], tmp_path)

    assert (found.tool, found.data) == ("invoke_shell", None)
    with pytest.raises(MetadataError) as caught:
        found.step()
    assert caught.value.message == 'the tEXt chunk "sd-metadata" has a wrong checksum'


def test_a_newer_spec_is_named(tmp_path: Path):
    found = read(with_metadata({"spec": "invoke-shell/sd-metadata", "spec_version": "2"}), tmp_path)

    assert found.problem is not None
    assert found.problem.code == "newer-spec"


def test_two_metadata_chunks_are_none(tmp_path: Path):
    found = read(png(text("sd-metadata", b"{}"), ztxt("sd-metadata", b"{}" * 9)), tmp_path)

    assert found.problem is not None
    assert found.problem.message == "it has 2 sd-metadata chunks, of 14 and 25 bytes; none is believed"


def test_a_cut_file_is_read_as_far_as_it_goes_and_that_is_said(tmp_path: Path):
    found = read(OURS[:-30], tmp_path)

    assert found.step().node == "txt2img"
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("the chunk IDAT says it has ")


def test_a_damaged_png_is_named(tmp_path: Path):
    with pytest.raises(MetadataError) as caught:
        read(OURS[:16] + b"\0" + OURS[17:18] + b"\x7f" + OURS[19:], tmp_path)

    assert caught.value.message == (f"{tmp_path}/a.png: it begins as a PNG, but the checksum of its header is wrong")


# -- other programs --------------------------------------------------------------------------------------------------

A1111 = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Version: v1.10.1"
TOOLS = [
    ({"invokeai_metadata": "{}"}, "invokeai"),
    ({"Dream": '"a" -s 5', "sd-metadata": '{"model":"stable diffusion"}'}, "invokeai"),
    ({"dream": "a -s 5"}, "invokeai"),
    ({"parameters": A1111}, "a1111"),
    ({"parameters": A1111.replace("v1.10.1", "f2.0.1")}, "forge"),
    ({"parameters": "a\nSteps: 20, Seed: 1, App: SD.Next, Version: 058a7f0"}, "sdnext"),
    ({"parameters": '{"sui_image_params": {}}'}, "swarmui"),
    ({"parameters": A1111, "fooocus_scheme": "a1111"}, "fooocus"),
    ({"prompt": '{"3": {"class_type": "KSampler"}}', "workflow": "{}"}, "comfyui"),
    ({"prompt": "a cat", "seed": "1"}, "easydiffusion"),
    ({"Software": "NovelAI", "Comment": "{}"}, "novelai"),
    ({"mold:prompt": "a cat"}, "mold"),
    ({"DgenerateConfig": "--x"}, "dgenerate"),
    ({"Software": "GIMP"}, ""),
]


@pytest.mark.parametrize(("texts", "tool"), TOOLS)
def test_the_program_is_told_by_its_texts(texts: dict[str, str], tool: str, tmp_path: Path):
    found = read(png(*(text(name, value.encode()) for name, value in texts.items())), tmp_path)

    assert (found.tool, found.texts, found.data) == (tool, texts, None)


def test_foreign_texts_are_safe_to_show(tmp_path: Path):
    found = read(png(text("parameters", b"a\x1b]52;c;x\x07\nSteps: 1"), itxt("k\x9b", "\u202e".encode())), tmp_path)

    assert found.texts == {"parameters": "a\\u{1B}]52;c;x\\u{7}\nSteps: 1", "k\\u{9B}": "\\u{202E}"}


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_jpeg_and_webp_keep_it_in_exif(order: str, kind: str, tmp_path: Path):
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be" if order == "big" else "utf-16-le")
    out = io.BytesIO()
    Pillow.new("RGB", (8, 4)).save(out, kind, exif=exif)

    found = read(out.getvalue(), tmp_path, "a.jpg")

    assert (found.tool, found.width, found.height, found.texts) == ("a1111", 8, 4, {"UserComment": A1111})


def test_comfyui_keeps_its_graph_in_the_cameras_name(tmp_path: Path):
    exif = Pillow.Exif()
    exif[0x0110] = 'prompt:{"3": {}}'
    out = io.BytesIO()
    Pillow.new("RGB", (8, 4)).save(out, "WEBP", exif=exif)

    assert read(out.getvalue(), tmp_path).tool == "comfyui"


def filtered(line: list[int], above: list[int], kind: int) -> bytes:
    """RGBA bytes of a row with these alphas, through a PNG filter; colours are 0, so only alpha needs one."""
    out = []
    for x, value in enumerate(line):
        left, corner = (line[x - 1], above[x - 1]) if x else (0, 0)
        near = left + above[x] - corner
        paeth = min((left, above[x], corner), key=lambda v: abs(near - v))
        out.append((value - (0, left, above[x], (left + above[x]) // 2, paeth)[kind]) % 256)
    return bytes([kind]) + b"".join(bytes([0, 0, 0, v]) for v in out)


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("height", [120, 50])
def test_hidden_metadata_is_noticed_whatever_the_rows_filter(kind: int, height: int, tmp_path: Path):
    bits = "".join(f"{byte:08b}" for byte in b"stealth_pngcomp").ljust(150, "1")
    rows = [[254 | int(bits[min(x * height + y, 149)]) for x in range(3)] for y in range(height)]
    pixels = b"".join(filtered(row, rows[y - 1] if y else [0, 0, 0], kind) for y, row in enumerate(rows))
    header = (3).to_bytes(4) + height.to_bytes(4) + b"\x08\x06\0\0\0"
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(n, d) for n, d in parts)
    assert Pillow.open(io.BytesIO(data)).convert("RGBA").getpixel((2, 1))[3] == rows[1][2]

    found = read(data, tmp_path)

    assert found.tool == "a1111"
    assert found.warnings == ("its metadata is hidden in the alpha channel (stealth pnginfo) and is not read",)


def test_an_ordinary_alpha_channel_hides_nothing(tmp_path: Path):
    assert read(encode(image(4, 200, "RGBA")), tmp_path).tool == ""


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a"])
def test_what_is_no_picture(data: bytes, tmp_path: Path):
    with pytest.raises(BlockedError) as caught:
        read(data, tmp_path)

    assert (caught.value.code, caught.value.message) == (
        "not-a-picture",
        f"{tmp_path}/a.png cannot be read as a picture",
    )


def test_damaged_exif_is_no_news_for_the_terminal(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    exif = Pillow.Exif()
    exif[0x0110] = "x" * 40
    out = io.BytesIO()
    Pillow.new("RGB", (8, 4)).save(out, "JPEG", exif=exif)
    at = out.getvalue().index(b"xxxx") - 8  # where the text is said to lie

    read(out.getvalue()[: at - 2] + b"\xff\xff" + out.getvalue()[at:], tmp_path)

    assert not recwarn.list


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(BlockedError) as caught:
        read_picture(tmp_path / "no.png")

    assert caught.value.code == "missing-file"


# -- hostile ---------------------------------------------------------------------------------------------------------

MEBI = 1 << 20
NEST = '{"spec":"invoke-shell/sd-metadata","spec_version":"1","x":'
HOSTILE = {
    "bomb": lambda: png(chunk(b"zTXt", b"sd-metadata\0\0" + zlib.compress(bytes(256 * MEBI), 1))),
    "itxt-bomb": lambda: png(chunk(b"iTXt", b"sd-metadata\0\1\0\0\0" + zlib.compress(bytes(256 * MEBI), 1))),
    "many-bombs": lambda: png(*[ztxt("k", bytes(16 * MEBI))] * 40),
    "refused-bombs": lambda: png(*[ztxt("k", bytes(17 * MEBI))] * 1000),
    "wide": lambda: png(*[itxt(f"k{n}", "😀".encode() * (4 * MEBI - 1)) for n in range(4)]),
    "stored": lambda: png(*[text(f"k{n}", b"x" * (15 * MEBI)) for n in range(4)]),
    "long-json": lambda: with_metadata(NEST + '"' + "x" * (15 * MEBI) + '"}'),
    "lists": lambda: with_metadata(NEST + "[" + "[]," * 170_000 + "[]]}"),
    "objects": lambda: with_metadata(NEST + "[" + ",".join(f'{{"k{n}":{n}}}' for n in range(170_000)) + "]}"),
    "too-many-values": lambda: with_metadata(NEST + "[" + "1," * (7 * MEBI) + "1]}"),
    "deep": lambda: with_metadata(NEST + "[" * 5 * MEBI),
    "deep-objects": lambda: with_metadata(NEST + '{"a":' * MEBI),
    "quotes": lambda: with_metadata(NEST + '"' + '\\"' * (7 * MEBI)),
    "digits": lambda: with_metadata(NEST + "9" * (15 * MEBI) + "}"),
    "fraction": lambda: with_metadata(NEST + "0." + "9" * (15 * MEBI) + "}"),
    "exponent": lambda: with_metadata(NEST + "1e" + "9" * (15 * MEBI) + "}"),
    "escapes": lambda: with_metadata(NEST + '"' + "\\ud83d\\ude00" * MEBI + '"}'),
    "keys": lambda: png(*[text(f"k{n}", b"") for n in range(100_000)]),
    "chunks": lambda: png(*[chunk(b"teSt", b"")] * 500_000),
    "controls": lambda: png(text("parameters", b"\x1b" * (15 * MEBI))),
    "many-controls": lambda: png(*[text(f"k{n}", b"\x1b" * 60_000) for n in range(1024)]),
    "pixels": lambda: png(width=60_000, height=60_000),
    "long-file-of-another-kind": lambda: b"RIFF" + bytes(40 * MEBI),
    "xmp-long-json": lambda: with_xmp(NEST + '"' + "x" * (11 * MEBI) + '"}'),
    "xmp-lists": lambda: with_xmp(NEST + "[" + "[]," * 170_000 + "[]]}"),
    "xmp-entities": lambda: with_xmp(NEST + '"' + "&amp;" * (2 * MEBI) + '"}', plain=True),
    "xmp-open": lambda: with_xmp("<sd:metadata " * 900_000, plain=True),
    "xmp-too-long": lambda: with_xmp("x" * (25 * MEBI)),
}


def with_xmp(record: str, *, plain: bool = False) -> bytes:
    """A WebP with a record in its XMP; plain: the text as it stands, without escapes."""
    packet = f"<sd:metadata>{record}</sd:metadata>" if plain else xmp("", record)
    out = io.BytesIO()
    Pillow.new("RGB", (4, 4)).save(out, "WEBP", xmp=packet.encode())
    return out.getvalue()


def test_a_hostile_json_beside_a_picture_costs_little(tmp_path: Path):
    Pillow.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    for record in (NEST + '"' + "x" * (15 * MEBI) + '"}', NEST + "[" + "[]," * 170_000 + "[]]}", "x" * (17 * MEBI)):
        (tmp_path / "a.jpg.json").write_text(record)

        ended = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path / "a.jpg")], capture_output=True, text=True, timeout=60
        )

        assert ended.returncode == 0, ended.stderr
        seconds, mebibytes, message = ended.stdout.split(" ", 2)
        assert float(mebibytes) < 95, message
        assert float(seconds) < 2, message


CHILD = """
import sys, time
from pathlib import Path
from invoke_shell.errors import InvokeShellError
from invoke_shell.metadata.read import read_picture
import socket
def refuse(*_): raise SystemExit("a connection was tried")
socket.socket.connect = refuse
begun = time.process_time()
try:
    info = read_picture(Path(sys.argv[1]))
    info.step()
    text = "read"
except InvokeShellError as error:
    text = error.message
seconds = time.process_time() - begun
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) / 1024, text)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_little(name: str, tmp_path: Path):
    path = tmp_path / "hostile.png"
    path.write_bytes(HOSTILE[name]())

    ended = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0, ended.stderr
    seconds, mebibytes, message = ended.stdout.split(" ", 2)
    assert float(mebibytes) < 95, message
    assert float(seconds) < 2, message
    assert message.rstrip("\n").isprintable()


def test_reading_writes_nothing(tmp_path: Path):
    before = OURS

    read(OURS, tmp_path)

    assert (tmp_path / "a.png").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_thousand_files_are_read_without_torch_or_pillow(tmp_path: Path):
    for n in range(1000):
        (tmp_path / f"{n}.png").write_bytes(OURS)
    code = (
        "import sys; from pathlib import Path; from invoke_shell.metadata.read import read_picture\n"
        "found = [read_picture(p) for p in Path(sys.argv[1]).iterdir()]\n"
        "assert len(found) == 1000 and all(i.tool == 'invoke_shell' for i in found)\n"
        "print(sorted({'torch', 'PIL', 'numpy', 'rich', 'prompt_toolkit'} & set(sys.modules)))\n"
    )

    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_the_pixels_are_not_read_however_large_the_picture(tmp_path: Path):
    large = Image(mode="L", width=4000, height=4000, pixels=os.urandom(16_000_000))
    (tmp_path / "large.png").write_bytes(encode(large))
    (tmp_path / "small.png").write_bytes(encode(image()))

    def fastest(name: str) -> float:
        times = []
        for _ in range(50):
            begun = time.perf_counter()
            read_picture(tmp_path / name)
            times.append(time.perf_counter() - begun)
        return min(times)

    assert fastest("large.png") < 5 * fastest("small.png")


# -- genuine pictures ------------------------------------------------------------------------------------------------

SAMPLES = os.environ.get("INVOKE_SHELL_SAMPLES", "")
FAMILY = {"invokeai1": "invokeai", "invokeai2": "invokeai", "invokeai3": "invokeai", "invokeai_cropped": "invokeai"}
needs_samples = pytest.mark.skipif(not SAMPLES, reason="INVOKE_SHELL_SAMPLES names no folder of genuine pictures")


def manifest() -> list[tuple[str, str]]:
    if not SAMPLES:
        return [("", "")]
    with (Path(SAMPLES) / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        return [(row["file"], row["tool"]) for row in csv.DictReader(file, delimiter="\t")]


@needs_samples
@pytest.mark.parametrize(("name", "tool"), manifest())
def test_a_genuine_picture_is_told(name: str, tool: str):
    found = read_picture(Path(SAMPLES) / name)

    assert found.width > 0
    if tool != "bad":
        assert found.tool == FAMILY.get(tool, tool)


@needs_samples
def test_every_genuine_file_is_read_or_refused_with_a_sentence():
    for path in Path(SAMPLES).rglob("*"):
        try:
            read_picture(path)
        except (MetadataError, BlockedError):
            continue
