"""The judge: what a picture shows, found by comparing it with drawings; no eye and no learned classifier.

python -m training.pocket.judge FOLDER        500 prompts never trained on, drawn by the model in FOLDER
python -m training.pocket.judge --drawings    the draughtsman's own pictures: what the judge itself gets wrong
python -m training.pocket.judge FOLDER --shuffled    pictures judged by each other's prompts: chance
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from training.pocket import words
from training.pocket.common import pixels
from training.pocket.draw import draw, ground_tones, paint_ground, shades, silhouette
from training.pocket.folder import GUIDANCE
from training.pocket.scene import Ground, Scene, Thing, caption, scenes
from training.pocket.shapes import SHAPES

__all__ = ["Seen", "judge", "look", "table", "tasks"]

SIDE = 128
EDGE = 40  # side of the box a silhouette is fitted into


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one region of a picture shows; `thing` and `colour` are None where nothing stands out."""

    thing: str | None
    colour: str | None
    x: float
    y: float


def tasks(count: int, share_of_pairs: float = 0.2) -> list[Scene]:
    """Scenes of held-out combinations whose captions state colour, place and ground."""
    pairs = round(count * share_of_pairs)
    wanted = {1: count - pairs, 2: pairs}
    chosen: list[Scene] = []
    for drawn in scenes(held=True):
        kind = len(drawn.things)
        if wanted[kind] and drawn.said >= {"colour", "ground", *(("place",) if kind == 1 else ())}:
            chosen.append(drawn)
            wanted[kind] -= 1
        if not any(wanted.values()):
            return chosen
    raise AssertionError("scenes never end")


def judge(pictures: Tensor, asked: list[Scene]) -> dict[str, list[bool]]:
    """Each question's answers, right or wrong. pictures: (n, 3, side, side), -1 to 1, in the order of `asked`."""
    answers: dict[str, list[bool]] = {}
    for picture, scene, ground in zip(shrink(pictures), asked, grounds_of(pictures), strict=True):
        for question, right in verdicts(picture, scene, ground):
            answers.setdefault(question, []).append(right)
    return answers


def verdicts(picture: Tensor, scene: Scene, ground: Ground) -> Iterator[tuple[str, bool]]:
    yield "background", ground == scene.ground
    yield "background colour", ground.colour == scene.ground.colour
    mask = foreground(picture, ground)
    if scene.relation is None:
        seen = look(picture, mask)
        yield "colour", seen.colour == scene.things[0].colour
        yield "thing", seen.thing == scene.things[0].name
        yield "place", place_of(seen) == scene.place
        return
    halves = [look(picture, mask & half) for half in halves_of(scene)]
    pairs = list(zip(halves, scene.things, strict=True))
    yield "both colours", all(seen.colour == thing.colour for seen, thing in pairs)
    yield "both things", all(seen.thing == thing.name for seen, thing in pairs)
    yield "relation", agreement(halves, scene.things) > agreement(halves, scene.things[::-1])


def agreement(halves: list[Seen], things: tuple[Thing, ...]) -> int:
    """How many of the words of `things` the halves show, in this order."""
    pairs = zip(halves, things, strict=True)
    return sum((seen.colour == thing.colour) + (seen.thing == thing.name) for seen, thing in pairs)


def halves_of(scene: Scene) -> list[Tensor]:
    """Where the first thing and the second thing belong."""
    ramp = torch.arange(SIDE) < SIDE / 2
    down = scene.relation in ("above", "below")
    first = (ramp[:, None] if down else ramp[None, :]).expand(SIDE, SIDE)
    return [first, ~first] if scene.relation in ("above", "left") else [~first, first]


def shrink(pictures: Tensor, side: int = SIDE) -> Tensor:
    """0 to 255, `side` pixels square."""
    return interpolate((pictures.clamp(-1, 1) + 1) * 127.5, size=(side, side), mode="area")


# Background


def grounds_of(pictures: Tensor) -> list[Ground]:
    """The ground whose drawing is nearest; a pixel counts at most 40 of 255, so that things matter little."""
    names, bank = ground_bank()
    small = shrink(pictures, 32)
    nearest = [int((bank - picture).abs().mean(1).clamp_max(40).mean((1, 2)).argmin()) for picture in small]
    return [names[i] for i in nearest]


@cache
def ground_bank(variants: int = 10) -> tuple[list[Ground], Tensor]:
    """Every ground in several jitters, (n, 3, 32, 32), 0 to 255."""
    kinds = [Ground(kind=kind, colour=colour) for kind in words.GROUNDS for colour in words.COLOURS]
    kinds += [Ground(kind=kind) for kind in words.SCENERY]
    names = [ground for ground in kinds for _ in range(variants)]
    drawn = [paint_ground(ground, 128, Random(i)) for i, ground in enumerate(names)]
    return names, shrink(pixels(drawn), 32)


def foreground(picture: Tensor, ground: Ground, far: float = 42) -> Tensor:
    """Pixels unlike any tone of the ground, (SIDE, SIDE) bool; stars and other specks are taken out."""
    distance = torch.stack([(picture - tone[:, None, None]).norm(dim=0) for tone in tones_of(ground)]).amin(0)
    mask = (distance > far).float()[None, None]
    opened = -max_pool2d(-mask, 3, 1, 1)
    return ((max_pool2d(opened, 5, 1, 2) > 0) & (mask > 0))[0, 0]


@cache
def tones_of(ground: Ground) -> Tensor:
    """Tones that belong to the ground. Patterns mix their two tones; scenery and sea keep theirs apart."""
    first, second = ground_tones(ground)
    if ground.kind == "night sky":
        shares = [0.0]
    elif ground.kind in ("sea", "meadow", "desert"):
        shares = [0.0, 0.6, 0.65, 1.0] if ground.kind != "meadow" else [0.0, 1.0]
    else:
        shares = [i / 6 for i in range(7)]
    return torch.tensor([words.mix(first, second, share) for share in shares]).float()


