"""Which terminal this is and how it shows pictures. It is asked once, in one write. No Pillow here.

Order of trust: what the person set, the terminal's own name, sixel in its list of abilities, the environment.
Tried: kitty's own `a=q` query, which prints junk on some terminals; asking at import, which costs every start.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TextIO, get_args

from invoke_shell.errors import SettingError, nearest
from invoke_shell.shell import posix

__all__ = ["PROTOCOLS", "VARIABLE", "Answer", "Protocol", "Terminal", "ask", "detect", "protocol_of", "window"]

Protocol = Literal["kitty", "iterm2", "sixel", "half-blocks", "path"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
VARIABLE = "INVOKE_IMAGE_PROTOCOL"
CELL = (10, 20)  # pixels, when nobody knows better: the usual 1:2
BUDGET = 0.4  # seconds a silent terminal costs, once

# Every terminal answers the last question (DA1), so only a silent one costs the budget.
QUESTION = b"\x1b[>q\x1b[16t\x1b]11;?\x1b\\\x1b[c"
ABILITIES = re.compile(rb"\x1b\[\?([\d;]*)c")
NAME = re.compile(rb"\x1bP>\|([^\x1b\x07]*)(?:\x1b\\|\x07)")
CELL_SIZE = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
BACKGROUND = re.compile(rb"\x1b\]11;rgb:([0-9a-fA-F]{2,4})/([0-9a-fA-F]{2,4})/([0-9a-fA-F]{2,4})(?:\x1b\\|\x07)")
CUT_OFF = rb"\x1b(?:P>[^\x1b\x07]*|\]11;[^\x1b\x07]*|\[[?6][\d;]*)\Z"  # an answer that the budget ended
ANSWERS = re.compile(b"|".join((NAME.pattern, CELL_SIZE.pattern, BACKGROUND.pattern, ABILITIES.pattern, CUT_OFF)))

BY_NAME: tuple[tuple[str, Protocol], ...] = (
    ("kitty", "kitty"),
    ("ghostty", "kitty"),
    ("wezterm", "iterm2"),
    ("iterm2", "iterm2"),
    ("konsole", "iterm2"),
    ("warp", "iterm2"),
    ("mintty", "iterm2"),
    ("mlterm", "sixel"),
    ("foot", "sixel"),
    ("contour", "sixel"),
)
# A variable is inherited by what is started inside a terminal, so these count only where the terminal gave no name.
BY_VARIABLE: tuple[tuple[str, str, Protocol], ...] = (
    ("TERM", "xterm-kitty", "kitty"),
    ("TERM", "xterm-ghostty", "kitty"),
    ("TERM", "foot", "sixel"),
    ("TERM", "mlterm", "sixel"),
    ("TERM_PROGRAM", "ghostty", "kitty"),
    ("TERM_PROGRAM", "WezTerm", "iterm2"),
    ("TERM_PROGRAM", "iTerm.app", "iterm2"),
    ("LC_TERMINAL", "iTerm2", "iterm2"),
)
OTHER_WORDS = {"half": "half-blocks", "blocks": "half-blocks", "iterm": "iterm2", "none": "path"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a terminal said about itself, and what it was silent about.

    name: as it calls itself, "" when it did not say. cell: pixels, None when unknown. sixel: among its abilities.
    answered: it said anything at all. leftover: keys typed ahead, in order. not_asked: why nobody asked, "" when asked.
    outer, passthrough: in tmux, the terminal around it, and whether tmux lets pictures through to it.
    seconds: until it had answered. background: its colour, red, green and blue from 0 to 255.
    """

    name: str = ""
    cell: tuple[int, int] | None = None
    sixel: bool = False
    answered: bool = False
    leftover: bytes = b""
    not_asked: str = ""
    outer: str = ""
    passthrough: bool = False
    seconds: float = 0.0
    background: tuple[int, int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """How pictures are shown here. why: for people, said by `doctor`. cell: pixels of one character.

    true_colour: 24-bit colours work, else the 256 of xterm. tmux: pictures go through tmux.
    """

    protocol: Protocol
    why: str
    name: str = ""
    cell: tuple[int, int] = CELL
    true_colour: bool = True
    tmux: bool = False


def detect(
    stdin: TextIO,
    stdout: TextIO,
    env: Mapping[str, str],
    *,
    setting: str = "auto",
    plain: bool = False,
    asked: Callable[[], Answer] | None = None,
) -> Terminal:
    """How to show pictures on `stdout`; asks the terminal only when nothing simpler decides.

    setting: a protocol or `auto`; it comes before the variable. Raises SettingError when either is no protocol.
    asked: gives the terminal's answer; a caller that keeps the answer passes its own.
    """
    if plain:
        return Terminal(protocol="path", why="plain is on")
    for source, word in (("the setting", setting), (VARIABLE, env.get(VARIABLE) or "auto")):
        if protocol := protocol_of(word, source):
            return _forced(protocol, source, stdout, env)
    if reason := _refusal(stdout, env):
        return Terminal(protocol="path", why=reason)
    return _encodable(_decide((asked or (lambda: ask(stdin, stdout, env)))(), stdout, env), stdout)


def protocol_of(word: str, source: str = "the setting") -> Protocol | None:
    """The protocol a word names, None for `auto`. Raises SettingError naming `source`."""
    if word == "auto":
        return None
    known = OTHER_WORDS.get(word.lower(), word.lower())
    for protocol in PROTOCOLS:
        if protocol == known:
            return protocol
    guess = nearest(word, PROTOCOLS)
    raise SettingError(
        f"{source} is auto, {', '.join(PROTOCOLS[:-1])} or {PROTOCOLS[-1]}, not {word!r}",
        hint=f"did you mean {guess}?" if guess else "",
    )


def ask(stdin: TextIO, stdout: TextIO, env: Mapping[str, str], budget: float = BUDGET) -> Answer:
    """Ask the terminal for its name, its cell size, its background and its abilities, in one write.

    On a link slower than `budget` seconds the answers come late and reach the prompt as keys; INVOKE_IMAGE_PROTOCOL
    spares such a link the question.
    """
    if reason := _unaskable(stdin, stdout, env):
        answer = Answer(not_asked=reason)
    else:
        stdout.flush()
        began = time.monotonic()
        answer = _understood(posix.ask(stdin.fileno(), stdout.fileno(), QUESTION, ABILITIES, budget))
        answer = replace(answer, seconds=time.monotonic() - began)
    answer = replace(answer, cell=answer.cell or _cell_by_driver(stdout))
    return _with_tmux(answer, env) if env.get("TMUX") else answer


def _understood(heard: bytes) -> Answer:
    name, cell, abilities = NAME.search(heard), CELL_SIZE.search(heard), ABILITIES.search(heard)
    size = (int(cell[2]), int(cell[1])) if cell else None
    return Answer(
        name=re.sub(r"[^ -~]", "", name[1].decode("latin-1")) if name else "",
        cell=size if size and all(size) else None,
        sixel=abilities is not None and b"4" in abilities[1].split(b";"),
        answered=bool(name or cell or abilities),
        leftover=ANSWERS.sub(b"", heard),
        background=_colour(BACKGROUND.search(heard)),
    )


def _colour(said: re.Match[bytes] | None) -> tuple[int, int, int] | None:
    """The first two hex digits of each part: terminals say 8 or 16 bits."""
    if said is None:
        return None
    red, green, blue = (int(part[:2], 16) for part in said.groups())
    return red, green, blue


def _with_tmux(answer: Answer, env: Mapping[str, str]) -> Answer:
    """tmux answers for itself; the terminal around it is known to tmux only."""
    import subprocess

    asked = "#{client_termtype} #{client_termname}\n#{allow-passthrough}"
    command = ["tmux", "display-message", "-p", "-t", env.get("TMUX_PANE", ""), asked]
    try:
        # stdin closed to it: what is typed meanwhile stays ours
        said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1).stdout
    except (OSError, subprocess.SubprocessError):
        return answer
    outer, _, passthrough = said.strip().partition("\n")
    return replace(answer, outer=outer.strip(), passthrough=passthrough in ("1", "2", "on", "all"))


