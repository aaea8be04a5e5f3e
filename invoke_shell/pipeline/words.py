"""The words of one stage to parameters: flags, words without a flag, unquoted texts, -I, -W and -H."""

from __future__ import annotations

import re

from invoke_shell.pipeline.chain import Source, Stage, Value
from invoke_shell.pipeline.hints import for_extra, for_flag, other_shells
from invoke_shell.pipeline.node import PICK, Param
from invoke_shell.pipeline.reading import Bound, Reading
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.templates import canonical
from invoke_shell.pipeline.text import Stage as Words
from invoke_shell.pipeline.text import Token
from invoke_shell.pipeline.types import Side, Size
from invoke_shell.pipeline.values import ValueReader

__all__ = ["WordReader", "sample"]

NUMBER = re.compile(r"-\.?\d")
SIDES = {"-W": "-W", "-H": "-H", "--width": "-W", "--height": "-H"}  # of --size, as other programs call them too


class WordReader(ValueReader):
    """Walks the words of a stage; `i` is the next one. swallowed: unquoted texts; flagged: where a flag stood first."""

    def __init__(
        self, words: Words, text: str, registry: Registry, bound: Bound, reading: Reading, *, first: bool
    ) -> None:
        super().__init__(text, bound, reading)
        self.words = words.words
        self.picks = any(text.startswith(PICK.flag, t.start) for t in self.words)
        self.begin, self.stage_end = words.start, words.end
        self.registry = registry
        self.first = first
        self.i = 0
        self.swallowed: dict[str, tuple[int, int]] = {}
        self.flagged: dict[str, tuple[int, int]] = {}
        self.repeated: set[str] = set()
        self.sides: dict[str, Token] = {}
        self.loader: list[Stage] = []
        self.extra: list[Token] = []

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

    def next_positional(self) -> Param | None:
        assert self.node is not None
        for p in self.node.positionals:
            if p.name not in self.values or self.repeats(p):
                return p
        return None

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
        names = ["other picture" if p.kind.picture and p.name == "other" else p.name for p in self.node.positionals]
        taken = f"one {names[0]}" if len(names) == 1 else f"only {' and '.join(names)}" if names else "no such word"
        message = f"{self.node.name} takes {taken}"
        self.fault(start, end, message, for_extra(self.extra, self.node), "extra-word")

    # -- flags -------------------------------------------------------------------------------------------------------

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

    def is_known_flag(self, t: Token) -> bool:
        if not self.is_flag(t):
            return False
        name = self.flag_name(t)
        if name == "-I" or name in SIDES:
            return self.brings() if name == "-I" else self.sized() is not None
        return self.lookup(name) is not None

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
        elif t.eq >= 0 and (t.value or t.quote or p.kind.is_text):
            self.store(p, t, t.eq + 1)
        elif t.eq >= 0:
            self.no_value(t, p)
        else:
            self.take_value(t, p)

    def no_value(self, t: Token, p: Param) -> None:
        self.fault(t.start, t.end, f"{p.flag} needs {p.kind.label}", f"as in: {p.flag} {sample(p)}", "missing-value")
        self.values.setdefault(p.name, Value(None, Source.LINE, (t.start, t.end)))

    def repeats_flag(self, p: Param, span: tuple[int, int]) -> None:
        self.repeated.add(p.name)
        first = self.flagged.get(p.name) or self.values[p.name].span or span
        self.fault(*span, f"{p.flag} stands twice", "keep one", "repeated-flag", also=(first,))

    def take_switch(self, t: Token, p: Param, name: str) -> None:
        off = "--no-" + p.flag[2:]
        if t.eq >= 0:
            self.fault(t.eq, t.end, f"{p.flag} takes no value", f"write {p.flag} or {off}", "flag-value")
        self.values[p.name] = Value(not name.replace("_", "-").startswith("--no-"), Source.LINE, (t.start, t.end))

    def take_value(self, t: Token, p: Param) -> None:
        following = self.words[self.i] if self.i < len(self.words) else None
        if p.arg.alone is not None and not (following and re.match(r"-?\d|none$", following.value)):
            self.values[p.name] = Value(p.arg.alone, Source.LINE, (t.start, t.end))
            if following is None and len(self.text) > t.end:
                self.expects("value", "", len(self.text), p)
        elif following is None or self.ends_text(self.i) or (self.is_flag(following) and not p.arg.text):
            self.no_value(t, p)
            if following is None and len(self.text) > t.end:
                self.expects("value", "", len(self.text), p)
        elif p.arg.text and not following.quote:
            self.swallow(p)
        else:
            self.i += 1
            self.store(p, following, following.start)

    def unknown_flag(self, t: Token, name: str, end: int) -> None:
        assert self.node is not None
        if name == "-I" and self.brings():
            self.take_loader(t)
            return
        if name in SIDES and (size := self.sized()):
            self.take_side(t, SIDES[name], size)
            return
        quoted = self.quoted_hint(t)
        known = for_flag(name, self.node, self.registry)
        hint = quoted if quoted and "did you mean" not in known and "its help" not in known else known
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

    # -- flags that are in no signature ------------------------------------------------------------------------------

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
        width, height = (int(self.sides[s].value) if s in self.sides else 0 for s in ("-W", "-H"))
        value = Size(width, height) if len(self.sides) == 2 else Side(width, height)
        start, end = min(t.start for t in self.sides.values()), max(t.end for t in self.sides.values())
        if wrong := size.check(value):
            self.fault(start, end, wrong, "", "out-of-range")
        self.values["size"] = Value(value, Source.LINE, (start, end))

    # -- unquoted text -----------------------------------------------------------------------------------------------

    def ends_text(self, i: int) -> bool:
        """Whether an unquoted text stops before a word: at a flag, at `--`, at `as @NAME`."""
        t = self.words[i]
        if t.quote and t.eq < 0:
            return False
        if t.value == "--" and t.eq < 0:
            return True
        return self.names_at(i) or (self.is_flag(t) and (self.is_known_flag(t) or t.value[:2] == "--" or t.eq >= 0))

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
                meant = f"did you mean -{t.value}? " if self.lookup(f"-{t.value}") else ""
                hint = f"{meant}if it belongs to the {p.name}, quote it: {whole}"
                self.fault(t.start, t.end, f"{self.node.name} has no {t.value}", hint, "quote-needed")
        for mark, following in zip(taken, [*taken[1:], None], strict=True):
            if hint := other_shells(mark, following):
                words = f"{hint}; if it belongs to the {p.name}, quote it: {whole}"
                self.fault(mark.start, mark.end, f"there is no {mark.value} here", words, "quote-needed")
        if raw.count('"') % 2 and not any(t.open for t in taken):
            at = self.text.rindex('"', taken[0].start, taken[-1].end)
            self.fault(
                at,
                at + 1,
                'this " has no partner',
                f"write {p.flag + ' ' if not p.positional else ''}{whole}",
                "quote-needed",
            )


def sample(p: Param) -> str:
    """A value to show: the default, a choice, or the low end."""
    if p.kind.is_text:
        return '"..."'
    if p.default is not None and not p.required and not p.kind.many:
        return p.kind.format(p.default)
    if p.kind.choices:
        return p.kind.choices[0]
    return f"{p.arg.ge:g}" if p.arg.ge is not None else p.name.upper()
