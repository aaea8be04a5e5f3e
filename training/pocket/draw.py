"""The draughtsman: turns scenes into anti-aliased pictures; same scene, same pixels."""

from __future__ import annotations

from math import cos, radians, sin
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from training.pocket.scene import Ground, Scene, Thing
from training.pocket.shapes import SHAPES, Point, Tone
from training.pocket.words import COLOURS, Colour, mix

__all__ = ["SKY", "draw", "ground_tones", "paint_ground", "shades", "silhouette"]

OVER = 3  # drawn this many times larger, then averaged down
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SKY, NIGHT, GRASS, SAND, DUSK = (150, 206, 242), (20, 24, 66), (96, 186, 84), (226, 196, 128), (252, 232, 200)


def draw(scene: Scene, side: int = 128) -> Image.Image:
    """The picture of a scene, `side` pixels square, RGB."""
    rng = Random(scene.seed * 4 + 2_000_003)
    canvas = paint_ground(scene.ground, side * OVER, rng)
    for thing in scene.things:
        paint_thing(canvas, thing, scene, rng)
    picture = canvas.reduce(OVER)
    return pixelate(picture, side) if scene.style == "pixelated" else picture


def pixelate(picture: Image.Image, side: int) -> Image.Image:
    return picture.reduce(4).resize((side, side), Image.Resampling.NEAREST)


def shake(colour: Colour, rng: Random, by: int = 6) -> Colour:
    red, green, blue = (max(0, min(255, value + rng.randint(-by, by))) for value in colour)
    return red, green, blue


# Grounds


def ground_tones(ground: Ground) -> tuple[Colour, Colour]:
    """The two tones a ground is made of; every pixel of it lies between them."""
    if ground.colour is None:
        return {"night sky": (NIGHT, WHITE), "meadow": (SKY, GRASS), "desert": (DUSK, SAND)}[ground.kind]
    colour = COLOURS[ground.colour]
    if ground.kind == "plain":
        return colour, colour
    if ground.kind == "sea":
        return SKY, colour
    return colour, mix(colour, BLACK, 0.16) if ground.colour == "white" else mix(colour, WHITE, 0.36)


def paint_ground(ground: Ground, side: int, rng: Random) -> Image.Image:
    first, second = (shake(tone, rng) for tone in ground_tones(ground))
    canvas = Image.new("RGB", (side, side), first)
    if ground.kind == "gradient":
        ramp = Image.linear_gradient("L").resize((side, side))
        canvas.paste(second, mask=ramp)
    elif ground.kind != "plain":
        {
            "striped": stripes, "dotted": dots, "checked": checks, "sea": sea,
            "night sky": stars, "meadow": meadow, "desert": dunes,
        }[ground.kind](ImageDraw.Draw(canvas), side, second, rng)  # fmt: skip
    return canvas


def stripes(pen: ImageDraw.ImageDraw, side: int, tone: Colour, rng: Random) -> None:
    step = side / 8
    shift = rng.uniform(0, step / 4)
    for i in range(-1, 9):
        pen.rectangle((shift + i * step, 0, shift + (i + 0.5) * step - 1, side), fill=tone)


def dots(pen: ImageDraw.ImageDraw, side: int, tone: Colour, rng: Random) -> None:
    step, radius = side / 8, side / 30
    right, down = rng.uniform(0, step / 4), rng.uniform(0, step / 4)
    for i in range(-1, 9):
        for j in range(-1, 9):
            x, y = right + (i + 0.5) * step, down + (j + 0.5) * step
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tone)


def checks(pen: ImageDraw.ImageDraw, side: int, tone: Colour, rng: Random) -> None:
    step = side / 8
    right, down = rng.uniform(0, step / 4), rng.uniform(0, step / 4)
    for i in range(-1, 9):
        for j in range(-1, 9):
            if (i + j) % 2:
                x, y = right + i * step, down + j * step
                pen.rectangle((x, y, x + step - 1, y + step - 1), fill=tone)


def sea(pen: ImageDraw.ImageDraw, side: int, tone: Colour, rng: Random) -> None:
    """Sky over water; a few crests, where the sky shows."""
    horizon = side * rng.uniform(0.4, 0.46)
    pen.rectangle((0, horizon, side, side), fill=tone)
    crest = mix(tone, SKY, 0.4)
    for i in range(3):
        y = horizon + (side - horizon) * (0.25 + 0.27 * i) + rng.uniform(-1, 1) * side / 60
        x = rng.uniform(-0.1, 0.1) * side + (0.12 if i % 2 else 0) * side
        while x < side:
            pen.rectangle((x, y, x + side * 0.13, y + side / 50), fill=crest)
            x += side * 0.25


