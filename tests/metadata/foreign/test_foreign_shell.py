"""Foreign pictures through the program: info, recall, replay."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from foreign_material import GPU, png
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from invoke_shell import cli

TEXT = (
    "a red boat\nNegative prompt: blurry\n"
    "Steps: 4, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 64x64, Model: {}, RNG: CPU, Eta: 0.67"
)
LINE = (
    'txt2img "a red boat" --negative "blurry" --size 64x64 --steps 4 --guidance 7.5 --scheduler euler_a --seed 42'
    " --model {}"
)


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def record(self) -> dict:
        return json.loads(self.out.splitlines()[-1])


Invoke = Callable[..., Ran]


@pytest.fixture
def invoke(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the program on the fake engine, in an empty folder."""
    monkeypatch.setenv("INVOKE_SHELL_ENGINE", "fake")
    monkeypatch.setenv("INVOKE_SHELL_PLUGINS", "")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        try:
            status = cli.run(["--home", str(tmp_path / "home"), "--inline", *arguments])
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        return Ran(status, *capsys.readouterr())

    return run


def write(name: str, **texts: str) -> None:
    Path(name).write_bytes(png(64, 64, **texts))


def test_info_says_line_missing_and_guessed(invoke: Invoke):
    write("a.png", parameters=TEXT.format("nowhere"))

    ran = invoke("info", "a.png")

    assert ran == (
        0,
        f"a.png: a1111, 64x64 PNG, 1 kB\n  {LINE.format('nowhere')}\n  missing: not carried: Eta 0.67\n"
        "  missing: there is no model nowhere here\n",
        "",
    )


