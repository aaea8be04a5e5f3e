"""What a command file may not do unless it is trusted: told before its first line runs.

Running programs, changing what the next session does, deleting, and writing anywhere but among the pictures. What gets
by because a path is known only later is refused where it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import Fault
from invoke_shell.pipeline.bind import Bound
from invoke_shell.pipeline.chain import Stage, Value

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["not_allowed"]

ONLY = "which a file may only with --trust"
NEVER = {
    "open": "open starts a program of the system",
    "edit": "edit starts a program of the system",
    "abbr": "abbr changes what is typed later",
}
CHANGES = ("outdir", "filename", "editor", "viewer")  # settings that say where is written, and what is started
WRITERS = {"save": "path", "export": "file", "gallery": "file", "strip": "output"}


def not_allowed(session: Session, bound: Bound) -> Iterator[Fault]:
    """What a line of a file asks for and may not; nothing where the file is trusted."""
    if session.trusted:
        return
    if bound.line.kind == "system":
        message = f"a $ line runs a program of the system, {ONLY}"
        yield Fault(bound.line.start, bound.line.end, message, "", "not-trusted")
    for stage in bound.chain.stages:
        if message := _refused(session, stage):
            yield Fault(*stage.span, message, "", "not-trusted")


def _refused(session: Session, stage: Stage) -> str:
    """Why a stage may not run, "" when it may."""
    if stage.node in NEVER:
        return f"{NEVER[stage.node]}, {ONLY}"
    values = {name: v.value for name, v in stage.values.items() if isinstance(v, Value)}
    if stage.node == "models" and values.get("action", "list") not in _harmless():
        return f"models {values['action']} changes the catalogue, {ONLY}"
    if stage.node == "trash" and values.get("action") == "empty":
        return f"trash empty deletes files, {ONLY}"
    if (stage.node, values.get("keep")) == ("set", True) or (stage.node, values.get("write")) == ("settings", True):
        return f"{stage.node} would write the settings of every session, {ONLY}"
    if stage.node == "set" and str(values.get("name")).lstrip("-").replace("-", "_") in CHANGES:
        return f"set {values['name']} says where is written or what is started, {ONLY}"
    path = values.get(WRITERS.get(stage.node, ""))
    return _outside(session, path) if isinstance(path, Path) and str(path) != "-" else ""


def _harmless() -> tuple[str, ...]:
    """What `models` does without changing the catalogue."""
    from invoke_shell.shell.builtins.models import ACTIONS, WRITES

    return tuple(action for action in ACTIONS if action not in WRITES)


def _outside(session: Session, path: Path) -> str:
    """Why a path may not be written: links are followed, as writing would follow them."""
    path = path.expanduser()
    path = session.base / path if session.base is not None and not path.is_absolute() else path
    if path.resolve().is_relative_to(session.keeper.results.folder().resolve()):
        return ""
    return f"{path} is outside the output folder, where a file may write only with --trust"
