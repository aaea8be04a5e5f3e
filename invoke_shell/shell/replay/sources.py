"""Source pictures of results: embedded when asked, taken out of pictures that bring them, found again by hash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError, MetadataError
from invoke_shell.metadata import contents as inside
from invoke_shell.metadata.contents import Contents, Policy, contents_of, pictures_of, size_text
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.files import opened, shown, sidecar
from invoke_shell.metadata.history import loads
from invoke_shell.metadata.jpeg_webp import Form
from invoke_shell.metadata.read import PictureInfo
from invoke_shell.pipeline.facts import InputRef
from invoke_shell.records import Image, Resource, StepRecord

if TYPE_CHECKING:
    from invoke_shell.shell.archive.keeper import Keeper

__all__ = ["bring_in", "embedded_size", "to_embed"]

MAX_BESIDE = 48 << 20  # bytes of the JSON beside a picture: the sources it may hold, as base64, and their record


def to_embed(keeper: Keeper, step: StepRecord, policy: Policy, form: Form) -> Contents:
    """The sources of a history that travel with its picture. A JPEG has no room for any: they stand beside it."""

    def pixels(source: Resource) -> Image | None:
        found = keeper.pixels(source.hash)
        return None if found is None else found.image or read_image(Path(found.path))[0]

    return inside.choose(step, policy, pixels, inside=0 if form.name == "jpeg" else inside.INSIDE)


def embedded_size(info: PictureInfo) -> int:
    """Bytes of the source pictures inside a picture, as its record counts them."""
    rows = (info.data or {}).get("resources")
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    texts = [row.get("resource_content") for row in found]
    return sum(len(text) * 3 // 4 for text in texts if isinstance(text, str))


def bring_in(keeper: Keeper, path: Path, info: PictureInfo, step: StepRecord) -> Iterator[str]:
    """Keep the sources that a picture brings, inside or beside it, where they are not here; says what was taken.

    They are believed only when their pixels have the recorded hash. Raises MetadataError for contents that are not what
    they say.
    """
    missing = [source for source in inside.sources(step) if keeper.pixels(source.hash) is None]
    if not missing:
        return
    brought = contents_of(info.data or {})
    if any(source.hash not in brought for source in missing):
        brought = {**_beside(path), **brought}
    wanted = {source.hash: brought[source.hash] for source in missing if source.hash in brought}
    for image, source in zip(pictures_of(wanted), (s for s in missing if s.hash in wanted), strict=True):
        ref = InputRef(
            hash=source.hash, width=source.width, height=source.height, mode=source.mode, name=source.name,
            file_hash=source.file_hash, facts=source.facts, image=image,
        )  # fmt: skip
        keeper.sources.keep_source(ref)
        yield f"a source was taken from {shown(path)} ({size_text(len(wanted[source.hash]))})"


def _beside(path: Path) -> dict[str, bytes]:
    """The contents of the JSON beside a picture; none when there is none, or it is no record of ours."""
    name = sidecar(path)
    try:
        if not name.is_file():
            return {}
        with opened(name) as file:
            text = file.read(MAX_BESIDE + 1)
    except (BlockedError, OSError, ValueError):
        return {}
    if len(text) > MAX_BESIDE:
        raise MetadataError(f"{shown(name)} has more than {size_text(MAX_BESIDE)}")
    try:
        return contents_of(loads(text.decode("utf-8", "replace")), inside.BESIDE)
    except MetadataError as error:
        raise MetadataError(f"{shown(name)}: {error.message}") from None
