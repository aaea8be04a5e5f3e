"""Makes the pictures of the README and the docs: python docs/make_pictures.py [readme drawing nodes]

They are ordinary results: each can be replayed. Afterwards `python tests/commands/test_nodes_table.py` writes the table
of nodes with those that are there.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
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
# One picture of each node, for docs/nodes-table.md.
BEFORE = """
txt2img "a red boat on a green sea" --seed 7 as @boat
txt2img "a yellow moon at night" --seed 7 as @moon
@boat | mask_from ellipse --box 28:60:72:48 as @mask
@boat | save boat.png
"""
NODES = {
    "txt2img": '"a red house on a green meadow" --seed 9',
    "load_image": "load_image boat.png",
    "img2img": '"a blue boat on a green sea" --strength 0.7 --seed 3',
    "inpaint": '"a blue boat on a green sea" --mask @mask --strength 0.9 --seed 4',
    "outpaint": '"a red boat on a green sea" --left 32 --right 32 --seed 3',
    "upscale": "--scale 1.5",
    "restore_faces": "--face-model pocket-2x --box 32:56:64:64",
    "upscale_diffuse": "--scale 1.5 --strength 0.3 --seed 30",
    "resize": "96x64",
    "crop": "24:40:80:80",
    "pad": "16",
    "rotate": "20",
    "flip": "horizontal",
    "blur": "3",
    "sharpen": "",
    "levels": "--black 48 --white 200",
    "brightness": "1.4",
    "contrast": "1.6",
    "saturation": "0.3",
    "hue": "120",
    "invert": "",
    "grayscale": "",
    "posterize": "4",
    "match_colors": "@moon",
    "text_label": "a red boat",
    "canny": "",
    "lineart": "",
    "tile": "",
    "depth_map": "",
    "mask_from": "luminance",
    "mask_grow": "@mask | mask_grow 6",
    "mask_blur": "@mask | mask_blur 4",
    "mask_invert": "@mask | mask_invert",
    "apply_mask": "@mask",
    "blend": "@moon --opacity 0.5",
    "paste_image": "@moon --scale 0.4 --place bottom_right",
    "compare": "@moon",
    "contact_sheet": "@boat @moon @mask | contact_sheet",
}
# Nodes without a picture: one that wants a model which is not in the box, and two that make none.
BARE = ("instruct", "save", "show_image")


def main() -> None:
    folder = ROOT / "docs" / "pictures"
    (folder / "nodes").mkdir(parents=True, exist_ok=True)
    for part in sys.argv[1:] or ("readme", "drawing", "nodes"):
        {"readme": readme, "drawing": drawing, "nodes": nodes}[part](folder)


def drawing(folder: Path) -> None:
    """The pictures of docs/drawing.md."""
    named(folder, DRAWING.strip().splitlines(), KEPT)


def nodes(folder: Path) -> None:
    """One of each node."""
    lines = [f"{line_of(name)} as @{name}_shown" for name in NODES]
    named(folder / "nodes", [*BEFORE.strip().splitlines(), *lines], [f"{name}_shown" for name in NODES])


def line_of(name: str) -> str:
    """The line that shows a node: its words behind the boat, or all of the line."""
    words = NODES[name]
    if name in words.split():
        return words
    return f"txt2img {words}" if name == "txt2img" else f"@boat | {name} {words}".rstrip()


def named(folder: Path, lines: Sequence[str], kept: Sequence[str]) -> None:
    """Run lines in an empty home, and keep the results of these names."""
    with TemporaryDirectory() as home:
        command = [sys.executable, "-m", "invoke_shell", "--home", home, "--json"]
        for line in lines:
            command += ["-c", line]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=home)
        for row in map(json.loads, ran.stdout.splitlines()):
            if row["event"] == "result" and row.get("name") in kept:
                shutil.copyfile(row["path"], folder / f"{row['name'].removesuffix('_shown')}.png")


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
