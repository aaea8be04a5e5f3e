"""Nodes that paint into a picture: under a mask, beyond its sides, or as they are told."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from invoke_shell.commands.fills import box_of, filled, fitted, grown_to, hard, percent, share
from invoke_shell.commands.generate import GIVES, begin_step, explain_steps, same_steps
from invoke_shell.commands.guides import Guides, moved_along
from invoke_shell.commands.layers import to_size
from invoke_shell.commands.params import (
    DRAWN,
    POCKET,
    Chance,
    Checkpoint,
    Extras,
    Negative,
    NoiseSeed,
    Prompt,
    PureNoise,
    Sampling,
    StartStep,
    Strength,
    own_size,
    refuse_huge,
    varied,
)
from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Context, Generation
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Ratio, Size
from invoke_shell.records import Frame, Image, Made, Mask

__all__ = ["inpaint", "instruct", "outpaint"]

FILLS = "What stands there before: the picture, the colours around it, or its pixels scattered."
WithMask = Annotated[
    Mask | None,
    Arg(help="A mask: white or transparent is painted; none takes what is transparent in the picture.", short="M"),
]
Inverted = Annotated[bool, Arg(help="Paint what the mask keeps, and keep what it paints.")]
Zoom = Annotated[
    int | None,
    Arg(
        help="Paint the masked part, with so many pixels around it (32), at the model's own size.",
        unit="px",
        ge=0,
        le=4096,
        alone=32,
    ),
]
MaskBlur = Annotated[float, Arg(help="How soft the edge of the painted part is.", unit="px", ge=0, le=64)]
Fill = Annotated[Literal["original", "noise", "blur"], Arg(help=FILLS)]
Left = Annotated[int, Arg(help="Pixels beyond the left side.", unit="px", ge=0, le=4096)]
Right = Annotated[int, Arg(help="Pixels beyond the right side.", unit="px", ge=0, le=4096)]
Top = Annotated[int, Arg(help="Pixels above.", unit="px", ge=0, le=4096)]
Bottom = Annotated[int, Arg(help="Pixels below.", unit="px", ge=0, le=4096)]
Seam = Annotated[int, Arg(help="How far into the old picture the new one fades.", unit="px", ge=0, le=512)]
Instruction = Annotated[str, Arg(help="What to do, as one would say it: make it night.", text=True)]
ImageGuidance = Annotated[
    float, Arg(help="How closely to stay with the picture; below 1 it has no weight of its own.", ge=0, le=20)
]


@dataclass(frozen=True, kw_only=True)
class _Painting:
    """A picture (RGB) and what of it is painted. soft: a mask with its edge, 255 is all new."""

    picture: Image
    soft: Image
    asked: Generation
    fill: str

    def painted(self, ctx: Context) -> Made:
        """The picture with the drawn one laid over it by the soft mask; it keeps its size."""
        mask, whole = fitted(hard(self.soft)), fitted(filled(self.picture, self.soft, self.fill, self.asked.seed))
        stencil = Mask(mode="L", width=mask.width, height=mask.height, pixels=mask.pixels)
        guided = moved_along(self.asked, self.picture.size, fitted)
        request = replace(guided, size=Size(*whole.size), source=whole, mask=stencil)
        made = next(iter(ctx.engine.generate(request)))
        drawn = made.image.pil()
        if drawn.size != whole.size:  # a model whose sides are multiples of more than 8
            drawn = drawn.resize(whole.size)
        return replace(made, image=self.laid_over(drawn.crop((0, 0, *self.picture.size))))

    def laid_over(self, drawn: Any) -> Image:
        """The picture with a drawn one over it."""
        from PIL import Image as Pillow

        return Image.from_pil(Pillow.composite(drawn, self.picture.pil(), self.soft.pil()))


@node(
    version=1,
    gives=GIVES,
    group="generate",
    explains=explain_steps,
    alike=same_steps,
    varies=varied,
    examples=[
        'load_image a.png | inpaint "a red boat" --mask mask.png --strength 0.8 --seed 7',
        '@-1 | inpaint "a yellow moon" --mask mask.png --fill blur --pure-noise --strength 1',
        '@-1 | inpaint "a blue star" --mask mask.png --zoom 8 --seed 3',
    ],
)
def inpaint(
    ctx: Context,
    frame: Frame,
    prompt: Prompt,
    *,
    mask: WithMask = None,
    invert_mask: Inverted = False,
    mask_blur: MaskBlur = 4.0,
    fill: Fill = "original",
    zoom: Zoom = None,
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
    """Paint a part of a picture anew: where a mask is white.

    Where it is black every pixel stays. Without --mask the transparent part is painted. Strength 1 still mixes in a
    little of what was there, and --pure-noise nothing. --zoom cuts out the masked part with some pixels around it,
    paints it at the model's own size and puts it back: small things get all of the model's attention. Any model
    will do; one that was trained to inpaint reads the mask itself.
    """
    picture, soft = frame.image, _soft(_mask_of(ctx, frame.image, mask, invert_mask), mask_blur)
    part = share(soft)
    ctx.say(f"inpaint: paints {percent(part)} % of the picture{_doubt(part)}")
    begin = begin_step({"steps": sampling.steps, "strength": strength, "start_step": start_step})
    if not soft.pil().getbbox() or begin == sampling.steps:
        note = "nothing is painted: the picture passed through untouched"
        yield Made(image=picture, facts={"note": note, "steps_run": 0, "model_calls": 0, "paints": round(part, 4)})
        return
    asked = Generation(
        prompt=prompt,
        negative=negative,
        size=Size(*picture.size),
        seed=seed,
        model=model,
        start_step=begin,
        pure_noise=pure_noise,
        strength=strength if start_step is None else None,
        teller="inpaint",
        **sampling.asked(),
        **chance.asked(),
        **extras.asked(),
        **guides.asked(_rgb(picture)),
    )
    painting = _Painting(picture=_rgb(picture), soft=soft, asked=asked, fill=fill)
    made = painting.painted(ctx) if zoom is None else _zoomed(ctx, painting, zoom)
    yield replace(made, image=_as_before(made.image, picture, soft), facts={**made.facts, "paints": round(part, 4)})


@node(
    version=1,
    gives=GIVES,
    group="generate",
    explains=explain_steps,
    alike=same_steps,
    varies=varied,
    examples=[
        '@-1 | outpaint "a green sea" --left 32 --right 32 --seed 7',
        'load_image a.png | outpaint "a blue sky" --top 64 --fill noise --seam 24',
    ],
)
def outpaint(
    ctx: Context,
    frame: Frame,
    prompt: Prompt,
    *,
    left: Left = 0,
    right: Right = 0,
    top: Top = 0,
    bottom: Bottom = 0,
    seam: Seam = 16,
    fill: Fill = "blur",
    negative: Negative = "",
    strength: Strength = 0.9,
    start_step: StartStep = None,
    pure_noise: PureNoise = False,
    sampling: Sampling = Sampling(),
    chance: Chance = Chance(),
    seed: NoiseSeed = DRAWN,
    model: Checkpoint = POCKET,
    extras: Extras = Extras(),
    guides: Guides = Guides(),
) -> Iterator[Made]:
    """Make a picture larger by painting what lies beyond its sides.

    The new part begins from --fill: its outermost pixels drawn on (original), blurred, or scattered. It fades into
    the old picture over --seam pixels; behind them every old pixel stays. A control picture of the old size stands
    where the old picture does, black beyond it; any other is for the whole.
    """
    picture = _rgb(frame.image)
    width, height = picture.width + left + right, picture.height + top + bottom
    if (width, height) == picture.size:
        raise RunError(
            "outpaint got no side to paint beyond", hint="as in: outpaint --left 64", code="missing-argument"
        )
    refuse_huge("outpaint", width, height)
    begin = begin_step({"steps": sampling.steps, "strength": strength, "start_step": start_step})
    if begin == sampling.steps:
        raise RunError("outpaint at strength 0 paints nothing", hint="pad adds room of one colour", code="out-of-range")
    soft = _beyond(picture.size, (left, top, right, bottom), seam)
    new = _beyond(picture.size, (left, top, right, bottom), 0)
    canvas = filled(grown_to(picture, left, top, width, height), new, fill, seed)
    asked = Generation(
        prompt=prompt,
        negative=negative,
        size=Size(width, height),
        seed=seed,
        model=model,
        start_step=begin,
        pure_noise=pure_noise,
        strength=strength if start_step is None else None,
        teller="outpaint",
        **sampling.asked(),
        **chance.asked(),
        **extras.asked(),
        **guides.asked(canvas),
    )
    asked = _placed(asked, picture.size, (left, top))
    painting = _Painting(picture=canvas, soft=soft, asked=asked, fill="original")
    made = painting.painted(ctx)
    yield replace(made, facts={**made.facts, "paints": round(share(soft), 4)})


@node(
    version=1,
    gives=("seed", "model"),
    group="generate",
    varies=varied,
    examples=[
        'load_image a.png | instruct "make it night" --seed 7',
        "@-1 | instruct make the boat blue --image-guidance 1.2",
    ],
)
def instruct(
    ctx: Context,
    frame: Frame,
    instruction: Instruction,
    *,
    negative: Negative = "",
    image_guidance: ImageGuidance = 1.5,
    sampling: Sampling = Sampling(),
    chance: Chance = Chance(),
    seed: NoiseSeed = DRAWN,
    model: Checkpoint = POCKET,
    extras: Extras = Extras(),
    guides: Guides = Guides(),
) -> Iterator[Made]:
    """Change a picture as it is told: make it winter.

    The model is one that was trained to follow instructions (InstructPix2Pix). --guidance is the weight of the
    words, --image-guidance that of the picture. Sides that are no multiples of 8 are filled up for the drawing and
    cut again.
    """
    picture = _rgb(frame.image)
    source = fitted(picture)
    asked = Generation(
        prompt=instruction,
        negative=negative,
        size=Size(*source.size),
        seed=seed,
        model=model,
        source=source,
        image_guidance=image_guidance,
        teller="instruct",
        **sampling.asked(),
        **chance.asked(),
        **extras.asked(),
        **guides.asked(picture),
    )
    made = next(iter(ctx.engine.generate(moved_along(asked, picture.size, fitted))))
    yield replace(made, image=Image.from_pil(made.image.pil().crop((0, 0, *picture.size))))


def _rgb(image: Image) -> Image:
    return image if image.mode == "RGB" else Image.from_pil(image.pil().convert("RGB"))


def _mask_of(ctx: Context, image: Image, mask: Mask | None, inverted: bool) -> Image:
    """The mask at the picture's size. Raises RunError when there is none."""
    from PIL import ImageChops

    if mask is None and (image.mode != "RGBA" or image.pil().getchannel("A").getextrema() == (255, 255)):
        hint = "--mask FILE brings one; apply_mask and mask_from make one"
        raise RunError("inpaint has no mask, and nothing in the picture is transparent", hint=hint, code="no-input")
    if mask is None:
        found = Image.from_pil(ImageChops.invert(image.pil().getchannel("A")))
    else:
        found = to_size(ctx, "inpaint", mask, image.size, mask=True)
    return Image.from_pil(ImageChops.invert(found.pil())) if inverted else found


