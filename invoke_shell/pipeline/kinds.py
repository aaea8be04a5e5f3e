"""Kinds of parameter: how a type of the closed set reads, writes, checks and describes its values.

A kind is made once per parameter by `kind_of(annotation)`; text comes in by `parse`, goes out by `format`, and
`parse(format(x)) == x` for every value the kind allows. `plain` and `from_plain` do the same for JSON.
"""

from __future__ import annotations

import enum
import math
import types
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

from invoke_shell.pipeline.types import (
    FLOAT,
    HASH,
    INT,
    RANDOM,
    Box,
    Color,
    Count,
    Handle,
    ModelName,
    PixelHash,
    Ratio,
    Seed,
    Side,
    Size,
    Weighted,
    number,
)
from invoke_shell.records import Frame, Image, Mask, ModelRecord

__all__ = ["Kind", "kind_of"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type of the closed set. `label` ends the sentence "--steps takes ...".

    optional: None is allowed, written `none`. many: a list; the flag is repeated.
    """

    label: str
    optional: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()
    sweeps: bool = False  # 1..8 and a,b,c unroll
    picture: bool = False  # an Image or Mask: a path, a handle or a pixel hash
    mask: bool = False  # a Mask: the picture is read as black and white
    frame: bool = False  # a Frame: the picture comes with its history
    model: str = ""  # the kind of model, "checkpoint" ...
    is_switch: ClassVar[bool] = False  # --x and --no-x, never a value
    is_seed: ClassVar[bool] = False
    is_text: ClassVar[bool] = False
    is_weighted: ClassVar[bool] = False
    is_ranged: ClassVar[bool] = False  # may have bounds: a number, or something measured in numbers

    def parse(self, text: str) -> Any:
        """The value of one word. Raises ValueError with what is wanted."""
        if self.optional and text == "none":
            return None
        return self.read(text)

    def read(self, text: str) -> Any:
        """As parse, without `none`."""
        return text

    def format(self, value: Any) -> str:
        """Text that parses to `value`."""
        return "none" if value is None else self.write(value)

    def write(self, value: Any) -> str:
        """As format, without None."""
        return str(value)

    def plain(self, value: Any) -> Any:
        """JSON of a value: numbers, booleans, null natively, all else as text."""
        return None if value is None else self.write(value)

    def from_plain(self, value: Any) -> Any:
        """The inverse of plain. Raises ValueError."""
        if value is None:
            if self.optional:
                return None
            raise ValueError(self.label)
        if not isinstance(value, str):
            raise ValueError(self.label)
        return self.read(value)

    def schema(self) -> dict[str, Any]:
        """JSON Schema of one value."""
        return {"type": "string"}


class IntKind(Kind):
    is_ranged = True

    def read(self, text: str) -> int:
        if not INT.fullmatch(text):
            raise ValueError(self.label)
        return int(text)

    def plain(self, value: Any) -> Any:
        return None if value is None else int(value)

    def from_plain(self, value: Any) -> Any:
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(self.label)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "integer"}


class SeedKind(IntKind):
    """A Seed; `random` asks for a drawn one."""

    is_seed = True

    def read(self, text: str) -> Any:
        if text == RANDOM:
            return RANDOM
        if not INT.fullmatch(text) or text.startswith("+"):
            raise ValueError(self.label)
        return Seed(int(text))

    def from_plain(self, value: Any) -> Any:
        read = super().from_plain(value)
        return None if read is None else Seed(read)


class FloatKind(Kind):
    is_ranged = True

    def read(self, text: str) -> float:
        if not FLOAT.fullmatch(text) or not math.isfinite(float(text)):
            raise ValueError(self.label)
        return float(text)

    def write(self, value: Any) -> str:
        return number(value)

    def plain(self, value: Any) -> Any:
        return None if value is None else int(value) if value == int(value) and abs(value) < 1e15 else value

    def from_plain(self, value: Any) -> Any:
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(self.label)
        return float(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "number"}


class BoolKind(Kind):
    is_switch = True

    def read(self, text: str) -> bool:
        if text not in ("on", "off"):
            raise ValueError(self.label)
        return text == "on"

    def write(self, value: Any) -> str:
        return "on" if value else "off"

    def plain(self, value: Any) -> Any:
        return value

    def from_plain(self, value: Any) -> Any:
        if not isinstance(value, bool):
            raise ValueError(self.label)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class TextKind(Kind):
    """A text. `none` is a word one may want to draw: only a bare one is None, and a kind does not know of quotes."""

    is_text = True

    def parse(self, text: str) -> Any:
        return text


@dataclass(frozen=True, kw_only=True)
class ChoiceKind(Kind):
    """One of a few words. values: what each stands for, when that is not the word itself."""

    values: tuple[Any, ...] = ()

    def read(self, text: str) -> Any:
        if text not in self.choices:
            raise ValueError(self.label)
        return self.values[self.choices.index(text)] if self.values else text

    def write(self, value: Any) -> str:
        return self.choices[self.values.index(value)] if value in self.values else str(value)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices)}


def _path_text(path: Path) -> str:
    """A path as text; `./` keeps one that looks like a handle, a hash or `none` a path."""
    text = path.as_posix()
    return f"./{text}" if text == "none" or text.startswith("@") or HASH.fullmatch(text) else text


class PathKind(Kind):
    def read(self, text: str) -> Path:
        if not text:
            raise ValueError(self.label)
        return Path(text)

    def write(self, value: Any) -> str:
        return _path_text(value) if isinstance(value, Path) else str(value)


@dataclass(frozen=True, kw_only=True)
class SizeKind(Kind):
    """A Size; ratios: so are `3:4`, at the model's own area, and one side, `768x`."""

    is_ranged = True

    ratios: bool = False

    def read(self, text: str) -> Size | Ratio | Side:
        try:
            size = Size.parse(text)
        except ValueError:
            raise ValueError(self.label) from None
        if not isinstance(size, Size) and not self.ratios:
            raise ValueError(self.label)
        return size

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9]+x[0-9]+$"}