def _refusal(stdout: TextIO, env: Mapping[str, str]) -> str:
    """Why nothing but the path may be shown; "" when pictures are welcome."""
    term = env.get("TERM", "")
    if env.get("NO_COLOR"):
        return "NO_COLOR is set"
    if not stdout.isatty():
        return "the output is not a terminal"
    if sys.platform != "win32" and (re.fullmatch(r"|dumb|unknown|vt\d.*", term)):
        return f"TERM={term} has no colours" if term else "TERM is not set"
    return ""


def _unaskable(stdin: TextIO, stdout: TextIO, env: Mapping[str, str]) -> str:
    if not posix.AVAILABLE:
        return "terminals are not asked on this system"
    if env.get("TERM") == "linux":
        return "the Linux console shows no pictures"  # and older ones print the question
    if not stdin.isatty():
        return "the input is not a terminal, so it could not be asked"
    return "" if posix.in_foreground(stdin.fileno()) else "the terminal belongs to another job"


def _decide(answer: Answer, stdout: TextIO, env: Mapping[str, str]) -> Terminal:
    name = answer.outer or answer.name or env.get("TERM_PROGRAM", "") or env.get("TERM", "")
    found = Terminal(
        protocol="half-blocks",
        why="",
        name=name,
        cell=answer.cell or CELL,
        true_colour=_true_colour(answer, env),
        tmux=bool(env.get("TMUX")),
    )
    protocol, why = (_inside_tmux if found.tmux else _by_trust)(answer, env)
    return replace(found, protocol=protocol, why=why)


