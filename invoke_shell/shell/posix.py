"""What only POSIX systems have: raw reads from a terminal, cell sizes, locks that end with their process, folder fsync.

Importable everywhere; on Windows each function gives its harmless answer and `AVAILABLE` is False.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl
    import struct
    import termios

__all__ = [
    "AVAILABLE",
    "Modes",
    "ask",
    "cell_pixels",
    "hold",
    "in_foreground",
    "is_held",
    "let_go",
    "modes",
    "set_modes",
    "sync_folder",
    "unread",
    "without_echo",
]

AVAILABLE = sys.platform != "win32"
Modes = list[Any]  # as termios.tcgetattr gives them
NO_KEY = b"\0" if sys.platform == "linux" else b"\xff"  # in the place of a key that is to have no meaning


def ask(fd_in: int, fd_out: int, question: bytes, last: re.Pattern[bytes], budget: float) -> bytes:
    """Write a question to the terminal and read until `last` matches, at most `budget` seconds; everything read.

    What was typed ahead is part of what is read; the terminal's own settings are put back.
    """
    if sys.platform == "win32":
        return b""
    before = termios.tcgetattr(fd_in)
    quiet = [*before]
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    try:
        # DRAIN, not FLUSH: flushing throws away the keys typed ahead.
        termios.tcsetattr(fd_in, termios.TCSADRAIN, quiet)
        os.write(fd_out, question)
        return _read_until(fd_in, last, time.monotonic() + budget)
    finally:
        termios.tcsetattr(fd_in, termios.TCSADRAIN, before)


def _read_until(fd: int, last: re.Pattern[bytes], deadline: float) -> bytes:
    heard = b""
    while not last.search(heard) and (left := deadline - time.monotonic()) > 0:
        if not select.select([fd], [], [], left)[0]:
            break
        piece = os.read(fd, 4096)
        if not piece:
            break
        heard += piece
    return heard


def modes(fd: int) -> Modes | None:
    """How a terminal treats keys; None for what is no terminal, or not this job's."""
    if sys.platform == "win32" or fd < 0 or not os.isatty(fd) or not in_foreground(fd):
        return None
    try:
        return termios.tcgetattr(fd)
    except termios.error:  # it has just been closed
        return None


def set_modes(fd: int, wanted: Modes) -> None:
    """Have a terminal treat keys so, from now on; nothing for one that is gone."""
    if sys.platform != "win32":
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSANOW, wanted)


def without_echo(before: Modes) -> Modes:
    """As before, nothing echoed."""
    if sys.platform == "win32":
        return before
    return [*before[:3], before[3] & ~termios.ECHO, *before[4:]]


def unread(before: Modes) -> Modes:
    """Keys as they come: no echo, no lines, no Ctrl-S, no signals but that of Ctrl-\\."""
    if sys.platform == "win32":
        return before
    input_, output, control, local, in_speed, out_speed, characters = before
    characters = [*characters]
    for key in (termios.VINTR, termios.VSUSP):
        characters[key] = NO_KEY
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    input_ &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    local &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    return [input_, output, control, local | termios.NOFLSH, in_speed, out_speed, characters]


def in_foreground(fd: int) -> bool:
    """False when the terminal belongs to another job: touching its settings would stop this process."""
    if sys.platform == "win32":
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # a terminal that controls no session, as in tests: nobody to be stopped by
        return True


def let_go() -> None:
    """Standard streams whose terminal is gone read and write nothing from now on, where they would raise."""
    for fd in (0, 1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(fd).st_mode) and not os.isatty(fd):
                nothing = os.open(os.devnull, os.O_RDWR)
                os.dup2(nothing, fd)
                os.close(nothing)


def cell_pixels(fd: int) -> tuple[int, int] | None:
    """(width, height) of a character cell in pixels as the terminal driver knows it; None when it does not."""
    if sys.platform == "win32":
        return None
    try:
        rows, columns, width, height = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        return None
    return (width // columns, height // rows) if rows and columns and width >= columns and height >= rows else None


def hold(path: Path) -> int | None:
    """Create `path` and lock it until this process ends, however it ends; the descriptor, or None where locks fail."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(fd, wait=True):
            os.close(fd)
            return None
        # A cleaner may have taken the file away between open and lock.
        if path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
            return fd
        os.close(fd)


def is_held(path: Path) -> bool:
    """True while the process that holds `path` lives. A file that is gone is held by nobody."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _lock(fd, wait=False)
    finally:
        os.close(fd)


def _lock(fd: int, *, wait: bool) -> bool:
    """wait: somebody may be looking at the lock right now (`is_held`), so its owner does not give up at once."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut; nothing where a folder cannot be opened."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