# Thing


def look(picture: Tensor, mask: Tensor) -> Seen:
    """The thing that the mask's larger patches make up."""
    mask = without_crumbs(mask)
    if mask.sum() < 40:
        return Seen(thing=None, colour=None, x=0.5, y=0.5)
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    y, x = ((float(span[0]) + float(span[-1]) + 1) / 2 / SIDE for span in (rows, columns))
    return Seen(thing=thing_of(mask), colour=colour_of(picture, mask), x=x, y=y)


def without_crumbs(mask: Tensor, share: float = 0.12) -> Tensor:
    """Without the connected patches that are much smaller than the largest."""
    labels = torch.arange(1, mask.numel() + 1).view(1, 1, *mask.shape).float() * mask
    while True:
        spread = max_pool2d(labels, 3, 1, 1) * mask
        if torch.equal(spread, labels):
            break
        labels = spread
    ids, sizes = labels[labels > 0].unique(return_counts=True)
    if not len(ids):
        return mask
    return torch.isin(labels[0, 0], ids[sizes >= share * sizes.max()])


def colour_of(picture: Tensor, mask: Tensor) -> str:
    """The colour whose base tone most pixels of the mask are near."""
    names = list(words.COLOURS)
    tones = torch.tensor([shades(words.COLOURS[name])["base"] for name in names]).float()
    distance = (picture.permute(1, 2, 0)[mask][:, None] - tones).norm(dim=2)
    near, index = distance.min(1)
    votes = torch.bincount(index[near < 55] if (near < 55).any() else index, minlength=len(names))
    return names[int(votes.argmax())]


def thing_of(mask: Tensor) -> str:
    """The thing whose silhouette, fitted into the same box, overlaps most (intersection over union)."""
    names, bank, trust = silhouettes()
    fitted = fit(mask)
    both, either = (bank & fitted).sum((1, 2)), (bank | fitted).sum((1, 2))
    return names[int((trust * both / either).argmax())]


@cache
def silhouettes() -> tuple[list[str], Tensor, Tensor]:
    """Every thing, turned a little and in several sizes, fitted into the box; and how far each drawing is trusted.

    Also without the tones that a ground of like colour swallows, trusted less: a tree without its trunk is a circle.
    """
    names, masks, trust = [], [], []
    for name in words.THINGS:
        tones = {tone for tone, _ in SHAPES[name]} - {"base"} | {"hole"}
        for lost, turn, extent in product(sorted(tones), (-6, -3, 0, 3, 6), (0.28, 0.44, 0.64)):
            thing = Thing(name=name, colour="black", size="medium", x=0.5, y=0.5, extent=extent, turn=turn)
            masks.append(fit(torch.from_numpy(np.array(silhouette(thing, SIDE, lost))) > 127))
            names.append(name)
            trust.append(1.0 if lost == "hole" else 0.93)
    return names, torch.stack(masks), torch.tensor(trust)


def fit(mask: Tensor) -> Tensor:
    """The mask's content in a square of EDGE, centred, its shape kept."""
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].float()
    height, width = part.shape
    side = max(height, width)
    square = torch.zeros(side, side)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = part
    return interpolate(square[None, None], size=(EDGE, EDGE), mode="bilinear", align_corners=False)[0, 0] > 0.5


def place_of(seen: Seen) -> str:
    across, down = ((value > 0.575) - (value < 0.425) for value in (seen.x, seen.y))
    return next(name for name, way in words.PLACES.items() if way == (across, down))


# Command


def table(answers: dict[str, list[bool]]) -> str:
    """Markdown: question, share right, of how many."""
    rows = [f"| {name} | {100 * sum(right) / len(right):.1f} % | {len(right)} |" for name, right in answers.items()]
    return "\n".join(["| question | right | of |", "| --- | --- | --- |", *rows])


Painter = Callable[[list[str], list[int]], Tensor]


def painter(folder: Path, steps: int = 20, guidance: float = GUIDANCE) -> Painter:
    """A model folder as a function from prompts and seeds to pictures; plain diffusers."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)

    def paint(prompts: list[str], seeds: list[int]) -> Tensor:
        noise = [torch.Generator().manual_seed(seed) for seed in seeds]
        asked = {"num_inference_steps": steps, "guidance_scale": guidance, "generator": noise, "output_type": "pt"}
        return pipe(prompts, **asked).images * 2 - 1

    return paint


def paint_all(paint: Painter, asked: list[Scene], batch: int = 25) -> Tensor:
    parts = []
    for i in range(0, len(asked), batch):
        some = asked[i : i + batch]
        parts.append(paint([caption(scene) for scene in some], list(range(i, i + len(some)))))
    return torch.cat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--drawings", action="store_true")
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    asked = tasks(options.count)
    if options.drawings:
        pictures = torch.cat([pixels([draw(scene)]) for scene in asked])
    elif options.folder:
        pictures = paint_all(painter(options.folder, options.steps, options.guidance), asked)
    else:
        parser.error("a model FOLDER, or --drawings")
    if options.shuffled:
        asked = shuffled(asked)
    print(table(judge(pictures, asked)))


def shuffled(asked: list[Scene]) -> list[Scene]:
    """Each scene exchanged for the next of its kind: singles stay singles, pairs pairs."""
    waiting = {kind: [scene for scene in asked if len(scene.things) == kind] for kind in (1, 2)}
    turned = {kind: iter(scenes[1:] + scenes[:1]) for kind, scenes in waiting.items()}
    return [next(turned[len(scene.things)]) for scene in asked]


if __name__ == "__main__":
    main()
