"""The words the draughtsman knows, and what each of them stands for."""

from __future__ import annotations

from typing import Literal

__all__ = [
    "COLOURS",
    "COLOUR_WORDS",
    "FRAMES",
    "GROUNDS",
    "GROUND_WORDS",
    "LEADS",
    "PLACES",
    "PLACE_WORDS",
    "RELATIONS",
    "RELATION_WORDS",
    "SCENERY",
    "SIZES",
    "SIZE_WORDS",
    "STYLES",
    "STYLE_TAGS",
    "THINGS",
    "Colour",
    "Relation",
    "Style",
    "mix",
]

Colour = tuple[int, int, int]
Style = Literal["flat", "outlined", "soft", "pixelated"]
Relation = Literal["above", "below", "left", "right"]

COLOURS: dict[str, Colour] = {
    "red": (214, 40, 40),
    "orange": (246, 132, 30),
    "yellow": (250, 214, 50),
    "green": (52, 158, 72),
    "turquoise": (38, 188, 182),
    "blue": (44, 92, 208),
    "purple": (136, 60, 168),
    "pink": (248, 150, 190),
    "brown": (128, 76, 38),
    "black": (24, 24, 26),
    "white": (250, 250, 248),
    "grey": (136, 138, 142),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {**{name: (name,) for name in COLOURS}, "grey": ("grey", "grey", "gray")}

THINGS: tuple[str, ...] = (
    "circle", "square", "triangle", "star", "heart", "ring", "cross", "moon", "tree", "house",
    "flower", "boat", "fish", "sun", "cloud", "mountain", "cup", "key", "leaf", "arrow",
)  # fmt: skip

# Share of the picture's side that the longer side of a thing takes.
SIZES: dict[str, float] = {"small": 0.28, "medium": 0.44, "big": 0.64}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "small", "little", "tiny"),
    "medium": ("medium", "medium sized"),
    "big": ("big", "big", "large", "huge"),
}

# Direction from the middle: x to the right, y down.
PLACES: dict[str, tuple[int, int]] = {
    "middle": (0, 0),
    "left": (-1, 0),
    "right": (1, 0),
    "top": (0, -1),
    "bottom": (0, 1),
    "top left": (-1, -1),
    "top right": (1, -1),
    "bottom left": (-1, 1),
    "bottom right": (1, 1),
}
PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "middle": ("in the middle", "in the center", "in the centre"),
    "left": ("on the left", "at the left"),
    "right": ("on the right", "at the right"),
    "top": ("at the top", "up at the top"),
    "bottom": ("at the bottom", "down at the bottom"),
    "top left": ("at the top left", "in the top left corner"),
    "top right": ("at the top right", "in the top right corner"),
    "bottom left": ("at the bottom left", "in the bottom left corner"),
    "bottom right": ("at the bottom right", "in the bottom right corner"),
}

# Backgrounds with a colour of their own choosing, and scenery whose colours are fixed.
GROUNDS: tuple[str, ...] = ("plain", "gradient", "striped", "dotted", "checked", "sea")
SCENERY: tuple[str, ...] = ("night sky", "meadow", "desert")

# What follows the subject ("a star on a blue background") and what stands alone ("blue background").
GROUND_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "plain": (("on a {} background", "on a plain {} background", "on {}"), ("{} background", "plain {} background")),
    "gradient": (("on a {} gradient", "on a {} gradient background"), ("{} gradient", "{} gradient background")),
    "striped": (("on {} stripes", "on a striped {} background"), ("{} stripes", "striped {} background")),
    "dotted": (("on {} dots", "on a dotted {} background"), ("{} dots", "dotted {} background")),
    "checked": (("on {} checks", "on a checked {} background"), ("{} checks", "checked {} background")),
    "sea": (("on a {} sea", "on the {} sea", "at the {} sea"), ("{} sea",)),
    "night sky": (("in the night sky", "under a night sky", "at night"), ("night sky", "night")),
    "meadow": (("in a meadow", "on a meadow"), ("meadow",)),
    "desert": (("in the desert", "in a desert"), ("desert",)),
}

STYLES: tuple[Style, ...] = ("flat", "outlined", "soft", "pixelated")
STYLE_TAGS: dict[Style, tuple[str, ...]] = {
    "flat": ("flat", "flat style"),
    "outlined": ("outlined", "outlined style", "with an outline"),
    "soft": ("soft", "soft style", "with soft edges"),
    "pixelated": ("pixelated", "pixelated style", "pixel art"),
}

RELATIONS: tuple[Relation, ...] = ("above", "below", "left", "right")
RELATION_WORDS: dict[Relation, tuple[str, ...]] = {
    "above": ("above", "over"),
    "below": ("below", "under"),
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
}

LEADS: tuple[str, ...] = ("a picture of", "a drawing of", "an illustration of")
# S subject, P place, G background that follows, g background that stands alone, T style.
FRAMES: tuple[str, ...] = (
    "{S} {P} {G}, {T}",
    "{S} {P} {G}, {T}",
    "{S} {G} {P}, {T}",
    "{S} {G}, {P}, {T}",
    "{S}, {P}, {g}, {T}",
    "{g}, {S} {P}, {T}",
    "{T}, {S} {P}, {g}",
)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with `share` (0 to 1) of `other` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
