"""One word to one value of a parameter: types, ranges, choices, sweeps, links, and what is said of a wrong one."""

from __future__ import annotations

import re
from typing import Any

from invoke_shell.errors import nearest
from invoke_shell.pipeline.chain import Source, Value
from invoke_shell.pipeline.node import Param
from invoke_shell.pipeline.prompting import TextReader
from invoke_shell.pipeline.sweep import is_sweep, read_sweep
from invoke_shell.pipeline.text import Token
from invoke_shell.pipeline.types import HANDLE, Handle, Pattern

__all__ = ["ValueReader"]

GLOB = re.compile(r"[*?\[]")


class ValueReader(TextReader):
    """Reads values for one stage into `values`."""

    # -- a word ------------------------------------------------------------------------------------------------------

    def store(self, p: Param, t: Token, at: int) -> None:
        """Read one word as a value of `p`."""
        if p.kind.is_weighted and p.kind.many and not p.kind.model and not t.quote and "," in t.value:
            for part in t.value.split(","):
                self.store(p, t._replace(value=part), at)
            return
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

    def repeats(self, p: Param) -> bool:
        """A list takes several words; so does the picture of a node that starts a chain: one picture each."""
        return p.kind.many or (p.kind.picture and self.node is not None and self.node.takes == "none")

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

    # -- what is wrong -----------------------------------------------------------------------------------------------

    def bad_value(self, p: Param, text: str, span: tuple[int, int], wanted: str) -> None:
        if p.kind.choices:
            text = next((part for part in text.split(",") if not self.chosen(p, part)), text)
            near = nearest(text, p.kind.choices)
            hint = f"did you mean {near}?" if near else f"one of {', '.join(p.kind.choices)}"
            said = f"there is no {p.name} {text}" if p.positional else f"{p.flag} has no choice {text}"
            self.fault(*span, said, hint, "bad-choice")
            return
        code = "bad-sweep" if "," in text or ".." in text else "bad-value"
        hint = "random draws one" if p.kind.is_seed and code == "bad-value" else ""
        if HANDLE.fullmatch(text):
            code, hint = "bad-handle", f"one value of it is {text}.{p.name}"
        self.fault(*span, f"{p.flag if not p.positional else p.name} is {wanted}, not {text}", hint, code)

    def range_hint(self, p: Param, text: str) -> str:
        if p.kind.is_seed and text == "-1":
            return "write random for a drawn seed, or @-1.seed for that of the last picture"
        return ""

    def chosen(self, p: Param, text: str) -> bool:
        return self.spelled(p, text) in p.kind.choices


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
