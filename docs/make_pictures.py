"""Makes the pictures of the README and the docs, from the README's own session: python docs/make_pictures.py

They are ordinary results: each can be replayed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
PICTURES = {1: "boat", 2: "yellow-boat", 7: "stars"}
# docs/drawing.md's own, by the name of a result.
DRAWING = """
txt2img "a red boat on a green sea" --seed 7 as @boat
@boat | mask_from rectangle --box 28:60:72:64 | save mask.png
@boat | inpaint "a blue boat on a green sea" --mask mask.png --strength 0.9 --seed 4 as @inpaint
@boat | outpaint "a red boat on a green sea" --left 32 --right 64 --seed 3 as @outpaint
txt2img "a red star on a blue sky" --seed 7 --variation 0..0.6..0.2 | contact_sheet --columns 4 as @variations
txt2img "a red house on a green meadow" --seed 9 --end-step 4..20..4 | contact_sheet --columns 5 as @steps
txt2img "a green meadow" --seed 5 --seamless both as @seamless
@seamless @seamless @seamless @seamless | contact_sheet --columns 2 --gap 0 as @tiles
txt2img "a yellow moon at night" --seed 7 --hires 2 as @hires
txt2img "a red house on a green meadow" --seed 9 | upscale_diffuse --strength 0.3 --seed 30 as @upscale_diffuse
"""
KEPT = ("inpaint", "outpaint", "variations", "steps", "tiles", "hires", "upscale_diffuse")


def main() -> None:
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    readme(folder)
    drawing(folder)


def drawing(folder: Path) -> None:
    """The pictures of docs/drawing.md."""
    with TemporaryDirectory() as home:
        command = [sys.executable, "-m", "invoke_shell", "--home", home, "--json"]
        for line in DRAWING.strip().splitlines():
            command += ["-c", line]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=home)
        for row in map(json.loads, ran.stdout.splitlines()):
            if row["event"] == "result" and row.get("name") in KEPT:
                shutil.copyfile(row["path"], folder / f"{row['name']}.png")


def readme(folder: Path) -> None:
    """The pictures of the README, from its session."""
    session = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1]
    lines = [line for line in re.findall(r"^invoke> (.+)$", session, re.M) if line.startswith(("txt2img", "@1 |"))]
    with TemporaryDirectory() as home:
        command = [sys.executable, "-m", "invoke_shell", "--home", home, "--json"]
        for line in lines:
            command += ["-c", line]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        for row in map(json.loads, ran.stdout.splitlines()):
            if row["event"] == "result" and row["handle"] in PICTURES:
                shutil.copyfile(row["path"], folder / f"{PICTURES[row['handle']]}.png")


if __name__ == "__main__":
    main()
