"""Colours while typing, from the one parse. A word is red as soon as it cannot become right, not before."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from invoke_shell.errors import Fault
from invoke_shell.pipeline.bind import Pending, Reading

__all__ = ["STYLE", "Colours", "Readings", "inner", "painted"]

Readings = Callable[[str], Reading]

# The sixteen colours of the terminal's own theme, so that a light one stays readable. Red always comes underlined.
STYLE = {
    "command": "bold ansigreen",
    "flag": "ansicyan",
    "string": "ansiyellow",
    "number": "ansimagenta",
    "value": "ansimagenta",
    "handle": "bold ansicyan",
    "pipe": "bold",
    "comment": "ansibrightblack",
    "system": "ansibrightblack",
    "dim": "ansibrightblack",
    "error": "ansired underline",
    "prompt": "bold",
    "continuation": "ansibrightblack",
    "auto-suggestion": "ansibrightblack",
    "bottom-toolbar": "noreverse",
    "toolbar.model": "bold",
    "toolbar.flag": "ansicyan",
    "completion-menu.completion.current": "bold reverse",
}


class Colours(Lexer):
    """readings: what a text means, remembered by text."""

    def __init__(self, readings: Readings) -> None:
        self.readings = readings

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        lines = painted(document.text, self.readings)
        return lambda number: lines[number] if number < len(lines) else []


def painted(text: str, readings: Readings) -> list[StyleAndTextTuples]:
    """The lines of a text in pieces of one style each; together the pieces are the text."""
    styles = [""] * len(text)
    _paint(styles, text, 0, readings)
    lines: list[StyleAndTextTuples] = [[]]
    begin = 0
    for i in range(len(text) + 1):
        ends = i == len(text) or text[i] == "\n"
        if i > begin and (ends or styles[i] != styles[begin]):
            lines[-1].append((styles[begin], text[begin:i]))
            begin = i
        if ends:
            lines.append([])
            begin = i + 1
    return lines[:-1]


def _paint(styles: list[str], text: str, offset: int, readings: Readings) -> None:
    reading = readings(text)
    faults = {(f.start, f.end): f for f in reading.faults}
    for wrong in (False, True):  # what is wrong is painted over what it is
        for start, end, kind in reading.spans:
            if (kind == "error") == wrong and not (
                wrong and _unsettled(text, faults.get((start, end)), reading.pending)
            ):
                styles[offset + start : offset + end] = [f"class:{kind}"] * (end - start)
    if (begin := inner(reading)) is not None:
        _paint(styles, text[begin:], offset + begin, readings)


def inner(reading: Reading) -> int | None:
    """Where a line inside a line begins: what `explain` explains is coloured and completed like any other."""
    bound = reading.bound[-1] if reading.bound else None
    if bound is None or bound.builtin is None or bound.builtin.name != "explain":
        return None
    values = [v for stage in bound.chain.stages for v in stage.values.values()]
    return values[0].span[0] if values and values[0].span else None


def _unsettled(text: str, fault: Fault | None, pending: Pending) -> bool:
    """True while a faulty word at the end of the text may still become right."""
    if fault is None or text[fault.end :].strip():
        return fault is not None and fault.incomplete
    if fault.incomplete or fault.code == "missing-value":
        return True
    if fault.end < len(text):
        return False
    if pending.kind == "value" and pending.param is not None:
        choices = pending.param.kind.choices
        return any(c.startswith(pending.prefix.rpartition(",")[2]) for c in choices) if choices else _may_grow(pending)
    return False


def _may_grow(pending: Pending) -> bool:
    """A value that more keys can mend: all but a number that is above its range."""
    assert pending.param is not None  # asked of values only
    try:
        number = float(pending.prefix)
    except ValueError:
        return True
    high = pending.param.arg.le
    return high is None or number <= high
