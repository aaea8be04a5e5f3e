"""Nodes that ask a diffusion model for pictures."""

from collections.abc import Iterator, Mapping
from typing import Any

from invoke_shell.commands.guides import Guides
from invoke_shell.commands.params import (
    DRAWN,
    POCKET,
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
)
from invoke_shell.pipeline.context import Context, Generation
from invoke_shell.pipeline.node import node
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Frame, Image, Made

__all__ = ["img2img", "steps_run", "txt2img"]

GIVES = ("prompt", "negative", "seed", "model")


@node(
    version=1,
    gives=GIVES,
    group="generate",
    examples=[
        'txt2img "a red boat on a green sea" --seed 7',
        'txt2img "a blue house" --steps 10 --guidance 3..7..2',
        "txt2img a {red|yellow} star at night -n 2",
    ],
)
def txt2img(
    ctx: Context,
    prompt: Prompt,
    *,
    negative: Negative = "",
    size: PictureSize = Size(512, 512),
    sampling: Sampling = Sampling(),
    seed: NoiseSeed = DRAWN,
    model: Checkpoint = POCKET,
    extras: Extras = Extras(),
    guides: Guides = Guides(),
) -> Iterator[Made]:
    """Draw pictures from a text prompt.

    Starts a chain. With --count the seeds count up: 7, 8, 9. Size and steps nobody typed are the model's own advice.
    """
    yield from ctx.engine.generate(
        Generation(
            prompt=prompt,
            negative=negative,
            size=_size(size),
            steps=sampling.steps,
            guidance=sampling.guidance,
            scheduler=sampling.scheduler,
            seed=seed,
            model=model,
            **extras.asked(),
            **guides.asked(),
        )
    )


def steps_run(steps: int, strength: float) -> int:
    """Steps that run at a strength: steps x strength, half rounded up, at least 1 when strength > 0.

    In decimals, because 50 x 0.58 is 28.999... in binary. The same rule for every scheduler.
    """
    from decimal import ROUND_HALF_UP, Decimal

    run = int((Decimal(steps) * Decimal(repr(strength))).to_integral_value(ROUND_HALF_UP))
    return max(run, 1) if strength > 0 else 0


def _begin(values: Mapping[str, Any]) -> int:
    """The step at which img2img begins, of its flat values."""
    if values["start_step"] is not None:
        return min(int(values["start_step"]), int(values["steps"]))
    return int(values["steps"]) - steps_run(values["steps"], values["strength"])


def _explain_steps(values: Mapping[str, Any]) -> str:
    run = values["steps"] - _begin(values)
    return f"{run} of {values['steps']} steps"


def _same_steps(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Strengths that run the same steps draw the same picture."""
    return {**values, "strength": None, "start_step": _begin(values)}


@node(
    version=1,
    gives=GIVES,
    group="generate",
    explains=_explain_steps,
    alike=_same_steps,
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
    seed: NoiseSeed = DRAWN,
    model: Checkpoint = POCKET,
    extras: Extras = Extras(),
    guides: Guides = Guides(),
) -> Iterator[Made]:
    """Draw a picture anew from a prompt and the picture that comes in.

    The prompt follows down the line when none is typed. Strength 0 passes the picture through untouched; strength 1
    still mixes a little of it in, --pure-noise does not. A side that is no multiple of 8 is made smaller, and said.
    """
    if start_step is not None and start_step > sampling.steps:
        ctx.say(f"img2img: step {start_step} is behind the last of {sampling.steps}; the picture passes through")
    begin = _begin({"steps": sampling.steps, "strength": strength, "start_step": start_step})
    source = frame.image if begin == sampling.steps else _fitted(ctx, frame.image)
    yield from ctx.engine.generate(
        Generation(
            prompt=prompt,
            negative=negative,
            size=Size(*source.size),
            steps=sampling.steps,
            guidance=sampling.guidance,
            scheduler=sampling.scheduler,
            seed=seed,
            model=model,
            source=source,
            start_step=begin,
            pure_noise=pure_noise,
            strength=strength if start_step is None else None,
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
        ctx.say(f"img2img sizes {image.width}x{image.height} down to {width}x{height}: multiples of 8")
        pil = pil.resize((width, height), Pillow.Resampling.LANCZOS)
    return Image.from_pil(pil)
