"""One picture from start to file: `invoke-shell -c 'txt2img ...'` against a ten-line diffusers script, alternating.

    python -m benchmarks.oneshot [--runs 9]

Same model, prompt, seed, scheduler, steps and size; the pixels of both are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from PIL import Image, ImageChops

from benchmarks.table import machine, show
from invoke_shell.models.catalogue import ASSETS

PROMPT = "a red boat on a green sea"
LINE = f'txt2img "{PROMPT}" --seed 7 --steps 20 --guidance 5 --scheduler ddim --size 128x128'
SCRIPT = """
import sys, torch
from diffusers import StableDiffusionPipeline, DDIMScheduler
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], safety_checker=None, torch_dtype=torch.float32)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
pipe.set_progress_bar_config(disable=True)
generator = torch.Generator("cpu").manual_seed(7)
size = dict(width=128, height=128)
picture = pipe("{prompt}", num_inference_steps=20, guidance_scale=5.0, generator=generator, **size).images[0]
picture.save(sys.argv[2])
""".replace("{prompt}", PROMPT)
BAR = 1.05


def ours(folder: Path, n: int) -> Path:
    command = [sys.executable, "-m", "invoke_shell", "--home", str(folder / "home"), "--json", "-c", f"{LINE}"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return Path(json.loads(ran.stdout.splitlines()[-1])["path"])


def theirs(folder: Path, n: int) -> Path:
    path = folder / f"theirs-{n}.png"
    command = [sys.executable, "-c", SCRIPT, str(ASSETS / "pocket"), str(path)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    return path


def timed(work, folder: Path, n: int) -> tuple[float, Path]:
    start = time.perf_counter()
    path = work(folder, n)
    return time.perf_counter() - start, path


def difference(a: Path, b: Path) -> int:
    """Largest difference of an 8-bit value."""
    extremes = ImageChops.difference(Image.open(a).convert("RGB"), Image.open(b).convert("RGB")).getextrema()
    return max(high for _, high in extremes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {"invoke-shell -c": [], "ten-line script": []}
    with TemporaryDirectory() as name:
        folder = Path(name)
        worst = difference(ours(folder, 0), theirs(folder, 0))  # and both are warm
        for n in range(1, runs + 1):
            for label, work in (("invoke-shell -c", ours), ("ten-line script", theirs)):
                # Each run draws: the step cache would answer the second of ours at once.
                subprocess.run(["rm", "-rf", str(folder / "home" / "cache" / "steps")], check=True)
                times[label].append(timed(work, folder, n)[0])
    ratios = [a / b for a, b in zip(*times.values(), strict=True)]
    print(machine())
    show(
        ["what", "s, median", "min", "max"],
        [[label, *(f"{x:.2f}" for x in (median(t), min(t), max(t)))] for label, t in times.items()],
    )
    print(
        f"\nratio, median of {runs} pairs: {median(ratios):.2f} (at most {BAR} is wanted);"
        f" pixels differ by at most {worst}"
    )
    return 0 if median(ratios) <= BAR and worst == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
