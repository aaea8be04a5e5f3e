"""Colours of text, for dark terminals, light ones, and none. Pictures have their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DARK", "LIGHT", "NONE", "Theme", "theme_of"]


@dataclass(frozen=True, kw_only=True)
class Theme:
    """style: of the edit line, by class. codes: of messages, what stands between `ESC [` and `m`."""

    style: Mapping[str, str]
    codes: Mapping[str, str]


# Red always comes underlined: colour never says anything alone.
EVERYWHERE = {
    "pipe": "bold",
    "error": "underline",
    "prompt": "bold",
    "bottom-toolbar": "noreverse",
    "toolbar.model": "bold",
    "completion-menu.completion.current": "bold reverse",
}
GREY = ("comment", "system", "dim", "continuation", "auto-suggestion")

# The sixteen colours of the terminal's own theme.
DARK = Theme(
    style={
        **EVERYWHERE,
        **dict.fromkeys(GREY, "ansibrightblack"),
        "command": "bold ansigreen",
        "flag": "ansicyan",
        "string": "ansiyellow",
        "number": "ansimagenta",
        "value": "ansimagenta",
        "handle": "bold ansicyan",
        "error": "ansired underline",
        "toolbar.flag": "ansicyan",
    },
    codes={"bold": "1", "dim": "2", "caret": "1;31", "note": "33", "handle": "1;36"},
)
# Yellow and cyan cannot be read on white, whatever the terminal's theme makes of them.
LIGHT = Theme(
    style={
        **EVERYWHERE,
        **dict.fromkeys(GREY, "#6c6c6c"),
        "command": "bold #005f00",
        "flag": "#005f87",
        "string": "#875f00",
        "number": "#87005f",
        "value": "#87005f",
        "handle": "bold #005f87",
        "error": "#af0000 underline",
        "toolbar.flag": "#005f87",
    },
    codes={"bold": "1", "dim": "2", "caret": "1;31", "note": "35", "handle": "1;34"},
)
NONE = Theme(
    style={**EVERYWHERE, **dict.fromkeys(GREY, "dim"), **dict.fromkeys(("command", "handle"), "bold")},
    codes={"bold": "1", "dim": "", "caret": "1", "note": "1", "handle": "1"},
)

LIGHTS = ("7", "15")  # backgrounds of the sixteen colours that are light


def theme_of(setting: str, env: Mapping[str, str], background: tuple[int, int, int] | None = None) -> Theme:
    """The theme of a setting; `auto` goes by the terminal's background, dark where nobody knows it.

    background: red, green and blue from 0 to 255, as the terminal said; else COLORFGBG, as some set it.
    """
    if setting != "auto":
        return {"dark": DARK, "light": LIGHT, "none": NONE}[setting]
    if background is not None:
        red, green, blue = background
        return LIGHT if 0.299 * red + 0.587 * green + 0.114 * blue > 127 else DARK
    return LIGHT if env.get("COLORFGBG", "").rpartition(";")[2] in LIGHTS else DARK
