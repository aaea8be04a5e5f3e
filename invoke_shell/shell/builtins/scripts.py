"""Command files: source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.session import Session, StatusError

__all__ = ["source"]


@node(builtin=True, group="shell", examples=["source poster.invoke"])
def source(
    shell: Session,
    file: Annotated[Path, Arg(help="A command file.")],
    *,
    keep_going: Annotated[bool, Arg(help="Go on after a line that failed.")] = False,
) -> None:
    """Run the lines of a command file; the whole file is checked before its first line runs."""
    from invoke_shell.shell.scripts import run_file

    status = run_file(shell, file.expanduser(), keep_going=keep_going)
    if status:
        raise StatusError(status)
