"""The built-in nodes. `registry()` is where they and the plugins become one list of commands."""

from __future__ import annotations

from invoke_shell.commands import (
    adjust,
    color,
    combine,
    draw,
    enlarge,
    files,
    generate,
    mask,
    outline,
    paint,
    sheets,
    tiles,
    view,
)
from invoke_shell.pipeline.registry import Registry

__all__ = ["MODULES", "OLD_WORDS", "registry"]

MODULES = (generate, paint, enlarge, tiles, adjust, color, draw, outline, mask, combine, sheets, files, view)

OLD_WORDS = {  # words of InvokeAI's command lines and of other shells -> today's
    "!fetch": "recall",
    "!replay": "source",
    "!history": "history",
    "!search": "history",
    "!switch": "set model",
    "!models": "models",
    "!fix": "upscale",
    "!help": "help",
    "!clear": "history",
    "!mask": "inpaint --mask",
    "q": "exit",
    "quit": "exit",
    "dream": "txt2img",
    "invoke": "txt2img",
    "t2i": "txt2img",
    "i2i": "img2img",
    "load": "load_image",
    "show": "show_image",
    "draw": "txt2img",
    "generate": "txt2img",
    "imagine": "txt2img",
    "delete": "discard",
    "rm": "discard",
    "?": "help",
    "version": "doctor",
    "clear": "Ctrl-L",
    "ls": "$ ls",
    "pwd": "$ pwd",
    "cp": "$ cp",
    "mv": "$ mv",
    "mkdir": "$ mkdir",
}


def registry() -> Registry:
    """The built-in nodes alone."""
    return Registry.of(*MODULES, implicit="txt2img", loader="load_image", old=OLD_WORDS)
