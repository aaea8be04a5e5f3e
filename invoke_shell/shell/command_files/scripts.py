"""Command files: checked whole before line 1 runs, then run line by line. A file is a stranger's until trusted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from invoke_shell.errors import BlockedError, Cancelled, Fault, InvokeShellError, LineError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.bind import Bound
from invoke_shell.pipeline.chain import Value
from invoke_shell.pipeline.types import Handle
from invoke_shell.shell.archive.runs import FileRun
from invoke_shell.shell.archive.store import LineRow
from invoke_shell.shell.command_files.foreseen import Count, gathered
from invoke_shell.shell.command_files.trust import not_allowed
from invoke_shell.shell.display.view import Where
from invoke_shell.shell.display.wrapping import in_column
from invoke_shell.shell.session import Session

__all__ = ["ORDER", "Options", "go_on", "run_file", "run_script", "worst"]

STDIN = "standard input"

ORDER = (130, 1, 3, 2, 0)  # of exit statuses, the worst first


def worst(*statuses: int) -> int:
    """The status of a run of several lines."""
    return min(statuses, key=ORDER.index, default=0)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a file runs. keep_going: after a line that failed; show: each line before it runs."""

    keep_going: bool = False
    show: bool = False


def run_file(session: Session, path: Path, options: Options = Options(), *, resume: bool = False) -> int:
    """Run a command file, `-` for standard input. Its relative paths are relative to its folder. The exit status.

    resume: go on where it ended early the last time.
    """
    if str(path) == "-":
        return run_script(session, _decoded(sys.stdin.buffer.read(), STDIN), "-", options)
    text = _text_of(path)
    if resume:
        session.keeper.results.recover()  # of a shell beside this one that was killed meanwhile
    if resume and (before := session.keeper.store.runs.of_path(str(path.resolve()))) is not None:
        if before.status == "done" and before.text == text:
            session.view.say(f"{visible(str(path))} is done: there is nothing to resume")
            return 0
        if before.status in ("interrupted", "cancelled", "failed"):
            return go_on(session, before, show=options.show)
    with _standing_in(session, path.resolve().parent):
        return run_script(session, text, str(path), options)


def _text_of(path: Path) -> str:
    try:
        return _decoded(path.read_bytes(), visible(str(path)))
    except OSError as error:
        name = visible(str(path))
        why = f"there is no file {name}" if isinstance(error, FileNotFoundError) else f"{name} cannot be read"
        why = f"{name} is a folder" if isinstance(error, IsADirectoryError) else why
        raise BlockedError(why, code="missing-file") from error