def stars(pen: ImageDraw.ImageDraw, side: int, tone: Colour, rng: Random) -> None:
    """One star in each cell of a loose grid, so that the sky is never empty nor crowded."""
    for i in range(4):
        for j in range(4):
            x, y = (side * (k + rng.uniform(0.2, 0.8)) / 4 for k in (i, j))
            radius = side * rng.uniform(0.008, 0.016)
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tone)


def meadow(pen: ImageDraw.ImageDraw, side: int, tone: Colour, rng: Random) -> None:
    top = side * rng.uniform(0.5, 0.58)
    pen.ellipse((-side * 0.6, top, side * 1.6, top + side * 3), fill=tone)


def dunes(pen: ImageDraw.ImageDraw, side: int, tone: Colour, rng: Random) -> None:
    """Two dunes, the far one paler, with the crossing a little left or right of the middle."""
    top, lean = side * rng.uniform(0.52, 0.58), side * rng.uniform(-0.1, 0.1)
    pen.ellipse((side * 0.2 + lean, top, side * 2.2 + lean, top + side * 2), fill=mix(tone, DUSK, 0.35))
    pen.ellipse((-side * 1.2 + lean, top + side * 0.06, side * 0.8 + lean, top + side * 2), fill=tone)


# Things


def shades(colour: Colour) -> dict[Tone, Colour]:
    """The tones a thing of one colour is drawn in."""
    return {"base": colour, "light": mix(colour, WHITE, 0.5), "dark": mix(colour, BLACK, 0.3)}


def paint_thing(canvas: Image.Image, thing: Thing, scene: Scene, rng: Random) -> None:
    tones = shades(shake(COLOURS[thing.colour], rng))
    ink = ink_for(scene.ground) if scene.style == "outlined" else None
    layer, corner = thing_layer(thing, canvas.width, tones, ink)
    mask = layer.getchannel("A")
    if scene.style == "soft":
        mask = mask.filter(ImageFilter.GaussianBlur(canvas.width / 70))
    canvas.paste(layer.convert("RGB"), corner, mask)


def ink_for(ground: Ground) -> Colour:
    """Dark outlines, light ones on the dark grounds."""
    dark = ground.colour == "black" or ground.kind == "night sky"
    return (240, 240, 240) if dark else (28, 26, 30)


def thing_layer(
    thing: Thing, side: int, tones: dict[Tone, Colour], ink: Colour | None = None, lost: Tone = "hole"
) -> tuple[Image.Image, tuple[int, int]]:
    """The thing alone, RGBA, and where its layer's corner lies on a canvas of `side` pixels.

    Parts toned `lost` are cut out like holes.
    """
    half = thing.extent * side / 2
    edge = round(half * 1.35) + side // 24  # room for the turn, the outline and the blur
    corner = round(thing.x * side) - edge, round(thing.y * side) - edge
    # Empty pixels carry the base colour: a blurred mask then shows no dark rim.
    layer = Image.new("RGBA", (2 * edge, 2 * edge), (*tones["base"], 0))
    pen = ImageDraw.Draw(layer)
    parts = [(tone, placed(points, half, thing.turn, edge)) for tone, points in SHAPES[thing.name]]
    if ink:
        for _, points in parts:
            pen.line([*points, *points[:2]], fill=(*ink, 255), width=side // 36, joint="curve")
    for tone, points in parts:
        pen.polygon(points, fill=(*tones["base"], 0) if tone in ("hole", lost) else (*tones[tone], 255))
    return layer, corner


def placed(points: tuple[Point, ...], half: float, turn: float, middle: float) -> list[Point]:
    c, s = cos(radians(turn)) * half, sin(radians(turn)) * half
    return [(middle + x * c - y * s, middle + x * s + y * c) for x, y in points]


def silhouette(thing: Thing, side: int = 128, lost: Tone = "hole") -> Image.Image:
    """Where the thing is, less its parts toned `lost`: an L mask, `side` pixels square."""
    layer, corner = thing_layer(thing, side * OVER, shades(BLACK), lost=lost)
    canvas = Image.new("L", (side * OVER, side * OVER))
    canvas.paste(layer.getchannel("A"), corner)
    return canvas.reduce(OVER)
