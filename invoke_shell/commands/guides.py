"""Pictures that guide a drawing besides its prompt: ControlNets and IP-Adapters, as flags of the nodes that draw."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from invoke_shell.commands.params import AdapterImages, Adapters, ControlEnd, ControlImages, Controls, ControlStart
from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Control, Generation, PicturePrompt
from invoke_shell.records import Image

__all__ = ["Guides", "moved_along"]


@dataclass(frozen=True, kw_only=True)
class Guides:
    """Flattened into flags of the same names. Of a list of one, the one is for all."""

    control: Controls = ()  # type: ignore[assignment]  # none
    control_image: ControlImages = ()  # type: ignore[assignment]
    control_start: ControlStart = ()  # type: ignore[assignment]
    control_end: ControlEnd = ()  # type: ignore[assignment]
    ip_adapter: Adapters = ()  # type: ignore[assignment]
    ip_image: AdapterImages = ()  # type: ignore[assignment]

    def asked(self, source: Image | None = None) -> dict[str, Any]:
        """As the fields of a Generation. source: what a ControlNet reads when no picture is named.

        Raises RunError (wrong-shape) when the lists do not fit.
        """
        return {"controls": tuple(self._controls(source)), "picture_prompts": tuple(self._prompts())}

    def _controls(self, source: Image | None) -> list[Control]:
        count = len(self.control)
        named: dict[str, Sequence[Any]] = {
            "--control-image": self.control_image,
            "--control-start": self.control_start,
            "--control-end": self.control_end,
        }
        _alone("--control", count, named)
        own = [source] if source is not None and count else []
        images = _each("--control-image", self.control_image or own, "--control", count)
        starts = _each("--control-start", self.control_start or (0.0,), "--control", count)
        ends = _each("--control-end", self.control_end or (1.0,), "--control", count)
        rows = zip(self.control, images, starts, ends, strict=True)
        return [
            Control(model=c.value, weight=c.weight, image=image, start=start, end=end) for c, image, start, end in rows
        ]

    def _prompts(self) -> list[PicturePrompt]:
        count = len(self.ip_adapter)
        _alone("--ip-adapter", count, {"--ip-image": self.ip_image})
        if count == 1 and self.ip_image:
            groups: Sequence[Sequence[Image]] = [self.ip_image]
        else:
            groups = [[image] for image in _each("--ip-image", self.ip_image, "--ip-adapter", count)]
        rows = zip(self.ip_adapter, groups, strict=True)
        return [PicturePrompt(model=a.value, weight=a.weight, images=tuple(images)) for a, images in rows]


def _alone(of: str, count: int, named: Mapping[str, Sequence[Any]]) -> None:
    """Raise RunError for flags that stand without what they belong to."""
    for flag, values in named.items():
        if values and not count:
            raise RunError(f"{flag} stands without {of}", hint=f"as in: {of} NAME {flag} ...", code="wrong-shape")


def _each(flag: str, values: Sequence[Any], of: str, count: int) -> list[Any]:
    """One value for each of so many; one alone is for all. Raises RunError."""
    if count and not values:
        raise RunError(f"{of} needs a picture", hint=f"as in: {of} NAME {flag} edges.png", code="wrong-shape")
    if count and len(values) not in (1, count):
        message = f"there are {len(values)} {flag} for {count} {of}"
        raise RunError(message, hint="one for each, in the same order, or one for all", code="wrong-shape")
    return list(values) * count if len(values) == 1 else list(values)


def moved_along(asked: Generation, size: tuple[int, int], change: Callable[[Image], Image]) -> Generation:
    """The request with its control pictures brought to a size and then changed as the picture itself is."""

    def one(image: Image) -> Image:
        from PIL.Image import Resampling

        same = image.size == size
        return change(image if same else Image.from_pil(image.pil().resize(size, Resampling.LANCZOS)))

    return replace(asked, controls=tuple(replace(c, image=one(c.image)) for c in asked.controls))
