"""catalogue.db: one row a model, and the files that were looked at and are none."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.database import Database, Migrations, Opened, copy_in_memory
from invoke_shell.models.entry import Entry
from invoke_shell.models.finding import Finding

if TYPE_CHECKING:
    import sqlite3

__all__ = ["MIGRATIONS", "Rows"]

MIGRATIONS: Migrations = (
    (
        # finding: JSON of a Finding; its kind stands apart because names are unique within one.
        """CREATE TABLE models (
            key TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL UNIQUE,
            stamp TEXT NOT NULL, origin TEXT NOT NULL, source TEXT NOT NULL, hash TEXT NOT NULL,
            hashes TEXT NOT NULL, original TEXT NOT NULL, weights TEXT NOT NULL,
            added REAL NOT NULL, verified REAL NOT NULL, finding TEXT NOT NULL)""",
        "CREATE UNIQUE INDEX models_by_name ON models (kind, name)",
        # Files that a scan need not open again while their stamp is the same, and what was wrong with them.
        "CREATE TABLE looked (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, why TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)
COLUMNS = "key, name, path, stamp, origin, source, hash, hashes, original, weights, added, verified, finding"
FINDING = {f.name for f in dataclasses.fields(Finding)}  # a later program may have written more
WHAT = "the catalogue of models"


class Rows:
    """The catalogue's file, open. Every write is one transaction; two shells may write at once.

    Raises OutputError when another program holds the file for 5 seconds, or it is damaged.
    """

    def __init__(self, path: Path | None) -> None:
        self._db = Database.open(path, MIGRATIONS, WHAT) if path is not None else _nowhere()

    def notices(self) -> list[str]:
        """Sentences that were not given yet."""
        new, self._db.notices = self._db.notices, []
        return new

    def all(self, kind: str = "") -> list[Entry]:
        """Every model, or those of a kind, by name."""
        where, values = ("WHERE kind = ?", (kind,)) if kind else ("", ())
        rows = self._db.read(f"SELECT {COLUMNS} FROM models {where} ORDER BY kind, name COLLATE NOCASE", *values)
        return [_entry(row) for row in rows]

    def at(self, path: Path) -> Entry | None:
        """The model at a path."""
        rows = self._db.read(f"SELECT {COLUMNS} FROM models WHERE path = ?", str(path))
        return _entry(rows[0]) if rows else None

    def stamps(self) -> dict[str, str]:
        """Path -> stamp of every model."""
        return dict(self._db.read("SELECT path, stamp FROM models"))

    def looked(self) -> dict[str, tuple[str, str]]:
        """Path -> (stamp, why) of files that are no models."""
        return {path: (stamp, why) for path, stamp, why in self._db.read("SELECT path, stamp, why FROM looked")}

    def fact(self, name: str) -> str:
        """A text kept by name; "" when there is none."""
        rows = self._db.read("SELECT value FROM facts WHERE name = ?", name)
        return str(rows[0][0]) if rows else ""

    def keep_fact(self, name: str, value: str) -> None:
        """Keep a text by name."""
        self._db.change("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, value)

    def put(self, entries: Iterable[Entry], taken: Collection[str] = ()) -> list[Entry]:
        """Add models, or bring those at the same paths up to date; as they are kept: with keys, and names of their own.

        taken: names that are somebody else's. One transaction for all.
        """
        return self._db.write(lambda db: [_put(db, entry, taken) for entry in entries])

    def look(self, found: Mapping[str, tuple[str, str]]) -> None:
        """Remember files that are no models: path -> (stamp, why)."""

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO looked VALUES (?, ?, ?)", ((p, s, w) for p, (s, w) in found.items()))

        if found:
            self._db.write(write)

    def change(self, entry: Entry, **fields: Any) -> Entry:
        """Write some fields of a model that is there. Raises OutputError; a name must be free."""
        changed = replace(entry, **fields)
        row = _row(changed)
        names = [f for f in fields if f != "finding"] + (["kind", "finding"] if "finding" in fields else [])
        self._db.change(
            f"UPDATE models SET {', '.join(f'{n} = ?' for n in names)} WHERE key = ?",
            *(row[n] for n in names),
            entry.key,
        )
        return changed

    def drop(self, paths: Iterable[str]) -> None:
        """Forget models by their paths."""
        gone = [(path,) for path in paths]
        if gone:
            self._db.write(lambda db: db.executemany("DELETE FROM models WHERE path = ?", gone))


def _nowhere() -> Database:
    """A catalogue of this process alone."""
    opened = Opened(connection=copy_in_memory(None, MIGRATIONS), in_memory=True)
    return Database(Path(":memory:"), opened, WHAT)


def _put(db: sqlite3.Connection, entry: Entry, taken: Collection[str]) -> Entry:
    there = db.execute("SELECT key, name, added FROM models WHERE path = ?", (str(entry.path),)).fetchone()
    key, wanted, added = there or (_new_key(), entry.name, time.time())
    used = {
        name
        for (name,) in db.execute(
            "SELECT name FROM models WHERE kind = ? AND key <> ? AND (name = ? OR name GLOB ? || '-[0-9]*')",
            (entry.kind, key, wanted, wanted),
        )
    }
    kept = replace(entry, key=key, added=added, name=_free(wanted, {*used, *taken}))
    row = _row(kept)
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT OR REPLACE INTO models ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    db.execute("DELETE FROM looked WHERE path = ?", (str(entry.path),))
    return kept


def _new_key() -> str:
    from uuid import uuid4  # only a new model pays for it

    return str(uuid4())


def _free(name: str, used: Collection[str]) -> str:
    """`fox`, or `fox-2` where fox is taken."""
    number = 1
    while (free := name if number == 1 else f"{name}-{number}") in used:
        number += 1
    return free


def _row(entry: Entry) -> dict[str, Any]:
    row = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry)}
    texts = {name: json.dumps(row[name]) for name in ("hashes", "original", "weights")}
    finding = {f.name: getattr(entry.finding, f.name) for f in dataclasses.fields(entry.finding)}
    told = json.dumps({name: value for name, value in finding.items() if value})
    return {**row, **texts, "path": str(entry.path), "kind": entry.kind, "finding": told}


def _entry(row: tuple[Any, ...]) -> Entry:
    fields = dict(zip(COLUMNS.split(", "), row, strict=True))
    kept = json.loads(fields["finding"])
    finding = {"reason": "", **{name: value for name, value in kept.items() if name in FINDING}}
    lists = {name: tuple(value) for name, value in finding.items() if isinstance(value, list)}
    texts = {name: json.loads(fields[name]) for name in ("hashes", "original", "weights")}
    return Entry(**{**fields, **texts, "path": Path(fields["path"]), "finding": Finding(**{**finding, **lists})})
