"""Picture files: what is inside them, and copies without it."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

from invoke_shell.errors import InvokeShellError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.archive.outputs import write_new
from invoke_shell.shell.builtins.words import Words, expanded
from invoke_shell.shell.display.view import Where
from invoke_shell.shell.session import Session, StatusError

__all__ = ["info", "schema", "strip"]


@node(builtin=True, group="shell", examples=["info @1", "info a.png --check", "info @1..3 --json"])
def info(
    shell: Session,
    what: Words,
    *,
    check: Annotated[bool, Arg(help="Compare with the specification; status 1 when something is wrong.")] = False,
    json: Annotated[bool, Arg(help="One JSON object a line, for programs.")] = False,
) -> None:
    """Say what is inside pictures: program, command, steps.

    Runs nothing. --check says whether our metadata is what docs/sd-metadata.md promises, a line for each fault; it
    takes the JSON beside a picture too.
    """
    from invoke_shell.metadata.read import read_picture
    from invoke_shell.shell.answers.checking import checked
    from invoke_shell.shell.answers.inside import about
    from invoke_shell.shell.answers.listed import Listed
    from invoke_shell.shell.replay.foreign_models import Asked

    status = 0
    listed = Listed(shell) if json or shell.view.records else None
    asked = Asked(shell.catalogue)
    for word in expanded(shell, what):
        try:
            path = shell.keeper.row(word).path if word[:1] == "@" else Path(word)
            path = path.expanduser() if word[:1] == "~" else path
            if check:
                valid, text, record = checked(shell.registry, word, path)
                status = status or int(not valid)
            else:
                found = read_picture(path, listing=listed is not None)
                if listed is not None and (line := listed.line(word, path, found)):
                    shell.view.text(line, line)
                    continue
                found = read_picture(path) if found.data is not None else found
                text, record = about(shell, word, path, found, asked)
        except InvokeShellError as error:
            shell.view.error(error, Where())
            status = status or error.exit_status
            continue
        shell.view.text(dumps(record) if json else text, record)
    if status:
        raise StatusError(status)


@node(builtin=True, group="shell", examples=["schema"])
def schema(shell: Session) -> None:
    """Print the JSON Schema of what is written into pictures.

    It describes every node that is here, and the envelope around them.
    """
    from invoke_shell.metadata.schema import whole_schema

    made = whole_schema(shell.registry)
    shell.view.text(dumps(made, indent=2), {"event": "schema", "schema": made})


@node(builtin=True, group="shell", examples=["strip @1", "strip *.png -o bare --all"])
def strip(
    shell: Session,
    what: Words,
    *,
    output: Annotated[Path | None, Arg(help="File or folder for the copies.", short="o")] = None,
    all: Annotated[bool, Arg(help="The mark that AI made it goes too.")] = False,
) -> None:
    """Write copies of pictures without what is inside them.

    The pictures themselves stay as they are. PNG, JPEG and WebP, their pixels as they stand. What decides how they
    look stays, and the mark that AI made them.
    """
    from invoke_shell.shell.answers.inside import stripped, stripped_name

    words = list(expanded(shell, what))
    for word in words:
        path, copy = stripped(shell, word, marks=not all)
        target = stripped_name(path, copy, output, several=len(words) > 1)
        exactly = output is not None and not output.is_dir()
        written = write_new(copy.data, target, tag=f"strip-{path.stem[:24]}", exactly=exactly)
        record = {
            "event": "strip", "image": word, "path": str(written), "removed": list(copy.removed),
            "kept": list(copy.kept),
        }  # fmt: skip
        shell.view.text(visible(str(written)), record)
        shell.view.say(f"  without {', '.join(copy.removed)}" if copy.removed else "  there was nothing to take out")
        for kept in copy.kept:
            shell.view.say(f"  still there: {kept}" + ("; --all takes it out" if "mark" in kept else ""))
