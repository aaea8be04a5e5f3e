"""Text to words: tokenise and parse, keeping spans. Never raises, gives no meaning.

    script := line ( (";" | newline) line )*                    blank lines and comments allowed
    line   := [ "|" ] stage ( "|" stage )*
    stage  := word+
    word   := bare | '...' | "..." | “...” | -flag="..."

A quote opens at a word's start or after `=` only, so `girl's` is one word. `{a|b}` protects its bar. Tried: shlex,
which gives the same `|` for a quoted and a bare bar and no positions; argument libraries, which take bare strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from invoke_shell.errors import Fault

__all__ = [
    "Line",
    "Note",
    "Parsed",
    "Stage",
    "Token",
    "closing_braces",
    "escape",
    "parse",
    "quote",
    "quote_word",
    "unescape",
]


class Token(NamedTuple):
    """A word or mark with its half-open span.

    kind: word, pipe, semi, newline, comment, system. value: without quotes and escapes; of `--flag=value` the value.
    quote: the opening quote or "". open: the quote never closes. eq: position of the `=` of `--flag=value`, else -1.
    body: what stood between the quotes, escapes kept.
    """

    kind: str
    start: int
    end: int
    value: str
    quote: str = ""
    open: bool = False
    eq: int = -1
    body: str = ""


class Note(NamedTuple):
    """Something read otherwise than it was written, worth saying."""

    start: int
    end: int
    message: str


@dataclass(slots=True)
class Stage:
    """The words between two pipes."""

    start: int
    end: int
    words: list[Token] = field(default_factory=list)


@dataclass(slots=True)
class Line:
    """One line: its stages, or the text after `$`, or the word before `?`.

    continues: it began with a pipe. kind: chain, system, help, empty.
    """

    start: int
    end: int
    stages: list[Stage] = field(default_factory=list)
    continues: bool = False
    kind: str = "empty"
    text: str = ""


@dataclass(slots=True)
class Parsed:
    """What a text says, as far as words go. faults are in reading order."""

    text: str
    tokens: list[Token]
    lines: list[Line]
    faults: list[Fault]
    notes: list[Note]

    @property
    def incomplete(self) -> bool:
        """True when more text may follow: an open quote, a trailing pipe or backslash."""
        return any(f.incomplete for f in self.faults)


BLANK = re.compile(r"(?:[^\S\n]|\\\r?\n)+")
BARE = re.compile(r"(?:[^\s|;{\\]|\\(?!\r?\n|\Z))+")
DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)(")?', re.S)
SINGLE = re.compile(r"'([^']*)(')?")
CURLY = re.compile(r"[“”]([^“”]*)([“”])?")
FLAG_EQ = re.compile(r"(?:--?|—|–)[A-Za-z][\w.-]*=(?=[\"'“])")
DASH = re.compile(r"[—–](?=[A-Za-z])")
ESCAPE = re.compile(r'\\(["\\{}]|u\{([0-9A-Fa-f]{1,6})\}|\r?\n)')
HELP = re.compile(r"(@?[\w@.\[\]-]+)\?")
SURROGATE = re.compile("[\ud800-\udfff]+")
CLOSED_SINGLE = re.compile(r"'[^'\n]*'(?=[\s|;]|\Z)")


def parse(text: str) -> Parsed:
    """Words, stages and lines of a text; never raises."""
    lexer = _Lexer(text)
    lexer.run()
    parsed = Parsed(text, lexer.tokens, [], lexer.faults, lexer.notes)
    _split(parsed)
    parsed.faults += [_half(m) for m in SURROGATE.finditer(text)]
    parsed.faults.sort(key=lambda f: f.start)
    return parsed


def _half(m: re.Match[str]) -> Fault:
    """Bytes that were no UTF-8 arrive as lone surrogates, which no picture could record."""
    return Fault(m.start(), m.end(), "this is half a character", "type it anew", "bad-escape")


def unescape(body: str) -> str:
    r"""What a double-quoted body means: `\"`, `\\`, `\{`, `\}`, `\u{HEX}`; a joined line; all else as it stands."""
    return ESCAPE.sub(_unescape_one, body) if "\\" in body else body


def _is_character(code: int) -> bool:
    """Whether a number is a character of Unicode: in range, and no half of a pair."""
    return code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF


def _unescape_one(m: re.Match[str]) -> str:
    if m[2]:
        code = int(m[2], 16)
        return chr(code) if _is_character(code) else m[0]
    return m[1] if m[1] in '"\\{}' else ""


def quote(text: str) -> str:
    """The canonical double-quoted form; what cannot be printed is written as an escape."""
    return f'"{escape(text)}"'


def escape(text: str) -> str:
    """What stands between the quotes of the canonical form."""
    text = text.translate(MEANT)
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)


MEANT = str.maketrans({c: "\\" + c for c in '"\\{}'})


SAFE = re.compile(r"(?!as\Z)[\w./:+%#@~,^×-]+")


def quote_word(text: str) -> str:
    """Bare when no rule of the language would read it otherwise, else quoted."""
    plain = SAFE.fullmatch(text) and text.isascii() and not text.startswith(("-", "@", "#", "~"))
    return text if plain and ".." not in text and "," not in text else quote(text)


class _Lexer:
    """Walks the text once; `begins` is true where a line starts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens: list[Token] = []
        self.faults: list[Fault] = []
        self.notes: list[Note] = []
        self.begins = True
        self.protected = -1
        self.braces: dict[int, int] = {}
        self.braced = 0

    def run(self) -> None:
        text, n = self.text, len(self.text)
        while self.at < n:
            c = text[self.at]
            if (c == "|" or c == ";") and self.at >= self.protected:
                self.mark("pipe" if c == "|" else "semi", 1)
                self.begins = c == ";"
            elif c == "\n":
                self.mark("newline", 1)
                self.begins = True
            elif c.isspace() or c == "\\":
                self.blank_or_backslash(c)
            elif c == "#" and self.is_comment():
                self.rest_of_line("comment")
            elif c == "$" and self.begins and text[self.at + 1 : self.at + 2].isspace():
                self.rest_of_line("system")
            else:
                self.begins = False
                self.word(c)

    def mark(self, kind: str, length: int) -> None:
        self.tokens.append(Token(kind, self.at, self.at + length, self.text[self.at : self.at + length]))
        self.at += length

    def rest_of_line(self, kind: str) -> None:
        end = self.text.find("\n", self.at)
        self.mark(kind, (end if end >= 0 else len(self.text)) - self.at)

    def is_comment(self) -> bool:
        after = self.text[self.at + 1 : self.at + 2]
        before = self.text[self.at - 1 : self.at]
        return self.begins or (before.isspace() and (not after or after.isspace()))

    def blank_or_backslash(self, c: str) -> None:
        m = BLANK.match(self.text, self.at)
        if m:
            if "\u00a0" in m[0] and not any("no-break" in n.message for n in self.notes):
                self.notes.append(Note(m.start(), m.end(), "no-break spaces are read as blanks"))
            self.at = m.end()
        elif self.at == len(self.text) - 1:
            self.faults.append(
                Fault(self.at, self.at + 1, "a backslash joins this line to the next", "", "open-line", incomplete=True)
            )
            self.at += 1
        else:
            self.begins = False
            self.word(c)

    def word(self, c: str) -> None:
        if c in '"“”' or (c == "'" and self.single_opens()):
            self.quoted(self.at, self.at, -1)
        elif c in "-—–" and (m := FLAG_EQ.match(self.text, self.at)):
            self.quoted(self.at, m.end(), m.end() - 1)
        else:
            self.bare()

    def single_opens(self) -> bool:
        """Whether a `'` at a word's start is a quote: when it closes before a blank, or where a value is awaited."""
        if CLOSED_SINGLE.match(self.text, self.at):
            return True
        words = [t for t in self.tokens[-2:] if t.kind == "word"]
        if len(words) < len(self.tokens[-2:]) or len(words) < 2 or words[-1].quote:
            return True
        return words[-1].value.startswith("-")

    def quoted(self, start: int, at: int, eq: int) -> None:
        mark = self.text[at]
        pattern = SINGLE if mark == "'" else DOUBLE if mark == '"' else CURLY
        m = pattern.match(self.text, at)
        assert m is not None  # the mark itself matches
        body, closed = m[1], bool(m[2])
        end = m.end() if closed else len(self.text)
        if not closed:
            body = self.text[at + 1 :]
            self.faults.append(
                Fault(at, at + 1, f"this {mark} is never closed", f"close it with {_closing(mark)}", "open-quote", True)
            )
        value = unescape(body) if mark == '"' else body
        if mark == '"' and "\\u{" in body:
            self.check_escapes(at + 1, body)
        self.dash_note(start)
        self.tokens.append(Token("word", start, end, value, mark, not closed, eq, body))
        self.at = end

    def check_escapes(self, at: int, body: str) -> None:
        for m in re.finditer(r"\\\\|\\u\{([0-9A-Fa-f]*)(\}?)", body):
            if m[0] != "\\\\" and not (m[1] and m[2] and _is_character(int(m[1], 16))):
                where = (at + m.start(), at + m.end())
                self.faults.append(
                    Fault(
                        *where,
                        "an escape is \\u{HEX}, with 1 to 6 hex digits",
                        "write \\\\u for a backslash",
                        "bad-escape",
                    )
                )

    def bare(self) -> None:
        start = self.at
        text, n = self.text, len(self.text)
        while self.at < n:
            if m := BARE.match(text, self.at):
                self.at = m.end()
                continue
            c = text[self.at]
            if c == "{":
                self.protected = max(self.protected, self.closing_brace(self.at))
            elif c not in "|;" or self.at >= self.protected:
                break
            self.at += 1
        value = text[start : self.at]
        value = "--" + value[1:] if self.dash_note(start) else value
        eq = value.find("=") if value.startswith("-") else -1
        if eq > 0:
            shift = len(value) - (self.at - start)
            self.tokens.append(Token("word", start, self.at, value[eq + 1 :], eq=start + eq - shift))
        else:
            self.tokens.append(Token("word", start, self.at, value))

    def closing_brace(self, at: int) -> int:
        """Where the brace at `at` closes when a bar stands inside on the same line, else -1. One walk for a line."""
        if at >= self.braced:
            end = self.text.find("\n", at)
            self.braced = end if end >= 0 else len(self.text)
            self.braces = closing_braces(self.text, at, self.braced)
        return self.braces.get(at, -1)

    def dash_note(self, start: int) -> bool:
        if not DASH.match(self.text, start):
            return False
        self.notes.append(Note(start, start + 1, f"{self.text[start]} is read as --"))
        return True