def _decoded(data: bytes, name: str) -> str:
    """Text in UTF-8, with or without the mark that Windows programs put before it; CRLF is read as a line's end."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise BlockedError(
            f"{name} is no text in UTF-8: line {line} has a byte {data[error.start]:#04x}",
            hint="save it as UTF-8",
            code="missing-file",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def _standing_in(session: Session, folder: Path | None) -> Iterator[None]:
    """Relative paths are relative to this folder."""
    before, session.base = session.base, folder
    try:
        yield
    finally:
        session.base = before


def run_script(session: Session, text: str, name: str, options: Options = Options()) -> int:
    """Run the lines of a text that came from a file. The exit status; with keep_going that of the worst line."""
    reading = session.read(text)
    try:
        if reading.faults:
            raise LineError(text, reading.faults)
        pictures = _check(session, reading.bound, text)
    except InvokeShellError as error:
        session.view.error(error, Where(file=name if name != "-" else "standard input"))
        return error.exit_status
    run = 0
    if not session.dry and any(b.builtin is None and b.chain.stages for b in reading.bound):
        run = session.keeper.store.runs.begin(
            session.keeper.session.id,
            str(Path(name).resolve()) if name != "-" else STDIN,
            text,
            trusted=session.trusted,
            keep_going=options.keep_going,
            lines=len(reading.bound),
            pictures=pictures,
        )
    return _Walk(session, reading.bound, text, name if name != "-" else STDIN, options, run).to_the_end()


def go_on(session: Session, run: FileRun, *, show: bool = False) -> int:
    """Make the rest of a file that ended early: of its line what is missing, then the lines after it."""
    path = Path(run.path)
    if path.is_file() and _text_of(path) != run.text:
        session.view.say(f"{visible(run.path)} was changed since; what it said then goes on", warning=True)
    session.be_in(run.session)
    reading = session.read(run.text)
    trusted, session.trusted = session.trusted, session.trusted and run.trusted
    try:
        with _standing_in(session, path.parent if run.path != STDIN else None):
            session.keeper.store.runs.begin_again(run.id)
            options = Options(keep_going=run.keep_going, show=show)
            walk = _Walk(session, reading.bound, run.text, run.path, options, run.id)
            return walk.to_the_end(from_line=run.at, early=session.keeper.store.last_of_run(run.id))
    finally:
        session.trusted = trusted


class _Walk:
    """One way through the lines of a file, told to the store line by line. run: 0 when nothing is to be remembered."""

    def __init__(self, session: Session, lines: list[Bound], text: str, name: str, options: Options, run: int) -> None:
        self.session, self.lines, self.text, self.name = session, lines, text, name
        self.options, self.run = options, run
        self.statuses: list[int] = []

    def to_the_end(self, *, from_line: int = 0, early: LineRow | None = None) -> int:
        """Run the lines from one on, the first of them what is missing of it; the exit status."""
        before = self.session.keeper.run if self.run else (0, 0)
        at = from_line
        try:
            for at in range(from_line, len(self.lines)):
                self.reach(at)
                begun = early if early is not None and early.place == at else None
                self.statuses.append(self.line(at, begun))
                if self.over:
                    break
        except KeyboardInterrupt:  # between two lines
            self.statuses.append(Cancelled.exit_status)
        finally:
            if self.run:
                self.session.keeper.run = before
        return self.told(at)

    @property
    def over(self) -> bool:
        """Nothing more of the file runs."""
        last = self.statuses[-1]
        return self.session.leaving or last == 130 or (last != 0 and not self.options.keep_going)

    def reach(self, at: int) -> None:
        if self.run:
            self.session.keeper.store.runs.reach(self.run, at)
            self.session.keeper.run = (self.run, at)

    def line(self, at: int, begun: LineRow | None) -> int:
        bound = self.lines[at]
        where = Where(file=self.name, line=1 + self.text.count("\n", 0, bound.line.start))
        if self.options.show:
            text = visible(self.text[bound.line.start : bound.line.end])
            self.session.view.say(in_column(f"{where.line:>4}  ", text, rows=4))
        if begun is not None and begun.status == "done":
            return 0  # the run ended between this line and the next
        if begun is not None and begun.pictures:
            return self.session.attempt(lambda: self.rest_of(begun, where), where)
        return self.session.run_line(bound, self.text, where)

    def rest_of(self, begun: LineRow, where: Where) -> None:
        from invoke_shell.shell.command_files.rest import resume_line

        resume_line(self.session, begun, where)

    def told(self, at: int) -> int:
        """The exit status; what ended early is remembered, and said."""
        status, failed = worst(*self.statuses), sum(map(bool, self.statuses))
        early = bool(self.statuses) and self.over and self.statuses[-1] != 0
        if self.run:
            ended = "cancelled" if status == 130 else "failed"
            self.session.keeper.store.runs.end(self.run, ended if early else "done")
        say = self.session.view.say
        if early and self.run and len(self.lines) > 1:
            file = visible(Path(self.name).name)
            say(f"stopped in command {at + 1} of {len(self.lines)} of {file}: resume goes on there")
        elif self.options.keep_going and failed:
            count = len(self.statuses)
            say(f"{count - failed} of {count} lines done, {failed} failed", warning=True)
        return status


def _check(session: Session, lines: list[Bound], text: str) -> int:
    """Everything that can be known before line 1; the pictures of all lines, 0 when they cannot be counted.

    Raises InvokeShellError with all that is wrong.
    """
    faults = [f for b in lines for f in not_allowed(session, b)]
    faults += [f for b in lines for f in _numbered(b)]
    if faults:
        raise LineError(text, faults)
    missing: list[Fault] = []
    first: BlockedError | None = None
    given: set[str] = set()
    count = Count(session)
    for bound in lines:
        if bound.builtin is None and bound.chain.stages:
            missing += _unknown_names(session, bound, given)
            given |= {s.name for s in bound.chain.stages if s.name}
            try:
                count.add(bound.chain, gathered(session, bound.chain))
            except BlockedError as error:
                first = first or error
                missing += [f.shifted(bound.chain.offset) for f in error.faults]
    if missing:
        raise BlockedError(missing[0].message, code=missing[0].code, source=text, faults=missing)
    if first is not None:
        raise first
    return count.pictures


def _handles(bound: Bound) -> Iterator[tuple[Handle, tuple[int, int]]]:
    for stage in bound.chain.stages:
        yield from ((h, stage.span) for h in stage.handles)
        for value in stage.values.values():
            if isinstance(value, Value) and isinstance(value.value, Handle):
                yield value.value, value.span or stage.span


def _numbered(bound: Bound) -> Iterator[Fault]:
    """`@413` counts in one home; in a file it would mean another picture elsewhere."""
    words = [(handle.text, span) for handle, span in _handles(bound)]
    if bound.builtin is not None and not bound.builtin.rest:
        words += [(word, v.span or s.span) for s in bound.chain.stages for v in s.values.values() for word in _words(v)]
    for text, span in words:
        if text[:1] == "@" and text[1:2].isdigit():
            message = f"{text} is a number of one home, and a file may be run in another"
            yield Fault(*span, message, "give the picture a name with as @NAME, or count back with @-1", "bad-handle")


def _words(value: Value) -> list[str]:
    """The words that a command of the shell was given: handles among them are texts to it."""
    items = value.value if isinstance(value.value, tuple | list) else (value.value,)
    return [item for item in items if isinstance(item, str)]


def _unknown_names(session: Session, bound: Bound, given: set[str]) -> Iterator[Fault]:
    for handle, span in _handles(bound):
        name = handle.text[1:].partition("[")[0]
        if name[:1].isalpha() and name != "kept" and name not in given:
            try:
                session.keeper.rows(handle.text)
            except BlockedError as error:
                yield Fault(*span, error.message, error.hint, error.code)
