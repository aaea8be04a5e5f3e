"""`info --json` of thousands: a picture of ours as one line of JSON, its steps as they stand in the file.

Nothing is made of the steps here: the command is the recorded one, and models and sources are looked up once each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii as quoted  # json.dumps takes ten times as long for a string
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import InvokeShellError
from invoke_shell.metadata.history import read_resource
from invoke_shell.metadata.read import PictureInfo
from invoke_shell.metadata.replay import model_missing
from invoke_shell.records import Resource

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["Listed"]


class Listed:
    """What was looked up for the pictures before this one."""

    def __init__(self, shell: Session) -> None:
        self.shell = shell
        self.known: dict[tuple[object, ...], str] = {}

    def line(self, label: str, path: Path, found: PictureInfo) -> str | None:
        """The record of `info` of a picture that was read as one of a listing; None for one to be looked at in full."""
        data, steps = found.data, found.steps_text
        command = data.get("command") if data is not None else None
        if data is None or not isinstance(command, str) or not steps or not (steps.isascii() and steps.isprintable()):
            return None
        try:
            missing = list(self.missing(data))
        except (InvokeShellError, TypeError):
            return None  # not of the form: the full look says where
        size = os.stat(path).st_size
        return (
            f'{{"event": "info", "image": {quoted(label)}, "tool": "{found.tool}", "width": {found.width}, "height": '
            f'{found.height}, "format": "png", "bytes": {size}, "command": {quoted(command)}, "steps": {steps}, '
            f'"missing": {_list(missing)}, "warnings": {_list(found.warnings)}}}'
        )

    def missing(self, data: Any) -> Iterator[str]:
        """What is not here, a sentence each. Raises TypeError, MetadataError."""
        for step in data["steps"]:
            if step["node"] not in self.shell.registry:
                raise TypeError
        for row in data.get("resources", ()):
            key = (row["kind"], row.get("name"), row.get("resource_hash"), row.get("pixel_hash"))
            if key not in self.known:
                self.known[key] = self.look(row)
            if self.known[key]:
                yield self.known[key]

    def look(self, row: dict[str, Any]) -> str:
        """The sentence on a model that is not here; "" for what is. Raises TypeError for a source that is not."""
        from invoke_shell.shell.replay.finding import Here

        item = read_resource(row, "a resource")
        if isinstance(item, Resource):
            if not self.shell.keeper.sources.has(item.hash):
                raise TypeError
            return ""
        return "" if Here(self.shell.catalogue, self.shell.keeper).model(item) else model_missing(item)


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"
