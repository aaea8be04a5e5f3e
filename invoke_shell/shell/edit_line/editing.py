"""What makes the bare prompt ours: one parse that colours, completes, suggests, explains and checks what is typed."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from prompt_toolkit.formatted_text import OneStyleAndTextTuple, StyleAndTextTuples
from prompt_toolkit.key_binding import merge_key_bindings
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from invoke_shell import __version__
from invoke_shell.errors import InvokeShellError
from invoke_shell.metadata.visible import visible
from invoke_shell.models.known import offer
from invoke_shell.shell.archive.past import Past
from invoke_shell.shell.display.marks import CONTINUED
from invoke_shell.shell.display.screen import TerminalView
from invoke_shell.shell.display.themes import DARK, NONE, Theme
from invoke_shell.shell.edit_line import pastes
from invoke_shell.shell.edit_line.colours import Colours
from invoke_shell.shell.edit_line.completion import Completions, Ghost
from invoke_shell.shell.edit_line.guard import guarded
from invoke_shell.shell.edit_line.keys import bindings
from invoke_shell.shell.edit_line.listing import Listing, recent
from invoke_shell.shell.edit_line.status import Status, help_lines, model_name
from invoke_shell.shell.home import short

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from invoke_shell.shell.session import Session

__all__ = ["Editing", "greet", "greeting"]

log = logging.getLogger("invoke_shell.editing")

REMEMBERED = 256  # texts whose reading is kept: every keystroke of a line


class Editing:
    """Furnishes a prompt; `renew` before each further line, because the last one may have changed what there is."""

    def __init__(self, session: Session, prompt: PromptSession[str]) -> None:
        self.session = session
        self.prompt = prompt
        self.readings = lru_cache(REMEMBERED)(session.read)
        self.listing = Listing(session)
        self.past = Past(comes=True)
        self.completions = Completions(session.registry, self.readings, self.listing)
        self.status = Status(session, prompt.app.invalidate)
        self._theme: Theme | None = None
        self._furnish(prompt)
        pastes.use(prompt.input)
        self.status.refresh()

    def _furnish(self, prompt: PromptSession[str]) -> None:
        prompt.lexer = Colours(self.session.registry, self.readings, self.listing.abbreviations)
        prompt.completer = self.completions
        prompt.auto_suggest = Ghost(self.completions, self.past)
        given = [] if prompt.key_bindings is None else [prompt.key_bindings]
        tell = self.session.view.say
        own = bindings(self.readings, self._help_at, tell, self.past, self.listing.abbreviations)
        prompt.key_bindings = merge_key_bindings([*given, own])
        prompt.prompt_continuation = _continued
        prompt.bottom_toolbar = self._toolbar
        self._use_theme()

    def _use_theme(self) -> None:
        view = self.session.view
        theme = view.theme if isinstance(view, TerminalView) else DARK
        if theme is not self._theme:
            self._theme = theme
            self.prompt.style = Style.from_dict(dict(theme.style))
            # Menus have colours of prompt_toolkit's own. None: as many as the terminal has.
            self.prompt.color_depth = ColorDepth.DEPTH_1_BIT if theme is NONE else None

    def renew(self) -> None:
        """Another line begins: settings, files and results may be others than before."""
        self._use_theme()
        self.readings.cache_clear()
        self.listing.forget()
        self.status.refresh()

    @guarded(list[OneStyleAndTextTuple])
    def _toolbar(self) -> StyleAndTextTuples:
        text = self.prompt.default_buffer.document.text_before_cursor
        return self.status.toolbar(self.completions.pending(text)[1], empty=not text.strip())

    def _help_at(self, text: str, cursor: int) -> None:
        """Print help on the word at a place of a text."""
        end = next((i for i in range(cursor, len(text)) if text[i].isspace()), len(text))
        self.session.view.text("\n".join(self._help(text[:end])))
        self.session.view.line_done()  # a model may have been read for it, which shows how far it is

    def _help(self, text: str) -> list[str]:
        """Of a handle how it was made, of any other word what it is for."""
        words = text.split()
        if words and words[-1].startswith("@"):
            from invoke_shell.shell.answers.inside import made_how

            try:
                return list(made_how(self.session, words[-1].rstrip("?")))
            except InvokeShellError as error:
                return str(error).splitlines()
        return list(help_lines(self.session, self.completions.pending(text)[1]))


def _continued(width: int, number: int, wrapped: int | bool) -> StyleAndTextTuples:
    """In front of a further line; nothing but room in front of one that the terminal's width has broken."""
    return [("class:continuation", " " * width if wrapped else CONTINUED)]


def greet(session: Session) -> None:
    """Say the first lines; once in a home's life also which other programs' models are here."""
    session.view.say(greeting(session))
    try:
        if text := offer(session.catalogue):
            session.view.say(text)
    except InvokeShellError as error:  # another shell holds the file: the next start asks again
        log.info("no offer: %s", error.message)


def greeting(session: Session, now: datetime | None = None) -> str:
    """The first line: version, model, where pictures go; and the last result, when there is one."""
    folder = visible(short(session.keeper.results.folder()))
    lines = [f"invoke_shell {__version__}  {model_name(session)}  pictures go to {folder}"]
    own, count = session.keeper.session, session.keeper.store.count(session.keeper.session.id)
    if own.named or count:
        pictures = f"{count} picture{'' if count == 1 else 's'}" if count else "no pictures yet"
        lines.append(f"session {visible(own.name)}, {pictures}")
    if last := next(iter(recent(session.keeper.store, 1)), None):
        lines.append(f"last {last.handle}, {_when(datetime.fromtimestamp(last.made), now or datetime.now())}")
    if left := _left(session):
        lines.append(left)
    return "\n".join(lines)


def _left(session: Session) -> str:
    """What ended early the last time; nothing of a store that cannot be read: a line will say so."""
    from invoke_shell.shell.command_files.resuming import announcement

    try:
        return announcement(session.keeper.store)
    except InvokeShellError:
        return ""


def _when(then: datetime, now: datetime) -> str:
    """`14:02`, `yesterday 23:10`, `3 March 09:15`; with the year when it is another."""
    clock = f"{then:%H:%M}"
    days = (now.date() - then.date()).days
    if days in (0, 1):
        return f"yesterday {clock}" if days else clock
    return f"{then.day} {then:%B}{f' {then.year}' if then.year != now.year else ''} {clock}"
