"""What a node's function is called with, outside of any run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from invoke_shell.records import Frame, Image, StepRecord
from invoke_shell.runtime.fake import FakeEngine


def frame_of(image: Image) -> Frame:
    """A picture with a step that is nobody's."""
    return Frame(image=image, step=StepRecord(node="test", version=1, package="", params={}))


def pixel(image: Image, x: int, y: int) -> tuple[int, ...]:
    """One pixel."""
    bands = len(image.mode)
    at = (y * image.width + x) * bands
    return tuple(image.pixels[at : at + bands])


@dataclass
class FakeContext:
    """A Context on the fake engine; remembers what it is told."""

    device: str = "cpu"
    said: list[str] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)

    @property
    def engine(self) -> Any:
        return _Recorder(self)

    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)

    mention = say

    def ask(self, request: Any) -> None:
        self.asked.append(request)


class _Recorder(FakeEngine):
    def __init__(self, context: FakeContext) -> None:
        super().__init__()
        self.context = context
        self.watch(context)

    def generate(self, request: Any) -> Any:
        self.context.requests.append(request)
        return super().generate(request)

    def enlarge(self, request: Any) -> Any:
        self.context.requests.append(request)
        return super().enlarge(request)