def _soft(mask: Image, radius: float) -> Image:
    """The mask with a softer edge, to both sides."""
    from PIL import ImageFilter

    kernel: Any = ImageFilter.GaussianBlur(radius)
    return Image.from_pil(mask.pil().filter(kernel)) if radius else mask


def _doubt(part: float) -> str:
    """What may be meant by a mask that paints nothing, or all."""
    if part == 0:
        return ": the mask is black all over; --invert-mask turns it round"
    return ": nothing of it stays; img2img does the same without a mask" if part == 1 else ""


def _as_before(image: Image, before: Image, soft: Image) -> Image:
    """In the mode of the picture that came in; what was painted is there now, so it is not transparent any more."""
    from PIL import ImageChops

    if before.mode != "RGBA":
        return image if before.mode == "RGB" else Image.from_pil(image.pil().convert(before.mode))
    pil = image.pil()
    pil.putalpha(ImageChops.lighter(before.pil().getchannel("A"), soft.pil()))
    return Image.from_pil(pil)


def _zoomed(ctx: Context, painting: _Painting, around: int) -> Made:
    """The masked part painted at the model's own size, and put back."""
    from PIL.Image import Resampling

    box = box_of(painting.soft, around)
    part, soft = (Image.from_pil(image.pil().crop(box)) for image in (painting.picture, painting.soft))
    own = own_size(painting.asked.model)
    size = Ratio(*part.size).at(own.width * own.height)
    ctx.say(f"inpaint: {part.width}x{part.height} of the picture is painted at {size}")

    def enlarged(image: Image) -> Image:
        return Image.from_pil(image.pil().crop(box).resize(tuple(size), Resampling.LANCZOS))

    large = replace(
        painting,
        picture=enlarged(painting.picture),
        asked=moved_along(painting.asked, painting.picture.size, enlarged),
        soft=Image.from_pil(soft.pil().resize(tuple(size), Resampling.BICUBIC)),
    )
    made = large.painted(ctx)
    whole = painting.picture.pil()
    whole.paste(made.image.pil().resize(part.size, Resampling.LANCZOS), box[:2])
    facts = {**made.facts, "zoom": {"box": f"{box[0]}:{box[1]}:{part.width}:{part.height}", "size": str(size)}}
    return Made(image=painting.laid_over(whole), facts=facts)