def _closing(mark: str) -> str:
    return "”" if mark in "“”" else mark


def closing_braces(text: str, start: int, end: int) -> dict[int, int]:
    """Opening -> closing brace, of those with a bar inside; a bar counts for every brace around it."""
    found: dict[int, int] = {}
    opened: list[int] = []
    bar = -1
    for m in re.compile(r"[{|}]|\\[\\{}]").finditer(text, start, end):
        if m[0] == "{":
            opened.append(m.start())
        elif m[0] == "|":
            bar = m.start()
        elif m[0] == "}" and opened:
            at = opened.pop()
            if bar > at:
                found[at] = m.start()
    return found


def _split(parsed: Parsed) -> None:
    """Tokens to lines and stages; faults of the marks."""
    line = Line(0, 0)
    stage = Stage(0, 0)
    pipe: Token | None = None
    for t in parsed.tokens:
        if t.kind == "word":
            if not stage.words:
                stage.start = t.start
            stage.words.append(t)
            stage.end = t.end
        elif t.kind == "system":
            line.kind, line.text = "system", t.value[1:].strip()
            line.start, line.end = t.start, t.end
        elif t.kind == "pipe":
            _close_stage(parsed, line, stage, t)
            pipe, stage = t, Stage(t.end, t.end)
        elif t.kind in ("semi", "newline"):
            if t.kind == "newline" and pipe is not None and not stage.words:
                continue  # a pipe at a line's end goes on below
            _close_line(parsed, line, stage, pipe, last=False)
            line, stage, pipe = Line(t.end, t.end), Stage(t.end, t.end), None
    _close_line(parsed, line, stage, pipe, last=True)


