"""Keys of the edit line, beside prompt_toolkit's own of emacs and vi."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.auto_suggest import Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import (
    Condition,
    emacs_insert_mode,
    emacs_mode,
    has_focus,
    is_done,
    vi_insert_mode,
    vi_navigation_mode,
)
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent

from invoke_shell.errors import Fault
from invoke_shell.pipeline.text import quote_word
from invoke_shell.shell.archive.past import Past, Walk
from invoke_shell.shell.edit_line.abbreviations import expansion
from invoke_shell.shell.edit_line.colours import Readings
from invoke_shell.shell.edit_line.guard import guarded
from invoke_shell.shell.edit_line.listing import PICTURES

__all__ = ["bindings", "recall_of"]

# What prompt_toolkit looks for where the environment names none.
EDITORS = ("/usr/bin/editor", "/usr/bin/nano", "/usr/bin/pico", "/usr/bin/vi", "/usr/bin/emacs")

FILE = "file://"
LONGEST = 16_384  # characters of a paste that may be dropped files


def bindings(
    readings: Readings,
    help_at: Callable[[str, int], None],
    tell: Callable[[str], None],
    past: Past,
    abbreviations: Callable[[], Mapping[str, str]],
) -> KeyBindings:
    """help_at: prints help on the word at a place of a text. tell: a sentence. past: for the arrow keys."""
    keys = KeyBindings()
    arrows = _Arrows(past)
    editing = has_focus(DEFAULT_BUFFER)  # not while Ctrl-R searches
    insert_mode = emacs_insert_mode | vi_insert_mode

    @guarded(lambda: None)
    def expand(buffer: Buffer) -> None:
        """An abbreviation before the cursor becomes what it stands for."""
        found = expansion(readings(buffer.text), buffer.text, buffer.cursor_position, abbreviations())
        if found is not None:
            buffer.delete_before_cursor(buffer.cursor_position - found[0])
            buffer.insert_text(found[1])

    def blank(event: KeyPressEvent) -> None:
        expand(event.current_buffer)
        event.current_buffer.insert_text(" ")

    def enter(event: KeyPressEvent) -> None:
        expand(event.current_buffer)
        _enter(event, readings)

    keys.add(" ", filter=editing & insert_mode)(blank)
    keys.add("enter", filter=editing)(enter)
    keys.add("escape", "enter", filter=editing & emacs_mode)(lambda event: event.current_buffer.insert_text("\n"))
    keys.add("tab", filter=editing)(_tab)
    keys.add("up", filter=editing & _menu_unused)(arrows.up)
    keys.add("down", filter=editing & _menu_unused)(arrows.down)
    keys.add("escape", "right", filter=editing & _ghost)(_take_word)
    keys.add("f1", filter=editing)(lambda event: _help(event, help_at))
    keys.add("c-x", "c-e", filter=editing & emacs_mode)(lambda event: _editor(event, tell))
    keys.add("v", filter=editing & vi_navigation_mode)(lambda event: _editor(event, tell))
    keys.add("<bracketed-paste>", filter=editing)(_paste)
    for key in ("enter", "c-c", "c-d"):  # read together with the key that ended the line: a line ends once
        keys.add(key, filter=is_done)(lambda event: None)
    return keys


@Condition
def _menu_unused() -> bool:
    """A menu that opened by itself does not take the arrow key away from the history."""
    state = _buffer().complete_state
    return state is None or state.current_completion is None


@Condition
def _ghost() -> bool:
    return _buffer().suggestion is not None


def _editor(event: KeyPressEvent, tell: Callable[[str], None]) -> None:
    """The line in $VISUAL or $EDITOR, and back; prompt_toolkit's own keys would run it then."""
    if why := _no_editor(os.environ):
        run_in_terminal(lambda: tell(why))
    else:
        event.current_buffer.open_in_editor(validate_and_handle=False)


def _no_editor(env: Mapping[str, str]) -> str:
    """Why no editor can be started; prompt_toolkit would start another one, or none, without a word."""
    for name in ("VISUAL", "EDITOR"):
        if command := env.get(name):
            try:
                program = shlex.split(command)[0]
            except (ValueError, IndexError):
                return f"{name} cannot be read: {command}"
            return "" if shutil.which(program) else f"{name} is {command}, and there is no {program}"
    known = any(Path(path).exists() for path in EDITORS)
    return "" if known else "there is no editor: EDITOR names one, as in EDITOR=nano"


