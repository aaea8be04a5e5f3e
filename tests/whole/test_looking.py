"""Results in other programs: an editor whose work becomes a result, a viewer, the clipboard."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from PIL import Image, ImageOps

PAINT = """
import sys
from PIL import Image, ImageOps
picture = Image.open(sys.argv[-1])
assert not picture.text  # nothing of the first picture's history travels into the second
ImageOps.invert(picture).save(sys.argv[-1])
"""


def program(folder: Path, name: str, text: str) -> str:
    """A Python program in a file; the command that runs it."""
    (folder / name).write_text(text)
    return f"{sys.executable} {folder / name}"


def test_what_an_editor_saved_is_a_result_that_comes_from_the_first(invoke, folder, home):
    editor = program(folder, "paint.py", PAINT)

    ran = invoke(
        "--json",
        "-c",
        "txt2img fox --size 64x64 --seed 7",
        "-c",
        f'set editor "{editor}"',
        "-c",
        "edit @1",
        "-c",
        "undo",
    )
    back = invoke("--json", "--continue", "-c", "redo", "-c", "replay @2")

    first, second = ran.results
    assert ran.status == 0, ran.err
    assert second["parents"] == [1]
    assert second["command"].startswith("load_image blake3:")
    left, right = (Image.open(path).convert("RGB") for path in (first["path"], back.results[0]["path"]))
    assert ImageOps.invert(left).tobytes() == right.tobytes()
    assert [r["verdict"] for r in back.records if r["event"] == "replay"] == ["exact"]
    told = [r["text"] for r in ran.records if r["event"] == "text"]
    assert told == ["undone: edit @1 (@2 to the trash); redo does it again"]
    again = invoke("--continue", "-c", "again @2")
    assert again.err == "@2 was not made by a line\n  replay @2\n"


@pytest.mark.parametrize(
    ("text", "said", "status"),
    [
        ("pass", "nothing was saved: @1 stays as it is", 0),
        ("raise SystemExit(3)", "ended with status 3", 1),
        ("import os, sys; os.unlink(sys.argv[-1])", "nothing was saved: @1 stays as it is", 0),
        (
            "import sys; open(sys.argv[-1], 'w').write('x')",
            "what the editor saved cannot be read as a picture: @1 stays as it is\n  save it as PNG, under the name",
            3,
        ),
    ],
)
def test_an_editor_that_saves_nothing_makes_nothing(invoke, folder, text, said, status):
    editor = program(folder, "editor.py", text)

    ran = invoke("-c", "txt2img fox --size 64x64", "-c", f'set editor "{editor}"', "-c", "edit @1")

    assert (ran.status, len(list((folder.parent / "home" / "outputs").iterdir()))) == (status, 1)
    assert said in ran.err


def test_an_editor_that_is_not_there_is_said(invoke):
    ran = invoke("-c", "txt2img fox --size 64x64", "-c", "set editor nowhere-at-all", "-c", "edit @1")

    assert ran.status == 1
    assert ran.err.endswith(
        'nowhere-at-all cannot be started: there is no such program\n  as in: set editor "gimp --new-instance"\n'
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("set editor 'vi \"'; edit @1", 'a quote is never closed in the editor vi "\n  as in: set editor "gimp --new'),
        ("set viewer 'vi \"'; open @1", 'a quote is never closed in the viewer vi "\n  as in: set viewer "feh %s"\n'),
        (
            "set viewer nowhere; open @1",
            'nowhere cannot be started: there is no such program\n  as in: set viewer "feh ',
        ),
    ],
)
def test_a_command_that_cannot_be_one_is_said_with_one_that_can(invoke, line, said):
    assert said in invoke("-c", "txt2img fox --size 64x64", "-c", line).err


def test_a_file_that_is_gone_is_neither_opened_nor_copied(invoke):
    path = Path(invoke("--session", "s", "--json", "-c", "txt2img fox --size 64x64").results[0]["path"])
    path.unlink()

    for line in ("open @1", "copy @1 --path"):
        gone = invoke("--session", "s", "-c", line).err
        assert gone == f"the file of @1 is gone: {path}\n  replay @1 makes it again\n"


def test_open_runs_the_viewer_with_the_pictures_path(invoke, folder):
    viewer = program(folder, "viewer.py", "import sys; open('seen', 'a').write(sys.argv[1] + '|' + sys.argv[2])")

    ran = invoke(
        "--json", "-c", "txt2img fox --size 64x64", "-c", f'set viewer "{viewer} --file=%s -x"', "-c", "open @1"
    )

    assert ran.status == 0, ran.err
    end = time.monotonic() + 10
    while not Path("seen").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert Path("seen").read_text() == f"--file={ran.results[0]['path']}|-x"


def test_without_a_screen_open_prints_the_path(invoke, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)

    ran = invoke("-c", "txt2img fox --size 64x64 --seed 1", "-c", "open @1")

    assert ran.out.splitlines()[-1].endswith("/000001-fox-1.png")


def test_a_gallery_is_opened_by_the_system_and_not_by_the_viewer_of_pictures(invoke, folder, monkeypatch):
    opener = folder / "xdg-open"
    opener.write_text(f"#!{sys.executable}\nimport sys\nopen('seen', 'w').write(sys.argv[1])\n")
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":7")

    ran = invoke("-c", "txt2img fox --size 64x64 --seed 1", "-c", "set viewer nothing-here", "-c", "gallery --open")

    assert ran.status == 0, ran.err
    end = time.monotonic() + 10
    while not (Path("seen").exists() and Path("seen").read_text()) and time.monotonic() < end:
        time.sleep(0.02)
    assert Path("seen").read_text() == ran.out.splitlines()[-1]


def test_without_a_screen_a_gallery_is_written_and_its_path_told_once(invoke, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)

    ran = invoke("-c", "txt2img fox --size 64x64 --seed 1", "-c", "gallery --open")

    assert [line.endswith(".html") for line in ran.out.splitlines()] == [False, True]
    assert ran.err.splitlines()[-1] == "there is no screen here to open it on"


def test_copy_hands_the_line_to_the_desktops_clipboard(invoke, folder, monkeypatch):
    clip = folder / "xclip"
    clip.write_text(
        f"#!{sys.executable}\nimport sys\nopen('clip', 'w').write(sys.stdin.read() + ' '.join(sys.argv[1:]))\n"
    )
    clip.chmod(0o755)
    for name in ("WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    ran = invoke("-c", "txt2img fox --size 64x64 --seed 1", "-c", "copy @1", "-c", "recall @1")

    line = ran.out.splitlines()[-1]
    assert "the line of @1 is in the clipboard (xclip)" in ran.err
    assert Path("clip").read_text() == f"{line}-selection clipboard"
    invoke("-c", "copy @1 --path")
    assert Path("clip").read_text().startswith(str(folder.parent / "home" / "outputs" / "000001-fox-1.png"))
    monkeypatch.setenv("SSH_CONNECTION", "somewhere")
    assert invoke("-c", "copy @1").err.startswith("there is no clipboard here\n")


@pytest.mark.parametrize("line", ["open @-1", "edit @-1", "gallery --file ../x.html"])
def test_a_strangers_file_starts_no_program(invoke, folder, line):
    (folder / "x.invoke").write_text(f"txt2img fox --size 64x64\n{line}\n")

    ran = invoke("x.invoke")

    assert ran.status == 2  # as a whole: its first line did not run
    assert "only with --trust" in ran.err


def test_a_system_line_gets_the_path_of_a_handle_in_the_trash_too(invoke, folder, home):
    invoke("-c", "txt2img fox --size 64x64 --seed 1", "-c", "discard @1")

    ran = invoke("-c", f"$ cp @1 {folder}/copied.png")

    assert ran.status == 0, ran.err
    assert (folder / "copied.png").read_bytes() == (home / "trash" / "000001-fox-1.png").read_bytes()
