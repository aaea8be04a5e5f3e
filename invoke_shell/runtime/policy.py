"""What an engine is told before it runs anything, and whom it tells how far it is. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from invoke_shell.records import Image

__all__ = ["SILENT", "Once", "Policy", "Precision", "Watcher"]

Precision = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Where and how models run; part of what a bit-exact replay must have equal.

    device: auto, cpu, cuda, cuda:1, mps. precision: auto is float32 on a CPU and float16 elsewhere.
    deterministic: on CUDA, deterministic algorithms, the math attention kernel and TF32 off.
    memory: bytes that loaded models may take together; None is half of what the device has.
    threads: of the CPU; None leaves torch's own choice.
    """

    device: str = "auto"
    precision: Precision = "auto"
    deterministic: bool = False
    memory: int | None = None
    threads: int | None = None


class Watcher(Protocol):
    """Whom an engine tells; a run's Context is one."""

    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        """After each model call; raises Cancelled to stop."""
        ...

    def say(self, text: str) -> None:
        """One line for the person."""
        ...


class _Silent:
    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        pass

    def say(self, text: str) -> None:
        pass


SILENT: Watcher = _Silent()


class Once:
    """Says each line once, however many pictures of a run give rise to it."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._said: set[str] = set()
        self.tick = watcher.tick

    def say(self, text: str) -> None:
        """Pass the line on, unless it was said before."""
        if text not in self._said:
            self._said.add(text)
            self._watcher.say(text)
