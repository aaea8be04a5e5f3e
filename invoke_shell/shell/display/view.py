"""What the person sees of a session: one protocol, three ways. Plain lines and JSON here, the terminal in screen.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from invoke_shell.errors import Fault, InvokeShellError, OutputError, render_fault
from invoke_shell.metadata.visible import visible, visible_lines
from invoke_shell.shell.display.wrapping import told_to

if TYPE_CHECKING:
    from invoke_shell.pipeline.events import Event
    from invoke_shell.records import Image
    from invoke_shell.shell.display.progress import PlainProgress

__all__ = ["JsonView", "PlainView", "Result", "View", "Where", "faults_told", "result_line"]

INDENT = "  "  # of a hint, and of a line that is shown again above its carets


@dataclass(frozen=True, kw_only=True)
class Result:
    """A picture that is on the disk, and what a line tells of it. line counts from 1 within the run.

    inner: it is not of the line's last stage: a part of the sheet that comes, or named on the way.
    """

    n: int
    path: str
    image: Image
    seed: int | None
    seconds: float
    session: str
    command: str
    line: int = 1
    name: str = ""
    parents: tuple[int, ...] = ()
    followed: str = ""
    cached: bool = False
    embedded: str = ""
    inner: bool = False


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where a line stands, for messages: a file and its line number, or neither."""

    file: str = ""
    line: int = 1


class View(Protocol):
    """Told everything in order; draws, or prints, or keeps silent. records: it tells programs."""

    records: bool

    def event(self, event: Event) -> None:
        """Something happened in the run."""
        ...

    def result(self, result: Result) -> None:
        """A picture is saved."""
        ...

    def show(self, images: Sequence[Image], labels: Sequence[str], columns: int | None) -> None:
        """The person asked to see pictures."""
        ...

    def text(self, text: str, record: dict[str, Any] | str | None = None) -> None:
        """What a command of the shell answers: words for people, and the same for programs, a record or its JSON."""
        ...

    def page(self, text: str) -> None:
        """An answer to be read at leisure: where it is longer than the screen, one screen at a time."""
        ...

    def say(self, text: str, *, warning: bool = False) -> None:
        """One line beside the answer."""
        ...

    def error(self, error: InvokeShellError, where: Where) -> None:
        """Something is wrong, in a sentence."""
        ...

    def lent(self) -> AbstractContextManager[None]:
        """Another program has the terminal for as long as this lasts."""
        ...

    def line_done(self) -> None:
        """The line ended, well or not."""
        ...


def result_line(result: Result) -> str:
    """`@12  128x128  seed 7  1.2 s  path  from @3: prompt`, all on one line."""
    parts = [
        f"@{result.n}" + (f" @{result.name}" if result.name else ""),
        f"{result.image.width}x{result.image.height}",
    ]
    if result.seed is not None:
        parts.append(f"seed {result.seed}")
    parts.append("cached" if result.cached else f"{result.seconds:.1f} s")
    parts.append(visible(result.path))
    if result.embedded:
        parts.append(result.embedded)
    if result.followed:
        parts.append(result.followed)
    return "  ".join(parts)


class PlainView:
    """Lines without escape codes: results and answers to `out`, everything else to `err`."""

    records = False

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None, *, quiet: bool = False) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.quiet = quiet
        self._progress: PlainProgress | None = None

    def event(self, event: Event) -> None:
        from invoke_shell.pipeline.events import Said
        from invoke_shell.shell.display.progress import PlainProgress

        self._progress = self._progress or PlainProgress(self.say)
        if isinstance(event, Said):
            self.say(event.text, warning=event.warning)
        else:
            self._progress.take(event)

    def result(self, result: Result) -> None:
        self.write(self.out, result_line(result))

    def show(self, images: Sequence[Image], labels: Sequence[str], columns: int | None) -> None:
        self.say("no picture is drawn here: this output shows text only")

    def text(self, text: str, record: dict[str, Any] | str | None = None) -> None:
        self.write(self.out, text)

    page = text

    def say(self, text: str, *, warning: bool = False) -> None:
        if not self.quiet or warning:
            self.write(self.err, told_to(self.err, text))

    def error(self, error: InvokeShellError, where: Where) -> None:
        self.write(self.err, told_to(self.err, error_text(error, where)))

    def lent(self) -> AbstractContextManager[None]:
        return nullcontext()

    def line_done(self) -> None:
        self.out.flush()

    @staticmethod
    def write(stream: TextIO, text: str) -> None:
        """A line, in ASCII where the stream's encoding has no such character; nothing in it commands a terminal."""
        text = text if text.isprintable() else visible_lines(text)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        safe = text.encode(encoding, "backslashreplace").decode(encoding)
        _print(safe, stream)