def _by_trust(answer: Answer, env: Mapping[str, str]) -> tuple[Protocol, str]:
    for key, protocol in BY_NAME:
        if key in answer.name.lower():
            return protocol, f"the terminal calls itself {answer.name}"
    if answer.sixel:
        return "sixel", "the terminal lists sixel among its abilities"
    # GNU screen passes its own terminal's variables on, and no pictures.
    if not answer.name and not env.get("STY"):
        for variable, value, protocol in BY_VARIABLE:
            if env.get(variable, "").startswith(value):
                return protocol, f"{variable}={env[variable]}"
    if answer.not_asked:
        return "half-blocks", answer.not_asked
    silent = "the terminal lists no picture protocol" if answer.answered else "the terminal did not answer"
    return "half-blocks", silent


def _inside_tmux(answer: Answer, env: Mapping[str, str]) -> tuple[Protocol, str]:
    if re.search("kitty|ghostty", answer.outer.lower()):
        if answer.passthrough:
            return "kitty", f"tmux passes pictures on to {answer.outer}"
        advice = "put `set -g allow-passthrough on` into tmux.conf for real pictures"
        return ("sixel" if answer.sixel else "half-blocks"), f"tmux keeps pictures from {answer.outer}: {advice}"
    if answer.sixel:
        return "sixel", "tmux shows sixel"
    return "half-blocks", answer.not_asked or "this tmux shows no pictures"


def _forced(protocol: Protocol, source: str, stdout: TextIO, env: Mapping[str, str]) -> Terminal:
    return Terminal(
        protocol=protocol,
        why=f"{source} says so",
        name=env.get("TERM_PROGRAM", "") or env.get("TERM", ""),
        cell=_cell_by_driver(stdout) or CELL,
        true_colour=_true_colour(Answer(), env),
        tmux=bool(env.get("TMUX")),
    )


def _true_colour(answer: Answer, env: Mapping[str, str]) -> bool:
    """A terminal that knows how to say its name is younger than 24-bit colour."""
    said = env.get("COLORTERM", "").lower() in ("truecolor", "24bit") or env.get("TERM", "").endswith("-direct")
    return said or bool(answer.name) or sys.platform == "win32"


def _cell_by_driver(stdout: TextIO) -> tuple[int, int] | None:
    try:
        return posix.cell_pixels(stdout.fileno())
    except (OSError, ValueError):  # a stream without a descriptor
        return None


def _encodable(terminal: Terminal, stdout: TextIO) -> Terminal:
    """Half-blocks and placeholders are characters; an output that cannot write them gets the path."""
    if terminal.protocol in ("iterm2", "sixel") or (terminal.protocol == "kitty" and not terminal.tmux):
        return terminal
    encoding = stdout.encoding or "ascii"
    try:
        "▀\U0010eeee".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return replace(terminal, protocol="path", why=f"the output is {encoding}, which has no half-blocks")
    return terminal


def window(stdout: TextIO) -> tuple[int, int]:
    """(columns, rows) of the terminal, 80 x 24 where nobody knows."""
    try:
        size = os.get_terminal_size(stdout.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24
