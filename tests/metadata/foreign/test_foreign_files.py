"""Foreign pictures as files: what read_picture keeps for the readers, hidden metadata, and what it costs."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from foreign_material import core, opened, png
from PIL import Image as Pillow

TEXT = "a red boat\nSteps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 512x768, RNG: CPU, Model: v1-5"
WANTED = ("a red boat", "", 42, 20, 7.5, "euler_a", (512, 768), "v1-5")


def test_readers_get_the_text_as_it_stands_and_people_do_not(tmp_path: Path):
    info = opened(png(parameters="a\x1b\tb\nSteps: 20, Seed: 1, Size: 64x64"), tmp_path)

    assert info.texts["parameters"].startswith("a\\u{1B}\\u{9}b\n")
    assert info.foreign is not None
    assert info.foreign.prompt == "a\x1b\tb"


def test_a_long_text_is_read_whole_and_shown_in_part(tmp_path: Path):
    graph = {"1": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
             "2": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": 9, "sampler_name": "euler"}},
             "3": {"class_type": "Note", "inputs": {"text": "x" * 300_000}}}  # fmt: skip
    info = opened(png(prompt=json.dumps(graph)), tmp_path)

    assert len(info.texts["prompt"]) == 1 << 17
    assert info.foreign is not None
    assert info.foreign.steps == 9


def test_a_text_that_is_too_long_is_read_in_part_and_that_is_said(tmp_path: Path):
    info = opened(png(parameters="x" * (3 << 20)), tmp_path)

    assert info.warnings == ('the tEXt chunk "parameters" has 3,145,728 characters; the first 2,097,152 are read',)


def test_our_own_pictures_are_not_foreign(tmp_path: Path):
    newer = json.dumps({"spec": "invoke-shell/sd-metadata", "spec_version": "2"})

    assert opened(png(**{"sd-metadata": newer, "parameters": TEXT}), tmp_path).foreign is None
    assert opened(png(), tmp_path).foreign is None


# -- hidden in the alpha channel -------------------------------------------------------------------------------------


def hidden(mark: bytes, data: bytes, width: int = 64, height: int = 64) -> bytes:
    """An RGBA PNG with these bytes in its lowest alpha bits, column by column."""
    bits = "".join(f"{byte:08b}" for byte in mark + (8 * len(data)).to_bytes(4) + data)
    alphas = bytes(254 | int(bits[n]) if n < len(bits) else 255 for n in range(width * height))
    alpha = Pillow.frombytes("L", (height, width), alphas).transpose(Pillow.Transpose.TRANSPOSE)
    picture = Pillow.new("RGBA", (width, height), "red")
    picture.putalpha(alpha)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("mark", "data"), [(b"stealth_pnginfo", TEXT.encode()), (b"stealth_pngcomp", gzip.compress(TEXT.encode()))]
)
@pytest.mark.parametrize("size", [(64, 64), (40, 100), (200, 33)])
def test_hidden_metadata_is_read(mark: bytes, data: bytes, size: tuple[int, int], tmp_path: Path):
    info = opened(hidden(mark, data, *size), tmp_path)

    assert info.tool == "a1111"
    assert info.warnings == ("its metadata is hidden in the alpha channel (stealth pnginfo) and is read from there",)
    assert info.foreign is not None
    assert core(info.foreign) == WANTED


def test_novelai_hides_all_its_texts(tmp_path: Path):
    comment = json.dumps({"prompt": "a fox", "seed": 1, "steps": 2, "scale": 5, "sampler": "k_euler", "uc": "b"})
    texts = {"Description": "a fox", "Software": "NovelAI", "Source": "NovelAI Diffusion V4", "Comment": comment}
    info = opened(hidden(b"stealth_pngcomp", gzip.compress(json.dumps(texts).encode()), 80, 80), tmp_path)

    assert info.tool == "novelai"
    assert info.foreign is not None
    assert core(info.foreign)[:6] == ("a fox", "b", 1, 2, 5.0, "euler")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8b broken", gzip.compress(b"\xff\xfe" * 9), gzip.compress(b"[1]"), gzip.compress(b'{"Comment": 5}')],
)
def test_broken_hidden_metadata_is_survived(data: bytes, tmp_path: Path):
    assert opened(hidden(b"stealth_pngcomp", data), tmp_path).tool == "a1111"


def test_a_bomb_in_the_alpha_channel_is_inflated_no_further_than_a_megabyte(tmp_path: Path):
    info = opened(hidden(b"stealth_pngcomp", gzip.compress(bytes(64 << 20), 9), 1000, 1000), tmp_path)

    assert len(info.raw.get("parameters", "")) <= 1 << 20


def test_a_picture_that_is_too_large_is_not_decoded_for_it(tmp_path: Path):
    info = opened(hidden(b"stealth_pnginfo", TEXT.encode(), 3000, 2100), tmp_path)

    assert info.warnings == ("its metadata is hidden in the alpha channel (stealth pnginfo) and is not read",)
    assert info.foreign is None


# -- what it costs ---------------------------------------------------------------------------------------------------


def test_readers_are_imported_when_a_foreign_picture_is_met(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png(parameters=TEXT))
    code = (
        "import sys; from pathlib import Path; from invoke_shell.metadata.read import read_picture\n"
        "info = read_picture(Path(sys.argv[1]))\n"
        "before = [m for m in sys.modules if 'foreign' in m]\n"
        "assert info.foreign.seed == 42\n"
        "late = {'torch', 'PIL', 'numpy', 'invoke_shell.metadata.foreign.comfyui', 'invoke_shell.commands'}\n"
        "print(before, sorted(late & set(sys.modules)))\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")], capture_output=True, text=True, timeout=60
    )

    assert (ended.stdout, ended.stderr) == ("[] []\n", "")


HOSTILE = {
    "objects": {"prompt": '{"1":[' + ",".join('{"k":1}' for _ in range(170_000)) + "]}"},
    "keys": {"prompt": '{"1":[' + ",".join(f'{{"k{n}":{n}}}' for n in range(115_000)) + "]}"},
    "deep": {"prompt": '{"1":' + "[" * 2_000_000},
    "images": {"sd-metadata": '{"image":{"prompt":[' + ",".join('{"prompt":"a"}' for _ in range(100_000)) + "]}}"},
    "wide": {"parameters": "😀" * 1_000_000 + "\nSteps: 1, Seed: 2, Size: 64x64"},
    "fields": {"parameters": "x\nSteps: 1, " + ", ".join(f"k{n}: v" for n in range(150_000))},
    "command": {"DgenerateConfig": "x " + "--a 'b' " * 200_000},
}
CHILD = """
import sys, time
from pathlib import Path
from invoke_shell.commands import registry
from invoke_shell.metadata.foreign.line import to_line
from invoke_shell.metadata.read import read_picture
begun = time.process_time()
found = read_picture(Path(sys.argv[1])).foreign
found and to_line(found, registry())
seconds = time.process_time() - begun
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_costs_little(name: str, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png(64, 64, **HOSTILE[name]))

    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "a.png")], capture_output=True, text=True, timeout=60
    )

    seconds, mebibytes = map(float, ended.stdout.split())
    assert seconds < 2
    assert mebibytes < 95


def test_reading_touches_no_file_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import socket

    info = opened(png(Dream='"x" -s5 -I /etc/passwd -o /tmp/out'), tmp_path)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("a file was opened"))
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("a file was opened"))

    assert info.foreign is not None
    assert info.foreign.source is not None
    assert info.foreign.source.name == "passwd"