def _print(line: str, stream: TextIO) -> None:
    """Raises OutputError for a full disk, BrokenPipeError for a reader who has gone."""
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise OutputError(f"the answer cannot be written to {stream.name}: {why}") from error


def error_text(error: InvokeShellError, where: Where) -> str:
    """The sentence with its carets; in a file `file:line:col: ` in front of each that is wrong."""
    return "\n".join(part for fault in faults_told(error, where) for part in fault if part)


def faults_told(error: InvokeShellError, where: Where) -> list[tuple[str, str]]:
    """What is wrong, one by one: a first row, and the rows below it: the line with its carets, the hint."""
    if not where.file:
        head, _, rest = str(error).partition("\n")
        return [(head, rest)]
    source, faults = getattr(error, "source", ""), getattr(error, "faults", ())
    if not faults:
        return [(f"{where.file}:{where.line}: {error.message}", INDENT + error.hint if error.hint else "")]
    told = []
    for fault in faults:
        line, column = _place(source, fault, where)
        below = [row for row in render_fault(source, fault).splitlines() if row != fault.message]
        told.append((f"{where.file}:{line}:{column}: {fault.message}", "\n".join(below)))
    return told


def _place(source: str, fault: Fault, where: Where) -> tuple[int, int]:
    """Line and column of a fault, both counted from 1."""
    line = where.line + source.count("\n", 0, fault.start)
    return line, fault.start - source.rfind("\n", 0, fault.start)


class JsonView:
    """One JSON object a line on `out`; messages on `err`."""

    records = True

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None, *, quiet: bool = False) -> None:
        self.out = out or sys.stdout
        self.plain = PlainView(err or sys.stderr, err or sys.stderr, quiet=quiet)

    def event(self, event: Event) -> None:
        from invoke_shell.pipeline.events import Failed

        if not isinstance(event, Failed):
            self.plain.event(event)

    def result(self, result: Result) -> None:
        self.data(
            {
                "event": "result",
                "handle": result.n,
                "path": result.path,
                "width": result.image.width,
                "height": result.image.height,
                "seed": result.seed,
                "pixel_hash": result.image.hash,
                "seconds": round(result.seconds, 3),
                "line": result.line,
                "name": result.name or None,
                "session": result.session,
                "command": result.command,
                "parents": list(result.parents),
                "cached": result.cached,
                "embedded": result.embedded or None,
            }
        )

    def show(self, images: Sequence[Image], labels: Sequence[str], columns: int | None) -> None:
        """Nothing but JSON is written."""

    def text(self, text: str, record: dict[str, Any] | str | None = None) -> None:
        self.data(record or {"event": "text", "text": text})

    page = text

    def say(self, text: str, *, warning: bool = False) -> None:
        self.plain.say(text, warning=warning)

    def error(self, error: InvokeShellError, where: Where) -> None:
        faults = getattr(error, "faults", ())
        source = getattr(error, "source", "")
        for fault in faults:
            line, column = _place(source, fault, where)
            self.data(_error(fault.code, fault.message, fault.hint, where.file, line, column, [fault.start, fault.end]))
        if not faults:
            self.data(_error(error.code, error.message, error.hint, where.file, where.line, None, None))

    def data(self, record: dict[str, Any] | str) -> None:
        """One line. What is JSON already is one of thousands: it waits for the buffer, which line_done empties."""
        if isinstance(record, str):
            self.out.write(record + "\n")
        else:
            _print(json.dumps(record, ensure_ascii=True), self.out)

    def lent(self) -> AbstractContextManager[None]:
        return nullcontext()

    def line_done(self) -> None:
        self.out.flush()


def _error(
    code: str, message: str, hint: str, file: str, line: int, column: int | None, span: list[int] | None
) -> dict[str, Any]:
    return {
        "event": "error",
        "code": code,
        "message": message,
        "hint": hint or None,
        "file": file or None,
        "line": line,
        "column": column,
        "span": span,
    }