def _close_stage(parsed: Parsed, line: Line, stage: Stage, pipe: Token) -> None:
    if stage.words:
        line.stages.append(stage)
    elif not line.stages and not line.continues:
        line.continues = True
        line.start = pipe.start
    else:
        parsed.faults.append(Fault(pipe.start, pipe.end, "there is no command before this |", "", "empty-stage"))


def _close_line(parsed: Parsed, line: Line, stage: Stage, pipe: Token | None, *, last: bool) -> None:
    if stage.words:
        line.stages.append(stage)
    elif pipe is not None:
        message = "a command must follow this |"
        parsed.faults.append(Fault(pipe.start, pipe.end, message, "", "open-pipe", incomplete=last))
    if line.stages:
        line.kind = "chain"
        line.start = line.start if line.continues else line.stages[0].start
        line.end = line.stages[-1].end
        _special(parsed, line)
    if line.kind != "empty":
        parsed.lines.append(line)


def _special(parsed: Parsed, line: Line) -> None:
    """`word?` alone is help; a trailing `&` is kept for later."""
    words = line.stages[-1].words
    if words[-1].value == "&" and not words[-1].quote:
        where = (words[-1].start, words[-1].end)
        parsed.faults.append(
            Fault(*where, "lines cannot run in the background", "leave out the &, or quote it as text", "background")
        )
        del words[max(1, len(words) - 1) :]  # said once is enough
    alone = len(line.stages) == 1 and len(words) == 1 and not line.continues and not words[0].quote
    if alone and (m := HELP.fullmatch(words[0].value)):
        line.kind, line.text = "help", m[1]
