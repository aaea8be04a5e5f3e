"""Nodes that ask a diffusion model for pictures."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from invoke_shell.commands.guides import Guides
from invoke_shell.commands.params import (
    DRAWN,
    HIGHEST,
    POCKET,
    Chance,
    Checkpoint,
    Extras,
    Negative,
    NoiseSeed,
    PictureSize,
    Prompt,
    PureNoise,
    Sampling,
    StartStep,
    Strength,
    refuse_huge,
    varied,
)
from invoke_shell.pipeline.context import Context, Generation
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Seed, Size
from invoke_shell.records import Frame, Image, Made

__all__ = ["GIVES", "begin_step", "explain_steps", "img2img", "same_steps", "steps_run", "txt2img"]

GIVES = ("prompt", "negative", "seed", "model")

Hires = Annotated[
    float, Arg(help="Draw, enlarge so many times, and draw over it: large pictures hang together.", ge=1, le=4)
]
HiresStrength = Annotated[float, Arg(help="With --hires: share of the steps that draw over it.", ge=0, le=1)]
EndStep = Annotated[
    int | None,
    Arg(help="The last step that runs: the picture on its way. Several, as 5..20..5, show how it comes.", ge=1, le=150,
        group="sampling"),
]  # fmt: skip


def _hires_steps(values: Mapping[str, Any]) -> str:
    """The line of a picture that is drawn twice; "" for one that is not."""
    if values["hires"] == 1:
        return ""
    again = steps_run(values["steps"], values["hires_strength"])
    return f"{values['steps']} steps, then {again} at {values['hires']:g} times the size"


@node(
    version=1,
    gives=GIVES,
    group="generate",
    explains=_hires_steps,
    varies=varied,
    examples=[
        'txt2img "a red boat on a green sea" --seed 7',
        'txt2img "a blue house" --steps 10 --guidance 3..7..2',
        "txt2img a {red|yellow} star at night -n 2",
        'txt2img "a red boat" --seed 7 --variation 0.2 -n 4',
        'txt2img "a red boat" --seed 7 --blend 101:0.2,205:0.1',
        'txt2img "a green sea" --size 64x64 --seamless both',
        'txt2img "a yellow moon" --size 64x64 --hires 2',
        'txt2img "a red house" --seed 7 --steps 12 --end-step 3..12..3',
    ],
)
def txt2img(
    ctx: Context,
    prompt: Prompt,
    *,
    negative: Negative = "",
    size: PictureSize = Size(512, 512),
    hires: Hires = 1.0,
    hires_strength: HiresStrength = 0.5,
    end_step: EndStep = None,
    sampling: Sampling = Sampling(),
    chance: Chance = Chance(),
    seed: NoiseSeed = DRAWN,
    model: Checkpoint = POCKET,
    extras: Extras = Extras(),
    guides: Guides = Guides(),
) -> Iterator[Made]:
    """Draw pictures from a text prompt.

    Starts a chain. With --count the seeds count up: 7, 8, 9; with --variation the seed stays, and each picture mixes in
    the noise of another one. Size and steps nobody typed are the model's own advice.

    --hires 2 is `| upscale | img2img --strength 0.5` in one: the seed of the second drawing is the next one.
    """
    if end_step is not None and end_step > sampling.steps:
        ctx.say(f"txt2img: step {end_step} is behind the last of {sampling.steps}; the picture is drawn to its end")
    first = Generation(
        prompt=prompt,
        negative=negative,
        size=_size(size),
        seed=seed,
        model=model,
        end_step=end_step,
        teller="txt2img",
        **sampling.asked(),
        **chance.asked(),
        **extras.asked(),
        **guides.asked(),
    )
    if hires == 1:
        yield from ctx.engine.generate(first)
    else:
        yield _drawn_over(ctx, first, hires, hires_strength)


def _drawn_over(ctx: Context, first: Generation, times: float, strength: float) -> Made:
    """The picture, enlarged by Lanczos and drawn over with the noise of the next seed: the same noise would burn in."""
    from dataclasses import replace

    from PIL import Image as Pillow

    size = Size(*(max(8, round(side * times / 8) * 8) for side in first.size))
    refuse_huge("txt2img --hires", size.width, size.height)
    small = next(iter(ctx.engine.generate(replace(first, end_step=None))))
    large = Image.from_pil(small.image.pil().resize((size.width, size.height), Pillow.Resampling.LANCZOS))
    begin = first.steps - steps_run(first.steps, strength)
    again = replace(
        first, size=size, seed=Seed((first.seed + 1) % (HIGHEST + 1)), source=large, start_step=begin, strength=strength
    )
    made = next(iter(ctx.engine.generate(again)))
    return Made(image=made.image, facts={**made.facts, "hires": {"size": str(first.size), **_run(small.facts)}})


def _run(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What of a first drawing's facts is its own."""
    return {name: facts[name] for name in ("noise", "steps_run", "model_calls", "first_sigma") if name in facts}


