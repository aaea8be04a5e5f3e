"""Sessions: which there are, going on in one, a copy of one, all of one as a command file; and one's own words."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from invoke_shell.errors import LineError, OutputError, RunError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.text import quote_word
from invoke_shell.shell.builtins.words import Handles, OptionalRest, fault
from invoke_shell.shell.display.wrapping import in_column
from invoke_shell.shell.session import Session

if TYPE_CHECKING:
    from invoke_shell.shell.archive import store as stores
    from invoke_shell.shell.archive.store import ResultRow

__all__ = ["abbr", "export", "sessions"]

SHOWN = 20  # sessions that are listed


@node(builtin=True, group="results", examples=["sessions", "sessions fox", "sessions --clone fox-blue"])
def sessions(
    shell: Session,
    name: Annotated[str | None, Arg(help="The session to go on in; a new one where there is none.")] = None,
    *,
    clone: Annotated[
        str | None, Arg(help="Go on in a new session of this name, with the names and settings of the other.")
    ] = None,
) -> None:
    """List sessions; go on in another, or in a copy of one.

    The last used stands first. Every start is a session of its own. Numbers count for all of them: @12 is the same
    picture everywhere. A copy has the names and settings of its original, and is counted back from on its own.
    """
    store = shell.keeper.store
    for word in (name, clone):
        if word is not None and not word.strip():
            raise LineError(word, [fault(word, "a session needs a name", "as in: sessions fox", "bad-value")])
    if clone is not None:
        original = next((s for s in store.sessions() if s.name == name), None) if name else shell.keeper.session
        if original is None:
            raise RunError(f"there is no session {visible(str(name))}", hint="sessions lists them", code="bad-usage")
        if any(s.name == clone for s in store.sessions()):
            hint = f"sessions {quote_word(clone)} goes on in it"
            raise OutputError(f"there is a session {visible(clone)} already", hint=hint)
        store.clone(original.id, clone)
        _go_on_in(shell, clone, f"a copy of {visible(original.name)}")
        return
    if name is not None:
        new = not any(s.name == name for s in store.sessions())
        _go_on_in(shell, name, "a new one" if new else "")
        return
    own = shell.keeper.session.id
    there = [s for s in store.sessions() if s.id == own or s.named or store.was_used(s.id)]
    for one in there[:SHOWN]:
        _tell(shell, one, own=one.id == own)
    if len(there) > SHOWN:
        shell.view.say(f"and {len(there) - SHOWN} older ones")


def _go_on_in(shell: Session, name: str, what: str) -> None:
    """Another session is the one of this shell, and that is said with what it is, or how much is in it."""
    shell.take_up(name)
    what = what or _pictures(shell.keeper.store.count(shell.keeper.session.id))
    shell.view.say(f"this is session {visible(name)} now, {what}")


def _tell(shell: Session, one: stores.Session, *, own: bool) -> None:
    count = shell.keeper.store.count(one.id)
    last = next(iter(shell.keeper.store.history(one.id, limit=1)), None)
    when = f"{datetime.fromtimestamp(one.used):%Y-%m-%d %H:%M}"
    record = {"event": "session", "name": one.name, "used": one.used, "pictures": count, "current": own}
    text = visible(last.text) if last is not None else ""
    head = f"{'*' if own else ' '} {visible(one.name):<20} {when}  {_pictures(count):>13}  "
    shell.view.text(in_column(head, text, rows=1).rstrip(), record)


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


@node(
    builtin=True,
    rest=True,
    group="shell",
    examples=['abbr ink txt2img "in ink and gold" --steps 8', "abbr", "abbr ink blur; abbr --erase ink"],
)
def abbr(shell: Session, text: OptionalRest = "") -> None:
    """Let a short word stand for a longer text.

    Without a word all of them are listed; --erase WORD forgets one. It expands in the edit line, after a blank or
    Enter, where a command may stand: you see what will run, and the history keeps that. Files and -c know no
    abbreviations.
    """
    from invoke_shell.shell.edit_line.abbreviations import define

    store = shell.keeper.store
    known = store.abbreviations()
    if not text:
        for word, meaning in known.items():
            shell.view.text(f"{word:<12} {visible(meaning)}", {"event": "abbreviation", "word": word, "text": meaning})
        if not known:
            shell.view.say('there are none yet; as in: abbr ink txt2img "in ink and gold" --steps 8')
    elif text.startswith("--erase"):
        word = text.removeprefix("--erase").lstrip(" =").strip()
        if word not in known:
            message = f"{word} is no abbreviation" if word else "abbr --erase needs a word"
            raise LineError(text, [fault(text, message, "abbr lists them", "bad-value")])
        store.set_abbreviation(word, None)
        shell.view.say(f"{word} is forgotten")
    else:
        word = define(store, shell.registry, text)
        before = f", and stood for {visible(known[word])}" if word in known else ""
        shell.view.say(f"{word} stands for {visible(store.abbreviations()[word])}{before}")


@node(builtin=True, group="results", examples=["export today.invoke", "export three.invoke @1..3 --with-files"])
def export(
    shell: Session,
    file: Annotated[Path, Arg(help="The command file to be written.")],
    handles: Handles = (),  # type: ignore[assignment]  # always a list
    *,
    with_files: Annotated[bool, Arg(help="Copy sources and masks into a folder beside it.")] = False,
) -> None:
    """Write this session as a command file that makes it again.

    Or some results alone. The file makes the same pictures. Every value is written out, and the hashes of models
    and sources stand at its head. Without --with-files the sources are named by their pixels, which this home
    knows; with it the file and its folder can go anywhere.
    """
    from invoke_shell.shell.command_files.exporting import export as exported

    keeper = shell.keeper
    rows = _chosen(shell, handles)
    path = file.expanduser()
    path = shell.base / path if shell.base is not None and not path.is_absolute() else path
    if not shell.trusted and not path.resolve().is_relative_to(keeper.results.folder().resolve()):
        message = f"{path} is outside the output folder, where a file may write only with --trust"
        raise OutputError(message, code="not-trusted")
    done = exported(shell, rows, path, with_files=with_files)
    beside = f", {len(done.files)} source{'' if len(done.files) == 1 else 's'} beside it" if done.files else ""
    record = {"event": "export", "path": str(done.path), "pictures": done.pictures}
    shell.view.text(f"{visible(str(done.path))} makes {_pictures(done.pictures)}{beside}", record)
    for digits in done.missing:
        shell.view.say(f"the source {digits} is not among yours any more", warning=True)


def _chosen(shell: Session, handles: list[str]) -> list[ResultRow]:
    """The results that are asked for, each once; without handles all of the session. Raises RunError."""
    keeper = shell.keeper
    if handles:
        return list({row.n: row for handle in handles for row in keeper.rows(handle)}.values())
    rows = keeper.store.of_session(keeper.session.id)
    if not rows:
        raise RunError("this session has no results yet", hint="export FILE @1..9 takes any", code="unknown-handle")
    return rows
