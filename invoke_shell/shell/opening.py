"""Other programs of the person's: a viewer, an editor of pictures, the clipboard; what cannot be started is said."""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from invoke_shell.errors import RunError
from invoke_shell.metadata.visible import visible

__all__ = ["clipboard", "copied", "run_and_wait", "show"]

EXAMPLES = {"viewer": "feh %s", "editor": "gimp --new-instance"}
OSC_52 = 100_000  # characters that terminals take at most, as base64
CLIPBOARDS = (  # (what must be set, the program and its words)
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
)


def show(path: Path, viewer: str, env: Mapping[str, str] = os.environ) -> bool:
    """Open a file in a viewer, or what the system opens it with; False where there is no screen to open it on.

    Raises RunError for a viewer that cannot be started.
    """
    if not viewer and sys.platform == "win32":
        os.startfile(path)
        return True
    command = _command("viewer", viewer, path) if viewer else _opener(path, env)
    if not command:
        return False
    try:
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise _not_started(command[0], "viewer", _why(error)) from error
    return True


def _opener(path: Path, env: Mapping[str, str]) -> list[str]:
    """What the system opens a file with; nothing without a screen: over ssh, or in a text console."""
    if sys.platform == "darwin":
        return [] if env.get("SSH_CONNECTION") else ["open", str(path)]
    screen = env.get("DISPLAY") or env.get("WAYLAND_DISPLAY")
    return ["xdg-open", str(path)] if screen and shutil.which("xdg-open", path=env.get("PATH")) else []


def _command(setting: str, text: str, path: Path) -> list[str]:
    """A setting's command with the file in the place of `%s`, or behind it. Raises RunError."""
    try:
        words = shlex.split(text)
    except ValueError:
        message = f"a quote is never closed in the {setting} {visible(text)}"
        raise RunError(message, hint=_as_in(setting), code="bad-setting") from None
    if not words or (shutil.which(words[0]) is None and not Path(words[0]).exists()):
        raise _not_started(words[0] if words else text, setting, "there is no such program")
    return [w.replace("%s", str(path)) for w in words] if any("%s" in w for w in words) else [*words, str(path)]


def run_and_wait(editor: str, path: Path, started: Callable[[str], None]) -> None:
    """Run a program on a file until it ends; `started` is told its name. Raises RunError."""
    command = _command("editor", editor, path)
    started(command[0])
    try:
        status = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise _not_started(command[0], "editor", _why(error)) from error
    if status:
        raise RunError(f"{command[0]} ended with status {status}")


def _not_started(program: str, setting: str, why: str) -> RunError:
    return RunError(f"{visible(program)} cannot be started: {why}", hint=_as_in(setting), code="bad-setting")


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _as_in(setting: str) -> str:
    return f'as in: set {setting} "{EXAMPLES[setting]}"'


def copied(text: str, out: TextIO, env: Mapping[str, str] = os.environ) -> str:
    """Put a text into the clipboard; how that was done. Raises RunError when there is none.

    A program of the desktop where there is one, else the terminal itself (OSC 52), which works over ssh and in tmux.
    """
    for program in clipboard(env):
        try:
            subprocess.run(program, input=text, text=True, check=True, timeout=5, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)  # fmt: skip
            return program[0]
        except (OSError, subprocess.SubprocessError):
            continue
    data = base64.b64encode(text.encode()).decode()
    if not out.isatty() or env.get("TERM", "dumb") in ("dumb", "linux"):
        raise RunError("there is no clipboard here", hint="recall @12 prints the line; a terminal has a clipboard")
    if len(data) > OSC_52:
        raise RunError(
            f"the terminal's clipboard takes no {len(text)} characters", hint="recall @12 > FILE writes them"
        )
    out.write(f"\x1b]52;c;{data}\x07")
    out.flush()
    return "the terminal"


def clipboard(env: Mapping[str, str]) -> list[Sequence[str]]:
    """The programs to be tried; none over ssh, whose desktop is another's."""
    if env.get("SSH_CONNECTION"):
        return []
    if sys.platform == "darwin":
        return [("pbcopy",)]
    if sys.platform == "win32":
        return [("clip",)]
    there = [words for needed, words in CLIPBOARDS if env.get(needed)]
    return [words for words in there if shutil.which(words[0], path=env.get("PATH"))]