def steps_run(steps: int, strength: float) -> int:
    """Steps that run at a strength: steps x strength, half rounded up, at least 1 when strength > 0.

    In decimals, because 50 x 0.58 is 28.999... in binary. The same rule for every scheduler.
    """
    from decimal import ROUND_HALF_UP, Decimal

    run = int((Decimal(steps) * Decimal(repr(strength))).to_integral_value(ROUND_HALF_UP))
    return max(run, 1) if strength > 0 else 0


def begin_step(values: Mapping[str, Any]) -> int:
    """The step at which a picture drawn from a source begins, of flat values."""
    if values["start_step"] is not None:
        return min(int(values["start_step"]), int(values["steps"]))
    return int(values["steps"]) - steps_run(values["steps"], values["strength"])


def explain_steps(values: Mapping[str, Any]) -> str:
    run = values["steps"] - begin_step(values)
    return f"{run} of {values['steps']} steps"


def same_steps(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Strengths that run the same steps draw the same picture."""
    return {**values, "strength": None, "start_step": begin_step(values)}


@node(
    version=1,
    gives=GIVES,
    group="generate",
    explains=explain_steps,
    alike=same_steps,
    varies=varied,
    examples=[
        'load_image a.png | img2img "a red house" --strength 0.6 --seed 3',
        'txt2img "a red boat" --seed 7 | img2img --strength 0.4',
    ],
)
def img2img(
    ctx: Context,
    frame: Frame,
    prompt: Prompt,
    *,
    negative: Negative = "",
    strength: Strength = 0.75,
    start_step: StartStep = None,
    pure_noise: PureNoise = False,
    sampling: Sampling = Sampling(),
    chance: Chance = Chance(),
    seed: NoiseSeed = DRAWN,
    model: Checkpoint = POCKET,
    extras: Extras = Extras(),
    guides: Guides = Guides(),
) -> Iterator[Made]:
    """Draw a picture anew, near to what it was, from a prompt.

    The prompt follows down the line when none is typed. Strength 0 passes the picture through untouched; strength 1
    still mixes a little of it in, --pure-noise does not. A side that is no multiple of 8 is made smaller, and said.
    """
    if start_step is not None and start_step > sampling.steps:
        ctx.say(f"img2img: step {start_step} is behind the last of {sampling.steps}; the picture passes through")
    begin = begin_step({"steps": sampling.steps, "strength": strength, "start_step": start_step})
    source = frame.image if begin == sampling.steps else _fitted(ctx, frame.image)
    yield from ctx.engine.generate(
        Generation(
            prompt=prompt,
            negative=negative,
            size=Size(*source.size),
            seed=seed,
            model=model,
            source=source,
            start_step=begin,
            pure_noise=pure_noise,
            strength=strength if start_step is None else None,
            teller="img2img",
            **sampling.asked(),
            **chance.asked(),
            **extras.asked(),
            **guides.asked(source),
        )
    )


def _size(size: Any) -> Size:
    """plan has turned a ratio into a size by now."""
    return size if isinstance(size, Size) else size.at(512 * 512)


def _fitted(ctx: Context, image: Image) -> Image:
    """The picture in RGB with sides that are multiples of 8, sized down and said."""
    width, height = (max(8, side // 8 * 8) for side in image.size)
    if (width, height) == image.size and image.mode == "RGB":
        return image
    from PIL import Image as Pillow

    pil = image.pil().convert("RGB")
    if (width, height) != image.size:
        ctx.say(f"img2img sizes {image.width}x{image.height} to {width}x{height}: multiples of 8")
        pil = pil.resize((width, height), Pillow.Resampling.LANCZOS)
    return Image.from_pil(pil)
