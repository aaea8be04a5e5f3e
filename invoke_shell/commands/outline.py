"""Nodes that make of a picture what a ControlNet reads: edges, lines, a blurred copy, depth. No model is needed.

With Pillow and NumPy, in whole numbers or in steps that are the same everywhere.
"""

from typing import TYPE_CHECKING, Annotated, Any

from invoke_shell.errors import RunError
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.records import Frame, Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["canny", "depth_map", "lineart", "tile"]

TAN = 13573  # tangent of 22.5 degrees, times 2^15
Low = Annotated[int, Arg(help="A gradient above it goes on an edge that has begun.", ge=0, le=2040)]
High = Annotated[int, Arg(help="A gradient above it begins an edge.", ge=0, le=2040)]
Fineness = Annotated[float, Arg(help="How far the surroundings of a line reach.", unit="px", ge=0.5, le=50)]
Times = Annotated[int, Arg(help="How often smaller the picture is made before it is made as large again.", ge=1, le=64)]
Near = Annotated[bool, Arg(help="In the file dark is near; a ControlNet wants near light.")]


@node(version=1, group="change", examples=["@-1 | canny", "load_image a.png | canny --low 50 --high 150"])
def canny(frame: Frame, *, low: Low = 100, high: High = 200) -> Image:
    """Draw the edges of a picture, one pixel wide, white on black.

    By the method of Canny (1986). For a ControlNet of the kind canny. Of the three colours the one that changes
    most counts. The picture is not blurred before: `blur 1 | canny` leaves out what is small. Transparent parts
    count as they look on black.
    """
    if low > high:
        raise RunError(f"canny has --low {low} and --high {high}", hint="low lies below high", code="out-of-range")
    across, down = _gradients(_colours(frame.image))
    size = abs(across) + abs(down)
    edges = _thin(size, across, down) & (size > low)
    return _grey(_joined(edges, edges & (size > high)) * 255)


@node(version=1, group="change", examples=["@-1 | lineart", "load_image a.png | lineart --spread 3"])
def lineart(frame: Frame, *, spread: Fineness = 6.0) -> Image:
    """Draw the lines of a picture light on black.

    Each is as strong as it stands out. For a ControlNet of the kind lineart. What is darker than its surroundings
    is a line; --spread is the standard deviation of what counts as surroundings.
    """
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageFilter

    colours = _colours(frame.image)
    blurred = Pillow.fromarray(colours.astype(np.uint8)).filter(ImageFilter.GaussianBlur(spread))
    darker = np.clip(np.asarray(blurred, np.int32) - colours, 0, 255).min(axis=2)
    strong = darker[darker > 8]
    middle = max(16, int(np.median(strong)) if strong.size else 16)
    return _grey(np.minimum(255, darker * 127 // middle))


@node(version=1, group="change", examples=["@-1 | tile", "load_image a.png | tile --times 4"])
def tile(frame: Frame, *, times: Times = 8) -> Image:
    """Take the details out of a picture; the colours stay.

    For a ControlNet of the kind tile, which draws details anew. The picture is made smaller and as large again.
    """
    from PIL.Image import Resampling

    pil = frame.image.pil().convert("RGB")
    small = (max(1, pil.width // times), max(1, pil.height // times))
    return Image.from_pil(pil.resize(small, Resampling.BOX).resize(pil.size, Resampling.BICUBIC))


@node(version=1, group="change", examples=["load_image a.png | depth_map", "load_image a.png | depth_map --near-dark"])
def depth_map(frame: Frame, *, near_dark: Near = False) -> Image:
    """Make a depth map of a picture of distances: near is white.

    They are spread over all shades from black to white. For a ControlNet of the kind depth. The distances come from
    a file: of a renderer, a camera, another program.
    """
    import numpy as np

    levels = np.asarray(frame.image.pil().convert("L"), np.int32)
    levels = 255 - levels if near_dark else levels
    least, most = int(levels.min()), int(levels.max())
    return _grey((levels - least) * 255 // max(1, most - least))


def _colours(image: Image) -> "NDArray[Any]":
    """Rows of (red, green, blue), whole numbers; what is transparent on black."""
    import numpy as np
    from PIL import Image as Pillow

    pil = image.pil()
    if pil.mode == "RGBA":
        pil = Pillow.alpha_composite(Pillow.new("RGBA", pil.size, (0, 0, 0, 255)), pil)
    return np.asarray(pil.convert("RGB"), np.int32)


def _gradients(colours: "NDArray[Any]") -> "tuple[NDArray[Any], NDArray[Any]]":
    """Change from left to right and from top to bottom (Sobel 3x3), of the colour that changes most."""
    import numpy as np

    p = np.pad(colours, ((1, 1), (1, 1), (0, 0)), "edge")
    left, middle, right = p[:, :-2], p[:, 1:-1], p[:, 2:]
    across = (right - left)[:-2] + 2 * (right - left)[1:-1] + (right - left)[2:]
    rows = left + 2 * middle + right
    down = rows[2:] - rows[:-2]
    strongest = (abs(across) + abs(down)).argmax(axis=2)[..., None]
    return np.take_along_axis(across, strongest, 2)[..., 0], np.take_along_axis(down, strongest, 2)[..., 0]


def _thin(size: "NDArray[Any]", across: "NDArray[Any]", down: "NDArray[Any]") -> "NDArray[Any]":
    """Where a gradient is the largest across its edge. Outside of the picture nothing changes."""
    import numpy as np

    high, wide = size.shape
    p = np.pad(size, 1)

    def beside(dy: int, dx: int) -> "NDArray[Any]":
        return p[1 + dy : 1 + dy + high, 1 + dx : 1 + dx + wide]

    x, y = abs(across).astype(np.int64), abs(down).astype(np.int64) << 15
    level, steep = y < x * TAN, y > x * TAN + (x << 16)
    falling = (across ^ down) < 0
    slanted = np.where(
        falling,
        (size > beside(-1, 1)) & (size > beside(1, -1)),
        (size > beside(-1, -1)) & (size > beside(1, 1)),
    )
    flat = (size > beside(0, -1)) & (size >= beside(0, 1))
    upright = (size > beside(-1, 0)) & (size >= beside(1, 0))
    return np.where(level, flat, np.where(steep, upright, slanted))


def _joined(weak: "NDArray[Any]", strong: "NDArray[Any]") -> "NDArray[Any]":
    """The weak pixels that hang together with a strong one, corners included."""
    import numpy as np

    high, wide = weak.shape
    seen = np.zeros((high + 2, wide + 2), bool)
    free = np.pad(weak, 1)
    waiting = [(int(y) + 1, int(x) + 1) for y, x in np.argwhere(strong)]
    for place in waiting:
        seen[place] = True
    while waiting:
        y, x = waiting.pop()
        for place in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
            if free[place] and not seen[place]:
                seen[place] = True
                waiting.append(place)
    return seen[1:-1, 1:-1]


def _grey(levels: "NDArray[Any]") -> Image:
    import numpy as np
    from PIL import Image as Pillow

    return Image.from_pil(Pillow.fromarray(levels.astype(np.uint8)))
