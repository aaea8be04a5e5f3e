"""The values a parameter may have, and text <-> value for each kind. The closed set of the language.

kinds.py makes a Kind of each: `parse(format(x)) == x`, and `from_plain(plain(x)) == x` for JSON.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = [
    "FLOAT",
    "HASH",
    "INT",
    "RANDOM",
    "Box",
    "Color",
    "Count",
    "Handle",
    "ModelName",
    "Pattern",
    "PixelHash",
    "Ratio",
    "Seed",
    "Side",
    "Size",
    "Sweep",
    "Weighted",
    "number",
]

T = TypeVar("T")

HASH = re.compile(r"blake3:[0-9a-f]{12,64}")
INT = re.compile(r"[+-]?\d{1,40}")
REFERENCE = r"@(?:@|-?\d+(?:\.\.-?\d+)?|[A-Za-z_][\w-]*(?:\[\d+(?:\.\.\d+)?\])?)"  # a handle without its field
HANDLE = re.compile(rf"({REFERENCE})(?:\.([a-z_]+))?")
FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Seed(int):
    """A noise seed, 0 to 2**64-1; drawn ones are below 2**32. In a signature: `seed: Seed | None = None`."""


class Count(int):
    """How many pictures; the inspector adds it to every node with a Seed."""


RANDOM = "random"


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Width x height in pixels, as `512x768`."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    def __iter__(self) -> Any:
        return iter((self.width, self.height))

    @classmethod
    def parse(cls, text: str) -> Size | Ratio | Side:
        """`512x768`, `512` for a square, a ratio `3:4` at the model's own area, or one side, `768x`."""
        if m := re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", text):
            return cls(int(m[1]), int(m[2]))
        if m := re.fullmatch(r"([1-9]\d{0,5})[xX×]|[xX×]([1-9]\d{0,5})", text):
            return Side(int(m[1] or 0), int(m[2] or 0))
        if re.fullmatch(r"\d{1,6}", text):
            return cls(int(text), int(text))
        if (m := re.fullmatch(r"(\d{1,4}):(\d{1,4})", text)) and int(m[1]) and int(m[2]):
            return Ratio(int(m[1]), int(m[2]))
        raise ValueError("a size such as 512x768")


@dataclass(frozen=True, slots=True)
class Ratio:
    """A size given as a shape, `3:4`; becomes a Size once the model's own area is known."""

    across: int
    down: int

    def __str__(self) -> str:
        return f"{self.across}:{self.down}"

    def at(self, area: int, multiple: int = 8) -> Size:
        """The size of this shape nearest to `area` square pixels, both sides multiples of `multiple`."""
        width = math.sqrt(area * self.across / self.down)
        height = math.sqrt(area * self.down / self.across)
        return Size(*(max(multiple, round(side / multiple) * multiple) for side in (width, height)))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a size, `768x` or `x768`; the other is the model's own. 0 is the one that is not said."""

    width: int = 0
    height: int = 0

    def __str__(self) -> str:
        return f"{self.width or ''}x{self.height or ''}"

    def of(self, size: Size) -> Size:
        """The whole size, its other side that of `size`."""
        return Size(self.width or size.width, self.height or size.height)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, `x:y:w:h`, from the top left corner."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.x}:{self.y}:{self.width}:{self.height}"

    @classmethod
    def parse(cls, text: str) -> Box:
        if m := re.fullmatch(r"(\d{1,6}):(\d{1,6}):(\d{1,6}):(\d{1,6})", text):
            return cls(*(int(g) for g in m.groups()))
        raise ValueError("a box such as 0:0:64:64 (x:y:width:height)")


COLORS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "orange": (255, 165, 0),
    "purple": (128, 0, 128),
    "pink": (255, 192, 203),
    "brown": (165, 42, 42),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
}


@dataclass(frozen=True, slots=True)
class Color:
    """A colour, `#ff8800`, `#f80` or a CSS basic name; alpha as two more hex digits."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    def __str__(self) -> str:
        digits = f"#{self.red:02x}{self.green:02x}{self.blue:02x}"
        return digits if self.alpha == 255 else f"{digits}{self.alpha:02x}"

    @classmethod
    def parse(cls, text: str) -> Color:
        if text.lower() in COLORS:
            return cls(*COLORS[text.lower()])
        if m := re.fullmatch(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})", text):
            digits = m[1] if len(m[1]) > 3 else "".join(c * 2 for c in m[1])
            return cls(*bytes.fromhex(digits))
        raise ValueError("a colour such as #ff8800 or red")


@dataclass(frozen=True, slots=True)
class Weighted(Generic[T]):
    """A value with a strength, `name:0.8`; 1 when none is written."""

    value: T
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Handle:
    """A reference to earlier results: `@12`, `@-1`, `@fox`, `@fox[2]`, `@fox[2..4]`, `@15..22`, `@@`, `@kept`.

    text is what was written without the field; field: `seed` of `@12.seed`, one value of it, "" when none.
    """

    text: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.text}.{self.field}" if self.field else self.text

    @classmethod
    def parse(cls, text: str) -> Handle:
        """Raises ValueError when the text is no handle."""
        m = HANDLE.fullmatch(text)
        if not m:
            raise ValueError("a handle such as @12, @-1, @-4..-1, @@ or @name")
        return cls(m[1], m[2] or "")

    @staticmethod
    def meant(text: str) -> str:
        """Handles that a text which is none was probably meant to be, `@3..5` of `@3-@5`; "" when nobody can tell."""
        if m := re.fullmatch(r"@?(\d+)(?:\.{2,}|[-:–…])@?(\d+)", text):
            return f"@{m[1]}..{m[2]}"
        if m := re.fullmatch(r"@?\d+(?:,@?\d+)*", text):
            return " ".join(f"@{number}" for number in re.findall(r"\d+", text))
        if m := re.fullmatch(r"(@[A-Za-z_][\w-]*)\[(\d+(?:,\d+)+)\]", text):
            return " ".join(f"{m[1]}[{number}]" for number in m[2].split(","))
        return ""


class PixelHash(str):
    """A picture by its pixel hash, `blake3:` and 12 or more hex digits."""


class ModelName(str):
    """A model as typed: a name, `name@9f21c0`, a path, a key, or a hash prefix."""


class Pattern(str):
    """A bare word with `*`, `?` or `[` in it: the files that match, sorted naturally."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Several values of one parameter, in order; the text that gave them."""

    values: tuple[Any, ...]
    text: str = ""


def number(value: float) -> str:
    """Shortest text that reads back as the same float; whole numbers without a dot."""
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return str(int(value))
    return repr(value)
