"""The prompt at once, then everything else.

Nothing is imported here that drawing a prompt does not need. The language, the settings and the store come when the
first prompt is on the screen, before its first key is read; the worker process after that. See docs/shell.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Always
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output

from invoke_shell.collector import collector_paused
from invoke_shell.shell.archive.lines import LineHistory
from invoke_shell.shell.display.keyboard import Quiet
from invoke_shell.shell.display.marks import PROMPT
from invoke_shell.shell.edit_line.guard import Watch
from invoke_shell.shell.edit_line.terminal_input import terminal_input, terminal_output

if TYPE_CHECKING:
    from invoke_shell.shell.display.screen import TerminalView
    from invoke_shell.shell.edit_line.editing import Editing
    from invoke_shell.shell.session import Session

__all__ = ["Editor", "PlainWanted", "redrawing"]

MENU = 6  # rows kept free below the prompt for completions
BESIDE = 2  # rows that a menu never takes: the line at the bottom, and one of what is above
PAUSE = 0.05  # seconds in which the first key has the processor for itself, before the worker is started
SHORT = 1 << 16  # bytes of a history that is read in a millisecond
TRIES = 5  # prompts that end by a fault before the program does


log = logging.getLogger("invoke_shell.prompt")


class PlainWanted(Exception):
    """The settings, read after the first prompt was drawn, ask for a shell that redraws nothing."""


def redrawing(session: Session) -> TerminalView | None:
    """The session's view, when it draws on this terminal."""
    from invoke_shell.shell.display.screen import TerminalView

    return session.view if isinstance(session.view, TerminalView) else None