def _buffer() -> Buffer:
    from prompt_toolkit.application.current import get_app

    return get_app().current_buffer


def _enter(event: KeyPressEvent, readings: Readings) -> None:
    """Accept the completion that is selected, or add a line to what is unfinished, or run."""
    buffer = event.current_buffer
    if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
        buffer.complete_state = None
        return
    if recall := recall_of(buffer.text):
        buffer.text = recall
        buffer.cursor_position = len(recall)
        return
    faults = readings(buffer.text).faults
    if any(f.incomplete for f in faults) and all(f.incomplete or _early(f, buffer.text) for f in faults):
        buffer.cursor_position = len(buffer.text)
        buffer.insert_text("\n")
        return
    event.app.exit(result=buffer.text, style="class:accepted")


def _early(fault: Fault, text: str) -> bool:
    """What is missing may come with the next line; a wrong word stays wrong, so it is told at once."""
    return fault.code in ("missing-argument", "missing-value", "no-input")


def _tab(event: KeyPressEvent) -> None:
    """The longest part that all completions share, then the menu, then the next item of it."""
    buffer = event.current_buffer
    state = buffer.complete_state
    if state is not None and state.current_completion is not None:
        buffer.complete_next()
        return
    found = list(buffer.completer.get_completions(buffer.document, CompleteEvent(completion_requested=True)))
    if len(found) == 1:
        buffer.apply_completion(found[0])
        buffer.complete_state = None
    elif common := get_common_complete_suffix(buffer.document, found):
        buffer.insert_text(common)
    elif state is not None:
        buffer.complete_next()
    elif found:
        buffer.start_completion()


class _Arrows:
    """Up and down: between the lines of the text, then through the history, by what is typed, wherever it stands."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._walk = Walk(past, "")

    def up(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        buffer.complete_state = None
        if buffer.document.cursor_position_row:
            buffer.cursor_up(count=event.arg)
            return
        if buffer.text != self._walk.line:
            self._walk = Walk(self._past, buffer.text)
        self._go(buffer, self._walk.back())

    def down(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if not buffer.document.on_last_line:
            buffer.complete_state = None
            buffer.cursor_down(count=event.arg)
        elif buffer.text == self._walk.line and self._walk.forth():
            self._go(buffer, True)
        elif buffer.complete_state is not None:
            buffer.complete_next()

    def _go(self, buffer: Buffer, moved: bool) -> None:
        if moved:
            buffer.text = self._walk.line
            buffer.cursor_position = len(buffer.text)
            buffer.complete_state = None


def _take_word(event: KeyPressEvent) -> None:
    """The first word of the grey text."""
    suggestion: Suggestion | None = event.current_buffer.suggestion
    if suggestion is not None and (word := re.match(r"\s*\S+", suggestion.text)):
        event.current_buffer.insert_text(word[0])


def _help(event: KeyPressEvent, help_at: Callable[[str, int], None]) -> None:
    document = event.current_buffer.document
    run_in_terminal(lambda: help_at(document.text, document.cursor_position))


def _paste(event: KeyPressEvent) -> None:
    """Pasted text is only put there, its line ends too; a picture alone becomes the command that recalls it."""
    text = event.data.replace("\r\n", "\n").replace("\r", "\n")
    recall = "" if event.current_buffer.text.strip() else recall_of(text)
    event.current_buffer.insert_text(recall or text)


def recall_of(text: str) -> str:
    """`recall PATH...` of a text that is the paths of pictures and nothing else, as terminals write dropped files."""
    if len(text) > LONGEST or not any(ending in text.lower() for ending in PICTURES):
        return ""
    try:
        words = _dropped(text.strip())
        pictures = [w for w in words if w.lower().endswith(PICTURES) and Path(w).expanduser().is_file()]
    except (OSError, RuntimeError, ValueError):  # no such home, a name that is too long, a quote that is never closed
        return ""
    return " ".join(["recall", *map(quote_word, pictures)]) if words and pictures == words else ""


def _dropped(text: str) -> list[str]:
    """The files of a text: as it stands, quoted as for a shell, or as addresses. Raises ValueError, OSError."""
    if "\n" not in text and Path(text).expanduser().is_file():
        return [text]
    if not text.startswith(FILE):
        return shlex.split(text)
    return [unquote("/" + word.removeprefix(FILE).partition("/")[2]) for word in text.split()]
