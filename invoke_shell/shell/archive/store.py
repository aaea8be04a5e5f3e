"""What the shell remembers: sessions, lines, results, names, settings. Rows in sessions.db; no picture files here.

A result's life: pending (its number is given, its file not yet there), done, then kept or discarded; or lost, when the
run ended before its file was complete. A number counts for the whole home and is never given twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.database import Database
from invoke_shell.errors import OutputError
from invoke_shell.shell.archive.alive import Signs
from invoke_shell.shell.archive.database import open_sessions
from invoke_shell.shell.archive.journal import Journal
from invoke_shell.shell.archive.rows import (
    LINE,
    RESULT,
    SESSION,
    SHOWN,
    USED,
    Facts,
    LineRow,
    ResultRow,
    Session,
    State,
    Status,
    Unfinished,
    result_of,
    time_name,
    values_by,
)
from invoke_shell.shell.archive.runs import Runs

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Facts", "LineRow", "ResultRow", "Session", "State", "Status", "Store", "Unfinished"]


class Store:
    """One home's memory, open. What a method wrote is on the disk when it returns.

    All methods raise OutputError when another program holds the file for 5 seconds, or the file is damaged.
    """

    def __init__(self, home: Path, database: Database) -> None:
        self.home = home
        self._db = database
        self._signs = Signs(home / "shells")
        self.journal = Journal(database)
        self.runs = Runs(database, lambda: self.owner)

    @classmethod
    def open(cls, home: Path) -> Store:
        """Open or create `home`/sessions.db. What is wrong with it is in `notices`, not raised."""
        store = cls(home, open_sessions(home / "sessions.db"))
        if not store.in_memory:
            store._signs.appear()
        return store

    def close(self) -> None:
        """Let the file go. What still runs in this process counts as interrupted from now on."""
        self._db.close()
        self._signs.vanish()

    @property
    def in_memory(self) -> bool:
        """True when nothing written here outlives this process; `notices` says why."""
        return self._db.in_memory

    def notices(self) -> list[str]:
        """Sentences for the person that were not given yet: each is given once."""
        new, self._db.notices = self._db.notices, []
        return new

    @property
    def owner(self) -> str:
        """The name this process goes by: on its lines, and in the names of files it has not finished."""
        return self._signs.owner

    # ---- sessions

    def new_session(self, name: str | None = None) -> Session:
        """Begin a session; without a name it is called by its time. Raises OutputError if the name is taken."""
        if name and self._sessions("WHERE name = ?", name):
            raise OutputError(f"there is a session {name} already", hint=f"--session {name} takes it up")
        now = time.time()
        title = name or time_name(now)
        made = self._db.write(lambda db: _add_session(db, title, now))
        return self._sessions("WHERE id = ?", made)[0]

    def take_up(self, name: str) -> Session:
        """The session of this name, begun if there is none."""
        found = self._sessions("WHERE name = ?", name)
        return found[0] if found else self.new_session(name)

    def continue_last(self) -> Session:
        """The session used last, those in which nothing was done left out; a new one where there is none."""
        last = "ORDER BY used DESC, id DESC LIMIT 1"
        found = self._sessions(f"WHERE {USED} {last}") or self._sessions(last)
        return found[0] if found else self.new_session()

    def session(self, number: int) -> Session:
        """A session by its id."""
        return self._sessions("WHERE id = ?", number)[0]

    def sessions(self) -> list[Session]:
        """All sessions, the last used first."""
        return self._sessions("ORDER BY used DESC, id DESC")

    def was_used(self, session: int) -> bool:
        """False for a session in which nothing was done."""
        return bool(self._sessions(f"WHERE id = ? AND {USED}", session))

    def clone(self, session: int, name: str) -> Session:
        """A new session with the names and settings of another."""
        made = self.new_session(name)

        def copy(db: sqlite3.Connection) -> None:
            for table, columns in (("names", "name, place, n"), ("settings", "key, value")):
                db.execute(
                    f"INSERT INTO {table} (session, {columns}) SELECT ?, {columns} FROM {table} WHERE session = ?",
                    (made.id, session),
                )

        self._db.write(copy)
        return made

    def _sessions(self, condition: str, *values: object) -> list[Session]:
        return [
            Session(**values_by(SESSION, r))
            for r in self._db.read(f"SELECT {SESSION} FROM sessions {condition}", *values)
        ]

    # ---- lines

    def begin_line(
        self,
        session: int,
        text: str,
        resolved: str = "",
        plan: str = "",
        pictures: int = 0,
        run: tuple[int, int] = (0, 0),
    ) -> int:
        """Remember a line before its first step, with its plan (JSON) so that `resume` can read it; its id.

        run: the command file it is of, and its place there.
        """
        now = time.time()
        columns = "session, text, resolved, plan, pictures, started, owner, status, run, place"
        row = (session, text, resolved, plan, pictures, now, self.owner, "running", *run)

        def add(db: sqlite3.Connection) -> int:
            db.execute("UPDATE sessions SET used = ? WHERE id = ?", (now, session))
            return (
                db.execute(f"INSERT INTO lines ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row).lastrowid or 0
            )

        return self._db.write(add)

    def begin_again(self, line: int) -> None:
        """A line that ended early goes on, in this process."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("UPDATE lines SET status = 'running', owner = ? WHERE id = ?", (self.owner, line))
            used = "UPDATE sessions SET used = ? WHERE id = (SELECT session FROM lines WHERE id = ?)"
            db.execute(used, (time.time(), line))

        self._db.write(change)

    def end_line(self, line: int, status: Status, seconds: float) -> None:
        """A line is over; `seconds` are added to those of earlier tries."""
        self._db.change("UPDATE lines SET status = ?, seconds = seconds + ? WHERE id = ?", status, seconds, line)

    def line(self, line: int) -> LineRow | None:
        """A line by its id."""
        return next(iter(self._lines("WHERE id = ?", line)), None)

    def last_of_run(self, run: int) -> LineRow | None:
        """The line of a command file that was begun last."""
        return next(iter(self._lines("WHERE run = ? AND run <> 0 ORDER BY id DESC LIMIT 1", run)), None)

    def plan(self, line: int) -> str:
        """The plan of a line, JSON; "" where it had none."""
        return next((str(row[0]) for row in self._db.read("SELECT plan FROM lines WHERE id = ?", line)), "")

    def history(
        self,
        session: int | None = None,
        search: str = "",
        limit: int = 100,
        *,
        status: str = "",
        since: float = 0.0,
        kept: bool = False,
    ) -> list[LineRow]:
        """Lines, the newest first: of one session or all; those that contain every word of `search`, in either case.

        status: how they ended; since: seconds since 1970; kept: those of which a result was kept.
        """
        conditions = ["(? IS NULL OR session = ?)", "started >= ?"]
        values: list[object] = [session, session, since]
        for word in search.split():
            conditions.append("instr(lower(text), lower(?))")
            values.append(word)
        if status:
            conditions.append("status = ?")
            values.append(status)
        if kept:
            conditions.append("EXISTS (SELECT 1 FROM results r WHERE r.line = lines.id AND r.state = 'kept')")
        return self._lines(f"WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?", *values, limit)

    def unfinished(self, session: int | None = None) -> list[Unfinished]:
        """Lines that ended early with pictures missing, the newest first."""
        early = (
            "status <> 'done' AND status NOT IN ('running', 'dropped') AND pictures > 0 AND (? IS NULL OR session = ?)"
        )
        lines = self._lines(f"WHERE {early} ORDER BY id DESC", session, session)
        found = [Unfinished(line=line, done=self._made(line.id)) for line in lines]
        return [one for one in found if one.done < one.line.pictures]

    def _made(self, line: int) -> int:
        made = "state IN ('done', 'kept', 'discarded')"
        return int(self._db.read(f"SELECT count(*) FROM results WHERE line = ? AND {made}", line)[0][0])

    def _lines(self, condition: str, *values: object) -> list[LineRow]:
        return [LineRow(**values_by(LINE, r)) for r in self._db.read(f"SELECT {LINE} FROM lines {condition}", *values)]

    # ---- results

    def reserve(
        self, line: int, pictures: Sequence[Facts], path: Callable[[int, Facts], Path] | None = None
    ) -> list[int]:
        """Give each picture its number; its row is `pending` until `finish`. path: where its file is meant to be."""
        return self._db.write(lambda db: [_add_result(db, line, facts, path) for facts in pictures])

    def finish(self, n: int, path: Path) -> ResultRow:
        """The file of a reserved number is complete at `path`: the result is done, and its handle may be shown."""
        done = "UPDATE results SET state = 'done', path = ?, made = ? WHERE n = ? AND state IN ('pending', 'lost')"
        self._db.change(done, str(path), time.time(), n)
        return self.results(n)[0]

    def lose(self, n: int) -> None:
        """A reserved number whose file will never be complete."""
        self._db.change("UPDATE results SET state = 'lost' WHERE n = ? AND state = 'pending'", n)

    def mark(self, n: int, state: State, *, path: Path | None = None, trashed: Path | None = None) -> None:
        """Set the state of a result. path: its file's new name. trashed: where the file is, None when at its path."""
        sql = "UPDATE results SET state = ?, path = coalesce(?, path), trashed = ? WHERE n = ?"
        self._db.change(sql, state, str(path) if path else None, str(trashed or ""), n)

    def result(self, n: int) -> ResultRow | None:
        """A result by its number, whatever its state."""
        return next(iter(self.results(n)), None)

    def results(self, *numbers: int) -> list[ResultRow]:
        """Those of these numbers that there are, in the order given."""
        return [row for n in numbers for row in self._results("WHERE n = ?", n)]

    def last_number(self) -> int:
        """The highest number given in this home; 0 before the first."""
        return int(self._db.read("SELECT coalesce(max(n), 0) FROM results")[0][0])

    def newest(self) -> int:
        """The number of the newest result of this home that is to be seen; 0 where there is none."""
        return int(self._db.read(f"SELECT coalesce(max(n), 0) FROM results WHERE {SHOWN}")[0][0])

    def count(self, session: int) -> int:
        """How many results of a session are to be seen."""
        return int(self._db.read(f"SELECT count(*) FROM results WHERE session = ? AND {SHOWN}", session)[0][0])

    def made_by_line(self, line: int) -> list[ResultRow]:
        """Every result of a line that was finished, discarded ones too, in the order of their places."""
        return self._results("WHERE line = ? AND state IN ('done', 'kept', 'discarded') ORDER BY place, n", line)

    def results_of_line(self, line: int) -> list[ResultRow]:
        """What is to be seen of a line's results, in reading order."""
        return self._results(f"WHERE line = ? AND {SHOWN} ORDER BY place, n", line)

    def last_results(self, session: int) -> list[ResultRow]:
        """`@@`: the last stage's pictures of the last line of this session that made any."""
        newest = f"SELECT line FROM results WHERE session = ? AND {SHOWN} AND NOT inner ORDER BY n DESC LIMIT 1"
        return self._results(f"WHERE line = ({newest}) AND {SHOWN} AND NOT inner ORDER BY place, n", session)

    def back(self, session: int, first: int, last: int) -> list[ResultRow]:
        """Results of a session counted back, 1 the newest: `back(s, 4, 1)` is `@-4..-1`, the oldest first."""
        near, far = sorted((first, last))
        order = f"WHERE session = ? AND {SHOWN} ORDER BY n DESC LIMIT ? OFFSET ?"
        rows = self._results(order, session, far - near + 1, near - 1)
        return rows[::-1] if first > last else rows

    def between(self, first: int, last: int) -> list[ResultRow]:
        """Results of the home from number `first` to `last` that are to be seen; backward when first > last."""
        order = "ASC" if first <= last else "DESC"
        return self._results(f"WHERE n BETWEEN ? AND ? AND {SHOWN} ORDER BY n {order}", *sorted((first, last)))

    def of_session(self, session: int) -> list[ResultRow]:
        """All that is to be seen of a session, in the order of its lines and places."""
        return self._results(f"WHERE session = ? AND {SHOWN} ORDER BY line, place, n", session)

    def kept(self, session: int) -> list[ResultRow]:
        """`@kept`: what was kept of this session."""
        return self._results("WHERE session = ? AND state = 'kept' ORDER BY n", session)

    def not_kept(self, session: int) -> list[ResultRow]:
        """The rest: what is to be seen of this session and was not kept."""
        return self._results("WHERE session = ? AND state = 'done' ORDER BY n", session)

    def counts(self) -> dict[str, int]:
        """How many results of the home are in each state."""
        return dict(self._db.read("SELECT state, count(*) FROM results GROUP BY state ORDER BY state"))

    def files(self) -> list[Path]:
        """The paths of all results that are to be seen."""
        return [Path(row[0]) for row in self._db.read(f"SELECT path FROM results WHERE {SHOWN}")]

    def with_pixels(self, start: str) -> list[ResultRow]:
        """Results whose pixel hash (`blake3:` and hex digits) begins so, the newest first."""
        begin = f"WHERE pixel_hash >= ? AND pixel_hash < ? AND {SHOWN} ORDER BY n DESC"
        return self._results(begin, start, start + "~")

    def owns(self, path: Path) -> bool:
        """True when this is the file of a finished result."""
        return bool(self._db.read(f"SELECT 1 FROM results WHERE path = ? AND {SHOWN} LIMIT 1", str(path)))

    def _results(self, condition: str, *values: object) -> list[ResultRow]:
        return [result_of(row) for row in self._db.read(f"SELECT {RESULT} FROM results {condition}", *values)]

    # ---- names and settings

    def named(self, session: int, name: str) -> list[ResultRow]:
        """The pictures a name stands for, in order; none when the name is not known here."""
        rows = self._db.read("SELECT n FROM names WHERE session = ? AND name = ? ORDER BY place", session, name)
        return self.results(*(row[0] for row in rows))

    def names(self, session: int) -> list[str]:
        """Names of this session, that of the newest picture first."""
        rows = self._db.read("SELECT name FROM names WHERE session = ? GROUP BY name ORDER BY max(n) DESC", session)
        return [row[0] for row in rows]

    def set_name(self, session: int, name: str, numbers: Iterable[int]) -> list[int]:
        """Let a name stand for pictures; the numbers it stood for before, so that the shell can say it moved."""
        before = [row.n for row in self.named(session, name)]
        rows = [(session, name, place, n) for place, n in enumerate(numbers)]

        def move(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM names WHERE session = ? AND name = ?", (session, name))
            db.executemany("INSERT INTO names (session, name, place, n) VALUES (?, ?, ?, ?)", rows)

        self._db.write(move)
        return before

    def settings(self, session: int) -> Mapping[str, str]:
        """What was set in this session, as text."""
        return dict(self._db.read("SELECT key, value FROM settings WHERE session = ? ORDER BY key", session))

    def set_setting(self, session: int, key: str, value: str | None) -> None:
        """Set a setting of a session; None takes it away."""
        if value is None:
            self._db.change("DELETE FROM settings WHERE session = ? AND key = ?", session, key)
        else:
            self._db.change(
                "INSERT OR REPLACE INTO settings (session, key, value) VALUES (?, ?, ?)", session, key, value
            )

    def abbreviations(self) -> dict[str, str]:
        """Short words of this home and what they stand for."""
        return dict(self._db.read("SELECT word, text FROM abbreviations ORDER BY word"))

    def set_abbreviation(self, word: str, text: str | None) -> None:
        """Let a short word stand for a text; None takes it away."""
        if text is None:
            self._db.change("DELETE FROM abbreviations WHERE word = ?", word)
        else:
            self._db.change("INSERT OR REPLACE INTO abbreviations (word, text) VALUES (?, ?)", word, text)

    # ---- what a killed process left

    def bury(self) -> list[tuple[ResultRow, str]]:
        """Mark the lines of dead processes as interrupted; their pending results, each with the owner of its file."""
        if self.in_memory:
            return []
        orphans = (
            "SELECT r.n, l.owner FROM results r JOIN lines l ON l.id = r.line WHERE r.state = 'pending' ORDER BY r.n"
        )
        left = [(n, owner) for n, owner in self._db.read(orphans) if self._signs.is_dead(owner)]
        running = "status <> 'done' AND status = 'running'"  # the first half is what makes SQLite use the index
        for table in ("lines", "runs"):
            for (owner,) in self._db.read(f"SELECT DISTINCT owner FROM {table} WHERE {running}"):
                if self._signs.is_dead(owner):
                    self._db.change(f"UPDATE {table} SET status = 'interrupted' WHERE {running} AND owner = ?", owner)
        self._signs.clean()
        return [(self.results(n)[0], owner) for n, owner in left]


def _add_session(db: sqlite3.Connection, title: str, now: float) -> int:
    """Two sessions begun in one second get different names."""
    taken = {
        row[0] for row in db.execute("SELECT name FROM sessions WHERE name = ? OR name LIKE ? || '-%'", (title, title))
    }
    names = [title, *(f"{title}-{number}" for number in range(2, len(taken) + 2))]
    name = next(name for name in names if name not in taken)
    return db.execute("INSERT INTO sessions (name, started, used) VALUES (?, ?, ?)", (name, now, now)).lastrowid or 0


def _add_result(db: sqlite3.Connection, line: int, facts: Facts, path: Callable[[int, Facts], Path] | None) -> int:
    values = {
        "line": line,
        "session": db.execute("SELECT session FROM lines WHERE id = ?", (line,)).fetchone()[0],
        "state": "pending",
        "path": "",
        "width": facts.width,
        "height": facts.height,
        "seed": None if facts.seed is None else str(facts.seed),
        "pixel_hash": facts.pixel_hash,
        "name": facts.name,
        "place": facts.place,
        "inner": facts.inner,
        "parents": json.dumps(facts.parents),
        "made": time.time(),
        "seconds": facts.seconds,
        "metadata": facts.metadata,
    }
    marks = ", ".join("?" * len(values))
    n = db.execute(f"INSERT INTO results ({', '.join(values)}) VALUES ({marks})", (*values.values(),)).lastrowid or 0
    if path:
        db.execute("UPDATE results SET path = ? WHERE n = ?", (str(path(n, facts)), n))
    return n
