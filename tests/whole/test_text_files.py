"""Command files and file names as other programs and other systems leave them."""

from __future__ import annotations

import io
import os
import shutil
import sys

import pytest

LINE = 'txt2img "a cat" --seed 1\n'


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbf" + LINE.encode(), LINE.replace("\n", "\r\n").encode(), LINE.replace("\n", "\r").encode()],
    ids=["mark", "CRLF", "CR"],
)
def test_a_command_file_of_another_system_is_read(invoke, folder, monkeypatch, data):
    (folder / "lines").write_bytes(data + data.lstrip(b"\xef\xbb\xbf"))

    ran = invoke("lines")

    assert (ran.status, ran.out.count("seed 1  ")) == (0, 2)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert invoke("-").status == 0


def test_a_command_file_that_is_no_text_is_told_with_its_place(invoke, folder, monkeypatch):
    data = LINE.encode() + "txt2img fête\n".encode("latin-1")
    (folder / "old.invoke").write_bytes(data)

    ran = invoke("old.invoke")

    assert (ran.status, ran.out) == (3, "")
    assert ran.err == "old.invoke is no text in UTF-8: line 2 has a byte 0xea\n  save it as UTF-8\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert invoke("-").err == ran.err.replace("old.invoke", "standard input")


def test_a_folder_is_no_command_file(invoke, folder):
    (folder / "many").mkdir()

    ran = invoke("many")

    assert (ran.status, ran.err) == (3, "many is a folder, not a command file\n")


def test_bytes_that_are_no_text_are_told_once(invoke):
    ran = invoke("-c", os.fsdecode(b"txt2img f\xc3\xaate \xff\xfe and \xff"))

    assert ran.status == 2
    assert ran.err.count("this is half a character") == 1
    assert ran.err.splitlines()[1].count("^") == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_told(invoke, folder):
    name = os.fsdecode(b"caf\xe9.png")
    shutil.copy(folder / "a.png", folder / name)

    by_pattern, by_name, looked_at = (
        invoke("-c", "load_image caf*.png"),
        invoke("load_image", name),
        invoke("info", name),
    )

    assert by_pattern.err == (
        "  load_image caf*.png\n             ^^^^^^^^\nthe name of caf\\u{DCE9}.png is no text in UTF-8\n  rename it\n"
    )
    assert by_name.err == (
        "caf\\u{DCE9}.png is no text in UTF-8\n  a file of such a name is taken once it is renamed\n"
    )
    assert (by_pattern.status, by_name.status, looked_at.status) == (3, 2, 0)