class Editor:
    """prompt_toolkit's prompt: bare until it is first drawn, then furnished with all that reads the language."""

    def __init__(
        self, opened: Callable[[], Session], *, input: Input | None = None, output: Output | None = None
    ) -> None:
        self._opened = opened
        self.history = LineHistory()
        self.editing: Editing | None = None
        self.worn = False  # it fails at every try; lines come without it
        self._watch = Watch(self._tell)
        self._moved = False
        self._warming: threading.Thread | None = None
        self._terminal = terminal_input() if input is None else None
        self.prompt: PromptSession[str] = PromptSession(
            [("bold", PROMPT)],
            history=self.history,
            key_bindings=self._keys(),
            multiline=True,
            bottom_toolbar="",
            enable_suspend=True,
            enable_open_in_editor=True,
            tempfile_suffix=".invoke",
            reserve_space_for_menu=MENU,
            input=input or self._terminal,
            output=output or (terminal_output() if self._terminal is not None else None),
        )
        # PromptSession's own switch for this one turns completion while typing off.
        self.prompt.default_buffer.enable_history_search = Always()
        self.prompt.app.before_render += lambda app: self._fit()
        self.prompt.app.after_render += lambda app: self._furnish()

    def ask(self, text: str, cursor: int) -> str:
        """One line. Raises EOFError, KeyboardInterrupt, PlainWanted, and with the first line what opening raises."""
        if self._terminal is not None:
            self._terminal.keyboard.take()
        if self.editing is not None:
            self.editing.renew()
            self._use_keys()
            self._use_keyboard()
        for tries in count(1):
            try:
                typed = self.prompt.prompt(
                    default=Document(text, cursor),
                    handle_sigint=False,
                    set_exception_handler=False,
                    pre_run=self._watch.begin,
                )
                self._heed_ctrl_c(typed)
                return typed
            except (EOFError, KeyboardInterrupt, PlainWanted):
                raise
            except Exception as error:  # of prompt_toolkit, at keys that no keyboard has
                if self.editing is None:
                    raise
                log.exception("a key ended the prompt")
                if tries == TRIES:
                    self._give_up(error)
                text, cursor = self.stands(), 0
        raise AssertionError("counts for ever")

    def _heed_ctrl_c(self, typed: str) -> None:
        """Ctrl-C that was read together with Enter stops the line before it runs. Raises KeyboardInterrupt."""
        ahead = get_typeahead(self.prompt.input)
        last = max((i for i, press in enumerate(ahead) if press.key == Keys.ControlC), default=-1)
        store_typeahead(self.prompt.input, ahead[last + 1 :])
        if last >= 0 and typed.strip() and self.editing is not None:
            if not self.editing.readings(typed).faults:
                self.remember(typed)
            self.editing.session.view.say("stopped")
            raise KeyboardInterrupt

    def leave_terminal(self) -> None:
        """Somebody else reads its keys from here on."""
        if self._terminal is not None and self.editing is not None:
            self._terminal.keyboard.leave()
            view = redrawing(self.editing.session)
            if view is not None and view.keyboard is self._terminal.keyboard:
                view.keyboard = Quiet(view.stdin)

    def _give_up(self, error: Exception) -> None:
        """Nothing can be drawn here: go on without drawing. Raises PlainWanted."""
        from invoke_shell.shell.display.view import Where

        session = self._opened()
        session.view.error(session.unexpected(error), Where())
        session.view.say("the line is edited without colours and completion from here on")
        self.worn = True
        raise PlainWanted()

    def _tell(self, error: Exception) -> None:
        """One sentence above the line that is being typed; a fault before there is a session ends the program."""
        app = self.prompt.app
        if self.editing is None:
            app.exit(exception=error)
            return
        session = self.editing.session
        told = session.unexpected(error)
        if app.is_running and not app.is_done:
            from invoke_shell.shell.display.view import Where

            run_in_terminal(lambda: session.view.error(told, Where()))

    def ahead(self) -> str:
        """Keys that were typed and not yet read, for somebody else to read."""
        return "".join(press.data for press in get_typeahead(self.prompt.input))

    def ready(self) -> None:
        """The session has no locks: wait for what warms it."""
        if self._warming is not None:
            self._warming.join()
            self._warming = None

    def remember(self, text: str) -> None:
        strings = self.history.get_strings()
        if not strings or strings[-1] != text:
            self.history.append_string(text)
        if self.editing is not None:
            self.editing.past.add(text)
            self.editing.status.fresh = False

    def stands(self) -> str:
        return self.prompt.default_buffer.text

    def _fit(self) -> None:
        """Room for a menu as far as there is any; prompt_toolkit shows no prompt where it does not get what it asks."""
        self.prompt.reserve_space_for_menu = max(0, min(MENU, self.prompt.output.get_size().rows - BESIDE))

    def _furnish(self) -> None:
        """The first prompt is on the screen: open the session, in the one moment in which no key can be read.

        Tried: opening it first (the prompt came 100 ms of processor time later), and in a thread (SQLite's connections
        belong to one; the first key waits for it all the same).
        """
        if self.editing is not None:
            return
        app = self.prompt.app
        app.renderer.erase()  # what opening says stands above the prompt
        with collector_paused():
            from invoke_shell.shell.edit_line.editing import Editing  # the language: most of what there is to import

            session = self._opened()
            self.history.path = session.home.history_file
            self.editing = Editing(session, self.prompt)
        self._use_keys()
        self._use_keyboard()
        if session.settings["plain"]:
            app.erase_when_done = True
            app.exit(exception=PlainWanted())
            return
        self._moved = True
        app.invalidate()
        self._warming = threading.Thread(target=self._warm, args=(session,), daemon=True)
        self._warming.start()
        self._remember_all(self.editing)

    def _remember_all(self, editing: Editing) -> None:
        """A short history at once, a long one while somebody types: 100,000 lines take a fifth of a second."""
        if self.history.bytes <= SHORT:
            editing.past.load(self.history.entries())
            return

        def load() -> None:
            time.sleep(PAUSE)
            editing.past.load(self.history.entries())

        threading.Thread(target=load, daemon=True).start()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        keys.add(Keys.CPRResponse, save_before=lambda event: False)(self._placed)
        # No mouse was asked for, so what looks like its report is something else; prompt_toolkit fails at such.
        keys.add(Keys.Vt100MouseEvent)(lambda event: None)
        return keys

    def _placed(self, event: KeyPressEvent) -> None:
        """The terminal says in which row the prompt is.

        It was asked before the greeting was printed above the prompt, and its answer read after: believed, the prompt
        would be drawn a row too high and scroll the greeting away. So the first answer counts as the last row, which
        scrolls nothing, and the terminal is asked again.
        """
        renderer, row = event.app.renderer, int(event.data[2:-1].partition(";")[0])
        renderer.report_absolute_cursor_row(event.app.output.get_size().rows if self._moved else row)
        if self._moved:
            self._moved = False
            renderer.request_absolute_cursor_position()

    def _use_keys(self) -> None:
        assert self.editing is not None  # furnished
        vi = self.editing.session.settings["keys"] == "vi"
        self.prompt.editing_mode = EditingMode.VI if vi else EditingMode.EMACS

    def _use_keyboard(self) -> None:
        """A line that runs leaves its keys to the next prompt."""
        assert self.editing is not None  # furnished
        view = redrawing(self.editing.session)
        if self._terminal is not None and view is not None:
            self._terminal.keyboard.away = view.away
            view.keyboard, view.keep_keys = self._terminal.keyboard, self._terminal.give

    def _warm(self, session: Session) -> None:
        time.sleep(PAUSE)
        session.warm()
