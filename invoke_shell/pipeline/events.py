"""What a run tells, in order.

Frozen dataclasses: they cross the worker's pipe and make the log, and the UI is a fold over them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeAlias

from invoke_shell.errors import InvokeShellError
from invoke_shell.pipeline.context import Ask
from invoke_shell.records import Frame, Image

__all__ = [
    "AskShell",
    "ChainDone",
    "ChainStarted",
    "Event",
    "Failed",
    "FrameDone",
    "Progress",
    "Said",
    "StageDone",
    "StageStarted",
    "to_plain",
]


@dataclass(frozen=True, kw_only=True)
class ChainStarted:
    """stages: node names in order; pictures: how many the last stage will give, as far as known."""

    stages: tuple[str, ...]
    pictures: int


@dataclass(frozen=True, kw_only=True)
class StageStarted:
    """stage: index from 0; calls: how often the node will run."""

    stage: int
    node: str
    calls: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """call: index of the picture within the stage, from 0; done of total steps. preview: a small picture or None.

    unit: what is counted, where that is no steps: MB.
    """

    stage: int
    call: int
    done: int
    total: int
    preview: Image | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One line for the person. warning: something is not as asked."""

    text: str
    warning: bool = False


@dataclass(frozen=True, kw_only=True)
class FrameDone:
    """A picture is finished. final: a result of the line (last stage, or named); cached: no node ran for it.

    seconds: what it took, and the pictures before it that are no results.
    number: index among the results of the line, from 0, in reading order; name: from `as @NAME`.
    """

    stage: int
    call: int
    frame: Frame
    final: bool
    number: int = 0
    name: str = ""
    cached: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AskShell:
    """A node asks the shell to save or show."""

    ask: Ask


@dataclass(frozen=True, kw_only=True)
class StageDone:
    """ran: calls that ran a node; cached: calls answered from the cache."""

    stage: int
    node: str
    ran: int
    cached: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The run ended early: a RunError, Cancelled, or anything of the tree. The last event."""

    error: InvokeShellError


@dataclass(frozen=True, kw_only=True)
class ChainDone:
    """All done. The last event."""

    pictures: int
    seconds: float


Event: TypeAlias = ChainStarted | StageStarted | Progress | Said | FrameDone | AskShell | StageDone | Failed | ChainDone


def to_plain(event: Event) -> dict[str, Any]:
    """One JSON object of an event, for `--events FILE`; pictures become their hash and size."""
    plain: dict[str, Any] = {"event": type(event).__name__}
    for spec in dataclasses.fields(event):
        plain[spec.name] = _plain(getattr(event, spec.name))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Image):
        return {"hash": value.hash, "width": value.width, "height": value.height}
    if isinstance(value, Frame):
        return {"image": _plain(value.image), "node": value.step.node, "params": dict(value.step.params)}
    if isinstance(value, Ask):
        return {"what": value.what, "image": _plain(value.frame.image), "path": str(value.path or "")}
    if isinstance(value, InvokeShellError):
        return {"code": value.code, "message": value.message, "hint": value.hint}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value
