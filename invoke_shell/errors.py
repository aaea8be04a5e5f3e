"""The errors of invoke_shell, each a sentence for the person typing.

    InvokeShellError            message, hint, code
    ├── DeclarationError        a node's signature says something the inspector cannot honour (file:line)
    ├── LineError               faults of a typed line, each with a span; nothing ran          exit status 2
    ├── BlockedError            a model, input, handle or module is missing; nothing ran        exit status 3
    ├── RunError                a step failed while running                                     exit status 1
    │   └── Cancelled           stopped by the person                                           exit status 130
    ├── OutputError             a picture could not be written; it is kept in memory            exit status 1
    ├── MetadataError           a file's metadata cannot be read                                exit status 3
    └── SettingError            a setting's name or value                                       exit status 2

Codes are a closed list (`CODES`): programs may rely on them. Keys are added, never renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = [
    "CODES",
    "BlockedError",
    "Cancelled",
    "DeclarationError",
    "Fault",
    "InvokeShellError",
    "LineError",
    "MetadataError",
    "OutputError",
    "RunError",
    "SettingError",
    "cells",
    "nearest",
    "render_fault",
    "render_faults",
]

CODES: dict[str, str] = {
    # the text of a line
    "open-quote": "a quote is never closed",
    "open-pipe": "nothing follows a pipe",
    "open-line": "a backslash ends the text",
    "empty-stage": "nothing stands before a pipe, or between two",
    "bad-escape": "an escape in double quotes that is not known",
    "background": "a trailing & (background lines do not exist yet)",
    # words
    "unknown-command": "no node or builtin has this name",
    "unknown-flag": "the command has no such flag",
    "missing-value": "a flag stands without its value",
    "flag-value": "a switch was given a value",
    "repeated-flag": "a single-valued flag stands twice",
    "extra-word": "the command takes no more words",
    "missing-argument": "a required value is not there",
    "bad-value": "a value is not of the wanted type",
    "out-of-range": "a value lies outside its range",
    "bad-choice": "a value is not one of the choices",
    "excluded-flag": "two flags that exclude each other",
    "quote-needed": "a word in an unquoted prompt that must be quoted",
    "split-prompt": "an unquoted prompt in two pieces",
    "bad-handle": "a handle that cannot be read, or that cannot stand here",
    "bad-sweep": "a sweep that cannot be read",
    "bad-prompt": "weights, a blend or a LoRA in a prompt that cannot be read",
    "repeated-picture": "a sweep that makes the same picture twice",
    "too-many": "more pictures or steps than the limit",
    # the chain
    "no-input": "a node that needs pictures gets none",
    "extra-input": "pictures are piped into a node that takes none",
    "no-last": "a line goes on from the last results, and there are none",
    # what a line needs
    "unknown-handle": "a handle names no result",
    "missing-file": "a file or folder is not there",
    "not-a-picture": "a file cannot be read as a picture",
    "unknown-model": "no model has this name, path or hash",
    "bad-model": "a model folder or file cannot be used",
    "missing-input": "a source picture is not in the user's index",
    "wrong-shape": "pictures or masks of sizes that do not fit",
    "not-trusted": "a file asks for something only --trust allows",
    # running
    "step-failed": "a step raised an error",
    "out-of-memory": "the device has not enough memory",
    "bad-numbers": "the model gave NaN",
    "worker-died": "the worker process ended",
    "cancelled": "stopped by the person",
    # writing and reading
    "cannot-write": "a file or folder cannot be written",
    "file-exists": "nothing is overwritten",
    "bad-metadata": "metadata that cannot be read",
    "newer-spec": "metadata of a later major version",
    "no-metadata": "a picture without metadata",
    # the rest
    "nothing-left": "there is nothing to undo, to redo or to resume",
    "bad-setting": "a setting's name or value",
    "bad-declaration": "a node's signature cannot be honoured",
    "bad-usage": "the program's own command line",
}


class InvokeShellError(Exception):
    """Base of all; `message` is one sentence, `hint` one action, `code` a key of CODES."""

    exit_status = 1
    default_code = "step-failed"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code
        if self.code not in CODES:
            raise ValueError(f"{self.code!r} is not in errors.CODES")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by Exception's own pickling; errors cross the worker's pipe.
        return (_rebuild, (type(self), self.message, self.hint, self.code, self.__dict__))

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class DeclarationError(InvokeShellError):
    """A node cannot be declared so; the message begins with file:line."""

    exit_status = 2
    default_code = "bad-declaration"


class LineError(InvokeShellError):
    """A line was not understood; nothing of it ran."""

    exit_status = 2
    default_code = "bad-value"

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = tuple(sorted(faults, key=lambda f: (f.start, f.end)))
        first = self.faults[0]
        super().__init__(first.message, hint=first.hint, code=first.code)

    def __reduce__(self) -> tuple[object, ...]:
        return (LineError, (self.source, self.faults))

    def __str__(self) -> str:
        return render_faults(self.source, self.faults)

    @property
    def incomplete(self) -> bool:
        """True when the text is only unfinished: an open quote, a trailing pipe."""
        return all(f.incomplete for f in self.faults)


class BlockedError(InvokeShellError):
    """Something the line needs is missing; nothing ran. `faults` point at the words, when typed."""

    exit_status = 3
    default_code = "missing-file"

    def __init__(
        self, message: str, *, hint: str = "", code: str = "", source: str = "", faults: Iterable[Fault] = ()
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.source = source
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return render_faults(self.source, self.faults) if self.faults else super().__str__()


class RunError(InvokeShellError):
    """A step failed. `log_id` names the entry in the log that has the trace."""

    default_code = "step-failed"
    log_id: str = ""


class Cancelled(RunError):
    """Stopped by the person; what was finished is kept."""

    exit_status = 130
    default_code = "cancelled"

    def __init__(self, message: str = "stopped", *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint, code=code)


class OutputError(InvokeShellError):
    """A picture could not be written."""

    default_code = "cannot-write"


class MetadataError(InvokeShellError):
    """A file's metadata cannot be read or is refused."""

    exit_status = 3
    default_code = "bad-metadata"


