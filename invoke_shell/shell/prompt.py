"""The shell: a prompt, one parse of what is typed, a run, and the prompt again. See docs/shell.md.

Nothing is imported here that the first prompt does not need: no rich, Pillow, yaml, and torch never.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Always
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.styles import Style

from invoke_shell import __version__
from invoke_shell.metadata.visible import visible
from invoke_shell.shell.colours import STYLE, Colours, Readings
from invoke_shell.shell.completion import Completions, Ghost
from invoke_shell.shell.keys import bindings
from invoke_shell.shell.lines import LineHistory
from invoke_shell.shell.listing import Listing, recent
from invoke_shell.shell.screen import PROMPT, TerminalView
from invoke_shell.shell.status import Status, help_lines, model_name

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["Editor", "Shell", "greeting", "interact"]

CONTINUED = "    ..> "
REMEMBERED = 256  # texts whose reading is kept: a line's every keystroke
PAUSE = 0.05  # seconds after the first prompt in which nothing else begins
LEAVING = "Ctrl-D or exit leaves"
DUMB = ("dumb", "unknown", "")  # terminals that cannot move the cursor
NOTHING_RAN = (2, 3)  # exit statuses of a line that was not understood, or lacks something


def interact(session: Session) -> int:
    """Talk with the person until they leave; the exit status of the program."""
    session.view.say(greeting(session))
    Shell(session).run()
    return 0


class Asking(Protocol):
    """Where lines come from."""

    def ask(self, text: str, cursor: int) -> str:
        """One line, beginning with a text to be mended. Raises EOFError, and KeyboardInterrupt with Ctrl-C."""
        ...

    def remember(self, text: str) -> None:
        """A line that ran belongs to the history."""
        ...

    @property
    def left(self) -> str:
        """What stood in the line when it was interrupted."""
        ...


class Shell:
    """The loop. lines: where they come from; None is this terminal."""

    def __init__(self, session: Session, lines: Asking | None = None) -> None:
        self.session = session
        self.readings = lru_cache(REMEMBERED)(session.read)
        self._lines = lines
        self._editor: Editor | None = None
        self._plain: PlainLines | None = None

    @property
    def lines(self) -> Asking:
        """The editor, or plain lines while the terminal cannot redraw or was told not to."""
        if self._lines is not None:
            return self._lines
        if self.session.settings["plain"] or os.environ.get("TERM", "dumb") in DUMB:
            self._plain = self._plain or PlainLines(self.readings, LineHistory(self.session.home.history_file))
            return self._plain
        self._editor = self._editor or Editor(self.session, self.readings)
        return self._editor

    def run(self) -> None:
        """Ask and run until the person leaves."""
        text, cursor = "", 0
        while not self.session.leaving:
            self._restore()
            lines = self.lines
            try:
                typed = lines.ask(text, cursor)
            except EOFError:
                return
            except KeyboardInterrupt:
                text, cursor = "", 0
                if not lines.left.strip():
                    self.session.view.say(LEAVING)
                continue
            text, cursor = self._run(typed, lines) if typed.strip() else ("", 0)

    def _run(self, typed: str, lines: Asking) -> tuple[str, int]:
        """Run a line; what stands in the next one, and where its cursor is."""
        if isinstance(self.session.view, TerminalView):
            self.session.view.typed = typed
        wrong = [f for f in self.readings(typed).faults if not f.incomplete]
        try:
            status = self.session.run(typed)
        except KeyboardInterrupt:  # outside a run: a builtin was printing
            self.session.view.say("stopped")
            status = 130
        self.readings.cache_clear()  # settings may have changed
        if not wrong:
            lines.remember(typed)
        if self.session.recalled:
            recalled, self.session.recalled = self.session.recalled, ""
            return recalled, len(recalled)
        if status in NOTHING_RAN and not self.session.leaving:
            return typed, wrong[0].end if wrong else len(typed)
        return "", 0

    def _restore(self) -> None:
        if isinstance(self.session.view, TerminalView):
            self.session.view.restore()


class Editor:
    """prompt_toolkit's prompt; colours, completion, ghost text and toolbar read the same parse.

    input, output: for tests; None is this terminal.
    """

    def __init__(
        self,
        session: Session,
        readings: Readings,
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self.session = session
        self.readings = readings
        self.listing = Listing(session)
        self.completions = Completions(session.registry, self.readings, self.listing)
        self.history = LineHistory(session.home.history_file)
        self.status = Status(session, self._redraw)
        self.fresh = not session.home.history_file.exists()
        # --no-color too; prompt_toolkit itself knows NO_COLOR.
        colourless = isinstance(session.view, TerminalView) and not session.view.color
        self.prompt: PromptSession[str] = PromptSession(
            [("class:prompt", PROMPT)],
            lexer=Colours(self.readings),
            completer=self.completions,
            auto_suggest=Ghost(self.completions),
            history=self.history,
            key_bindings=bindings(self.readings, self._help_at),
            multiline=True,
            prompt_continuation=lambda width, number, wrapped: [("class:continuation", CONTINUED)],
            bottom_toolbar=self._toolbar,
            style=Style.from_dict(STYLE),
            color_depth=ColorDepth.DEPTH_1_BIT if colourless else None,
            enable_suspend=True,
            enable_open_in_editor=True,
            tempfile_suffix=".invoke",
            reserve_space_for_menu=6,
            input=input,
            output=output,
        )
        # PromptSession's own switch turns completion while typing off.
        self.prompt.default_buffer.enable_history_search = Always()
        self.prompt.app.after_render += self._drawn
        self._warmed = False
        if isinstance(session.view, TerminalView):
            session.view.keep_keys = self._keep_keys

    def ask(self, text: str, cursor: int) -> str:
        """One line. Raises EOFError and KeyboardInterrupt."""
        self.listing.forget()
        if self._warmed:
            self.status.refresh()
        vi = self.session.settings["keys"] == "vi"
        self.prompt.editing_mode = EditingMode.VI if vi else EditingMode.EMACS
        return self.prompt.prompt(default=Document(text, cursor))

    def remember(self, text: str) -> None:
        self.fresh = False
        strings = self.history.get_strings()
        if not strings or strings[-1] != text:
            self.history.append_string(text)

    @property
    def left(self) -> str:
        return self.prompt.default_buffer.text

    def _toolbar(self) -> StyleAndTextTuples:
        document = self.prompt.default_buffer.document
        return self.status.toolbar(self.readings(document.text_before_cursor), fresh=self.fresh)

    def _help_at(self, text: str, cursor: int) -> None:
        end = next((i for i in range(cursor, len(text)) if text[i].isspace()), len(text))
        self.session.view.text("\n".join(help_lines(self.session, self.readings(text[:end]))))

    def _redraw(self) -> None:
        self.prompt.app.invalidate()

    def _drawn(self, app: object) -> None:
        """The first prompt is on the screen: now there is time for what the first line will need."""
        if not self._warmed:
            self._warmed = True
            threading.Thread(target=self._warm, daemon=True).start()

    def _warm(self) -> None:
        time.sleep(PAUSE)
        self.status.refresh()
        self.session.warm()

    def _keep_keys(self, keys: bytes) -> None:
        """Keys typed while the terminal answered questions go into the next line."""
        from prompt_toolkit.input.typeahead import store_typeahead
        from prompt_toolkit.input.vt100_parser import Vt100Parser

        pressed: list[KeyPress] = []
        parser = Vt100Parser(pressed.append)
        parser.feed(keys.decode("utf-8", "replace"))
        parser.flush()
        store_typeahead(self.prompt.input, pressed)


class PlainLines:
    """Lines without redrawing, for `set plain on` and dumb terminals: the system's own line editing."""

    left = ""

    def __init__(self, readings: Readings, history: LineHistory) -> None:
        self.readings = readings
        self.history = history
        self.readline = _readline(history)

    def ask(self, text: str, cursor: int) -> str:
        """One line, and more of them while it is unfinished."""
        if self.readline is not None:
            self.readline.set_startup_hook(partial(self.readline.insert_text, text))
        lines = [input(PROMPT)]
        if self.readline is not None:
            self.readline.set_startup_hook(None)
        while self.readings("\n".join(lines)).incomplete:
            lines.append(input(CONTINUED))
        return "\n".join(lines)

    def remember(self, text: str) -> None:
        self.history.store_string(text)


def _readline(history: LineHistory) -> Any:
    """GNU readline or its like, with the history; None where there is none, or the terminal cannot have it."""
    if os.environ.get("TERM", "dumb") in DUMB:
        return None
    try:
        import readline
    except ImportError:
        return None
    for line in reversed(list(history.load_history_strings())):
        readline.add_history(line)
    return readline


def greeting(session: Session, now: datetime | None = None) -> str:
    """The first line: version, model, where pictures go; and the last result, when there is one."""
    folder = visible(str(session.keeper.results.folder()))
    lines = [f"invoke_shell {__version__}  {model_name(session)}  pictures go to {folder}"]
    if last := next(iter(recent(session.keeper.store, 1)), None):
        lines.append(f"last {last.handle}, {_when(datetime.fromtimestamp(last.made), now or datetime.now())}")
    return "\n".join(lines)


def _when(then: datetime, now: datetime) -> str:
    """`14:02`, `yesterday 23:10`, `3 March 09:15`; with the year when it is another."""
    days = (now.date() - then.date()).days
    clock = f"{then:%H:%M}"
    if days == 0:
        return clock
    if days == 1:
        return f"yesterday {clock}"
    return f"{then.day} {then:%B}{f' {then.year}' if then.year != now.year else ''} {clock}"