class BoxKind(Kind):
    def read(self, text: str) -> Box:
        return Box.parse(text)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9]+:[0-9]+:[0-9]+:[0-9]+$"}


class ColorKind(Kind):
    def read(self, text: str) -> Color:
        return Color.parse(text)


class ImageKind(Kind):
    def read(self, text: str) -> Path | Handle | PixelHash:
        if text.startswith("@"):
            return Handle.parse(text)
        if HASH.fullmatch(text):
            return PixelHash(text)
        if not text:
            raise ValueError(self.label)
        return Path(text)

    def write(self, value: Any) -> str:
        return _path_text(value) if isinstance(value, Path) else str(value)


class ModelKind(Kind):
    def read(self, text: str) -> ModelName | Handle:
        if text.startswith("@"):
            return Handle.parse(text)
        if not text:
            raise ValueError(self.label)
        return ModelName(text)

    def write(self, value: Any) -> str:
        return value.text if isinstance(value, ModelRecord) else str(value)


@dataclass(frozen=True, kw_only=True)
class WeightedKind(Kind):
    """`name:0.8`; the last colon before a number parts them."""

    is_ranged = True
    is_weighted = True

    inner: Kind

    def read(self, text: str) -> Weighted[Any]:
        name, colon, weight = text.rpartition(":")
        if not colon or not name or not FLOAT.fullmatch(weight) or HASH.fullmatch(text):
            return Weighted(self.inner.read(text))
        if not math.isfinite(float(weight)):
            raise ValueError(self.label)
        return Weighted(self.inner.read(name), float(weight))

    def write(self, value: Any) -> str:
        return f"{self.inner.write(value.value)}:{number(value.weight)}"


def kind_of(annotation: Any, model: str = "", choices: tuple[str, ...] = ()) -> Kind | None:
    """The kind of an annotation of the closed set (Annotated already taken off), or None when it is outside."""
    inner, optional = _without_none(annotation)
    if choices:
        return replace(_choice(choices), optional=optional) if inner is str else None
    if get_origin(inner) is list:
        item = _single(get_args(inner)[0], model)
        return None if item is None or optional or item.is_switch else replace(item, many=True, sweeps=False)
    kind = _single(inner, model)
    if kind is None or (optional and (kind.is_switch or "none" in kind.choices)):
        return None  # there would be no way to write it
    return replace(kind, optional=optional)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """`X | None` as X and True. `Size | Ratio` is left as it is: a type of its own."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    rest = tuple(a for a in get_args(annotation) if a is not type(None))
    return Union[rest], len(rest) < len(get_args(annotation))  # noqa: UP007  # the types are known at run time only


def _single(t: Any, model: str) -> Kind | None:
    if get_origin(t) is Literal:
        values = get_args(t)
        known = all(type(v) in (str, int) for v in values)
        return _choice([str(v) for v in values], values) if known else None
    if get_origin(t) is Weighted:
        inner = _single(get_args(t)[0], model)
        shape = "a strength, as name:0.8" if inner and inner.model else "a weight, as 101:0.2"
        return inner and WeightedKind(label=f"{inner.label} with {shape}", inner=inner, model=inner.model)
    if isinstance(t, type) and issubclass(t, enum.Enum):
        return _choice([str(e.value) for e in t], tuple(t))
    if t is ModelRecord:
        return ModelKind(label="the name of a model", model=model or "checkpoint", sweeps=True)
    return _TABLE.get(t)


def _choice(words: Sequence[str], values: tuple[Any, ...] = ()) -> Kind:
    return ChoiceKind(label="one of " + ", ".join(words), choices=tuple(words), values=values, sweeps=True)


_TABLE: dict[Any, Kind] = {
    bool: BoolKind(label="on or off"),
    int: IntKind(label="a whole number", sweeps=True),
    float: FloatKind(label="a number", sweeps=True),
    str: TextKind(label="a text"),
    Path: PathKind(label="a path"),
    Seed: SeedKind(label="a whole number from 0 to 18446744073709551615, or random", sweeps=True),
    Count: IntKind(label="a whole number"),
    Size: SizeKind(label="a size such as 512x768", sweeps=True),
    Size | Ratio: SizeKind(label="a size such as 512x768 or 3:4", sweeps=True, ratios=True),
    Box: BoxKind(label="a box such as 0:0:64:64 (x:y:width:height)", sweeps=True),
    Color: ColorKind(label="a colour such as #ff8800 or red", sweeps=True),
    Image: ImageKind(label="a picture: a path, a handle such as @12, or blake3:...", picture=True),
    Frame: ImageKind(label="a picture: a path, a handle such as @12, or blake3:...", picture=True, frame=True),
    Mask: ImageKind(label="a mask: a path, a handle such as @12, or blake3:...", picture=True, mask=True),
}
