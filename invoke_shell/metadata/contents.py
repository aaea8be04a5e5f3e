"""Source pictures that travel inside a picture, or in the JSON beside it: chosen within a budget, and taken out again.

Only leaves of a history: bare pixels, nothing of their files. Models are never embedded: a stranger's picture would
bring a model to be loaded.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from invoke_shell.errors import BlockedError, MetadataError
from invoke_shell.metadata.png import encode
from invoke_shell.metadata.visible import visible
from invoke_shell.records import Image, Json, Resource, StepRecord, topological

__all__ = [
    "ATOM",
    "BESIDE",
    "INSIDE",
    "Contents",
    "Policy",
    "choose",
    "contents_of",
    "pictures_of",
    "size_text",
    "sources",
    "without_contents",
]

Policy = Literal["never", "auto", "always"]
ATOM = 1 << 20  # bytes of one source that `auto` embeds
INSIDE = 8 << 20  # bytes of all sources in a picture
BESIDE = 32 << 20  # and in the file beside it


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Bare PNGs by pixel hash: inside the picture, and what only the file beside it has room for.

    left: sentences on sources that are recorded by hash alone although they were asked for.
    """

    inside: Mapping[str, bytes] = field(default_factory=dict)
    beside: Mapping[str, bytes] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """`source embedded (212 kB)`, for the result's line; "" when none is."""
        found = [len(data) for data in (*self.inside.values(), *self.beside.values())]
        what = "source" if len(found) == 1 else f"{len(found)} sources"
        return f"{what} embedded ({size_text(sum(found))})" if found else ""


def sources(last: StepRecord) -> list[Resource]:
    """The pictures from outside in a history, each once, in its order."""
    found = {
        item.hash: item
        for step in topological(last)
        for items in step.inputs.values()
        for item in items
        if isinstance(item, Resource)
    }
    return list(found.values())


def choose(
    last: StepRecord,
    policy: Policy,
    pixels: Callable[[Resource], Image | None],
    *,
    inside: int = INSIDE,
    beside: int = BESIDE,
) -> Contents:
    """What of a history's sources is embedded.

    auto: each up to ATOM bytes, up to `inside` bytes in all. always: each, and what is over `inside` bytes goes beside
    the picture, up to `beside` bytes. pixels: a source's picture, None when it is gone.
    """
    if policy == "never":
        return Contents()
    chosen: dict[str, bytes] = {}
    over: dict[str, bytes] = {}
    left: list[str] = []
    for source in sources(last):
        image = pixels(source)
        data = encode(image) if image is not None else b""
        label = visible(source.name) or source.hash[:19]
        if not data:
            left.append(f"{label} is not embedded: its pixels are not kept here any more")
        elif _total(chosen) + len(data) <= inside and (policy == "always" or len(data) <= ATOM):
            chosen[source.hash] = data
        elif policy == "auto":
            left.append(f"{label} is not embedded ({size_text(len(data))}): load_image --embed, or set embed always")
        elif _total(over) + len(data) <= beside:
            over[source.hash] = data
        else:
            left.append(f"{label} is not embedded ({size_text(len(data))}): there is room for {size_text(beside)}")
    return Contents(inside=chosen, beside=over, left=tuple(left))


def _total(chosen: Mapping[str, bytes]) -> int:
    return sum(len(data) for data in chosen.values())


def size_text(count: int) -> str:
    """`212 kB`, `1.4 MB`."""
    return f"{max(1, round(count / 1000))} kB" if count < 999_500 else f"{count / 1e6:.1f} MB"


# -- reading ---------------------------------------------------------------------------------------------------------


def _rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rows = data.get("resources")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("resource_content"), str):
            yield row


def contents_of(data: Mapping[str, Json], limit: int = INSIDE) -> dict[str, bytes]:
    """The embedded files of `sd-metadata`, by the pixel hash that each says it has; nothing is decoded as a picture.

    Raises MetadataError for what is no base64, and for more than `limit` bytes in all, counted before any is decoded.
    """
    rows = list(_rows(data))
    total = sum(len(row["resource_content"]) * 3 // 4 for row in rows)
    if total > limit + 3 * len(rows):
        raise MetadataError(f"its embedded pictures have {size_text(total)}, more than the limit of {size_text(limit)}")
    found: dict[str, bytes] = {}
    for row in rows:
        try:
            found[str(row.get("pixel_hash"))] = b64decode(row["resource_content"], validate=True)
        except (binascii.Error, ValueError):
            raise MetadataError(f"the content of {visible(str(row.get('resource_id')))} is no base64") from None
    return found


def pictures_of(contents: Mapping[str, bytes]) -> Iterator[Image]:
    """The pictures of embedded files. Raises MetadataError for one that is no picture, or not the one it says."""
    from invoke_shell.metadata.decode import read_image

    for pixel_hash, data in contents.items():
        try:
            image, _ = read_image(data, "an embedded picture")
        except BlockedError as error:
            raise MetadataError(error.message) from None
        if image.hash != pixel_hash:
            raise MetadataError(f"an embedded picture is not the one it says: {visible(pixel_hash)[:40]}")
        yield image


def without_contents(data: Mapping[str, Json], hashes: Iterable[str] | None = None) -> dict[str, Json]:
    """The metadata with these contents by hash alone; with all of them when hashes is None."""
    dropped = None if hashes is None else set(hashes)
    rows = data.get("resources")
    return {**data, "resources": [_shared(row, dropped) for row in rows] if isinstance(rows, list) else []}


def _shared(row: Any, hashes: set[str] | None) -> Any:
    if "resource_content" not in row or (hashes is not None and row.get("pixel_hash") not in hashes):
        return row
    dropped = ("resource_mime", "bytes", "resource_content")
    return {**{name: value for name, value in row.items() if name not in dropped}, "linkage": "shared"}
