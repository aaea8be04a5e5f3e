"""What an engine is told before it runs anything, and whom it tells how far it is. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from invoke_shell.records import Image

__all__ = ["SILENT", "Beside", "Offload", "Policy", "Precision", "Setup", "Watcher"]

Precision = Literal["auto", "float32", "float16", "bfloat16"]
Offload = Literal["auto", "none", "model", "group"]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Where and how models run; part of what a bit-exact replay must have equal.

    device: auto, cpu, cuda, cuda:1, mps. precision: auto is float32 on a CPU and float16 elsewhere.
    deterministic: on CUDA, deterministic algorithms, the math attention kernel and TF32 off.
    memory: bytes that loaded models may take together; None is half of what the device has.
    threads: of the CPU; None leaves torch's own choice. previews: small pictures of a run in progress.
    offload: what waits in main memory, `model` whole networks, `group` layers; auto: where a model does not fit.
    tiling: the VAE in tiles, always (`on`) or when memory ran out.
    batch: pictures drawn together, which changes their last bits; None is as many as it finds to be quickest.
    """

    device: str = "auto"
    precision: Precision = "auto"
    deterministic: bool = False
    memory: int | None = None
    threads: int | None = None
    previews: bool = True
    offload: Offload = "auto"
    tiling: Literal["auto", "on"] = "auto"
    batch: int | None = 1


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a runtime is made from; crosses the worker's pipe.

    engine: fake runs without any model. cache: folder for results of steps, None keeps them in memory only.
    cache_bytes: what that folder may take. nodes: folder of the person's own nodes.
    """

    policy: Policy = Policy()
    engine: Literal["diffusers", "fake"] = "diffusers"
    cache: Path | None = None
    cache_bytes: int = 1 << 30
    nodes: Path | None = None


class Watcher(Protocol):
    """Whom an engine tells; a run's Context is one."""

    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        """After each model call; raises Cancelled to stop."""
        ...

    def say(self, text: str) -> None:
        """One line for the person, on the picture: said again when the picture comes from the cache."""
        ...

    def mention(self, text: str) -> None:
        """One line for the person, on this run alone: memory that ran out."""
        ...


class _Silent:
    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def mention(self, text: str) -> None:
        pass


SILENT: Watcher = _Silent()


class Beside:
    """A watcher for a picture that is drawn beside another: keeps its lines until the picture is asked for."""

    def __init__(self, watcher: Watcher) -> None:
        self.lines: list[str] = []
        self.mention = watcher.mention

    def say(self, text: str) -> None:
        """Keep the line."""
        self.lines.append(text)

    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        """The other picture's progress is that of all."""
