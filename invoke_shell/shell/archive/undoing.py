"""Keeping, discarding, undo and redo: every change of results goes through here, so that it can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import RunError
from invoke_shell.metadata.visible import visible
from invoke_shell.records import digest
from invoke_shell.shell.archive.handles import numbers_text
from invoke_shell.shell.archive.journal import Action, Written
from invoke_shell.shell.archive.outputs import move_aside
from invoke_shell.shell.archive.store import ResultRow, State

if TYPE_CHECKING:
    from invoke_shell.shell.archive.keeper import Keeper

__all__ = ["change", "redo", "undo"]


def change(keeper: Keeper, said: str, rows: Sequence[ResultRow], state: State) -> list[int]:
    """Bring results into a state, and remember how they were; the numbers that changed. Raises OutputError."""
    before = {row.n: row.state for row in rows if row.state not in (state, "pending", "lost")}
    put, gone = keeper.results.put(dict.fromkeys(before, state))
    _say_gone(keeper, gone)
    if put:
        keeper.store.journal.add(keeper.session.id, said, {n: before[n] for n in put}, dict.fromkeys(put, state))
    return put


def undo(keeper: Keeper) -> str:
    """Take back the last thing that was done; what is said of it. Raises RunError when there is nothing."""
    action = keeper.store.journal.last(keeper.session.id)
    if action is None:
        raise RunError("there is nothing to undo in this session", code="nothing-left")
    files = [_to_trash(keeper, file) for file in action.files]
    names = {name: before for name, (before, _) in action.names.items()}
    what = _put(keeper, action.before, files, names)
    keeper.store.journal.turn(action.id, undone=True, files=files)
    return f"undone: {_line(action.said)} ({what}); redo does it again"


def redo(keeper: Keeper) -> str:
    """Do again what was undone; what is said of it. Raises RunError when there is nothing."""
    action = keeper.store.journal.next(keeper.session.id)
    if action is None:
        raise RunError("there is nothing to redo", hint="redo does again what undo took back", code="nothing-left")
    files = [_back(keeper, file, action) for file in action.files]
    names = {name: after for name, (_, after) in action.names.items()}
    what = _put(keeper, action.after, files, names)
    keeper.store.journal.turn(action.id, undone=False, files=files)
    return f"done again: {_line(action.said)} ({what})"


def _put(keeper: Keeper, states: Mapping[int, str], files: list[Written], names: Mapping[str, Sequence[int]]) -> str:
    """Bring results into these states, and names to these results; what that was, in words."""
    before = {row.n: row.state for row in keeper.store.results(*states)}
    put, gone = keeper.results.put(states)  # type: ignore[arg-type]  # states as they were written
    _say_gone(keeper, gone)
    for name, numbers in names.items():
        keeper.store.set_name(keeper.session.id, name, numbers)
    return _what(before, {n: states[n] for n in put}, files, names)


def _say_gone(keeper: Keeper, gone: list[int]) -> None:
    if gone:
        keeper.say(f"not in the trash any more: {numbers_text(gone)}; replay @{gone[0]} makes it again")


def _to_trash(keeper: Keeper, file: Written) -> Written:
    """A file that a line wrote, out of the way; one that was changed since stays where it is."""
    path = Path(file.path)
    try:
        if digest(path.read_bytes()) != file.hash:
            keeper.say(f"{visible(file.path)} was changed since, and stays")
            return file
        return replace(file, trashed=str(move_aside(path, keeper.results.trash)))
    except OSError:
        return file  # it is gone already, or held: nothing of it is lost


def _back(keeper: Keeper, file: Written, action: Action) -> Written:
    if not file.trashed or not Path(file.trashed).exists():
        return replace(file, trashed="")
    path = keeper.results.move_back(Path(file.trashed), Path(file.path), tag=f"redo-{action.id}")
    return Written(path=str(path), hash=file.hash)


def _what(
    before: Mapping[int, str], put: Mapping[int, str], files: list[Written], names: Mapping[str, Sequence[int]]
) -> str:
    """`@3..5 to the trash, poster.png too, @fox is @1 again`. before, put: states as they were and as they are."""
    groups: dict[str, list[int]] = {}
    for n, state in put.items():
        said = {"discarded": "to the trash", "kept": "kept"}.get(state)
        groups.setdefault(said or ("back" if before[n] == "discarded" else "not kept any more"), []).append(n)
    parts = [f"{numbers_text(numbers)} {said}" for said, numbers in groups.items()]
    moved = [visible(Path(f.path).name) for f in files if f.trashed]
    if moved:
        parts.append(f"{', '.join(moved) if len(moved) < 4 else f'{len(moved)} saved files'} too")
    parts += [f"@{name} is {numbers_text(numbers)} again" for name, numbers in names.items() if numbers]
    parts = parts or [f"@{name} is no name any more" for name in names]
    return ", ".join(parts) or "nothing is there any more"


def _line(said: str) -> str:
    """A line in a sentence: not more of it than is needed to know it."""
    text = visible(said)
    return text if len(text) <= 60 else text[:59] + "…"
