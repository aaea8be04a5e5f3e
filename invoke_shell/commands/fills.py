"""What stands under a mask before it is painted, and masks in numbers. Pure pixels; numpy inside functions only."""

from __future__ import annotations

from typing import Any

from invoke_shell.records import Image, Mask

__all__ = ["box_of", "filled", "fitted", "grown_to", "hard", "percent", "share"]

CELLS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)  # px; each fills what the ones before could not reach


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
    import numpy as np
    from PIL import Image as Pillow

    kept = (np.asarray(mask.pil()) == 0).astype(np.float32)
    colours = np.asarray(image.pil(), np.float32)
    result = colours.copy()
    for cell in reversed(CELLS):
        weight = _smoothed(kept, cell)
        near = np.stack([_smoothed(colours[..., band] * kept, cell) for band in range(3)], axis=-1)
        # The widest cells first, each narrower kind over them as far as it reaches.
        reach = np.clip(weight * 8, 0, 1)[..., None]
        result = result * (1 - reach) + near / np.maximum(weight, 1e-6)[..., None] * reach
    pixels = np.where(kept[..., None] > 0, colours, np.clip(np.rint(result), 0, 255)).astype(np.uint8)
    return Image.from_pil(Pillow.fromarray(pixels))


def _smoothed(values: Any, cell: int) -> Any:
    """Means of cells so many pixels wide, drawn out again smoothly; in floats, where Pillow's blur has 8 bits."""
    import numpy as np
    from PIL import Image as Pillow

    pil = Pillow.fromarray(values)
    small = pil.resize([max(1, -(-side // cell)) for side in pil.size], Pillow.Resampling.BOX)
    return np.asarray(small.resize(pil.size, Pillow.Resampling.BILINEAR))


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
