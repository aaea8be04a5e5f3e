"""What becomes of results: keep, discard, undo, redo; the trash, and the room on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from invoke_shell.errors import LineError, RunError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.builtins.words import Age, Handles, fault, seconds_of, size_text
from invoke_shell.shell.session import Session

if TYPE_CHECKING:
    from invoke_shell.shell.archive.store import ResultRow

__all__ = ["discard", "disk", "keep", "redo", "trash", "undo"]


@node(builtin=True, group="results", examples=["keep @-1", "keep @1 @3"])
def keep(shell: Session, handles: Handles) -> None:
    """Keep results: discard --rest leaves them, @kept names them."""
    from invoke_shell.shell.archive.handles import numbers_text
    from invoke_shell.shell.archive.undoing import change

    rows = _rows(shell, handles)
    change(shell.keeper, f"keep {' '.join(handles)}", rows, "kept")
    count = len(shell.keeper.store.kept(shell.keeper.session.id))
    numbers = [row.n for row in rows]
    so_far = f"; @kept is {count} picture{'' if count == 1 else 's'}" if count else ""
    shell.view.text(f"{numbers_text(numbers)} kept{so_far}", {"event": "kept", "handles": numbers})
    for other in sorted({row.session for row in rows} - {shell.keeper.session.id}):
        name = shell.keeper.store.session(other).name
        shell.view.say(f"@kept has those of one session: `sessions {name}` goes on where these were made")


@node(builtin=True, group="results", examples=["discard @-1", "discard @2..3", "discard --rest"])
def discard(
    shell: Session,
    handles: Handles = (),  # type: ignore[assignment]  # always a list
    *,
    rest: Annotated[bool, Arg(help="All of this session that was not kept.")] = False,
) -> None:
    """Move results to the trash; undo brings them back.

    A discarded result still has its number: @12 is read from the trash, and keep @12 brings it back.
    """
    from invoke_shell.shell.archive.handles import numbers_text
    from invoke_shell.shell.archive.undoing import change

    if rest == bool(handles):
        said = " ".join(handles) or "discard"
        message = "discard takes handles, or --rest" + (", not both" if rest else "")
        raise LineError(said, [fault(said, message, "as in: discard @12, discard --rest", "missing-argument")])
    keeper = shell.keeper
    rows = keeper.store.not_kept(keeper.session.id) if rest else _rows(shell, handles)
    said = "discard --rest" if rest else f"discard {' '.join(handles)}"
    gone = [row.n for row in rows if row.trashed is None and not row.path.exists()]
    numbers = change(keeper, said, rows, "discarded")
    if not numbers:
        before = f"{numbers_text(row.n for row in rows)} discarded before"
        shell.view.say("there is no rest: all of this session is kept or discarded" if rest else before)
        return
    moved = [n for n in numbers if n not in gone]
    what = numbers_text(moved) if len(moved) < 9 else f"{len(moved)} pictures"
    back = f"undo brings {'it' if len(moved) == 1 else 'them'} back"
    without = f"{numbers_text(gone)} discarded; the file was gone already"
    parts = [f"{what} moved to the trash; {back}" if moved else "", without if gone else ""]
    shell.view.text("\n".join(filter(None, parts)), {"event": "discarded", "handles": numbers})


def _rows(shell: Session, handles: Sequence[str]) -> list[ResultRow]:
    """The results of handles, each once, in order. Raises BlockedError."""
    found = {row.n: row for handle in handles for row in shell.keeper.rows(handle)}
    return list(found.values())


@node(builtin=True, group="results", examples=["undo"])
def undo(shell: Session) -> None:
    """Take back the last thing you did.

    Pictures made go to the trash, what was kept or discarded is as it was. A file that save wrote goes to the trash
    too, unless it was changed since. Again, the one before it.
    """
    from invoke_shell.shell.archive.undoing import undo as undone
    from invoke_shell.shell.display.wrapping import hung

    shell.view.text(hung(undone(shell.keeper)))


@node(builtin=True, group="results", examples=["undo; redo"])
def redo(shell: Session) -> None:
    """Do again what undo took back."""
    from invoke_shell.shell.archive.undoing import redo as redone
    from invoke_shell.shell.display.wrapping import hung

    shell.view.text(hung(redone(shell.keeper)))


@node(builtin=True, group="results", examples=["trash", "trash empty --older 30d"])
def trash(
    shell: Session,
    action: Annotated[Literal["list", "empty"], Arg(help="What to do.")] = "list",
    *,
    older: Age = None,
) -> None:
    """Say what is in the trash, or empty it.

    This is the only command that deletes pictures. The lines that made them stay: replay @12 makes a picture again
    whose file is gone.
    """
    from invoke_shell.shell.archive.disk import emptied, in_trash

    seconds = seconds_of(older) if older else 0.0
    nothing = f"nothing has been in the trash for {older}" if older else "the trash is empty"
    if action == "empty":
        if not shell.trusted:
            raise RunError("trash empty deletes files, which a file may only with --trust", code="not-trusted")
        count, size = emptied(shell.keeper.results.trash, seconds)
        said = f"{count} file{'' if count == 1 else 's'} deleted, {size_text(size)}" if count else nothing
        shell.view.text(said, {"event": "trash", "deleted": count, "bytes": size})
        return
    files = in_trash(shell.keeper.results.trash, seconds)
    for path, size, _ in files[-20:]:
        shell.view.text(f"{size_text(size):>9}  {visible(path.name)}")
    total = sum(size for _, size, _ in files)
    more = f", the last {min(20, len(files))} here" if len(files) > 20 else ""
    which = f"trash empty --older {older}" if older else "trash empty"
    found = f"{len(files)} in the trash{more}, {size_text(total)}; {which} deletes them"
    shell.view.say(found if files else nothing)


@node(builtin=True, group="results", examples=["disk"])
def disk(shell: Session) -> None:
    """Say how much room pictures, trash, caches and models take."""
    from invoke_shell.shell.archive.disk import rows

    for name, count, size, where in rows(shell):
        record = {"event": "disk", "what": name, "files": count, "bytes": size, "path": where}
        files = f"{count} file{'' if count == 1 else 's'}"
        shell.view.text(f"{name:<10} {files:>12} {size_text(size):>9}  {visible(where)}", record)
