"""Foreign text made safe to show, and to name a file with. Every string of a file goes through here first."""

from __future__ import annotations

import re

__all__ = ["safe_name", "visible", "visible_lines"]

# Printable to Unicode and drawn as nothing: fillers, joiners, the blank braille cell, selectors beyond emoji's.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]")
FORBIDDEN = re.compile(r'[<>:"/\\|?*\s]+')  # of any file system in use; blanks, so that a name needs no quotes
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names Windows keeps for itself


def visible(text: str) -> str:
    r"""The text on one line with nothing hidden: what is not plainly printable is written `\u{1B}`.

    Controls, line ends, bidi overrides, zero-width characters, odd blanks, lone surrogates, private and unassigned
    characters. The result is printable, encodes as UTF-8 and has no line break.
    """
    if text.isprintable() and (text.isascii() or not UNSEEN.search(text)):
        return text
    return "".join(c if c.isprintable() and not UNSEEN.match(c) else f"\\u{{{ord(c):X}}}" for c in text)


def visible_lines(text: str) -> str:
    """As visible, keeping line feeds: for texts that are shown in a block of their own."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "\n".join(map(visible, text.split("\n")))


def safe_name(text: str, limit: int = 80) -> str:
    """A file name without directory made from any text; at most `limit` bytes of UTF-8, never empty.

    Never hidden, never an option (no leading dot or dash), never a device, valid on every platform.
    """
    shown = "".join(c if c.isprintable() and not UNSEEN.match(c) else " " for c in text)
    name = FORBIDDEN.sub("-", shown)
    name = name.encode()[:limit].decode(errors="ignore").strip("-. ")
    return f"_{name}"[:limit] if DEVICES.fullmatch(name) else name or "picture"
