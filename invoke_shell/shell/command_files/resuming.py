"""What ended early and can go on: lines and command files, of this process or of one that was killed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import RunError
from invoke_shell.metadata.visible import visible
from invoke_shell.shell.archive.runs import FileRun
from invoke_shell.shell.archive.store import LineRow, Store, Unfinished
from invoke_shell.shell.display.view import Where

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["Left", "announcement", "chosen", "drop", "left", "resume"]

LONGEST = 60  # characters of a line that a sentence tells


@dataclass(frozen=True, kw_only=True)
class Left:
    """A line or a file that ended early. key: as typed after resume, `41` of the history, or the file's path."""

    key: str
    session: int
    started: float
    progress: str
    what: str
    line: LineRow | None = None
    file: FileRun | None = None


def left(store: Store) -> list[Left]:
    """All that ended early in this home, the newest first; a line of a file that goes on is not told twice."""
    files = store.runs.unfinished()
    whole = {run.id for run in files}
    found = [_file(run) for run in files]
    found += [_line(one) for one in store.unfinished() if one.line.run not in whole]
    return sorted(found, key=lambda one: one.started, reverse=True)


def _line(found: Unfinished) -> Left:
    line = found.line
    progress = f"{found.done} of {line.pictures} done"
    what = _short(line.text)
    return Left(key=str(line.id), session=line.session, started=line.started, progress=progress, what=what, line=line)


def _file(run: FileRun) -> Left:
    lines = f"line {run.at + 1} of {run.lines}"
    progress = f"{run.done} of {run.pictures} done" if run.pictures else lines
    path, name = visible(run.path), visible(Path(run.path).name)
    return Left(key=path, session=run.session, started=run.started, progress=progress, what=name, file=run)


def _short(text: str) -> str:
    text = visible(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def announcement(store: Store) -> str:
    """`poster.invoke: 312 of 512 done: resume`, for the start of a shell; "" when the last session left nothing."""
    found = left(store)
    if not found or store.in_memory:
        return ""
    newest = found[0]
    last = next(iter(store.history(limit=1)), None)
    own = last is not None and (last == newest.line or (newest.file is not None and last.run == newest.file.id))
    # Otherwise the person has gone on with something else since.
    return f"{newest.what}: {newest.progress}: resume" if own or last is None else ""


def chosen(session: Session, key: str | None) -> Left:
    """What a key names; without one the newest of this session, else of the home. Raises RunError."""
    found = left(session.keeper.store)
    if not found:
        raise RunError("nothing was left unfinished", code="nothing-left")
    if key is None:
        here = [one for one in found if one.session == session.keeper.session.id]
        return (here or found)[0]
    named = [one for one in found if key in (one.key, Path(one.key).name)]
    if not named:
        raise RunError(
            f"{visible(key)} was not left unfinished", hint="resume --list tells what was", code="nothing-left"
        )
    return named[0]


def drop(session: Session, one: Left) -> None:
    """It stays as it is, and is not spoken of any more."""
    store = session.keeper.store
    if one.file is not None:
        store.runs.end(one.file.id, "dropped")
    elif one.line is not None:
        store.end_line(one.line.id, "dropped", 0.0)


def resume(session: Session, one: Left, where: Where) -> int:
    """Go on with it, in the session it belongs to; the exit status. Raises what stopped a line."""
    from invoke_shell.shell.command_files.rest import resume_line
    from invoke_shell.shell.command_files.scripts import go_on

    if one.file is not None:
        return go_on(session, one.file)
    assert one.line is not None  # it is the one or the other
    resume_line(session, one.line, where)
    return 0
