"""What a stranger's file can never do, row by row of the table in docs/metadata.md, through the whole program.

How JSON, chunks and bombs are refused stands with their readers, in tests/metadata.
"""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SIGNATURE = b"\x89PNG\r\n\x1a\n"
A1111 = "a cat\nSteps: 4, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64, Model: pocket, RNG: CPU"
EVIL = "x\x1b]52;c;eA==\x07\x9b31m\u202egnp\u200b\r\x08"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"a connection was tried: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*texts: tuple[bytes, bytes], width: int = 8, height: int = 8, late: bool = False) -> bytes:
    """A grey PNG; `late` puts its texts behind the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * (width + 1) * height) if width < 5000 else zlib.compress(b""))
    parts = [chunk(*text) for text in texts]
    body = [pixels, *parts] if late else [*parts, pixels]
    return SIGNATURE + header + b"".join(body) + chunk(b"IEND", b"")


def text(name: str, value: str) -> tuple[bytes, bytes]:
    return b"tEXt", name.encode() + b"\0" + value.encode()


@pytest.fixture
def made(invoke) -> Path:
    """A picture of this home, txt2img of one stage."""
    return Path(invoke("--json", "-c", 'txt2img "a cat" --seed 1 --steps 2').results[-1]["path"])


@pytest.fixture
def forge(made, folder):
    """Its metadata, changed, in a file of another name."""

    def write(change) -> str:
        with Image.open(made) as picture:
            data = json.loads(picture.text["sd-metadata"])
        change(data)
        info = PngInfo()
        info.add_text("sd-metadata", json.dumps(data))
        Image.new("RGB", (64, 64)).save(folder / "forged.png", pnginfo=info)
        return "forged.png"

    return write


def clean(*streams: str) -> bool:
    return all(line.isprintable() for stream in streams for line in stream.split("\n"))


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_large_text_that_is_honest_is_read(invoke):
    honest = A1111 + ", Notes: " + "n" * (2 << 20)
    Path("x.png").write_bytes(png((b"zTXt", b"parameters\0\0" + zlib.compress(honest.encode()))))

    assert invoke("--json", "info", "x.png").records[0]["command"].startswith('txt2img "a cat"')


def test_texts_behind_the_pixels_are_read(invoke):
    Path("x.png").write_bytes(png(text("parameters", A1111), late=True))

    assert 'txt2img "a cat"' in invoke("info", "x.png").out


def test_two_metadata_chunks_are_shown_with_their_sizes_and_not_replayed(invoke, made):
    with Image.open(made) as picture:
        metadata = picture.text["sd-metadata"]
    Path("x.png").write_bytes(png(text("sd-metadata", metadata), text("sd-metadata", metadata)))

    told, replayed = invoke("info", "x.png"), invoke("replay", "x.png")

    assert f"it has 2 sd-metadata chunks, of {len(metadata) + 12:,} and {len(metadata) + 12:,} bytes" in told.out
    assert replayed.status == 3
    assert "none is believed" in replayed.out


def test_a_picture_of_more_pixels_than_may_be_is_told_and_not_decoded(invoke):
    Path("x.png").write_bytes(png(text("parameters", A1111), width=60_000, height=60_000))

    assert "60000x60000" in invoke("info", "x.png").out
    ran = invoke("replay", "x.png")
    assert ran.status == 3
    assert "64 million" in ran.out


def test_a_picture_inside_the_metadata_that_is_a_bomb_is_not_opened(invoke, forge):
    bomb = png(width=60_000, height=60_000)

    def change(data):
        data["resources"].append({
            "resource_id": "r9", "kind": "image", "linkage": "static", "pixel_hash": "blake3:" + "ab" * 32,
            "resource_mime": "image/png", "name": "x.png", "width": 60000, "height": 60000,
            "resource_content": base64.b64encode(bomb).decode(),
        })  # fmt: skip
        first = data["steps"][0]
        data["steps"].append({**first, "id": "s2", "node": "img2img", "inputs": {"frame": [{"resource": "r9"}]}})
        data["result"]["step"] = "s2"

    for command in ("info", "replay"):
        ran = invoke(command, forge(change))
        assert ran.status in (0, 3)
        assert "Traceback" not in ran.err + ran.out
        assert clean(ran.out, ran.err)


def test_what_follows_the_end_is_not_copied(invoke, made):
    Path("x.png").write_bytes(made.read_bytes() + b"PK\x03\x04 a zip archive")

    assert invoke("strip", "x.png").status == 0
    assert b"zip archive" not in Path("x-stripped.png").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("name", ["bomb", "stealth", "deep", "keys"])
def test_a_hostile_file_costs_little_through_the_whole_program(name: str, tmp_path: Path):
    files = {
        "bomb": lambda: png((b"zTXt", b"parameters\0\0" + zlib.compress(bytes(128 << 20), 1))),
        "stealth": lambda: png(text("prompt", '{"1":{"class_type":"' + "x" * (2 << 20) + '"}}')),
        "deep": lambda: png(text("sd-metadata", '{"spec":"invoke-shell/sd-metadata","x":' + "[" * (1 << 20))),
        "keys": lambda: png(*[text(f"k{n}", "") for n in range(50_000)]),
    }
    (tmp_path / "x.png").write_bytes(files[name]())
    code = (
        "import sys, time; from invoke_shell import cli; begun = time.process_time()\n"
        "status = cli.run(['--home', sys.argv[1], 'info', sys.argv[2]])\n"
        "peak = next(x for x in open('/proc/self/status') if x.startswith('VmHWM'))\n"
        "print(status, time.process_time() - begun, int(peak.split()[1]) / 1024, file=sys.stderr)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "home"), str(tmp_path / "x.png")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    status, seconds, mebibytes = ended.stderr.splitlines()[-1].split()
    assert int(status) in (0, 3)
    assert float(seconds) < 2
    assert float(mebibytes) < 100


# -- paths, addresses, models ------------------------------------------------------------------------------------------

PATHS = ("../../../etc/passwd", "/etc/passwd", "C:\\Windows\\x.png", "file:///etc/passwd", "http://169.254.169.254/x",
         "~/.ssh/id_rsa", "@1", "-", "--yes", "|", "$ id")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_our_metadata_is_a_name_and_nothing_more(path: str, invoke, forge, monkeypatch):
    def change(data):
        data["resources"].append({
            "resource_id": "r9", "kind": "image", "linkage": "shared", "pixel_hash": "blake3:" + "cd" * 32,
            "resource_url": path, "name": path, "width": 64, "height": 64,
        })  # fmt: skip
        first = data["steps"][0]
        data["steps"].append({**first, "id": "s2", "node": "img2img", "inputs": {"frame": [{"resource": "r9"}]}})
        data["result"]["step"] = "s2"

    name = forge(change)
    before = set(Path().rglob("*"))
    for command in ("info", "recall", "replay"):
        ran = invoke(command, name)
        assert "root:" not in ran.out + ran.err
        assert clean(ran.out, ran.err)
    assert ran.status == 3
    assert "is not among yours" in ran.out
    assert set(Path().rglob("*")) == before


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_other_programs_metadata_is_not_followed(path: str, invoke):
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": path}},
        "2": {"class_type": "VAEEncode", "inputs": {"pixels": ["1", 0]}},
        "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 2, "cfg": 1, "sampler_name": "euler",
              "scheduler": "normal", "latent_image": ["2", 0], "model": ["4", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": path}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
    }  # fmt: skip
    Path("x.png").write_bytes(png(text("prompt", json.dumps(graph))))
    Path("y.png").write_bytes(png(text("Dream", f'"a" -s5 -S1 -W64 -H64 -I {path} -o {path} -M {path}')))

    for name in ("x.png", "y.png"):
        for command in ("info", "recall", "replay"):
            ran = invoke(command, name)
            assert "root:" not in ran.out + ran.err
            assert clean(ran.out, ran.err)
        assert ran.status == 3


def test_a_model_that_is_not_here_is_neither_fetched_nor_replaced(invoke, forge):
    def change(data):
        (model,) = (r for r in data["resources"] if r["kind"] == "checkpoint")
        model.update(
            name="hf:owner/evil", resource_hash="blake3:" + "ee" * 32, resource_url="https://example.org/x.ckpt"
        )

    ran = invoke("replay", forge(change))

    assert ran.status == 3
    assert "is not here (blake3:eeee" in ran.out


@pytest.mark.parametrize("node", ["save", "show_image", "models", "strip", "os.system", "__import__", "load_image"])
def test_a_step_of_a_file_writes_shows_and_runs_nothing(node: str, invoke, forge, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    name = forge(lambda data: data["steps"][0].update(node=node, params={"path": "/tmp/pwned.png", "what": ["x"]}))
    before[folder / name] = (folder / name).stat().st_mtime_ns

    ran = invoke("replay", name)

    assert ran.status == 3, ran.out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert not Path("/tmp/pwned.png").exists()


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_replay_writes_one_new_file_and_touches_no_other(invoke, made):
    def bytes_of() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in made.parent.iterdir() if path.suffix == ".png"}

    for _ in range(2):
        before = bytes_of()
        assert invoke("replay", "--exact", str(made)).status == 0
        after = bytes_of()
        assert len(after) == len(before) + 1
        assert {path: after[path] for path in before} == before


def test_the_picture_of_a_replay_does_not_follow_a_link(invoke, made):
    nxt = made.parent / made.name.replace("000001", "000002")
    victim = made.parent / "victim"
    victim.write_text("mine")
    os.symlink(victim, nxt)

    assert invoke("replay", str(made)).status == 0
    assert victim.read_text() == "mine"


# -- the terminal ------------------------------------------------------------------------------------------------------


def test_a_hostile_name_of_a_file_reaches_no_terminal(invoke, made):
    name = "a\x1b[2J\x07\u202e\x9b.png"
    Path(name).write_bytes(made.read_bytes())
    Path("\x1b]0;x\x07dir").mkdir()
    bad = "b\x1b[31m.png"
    Path(bad).write_bytes(b"no picture")
    missing = "c\x1b[31m.png"

    for arguments in (
        ("info", name), ("recall", name), ("recall", name, name), ("replay", name), ("strip", name), ("info", bad),
        ("recall", bad), ("replay", bad), ("strip", bad), ("info", missing), ("recall", missing), ("replay", missing),
        ("strip", missing), ("info", "\x1b]0;x\x07dir"), ("info", "--check", name), ("info", "\x1b*"),
        ("load_image", bad), ("load_image", missing), ("-c", f'load_image "{missing}"'), (missing,),
        ("source", missing),
        (f"{missing}.invoke",), ("replay", name, "--\x1b[31mflag", "1"), ("replay", name, "--steps", "\x1b[31m"),
    ):  # fmt: skip
        ran = invoke(*arguments)
        assert clean(ran.out, ran.err), arguments


def test_a_hostile_text_of_a_file_reaches_no_terminal(invoke, forge):
    def change(data):
        data.update(command=EVIL, created=EVIL, app_version=EVIL, model_weights=EVIL)
        data["environment"] = {EVIL: EVIL, "torch": EVIL, "device_name": EVIL}
        for resource in data["resources"]:
            resource.update(name=EVIL, base=EVIL, format=EVIL, license=EVIL)
        data["steps"][0]["params"].update(prompt=EVIL, negative=EVIL)
        data["steps"][0].update(package=EVIL, note=EVIL, noise={"function": EVIL})
        data["steps"][0]["params"][EVIL] = EVIL

    name = forge(change)
    for arguments in (
        ("info", name),
        ("info", "--check", name),
        ("recall", name),
        ("replay", name),
        ("replay", name, "--yes"),
    ):
        ran = invoke(*arguments)
        assert clean(ran.out, ran.err), arguments
    assert invoke("--json", "info", name).out.isascii()


def test_another_programs_hostile_text_reaches_no_terminal(invoke):
    texts = {
        "a": [("parameters", f"{EVIL}\nNegative prompt: {EVIL}\nSteps: 4, Sampler: {EVIL}, Model: {EVIL}, {EVIL}: 1")],
        "b": [("Dream", f'"{EVIL}" -s5 -I {EVIL}')],
        "c": [("sd-metadata", json.dumps({"model_id": EVIL, "image": {"prompt": EVIL, "sampler": EVIL}}))],
        "d": [("prompt", json.dumps({"1": {"class_type": EVIL, "inputs": {}}, "2": {"class_type": "SaveImage" + EVIL,
               "inputs": {"images": ["1", 0]}}}))],
        "e": [(EVIL[:9].replace("\r", ""), EVIL)],
        "f": [("parameters", json.dumps({"sui_image_params": {"prompt": EVIL, "model": EVIL, EVIL: EVIL}}))],
    }  # fmt: skip
    for name, pairs in texts.items():
        Path(f"{name}.png").write_bytes(png(*(text(*pair) for pair in pairs)))
        for command in ("info", "recall", "replay"):
            ran = invoke(command, f"{name}.png")
            assert clean(ran.out, ran.err), (name, command)


# -- command files -----------------------------------------------------------------------------------------------------

ONLY = ", which a file may only with --trust"
OUT = " is outside the output folder, where a file may write only with --trust"
REFUSED = {
    "$ touch pwned": f"a $ line runs a program of the system{ONLY}",
    "models add a.png": f"models add changes the catalogue{ONLY}",
    "models scan .": f"models scan changes the catalogue{ONLY}",
    "load_image a.png | save b2.png": f"b2.png{OUT}",
    "load_image a.png | save ../x.png": f"../x.png{OUT}",
    "strip a.png --output out.png": f"out.png{OUT}",
    "export all.invoke": f"all.invoke{OUT}",
    "gallery --file x.html": f"x.html{OUT}",
    "trash empty": f"trash empty deletes files{ONLY}",
    "set steps 3 --keep": f"set would write the settings of every session{ONLY}",
    "set outdir /tmp": f"set outdir says where is written or what is started{ONLY}",
    "set editor rm": f"set editor says where is written or what is started{ONLY}",
    "open @-1": f"open starts a program of the system{ONLY}",
    "edit @-1": f"edit starts a program of the system{ONLY}",
    'abbr info "info; $ id"': f"abbr changes what is typed later{ONLY}",
}


@pytest.mark.parametrize("line", REFUSED)
@pytest.mark.parametrize("how", ["file", "source", "pipe"])
def test_a_command_file_is_refused_before_its_first_line(line: str, how: str, invoke, folder, monkeypatch):
    script = f'txt2img "a cat" --seed 1 --steps 1\n{line}\n'
    Path("x.invoke").write_text(script)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(script.encode()), encoding="utf-8"))
    before = set(folder.rglob("*"))

    ran = invoke("--json", *{"file": ["x.invoke"], "source": ["source", "x.invoke"], "pipe": ["-"]}[how])

    (record,) = ran.records
    assert ran.status == 2
    assert (record["event"], record["code"], record["line"]) == ("error", "not-trusted", 2)
    assert record["message"].endswith(REFUSED[line])
    assert set(folder.rglob("*")) == before


def test_with_trust_it_runs(invoke, folder):
    Path("x.invoke").write_text("$ touch marker\nload_image a.png | save copy.png\n")

    assert invoke("--trust", "x.invoke").status == 0
    assert (folder / "marker").exists()
    assert (folder / "copy.png").exists()


def test_a_file_may_not_trust_another(invoke, folder):
    Path("inner.invoke").write_text("$ touch marker\n")
    Path("outer.invoke").write_text("source inner.invoke --trust\n")

    assert invoke("outer.invoke").status != 0
    assert not (folder / "marker").exists()
    assert invoke("source", "inner.invoke", "--trust").status == 0
    assert (folder / "marker").exists()


def test_among_the_pictures_a_file_may_write(invoke, home):
    inside = home / "outputs" / "copy.png"
    Path("x.invoke").write_text(f"load_image a.png | save {inside}\n")

    assert invoke("x.invoke").status == 0, invoke("x.invoke").err
    assert inside.exists()
