"""Outlines of the things, in a unit box: x to the right, y down, both from -1 to 1."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi, sin
from typing import Literal

from training.pocket.words import THINGS

__all__ = ["SHAPES", "Part", "Point", "Tone"]

Point = tuple[float, float]
Tone = Literal["base", "light", "dark", "hole"]
Part = tuple[Tone, tuple[Point, ...]]


def disc(x: float = 0, y: float = 0, rx: float = 1, ry: float | None = None, corners: int = 40) -> tuple[Point, ...]:
    """An ellipse as a polygon; a circle where `ry` is not given."""
    ry = rx if ry is None else ry
    return tuple((x + rx * cos(2 * pi * i / corners), y + ry * sin(2 * pi * i / corners)) for i in range(corners))


def box(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def spikes(count: int, inner: float, outer: float = 1.0) -> tuple[Point, ...]:
    """A star with `count` points, the first one upwards."""
    radii = (outer, inner)
    return tuple((radii[i % 2] * sin(pi * i / count), -radii[i % 2] * cos(pi * i / count)) for i in range(2 * count))


def arc(x: float, y: float, radius: float, start: float, end: float, corners: int = 24) -> tuple[Point, ...]:
    """Part of a circle; angles in turns, clockwise from the right."""
    turns = (start + (end - start) * i / (corners - 1) for i in range(corners))
    return tuple((x + radius * cos(2 * pi * t), y + radius * sin(2 * pi * t)) for t in turns)


def heart() -> tuple[Point, ...]:
    angles = (2 * pi * i / 48 for i in range(48))
    return tuple(
        (sin(a) ** 3, -(13 * cos(a) - 5 * cos(2 * a) - 2 * cos(3 * a) - cos(4 * a)) / 16 - 0.1) for a in angles
    )


def lens(width: float) -> tuple[Point, ...]:
    """Two bows that meet above and below."""
    side = [(width * sin(pi * i / 16), -1 + 2 * i / 16) for i in range(17)]
    return tuple(side + [(-x, y) for x, y in reversed(side[1:-1])])


def petals(count: int, reach: float, radius: float, y: float) -> Iterable[Part]:
    for i in range(count):
        angle = 2 * pi * i / count - pi / 2
        yield "base", disc(reach * cos(angle), y + reach * sin(angle), radius, corners=20)


SHAPES: dict[str, tuple[Part, ...]] = {
    "circle": (("base", disc()),),
    "square": (("base", box(-0.88, -0.88, 0.88, 0.88)),),
    "triangle": (("base", ((0, -0.92), (1, 0.84), (-1, 0.84))),),
    "star": (("base", spikes(5, 0.42)),),
    "heart": (("base", heart()),),
    "ring": (("base", disc()), ("hole", disc(rx=0.56))),
    "cross": (("base", box(-0.34, -1, 0.34, 1)), ("base", box(-1, -0.34, 1, 0.34))),
    "moon": (("base", arc(0.1, 0, 1, 0.14, 0.86) + arc(0.62, 0, 0.78, 0.79, 0.21)),),
    "tree": (("dark", box(-0.17, 0.2, 0.17, 1)), ("base", disc(0, -0.32, 0.72, 0.68))),
    "house": (
        ("base", box(-0.74, -0.12, 0.74, 0.95)),
        ("dark", ((0, -1), (1, -0.08), (-1, -0.08))),
        ("light", box(-0.2, 0.32, 0.2, 0.95)),
    ),
    "flower": (
        ("dark", box(-0.08, 0.1, 0.08, 1)),
        ("dark", disc(0.34, 0.68, 0.3, 0.13, corners=16)),
        *petals(5, 0.4, 0.31, -0.32),
        ("light", disc(0, -0.32, 0.25, corners=20)),
    ),
    "boat": (
        ("dark", box(-0.1, -1, 0.02, 0.4)),
        ("light", ((0.06, -0.92), (0.78, 0.22), (0.06, 0.22))),
        ("base", ((-1, 0.34), (1, 0.34), (0.62, 0.92), (-0.62, 0.92))),
    ),
    "fish": (
        ("dark", ((0.4, 0), (1, -0.52), (1, 0.52))),
        ("base", disc(-0.22, 0, 0.78, 0.52)),
        ("light", disc(-0.58, -0.12, 0.12, corners=14)),
    ),
    "sun": (("base", spikes(12, 0.7)), ("light", disc(rx=0.52))),
    "cloud": (
        ("base", disc(-0.52, 0.14, 0.46)),
        ("base", disc(0.52, 0.18, 0.42)),
        ("base", disc(0.02, -0.16, 0.56)),
        ("base", box(-0.52, 0.1, 0.52, 0.6)),
    ),
    "mountain": (
        ("dark", ((0.42, -0.38), (1, 0.75), (-0.2, 0.75))),
        ("base", ((-0.3, -0.85), (0.62, 0.75), (-1, 0.75))),
        ("light", ((-0.3, -0.85), (-0.02, -0.36), (-0.2, -0.2), (-0.34, -0.36), (-0.54, -0.32))),
    ),
    "cup": (
        ("base", disc(0.52, 0, 0.44)),
        ("hole", disc(0.52, 0, 0.24, corners=24)),
        ("base", ((-0.92, -0.72), (0.52, -0.72), (0.36, 0.76), (-0.76, 0.76))),
        ("light", box(-0.86, -0.6, 0.46, -0.42)),
    ),
    "key": (
        ("base", box(-0.2, -0.13, 1, 0.13)),
        ("base", box(0.76, 0, 0.98, 0.46)),
        ("base", box(0.4, 0, 0.6, 0.38)),
        ("base", disc(-0.52, 0, 0.48)),
        ("hole", disc(-0.52, 0, 0.22, corners=24)),
    ),
    "leaf": (("base", lens(0.56)), ("dark", box(-0.05, -0.6, 0.05, 1))),
    "arrow": (("base", ((-1, -0.24), (0.14, -0.24), (0.14, -0.7), (1, 0), (0.14, 0.7), (0.14, 0.24), (-1, 0.24))),),
}

assert set(SHAPES) == set(THINGS)
