"""Further questions to pocket, answered by the judge: does a changed word, or a changed start, change the picture so?

    python -m training.pocket.changes FOLDER [--count 100]

- colour swap: the same seed, another colour in the prompt; is the thing in the new colour?
- img2img at 0.3: a drawing and the name of another thing; are background and place still the drawing's?
- img2img at 0.8: a drawing and the caption of another scene; are background and colour the caption's?
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from torch import Tensor

from training.pocket import words
from training.pocket.common import pixels
from training.pocket.draw import draw
from training.pocket.folder import GUIDANCE
from training.pocket.judge import judge, painter, table, tasks
from training.pocket.scene import LOST, Scene, caption

BATCH = 20


def recoloured(scene: Scene) -> Scene:
    """The scene with its thing in another colour that the ground does not swallow."""
    thing, ground = scene.things[0], scene.ground
    lost = LOST.get(ground.kind, {ground.colour}) | {thing.colour}
    colour = Random(scene.seed).choice([name for name in words.COLOURS if name not in lost])
    return replace(scene, things=(replace(thing, colour=colour),))


def renamed(scene: Scene) -> Scene:
    """The scene with another thing in the same place."""
    thing = scene.things[0]
    name = Random(scene.seed).choice([name for name in words.THINGS if name != thing.name])
    return replace(scene, things=(replace(thing, name=name),))


def singles(count: int) -> list[Scene]:
    return tasks(count, share_of_pairs=0)


def colour_swap(paint: Any, some: Sequence[Scene]) -> list[bool]:
    """Whether each scene's prompt with another colour word gives the thing in that colour."""
    changed = [recoloured(scene) for scene in some]
    seeds = list(range(len(some)))
    parts = [paint([caption(s) for s in changed[i : i + BATCH]], seeds[i : i + BATCH]) for i in starts(some)]
    return judge(torch.cat(parts), changed)["colour"]


def kept(pipe: Any, some: Sequence[Scene]) -> list[bool]:
    """Whether a drawing, drawn again at 0.3 as another thing, keeps background and place."""
    answers = judge(redrawn(pipe, some, [renamed(scene) for scene in some], 0.3), list(some))
    return [all(both) for both in zip(answers["background colour"], answers["place"], strict=True)]


def followed(pipe: Any, some: Sequence[Scene]) -> list[bool]:
    """Whether a drawing, drawn again at 0.8 as the next scene, has that scene's background and colour."""
    wanted = [*some[1:], some[0]]
    answers = judge(redrawn(pipe, some, wanted, 0.8), wanted)
    return [all(both) for both in zip(answers["background colour"], answers["colour"], strict=True)]


def redrawn(pipe: Any, some: Sequence[Scene], wanted: Sequence[Scene], strength: float) -> Tensor:
    """Drawings of `some`, drawn again with the captions of `wanted`; (n, 3, side, side), -1 to 1."""
    parts = []
    for i in starts(some):
        seeds = [torch.Generator().manual_seed(seed) for seed in range(i, i + len(some[i : i + BATCH]))]
        texts = [caption(scene) for scene in wanted[i : i + BATCH]]
        asked = {"strength": strength, "num_inference_steps": 20, "guidance_scale": GUIDANCE}
        start = (pixels(map(draw, some[i : i + BATCH])) + 1) / 2
        drawn = pipe(texts, start, generator=seeds, output_type="pt", **asked)
        parts.append(drawn.images * 2 - 1)
    return torch.cat(parts)


def starts(some: Sequence[Scene]) -> range:
    return range(0, len(some), BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    some = singles(options.count)
    again = StableDiffusionImg2ImgPipeline(
        **StableDiffusionPipeline.from_pretrained(options.folder, safety_checker=None, dtype=torch.float32).components,
        requires_safety_checker=False,
    )
    again.set_progress_bar_config(disable=True)
    print(
        table(
            {
                "another colour in the prompt": colour_swap(painter(options.folder), some),
                "img2img at 0.3 keeps background and place": kept(again, some),
                "img2img at 0.8 follows background and colour": followed(again, some),
            }
        )
    )


if __name__ == "__main__":
    main()
