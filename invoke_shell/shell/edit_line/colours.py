"""Colours while typing, from the one parse. A word is red as soon as it cannot become right, not before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from invoke_shell.errors import Fault
from invoke_shell.pipeline.bind import Pending, Reading
from invoke_shell.pipeline.registry import Registry
from invoke_shell.shell.edit_line.guard import guarded

__all__ = ["Colours", "Readings", "inner", "painted"]

Readings = Callable[[str], Reading]


class Colours(Lexer):
    """readings: what a text means, remembered by text. short: words that will become commands (abbreviations)."""

    def __init__(self, registry: Registry, readings: Readings, short: Callable[[], Iterable[str]] = tuple) -> None:
        self.registry = registry
        self.readings = readings
        self.short = short

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        painted = self._painted(document.text)
        plain = document.lines

        def line(number: int) -> StyleAndTextTuples:
            if number < len(painted):
                return painted[number]
            return [("", plain[number])] if number < len(plain) else []

        return line

    @guarded(list[StyleAndTextTuples])
    def _painted(self, text: str) -> list[StyleAndTextTuples]:
        return painted(text, [*self.registry, *self.short()], self.readings)


def painted(text: str, commands: Iterable[str], readings: Readings) -> list[StyleAndTextTuples]:
    """The lines of a text in pieces of one style each; together the pieces are the text."""
    styles = [""] * len(text)
    for start, end, kind in _spans(text, commands, readings):
        styles[start:end] = [f"class:{kind}"] * (end - start)
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


def _spans(text: str, commands: Iterable[str], readings: Readings) -> Iterator[tuple[int, int, str]]:
    """What each part of a text is, and after that what is wrong with it; of a line inside a line too."""
    reading = readings(text)
    faults = {(f.start, f.end): f for f in reading.faults}
    yield from (span for span in reading.spans if span[2] != "error")
    for start, end, kind in reading.spans:
        if kind == "error" and not _unsettled(text, faults.get((start, end)), reading.pending, commands):
            yield start, end, kind
    if (begin := inner(reading)) is not None:
        yield from ((begin + start, begin + end, kind) for start, end, kind in _spans(text[begin:], commands, readings))


def inner(reading: Reading) -> int | None:
    """Where a line inside a line begins: what `explain` explains is coloured and completed like any other."""
    bound = reading.bound[-1] if reading.bound else None
    if bound is None or bound.builtin is None or bound.builtin.name != "explain":
        return None
    values = [v for stage in bound.chain.stages for v in stage.values.values()]
    return values[0].span[0] if values and values[0].span else None


def _unsettled(text: str, fault: Fault | None, pending: Pending, commands: Iterable[str]) -> bool:
    """True while a faulty word at the end of the text may still become right."""
    if fault is None or fault.incomplete:
        return fault is not None
    if text[fault.end :].strip():
        return False
    if fault.code == "missing-value":
        return True
    return fault.end == len(text) and any(word.startswith(pending.prefix) for word in _known(pending, commands))


def _known(pending: Pending, commands: Iterable[str]) -> Iterable[str]:
    """Words that the end of the text may be the beginning of."""
    if pending.kind == "command":
        return commands
    if pending.kind == "flag" and pending.node is not None:
        return pending.node.flags
    if pending.kind != "value" or pending.param is None:
        return ()
    before, comma, _ = pending.prefix.rpartition(",")
    choices = [before + comma + choice for choice in pending.param.kind.choices]
    return choices or ([pending.prefix] if _may_grow(pending) else [])


def _may_grow(pending: Pending) -> bool:
    """A value that more keys can mend: all but a number that is above its range."""
    assert pending.param is not None  # asked of values only
    try:
        number = float(pending.prefix)
    except ValueError:
        return True
    high = pending.param.arg.le
    return high is None or number <= high
