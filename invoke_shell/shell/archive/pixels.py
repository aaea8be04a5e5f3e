"""The bare pixels of pictures that results were made from, kept once each and found again by their hash."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import BlockedError, OutputError
from invoke_shell.records import Image
from invoke_shell.shell.archive.outputs import write_new

if TYPE_CHECKING:
    # Loaded by what needs them: a keeper is made before the first prompt.
    from invoke_shell.pipeline.facts import InputRef

__all__ = ["Pixels"]

log = logging.getLogger("invoke_shell.pixels")


class Pixels:
    """Kept pixels in a folder. results: the files of results with a hash, or the beginning of one; pixels too.

    keeping False: nothing is written (a session that is kept in memory).
    """

    def __init__(self, folder: Path, results: Callable[[str], Iterable[Path]], *, keeping: bool) -> None:
        self.folder = folder
        self.results = results
        self.keeping = keeping

    def keep_source(self, ref: InputRef) -> None:
        """Keep the bare pixels of a source picture, so that a result can be made again from its hash."""
        from invoke_shell.metadata.decode import read_image

        if self._path(ref.hash).exists():
            return
        about = {"name": ref.name, "file_hash": ref.file_hash, "facts": dict(ref.facts)}
        self.keep(ref.image if ref.image is not None else read_image(Path(ref.path))[0], about)

    def keep(self, image: Image, about: dict[str, Any]) -> None:
        """Keep a picture's bare pixels, and how they were called and read."""
        from invoke_shell.metadata.png import encode

        path = self._path(image.hash)
        if path.exists() or not self.keeping:
            return
        try:
            write_new(
                json.dumps(about).encode(), path.with_suffix(".json"), tag=f"{path.stem[:16]}-about", exactly=True
            )
            write_new(encode(image), path, tag=path.stem[:16], exactly=True)
        except OutputError as error:
            if error.code != "file-exists":
                log.warning("source not kept: %s", error.message)

    def has(self, pixel_hash: str) -> bool:
        """Whether a picture of this hash is kept here; its pixels are not read."""
        return self._path(pixel_hash).exists() or bool(self.results(pixel_hash))

    def find(self, digits: str) -> InputRef | None:
        """A picture of the person's by its pixel hash, or its first 12 digits and more: a kept source or a result."""
        start = digits.removeprefix("blake3:")
        if not re.fullmatch(r"[0-9a-f]{12,64}", start):
            return None
        for path in sorted(self.folder.glob(f"{start}*.png")):
            if (found := _read_same(path, start)) is not None:
                return replace(found, **_about(path))
        for path in self.results(f"blake3:{start}"):
            if (found := _read_same(path, start)) is not None:
                return found
        return None

    def _path(self, pixel_hash: str) -> Path:
        return self.folder / f"{pixel_hash.removeprefix('blake3:')}.png"


def _about(path: Path) -> dict[str, Any]:
    """How the file that a kept source came from was called and read; as recorded when it was first used."""
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return {name: found[name] for name in ("name", "file_hash", "facts")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"name": ""}


def _read_same(path: Path, start: str) -> InputRef | None:
    """The file, if its pixels still have the hash that was asked for."""
    from invoke_shell.metadata.decode import read_image
    from invoke_shell.shell.archive.given import input_ref

    try:
        image, resource = read_image(path)
    except BlockedError:
        return None
    same = image.hash.removeprefix("blake3:").startswith(start)
    return input_ref(resource, path) if same else None
