"""A large picture drawn over tile by tile, at the size a model draws best."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Annotated, Any

from invoke_shell.commands.generate import GIVES, begin_step, explain_steps, same_steps
from invoke_shell.commands.guides import Guides, moved_along
from invoke_shell.commands.params import (
    DRAWN,
    HIGHEST,
    POCKET,
    Chance,
    Checkpoint,
    Extras,
    Negative,
    NoiseSeed,
    Prompt,
    Sampling,
    Scale,
    StartStep,
    Strength,
    Upscaler,
    own_size,
    refuse_huge,
    varied,
)
from invoke_shell.pipeline.context import Context, Enlargement, Generation
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Seed, Size
from invoke_shell.records import Frame, Image, Made

__all__ = ["places", "shares", "upscale_diffuse"]

Tile = Annotated[
    Size | None,
    Arg(help="Size of a tile; none is the model's own.", unit="px", ge=64, le=4096, multiple_of=8),
]
Overlap = Annotated[float, Arg(help="Share of a tile that its neighbours draw too, and fade over.", ge=0, le=0.5)]


@node(
    version=1,
    gives=GIVES,
    group="generate",
    explains=explain_steps,
    alike=same_steps,
    varies=varied,
    examples=[
        '@-1 | upscale_diffuse "a red boat on a green sea" --seed 7',
        "@-1 | upscale_diffuse --scale 1.5 --strength 0.25 --upscaler pocket-2x --seed 3",
    ],
)
def upscale_diffuse(
    ctx: Context,
    frame: Frame,
    prompt: Prompt,
    *,
    scale: Scale = 2.0,
    upscaler: Upscaler = None,
    tile: Tile = None,
    overlap: Overlap = 0.25,
    negative: Negative = "",
    strength: Strength = 0.3,
    start_step: StartStep = None,
    sampling: Sampling = Sampling(),
    chance: Chance = Chance(),
    seed: NoiseSeed = DRAWN,
    model: Checkpoint = POCKET,
    extras: Extras = Extras(),
    guides: Guides = Guides(),
) -> Iterator[Made]:
    """Make a picture larger and draw details in, tile by tile.

    First it is enlarged, by --upscaler or by Lanczos, then img2img redraws each tile at the size the model draws
    best. Neighbours share --overlap and fade into each other there. The first tile has the seed, the next ones
    those after it. A high strength draws the prompt's whole picture into every tile; --control tile holds against
    it. A control picture is of the whole, and each tile reads its part.
    """
    width, height = (max(1, round(side * scale)) for side in frame.image.size)
    refuse_huge("upscale_diffuse", width, height)
    large = _enlarged(ctx, frame.image, scale, upscaler, (width, height))
    begin = begin_step({"steps": sampling.steps, "strength": strength, "start_step": start_step})
    if begin == sampling.steps:
        note = "strength 0: enlarged, and not drawn over"
        yield Made(image=large, facts={"note": note, "steps_run": 0, "model_calls": 0})
        return
    size = Size(*(min(t, ceil(side / 8) * 8) for t, side in zip(tile or own_size(model), large.size, strict=True)))
    asked = Generation(
        prompt=prompt,
        negative=negative,
        size=size,
        seed=seed,
        model=model,
        start_step=begin,
        strength=strength if start_step is None else None,
        teller="upscale_diffuse",
        **sampling.asked(),
        **chance.asked(),
        **extras.asked(),
        **guides.asked(large),
    )
    yield _drawn_over(ctx, large, asked, overlap)


def places(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along a side, evenly, the last at its end; each shares at least `overlap` of it with the next.

    Multiples of 1: the same distance everywhere, up to rounding.
    """
    if length <= tile:
        return [0]
    steps = ceil((length - tile) / max(1, int(tile * (1 - overlap))))
    return [round(n * (length - tile) / steps) for n in range(steps + 1)]


def shares(begins: list[int], tile: int, length: int) -> list[Any]:
    """How much of each place along a side is each tile's, (tile,) of 0 to 1; they add up to 1 at every place."""
    import numpy as np

    weights = []
    for n, begin in enumerate(begins):
        at = np.arange(begin, begin + tile) + 0.5
        weight = np.ones(tile)
        if n:
            shared = begins[n - 1] + tile - begin
            weight = np.minimum(weight, (at - begin) / max(shared, 0.5))
        if n + 1 < len(begins):
            shared = begin + tile - begins[n + 1]
            weight = np.minimum(weight, (begin + tile - at) / max(shared, 0.5))
        weights.append(np.clip(weight, 0, 1))
    total = np.zeros(max(length, begins[-1] + tile))
    for begin, weight in zip(begins, weights, strict=True):
        total[begin : begin + tile] += weight
    return [weight / total[begin : begin + tile] for begin, weight in zip(begins, weights, strict=True)]


def _enlarged(ctx: Context, image: Image, scale: float, upscaler: Any, size: tuple[int, int]) -> Image:
    from PIL import Image as Pillow

    if upscaler is not None:
        made = next(iter(ctx.engine.enlarge(Enlargement(image=image, model=upscaler, scale=scale))))
        return Image.from_pil(made.image.pil().convert("RGB"))
    return Image.from_pil(image.pil().convert("RGB").resize(size, Pillow.Resampling.LANCZOS))


def _cut(image: Image, box: tuple[int, int, int, int]) -> Image:
    """A box of a picture, filled up to the right and down where its sides are no multiples of 8."""
    from invoke_shell.commands.fills import fitted

    return Image.from_pil(fitted(image).pil().crop(box))


def _drawn_over(ctx: Context, large: Image, asked: Generation, overlap: float) -> Made:
    """Every tile drawn, in reading order, and laid together by their shares."""
    import numpy as np
    from PIL import Image as Pillow

    from invoke_shell.commands.fills import fitted

    whole, (width, height) = fitted(large), asked.size
    across, down = places(whole.width, width, overlap), places(whole.height, height, overlap)
    columns, rows = shares(across, width, whole.width), shares(down, height, whole.height)
    ctx.say(f"upscale_diffuse: {len(across)} x {len(down)} tiles of {asked.size}")
    sums = np.zeros((whole.height, whole.width, 3))
    facts: dict[str, Any] = {}
    for n, (top, left) in enumerate((top, left) for top in down for left in across):
        cut = partial(_cut, box=(left, top, left + width, top + height))
        seed = Seed((asked.seed + n) % (HIGHEST + 1))
        guided = moved_along(asked, large.size, cut)
        made = next(iter(ctx.engine.generate(replace(guided, source=cut(large), seed=seed))))
        facts = facts or dict(made.facts)
        share = rows[down.index(top)][:, None] * columns[across.index(left)][None, :]
        sums[top : top + height, left : left + width] += np.asarray(made.image.pil(), np.float64) * share[..., None]
    pixels = np.clip(np.rint(sums), 0, 255).astype(np.uint8)[: large.height, : large.width]
    count = len(across) * len(down)
    return Made(
        image=Image.from_pil(Pillow.fromarray(pixels)),
        facts={**facts, "tiles": {"across": len(across), "down": len(down), "size": str(asked.size), "count": count}},
    )
