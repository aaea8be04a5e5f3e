"""What is remembered, as rows: a session, a line, a result; and the columns they are read from."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "LINE",
    "RESULT",
    "SESSION",
    "SHOWN",
    "USED",
    "Facts",
    "LineRow",
    "ResultRow",
    "Session",
    "State",
    "Status",
    "Unfinished",
    "result_of",
    "time_name",
    "values_by",
]

State = Literal["pending", "done", "kept", "discarded", "lost"]
Status = Literal["running", "done", "failed", "cancelled", "interrupted", "dropped"]

SHOWN = "state IN ('done', 'kept')"  # results that handles counting back, ranges and @@ see
SESSION = "id, name, started, used"
USED = (
    "(EXISTS (SELECT 1 FROM lines l WHERE l.session = sessions.id) "
    "OR EXISTS (SELECT 1 FROM settings s WHERE s.session = sessions.id))"
)
LINE = "id, session, text, resolved, status, pictures, started, seconds, run, place"
RESULT = (
    "n, line, session, state, path, trashed, width, height, seed, pixel_hash, "
    "name, place, inner, parents, made, seconds, metadata"
)


@dataclass(frozen=True, kw_only=True)
class Session:
    """started, used: seconds since 1970; used is when a line was last begun."""

    id: int
    name: str
    started: float
    used: float

    @property
    def named(self) -> bool:
        """Whether a person gave it its name."""
        return not self.name.startswith(time_name(self.started))


def time_name(when: float) -> str:
    """What a session without a name is called."""
    return time.strftime("%Y-%m-%d-%H%M%S", time.localtime(when))


@dataclass(frozen=True, kw_only=True)
class LineRow:
    """text: as typed; resolved: with every value. pictures: results it gives in all. seconds: 0 while it runs.

    run: the command file it is a line of (runs.py), 0 for none; place: which of its lines, from 0.
    """

    id: int
    session: int
    text: str
    resolved: str
    status: Status
    pictures: int
    started: float
    seconds: float
    run: int
    place: int


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A line that ended early and can be resumed: `done` of `line.pictures` are there."""

    line: LineRow
    done: int


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a picture before it has a number.

    title: the prompt, or the node where there is none; for the file's name, as `model` is. metadata: the sd-metadata
    text. name: of `as @NAME`. place: index among the line's results, from 0. inner: an in-between picture kept by its
    name, not one of the last stage. parents: numbers of the results it was made from. seconds: it took to make.
    """

    width: int = 0
    height: int = 0
    pixel_hash: str = ""
    seed: int | None = None
    title: str = ""
    model: str = ""
    metadata: str = ""
    name: str = ""
    place: int = 0
    inner: bool = False
    parents: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """A result as stored. path: its file, or where that was meant to be. trashed: where it is once discarded."""

    n: int
    line: int
    session: int
    state: State
    path: Path
    trashed: Path | None
    width: int
    height: int
    seed: int | None
    pixel_hash: str
    name: str
    place: int
    inner: bool
    parents: tuple[int, ...]
    made: float
    seconds: float
    metadata: str

    @property
    def handle(self) -> str:
        """As typed: `@12`."""
        return f"@{self.n}"


def values_by(columns: str, row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(columns.split(", "), row, strict=True))


def result_of(row: Sequence[Any]) -> ResultRow:
    values = values_by(RESULT, row)
    values["path"] = Path(values["path"])
    values["trashed"] = Path(values["trashed"]) if values["trashed"] else None
    values["seed"] = None if values["seed"] is None else int(values["seed"])
    values["inner"] = bool(values["inner"])
    values["parents"] = tuple(json.loads(values["parents"]))
    return ResultRow(**values)
