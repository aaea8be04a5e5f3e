"""One run of a node: its call, what came through the pipe, and its other pictures; and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from invoke_shell.pipeline.cache import step_key
from invoke_shell.pipeline.calls import Call, models_of
from invoke_shell.pipeline.facts import InputRef
from invoke_shell.pipeline.node import Node
from invoke_shell.records import Frame, Image, Made, Resource, StepRecord

__all__ = ["Turn", "loaded"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """frames: what came through the pipe: nothing, one picture, or all; pictures: those of the other parameters."""

    node: Node[Any, Any]
    call: Call
    frames: Sequence[Frame]
    pictures: Mapping[str, Sequence[Frame | Image]]

    def run(self, context: Any, fit: Callable[[Node[Any, Any], str, Frame | Image], Any]) -> Any:
        """Call the node's function. fit: a picture as a parameter wants it."""
        values = dict(self.call.params)
        for name, found in self.pictures.items():
            images = [fit(self.node, name, picture) for picture in found]
            values[name] = images if self.node.params[name].kind.many else images[0] if images else None
        arguments = self.node.arguments(values)
        if self.node.frames:
            arguments[self.node.frames] = self.frames if self.node.takes == "all" else self.frames[0]
        return self.node.func(*([context] if self.node.context else []), **arguments)

    def record(self, environment: Callable[..., Mapping[str, Any]]) -> StepRecord:
        """The step as it stands before it ran. environment: of a run, by whether it uses `models`."""
        inputs: dict[str, tuple[StepRecord | Resource, ...]] = {}
        if self.node.frames:
            inputs[self.node.frames] = tuple(frame.step for frame in self.frames)
        for name, found in self.pictures.items():
            pairs = zip(self.call.inputs[name], found, strict=True)
            inputs[name] = tuple(_origin(item, picture) for item, picture in pairs)
        models = dict(models_of(self.call.params))
        return StepRecord(
            node=self.node.name,
            version=self.node.version,
            package=self.node.package,
            params={p.name: _plain(p, self.call.params[p.name]) for p in self.node.recorded},
            inputs={name: items for name, items in inputs.items() if items},
            models=models,
            environment=environment(models=bool(models)),
        )

    def key(self, record: StepRecord) -> str:
        """The cache's key. Of a frame its history counts too, for a node may read that (a sheet's labels)."""
        hashes = {name: [_identity(picture) for picture in found] for name, found in self.pictures.items()}
        if self.node.frames:
            hashes[self.node.frames] = [frame.step.key for frame in self.frames]
        besides = {p.name: _plain(p, self.call.params[p.name]) for p in self.node.unrecorded}
        besides |= {"": self.node.edition} if self.node.edition else {}
        return step_key(record, hashes, record.environment, besides)

    def frame(self, record: StepRecord, made: Made) -> Frame:
        """A picture the node gave, with the step that made it."""
        known = {field.name: getattr(record, field.name) for field in fields(record)}
        step = StepRecord(**{**known, "facts": made.facts, **_output(made.image)})
        _ = step.key  # while the inputs' keys are cached: a history may be thousands of steps deep
        return Frame(image=made.image, step=step, values=self.call.flows)


def loaded(loader: Node[Any, Any], image: Image, **known: Any) -> StepRecord:
    """The step of a picture that has no history but that it was loaded."""
    whence = {"node": loader.name, "version": loader.version, "package": loader.package, "params": {}}
    return StepRecord(**{**whence, **known, **_output(image)})


def _output(image: Image) -> dict[str, Any]:
    return {"output_hash": image.hash, "width": image.width, "height": image.height}


def _plain(p: Any, value: Any) -> Any:
    if p.kind.many:
        return [p.kind.plain(v) for v in value or ()]
    return p.kind.plain(value)


def _origin(item: int | InputRef, picture: Frame | Image) -> StepRecord | Resource:
    if isinstance(item, InputRef):
        return item.resource()
    assert isinstance(picture, Frame)  # calls give frames
    return picture.step


def _identity(picture: Frame | Image) -> str:
    return picture.step.key if isinstance(picture, Frame) else picture.hash