def _placed(asked: Generation, size: tuple[int, int], corner: tuple[int, int]) -> Generation:
    """The request with its control pictures of the old picture's size put where it stands in the larger one."""
    from PIL import Image as Pillow

    def placed(image: Image) -> Image:
        if image.size != size:
            return image
        whole = Pillow.new("RGB", (asked.size.width, asked.size.height))
        whole.paste(image.pil().convert("RGB"), corner)
        return Image.from_pil(whole)

    return replace(asked, controls=tuple(replace(c, image=placed(c.image)) for c in asked.controls))


def _beyond(size: tuple[int, int], room: tuple[int, int, int, int], seam: int) -> Image:
    """A mask of the whole: white beyond the old picture, fading to black over the seam inside of it."""
    import numpy as np
    from PIL import Image as Pillow

    left, top, right, bottom = room

    def fade(length: int, before: int, after: int) -> Any:
        """How new each column, or row, is: 0 to 1."""
        places = np.arange(-before, length + after)
        ends = [1 - (places + 0.5) / max(seam, 0.5)] if before else []
        ends += [1 - (length - places - 0.5) / max(seam, 0.5)] if after else []
        return np.clip(np.max([np.zeros(len(places)), *ends], axis=0), 0, 1)

    newest = np.maximum(fade(size[0], left, right)[None, :], fade(size[1], top, bottom)[:, None])
    return Image.from_pil(Pillow.fromarray(np.rint(newest * 255).astype(np.uint8)))
