"""Words to values: binds a parsed line to the registry's signatures. All faults of a line at once, in reading order.

One binding serves running, colours, completion, validation and errors: `spans` colour the text, `pending` says what the
end of it awaits. Needs the registry only; nothing is looked up on disk and nothing is decided.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from invoke_shell.errors import Fault, LineError
from invoke_shell.pipeline.chain import Chain, Source, Stage, Value
from invoke_shell.pipeline.hints import for_command, for_handle
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.reading import Bound, Pending, Reading
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.text import Line, Token, parse
from invoke_shell.pipeline.text import Stage as Words
from invoke_shell.pipeline.types import Handle
from invoke_shell.pipeline.words import WordReader, sample

__all__ = ["Bound", "Pending", "Reading", "bind", "read", "understand"]

NAME = re.compile(r"@([A-Za-z_][\w-]*)")
RESERVED = ("kept",)  # @kept is what was kept


def read(text: str, registry: Registry, settings: Mapping[str, Value] | None = None) -> Reading:
    """Parse and bind a text; never raises."""
    parsed = parse(text)
    reading = Reading(parsed, [], list(parsed.faults), [], Pending("command", "", len(text)))
    for t in parsed.tokens:
        if t.kind != "word":
            reading.spans.append((t.start, t.end, "pipe" if t.kind in ("pipe", "semi") else t.kind))
    for line in parsed.lines:
        bound = bind(line, text, registry, settings or {}, reading)
        reading.bound.append(bound)
        reading.faults += bound.faults
    if parsed.tokens and parsed.tokens[-1].kind in ("comment", "system") and parsed.tokens[-1].end == len(text):
        reading.pending = Pending("none", "", len(text))
    reading.faults.sort(key=lambda f: (f.start, f.end))
    reading.spans.sort()
    return reading


def understand(text: str, registry: Registry, settings: Mapping[str, Value] | None = None) -> list[Bound]:
    """The lines of a text. Raises LineError with every fault."""
    reading = read(text, registry, settings)
    if reading.faults:
        raise LineError(text, reading.faults)
    return reading.bound


def bind(line: Line, text: str, registry: Registry, settings: Mapping[str, Value], reading: Reading) -> Bound:
    """One parsed line against the registry; spans and pending go into the reading."""
    bound = Bound(
        line, Chain(stages=(), continues=line.continues, source=text[line.start : line.end], offset=line.start)
    )
    if line.kind != "chain":
        return bound
    stages: list[Stage] = []
    nodes: list[Node[Any, Any] | None] = []
    known = True
    for number, words in enumerate(line.stages):
        binder = _Binder(words, text, registry, settings, bound, reading, first=number == 0)
        binder.brace = _open_brace(text, line.stages[number - 1]) if number else -1
        found = binder.run(upstream=number > 0 or line.continues)
        known = known and bool(found)
        for stage, node in found:
            stages.append(stage)
            nodes.append(node)
        if bound.builtin is not None and bound.builtin.rest:
            break
    bound.chain = replace(bound.chain, stages=tuple(stages))
    if known:  # what passes through a command that is none cannot be said
        _check_flow(bound, nodes, registry)
    _await_next(reading, text, line, nodes)
    return bound


def _await_next(reading: Reading, text: str, line: Line, nodes: list[Any]) -> None:
    """After a pipe at the end a command is awaited that accepts pictures."""
    last = reading.parsed.tokens[-1]
    if last.kind == "pipe" and last.start >= line.start:
        reading.pending = Pending("command", "", len(text), used=frozenset(["|"]))


def _drawing_from_pictures(node: Node[Any, Any], registry: Registry) -> str:
    """The command that takes pictures and the same words as one that takes none; "" without one."""
    names = [p.name for p in node.positionals]
    like = (n.name for n in registry.values() if n.takes == "each" and [p.name for p in n.positionals] == names)
    return next(like, "") if names else ""


def _check_flow(bound: Bound, nodes: list[Node[Any, Any] | None], registry: Registry) -> None:
    """Pictures must come where a node takes them, and only there."""
    stages = bound.chain.stages
    for i, (stage, node) in enumerate(zip(stages, nodes, strict=True)):
        if node is None:
            continue
        fed = i > 0 or bound.chain.continues
        if node.builtin:
            if len(stages) > 1 or bound.chain.continues:
                message = f"{node.name} stands alone on a line; it takes no pictures and passes none on"
                named = i == 1 and stages[0].handles and any(p.name.startswith("handle") for p in node.positionals)
                hint = f"write {node.name} {' '.join(map(str, stages[0].handles))}" if named else ""
                bound.faults[:] = [f for f in bound.faults if (f.start, f.end) != stage.span]  # what it lacks is told
                bound.faults.append(Fault(*stage.span, message, hint, "extra-input"))
        elif node.takes == "none" and fed:
            giver = stages[i - 1].node or "the handle" if i else "the last line"
            message = f"{node.name} takes no pictures, but {giver} passes some on"
            hint = f"begin a line of its own with {node.name}"
            also = (stages[i - 1].span,) if i else ()
            by_flag = i > 0 and stages[i - 1].span > stage.span  # -I brings it from behind
            if by_flag and (another := _drawing_from_pictures(node, registry)):
                hint = f"{another} draws from a picture"
            bound.faults.append(Fault(*stage.span, message, hint, "extra-input", also=also))
        elif node.takes != "none" and not fed:
            message = f"{node.name} needs a picture, and nothing comes before it"
            hint = f"as in: load_image a.png | {node.name}, or @-1 | {node.name}"
            bound.faults.append(Fault(*stage.span, message, hint, "no-input"))


class _Binder(WordReader):
    """Binds one stage: its name, its command or handles, its words, and what the whole of it lacks."""

    def __init__(
        self,
        words: Words,
        text: str,
        registry: Registry,
        settings: Mapping[str, Value],
        bound: Bound,
        reading: Reading,
        *,
        first: bool,
    ) -> None:
        super().__init__(words, text, registry, bound, reading, first=first)
        self.settings = settings
        self.brace = -1  # of the stage before, when nothing closes it: then the bar behind it was meant as a choice

    def run(self, *, upstream: bool) -> list[tuple[Stage, Node[Any, Any] | None]]:
        name = self.take_name()
        if not self.words:
            return []
        head = self.words[0]
        span = (head.start, head.end)
        if head.value.startswith("@") and not head.quote:
            stage = Stage(node="", handles=self.handles(), name=name, span=span, text=self.source())
            return [(stage, None)]
        self.node = node = self.command(head)
        if node is None:
            self.paint_unknown()
            return []
        if node.builtin and self.first:
            self.bound.builtin = node
        fronts: list[tuple[Stage, Node[Any, Any] | None]] = []
        if node.rest:
            self.take_rest(head)
        else:
            if not upstream and (front := self.take_front(node)):
                fronts.append((front, None))
            self.take_words()
            self.check_missing(head, upstream or bool(self.loader) or bool(fronts))
        stage = Stage(node=node.name, values=self.values, name=name, span=span, text=self.source())
        fronts += [(s, self.registry[s.node]) for s in self.loader]
        return [*fronts, (stage, node)]

    def take_front(self, node: Node[Any, Any]) -> Stage | None:
        """`compare @3 @7` is `@3 | compare @7`: handles that the command has no words for are the pictures it takes."""
        if node.takes == "none" or node.builtin or (node.positionals and node.positionals[0].arg.text):
            return None
        words = list(itertools.takewhile(lambda t: t.value.startswith("@") and not t.quote, self.words[self.i :]))
        wanted = sum(p.kind.picture and p.required for p in node.positionals)
        if any(p.kind.many for p in node.positionals) or len(words) <= wanted:
            return None
        taken = words[: len(words) - wanted]
        before, self.words = self.words, taken
        handles = self.handles()
        self.words = before
        self.i += len(taken)
        return Stage(node="", handles=handles, span=(taken[0].start, taken[-1].end), text=self.source())

    def source(self) -> str:
        return self.text[self.begin : self.stage_end]

    def take_name(self) -> str:
        """Take `as @NAME` off the end of the stage."""
        w = self.words
        if len(w) < 2 or w[-2].value != "as" or w[-2].quote or w[-1].quote or not w[-1].value.startswith("@"):
            return ""
        m = NAME.fullmatch(w[-1].value)
        if m is None or m[1] in RESERVED:
            self.fault(w[-1].start, w[-1].end, f"{w[-1].value} cannot be a name", "as in: as @fox", "bad-handle")
        else:
            self.paint(w[-1].start, w[-1].end, "handle")
        self.paint(w[-2].start, w[-2].end, "pipe")
        if len(w) == 2:
            self.fault(w[0].start, w[0].end, "there is no command before as", "", "empty-stage")
        self.words = w[:-2]
        return m[1] if m else ""

    def handles(self) -> tuple[Handle, ...]:
        out: list[Handle] = []
        for place, t in enumerate(self.words):
            if out and self.words[place - 1].value in (">", ">>"):
                continue  # its file: said with it
            try:
                handle = Handle.parse(t.value)
                if t.quote or handle.field:
                    raise ValueError
                out.append(handle)
                self.paint(t.start, t.end, "handle")
            except ValueError:
                hint = for_handle(self.words, place, self.registry)
                self.fault(t.start, t.end, f"{t.value} is not a handle", hint, "bad-handle")
            if self.at_end(t):
                self.expects("handle", t.value, t.start)
        if not self.first:
            first = self.words[0]
            message = f"{first.value} brings earlier pictures, so it can only begin a line"
            self.fault(first.start, first.end, message, "", "bad-handle")
        return tuple(out)

    def prompt_hint(self, head: Token) -> str:
        """Several words that are no command, at a line's start: most likely what to draw."""
        several = len(self.words) > 1 and not head.quote and self.first and self.registry.implicit
        return f"to draw it: {self.registry.implicit} {head.value} …" if several else ""

    def command(self, head: Token) -> Node[Any, Any] | None:
        if head.quote and head.eq < 0 and self.first and self.registry.implicit:
            self.i = 0
            return self.registry[self.registry.implicit]
        word = self.text[head.start : head.end]
        self.i = 1
        if self.at_end(head):
            self.expects("command", head.value, head.start)
            self.reading.pending.used = frozenset() if self.first else frozenset(["|"])
        node = self.registry.get(word)
        if node is None and self.brace >= 0:
            hint = "close it with }, or write \\{ for a brace"
            self.fault(self.brace, self.brace + 1, "this { is never closed", hint, "bad-sweep")
        elif node is None:
            hint = for_command(head.value, self.words[1:], self.registry) or (
                "a quoted text can only begin a line" if head.quote else ""
            )
            hint = hint or self.prompt_hint(head)
            self.fault(head.start, head.end, f"there is no command {word}", hint, "unknown-command")
        else:
            self.paint(head.start, head.end, "command")
        return node

    def paint_unknown(self) -> None:
        for t in self.words[1:]:
            self.paint(t.start, t.end, "dim")
        if self.words[0].end < len(self.text):
            self.expects("none", "", len(self.text))

    def take_rest(self, head: Token) -> None:
        """A command that takes the rest of the line as it stands (explain LINE)."""
        start = head.end
        while start < len(self.text) and self.text[start].isspace() and self.text[start] != "\n":
            start += 1
        rest = self.text[start : max(start, self.bound.line.end)]
        p = self.node.positionals[0] if self.node else None
        if p is None:
            return
        if rest:
            self.values[p.name] = Value(rest, Source.LINE, (start, start + len(rest)))
        elif p.required:
            usage = f"as in: {self.node.examples[0]}" if self.node and self.node.examples else ""
            self.fault(head.start, head.end, f"{head.value} needs {_noun(p)}", usage, "missing-argument")

    def check_missing(self, head: Token, upstream: bool) -> None:
        assert self.node is not None
        for p in self.node.params.values():
            if p.arg.excludes and self.typed(p.name) and self.typed(p.arg.excludes):
                self.excluded(p, self.node.params[p.arg.excludes])
            if not p.required or p.name in self.values or (p.arg.follows and upstream):
                continue
            if p.name in self.settings or f"{self.node.name}.{p.name}" in self.settings:
                continue
            usage = f"as in: {self.node.examples[0]}" if self.node.examples else f"write {p.flag} {sample(p)}"
            message = f"{self.node.name} needs {_noun(p) if p.positional else p.flag}"
            self.bound.faults.append(Fault(head.start, head.end, message, usage, "missing-argument"))

    def typed(self, name: str) -> bool:
        """Given, and not as `none`."""
        return name in self.values and self.values[name].value is not None

    def excluded(self, p: Param, other: Param) -> None:
        first, second = sorted(self.flagged.get(q.name) or self.values[q.name].span or (0, 0) for q in (p, other))
        message = f"{p.flag} and {other.flag} say the same thing twice"
        self.fault(*first, message, "keep one of them", "excluded-flag", also=(second,))


def _open_brace(text: str, words: Words) -> int:
    """Where a brace stands in the unquoted words of a stage that nothing in it closes; -1 without one."""
    at = -1
    for t in words.words:
        for m in re.finditer(r"\\.|[{}]", "" if t.quote else text[t.start : t.end]):
            at = t.start + m.start() if m[0] == "{" else -1 if m[0] == "}" else at
    return at


def _noun(p: Param) -> str:
    """What a word is called that must be there: `a prompt`, or what its help names before a colon, `pictures`."""
    what, colon, _ = p.arg.help.partition(":")
    if colon and (what.isalpha() or what.startswith("The ")):
        return what.lower()
    if p.kind.choices and len(p.kind.choices) < 9:
        *most, last = p.kind.choices
        return f"{', '.join(most)} or {last}"
    if p.name.endswith("s"):
        return p.name
    return f"{'an' if p.name[0] in 'aeiou' else 'a'} {p.name}"