class SettingError(InvokeShellError):
    """A setting's name or value is wrong."""

    exit_status = 2
    default_code = "bad-setting"


def _rebuild(
    kind: type[InvokeShellError], message: str, hint: str, code: str, state: dict[str, object]
) -> InvokeShellError:
    error = kind(message, hint=hint, code=code)
    error.__dict__.update(state)
    return error


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a text: half-open span in characters, sentence, hint, code.

    incomplete: the text is not wrong yet, only unfinished; it is not painted red while typing.
    also: further spans that belong to the fault (the first of two repeated flags).
    """

    start: int
    end: int
    message: str
    hint: str = ""
    code: str = "bad-value"
    incomplete: bool = False
    also: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"{self.code!r} is not in errors.CODES")

    def shifted(self, by: int) -> Fault:
        """The same fault in a text that has `by` more characters in front."""
        return replace(
            self, start=self.start + by, end=self.end + by, also=tuple((a + by, b + by) for a, b in self.also)
        )


def nearest(word: str, options: Iterable[str]) -> str:
    """The option most like `word`, or "" when none is near."""
    from difflib import get_close_matches  # 3 ms; only a mistake pays for it

    names = list(options)
    lowered = {n.lower(): n for n in names}
    if word.lower() in lowered:
        return lowered[word.lower()]
    found = get_close_matches(word, names, 1, 0.6)
    return found[0] if found else ""


def cells(text: str) -> int:
    """Terminal cells `text` takes: CJK and emoji two, combining marks none."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth, wcwidth

    whole = wcswidth(text)
    return int(whole) if whole >= 0 else sum(max(0, wcwidth(c)) for c in text)


def render_fault(source: str, fault: Fault, *, indent: str = "  ") -> str:
    """The line of the fault, carets under it, the sentence, the hint."""
    begin = source.rfind("\n", 0, fault.start) + 1
    stop = source.find("\n", fault.start)
    line = source[begin : stop if stop >= 0 else len(source)]
    return f"{indent}{_shown(line)}\n{indent}{_carets(line, begin, [fault])}\n{_sentence(fault)}"


def render_faults(source: str, faults: Iterable[Fault]) -> str:
    """All faults of a text: each source line once with all its carets, then the sentences in order."""
    out: list[str] = []
    by_line: dict[int, list[Fault]] = {}
    for fault in faults:
        by_line.setdefault(source.rfind("\n", 0, fault.start) + 1, []).append(fault)
    for begin, group in sorted(by_line.items()):
        stop = source.find("\n", begin)
        line = source[begin : stop if stop >= 0 else len(source)]
        out.append(f"  {_shown(line)}")
        out.append(f"  {_carets(line, begin, group)}")
        out.extend(dict.fromkeys(map(_sentence, group)))  # two marks of one kind are told once
    return "\n".join(out)


def _carets(line: str, begin: int, faults: Iterable[Fault]) -> str:
    row = bytearray()
    for fault in faults:
        for a, b in ((fault.start, fault.end), *fault.also):
            # Measured as a whole: an emoji of several characters is as wide as one.
            left, right = (cells(_shown(line[: max(0, x - begin)])) for x in (a, b))
            right = max(right, left + 1)
            row += b" " * (right - len(row))
            row[left:right] = b"^" * (right - left)
    return row.decode()


def _shown(line: str) -> str:
    """Without what would move the cursor, colour the screen or turn the direction of writing."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "\ufffd", line.replace("\t", " "))


def _sentence(fault: Fault) -> str:
    return f"{fault.message}\n  {fault.hint}" if fault.hint else fault.message
