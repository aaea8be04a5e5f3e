"""What sessions.db holds."""

from __future__ import annotations

from pathlib import Path

from invoke_shell.database import Database, Migrations

__all__ = ["MIGRATIONS", "open_sessions"]

MIGRATIONS: Migrations = (
    (
        """CREATE TABLE sessions (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, started REAL NOT NULL, used REAL NOT NULL)""",
        # status: running, done, failed, cancelled, interrupted. owner: the process that runs it (alive.py).
        # pictures: how many results the whole line gives, 0 when it gives none.
        """CREATE TABLE lines (
            id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions, text TEXT NOT NULL,
            status TEXT NOT NULL, owner TEXT NOT NULL, pictures INTEGER NOT NULL,
            started REAL NOT NULL, seconds REAL NOT NULL DEFAULT 0,
            resolved TEXT NOT NULL, plan TEXT NOT NULL)""",
        "CREATE INDEX lines_of_session ON lines (session, id)",
        "CREATE INDEX lines_not_done ON lines (status, id) WHERE status <> 'done'",
        # AUTOINCREMENT: a number is never given twice, even if its row were deleted. seed is text: SQLite's integers
        # end at 2^63. state: pending, done, kept, discarded, lost. metadata last: it is long, and rows are read from
        # the left.
        """CREATE TABLE results (
            n INTEGER PRIMARY KEY AUTOINCREMENT, line INTEGER NOT NULL REFERENCES lines, session INTEGER NOT NULL,
            state TEXT NOT NULL, path TEXT NOT NULL, trashed TEXT NOT NULL DEFAULT '',
            width INTEGER NOT NULL, height INTEGER NOT NULL, seed TEXT, pixel_hash TEXT NOT NULL,
            name TEXT NOT NULL, place INTEGER NOT NULL, inner INTEGER NOT NULL, parents TEXT NOT NULL,
            made REAL NOT NULL, seconds REAL NOT NULL, metadata TEXT NOT NULL)""",
        "CREATE INDEX results_of_session ON results (session, state, n)",
        "CREATE INDEX results_of_line ON results (line)",
        "CREATE INDEX results_of_pixels ON results (pixel_hash)",
        "CREATE INDEX results_pending ON results (n) WHERE state = 'pending'",
        """CREATE TABLE names (
            session INTEGER NOT NULL, name TEXT NOT NULL, place INTEGER NOT NULL, n INTEGER NOT NULL,
            PRIMARY KEY (session, name, place)) WITHOUT ROWID""",
        """CREATE TABLE settings (
            session INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (session, key)) WITHOUT ROWID""",
    ),
    (
        # What undo takes back. before, after: JSON, number of a result -> state; files: [path, hash, where it is].
        """CREATE TABLE actions (
            id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL, said TEXT NOT NULL,
            before TEXT NOT NULL, after TEXT NOT NULL, files TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0)""",
        "CREATE INDEX actions_of_session ON actions (session, undone, id)",
        # A command file on its way. at: the line it is in, of `lines`; pictures: of all lines, 0 when not known.
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL, path TEXT NOT NULL, text TEXT NOT NULL,
            trusted INTEGER NOT NULL, keep_going INTEGER NOT NULL, at INTEGER NOT NULL, lines INTEGER NOT NULL,
            pictures INTEGER NOT NULL, started REAL NOT NULL, owner TEXT NOT NULL, status TEXT NOT NULL)""",
        "CREATE INDEX runs_not_done ON runs (status, id) WHERE status <> 'done'",
        # run: the command file that a line is of, 0 for none; place: which line of it, from 0.
        "ALTER TABLE lines ADD COLUMN run INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE lines ADD COLUMN place INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX lines_of_run ON lines (run) WHERE run <> 0",
        "CREATE TABLE abbreviations (word TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID",
    ),
    # Names that an action gave or moved. JSON: name -> the numbers it stood for before, and after.
    ("ALTER TABLE actions ADD COLUMN names TEXT NOT NULL DEFAULT '{}'",),
)


def open_sessions(path: Path) -> Database:
    """The file, open. What is wrong with it is in `notices`, not raised."""
    return Database.open(path, MIGRATIONS, "this session")
