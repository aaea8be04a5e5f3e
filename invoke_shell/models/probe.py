"""What is this file? Kind, family and why, from its header alone. No torch; no weights are read.

Unknown is said with what was seen, never guessed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from invoke_shell.models.families import GGUF_BASES, advice_for
from invoke_shell.models.files import WEIGHTS, reading, refusal, shown
from invoke_shell.models.finding import Finding
from invoke_shell.models.folders import look_folder
from invoke_shell.models.header import read_header

__all__ = ["is_pickle", "look"]


WRONG_LINK = "download the model's file, not what its page shows"
# Beginnings of what is no weights file, whatever its ending says.
CONTENTS = (
    ((b"\xff\xd8\xff",), "is a JPEG picture", WRONG_LINK),
    ((b"\x89PNG", b"GIF8", b"RIFF"), "is a picture", WRONG_LINK),
    ((b"<", b"\n<"), "is a web page: the site wanted a login, or the link was not to the file", "download it again"),
    ((b"version https://git-lfs",), "is a pointer of Git LFS, not the weights", "git lfs pull fetches them"),
    ((b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b"), "is packed", "unpack it first"),
)
GGUF = b"GGUF"
PICKLED = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def look(path: Path) -> Finding:
    """What a file or folder is. Raises BlockedError when it is broken, a pickle, or no weights at all."""
    if path.is_dir():
        return look_folder(path)
    kind = _container(path)
    if path.suffix.lower() not in ((".gguf",) if kind == "gguf" else WEIGHTS[:2]):
        right = f"{path.stem}.{kind}"
        raise refusal(path, f"is a {kind} file by its content", f"rename it to {shown(right)}")
    if kind == "gguf":
        return _look_gguf(path)
    from invoke_shell.models.detectors import identify  # most starts open no file

    return identify(read_header(path), path)


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle by its content. Raises BlockedError when it cannot be read."""
    with reading(path) as file:
        return file.read(8).startswith(PICKLED)


def _container(path: Path) -> str:
    """`safetensors` or `gguf`, by the first bytes. Raises BlockedError for anything else."""
    with reading(path) as file:
        head = file.read(64)
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(GGUF):
        return "gguf"
    if head.startswith(PICKLED):
        why = "is a pickle, which could run any program when it is opened"
        raise refusal(path, why, f"models convert {shown(path)} makes a safetensors file of it")
    for starts, why, hint in CONTENTS:
        if head.startswith(starts):
            raise refusal(path, why, hint)
    if not head.strip(b"\0"):
        raise refusal(path, "holds nothing yet: its download was not finished", "download it again")
    raise refusal(path, "is no file of weights that is known here", f"known are {', '.join(WEIGHTS)}")


# -- GGUF ------------------------------------------------------------------------------------------------------------


def _look_gguf(path: Path) -> Finding:
    """A GGUF file: by its tensors, else by what it says of itself."""
    from invoke_shell.models.detectors import identify
    from invoke_shell.models.gguf import read_gguf

    header = read_gguf(path)
    found = identify(header, path)
    said = header.metadata.get("general.architecture", "")
    if not found.kind and said in GGUF_BASES:
        found = replace(found, kind="checkpoint", base=GGUF_BASES[said], parts=("denoiser",))
        found = replace(found, reason=f"it says its architecture is {said}", advice=advice_for(found.base, "", ""))
    return replace(found, format="gguf", reason=f"GGUF: {found.reason}")
