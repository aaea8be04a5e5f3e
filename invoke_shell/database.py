"""A SQLite file of a person's: opening, migrations, transactions, and the copy in memory where it cannot be written."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from invoke_shell.errors import OutputError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["BUSY_SECONDS", "Database", "Migrations", "Opened", "copy_in_memory", "open_database"]

T = TypeVar("T")

BUSY_SECONDS = 5.0

# Statement lists; number k brings version k to k + 1. Tables and columns are added, never renamed or dropped, so that
# an older program can still read what a newer one wrote.
Migrations: TypeAlias = Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """in_memory: nothing written to it outlives the process; notice then says why, in a sentence for the person."""

    connection: sqlite3.Connection
    in_memory: bool = False
    notice: str = ""


class Database:
    """An open file, or its copy in memory. Every write is one transaction, on the disk when `write` returns.

    in_memory: nothing outlives this process. notices: why, and what else was found, each a sentence said once.
    what: what is kept in it, for those sentences: "this session". Threads may share it.
    """

    def __init__(self, path: Path, opened: Opened, what: str) -> None:
        self.path, self.in_memory, self.what = path, opened.in_memory, what
        self.notices = [opened.notice] if opened.notice else []
        self._db = opened.connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, migrations: Migrations, what: str) -> Database:
        """What is wrong with the file is in `notices`, not raised."""
        return cls(path, open_database(path, migrations, what), what)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def read(self, sql: str, *values: object) -> list[Any]:
        """All rows of a query. Raises OutputError when the file is damaged or held."""
        import sqlite3

        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise self._explained(error) from error

    def write(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Run `action` in one transaction; what it returns.

        A file that cannot be written any more (full disk, folder gone read-only) is left as it is: the session goes on
        in a copy in memory. One that was deleted is written again. Raises OutputError when another program holds the
        file for 5 seconds.
        """
        import sqlite3

        with self._lock:
            if not self.in_memory and _is_gone(self.path):
                self._bring_back()
            try:
                return self._transaction(action)
            except sqlite3.DatabaseError as error:
                if _code(error) not in _unwritable():
                    raise self._explained(error) from error
                self._go_on_in_memory(str(error))
                return self._transaction(action)

    def change(self, sql: str, *values: object) -> None:
        """One statement as one transaction."""
        self.write(lambda db: db.execute(sql, values))

    def _transaction(self, action: Callable[[sqlite3.Connection], T]) -> T:
        try:
            # Inside: Ctrl-C may come between any two steps, and a transaction left open ends all later writing.
            # IMMEDIATE: a transaction that begins as a reader and then writes may fail at once instead of waiting.
            self._db.execute("BEGIN IMMEDIATE")
            answer = action(self._db)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return answer

    def _bring_back(self) -> None:
        """The file was deleted while SQLite has it open, and still has all of it: it is written again."""
        import sqlite3

        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for rest in ("-wal", "-shm"):  # of the file that is gone: they would be taken for the new one's
                self.path.with_name(self.path.name + rest).unlink(missing_ok=True)
            _back_up(self._db, self.path)
            fresh = _connect(str(self.path))
        except (OSError, sqlite3.DatabaseError) as error:
            self._go_on_in_memory(str(error))
            return
        _choose_journal(fresh)
        self._db.close()
        self._db = fresh
        self.notices.append(f"{self.path} was deleted, and is written again: nothing of {self.what} is lost")

    def _go_on_in_memory(self, reason: str) -> None:
        self.notices.append(
            f"{self.path} cannot be written ({reason}); from here on {self.what} is kept in memory only"
        )
        self.in_memory = True
        self._db = copy_in_memory(self._db, ())

    def _explained(self, error: sqlite3.DatabaseError) -> OutputError:
        import sqlite3

        if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            held = f"another program holds {self.path} for more than {BUSY_SECONDS:.0f} seconds"
            return OutputError(held, hint="try again in a moment")
        return OutputError(f"{self.path} cannot be used: {error}")


def _is_gone(path: Path) -> bool:
    """False too where nobody can tell."""
    try:
        path.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary code; 0 for an error of the module itself, which has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _unwritable() -> set[int]:
    import sqlite3

    return {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


def open_database(path: Path, migrations: Migrations, what: str) -> Opened:
    """Open or create the file, bring it to this program's version; never fails for what is wrong with the file.

    A file that cannot be written, or that a later program wrote, is only read: `what` goes on in a copy in memory.
    A file that is no database any more is set aside under another name and a new one begun.
    """
    import sqlite3

    try:
        return _on_disk(path, migrations, what)
    except (OSError, sqlite3.OperationalError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _only_read(path, migrations, f"{path} cannot be written ({reason.lower()})", what)
    except sqlite3.DatabaseError:
        aside = _set_aside(path)
        fresh = _on_disk(path, migrations, what)
        return Opened(connection=fresh.connection, notice=f"{path} is damaged; it was set aside as {aside.name}")


def _on_disk(path: Path, migrations: Migrations, what: str) -> Opened:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Created by us, not by SQLite, so that nobody else may read it even in a folder that is open to all.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = _connect(str(path))
    try:
        version = _version(connection)
        if version > len(migrations):
            connection.close()
            sentence = (
                f"{path} was written by a later invoke_shell (version {version}, this one knows {len(migrations)})"
            )
            return _only_read(path, migrations, sentence, what)
        _choose_journal(connection)
        if version < len(migrations):
            _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return Opened(connection=connection)


def _connect(target: str, *, uri: bool = False) -> sqlite3.Connection:
    import sqlite3

    # isolation_level None: we say BEGIN ourselves. Threads share the connection; Database has a lock.
    connection = sqlite3.connect(target, BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=uri)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _choose_journal(connection: sqlite3.Connection) -> None:
    """WAL, so that two shells read and write at once; where it is refused (network folders) the usual DELETE stays."""
    import sqlite3

    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite does not wait here as it does elsewhere: another shell may be at this very step.
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                return
            time.sleep(0.01)


def _migrate(connection: sqlite3.Connection, path: Path | None, migrations: Migrations) -> None:
    if path and (version := _version(connection)):
        _back_up(connection, path.with_name(f"{path.name}.v{version}"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again inside: another shell may have done it while this one waited.
        for statements in migrations[_version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, target: Path) -> None:
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    os.close(os.open(part, os.O_RDWR | os.O_CREAT, 0o600))
    copy = _connect(str(part))
    connection.backup(copy)
    copy.close()
    os.replace(part, target)


def _only_read(path: Path, migrations: Migrations, sentence: str, what: str) -> Opened:
    return Opened(
        connection=_read_copy(path, migrations),
        in_memory=True,
        notice=f"{sentence}; {what} is kept in memory only",
    )


def _read_copy(path: Path, migrations: Migrations) -> sqlite3.Connection:
    """What the file holds, in memory; an empty database where it holds nothing readable."""
    import sqlite3

    # immutable: SQLite cannot read a WAL file in a folder where it may create nothing.
    for options in ("mode=ro", "mode=ro&immutable=1"):
        try:
            source = _connect(f"{path.absolute().as_uri()}?{options}", uri=True)
            try:
                return copy_in_memory(source, migrations)
            finally:
                source.close()
        except sqlite3.DatabaseError:
            continue
    return copy_in_memory(None, migrations)


def copy_in_memory(source: sqlite3.Connection | None, migrations: Migrations) -> sqlite3.Connection:
    """A database in memory with all of `source`, at this program's version or a later one."""
    memory = _connect(":memory:")
    if source:
        source.backup(memory)
    if _version(memory) < len(migrations):
        _migrate(memory, None, migrations)
    return memory


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    return aside
