"""Picture files: their names, their folder, and writing them so that none is ever half there and none overwritten."""

from __future__ import annotations

import errno
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Protocol

from invoke_shell.errors import OutputError, SettingError, nearest
from invoke_shell.metadata.files import sidecar
from invoke_shell.pipeline.prompts import plain_text
from invoke_shell.shell import posix

__all__ = [
    "DISK",
    "TEMPLATE",
    "Disk",
    "Files",
    "check_template",
    "file_name",
    "free_names",
    "move_aside",
    "output_folder",
    "part_name",
    "slug",
    "write_both",
    "write_new",
]

TEMPLATE = "{n:06}-{prompt:24}-{seed}"
FIELDS = ("n", "prompt", "seed", "model", "date")
FIELD = re.compile(r"\{(\w+)(?::(\d{1,3}))?\}")
PROMPT = 24  # characters of a prompt in a name, unless the template says otherwise
LONGEST = 180  # bytes of a name; 255 is usual, encrypted folders have 143 and cut by themselves
NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
# What file systems without hard links answer; ENOTSUP has another number than EOPNOTSUPP on macOS, and none on Windows.
NO_LINKS = {errno.EPERM, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP), errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
TRIES = 10_000  # names tried before giving up


class Files(Protocol):
    """What writing a picture asks of the disk; tests let each call fail in turn. All raise OSError."""

    def make_folder(self, folder: Path) -> None:
        """Create a folder and its parents, durably; nothing if it is there."""

    def write(self, path: Path, data: bytes) -> None:
        """Create a new file and bring its bytes to the disk. FileExistsError if the name is taken."""

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name. FileExistsError if it is taken."""

    def claim(self, path: Path) -> None:
        """Create an empty file. FileExistsError if the name is taken."""

    def replace(self, source: Path, target: Path) -> None:
        """Rename over an existing file, at once or not at all."""

    def remove(self, path: Path) -> None:
        """Delete a file."""

    def sync_folder(self, folder: Path) -> None:
        """Bring a folder's names to the disk."""


