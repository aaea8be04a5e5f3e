"""Results in other programs: a page of them, a viewer, an editor, the clipboard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from invoke_shell.errors import OutputError, RunError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.archive.outputs import slug
from invoke_shell.shell.builtins.words import Handles
from invoke_shell.shell.session import Session

if TYPE_CHECKING:
    from invoke_shell.shell.archive.store import ResultRow

__all__ = ["copy", "edit", "gallery", "open_"]

Handle = Annotated[str, Arg(help="A result: @12, @-1, @name.")]


@node(builtin=True, group="results", examples=["gallery", "gallery @1..3 --file three.html"])
def gallery(
    shell: Session,
    handles: Handles = (),  # type: ignore[assignment]  # always a list
    *,
    file: Annotated[Path | None, Arg(help="The page to be written; none is one in the pictures' folder.")] = None,
    open: Annotated[bool, Arg(help="Open it in the browser.")] = False,
) -> None:
    """Write an HTML page of pictures, with their lines to copy.

    It has the results of this session, or those that are named, and a filter for words. The page holds all it needs
    and asks nothing of a network; a click on a picture opens its file.
    """
    from invoke_shell.shell.answers.gallery import write

    keeper = shell.keeper
    rows = list({r.n: r for h in handles for r in keeper.rows(h)}.values())
    rows = rows if handles else keeper.store.of_session(keeper.session.id)
    if not rows:
        raise RunError("this session has no results yet", hint="gallery @1..9 takes any", code="unknown-handle")
    written = write(shell, rows, _page_path(shell, file), exactly=file is not None)
    shell.view.text(visible(str(written)), {"event": "gallery", "path": str(written), "pictures": len(rows)})
    # With what the system opens pages with: a viewer of pictures reads none.
    if open and not _opened(shell, written, ""):
        shell.view.say("there is no screen here to open it on")


def _page_path(shell: Session, file: Path | None) -> Path:
    """Where the page goes. Raises OutputError for a place that a stranger's file may not write to."""
    folder = shell.keeper.results.folder()
    if file is None:
        return folder / f"gallery-{slug(shell.keeper.session_name, 40) or 'session'}.html"
    path = file.expanduser()
    path = shell.base / path if shell.base is not None and not path.is_absolute() else path
    if not shell.trusted and not path.resolve().is_relative_to(folder.resolve()):
        message = f"{path} is outside the output folder, where a file may write only with --trust"
        raise OutputError(message, code="not-trusted")
    return path if path.suffix else path.with_suffix(".html")


@node(builtin=True, group="results", name="open", examples=["open @-1", "open @1..3"])
def open_(shell: Session, handles: Handles) -> None:
    """Open results in a picture viewer.

    The viewer is that of `set viewer COMMAND`, else what the system opens pictures with. Where there is no screen,
    as over ssh, their paths are printed.
    """
    for row in [row for handle in handles for row in shell.keeper.rows(handle)]:
        path = _there(row)
        if not _opened(shell, path, str(shell.settings["viewer"]).strip()):
            shell.view.text(visible(str(path)))


def _there(row: ResultRow) -> Path:
    """The file of a result, in the trash or not. Raises RunError when it is gone."""
    path = row.trashed or row.path
    if not path.exists():
        hint = f"replay {row.handle} makes it again"
        raise RunError(f"the file of {row.handle} is gone: {path}", hint=hint, code="missing-file")
    return path


def _opened(shell: Session, path: Path, viewer: str) -> bool:
    """Open a file, or False where there is no screen. viewer: a command; "" is the system's."""
    from invoke_shell.shell.opening import show

    _only_trusted(shell, "open starts a program of the system")
    return show(path, viewer)


@node(builtin=True, group="results", examples=["edit @-1"])
def edit(shell: Session, handle: Handle) -> None:
    """Change a result in a picture editor; it becomes a new one.

    The editor is that of `set editor COMMAND`; what is saved is a result that comes from the first. The editor gets
    a copy, and the shell waits until it ends. Nothing saved, nothing made.
    """
    from invoke_shell.shell.editor import edited

    _only_trusted(shell, "edit starts a program of the system")
    edited(shell, handle)


def _only_trusted(shell: Session, what: str) -> None:
    if not shell.trusted:
        raise RunError(f"{what}, which a file may only with --trust", code="not-trusted")


@node(builtin=True, group="results", examples=["copy @-1", "copy @-1 --path"])
def copy(
    shell: Session,
    handle: Handle,
    *,
    path: Annotated[bool, Arg(help="The path of its file, not its line.")] = False,
) -> None:
    """Put a result's line, or its file's path, into the clipboard.

    With a program of the desktop (wl-copy, xclip, pbcopy), else by the terminal itself, over ssh too.
    """
    from invoke_shell.metadata.history import from_metadata, loads
    from invoke_shell.shell.opening import copied
    from invoke_shell.shell.replay.finding import recalled_text

    row = shell.keeper.row(handle)
    text = str(_there(row)) if path else recalled_text(shell.registry, from_metadata(loads(row.metadata)))
    how = copied(text, sys.stdout)
    shell.view.say(f"{'the path' if path else 'the line'} of {row.handle} is in the clipboard ({how})")
