"""What may stand at the cursor, and the grey text behind it; both from the one parse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.bind import Pending, Reading
from invoke_shell.pipeline.derive import PROMPT_NAME, Item, complete
from invoke_shell.pipeline.node import Param
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.pipeline.text import quote, quote_word
from invoke_shell.shell.archive.past import Past
from invoke_shell.shell.builtins.models import ACTIONS
from invoke_shell.shell.edit_line.colours import Readings, inner
from invoke_shell.shell.edit_line.guard import guarded
from invoke_shell.shell.edit_line.listing import Listing

__all__ = ["Completions", "Ghost"]

TRIED = 20  # of those that fit, how many are read before giving up
LATER = ("missing-argument", "missing-value", "no-input")  # what more typing will bring


class Completions(Completer):
    """Completion items of the language as prompt_toolkit wants them."""

    def __init__(self, registry: Registry, readings: Readings, listing: Listing) -> None:
        self.registry = registry
        self.readings = readings
        self.listing = listing

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        asked = complete_event.completion_requested
        after = document.text_after_cursor[:1]
        for item in self.items(text, asked=asked):
            blank = " " if item.space and not after.isspace() else ""
            yield Completion(item.text + blank, item.start - len(text), display=item.text, display_meta=item.note)

    @guarded(list[Item])
    def items(self, text: str, *, asked: bool = True) -> list[Item]:
        """What may stand at the end of a text. asked: by a key; else only what is likely wanted while typing."""
        start, pending = self.pending(text)
        if not asked and not _wanted(pending):
            return []
        return [replace(item, start=start + item.start) for item in self._items(pending, text[start:])]

    def pending(self, text: str) -> tuple[int, Pending]:
        """Where the innermost line of a text begins, and what its end awaits, which the parse alone may not know."""
        reading = self.readings(text)
        begin = inner(reading)
        if begin is not None:
            start, pending = self.pending(text[begin:])
            return begin + start, pending
        pending = reading.pending
        builtin = reading.bound[-1].builtin if reading.bound else None
        if builtin is not None and builtin.rest:
            return 0, self._rest(text, pending, builtin.name)
        if pending.node is not None and pending.node.name == "set" and "name" in pending.used:
            return 0, self._setting(reading, pending, text)
        last = reading.parsed.tokens[-1] if reading.parsed.tokens else None
        if last is not None and last.kind == "pipe":
            return 0, Pending("command", "", len(text), used=frozenset("|"))
        if pending.kind == "command" and not pending.prefix and last is not None and last.kind == "word":
            return 0, Pending("none")  # handles stand here: a pipe must come first
        return 0, pending

    def _rest(self, text: str, pending: Pending, name: str) -> Pending:
        """`replay` and `again` read the rest of the line themselves: it is pictures. `explain` takes a line."""
        loader = self.registry.get(self.registry.loader)
        word = "" if text[-1:].isspace() else text.split()[-1]
        if pending.kind == "command" and pending.prefix:
            return pending
        if name == "explain" or loader is None or word.startswith("-"):
            return Pending("command" if name == "explain" else "none", "", len(text))
        return Pending("value", word, len(text) - len(word), loader, loader.positionals[0])

    def _setting(self, reading: Reading, pending: Pending, text: str) -> Pending:
        name = reading.bound[-1].chain.stages[0].values["name"].value
        param = self.listing.session.settings.params.get(str(name).lstrip("-").replace("-", "_"))
        if param is None or pending.prefix.startswith("-"):
            return pending
        prefix = pending.prefix if pending.kind in ("text", "value") else ""
        return Pending("value", prefix, len(text) - len(prefix), None, param)

    def _items(self, pending: Pending, text: str) -> Iterator[Item]:
        if pending.kind == "handle":
            for word, note in self.listing.handles():
                if word.startswith(pending.prefix):
                    yield Item(word, pending.start, note)
            return
        if pending.kind == "command" and pending.prefix:
            for word, meaning in self.listing.abbreviations().items():
                if word.startswith(pending.prefix):
                    yield Item(word, pending.start, visible(meaning))
        mark = pending.prefix[:1] if pending.kind == "value" and pending.prefix[:1] in ('"', "'") else ""
        bare = replace(pending, prefix=pending.prefix.removeprefix(mark))

        def values(p: Param, prefix: str) -> Iterable[tuple[str, str]]:
            return self.listing.values(pending.node, p, prefix, pending.typed)

        for item in complete(bare, self.registry, text, values):
            value = pending.kind in ("value", "flag") and not item.text.startswith("--")
            yield self._as_typed(item, pending, mark) if value else item

    @staticmethod
    def _as_typed(item: Item, pending: Pending, mark: str) -> Item:
        """A value as it must be typed; a scheduler, or what `models` can do, with what it is good for."""
        p = pending.param
        if p is not None and p.kind.choices:
            known = _scheduler(item.text) if p.name == "scheduler" else ACTIONS.get(item.text, "")
            return replace(item, note="; ".join(n for n in (item.note, known) if n))
        return replace(item, text=_as_word(item.text, mark))


def _scheduler(name: str) -> str:
    return SCHEDULERS[name].help if name in SCHEDULERS else ""


def _wanted(pending: Pending) -> bool:
    """Whether a menu helps somebody who is typing and has asked for none."""
    if pending.kind == "command":
        return bool(pending.prefix) or bool(pending.used)  # after a pipe: what fits is not known by heart
    if pending.kind == "text" and pending.param is not None and pending.param.arg.prompt:
        last = pending.prefix.rpartition(" ")[2]
        return last.startswith("-") or PROMPT_NAME.search(last) is not None
    if pending.kind in ("flag", "text"):
        return pending.prefix.rpartition(" ")[2].startswith("-")
    return pending.kind in ("value", "handle")


def _as_word(text: str, mark: str) -> str:
    """A listed value as it must be typed; the quote already typed stays."""
    if mark or " " in text:
        return text if text.endswith("/") and not mark and " " not in text else quote(text)
    return text if text.startswith(("@", "~")) else quote_word(text)


def _no_suggestion() -> Suggestion | None:
    return None


class Ghost(AutoSuggest):
    """Grey text behind the cursor: the last line of the history that begins so, else the first completion.

    Never one that would not parse.
    """

    def __init__(self, completions: Completions, past: Past) -> None:
        self.completions = completions
        self.past = past

    @guarded(_no_suggestion)
    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        text = document.text
        if not text.strip() or not document.is_cursor_at_the_end:
            return None
        rest = self._from_history(text) or self._from_completion(text)
        return Suggestion(rest) if rest else None

    def _from_history(self, text: str) -> str:
        fitting = (line for line in self.past.begins(text) if line != text)
        for line in islice(fitting, TRIED):
            if not self.completions.readings(line).faults:
                return line[len(text) :]
        return ""

    def _from_completion(self, text: str) -> str:
        for item in self.completions.items(text, asked=False)[:1]:
            typed = text[item.start :]
            if typed and item.text.startswith(typed) and self._sound(text[: item.start] + item.text):
                return item.text[len(typed) :]
        return ""

    def _sound(self, text: str) -> bool:
        return all(f.incomplete or f.code in LATER for f in self.completions.readings(text).faults)
