"""Results: number, file and row in the order that loses nothing; keeping, discarding, and what a killed process left.

    number reserved, row pending -> what stands beside it -> file written under its name -> row done -> handle shown

A kill between any two of these leaves either no file and a lost number, or a whole file that the next start makes done.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError, InvokeShellError, OutputError
from invoke_shell.metadata.files import sidecar
from invoke_shell.records import Image
from invoke_shell.shell.archive.outputs import (
    DISK,
    TEMPLATE,
    Files,
    file_name,
    free_names,
    move_aside,
    part_name,
    write_both,
    write_new,
)
from invoke_shell.shell.archive.store import Facts, ResultRow, State, Store

if TYPE_CHECKING:
    from invoke_shell.metadata.embed import Packed
    from invoke_shell.metadata.jpeg_webp import Form

__all__ = ["Parcel", "Recovered", "Results", "has_pixels"]


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A picture's file, ready to be written. command: what makes it again; note: on what is embedded, or ""."""

    packed: Packed
    form: Form
    command: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What a killed process left: numbers whose file was whole, numbers that are lost, files moved to the trash."""

    completed: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    trashed: tuple[Path, ...] = ()


class Results:
    """The pictures of one home. folder: where the next one goes; template: how it is called (outputs.file_name).

    unsaved: PNG bytes, by number, of pictures whose file could not be written; they live as long as this object.
    fault: why the JSON beside the last picture that has one could not be written, "" when it was.
    """

    def __init__(
        self,
        store: Store,
        folder: Callable[[], Path],
        template: Callable[[], str] = lambda: TEMPLATE,
        *,
        files: Files = DISK,
    ) -> None:
        self.store, self.folder, self.template, self.files = store, folder, template, files
        self.unsaved: dict[int, bytes] = {}
        self.fault = ""

    @property
    def trash(self) -> Path:
        """Where discarded pictures and leftovers go."""
        return self.store.home / "trash"

    def keep_picture(
        self,
        line: int,
        image: Image,
        encode: Callable[[int], bytes],
        facts: Facts,
        *,
        suffix: str = ".png",
        beside: bytes = b"",
    ) -> ResultRow:
        """Make a picture a result: reserve its number, write its file, finish its row. Then its handle may be shown.

        encode: the file for the number, of the kind `suffix` says. beside: the JSON it has no room for. Size and pixel
        hash in `facts` are those of `image`.
        Raises OutputError when the file cannot be written; the picture is in `unsaved` then, under a number of its own.
        """
        facts = replace(facts, width=image.width, height=image.height, pixel_hash=image.hash)
        path = self._naming(suffix)
        (n,) = self.store.reserve(line, [facts], path)
        return self._written(n, path(n, facts), encode(n), beside)

    def _naming(self, suffix: str) -> Callable[[int, Facts], Path]:
        """How files are called now: asked twice about a picture, it gives the same answer, past midnight too."""
        folder, template, day = self.folder(), self.template(), date.today().isoformat()
        return lambda n, facts: folder / _name(template, n, facts, day, suffix)

    def save_again(self, n: int, path: Path | None = None) -> ResultRow:
        """Write a picture of `unsaved` once more, elsewhere when `path` is given. Raises OutputError."""
        row = self.store.results(n)[0]
        return self._written(n, path or row.path, self.unsaved[n])

    def _written(self, n: int, path: Path, data: bytes, beside: bytes = b"") -> ResultRow:
        tag = _tag(n, self.store.owner)
        try:
            if beside:
                path, self.fault = write_both(data, beside, path, tag=tag, files=self.files)
            else:
                path = write_new(data, path, tag=tag, files=self.files)
        except OutputError as error:
            self.unsaved[n] = data
            hint = f"@{n} is kept in memory; @{n} | save PATH writes it elsewhere"
            raise OutputError(error.message, hint=hint, code=error.code) from error
        row = self.store.finish(n, path)
        self.unsaved.pop(n, None)
        return row

    def data(self, row: ResultRow) -> bytes:
        """The file of a result. Raises BlockedError when its file is gone: the program outlives the pixels."""
        if row.n in self.unsaved:
            return self.unsaved[row.n]
        try:
            return (row.trashed or row.path).read_bytes()
        except OSError as error:
            gone = f"the file of @{row.n} is gone: {row.path}"
            raise BlockedError(gone, hint=f"replay @{row.n} makes it again", code="missing-file") from error

    # ---- keep and discard

    def keep(self, rows: Iterable[ResultRow]) -> None:
        """Mark results as kept; discarded ones come back first."""
        for row in rows:
            if row.state == "discarded":
                self.restore([row])
            self.store.mark(row.n, "kept")

    def discard(self, rows: Iterable[ResultRow]) -> list[int]:
        """Move the files of results to the trash; the numbers discarded. Raises OutputError."""
        return [row.n for row in rows if row.state in ("done", "kept") and self._discard(row)]

    def _discard(self, row: ResultRow) -> bool:
        try:
            trashed = move_aside(row.path, self.trash) if row.path.exists() else None
            if trashed is not None:
                _bring_along(row.path, trashed)
        except OSError as error:
            raise OutputError(f"{row.path} cannot be moved to {self.trash}: {error}") from error
        self.store.mark(row.n, "discarded", trashed=trashed)
        return True

    def restore(self, rows: Iterable[ResultRow]) -> list[int]:
        """Bring discarded results back to their folder, under the next free name if theirs is taken."""
        return [row.n for row in rows if row.state == "discarded" and self._restore(row)]

    def _restore(self, row: ResultRow) -> bool:
        path = row.path
        if row.trashed and row.trashed.exists():
            path = self.move_back(row.trashed, row.path, tag=_tag(row.n, self.store.owner))
            _bring_along(row.trashed, path)
        self.store.mark(row.n, "done", path=path)
        return True

    def move_back(self, trashed: Path, path: Path, *, tag: str) -> Path:
        """A file out of the trash to its path, or the next free name; where it is now. Raises OutputError."""
        found = write_new(trashed.read_bytes(), path, tag=tag, files=self.files)
        trashed.unlink()
        return found

    def put(self, states: Mapping[int, State]) -> tuple[list[int], list[int]]:
        """Bring results into these states. The numbers that are so now, and those whose file is nowhere any more.

        A result that comes back stays discarded when its file was taken out of the trash.
        """
        put, gone = [], []
        for n, state in states.items():
            row = self.store.result(n)
            if row is None or row.state in ("pending", "lost"):
                continue
            if state == "discarded":
                self.discard([row])
            elif row.state == "discarded" and row.trashed and not row.trashed.exists():
                gone.append(n)
                continue
            else:
                self.restore([row])
                self.store.mark(n, state)
            put.append(n)
        return put, gone

    # ---- what a killed process left

    def recover(self) -> Recovered:
        """At start: complete results whose file is whole, mark the others lost, move half files to the trash.

        Nothing of a process that lives is touched.
        """
        completed, lost, trashed = [], [], []
        for row, owner in self.store.bury():
            if whole := self._whole_file(row):
                self.store.finish(row.n, whole)
                completed.append(row.n)
            else:
                self.store.lose(row.n)
                lost.append(row.n)
            trashed += self._leftovers(row, owner)
        return Recovered(completed=tuple(completed), lost=tuple(lost), trashed=tuple(trashed))

    def _whole_file(self, row: ResultRow) -> Path | None:
        """The file of a pending result, if it got as far as its name."""
        return next((path for path in self._candidates(row) if has_pixels(path, row.pixel_hash)), None)

    def _candidates(self, row: ResultRow) -> list[Path]:
        """Files that may be this result's: of the name meant, or its next free ones, and no other result's."""
        there = takewhile(Path.is_file, free_names(row.path))
        return [path for path in there if not self.store.owns(path)]

    def _leftovers(self, row: ResultRow, owner: str) -> list[Path]:
        """Move the part files, an empty file that only held the name, and a JSON without a picture to the trash."""
        part = part_name(row.path, _tag(row.n, owner))
        note = part_name(sidecar(row.path), f"{_tag(row.n, owner)}-beside")
        alone = [] if row.path.exists() else [sidecar(row.path)]
        empty = [path for path in self._candidates(row) if not path.stat().st_size]
        return [move_aside(path, self.trash) for path in (part, note, *alone, *empty) if path.is_file()]


def _name(template: str, n: int, facts: Facts, day: str, suffix: str) -> str:
    values = {"n": n, "prompt": facts.title, "seed": facts.seed, "model": facts.model, "date": day}
    return file_name(template, values, suffix)


def _tag(n: int, owner: str) -> str:
    return f"{n:06}-{owner}"


def _bring_along(before: Path, now: Path) -> None:
    """Move the file beside a picture to where the picture is now. Raises OSError."""
    if sidecar(before).is_file() and not sidecar(now).exists():
        shutil.move(sidecar(before), sidecar(now))


def has_pixels(path: Path, pixel_hash: str) -> bool:
    """True when the file is a whole picture with these pixels, or was made from them with loss and says so."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    from invoke_shell.metadata.read import read_picture

    try:
        with Pillow.open(path) as picture:
            if Image.from_pil(picture).hash == pixel_hash:
                return True
        info = read_picture(path)
        return info.pixel_hash == pixel_hash and not info.form.lossless
    except (InvokeShellError, OSError, ValueError, SyntaxError, UnidentifiedImageError):
        return False
