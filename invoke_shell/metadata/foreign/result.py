"""What a reader finds in another program's metadata: one shape for all programs, values as that program meant them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.visible import visible

__all__ = ["Draw", "Enlarge", "Foreign", "Guide", "Lora", "Model", "Notes", "Source", "layers", "model_name"]

LONGEST = 1024  # characters of a model's path
SHOWN = 160  # characters of a value in a sentence
MAX_NOTES = 64
ENDINGS = re.compile(r"\.(safetensors|ckpt|pt|pth|bin|gguf|sft)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model as the file names it. hashes: by kind: autov1, autov2, sha256, blake3; hex digits alone."""

    name: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A LoRA; weight None where none is written."""

    name: str
    weight: float | None = None
    hash: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A picture that went in. name: its base name, to be shown and never opened. hash: of its file, sha256.

    how: how it was brought to the size: fit, fill or stretch; "" when it kept its own.
    """

    name: str = ""
    hash: str = ""
    how: str = ""


@dataclass(frozen=True, kw_only=True)
class Guide:
    """A ControlNet or an IP-Adapter (kind: `controlnet`, `ip_adapter`) and how much of it. None: the file does not say.

    start, end: shares of the steps. source: base name of the picture it read, which is never in the file. made_by: what
    that one was made from a plain picture with.
    """

    kind: str
    model: str
    weight: float | None = None
    start: float | None = None
    end: float | None = None
    source: str = ""
    made_by: str = ""

    def __str__(self) -> str:
        what = "IP-Adapter" if self.kind == "ip_adapter" else "ControlNet"
        return f"{what} {self.model[:60]} at {1 if self.weight is None else self.weight:g}"


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One run of a sampler. None: the file does not say.

    scheduler: our name of an equal one. scheduler_text: theirs. near: ours that comes nearest where none is equal.
    strength: share of the steps that run, None when it began from noise. more: values of other flags of ours, by name.
    """

    prompt: str | None = None
    negative: str | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    scheduler: str | None = None
    scheduler_text: str = ""
    near: str = ""
    size: tuple[int, int] | None = None
    strength: float | None = None
    model: Model | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Enlarge:
    """A picture made larger, by a factor or to a size. upscaler: the network's name, "" when none is named."""

    scale: float | None = None
    size: tuple[int, int] | None = None
    upscaler: str = ""


@dataclass(frozen=True, kw_only=True)
class Foreign(Draw):
    """One picture of another program: its first run of a sampler, and all else.

    tool: as detect names it. source: the picture it began from. before: what was done to that one first. then: what
    was done afterwards, in order. embeddings: textual inversions by name. guides: of its first sampler. clip_skip:
    layers of the text encoder that are left out at its end. noise: cpu or gpu, where it was drawn; "" when the program
    leaves that open.
    missing: what has no equal here, a sentence each; guessed: what the file left open.
    """

    tool: str
    source: Source | None = None
    before: tuple[Enlarge, ...] = ()
    loras: tuple[Lora, ...] = ()
    embeddings: tuple[str, ...] = ()
    guides: tuple[Guide, ...] = ()
    vae: str = ""
    clip_skip: int | None = None
    noise: str = ""
    then: tuple[Draw | Enlarge, ...] = ()
    missing: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()

    @property
    def drawn(self) -> bool:
        """False for a picture that was only changed, and for metadata that tells of no sampler."""
        return self.prompt is not None or self.seed is not None or self.steps is not None


class Notes:
    """Collects what a reader cannot carry over or has to guess, each sentence once and safe to show."""

    def __init__(self) -> None:
        self._missing: dict[str, None] = {}
        self._guessed: dict[str, None] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(self._missing)

    @property
    def guessed(self) -> tuple[str, ...]:
        return tuple(self._guessed)

    def lost(self, label: str, value: Any = None) -> None:
        """A thing by name and value that has no equal here."""
        shown = "" if value is None or value is True else f" {_short(value)}"
        self.say(f"not carried: {_short(label)}{shown}")

    def say(self, sentence: str) -> None:
        """A sentence on what is missing; foreign words in it were shortened by the caller."""
        _add(self._missing, sentence)

    def guess(self, sentence: str) -> None:
        """A sentence on what the file leaves open."""
        _add(self._guessed, sentence)

    def whole(self, label: str, value: Any) -> int | None:
        """The whole number a value stands for; what is none is listed by its name."""
        found = loose.whole(value)
        if found is None and value not in (None, ""):
            self.say(f"{label} is no whole number: {_short(value)}")
        return found

    def real(self, label: str, value: Any) -> float | None:
        """The number a value stands for; what is none is listed by its name."""
        found = loose.real(value)
        if found is None and value not in (None, ""):
            self.say(f"{label} is no number: {_short(value)}")
        return found

    def size(self, width: Any, height: Any) -> tuple[int, int] | None:
        """Width and height; None unless both are there."""
        across, down = self.whole("width", width), self.whole("height", height)
        return (across, down) if across and down else None


def _add(to: dict[str, None], sentence: str) -> None:
    if len(to) < MAX_NOTES:
        to[visible(sentence)] = None


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else loose.shown(value)
    return visible(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def layers(theirs: int | None) -> int | None:
    """Layers left out, of what most programs write: 1 or -1 is the last layer, so none is left out."""
    return None if theirs is None else max(0, abs(theirs) - 1)


def model_name(text: str) -> str:
    """A model's name without directory and ending; never something that would be read as a path or a handle.

    `SDXL\\x.safetensors` and `owner/x` are `x`.
    """
    return _model_name(loose.words(text)[-LONGEST:])


@lru_cache(maxsize=256)  # thousands of pictures name a few models
def _model_name(text: str) -> str:
    base = text.replace("\\", "/").rpartition("/")[2]
    return ENDINGS.sub("", base).strip().lstrip("@.~- ")[:200]
