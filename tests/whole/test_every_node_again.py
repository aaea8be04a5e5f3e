"""Every node on real models: what it makes, a replay in another process makes again, bit for bit."""

from __future__ import annotations

import pytest
from models_small import small_sd1
from PIL import Image, ImageDraw
from test_real_model import program

from invoke_shell import commands

REGISTRY = commands.registry()
FAST = "--steps 3 --size 64x64"
# One line of ours for each node that asks a model; the others run their own examples.
DRAWN = {
    "txt2img": [
        f'txt2img "a red boat" --seed 7 {FAST}',
        f'txt2img "a red boat" --seed 7 --variation 0.2 -n 2 {FAST} --scheduler euler_a --rng philox --ensd 3',
        f'txt2img "a red boat" --seed 7 --blend 3:0.2,5:0.1 --seamless both --guidance-rescale 0.5 {FAST}',
        f'txt2img "a red boat" --seed 7 --hires 1.5 {FAST} --scheduler euler --churn 5',
        f'txt2img "a red boat" --seed 7 --end-step 1..3 {FAST} --scheduler ddim --eta 0.5',
    ],
    "img2img": ['load_image a.png | img2img "a red house" --strength 0.6 --seed 3 --steps 4'],
    "inpaint": [
        'load_image a.png | inpaint "a red boat" --mask mask.png --seed 7 --steps 3 --fill noise',
        'load_image a.png | inpaint "a red boat" --mask mask.png --seed 7 --steps 3 --fill blur --zoom 8',
    ],
    "outpaint": ['load_image a.png | outpaint "a sea" --left 16 --top 10 --seed 7 --steps 3'],
    "instruct": ["load_image a.png | instruct make it night --seed 7 --steps 3 --model editor"],
    "upscale": ["load_image a.png | upscale --upscaler pocket-2x --scale 1.7"],
    "upscale_diffuse": ['load_image a.png | upscale_diffuse "a boat" --tile 64x64 --seed 7 --steps 4'],
    "restore_faces": ["load_image a.png | restore_faces --face-model pocket-2x --box 8:8:40:40"],
}
OTHERS = [n.examples[0] for n in REGISTRY.values() if n.name not in DRAWN and not n.stage_only]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_replay_of_every_node_is_exact(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_sd1(tmp_path / "home" / "models" / "editor", in_channels=8)
    gradient = Image.linear_gradient("L").resize((64, 64))
    for name, turned in (("a", 90), ("b", 180)):
        Image.merge("RGB", [gradient, gradient.rotate(turned), gradient.rotate(270)]).save(f"{name}.png")
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).ellipse((16, 16, 48, 48), fill=255)
    mask.save("mask.png")
    lines = [f'txt2img "a red boat" --seed 1 -n 3 {FAST}', *[one for rows in DRAWN.values() for one in rows], *OTHERS]

    made, records = program(tmp_path / "home", *[word for line in lines for word in ("-c", line)])
    assert made.returncode == 0, made.stderr
    results = [r for r in records if r["event"] == "result"]
    again, verdicts = program(tmp_path / "home", "replay", "--exact", *[r["path"] for r in results])

    told = {r.get("verdict") for r in verdicts if r["event"] == "replay"}
    assert again.returncode == 0, again.stdout + again.stderr
    assert told == {"exact"}
    commands_run = " ".join(r["command"] for r in results)
    nodes = {n.name for n in REGISTRY.values() if not n.stage_only and not n.builtin}
    assert {name for name in nodes if name not in commands_run} == set()
