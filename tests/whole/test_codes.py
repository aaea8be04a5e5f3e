"""Every error code has a test that produces it, and the document lists them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from invoke_shell.commands import registry as nodes
from invoke_shell.errors import CODES, DeclarationError
from invoke_shell.metadata.history import loads
from invoke_shell.pipeline.node import node
from invoke_shell.pipeline.run import execute

ROOT = Path(__file__).parents[2]

LINES = {
    "open-quote": 'txt2img "a',
    "open-pipe": "txt2img a |",
    "open-line": "txt2img a \\",
    "empty-stage": "txt2img a | | upscale",
    "bad-escape": r'txt2img "\u{zz}"',
    "background": "txt2img a &",
    "unknown-command": "txt3img a",
    "unknown-flag": "txt2img a --stepz 3",
    "missing-value": "txt2img a --steps",
    "flag-value": "load_image a.png | img2img x --pure-noise=1",
    "repeated-flag": "txt2img a --steps 3 --steps 4",
    "extra-word": "load_image a.png | blur 1 2",
    "missing-argument": "txt2img --steps 3",
    "bad-value": "txt2img a --steps x",
    "out-of-range": "txt2img a --steps 0",
    "bad-choice": "txt2img a --scheduler none",
    "excluded-flag": "load_image a.png | img2img x --strength 0.5 --start-step 3",
    "quote-needed": "txt2img a -big cat",
    "split-prompt": "txt2img a --steps 3 cat",
    "bad-handle": "load_image a.png | @1",
    "bad-sweep": "txt2img a --steps 1..",
    "bad-prompt": 'txt2img \'("a", "b").blend(1)\'',
    "repeated-picture": "txt2img a --seed 1..2 -n 2",
    "too-many": "txt2img a --seed 1..100 --steps 1..100",
    "no-input": "upscale",
    "extra-input": "txt2img a | load_image a.png",
    "no-last": "| upscale",
    "unknown-handle": "@9 | upscale",
    "missing-file": "load_image nowhere.png",
    "not-a-picture": "load_image words.txt",
    "unknown-model": "txt2img a --model nowhere",
    "bad-model": "txt2img a --model ./",
    "missing-input": "load_image blake3:0123456789ab",
    "wrong-shape": "load_image a.png | crop 0:0:99:99",
    "not-trusted": "source trustless.invoke",
    "file-exists": "load_image a.png | save a.png",
    "cannot-write": "load_image a.png | save a.gif",
    "no-metadata": "recall a.png",
    "nothing-left": "redo",
    "bad-setting": "set stepz 3",
    "bad-metadata": "recall broken.png",
}


def _lines_that_fail(invoke, folder) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    (folder / "words.txt").write_text("no picture")
    (folder / "trustless.invoke").write_text("$ ls\n")
    info = PngInfo()
    info.add_text("sd-metadata", '{"spec": "invoke-shell/sd-metadata", "spec_version": "1", "steps": 3}')
    Image.new("RGB", (8, 8)).save(folder / "broken.png", pnginfo=info)


@pytest.mark.parametrize("code", LINES)
def test_a_line_gives_its_code(invoke, folder, code):
    _lines_that_fail(invoke, folder)
    arguments = ["-c", LINES[code]] if code != "not-trusted" else ["trustless.invoke"]

    ran = invoke("--json", *arguments)

    assert ran.status != 0
    assert code in {r["code"] for r in ran.records if r["event"] == "error"}


def _bad_declaration(invoke, monkeypatch):
    with pytest.raises(DeclarationError) as caught:

        @node
        def wrong(x: int) -> None: ...

    return caught.value.code


def _bad_usage(invoke, monkeypatch):
    ran = invoke("examples", "x")
    assert ran.status == 2
    return "bad-usage" if "there is no command or file examples" in ran.err else ""


def _newer_spec(invoke, monkeypatch):
    try:
        loads('{"spec": "invoke-shell/sd-metadata", "spec_version": "2"}')
    except Exception as error:
        return error.code
    return ""


def _mishap(kind):
    def run(invoke, monkeypatch):
        monkeypatch.setenv("INVOKE_SHELL_FAKE_MISHAP", kind)
        ran = invoke("--json", "-c", "txt2img a --seed 1", inline=kind != "crash")
        return next(r["code"] for r in ran.records if r["event"] == "error")

    return run


def _cancelled(invoke, monkeypatch):
    told = []
    plan = _plan()
    execute(plan, nodes(), None, told.append, cancelled=lambda: True)
    return told[-1].error.code


def _step_failed(invoke, monkeypatch):
    told = []
    execute(_plan(), nodes(), None, told.append)  # there is no host: the node fails as any code may
    return told[-1].error.code


def _plan():
    from invoke_shell.pipeline.plan import Call, Plan

    return Plan(source="", calls=(Call(id=0, stage=0, node="load_image"),), stages=("load_image",), results=(0,))


ELSEWHERE = {
    "bad-declaration": _bad_declaration,
    "bad-usage": _bad_usage,
    "newer-spec": _newer_spec,
    "out-of-memory": _mishap("out-of-memory"),
    "bad-numbers": _mishap("bad-numbers"),
    "worker-died": _mishap("crash"),
    "cancelled": _cancelled,
    "step-failed": _step_failed,
}


@pytest.mark.parametrize("code", ELSEWHERE)
def test_what_is_no_line_gives_its_code(invoke, monkeypatch, code):
    assert ELSEWHERE[code](invoke, monkeypatch) == code


def test_every_code_is_produced_here():
    assert set(CODES) == {*LINES, *ELSEWHERE}


def test_the_document_lists_every_code():
    listed = [
        line.split("`")[1] for line in (ROOT / "docs/errors.md").read_text().splitlines() if line.startswith("| `")
    ]

    assert listed == list(CODES)
