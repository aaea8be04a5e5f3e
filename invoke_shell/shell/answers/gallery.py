"""One HTML page of many results, that needs nothing else: thumbnails, their lines to copy, a filter. No network.

The page may run the one script and the one style it was written with, and load pictures it holds itself: what a prompt
or a name says is text there and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from invoke_shell.errors import BlockedError, InvokeShellError
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.visible import visible
from invoke_shell.records import Image
from invoke_shell.shell.archive.outputs import write_new
from invoke_shell.shell.archive.store import ResultRow
from invoke_shell.shell.replay.finding import recalled_text, short_text

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["page", "write"]

ASSETS = Path(__file__).parents[2] / "assets" / "gallery"
SIDE = 360  # pixels of the longer side of a thumbnail
QUALITY = 82
FLAG = re.compile(r"--[a-z][a-z-]*")


@dataclass(frozen=True, kw_only=True)
class _Card:
    """A picture on the page. line: with every value; short: to be read, without those that are usual here.

    link: to its file; thumbnail: None when that is gone.
    """

    row: ResultRow
    line: str
    short: str
    link: str
    thumbnail: str | None


def write(session: Session, rows: Sequence[ResultRow], path: Path, *, exactly: bool) -> Path:
    """Write the page of these results; where it is. Raises OutputError.

    exactly: a taken name is an error, else the next free one is used.
    """
    title = f"{session.keeper.session_name}, {len(rows)} picture{'' if len(rows) == 1 else 's'}"
    cards = [_card(session, row, path.parent) for row in rows]
    return write_new(page(title, cards).encode(), path, tag=f"gallery-{path.stem[:24]}", exactly=exactly)


def page(title: str, cards: Sequence[_Card]) -> str:
    """The HTML of a page, everything in it escaped."""
    style, script = _asset("style.css"), _asset("script.js")
    parts = {
        "title": escape(visible(title)),
        "style": style,
        "script": script,
        "style_hash": _source_hash(style),
        "script_hash": _source_hash(script),
        "cards": "\n".join(_figure(card) for card in cards),
    }
    # In one pass: what is put in is never looked through for further places.
    pieces = _asset("page.html").split("{")
    return pieces[0] + "".join(_filled(piece, parts) for piece in pieces[1:])


def _filled(piece: str, parts: dict[str, str]) -> str:
    name, _, rest = piece.partition("}")
    return parts[name] + rest


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _source_hash(text: str) -> str:
    """As a Content-Security-Policy names the one text that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _card(session: Session, row: ResultRow, folder: Path) -> _Card:
    try:
        step = from_metadata(loads(row.metadata))
        line, short = recalled_text(session.registry, step), short_text(session, step)
    except InvokeShellError as error:
        line = short = f"# {error.message}"
    try:
        thumbnail = _thumbnail(read_image(session.keeper.results.data(row), row.path.name)[0])
    except BlockedError:
        thumbnail = None
    return _Card(row=row, line=line, short=short, link=_link(row.trashed or row.path, folder), thumbnail=thumbnail)


def _link(path: Path, folder: Path) -> str:
    """To a file: relative where it lies under the page, so that the folder can be moved."""
    path, folder = path.absolute(), folder.absolute()
    return quote(str(path.relative_to(folder))) if path.is_relative_to(folder) else path.as_uri()


def _thumbnail(image: Image) -> str:
    """A data: URI of a small copy, without anything that is written into the picture."""
    small = image.pil()
    small.thumbnail((SIDE, SIDE))
    data = BytesIO()
    kind = "png" if small.mode == "RGBA" else "jpeg"
    small.save(data, kind, **({} if kind == "png" else {"quality": QUALITY}))
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"


def _figure(card: _Card) -> str:
    row = card.row
    about = [f"{row.width}x{row.height}", *([f"seed {row.seed}"] if row.seed is not None else [])]
    name = f" @{row.name}" if row.name else ""
    picture = f'<span class="picture gone">its file is gone: replay {row.handle} makes it again</span>'
    if card.thumbnail is not None:
        # Quotes and angle brackets cannot stand in base64.
        image = f'<img src="{card.thumbnail}" alt="{escape(visible(card.short))}" loading="lazy">'
        picture = f'<a class="picture" href="{escape(card.link)}">{image}</a>'
    whole = f"<details><summary>all values</summary><pre>{_words(card.line)}</pre></details>"
    kept = ' class="kept"' if row.state == "kept" else ""
    return (
        f'<figure{kept} id="n{row.n}">{picture}'
        f'<figcaption class="about"><b>{row.handle}{escape(name)}</b> {escape("  ".join(about))}</figcaption>'
        f"<pre>{_words(card.short)}</pre>{whole if card.short != card.line else ''}"
        f'<button type="button">copy the line</button></figure>'
    )


def _words(line: str) -> str:
    """A line, escaped; a flag is one word, and not broken between its hyphens."""
    return FLAG.sub(r"<span>\g<0></span>", escape(line))
