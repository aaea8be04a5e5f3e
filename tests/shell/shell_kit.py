"""A session without engine or worker, and a shell whose keys are fed to it one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from invoke_shell.compose import everything
from invoke_shell.models.catalogue import Catalogue
from invoke_shell.pipeline.bind import read
from invoke_shell.shell.archive.store import Facts, Store
from invoke_shell.shell.edit_line.loop import Shell
from invoke_shell.shell.home import Home
from invoke_shell.shell.session import Session
from invoke_shell.shell.settings import Settings

REGISTRY = everything()
UP, DOWN, RIGHT, ALT_RIGHT, ENTER, ALT_ENTER, TAB = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[1;3C", "\r", "\x1b\r", "\t"
CTRL_C, CTRL_D, CTRL_R, CTRL_U, F1 = "\x03", "\x04", "\x12", "\x15", "\x1bOP"
PATIENCE = 10.0


def readings(text: str):
    """What a text means, without settings."""
    return read(text, REGISTRY)


class Silent:
    """A view that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str, *, warning: bool = False) -> None:
        self.said.append(text)

    text = page = say

    def error(self, error, where) -> None:
        self.said.append(str(error))


class FakeSession:
    """Reads lines as the real one does, and runs none: `ran` has them.

    status: what a line's run gives. after: called when one ran.
    """

    def __init__(self, folder: Path) -> None:
        self.home = Home(data=folder, config=folder, cache=folder / "cache", own=True)
        self.registry = REGISTRY
        self.settings = Settings(REGISTRY)
        self.catalogue = Catalogue([folder / "models"], path=folder / "catalogue.db")
        self.view = Silent()
        self.memory: tuple[int, int] | None = None
        self.hashing = SimpleNamespace(reading="")
        self.store = Store.open(folder)
        own = self.store.new_session()
        self.number = own.id
        results = SimpleNamespace(folder=lambda: folder / "outputs")
        self.keeper = SimpleNamespace(store=self.store, results=results, session=own)
        self.leaving = False
        self.recalled = ""
        self.ran: list[str] = []
        self.status = 0
        self.after: Callable[[], None] = lambda: None
        self.warmed = threading.Event()

    def read(self, text: str):
        return read(text, self.registry, self.settings.values())

    def run(self, text: str) -> int:
        if self.read(text).faults:
            return 2
        self.ran.append(text)
        self.after()
        self.leaving = text == "exit"
        return self.status

    unexpected = Session.unexpected

    def warm(self) -> None:
        self.warmed.set()

    def close(self) -> None:
        self.store.close()

    def made(self, line: str, *, seed: int = 7) -> None:
        """A result of an earlier line."""
        number = self.store.begin_line(self.number, line)
        (n,) = self.store.reserve(number, [Facts(seed=seed, width=8, height=8)])
        self.store.finish(n, self.home.data / f"{n}.png")


class Typist:
    """Feeds keys to a shell, each when the line is as it should be by then."""

    def __init__(self, session: FakeSession) -> None:
        self.session = session
        self.shell: Shell | None = None
        self.left = threading.Event()

    def types(self, *keys: str | Callable[[Typist], bool]) -> list[str]:
        """Type texts; a condition among them is waited for. Leaves with Ctrl-D; the lines that ran."""
        with create_pipe_input() as pipe:
            self.shell = Shell(lambda: self.session, input=pipe, output=DummyOutput())
            errors: list[BaseException] = []
            feeder = threading.Thread(target=self._feed, args=(pipe, keys, errors), daemon=True)
            feeder.start()
            self.shell.run()
            self.left.set()
            feeder.join(PATIENCE)
        if errors:
            raise errors[0]
        return self.session.ran

    def _feed(self, pipe, keys, errors) -> None:
        try:
            self._wait(lambda typist: typist.ready)
            for key in keys:
                if callable(key):
                    self._wait(key)
                else:
                    pipe.send_text(key)
                    time.sleep(0.02)
        except BaseException as error:  # told by the test, not lost in a thread
            errors.append(error)
        finally:
            self._leave(pipe)

    def _leave(self, pipe) -> None:
        """Ctrl-C clears what stands there, Ctrl-D leaves; more than once, because a run may be in between."""
        while not self.left.is_set():
            pipe.send_text(CTRL_C)
            self.left.wait(0.05)
            if not self.left.is_set():
                pipe.send_text(CTRL_D)
            self.left.wait(0.05)

    def _wait(self, holds: Callable[[Typist], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if holds(self):
                return
            time.sleep(0.01)
        raise AssertionError(f"in vain; the line is {self.line!r}, the ghost {self.ghost!r}, the menu {self.menu}")

    @property
    def editor(self):
        return self.shell._editor

    @property
    def ready(self) -> bool:
        return self.shell is not None and self.editor is not None and self.editor.editing is not None

    @property
    def buffer(self):
        return self.editor.prompt.default_buffer

    @property
    def line(self) -> str:
        return self.buffer.text

    @property
    def ghost(self) -> str:
        return self.buffer.suggestion.text if self.buffer.suggestion else ""

    @property
    def menu(self) -> list[str]:
        state = self.buffer.complete_state
        return [c.display_text for c in state.completions] if state else []

    @property
    def selected(self) -> str:
        state = self.buffer.complete_state
        return state.current_completion.display_text if state and state.current_completion else ""


def stands(text: str) -> Callable[[Typist], bool]:
    """The edit line is this."""
    return lambda typist: typist.line == text


def offers(*words: str) -> Callable[[Typist], bool]:
    """The menu has these words."""
    return lambda typist: set(words) <= set(typist.menu)


def suggests(text: str) -> Callable[[Typist], bool]:
    """The grey text is this."""
    return lambda typist: typist.ghost == text
