"""The texts of a stage that are prompts: tags become flags, and what is wrong in one is told at its place."""

from __future__ import annotations

from itertools import islice

from invoke_shell.pipeline.chain import Source, Value
from invoke_shell.pipeline.node import PICK, Param
from invoke_shell.pipeline.prompts import read_prompt
from invoke_shell.pipeline.reading import Told
from invoke_shell.pipeline.sweep import LIMIT
from invoke_shell.pipeline.tags import TAG_BEGIN, Tag, tags_of, untagged
from invoke_shell.pipeline.templates import (
    TOO_DEEP,
    Template,
    Texts,
    canonical,
    has_alternatives,
    too_deep,
    wildcards_of,
)
from invoke_shell.pipeline.text import Token
from invoke_shell.pipeline.types import FLOAT, HANDLE, Handle, ModelName, Sweep, Weighted

__all__ = ["TextReader"]


class TextReader(Told):
    """Reads the texts of one stage. `values` may get a LoRA that a prompt names. picks: --pick stands in the stage."""

    picks = False

    @property
    def can_pick(self) -> bool:
        return self.node is not None and PICK.name in self.node.params

    def text_of(self, p: Param, t: Token, span: tuple[int, int]) -> Value:
        """One word as a text; braces in a list are text, because a list is no sweep."""
        if p.kind.many:
            return Value(t.value, Source.LINE, span)
        if t.quote == "'":
            return Value(self.checked(p, self.without_tags(p, t.value, span), span), Source.LINE, span)
        if t.quote:
            return self.text_value(p, t.body, span, escapes=t.quote == '"')
        return self.bare_text(p, t.value, span)

    def bare_text(self, p: Param, raw: str, span: tuple[int, int]) -> Value:
        """An unquoted text: `none` and `@12.prompt` mean what they mean for every parameter."""
        if raw == "none" and p.kind.optional:
            return Value(None, Source.LINE, span)
        if (m := HANDLE.fullmatch(raw)) and m[2]:
            return Value(Handle(m[1], m[2]), Source.LINE, span)
        return self.text_value(p, raw, span, escapes=False)

    def text_value(self, p: Param, body: str, span: tuple[int, int], *, escapes: bool) -> Value:
        if too_deep(body):
            self.fault(*span, TOO_DEEP, "take some of them apart", "bad-sweep")
            return Value("", Source.LINE, span)
        body = self.without_tags(p, body, span)
        texts = Texts(body, escapes=escapes)
        names = wildcards_of(body) if p.arg.prompt else ()
        if texts.size > LIMIT and not self.picks:
            message = f"these braces make more than {LIMIT} prompts"
            self.fault(*span, message, "--pick 8 draws eight of them" if self.can_pick else "", "too-many")
            return Value("", Source.LINE, span)
        word = canonical(body, escapes=escapes, prompt=p.arg.prompt)
        if names or texts.size > LIMIT:
            self.checked(p, texts[0], span)
            return Value(Template((), word, body, escapes, names), Source.LINE, span)
        read = tuple(self.checked(p, text, span) for text in texts)
        return Value(read[0] if len(read) == 1 else Sweep(read, word), Source.LINE, span)

    # -- prompts -----------------------------------------------------------------------------------------------------

    def checked(self, p: Param, text: str, span: tuple[int, int]) -> str:
        """The text; what is wrong in a prompt is told where it stands, or of the whole word when that is not known."""
        faults = read_prompt(text).faults if p.arg.prompt else ()
        at = self.text.find(text, *span)
        for f in faults:
            place = (at + f.start, at + f.end) if at >= 0 else span
            if not any(told.message == f.message and (told.start, told.end) == place for told in self.bound.faults):
                self.fault(*place, f.message, f.hint, f.code)
        return text

    def without_tags(self, p: Param, body: str, span: tuple[int, int]) -> str:
        """The text without `<lora:name:0.8>`, which is a flag from now on."""
        if not p.arg.prompt or "<" not in body:
            return body
        if has_alternatives(body) and self.tag_varies(body):
            hint = "write a line for each, or the LoRA outside of the braces"
            self.fault(*span, "a LoRA or an embedding cannot be one of several alternatives", hint, "bad-prompt")
            return body
        known = [tag for tag in tags_of(body) if self.param_of(tag) is not None]
        if not known:
            return body
        for tag in known:
            self.take_tag(tag, body, span)
        return untagged(body)

    @staticmethod
    def tag_varies(body: str) -> bool:
        options = {tuple(t[:3] for t in tags_of(text)) for text in islice(Texts(body, escapes=False), LIMIT)}
        return len(options) > 1 or (options == {()} and TAG_BEGIN.search(body) is not None)

    def param_of(self, tag: Tag) -> Param | None:
        """The list of the stage's command that such a thing goes into."""
        params = self.node.params.values() if self.node else ()
        return next((p for p in params if p.kind.many and p.kind.model == tag.kind), None)

    def take_tag(self, tag: Tag, body: str, span: tuple[int, int]) -> None:
        p = self.param_of(tag)
        assert p is not None  # only tags that have one are taken
        at = self.text.find(body[tag.start : tag.end], *span)
        place = (at, at + tag.end - tag.start) if at >= 0 else span
        if tag.weight and not FLOAT.fullmatch(tag.weight):
            hint = f"as in: <{tag.kind}:{tag.name}:0.8>"
            self.fault(*place, f"a strength is a number, not {tag.weight}", hint, "bad-prompt")
            return
        name = ModelName(tag.name)
        value = Weighted(name, float(tag.weight or 1)) if p.kind.is_weighted else name
        if wrong := p.check(value):
            self.fault(*place, wrong, "", "out-of-range")
        before = self.values[p.name].value if p.name in self.values else ()
        self.values[p.name] = Value((*(before or ()), value), Source.LINE, place)
