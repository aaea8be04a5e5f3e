"""Command files on their way: how far each is, so that a later process can go on with it. Rows in sessions.db."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from invoke_shell.database import Database

__all__ = ["FileRun", "Runs"]

COLUMNS = "id, session, path, text, trusted, keep_going, at, lines, pictures, started, status"
MADE = "state IN ('done', 'kept', 'discarded')"


@dataclass(frozen=True, kw_only=True)
class FileRun:
    """A command file that was begun. text: what it said then. at: the line it is in, of `lines`, from 0.

    pictures: all it will make, 0 when that is not known; done: those that are there.
    """

    id: int
    session: int
    path: str
    text: str
    trusted: bool
    keep_going: bool
    at: int
    lines: int
    pictures: int
    started: float
    status: str
    done: int


class Runs:
    """The command files of one home. owner: the name that this process goes by."""

    def __init__(self, database: Database, owner: Callable[[], str]) -> None:
        self._db = database
        self._owner = owner

    def begin(
        self, session: int, path: str, text: str, *, trusted: bool, keep_going: bool, lines: int, pictures: int
    ) -> int:
        """Remember a file before its first line; its id."""
        columns = "session, path, text, trusted, keep_going, at, lines, pictures, started, owner, status"
        row = (
            session, path, text, trusted, keep_going, 0, lines, pictures, time.time(), self._owner(), "running",
        )  # fmt: skip
        marks = ", ".join("?" * len(row))
        return self._db.write(
            lambda db: db.execute(f"INSERT INTO runs ({columns}) VALUES ({marks})", row).lastrowid or 0
        )

    def begin_again(self, run: int) -> None:
        """A file goes on, in this process."""
        self._db.change("UPDATE runs SET status = 'running', owner = ? WHERE id = ?", self._owner(), run)

    def reach(self, run: int, at: int) -> None:
        """The file is in this line now, from 0."""
        self._db.change("UPDATE runs SET at = ? WHERE id = ?", at, run)

    def end(self, run: int, status: str) -> None:
        """The file is over: done, failed, cancelled, or dropped by the person."""
        self._db.change("UPDATE runs SET status = ? WHERE id = ?", status, run)

    def unfinished(self) -> list[FileRun]:
        """Files that ended early, the newest first."""
        return self._runs("WHERE status <> 'done' AND status IN ('interrupted', 'cancelled', 'failed')")

    def of_path(self, path: str) -> FileRun | None:
        """The last run of a file that does not run now."""
        return next(iter(self._runs("WHERE path = ? AND status <> 'running'", path)), None)

    def _runs(self, condition: str, *values: object) -> list[FileRun]:
        rows = self._db.read(f"SELECT {COLUMNS} FROM runs {condition} ORDER BY id DESC LIMIT 100", *values)
        return [self._run(row) for row in rows]

    def _run(self, row: tuple[object, ...]) -> FileRun:
        found = dict(zip(COLUMNS.split(", "), row, strict=True))
        made = f"SELECT count(*) FROM results r JOIN lines l ON l.id = r.line WHERE l.run = ? AND r.{MADE}"
        done = int(self._db.read(made, found["id"])[0][0])
        trusted, keep_going = bool(found.pop("trusted")), bool(found.pop("keep_going"))
        return FileRun(**found, trusted=trusted, keep_going=keep_going, done=done)  # type: ignore[arg-type]
