"""Handles to results: @12, @-1, @15..22, @-4..-1, @@, @kept, @fox, @fox[2], @fox[2..4]. Resolved before a line runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from invoke_shell.errors import BlockedError, nearest
from invoke_shell.pipeline.types import Handle
from invoke_shell.shell.archive.store import ResultRow, Store

__all__ = ["NAME", "between", "numbers_text", "resolve"]

T = TypeVar("T")

NUMBERS = re.compile(r"@(-?\d+)(?:\.\.(-?\d+))?")
NAME = re.compile(r"@([A-Za-z_][\w-]*)(?:\[(\d+)(?:\.\.(\d+))?\])?")


def resolve(store: Store, session: int, handle: Handle) -> list[ResultRow]:
    """The results a handle stands for, in its order; `handle.field` is not looked at.

    @-k counts back over what this session shows, discarded results left out; a range leaves out what is not to be seen.
    Raises BlockedError (unknown-handle) with what would be right.
    """
    text = handle.text
    if text == "@@":
        return _some(store.last_results(session), "@@ is the results of the last line, and none has made any yet")
    if text == "@kept":
        return _some(store.kept(session), "nothing is kept in this session yet", "keep @-1 keeps the last result")
    if numbers := NUMBERS.fullmatch(text):
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        return _range(store, session, text, first, last) if numbers[2] else [_one(store, session, text, first)]
    if name := NAME.fullmatch(text):
        return _by_name(store, session, name[1], *(int(i) for i in name.groups()[1:] if i))
    raise _unknown(f"{text} is no handle", "handles are @12, @-1, @15..22, @@, @kept and @name")


def numbers_text(numbers: Iterable[int]) -> str:
    """Numbers as handles, runs of three and more as ranges: `@3 @5 @7..12`."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    words = [[f"@{r[0]}..{r[-1]}"] if len(r) > 2 else [f"@{n}" for n in r] for r in runs]
    return " ".join(word for run in words for word in run)


def _one(store: Store, session: int, text: str, number: int) -> ResultRow:
    if number <= 0:
        return _counted_back(store, session, text, -number)
    row = store.result(number)
    if row is None or row.state == "pending":
        raise _no_number(store, text)
    if row.state == "lost":
        raise _unknown(
            f"{text} was never finished: its run ended before the file was complete", "resume goes on with it"
        )
    return row


def _counted_back(store: Store, session: int, text: str, back: int) -> ResultRow:
    if back == 0:
        raise _unknown(f"{text} is no handle", "@-1 is the last result")
    rows = store.back(session, back, back)
    if not rows:
        raise _too_far(store, session, text)
    return rows[0]


def _range(store: Store, session: int, text: str, first: int, last: int) -> list[ResultRow]:
    if first < 0 and last < 0:
        _counted_back(store, session, text, max(-first, -last))
        return store.back(session, -first, -last)
    ends = [_one(store, session, text, end).n if end <= 0 else end for end in (first, last)]
    rows = store.between(*ends)
    if not rows:
        raise _no_number(store, text)
    return rows


def _by_name(store: Store, session: int, name: str, *indexes: int) -> list[ResultRow]:
    """All pictures of a name; with one index that one, with two those between them, in their order."""
    rows = store.named(session, name)
    if not rows:
        guess = nearest(name, store.names(session))
        hint = f"did you mean @{guess}?" if guess else f"a name is given by: txt2img ... as @{name}"
        raise _unknown(f"@{name} is no name of this session", hint)
    for index in indexes:
        if not 1 <= index <= len(rows):
            count = "one picture" if len(rows) == 1 else f"{len(rows)} pictures, @{name}[1] to @{name}[{len(rows)}]"
            raise _unknown(f"@{name}[{index}] is not there: @{name} is {count}")
    return between(rows, indexes) if indexes else rows


def between(items: Sequence[T], indexes: Sequence[int]) -> list[T]:
    """The items from the first to the last of these places, counted from 1; backward when the first is greater."""
    first, last = indexes[0], indexes[-1]
    found = list(items[min(first, last) - 1 : max(first, last)])
    return found if first <= last else found[::-1]


def _some(rows: list[ResultRow], message: str, hint: str = "") -> list[ResultRow]:
    if not rows:
        raise _unknown(message, hint)
    return rows


def _no_number(store: Store, text: str) -> BlockedError:
    last = store.newest()
    return _unknown(f"{text} is no result", f"the last one is @{last}" if last else "there are no results yet")


def _too_far(store: Store, session: int, text: str) -> BlockedError:
    count = store.count(session)
    have = f"this session has {count} result{'' if count == 1 else 's'}" if count else "this session has no results yet"
    last = store.newest()
    elsewhere = (
        f"the last picture of all is @{last}; --continue takes up the last session" if last and not count else ""
    )
    return _unknown(f"{text} goes back too far: {have}", elsewhere)


def _unknown(message: str, hint: str = "") -> BlockedError:
    return BlockedError(message, hint=hint, code="unknown-handle")