class Disk:
    """The real one."""

    def make_folder(self, folder: Path) -> None:
        missing = [folder, *folder.parents]
        missing = missing[: next((i for i, one in enumerate(missing) if one.exists()), 0)]
        folder.mkdir(parents=True, exist_ok=True)
        for one in missing:
            posix.sync_folder(one.parent)

    def write(self, path: Path, data: bytes) -> None:
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def link(self, source: Path, target: Path) -> None:
        os.link(source, target)

    def claim(self, path: Path) -> None:
        open(path, "xb").close()

    def replace(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        posix.sync_folder(folder)


DISK: Files = Disk()


def output_folder(*, outdir: Path | None, setting: str = "", home: Path | None = None, day: date) -> Path:
    """Where pictures go: --outdir, else the setting, else the given home's `outputs`, else the pictures folder by day.

    home: only when the person gave one; the platform's folder is None.
    """
    if outdir or setting:
        return (outdir or Path(setting)).expanduser().absolute()
    if home:
        return home.absolute() / "outputs"
    import platformdirs  # 20 ms; only the first picture pays for it

    return platformdirs.user_pictures_path() / "invoke" / day.isoformat()


def check_template(template: str) -> None:
    """Raises SettingError for a field that is not known, or characters a file name cannot have."""
    for field, _ in FIELD.findall(template):
        if field not in FIELDS:
            guess = nearest(field, FIELDS)
            hint = f"did you mean {{{guess}}}?" if guess else "the fields are {" + "}, {".join(FIELDS) + "}"
            raise SettingError(f"filename has no field {{{field}}}", hint=hint)
    rest = FIELD.sub("", template)
    if wrong := re.search(r"[{}]", rest) or NOT_IN_NAMES.search(rest):
        raise SettingError(f"filename cannot have {wrong[0]!r}, in {template!r}", hint=f"as shipped: {TEMPLATE}")


def file_name(template: str, values: Mapping[str, object], suffix: str = ".png") -> str:
    """The name of a picture's file, its ending included. Raises SettingError as check_template does.

    values: of FIELDS; None and "" leave no gap. `{n:06}` fills with zeros, `{prompt:24}` is cut at 24 characters.
    """
    check_template(template)
    stem = FIELD.sub(lambda field: _filled(field[1], field[2], values.get(field[1])), template)
    stem = re.sub(r"-{2,}", "-", stem).strip("-. ")
    stem = stem.encode()[:LONGEST].decode("utf-8", "ignore").rstrip("-. ") or "picture"
    return ("_" if RESERVED.fullmatch(stem) else "") + stem + suffix


def _filled(field: str, width: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:0{int(width or 0)}d}"
    text = plain_text(str(value)) if field == "prompt" else str(value)
    return slug(text, int(width) if width else PROMPT if field == "prompt" else LONGEST)


def slug(text: str, longest: int) -> str:
    """Words of a text joined by `-`, letters of every script kept, at most `longest` characters, cut between words."""
    kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else "-" for c in unicodedata.normalize("NFC", text))
    words = re.sub(r"-+", "-", "".join(kept)).strip("-").lower()
    if len(words) <= longest:
        return words
    while longest and unicodedata.category(words[longest])[0] == "M":
        longest -= 1  # a mark stays with the letter before it
    cut = words[: longest + 1].rfind("-")
    return words[: cut if cut > longest // 2 else longest]


def free_names(path: Path) -> Iterator[Path]:
    """path, then path-2, path-3 ..."""
    yield path
    for number in range(2, TRIES):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def part_name(target: Path, tag: str) -> Path:
    """The file a picture is written to before it has its name: hidden, and in the same folder, as a link needs."""
    return target.with_name(f".invoke-{tag}.part")


def write_new(data: bytes, target: Path, *, tag: str, exactly: bool = False, files: Files = DISK) -> Path:
    """Write a file that was not there before; the path it got.

    The name appears only when the bytes are on the disk, so a kill at any moment leaves a whole file or none.
    tag: unique among writers of this folder. exactly: a taken name is an error, else the next free one is used.
    Raises OutputError.
    """
    part = part_name(target, tag)
    try:
        files.make_folder(target.parent)
        _remove(part, files)  # of an earlier try that could not remove it
        try:
            files.write(part, data)
            path = _named(part, target, exactly, files)
        finally:
            _remove(part, files)
        files.sync_folder(target.parent)
    except OSError as error:
        raise _explained(error, target) from error
    return path


def write_both(
    data: bytes, beside: bytes, target: Path, *, tag: str, exactly: bool = False, files: Files = DISK
) -> tuple[Path, str]:
    """As write_new, with the JSON that a picture has no room for; the path it got, and why that JSON is not there.

    The JSON is on the disk before the picture has its name: a kill leaves a picture with all that is known of it, or a
    JSON without a picture.
    """
    if not exactly:
        target = next(path for path in free_names(target) if not path.exists() and not sidecar(path).exists())
    elif target.exists():
        return write_new(data, target, tag=tag, exactly=True, files=files), ""  # says that it is there
    note, fault = sidecar(target), ""
    try:
        write_new(beside, note, tag=f"{tag}-beside", exactly=True, files=files)
    except OutputError as error:
        fault = error.message
    try:
        path = write_new(data, target, tag=tag, exactly=exactly, files=files)
    except OutputError:
        if not fault:
            _remove(note, files)
        raise
    if path != target and not fault:  # another program took the name meanwhile
        shutil.move(note, sidecar(path))
    return path, fault


def _named(part: Path, target: Path, exactly: bool, files: Files) -> Path:
    for path in [target] if exactly else free_names(target):
        try:
            _give_name(part, path, files)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(errno.EEXIST, "nothing is overwritten", str(target))


def _give_name(part: Path, path: Path, files: Files) -> None:
    """A second name by link, because a rename overwrites; without links, a rename over an empty file of our own."""
    try:
        files.link(part, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        files.claim(path)
        _replace_claim(part, path, files)


def _replace_claim(part: Path, path: Path, files: Files) -> None:
    try:
        files.replace(part, path)
    except OSError:
        _remove(path, files)
        raise


def _remove(path: Path, files: Files) -> None:
    """What cannot be removed now is moved to the trash at the next start."""
    with suppress(OSError):
        files.remove(path)


def _explained(error: OSError, path: Path) -> OutputError:
    if error.errno == errno.EEXIST and error.filename == str(path):
        return OutputError(f"{path} is there already, and nothing is overwritten", code="file-exists")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return OutputError(f"{path.parent} is not a folder")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"the disk of {path.parent} is full")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"the folder {path.parent} cannot be written to")
    return OutputError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}")


def move_aside(path: Path, folder: Path) -> Path:
    """Move a file into a folder, under a free name there, across disks too; where it is now. Raises OSError.

    Its time is that of the moving: the trash is emptied by how long something has been there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = next(name for name in free_names(folder / path.name) if not name.exists())
    moved = Path(shutil.move(path, target))
    with suppress(OSError):
        os.utime(moved)
    return moved
