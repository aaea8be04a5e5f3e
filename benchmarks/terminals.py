"""Programs in a pseudo-terminal, and the processor time they have used. Linux only: it reads /proc."""

from __future__ import annotations

import os
import re
import signal
import termios
import time
from pathlib import Path

import pexpect

__all__ = ["Program", "environment", "shown"]

PATIENCE = 40.0  # seconds; a busy machine takes a minute to load torch


class Program:
    """A program in a terminal of 100 x 30. heard: all it wrote."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: Path | None = None) -> None:
        self.heard = ""
        self._program = pexpect.spawn(
            argv[0],
            argv[1:],
            env=env,
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(30, 100),
            echo=False,
            cwd=cwd,
        )
        self._program.delaybeforesend = None
        self._answered = 0
        self._keys = b""  # not taken yet
        os.set_blocking(self._program.child_fd, False)

    def type(self, keys: str) -> None:
        """Type, and show meanwhile what comes, as terminals do: one that only waited would be waited for in turn."""
        self._keys += keys.encode()
        end = time.monotonic() + PATIENCE
        while self._type() and self.alive():
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self._keys)} keys were never read")
            self.read(0.05)

    def _type(self) -> bool:
        """Hand over as many keys as the program takes now; whether some are left."""
        try:
            while self._keys:
                self._keys = self._keys[os.write(self._program.child_fd, self._keys) :]
        except BlockingIOError:
            return True
        except OSError:  # it has ended
            self._keys = b""
        return False

    def wait(self, text: str, start: int = 0) -> None:
        """Until the program has written a text, at or after a place of `heard`."""
        end = time.monotonic() + PATIENCE
        while text not in self.heard[start:]:
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} never came; heard {self.heard[-300:]!r}")
            self.read(1)

    def read(self, seconds: float) -> bool:
        """Take what was written; False when nothing came. Questions for the cursor are answered, as terminals do."""
        try:
            self.heard += self._program.read_nonblocking(65536, timeout=seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        while (asked := self.heard.find("\x1b[6n", self._answered)) >= 0:
            self._answered = asked + 1
            self._keys += b"\x1b[1;1R"
            self._type()
        return True

    def forget(self) -> None:
        """Let go of what was heard: megabytes, after minutes."""
        self.heard, self._answered = "", 0

    def alive(self) -> bool:
        return self._program.isalive()

    def status(self) -> int | None:
        """The exit status of a program that ended; of a signal its number, below 0."""
        signalled = self._program.signalstatus
        return self._program.exitstatus if signalled is None else -signalled

    def trace(self) -> str:
        """Where a program with PYTHONFAULTHANDLER is, which ends it."""
        self.forget()
        self._program.kill(signal.SIGABRT)
        while self.read(1):
            pass
        return self.heard

    def state(self) -> str:
        """What the program waits for in the kernel, how its terminal is set, which signals it holds back."""
        fd, pid = self._program.child_fd, self._program.pid
        local = termios.tcgetattr(fd)[3]
        flags = [name for name in ("ICANON", "ECHO", "ISIG") if local & getattr(termios, name)]
        status = Path(f"/proc/{pid}/status").read_text()
        masks = re.findall(r"^(?:State|Sig\w+|ShdPnd):.*", status, re.MULTILINE)
        waits = Path(f"/proc/{pid}/wchan").read_text()
        return f"terminal: {' '.join(flags) or 'raw'}; in the kernel: {waits}; {'; '.join(masks)}"

    def resize(self, rows: int, columns: int) -> None:
        if self.alive():
            self._program.setwinsize(rows, columns)

    def cpu(self) -> float:
        """Milliseconds of processor time of all its threads so far."""
        tasks = Path(f"/proc/{self._program.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6

    def stopped_cpu(self) -> float:
        """As cpu, of a program that is stopped first: what it does next is not counted."""
        os.kill(self._program.pid, signal.SIGSTOP)
        used = self.cpu()
        os.kill(self._program.pid, signal.SIGCONT)
        return used

    def close(self) -> None:
        self._program.close(force=True)


def shown(heard: str, rows: int = 30, columns: int = 100) -> str:
    """What stands on a screen on which this was written."""
    import pyte

    screen = pyte.Screen(columns, rows)
    pyte.Stream(screen).feed(heard)
    return "\n".join(line.rstrip() for line in screen.display).strip("\n")


def environment(folder: Path) -> dict[str, str]:
    """As of a user's terminal: bytecode is cached, nothing of this machine's settings counts."""
    dropped = ("INVOKE", "NO_COLOR", "TMUX", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {
        **kept,
        "TERM": "xterm-256color",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "INVOKE_SHELL_ENGINE": "fake",
    }
