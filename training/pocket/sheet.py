"""A contact sheet of the draughtsman's drawings: python -m training.pocket.sheet --to docs/pictures/drawings.png"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from PIL import Image

from training.pocket.draw import draw
from training.pocket.scene import scenes

ACROSS, DOWN, SIDE, GAP = 8, 4, 96, 4


def sheet(first: int = 0) -> Image.Image:
    """Drawings of the seeds from `first`, in rows."""
    whole = Image.new("RGB", (ACROSS * (SIDE + GAP) + GAP, DOWN * (SIDE + GAP) + GAP), "white")
    for i, scene in enumerate(islice(scenes(first), ACROSS * DOWN)):
        down, across = divmod(i, ACROSS)
        whole.paste(draw(scene, SIDE), (GAP + across * (SIDE + GAP), GAP + down * (SIDE + GAP)))
    return whole


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m training.pocket.sheet", description=__doc__)
    parser.add_argument("--to", type=Path, required=True)
    sheet().save(parser.parse_args().to)