def test_a_controlnet_is_carried_where_it_is_here_else_said(invoke: Invoke):
    unit = ', ControlNet 0: "Module: canny, Model: edges [d14c016b], Weight: 0.8"'
    write("a.png", parameters="a\nSteps: 4, Sampler: Euler, Seed: 1, Size: 64x64, RNG: CPU" + unit)

    before = invoke("--json", "info", "a.png").record
    Path("edges.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert invoke("models", "add", "edges.safetensors", "--kind", "controlnet").status == 0
    after = invoke("--json", "info", "a.png").record
    blocked = invoke("replay", "a.png")

    sentence = "the picture that --control edges reads is not in the file, made by canny: add --control-image FILE"
    assert "--control" not in before["command"]
    assert before["missing"] == ["not carried: ControlNet edges at 0.8, which is not here"]
    assert after["command"].endswith("--seed 1 --control edges:0.8")
    assert after["missing"] == [sentence]
    assert (blocked.status, blocked.out) == (3, f"a.png: blocked\n  {sentence}\n")


def test_a_large_picture_of_few_steps_is_asked_about_too(invoke: Invoke):
    write("a.png", parameters="a\nSteps: 50, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 4096x4096, RNG: CPU")

    ran = invoke("replay", "a.png")

    assert (ran.status, ran.out) == (
        3,
        "a.png: blocked\n  it would take 838 million pixels to sample: replay --yes runs it all the same\n",
    )


def test_whatever_a_picture_names_and_is_not_here_is_said(invoke: Invoke):
    more = (
        ', VAE: nice.vae.pt, TI hashes: "neg: 66a7279a88"'
        ", Denoising strength: 0.4, Hires upscale: 2, Hires upscaler: X4"
    )
    write("a.png", parameters=f"a <lora:ink:0.5> boat\n{TEXT.format('m').splitlines()[-1]}{more}")

    out = invoke("info", "a.png").out

    for sentence in ("model m", "LoRA ink", "embedding neg", "VAE nice.vae", "upscaler X4"):
        assert f"  missing: there is no {sentence} here\n" in out


def test_info_as_a_record(invoke: Invoke):
    write("a.png", Dream='"a fox" -s 50')

    ran = invoke("--json", "info", "a.png")

    assert ran.record == {
        "event": "info",
        "image": "a.png",
        "tool": "invokeai",
        "width": 64,
        "height": 64,
        "format": "png",
        "bytes": Path("a.png").stat().st_size,
        "command": 'txt2img "a fox" --size 64x64 --steps 50 --rng philox',
        "steps": [],
        "missing": ["the seed is not in the file: a fresh one is drawn"],
        "guessed": [
            "the size is not in the file: 64x64 is the picture's own",
            "not in the file, so what is set here counts: guidance, scheduler",
            GPU,
        ],
        "warnings": [],
        "texts": {"Dream": '"a fox" -s 50'},
    }


def test_the_page_shows_what_info_says(invoke: Invoke):
    details = (
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 512x512, Model: v1-5, "
        "Eta: 0.67, Denoising strength: 0.4, Hires upscale: 2, Hires steps: 10, Hires upscaler: Latent"
    )
    Path("friend.png").write_bytes(png(1024, 1024, parameters=f"a red boat\nNegative prompt: blurry\n{details}"))
    page = (Path(__file__).parents[3] / "docs" / "foreign.md").read_text()

    assert invoke("info", "friend.png").out == page.split("```")[1].partition("friend.png\n")[2]


def test_recall_prints_the_line_and_says_beside_it_what_is_missing(invoke: Invoke):
    write("a.png", parameters=TEXT.format("pocket"))

    assert invoke("recall", "a.png") == (0, f"{LINE.format('pocket')}\n", "a.png: not carried: Eta 0.67\n")


def test_recall_of_what_is_no_command(invoke: Invoke):
    write("a.png", Dream="!fix x.png -U 2")

    ran = invoke("recall", "a.png")

    assert (ran.status, ran.out) == (3, "")
    assert "no command can be made of a.png: it was not drawn from a prompt; Dream says: !fix x.png -U 2" in ran.err


def test_a_recalled_line_runs(invoke: Invoke):
    write("a.png", parameters=TEXT.format("pocket"))

    assert invoke("-c", invoke("recall", "a.png").out).status == 0


def test_replay_compares_with_the_files_own_pixels(invoke: Invoke):
    write("a.png", parameters=TEXT.format("pocket"))

    ran = invoke("--json", "replay", "a.png")

    assert (ran.status, ran.record["verdict"]) == (0, "different")
    assert ran.record["max_difference"] > 0
    assert ran.record["reasons"] == ["not carried: Eta 0.67"]


def test_replay_of_the_same_pixels_is_exact(invoke: Invoke):
    made = json.loads(invoke("--json", "-c", LINE.format("pocket")).out.splitlines()[-1])
    info = PngInfo()
    info.add_text("parameters", TEXT.format("pocket"))
    Pillow.open(made["path"]).save("friend.png", pnginfo=info)

    assert invoke("--json", "replay", "friend.png").record["verdict"] == "exact"


def test_replay_with_another_value(invoke: Invoke):
    write("a.png", parameters=TEXT.format("pocket"))

    assert "made anew with --steps 6" in invoke("replay", "a.png", "--steps", "6").out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT.format("nowhere"), "there is no model nowhere"),
        (TEXT.format("pocket") + ", Denoising strength: 0.5", "the source picture is not in the file"),
    ],
)
def test_replay_is_blocked_by_what_is_not_here(text: str, reason: str, invoke: Invoke):
    write("a.png", parameters=text)

    ran = invoke("replay", "a.png")

    assert ran.status == 3
    assert ran.out.startswith("a.png: blocked\n")
    assert reason in ran.out


def test_a_strangers_text_cannot_reach_the_terminal(invoke: Invoke):
    evil = "a\x1b]52;c;x\x07\u202e\u200b"
    write("a.png", parameters=f"{evil}\nSteps: 4, Sampler: {evil}, Seed: {evil}, Model: {evil}, {evil}: 1, Foo: {evil}")
    write("b.png", Dream=f"!{evil}")
    write("c.png", **{"mold:prompt": evil, "mold:model": evil})

    for ran in (invoke("info", "a.png", "b.png", "c.png"), invoke("recall", "a.png"), invoke("recall", "b.png")):
        assert all(line.isprintable() for line in (ran.out + ran.err).split("\n"))


def test_a_jpeg_is_replayed_as_well(invoke: Invoke):
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + TEXT.format("pocket").encode("utf-16-be")
    out = io.BytesIO()
    Pillow.new("RGB", (64, 64)).save(out, "JPEG", exif=exif)
    Path("a.jpg").write_bytes(out.getvalue())

    assert invoke("--json", "replay", "a.jpg").record["verdict"] == "different"
