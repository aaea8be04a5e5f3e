"""Words to values: binds a parsed line to the registry's signatures. All faults of a line at once, in reading order.

One binding serves running, colours, completion, validation and errors: `spans` colour the text, `pending` says what the
end of it awaits. Needs the registry only; nothing is looked up on disk and nothing is decided.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from invoke_shell.errors import Fault, LineError, nearest
from invoke_shell.pipeline.chain import Chain, Source, Stage, Value
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.sweep import alternatives, canonical, is_sweep, read_sweep
from invoke_shell.pipeline.text import Line, Parsed, Token, parse
from invoke_shell.pipeline.text import Stage as Words
from invoke_shell.pipeline.types import HANDLE, Handle, Pattern, Side, Size, Sweep

__all__ = ["Bound", "Pending", "Reading", "bind", "read", "understand"]

NUMBER = re.compile(r"-\.?\d")
GLOB = re.compile(r"[*?\[]")
NAME = re.compile(r"@([A-Za-z_][\w-]*)")
RESERVED = ("kept",)  # @kept is what was kept
SIDES = ("-W", "-H")  # of --size


@dataclass(slots=True)
class Pending:
    """What the end of a line awaits, for completion and help.

    kind: command, flag, value, text, handle or none. prefix: what of it is typed; start: where it begins.
    """

    kind: str
    prefix: str = ""
    start: int = 0
    node: Node[Any, Any] | None = None
    param: Param | None = None
    used: frozenset[str] = frozenset()


@dataclass(slots=True)
class Bound:
    """One line bound: its chain, or the builtin it is (chain of one stage), and what was wrong."""

    line: Line
    chain: Chain
    faults: list[Fault] = field(default_factory=list)
    builtin: Node[Any, Any] | None = None


@dataclass(slots=True)
class Reading:
    """A whole text understood as far as it goes."""

    parsed: Parsed
    bound: list[Bound]
    faults: list[Fault]
    spans: list[tuple[int, int, str]]
    pending: Pending

    @property
    def incomplete(self) -> bool:
        """True when Enter should add a line instead of running."""
        return self.parsed.incomplete


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
        found = binder.run(upstream=number > 0 or line.continues)
        known = known and bool(found)
        for stage, node in found:
            stages.append(stage)
            nodes.append(node)
        if bound.builtin is not None and bound.builtin.rest:
            break
    bound.chain = replace(bound.chain, stages=tuple(stages))
    if known:  # what passes through a command that is none cannot be said
        _check_flow(bound, nodes)
    _await_next(reading, text, line, nodes)
    return bound


def _await_next(reading: Reading, text: str, line: Line, nodes: list[Any]) -> None:
    """After a pipe at the end a command is awaited that accepts pictures."""
    last = reading.parsed.tokens[-1]
    if last.kind == "pipe" and last.start >= line.start:
        reading.pending = Pending("command", "", len(text), used=frozenset(["|"]))


def _check_flow(bound: Bound, nodes: list[Node[Any, Any] | None]) -> None:
    """Pictures must come where a node takes them, and only there."""
    stages = bound.chain.stages
    for i, (stage, node) in enumerate(zip(stages, nodes, strict=True)):
        if node is None:
            continue
        fed = i > 0 or bound.chain.continues
        if node.builtin:
            if len(stages) > 1 or bound.chain.continues:
                message = f"{node.name} stands alone on a line; it takes no pictures and passes none on"
                bound.faults.append(Fault(*stage.span, message, "", "extra-input"))
        elif node.takes == "none" and fed:
            giver = stages[i - 1].node or "the handle" if i else "the last line"
            message = f"{node.name} takes no pictures, but {giver} passes some on"
            hint = f"begin a line of its own with {node.name}"
            also = (stages[i - 1].span,) if i else ()
            bound.faults.append(Fault(*stage.span, message, hint, "extra-input", also=also))
        elif node.takes != "none" and not fed:
            message = f"{node.name} needs a picture, and nothing comes before it"
            hint = f"as in: load_image a.png | {node.name}, or @-1 | {node.name}"
            bound.faults.append(Fault(*stage.span, message, hint, "no-input"))


class _Binder:
    """Binds the words of one stage."""

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
        self.words = words.words
        self.begin, self.stage_end = words.start, words.end
        self.text = text
        self.registry = registry
        self.settings = settings
        self.bound = bound
        self.reading = reading
        self.first = first
        self.i = 0
        self.values: dict[str, Value] = {}
        self.swallowed: dict[str, tuple[int, int]] = {}
        self.flagged: dict[str, tuple[int, int]] = {}
        self.repeated: set[str] = set()
        self.sides: dict[str, Token] = {}
        self.loader: list[Stage] = []
        self.node: Node[Any, Any] | None = None
        self.extra: list[Token] = []

    # -- the stage ---------------------------------------------------------------------------------------------------

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
        if node.rest:
            self.take_rest(head)
        else:
            self.take_words()
            self.check_missing(head, upstream or bool(self.loader))
        stage = Stage(node=node.name, values=self.values, name=name, span=span, text=self.source())
        fronts: list[tuple[Stage, Node[Any, Any] | None]] = [(s, self.registry[s.node]) for s in self.loader]
        return [*fronts, (stage, node)]

    def source(self) -> str:
        return self.text[self.begin : self.stage_end]

    def fault(self, start: int, end: int, message: str, hint: str, code: str, **more: Any) -> None:
        self.bound.faults.append(Fault(start, end, message, hint, code, **more))
        self.paint(start, end, "error")

    def paint(self, start: int, end: int, kind: str) -> None:
        self.reading.spans.append((start, end, kind))

    def expects(self, kind: str, prefix: str, start: int, param: Param | None = None) -> None:
        """Remember what the end of the text awaits; the last word at the end wins."""
        self.reading.pending = Pending(kind, prefix, start, self.node, param, frozenset(self.values))

    def at_end(self, token: Token) -> bool:
        return token.end == len(self.text)

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
        out = []
        for t in self.words:
            try:
                handle = Handle.parse(t.value)
                if t.quote or handle.field:
                    raise ValueError
                out.append(handle)
                self.paint(t.start, t.end, "handle")
            except ValueError:
                hint = "a stage of handles has nothing else in it, as in @12 @-1 | upscale"
                self.fault(t.start, t.end, f"{t.value} is not a handle", hint, "bad-handle")
            if self.at_end(t):
                self.expects("handle", t.value, t.start)
        if not self.first:
            first = self.words[0]
            message = f"{first.value} brings earlier pictures, so it can only begin a line"
            self.fault(first.start, first.end, message, "", "bad-handle")
        return tuple(out)

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
        if node is None:
            hint = self.registry.suggest(head.value) or ("a quoted text can only begin a line" if head.quote else "")
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
            self.fault(head.start, head.end, f"{head.value} needs {p.arg.help.lower()}", "", "missing-argument")

    # -- words -------------------------------------------------------------------------------------------------------

    def take_words(self) -> None:
        only_values = False
        while self.i < len(self.words):
            t = self.words[self.i]
            if not only_values and t.value == "--" and not t.quote:
                only_values = True
                self.paint(t.start, t.end, "pipe")
                self.i += 1
                if self.at_end(t):  # or the beginning of a flag
                    self.expects("flag", t.value, t.start)
            elif not only_values and self.is_flag(t):
                self.take_flag(t)
            elif self.names_at(self.i):
                self.misplaced_name()
            else:
                self.take_positional(t, only_values)
        self.join_sides()
        self.report_extra()
        if not self.words or self.words[-1].end < len(self.text):
            tail = self.text[self.stage_end :]
            if not tail.strip() and tail and self.reading.pending.kind != "value":
                self.await_more()

    def await_more(self) -> None:
        """A blank stands at the end: a positional is awaited, or a flag."""
        free = self.next_positional()
        if free is not None and free.required and not free.arg.text:
            self.expects("value", "", len(self.text), free)
        else:
            self.expects("flag", "", len(self.text), free)

    def names_at(self, i: int) -> bool:
        """Whether `as @NAME` stands at a place."""
        pair = self.words[i : i + 2]
        return (
            len(pair) == 2 and pair[0].value == "as" and pair[1].value[:1] == "@" and not pair[0].quote + pair[1].quote
        )

    def misplaced_name(self) -> None:
        begin, end = self.words[self.i], self.words[self.i + 1]
        self.i += 2
        message = f"as {end.value} must end the stage"
        self.fault(begin.start, end.end, message, "put it behind all flags, or quote it as text", "extra-word")

    @staticmethod
    def is_flag(t: Token) -> bool:
        """A bare word that begins with a dash and is no number; `--flag="..."` too."""
        if t.eq >= 0:
            return True
        return not t.quote and len(t.value) > 1 and t.value[0] == "-" and not NUMBER.match(t.value)

    def flag_name(self, t: Token) -> str:
        name = t.value if t.eq < 0 else self.text[t.start : t.eq]
        return "--" + name[1:] if name[0] in "—–" else name

    def lookup(self, name: str) -> Param | None:
        assert self.node is not None  # only called with a node
        flags = self.node.flags
        return flags.get(name) or (flags.get("--" + name[2:].replace("_", "-")) if name.startswith("--") else None)

    def take_flag(self, t: Token) -> None:
        name = self.flag_name(t)
        end = t.eq if t.eq >= 0 else t.end
        p = self.lookup(name)
        self.i += 1
        if p is None:
            self.unknown_flag(t, name, end)
            return
        if self.at_end(t) and t.eq < 0:
            self.expects("flag", name, t.start)
        self.paint(t.start, end, "flag")
        if p.name in self.values and not p.kind.many:
            self.repeats_flag(p, (t.start, end))
        self.flagged.setdefault(p.name, (t.start, end))
        if p.kind.is_switch:
            self.take_switch(t, p, name)
        elif t.eq >= 0:
            self.store(p, t, t.eq + 1)
        else:
            self.take_value(t, p)

    def repeats_flag(self, p: Param, span: tuple[int, int]) -> None:
        self.repeated.add(p.name)
        first = self.flagged.get(p.name) or self.values[p.name].span or span
        self.fault(*span, f"{p.flag} stands twice", "keep one", "repeated-flag", also=(first,))

    def unknown_flag(self, t: Token, name: str, end: int) -> None:
        assert self.node is not None
        if name == "-I" and self.brings():
            self.take_loader(t)
            return
        if name in SIDES and (size := self.sized()):
            self.take_side(t, name, size)
            return
        # Without the dashes: they alone make --cfg look like --foo.
        near = nearest(name.lstrip("-"), [f[2:] for f in self.node.flags if f.startswith("--")])
        hint = f"did you mean --{near}?" if near else self.quoted_hint(t)
        hint = f"its help is {self.node.name}?" if name in ("--help", "-h") else hint
        self.fault(t.start, end, f"{self.node.name} has no {name}", hint, "unknown-flag")
        if self.at_end(t):
            self.expects("flag", name, t.start)
        # The word after an unknown flag is most likely its value: one mistake, one message.
        if t.eq < 0 and self.i < len(self.words) and not self.is_flag(self.words[self.i]) and not self.text_next():
            self.paint(self.words[self.i].start, self.words[self.i].end, "dim")
            self.i += 1

    def quoted_hint(self, t: Token) -> str:
        """The way to write a word that looks like a flag behind an unquoted text."""
        for name, (start, end) in self.swallowed.items():
            if not self.text[end : t.start].strip():
                return f"if it belongs to the {name}, quote it: {canonical(self.text[start : t.end], escapes=False)}"
        return ""

    def text_next(self) -> bool:
        free = self.next_positional()
        return free is not None and free.kind.is_text

    def brings(self) -> bool:
        """Whether -I may stand here."""
        return self.first and bool(self.registry.loader)

    def take_loader(self, t: Token) -> None:
        """`-I X` is `load_image X |` in front of the line; again, one more picture."""
        self.paint(t.start, t.end if t.eq < 0 else t.eq, "flag")
        node = self.registry[self.registry.loader]
        p = node.positionals[0]
        value, at = self.own_value(t)
        if value is None:
            self.fault(t.start, t.end, f"-I needs {p.kind.label}", "as in: -I a.png", "missing-value")
            self.loader = self.loader or [Stage(node=node.name, span=(t.start, t.end))]
            return
        own, node_here = self.values, self.node
        self.values, self.node = dict(self.loader[0].values) if self.loader else {}, node
        self.store(p, value, at)
        start = self.loader[0].span[0] if self.loader else t.start
        self.loader = [Stage(node=node.name, values=self.values, span=(start, value.end), text=value.value)]
        self.values, self.node = own, node_here

    def own_value(self, t: Token) -> tuple[Token | None, int]:
        """The value of a flag that is not in the signature: behind its `=`, or the next word that is no flag."""
        if t.eq >= 0:
            return t, t.eq + 1
        if self.i >= len(self.words) or self.is_flag(self.words[self.i]):
            return None, t.end
        self.i += 1
        return self.words[self.i - 1], self.words[self.i - 1].start

    def sized(self) -> Param | None:
        """The --size that -W and -H are sides of."""
        size = self.node.params.get("size") if self.node else None
        return size if size is not None and isinstance(size.default, Size) else None

    def take_side(self, t: Token, name: str, size: Param) -> None:
        self.paint(t.start, t.end if t.eq < 0 else t.eq, "flag")
        value, at = self.own_value(t)
        if value is None or not value.value.isdecimal():
            start, end = (t.start, t.end) if value is None else (at, value.end)
            message = f"{name} is a whole number" + (f", not {value.value}" if value else "")
            self.fault(start, end, message, f"as in: {name} 512", "missing-value" if value is None else "bad-value")
        elif name in self.sides or ("size" in self.values and not self.sides):
            self.repeats_flag(size, (t.start, value.end))
        else:
            self.sides[name] = value
            self.flagged.setdefault("size", (t.start, value.end))
            self.values["size"] = Value(None, Source.LINE, (at, value.end))

    def join_sides(self) -> None:
        """-W and -H are the two sides of one --size; one alone leaves the other to the model."""
        size = self.sized()
        if not self.sides or size is None or "size" in self.repeated:
            return
        width, height = (int(self.sides[s].value) if s in self.sides else 0 for s in SIDES)
        value = Size(width, height) if len(self.sides) == 2 else Side(width, height)
        start, end = min(t.start for t in self.sides.values()), max(t.end for t in self.sides.values())
        if wrong := size.check(value):
            self.fault(start, end, wrong, "", "out-of-range")
        self.values["size"] = Value(value, Source.LINE, (start, end))

    def take_switch(self, t: Token, p: Param, name: str) -> None:
        off = "--no-" + p.flag[2:]
        if t.eq >= 0:
            self.fault(t.eq, t.end, f"{p.flag} takes no value", f"write {p.flag} or {off}", "flag-value")
        self.values[p.name] = Value(not name.replace("_", "-").startswith("--no-"), Source.LINE, (t.start, t.end))

    def take_value(self, t: Token, p: Param) -> None:
        following = self.words[self.i] if self.i < len(self.words) else None
        if following is None or self.ends_text(self.i) or (self.is_flag(following) and not p.arg.text):
            hint = f"as in: {p.flag} {_sample(p)}"
            self.fault(t.start, t.end, f"{p.flag} needs {p.kind.label}", hint, "missing-value")
            if following is None and len(self.text) > t.end:
                self.expects("value", "", len(self.text), p)
        elif p.arg.text and not following.quote:
            self.swallow(p)
        else:
            self.i += 1
            self.store(p, following, following.start)

    def is_known_flag(self, t: Token) -> bool:
        if not self.is_flag(t):
            return False
        name = self.flag_name(t)
        if name == "-I" or name in SIDES:
            return self.brings() if name == "-I" else self.sized() is not None
        return self.lookup(name) is not None

    def ends_text(self, i: int) -> bool:
        """Whether an unquoted text stops before a word: at a flag, at `--`, at `as @NAME`."""
        t = self.words[i]
        if t.quote and t.eq < 0:
            return False
        if t.value == "--" and t.eq < 0:
            return True
        return self.names_at(i) or (self.is_flag(t) and (self.is_known_flag(t) or t.value[:2] == "--" or t.eq >= 0))

    def next_positional(self) -> Param | None:
        assert self.node is not None
        for p in self.node.positionals:
            if p.name not in self.values or self.repeats(p):
                return p
        return None

    def repeats(self, p: Param) -> bool:
        """A list takes several words; so does the picture of a node that starts a chain: one picture each."""
        return p.kind.many or (p.kind.picture and self.node is not None and self.node.takes == "none")

    def take_positional(self, t: Token, only_values: bool) -> None:
        p = self.next_positional()
        if p is None:
            self.extra.append(t)
            self.i += 1
        elif p.arg.text and not t.quote:
            self.swallow(p, only_values)
        else:
            self.i += 1
            self.store(p, t, t.start)

    def report_extra(self) -> None:
        """Words that found no place: one fault for all of them."""
        if not self.extra:
            return
        assert self.node is not None
        start, end = self.extra[0].start, self.extra[-1].end
        for p in self.node.positionals:
            if p.name in self.swallowed:
                first, last = self.swallowed[p.name]
                whole = f"{self.text[first:last]} {self.text[start:end]}"
                hint = f"put it in one piece: {canonical(whole, escapes=False)}"
                message = f"the {p.name} stands in two pieces"
                self.fault(start, end, message, hint, "split-prompt", also=((first, last),))
                return
        names = " and ".join(p.name for p in self.node.positionals)
        message = f"{self.node.name} takes {'only ' + names if names else 'no such word'}"
        hint = "put all of it in quotes" if any(p.arg.text for p in self.node.positionals) else ""
        self.fault(start, end, message, hint, "extra-word")

    # -- unquoted text -----------------------------------------------------------------------------------------------

    def swallow(self, p: Param, only_values: bool = False) -> None:
        """Bare words up to a known flag are one text, spaces as typed."""
        first = self.i
        while self.i < len(self.words) and (only_values or not self.ends_text(self.i)):
            self.i += 1
        taken = self.words[first : self.i]
        start, end = taken[0].start, taken[-1].end
        raw = re.sub(r"\\\r?\n", "", self.text[start:end]).replace("\u00a0", " ")
        self.swallowed.setdefault(p.name, (start, end))
        if p.name in self.values and not p.kind.many:
            self.extra += [] if p.name in self.repeated else taken
            return
        if not only_values:
            self.check_swallowed(p, taken, raw)
        self.paint(start, end, "string")
        self.values[p.name] = self.bare_text(p, raw, (start, end))
        if end == len(self.text):
            self.expects("text", raw, start, p)

    def check_swallowed(self, p: Param, taken: list[Token], raw: str) -> None:
        """An unknown `-word` and a `"` without partner must be quoted."""
        assert self.node is not None
        whole = canonical(raw, escapes=False)
        for t in taken:
            if self.is_flag(t):
                hint = f"if it belongs to the {p.name}, quote it: {whole}"
                self.fault(t.start, t.end, f"{self.node.name} has no {t.value}", hint, "quote-needed")
        if raw.count('"') % 2 and not any(t.open for t in taken):
            at = self.text.rindex('"', taken[0].start, taken[-1].end)
            self.fault(
                at,
                at + 1,
                'this " has no partner',
                f"write {p.flag + ' ' if not p.positional else ''}{whole}",
                "quote-needed",
            )

    def bare_text(self, p: Param, raw: str, span: tuple[int, int]) -> Value:
        """An unquoted text: `none` and `@12.prompt` mean what they mean for every parameter."""
        if raw == "none" and p.kind.optional:
            return Value(None, Source.LINE, span)
        if (m := HANDLE.fullmatch(raw)) and m[2]:
            return Value(Handle(m[1], m[2]), Source.LINE, span)
        return self.text_value(p, raw, span, escapes=False)

    def text_value(self, p: Param, body: str, span: tuple[int, int], *, escapes: bool) -> Value:
        try:
            texts = alternatives(body, escapes=escapes)
        except ValueError as error:
            self.fault(*span, str(error), "", "too-many")
            return Value("", Source.LINE, span)
        if len(texts) == 1:
            return Value(texts[0], Source.LINE, span)
        return Value(Sweep(tuple(texts), canonical(body, escapes=escapes)), Source.LINE, span)

    # -- values ------------------------------------------------------------------------------------------------------

    def store(self, p: Param, t: Token, at: int) -> None:
        """Read one word as a value of `p`."""
        span = (at, t.end)
        self.paint(at, t.end, _colour(p, t))
        if self.at_end(t):
            self.expects("text" if p.arg.text else "value", self.text[at : t.end], at, p)
        if p.kind.is_text:
            value = self.text_of(p, t, span)
        else:
            read = self.convert(p, t, span)
            if read is None:
                self.values.setdefault(p.name, Value(None, Source.LINE, span))
                return
            value = read
        if p.kind.many or (self.repeats(p) and p.name in self.values):
            before = self.values.get(p.name)
            items = (*_items(before), value.value)
            value = Value(items, Source.LINE, span)
        self.values[p.name] = value

    def text_of(self, p: Param, t: Token, span: tuple[int, int]) -> Value:
        """One word as a text; braces in a list are text, because a list is no sweep."""
        if t.quote == "'" or p.kind.many:
            return Value(t.value, Source.LINE, span)
        if t.quote:
            return self.text_value(p, t.body, span, escapes=t.quote == '"')
        return self.bare_text(p, t.value, span)

    def convert(self, p: Param, t: Token, span: tuple[int, int]) -> Value | None:
        text = t.value
        try:
            if not t.quote and text.startswith("@") and (m := HANDLE.fullmatch(text)) and m[2]:
                return self.linked(p, Handle(m[1], m[2]), span)
            if not t.quote and is_sweep(p.kind, text):
                value: Any = read_sweep(p.kind, self.spelled(p, text))
                checked = value.values
            elif not t.quote and p.kind.picture and not text.startswith("@") and GLOB.search(text):
                return Value(Pattern(text), Source.LINE, span)
            else:
                value = p.kind.parse(self.spelled(p, text))
                checked = (value,)
        except ValueError as error:
            self.bad_value(p, text, span, str(error))
            return None
        for one in checked:
            if wrong := p.check(one):
                self.fault(*span, wrong, self.range_hint(p, text), "out-of-range")
                return None
        return Value(value, Source.LINE, span)

    def linked(self, p: Param, handle: Handle, span: tuple[int, int]) -> Value | None:
        if not p.kind.picture:
            return Value(handle, Source.LINE, span)
        self.fault(*span, f"{handle} is one value of a picture", f"the picture is {handle.text}", "bad-handle")
        return None

    def spelled(self, p: Param, text: str) -> str:
        """Other programs' spellings of a choice become ours."""
        if p.arg.spell is None:
            return text
        spelled = []
        for part in text.split(","):
            try:
                spelled.append(p.arg.spell(part))
            except ValueError:
                spelled.append(part)
        return ",".join(spelled)

    def range_hint(self, p: Param, text: str) -> str:
        if p.kind.is_seed and text == "-1":
            return "write random for a drawn seed, or @-1.seed for that of the last picture"
        return ""

    def bad_value(self, p: Param, text: str, span: tuple[int, int], wanted: str) -> None:
        if p.kind.choices:
            text = next((part for part in text.split(",") if not self.chosen(p, part)), text)
            near = nearest(text, p.kind.choices)
            hint = f"did you mean {near}?" if near else f"one of {', '.join(p.kind.choices)}"
            self.fault(*span, f"{p.flag} has no choice {text}", hint, "bad-choice")
            return
        code = "bad-sweep" if "," in text or ".." in text else "bad-value"
        hint = "random draws one" if p.kind.is_seed else ""
        if HANDLE.fullmatch(text):
            code, hint = "bad-handle", f"one value of it is {text}.{p.name}"
        self.fault(*span, f"{p.flag if not p.positional else p.name} is {wanted}, not {text}", hint, code)

    def chosen(self, p: Param, text: str) -> bool:
        return self.spelled(p, text) in p.kind.choices

    # -- the whole stage ---------------------------------------------------------------------------------------------

    def check_missing(self, head: Token, upstream: bool) -> None:
        assert self.node is not None
        for p in self.node.params.values():
            if p.arg.excludes and self.typed(p.name) and self.typed(p.arg.excludes):
                self.excluded(p, self.node.params[p.arg.excludes])
            if not p.required or p.name in self.values or (p.arg.follows and upstream):
                continue
            if p.name in self.settings or f"{self.node.name}.{p.name}" in self.settings:
                continue
            usage = f"as in: {self.node.examples[0]}" if self.node.examples else f"write {p.flag} {_sample(p)}"
            article = "an" if p.name[0] in "aeiou" else "a"
            wanted = f"{article} {p.name}" if p.positional else p.flag
            message = f"{self.node.name} needs {wanted}"
            self.bound.faults.append(Fault(head.start, head.end, message, usage, "missing-argument"))

    def typed(self, name: str) -> bool:
        """Given, and not as `none`."""
        return name in self.values and self.values[name].value is not None

    def excluded(self, p: Param, other: Param) -> None:
        first, second = sorted(self.flagged.get(q.name) or self.values[q.name].span or (0, 0) for q in (p, other))
        message = f"{p.flag} and {other.flag} say the same thing twice"
        self.fault(*first, message, "keep one of them", "excluded-flag", also=(second,))


def _items(value: Value | None) -> tuple[Any, ...]:
    if value is None or value.value is None:
        return ()
    return value.value if isinstance(value.value, tuple) else (value.value,)


def _colour(p: Param, t: Token) -> str:
    if t.quote or p.kind.is_text:
        return "string"
    if t.value.startswith("@"):
        return "handle"
    return "number" if p.kind.is_ranged else "value"


def _sample(p: Param) -> str:
    """A value to show: the default, a choice, or the low end."""
    if p.kind.is_text:
        return '"..."'
    if p.default is not None and not p.required and not p.kind.many:
        return p.kind.format(p.default)
    if p.kind.choices:
        return p.kind.choices[0]
    return f"{p.arg.ge:g}" if p.arg.ge is not None else p.name.upper()
