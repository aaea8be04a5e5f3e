"""What stands under a mask before it is painted, and masks in numbers. Pure pixels; numpy inside functions only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke_shell.records import Image, Mask

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["box_of", "filled", "fitted", "grown_to", "hard", "percent", "share"]

BLURS = (2, 4, 8, 16, 32, 64, 128, 256)  # px; each fills what the ones before could not reach
REACHED = 8  # of 255: below it too little of the kept part has come through a blur to trust its colour


def share(mask: Image) -> float:
    """How much of a mask is white, 0 to 1."""
    histogram = mask.pil().histogram()
    return sum(level * count for level, count in enumerate(histogram)) / (255 * mask.width * mask.height)


def percent(part: float) -> str:
    """`6`, and `0.3` where a whole number would say nothing."""
    value = part * 100
    return f"{value:.1g}" if 0 < value < 1 else f"{min(value, 99):.0f}" if part < 1 else "100"


def hard(mask: Image) -> Mask:
    """White wherever a mask is not black."""
    pixels = mask.pil().point([0, *[255] * 255]).tobytes()
    return Mask(mode="L", width=mask.width, height=mask.height, pixels=pixels)


def box_of(mask: Image, around: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is not black and so many pixels around it, inside of the picture."""
    left, top, right, bottom = mask.pil().getbbox() or (0, 0, mask.width, mask.height)
    return (
        max(0, left - around),
        max(0, top - around),
        min(mask.width, right + around),
        min(mask.height, bottom + around),
    )


def filled(image: Image, mask: Image, how: str, seed: int) -> Image:
    """An RGB picture with other pixels where a mask is not black.

    original: none. blur: the colours around, from near to far. noise: pixels of the rest, scattered by the seed.
    """
    if how == "original" or not mask.pil().getbbox() or share(hard(mask)) == 1:
        return image
    return (_scattered if how == "noise" else _from_around)(image, hard(mask), seed)


def _from_around(image: Image, mask: Image, _seed: int) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageChops, ImageFilter

    kept = ImageChops.invert(mask.pil())
    known = Pillow.composite(image.pil(), Pillow.new("RGB", image.size), kept)
    result = image.pil()
    for radius in reversed(BLURS):
        blur = ImageFilter.GaussianBlur(radius)
        weight = kept.filter(blur)
        near = _divided(known.filter(blur), weight)
        reached = weight.point([255 * (level >= REACHED) for level in range(256)])
        if reached.getextrema() == (0, 0):
            continue
        # The widest blur first, each nearer one over it where it reaches.
        result = Pillow.composite(near, result, ImageChops.darker(reached, mask.pil()))
    return Image.from_pil(result)


def _divided(colours: PILImage, weight: PILImage) -> PILImage:
    """Colours that were blurred together with black, without the black."""
    import numpy as np
    from PIL import Image as Pillow

    part = np.maximum(np.asarray(weight, np.float64), 1)[..., None] / 255
    return Pillow.fromarray(np.clip(np.rint(np.asarray(colours, np.float64) / part), 0, 255).astype(np.uint8))


def _scattered(image: Image, mask: Image, seed: int) -> Image:
    import numpy as np
    from PIL import Image as Pillow

    pixels, holes = np.array(image.pil()), np.asarray(mask.pil()) > 0
    # The legacy generator, whose numbers NumPy promises never to change.
    chance = np.random.RandomState([seed & 0xFFFFFFFF, seed >> 32])
    kept = pixels[~holes]
    pixels[holes] = kept[chance.randint(0, len(kept), int(holes.sum()))]
    return Image.from_pil(Pillow.fromarray(pixels))


def grown_to(image: Image, left: int, top: int, width: int, height: int) -> Image:
    """The picture in a larger one, its outermost pixels drawn on to the sides."""
    import numpy as np
    from PIL import Image as Pillow

    right, bottom = width - left - image.width, height - top - image.height
    around = ((top, bottom), (left, right), *[(0, 0)] * (image.mode != "L"))
    return Image.from_pil(Pillow.fromarray(np.pad(np.asarray(image.pil()), around, mode="edge")))


def fitted(image: Image, multiple: int = 8) -> Image:
    """The picture with sides that are multiples, pixels drawn on to the right and down where some are missing."""
    width, height = (-(-side // multiple) * multiple for side in image.size)
    return image if (width, height) == image.size else grown_to(image, 0, 0, width, height)
