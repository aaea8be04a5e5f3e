"""Command files: checked whole before line 1 runs, then run line by line. A file is a stranger's until trusted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from invoke_shell.errors import BlockedError, Fault, InvokeShellError, LineError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.bind import Bound
from invoke_shell.pipeline.chain import Value
from invoke_shell.pipeline.plan import Needs, needs
from invoke_shell.pipeline.types import Handle
from invoke_shell.shell.gather import Gatherer
from invoke_shell.shell.session import Session
from invoke_shell.shell.view import Where

__all__ = ["ORDER", "run_file", "run_script", "worst"]

ORDER = (130, 1, 3, 2, 0)  # of exit statuses, the worst first


def worst(*statuses: int) -> int:
    """The status of a run of several lines."""
    return min(statuses, key=ORDER.index, default=0)


def run_file(session: Session, path: Path, *, keep_going: bool = False) -> int:
    """Run a command file, `-` for standard input. Its relative paths are relative to its folder. The exit status."""
    if str(path) == "-":
        return run_script(session, sys.stdin.read(), "standard input", keep_going=keep_going)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        why = "is a folder" if isinstance(error, IsADirectoryError) else why
        raise BlockedError(f"{visible(str(path))} {why}", code="missing-file") from error
    before, session.base = session.base, path.resolve().parent
    try:
        return run_script(session, text, str(path), keep_going=keep_going)
    finally:
        session.base = before


def run_script(session: Session, text: str, name: str, *, keep_going: bool = False) -> int:
    """Run the lines of a text that came from a file. The exit status; with keep_going that of the worst line."""
    reading = session.read(text)
    try:
        if reading.faults:
            raise LineError(text, reading.faults)
        _check(session, reading.bound, text)
    except InvokeShellError as error:
        session.view.error(error, Where(file=name))
        return error.exit_status
    statuses: list[int] = []
    for bound in reading.bound:
        where = Where(file=name, line=1 + text.count("\n", 0, bound.line.start))
        statuses.append(session.run_line(bound, text, where))
        if session.leaving or statuses[-1] == 130 or (statuses[-1] and not keep_going):
            break
    if keep_going and any(statuses):
        failed = sum(map(bool, statuses))
        session.view.say(f"{len(statuses) - failed} of {len(statuses)} lines done, {failed} failed", warning=True)
    return worst(*statuses)


def _check(session: Session, lines: list[Bound], text: str) -> None:
    """Everything that can be known before line 1. Raises InvokeShellError with all of it."""
    faults = [f for b in lines for f in _not_allowed(session, b)]
    faults += [f for b in lines for f in _numbered(b)]
    if faults:
        raise LineError(text, faults)
    missing: list[Fault] = []
    first: BlockedError | None = None
    given: set[str] = set()
    for bound in lines:
        if bound.builtin is None and bound.chain.stages:
            missing += _unknown_names(session, bound, given)
            given |= {s.name for s in bound.chain.stages if s.name}
            try:
                _gather(session, bound)
            except BlockedError as error:
                first = first or error
                missing += [f.shifted(bound.chain.offset) for f in error.faults]
    if missing:
        raise BlockedError(missing[0].message, code=missing[0].code, source=text, faults=missing)
    if first is not None:
        raise first


def _gather(session: Session, bound: Bound) -> None:
    """Look up the models and files of a line; its handles may be made by the lines before it."""
    values = session.settings.values()
    found: Needs = tuple(n for n in needs(bound.chain, session.registry, values) if n.what not in ("handle", "last"))
    Gatherer.of(session).facts(bound.chain, found)


def _not_allowed(session: Session, bound: Bound) -> Iterator[Fault]:
    if bound.line.kind == "system" and not session.trusted:
        message = "a $ line runs a program of the system, which a file may only with --trust"
        yield Fault(bound.line.start, bound.line.end, message, "", "not-trusted")


def _handles(bound: Bound) -> Iterator[tuple[Handle, tuple[int, int]]]:
    for stage in bound.chain.stages:
        yield from ((h, stage.span) for h in stage.handles)
        for value in stage.values.values():
            if isinstance(value, Value) and isinstance(value.value, Handle):
                yield value.value, value.span or stage.span


def _numbered(bound: Bound) -> Iterator[Fault]:
    """`@413` counts in one home; in a file it would mean another picture elsewhere."""
    for handle, span in _handles(bound):
        if handle.text[1:2].isdigit():
            message = f"{handle.text} is a number of one home, and a file may be run in another"
            yield Fault(*span, message, "give the picture a name with as @NAME, or count back with @-1", "bad-handle")


def _unknown_names(session: Session, bound: Bound, given: set[str]) -> Iterator[Fault]:
    for handle, span in _handles(bound):
        name = handle.text[1:].partition("[")[0]
        if name[:1].isalpha() and name != "kept" and name not in given:
            try:
                session.keeper.rows(handle.text)
            except BlockedError as error:
                yield Fault(*span, error.message, error.hint, error.code)
