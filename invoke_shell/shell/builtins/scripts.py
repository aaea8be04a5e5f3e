"""Command files and what ended early: source, resume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.display.view import Where
from invoke_shell.shell.session import Session, StatusError

__all__ = ["resume", "source"]


@node(builtin=True, group="shell", examples=["source poster.invoke", "source poster.invoke --show"])
def source(
    shell: Session,
    file: Annotated[Path, Arg(help="A command file.")],
    *,
    show: Annotated[bool, Arg(help="Show each line before it runs.")] = False,
    keep_going: Annotated[bool, Arg(help="Go on after a line that failed.")] = False,
    resume: Annotated[bool, Arg(help="Go on where it ended early the last time.")] = False,
    trust: Annotated[bool, Arg(help="Let it run $ lines, change models and write anywhere.")] = False,
) -> None:
    """Run the lines of a command file.

    The whole file is checked before its first line runs. A file is a stranger's: $ lines, changes of the models and
    files outside the output folder need --trust.
    """
    from invoke_shell.shell.command_files.scripts import Options, run_file

    path = file.expanduser()
    if not path.suffix and not path.exists() and path.with_suffix(".invoke").exists():
        path = path.with_suffix(".invoke")  # as export, which adds it
    options = Options(keep_going=keep_going, show=show)
    before, shell.trusted = shell.trusted, shell.trusted and trust
    try:
        status = run_file(shell, path, options, resume=resume)
    finally:
        shell.trusted = before
    if status:
        raise StatusError(status)


@node(builtin=True, group="shell", examples=["resume --list"])
def resume(
    shell: Session,
    what: Annotated[str | None, Arg(help="A line of the history by its number, or a file.")] = None,
    *,
    list: Annotated[bool, Arg(help="Tell what ended early, and run nothing.")] = False,
    forget: Annotated[bool, Arg(help="Leave it as it is, and speak of it no more.")] = False,
) -> None:
    """Go on with a line or file that was stopped or failed.

    Also one whose program was killed. Without a word the newest one. What is finished is not made again; the rest
    gets the same values and names.
    """
    from invoke_shell.shell.command_files.resuming import chosen, drop, left
    from invoke_shell.shell.command_files.resuming import resume as resumed

    shell.keeper.results.recover()  # of a shell beside this one that was killed meanwhile
    if list:
        found = left(shell.keeper.store)
        for one in found:
            record = {"event": "unfinished", "key": one.key, "progress": one.progress, "text": one.what}
            number, what = (one.key, one.what) if one.line else ("", one.key)
            shell.view.text(f"{number:>5}  {one.progress:<18} {what}", record)
        if not found:
            shell.view.say("nothing was left unfinished")
        return
    one = chosen(shell, what)
    if forget:
        drop(shell, one)
        shell.view.say(f"forgotten: {one.what}, {one.progress}")
        return
    status = resumed(shell, one, Where())
    if status:
        raise StatusError(status)
