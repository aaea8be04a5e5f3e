"""What undo takes back: every change of results as their states before and after, by session. Rows in sessions.db."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from invoke_shell.database import Database

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Action", "Journal", "Written"]

COLUMNS = "id, session, said, before, after, files, names"


@dataclass(frozen=True, kw_only=True)
class Written:
    """A file that a line wrote beside the results. hash: of its bytes then; trashed: where it is, "" at its path."""

    path: str
    hash: str
    trashed: str = ""


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing a person did. said: in their words; before, after: states of results by number.

    names: that were given or moved, each with the numbers it stood for before and after.
    """

    id: int
    session: int
    said: str
    before: Mapping[int, str]
    after: Mapping[int, str]
    files: tuple[Written, ...] = ()
    names: Mapping[str, tuple[list[int], list[int]]] = field(default_factory=dict)


class Journal:
    """The actions of one home. One that is undone waits for redo until the next one comes."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        session: int,
        said: str,
        before: Mapping[int, str],
        after: Mapping[int, str],
        files: Sequence[Written] = (),
        names: Mapping[str, tuple[list[int], list[int]]] | None = None,
    ) -> None:
        """Something was done: what was undone before it cannot be redone any more."""
        row = (session, said, json.dumps(before), json.dumps(after), _files_text(files), json.dumps(names or {}))

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM actions WHERE session = ? AND undone", (session,))
            db.execute(
                "INSERT INTO actions (session, said, before, after, files, names) VALUES (?, ?, ?, ?, ?, ?)", row
            )

        self._db.write(write)

    def last(self, session: int) -> Action | None:
        """What undo takes back."""
        return self._one("WHERE session = ? AND NOT undone ORDER BY id DESC LIMIT 1", session)

    def next(self, session: int) -> Action | None:
        """What redo does again."""
        return self._one("WHERE session = ? AND undone ORDER BY id LIMIT 1", session)

    def turn(self, action: int, *, undone: bool, files: Sequence[Written] = ()) -> None:
        """An action was taken back, or done again; where its files are now."""
        sql = "UPDATE actions SET undone = ?, files = ? WHERE id = ?"
        self._db.change(sql, undone, _files_text(files), action)

    def _one(self, condition: str, session: int) -> Action | None:
        rows = self._db.read(f"SELECT {COLUMNS} FROM actions {condition}", session)
        return _action(rows[0]) if rows else None


def _files_text(files: Sequence[Written]) -> str:
    return json.dumps([[f.path, f.hash, f.trashed] for f in files])


def _action(row: Sequence[str]) -> Action:
    number, session, said, before, after, files, names = row
    return Action(
        id=int(number),
        session=int(session),
        said=said,
        before={int(n): state for n, state in json.loads(before).items()},
        after={int(n): state for n, state in json.loads(after).items()},
        files=tuple(Written(path=path, hash=digest, trashed=trashed) for path, digest, trashed in json.loads(files)),
        names={name: (was, now) for name, (was, now) in json.loads(names).items()},
    )
