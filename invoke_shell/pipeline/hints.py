"""What was most likely meant by a word that has no place: words of other shells and of other programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from invoke_shell.errors import nearest
from invoke_shell.pipeline.node import Node
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.text import Token
from invoke_shell.pipeline.types import Handle

__all__ = ["for_command", "for_extra", "for_flag", "for_handle", "other_shells"]

PICTURE = re.compile(r".+\.(png|jpe?g|webp)$", re.I)


def for_command(word: str, others: Sequence[Token], registry: Registry) -> str:
    """For a word that is no command; "" when nothing is known. others: the words behind it."""
    if word.isdecimal():
        return f"did you mean @{word}?"
    flag = f"--{word}"
    if len(others) == 1 and any(flag in node.flags for node in registry.values() if not node.builtin):
        value = others[0].value
        return f"set {word} {value} sets it for the session; behind a command it is {flag} {value}"
    return registry.suggest(word)


def for_handle(words: Sequence[Token], at: int, registry: Registry) -> str:
    """For what stands among handles and is none: it is nearly one, or the | before it was forgotten."""
    if meant := Handle.meant(words[at].value):
        return f"did you mean {meant}?"
    if said := other_shells(words[at], words[at + 1] if at + 1 < len(words) else None):
        return said
    if words[at].value in registry:
        return f"write a | before {words[at].value}"
    return "a stage of handles has nothing else in it, as in @12 @-1 | upscale"


def for_extra(words: Sequence[Token], node: Node[Any, Any]) -> str:
    """For words that a command has no place for."""
    if any(p.arg.text for p in node.positionals):
        return "put all of it in quotes"
    said = other_shells(words[0], words[1] if len(words) > 1 else None)
    return said or f"{node.name}? tells what it takes"


def for_flag(name: str, node: Node[Any, Any], registry: Registry) -> str:
    """For a flag that a command has not; "" when none is near, and no other command has it."""
    bare = name.lstrip("-")
    if name in ("--help", "-h"):
        return f"its help is {node.name}?"
    if len(bare) == 1 and f"-{bare}" in node.flags:
        return f"did you mean -{bare}?"
    if bare in registry and registry[bare].takes != "none":
        return f"did you mean | {bare}?"
    # Without the dashes: they alone make --cfg look like --foo.
    near = nearest(bare, [flag[2:] for flag in node.flags if flag.startswith("--")])
    return " ".join(filter(None, [f"did you mean --{near}?" if near else "", _elsewhere(name, registry)]))


def _elsewhere(name: str, registry: Registry) -> str:
    """Which commands have a flag."""
    others = [n.name for n in registry.values() if name in n.flags and not n.builtin]
    shown = others if len(others) < 4 else [*others[:2], "others"]
    *most, last = shown or [""]
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"{listed} {'have' if most else 'has'} {name}" if shown else ""


def other_shells(mark: Token, following: Token | None) -> str:
    """What to write in the place of `&&`, or of a `>` before a picture's file; "" where neither stands."""
    if mark.quote or following is None:
        return ""
    if mark.value == "&&":
        return "; stands between two lines"
    if mark.value in (">", ">>") and PICTURE.fullmatch(following.value):
        return f"| save {following.value} writes a file"
    return ""
