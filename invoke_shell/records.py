"""What travels between the packages: pictures, steps, models. Standard library only, plus blake3 for the hash.

A picture here is exactly what its PNG would hold: 8-bit RGB, RGBA or L rows, no latents, no colour profile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = [
    "MAX_PIXELS",
    "Frame",
    "Image",
    "Json",
    "Made",
    "Mask",
    "ModelRecord",
    "Resource",
    "StepRecord",
    "digest",
    "pixel_hash",
    "topological",
]

MAX_PIXELS = 64_000_000  # of one picture: what is larger could not be read back
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Mode = Literal["RGB", "RGBA", "L"]


def digest(data: bytes) -> str:
    """`blake3:` and 64 hex digits."""
    from blake3 import blake3

    return "blake3:" + blake3(data).hexdigest()


def pixel_hash(mode: str, width: int, height: int, pixels: bytes) -> str:
    """Hash of bare pixels: blake3 over ASCII "{mode} {w}x{h}\\n" and the raw rows."""
    from blake3 import blake3

    return "blake3:" + blake3(f"{mode} {width}x{height}\n".encode()).update(pixels).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Image:
    """A picture: `pixels` are rows of 8-bit samples, top to bottom, no padding."""

    mode: Mode
    width: int
    height: int
    pixels: bytes = field(repr=False)

    def __post_init__(self) -> None:
        wanted = self.width * self.height * len(self.mode)
        if len(self.pixels) != wanted:
            raise ValueError(f"{self.mode} {self.width}x{self.height} needs {wanted} bytes, not {len(self.pixels)}")

    @cached_property
    def hash(self) -> str:
        """The pixel hash, `blake3:` and 64 hex digits."""
        return pixel_hash(self.mode, self.width, self.height, self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    def pil(self) -> PILImage:
        """As a Pillow image, a copy."""
        from PIL import Image as Pillow

        return Pillow.frombytes(self.mode, self.size, self.pixels)

    @classmethod
    def from_pil(cls, image: PILImage) -> Image:
        """From a Pillow image of any mode; what is not RGB, RGBA or L becomes RGB or RGBA."""
        if image.mode not in ("RGB", "RGBA", "L"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        return cls(
            mode=image.mode,  # type: ignore[arg-type]  # one of the three by now
            width=image.width,
            height=image.height,
            pixels=image.tobytes(),
        )


@dataclass(frozen=True, kw_only=True)
class Mask(Image):
    """A mode L picture: 255 is repainted, 0 kept."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a node gives besides a bare Image: the picture and facts worth recording.

    facts: plain JSON by topic: noise, precision, scheduler, steps_run, model_calls, first_sigma, batch, note ...
    """

    image: Image
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """A model as the catalogue knows it. path and stamp are local and are never written into a picture."""

    name: str
    kind: str  # checkpoint, vae, lora, embedding, controlnet, ip_adapter, upscaler, face
    base: str = ""  # sd1, sd2, sdxl, sd3, flux ...
    format: str = ""  # folder or file
    path: str = ""
    hash: str = ""  # blake3:… of a file, blake3-tree:… of a folder; "" while not known
    bytes: int = 0
    license: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)  # sha256, autov2, autov3
    advice: Mapping[str, Any] = field(default_factory=dict)  # parameter defaults by name
    stamp: str = ""  # another one when the file was written to; tells models apart while the hash is not known

    @property
    def text(self) -> str:
        """Canonical text, `name@9f21c0`: the hash decides, the name is for people."""
        _, _, hexdigits = self.hash.partition(":")
        return f"{self.name}@{hexdigits[:6]}" if hexdigits else self.name


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A leaf of a history: a source picture known by its pixels. No directory ever."""

    hash: str  # pixel hash
    width: int
    height: int
    mode: str = "RGB"
    name: str = ""  # base name, for people; dropped by privacy
    file_hash: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)  # how the file was brought to pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class StepRecord:
    """One step as recorded: what would have to be done again. Steps link backward, so a history is a graph.

    params: every resolved pixel parameter, plain JSON. inputs: name -> the steps or resources that went in.
    models: parameter name -> model. facts: what the engine reported. environment: versions and device in force.
    """

    node: str
    version: int
    package: str
    params: Mapping[str, Json]
    inputs: Mapping[str, tuple[StepRecord | Resource, ...]] = field(default_factory=dict, repr=False)
    models: Mapping[str, ModelRecord] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)
    environment: Mapping[str, Json] = field(default_factory=dict)
    output_hash: str = ""
    width: int = 0
    height: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        # Flat, because pickle recurses: a history of thousands of edits must cross the worker's pipe.
        return _unflatten, (_rows(self),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StepRecord):
            return NotImplemented
        return self is other or (self.key == other.key and _rows(self) == _rows(other))

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def key(self) -> str:
        """Equal for equal steps with equal histories; used to write each step of a graph once."""
        inputs = {
            name: [i.key if isinstance(i, StepRecord) else i.hash for i in items] for name, items in self.inputs.items()
        }
        models = {name: m.hash or m.name for name, m in self.models.items()}
        plain = [self.node, self.version, self.package, dict(self.params), inputs, models, self.output_hash]
        return digest(json.dumps(plain, sort_keys=True).encode())


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One image, the step that made it, and the values that flow on from it (prompt, negative, seed, model)."""

    image: Image
    step: StepRecord
    values: Mapping[str, Any] = field(default_factory=dict)


def topological(last: StepRecord) -> Iterator[StepRecord]:
    """Every step of a history once, makers before users; equal steps count as one. No recursion: histories are long."""
    seen: set[str] = set()
    stack: list[tuple[StepRecord, bool]] = [(last, False)]
    while stack:
        step, ready = stack.pop()
        if ready:
            yield step
            continue
        if step.key in seen:
            continue
        seen.add(step.key)
        stack.append((step, True))
        for items in reversed(list(step.inputs.values())):
            stack.extend((i, False) for i in reversed(items) if isinstance(i, StepRecord) and i.key not in seen)


def _rows(last: StepRecord) -> list[dict[str, Any]]:
    """The steps of a history as rows that refer to each other by number."""
    steps = list(topological(last))
    place = {step.key: n for n, step in enumerate(steps)}
    return [_flat(step, place) for step in steps]


def _flat(step: StepRecord, place: Mapping[str, int]) -> dict[str, Any]:
    fields = {name: getattr(step, name) for name in step.__dataclass_fields__}
    fields["inputs"] = {
        name: tuple(place[i.key] if isinstance(i, StepRecord) else i for i in items)
        for name, items in step.inputs.items()
    }
    return fields


def _unflatten(rows: list[dict[str, Any]]) -> StepRecord:
    made: list[StepRecord] = []
    for fields in rows:
        inputs = {
            name: tuple(made[i] if isinstance(i, int) else i for i in items) for name, items in fields["inputs"].items()
        }
        step = StepRecord(**{**fields, "inputs": inputs})
        _ = step.key  # computed while the inputs' keys are cached, so never deep
        made.append(step)
    return made[-1]
