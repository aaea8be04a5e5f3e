"""Pictures drawn with all that guides a drawing make themselves again: weights, LoRA, ControlNet, IP-Adapter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from models_controls import small_adapter, small_control
from models_small import small_lora, small_sd1
from models_transformers import small_z_image

LINES = [
    'txt2img "a (red:1.4) circle++ <lora:ink:0.7>" --negative "blue-" --seed 3 --tokens',
    'txt2img \'("a red circle", "a blue square").blend(0.7, 0.3)\' --seed 4',
    'txt2img "a {red|green|blue} __shape__" --pick 1 --seed 5',
    "load_image a.png | canny as @edges",
    'txt2img "a boat" --control edges:0.8 --control-image @edges --control-end 0.7 --seed 6',
    '@edges | img2img "a sea" --control edges --strength 0.6 --ip-adapter style:0.5 --ip-image a.png --seed 7',
    'load_image a.png | outpaint "a sea" --left 16 --control edges --ip-adapter style:0.5 --ip-image a.png --seed 8',
    'load_image a.png | upscale_diffuse "a sea" --control edges --seed 9',
    'load_image a.png | inpaint "a sea" --mask mask.png --zoom --control edges --seed 2',
    'load_image a.png | instruct "at night" --model edit --control edges --ip-adapter style --ip-image a.png --seed 3',
    'load_image a.png | inpaint "a boat" --mask mask.png --model z-small --seed 3',
]


def program(home: Path, *arguments: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], list[dict]]:
    command = [sys.executable, "-m", "invoke_shell", "--home", str(home), "--json", "--inline", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return ran, [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_guided_pictures_are_exact_in_a_new_process(tmp_path):
    from PIL import Image

    home = tmp_path / "home"
    model = small_sd1(home / "models" / "small")
    small_sd1(home / "models" / "edit", in_channels=8)
    small_z_image(home / "models" / "z-small")
    small_lora(home / "models" / "ink.safetensors", model)
    small_control(home / "models" / "edges", model)
    small_adapter(home / "models" / "adapters", model)
    (home / "wildcards").mkdir()
    (home / "wildcards" / "shape.txt").write_text("circle\nsquare\n")
    Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 40).convert("RGB").save(tmp_path / "a.png")
    Image.linear_gradient("L").resize((64, 64)).save(tmp_path / "mask.png")
    settings = ["-c", "set model small", "-c", "set steps 4", "-c", "set size 64x64"]

    made, records = program(home, *settings, *[w for line in LINES for w in ("-c", line)], folder=tmp_path)

    assert made.returncode == 0, made.stderr
    results = [r for r in records if r["event"] == "result"]
    assert len(results) == len(LINES)
    assert "--lora ink" in results[0]["command"]
    again, verdicts = program(home, "replay", "--exact", *[r["path"] for r in results], folder=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [r["verdict"] for r in verdicts if r["event"] == "replay"] == ["exact"] * len(LINES)
