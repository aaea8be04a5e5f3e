"""Opening a file that someone named: what is not a regular file that can be read is one clear sentence."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from invoke_shell.errors import BlockedError
from invoke_shell.metadata.visible import visible

__all__ = ["opened", "shown", "sidecar"]


def shown(path: Path) -> str:
    """The path as it may stand in a message."""
    return visible(str(path))


def sidecar(picture: Path) -> Path:
    """The JSON beside a picture, for what does not fit into it: `a.png.json`."""
    return picture.with_name(f"{picture.name}.json")


def opened(path: Path) -> BinaryIO:
    """The file, open for unbuffered reading.

    Raises BlockedError: `missing-file` when it is not there or may not be read, `not-a-picture` when it is a folder, or
    a pipe or device, which would block or never end.
    """
    try:
        kind = os.stat(path).st_mode  # a third of the time that Path's own take
        if stat.S_ISDIR(kind):
            raise BlockedError(f"{shown(path)} is a folder, not a picture", code="not-a-picture")
        if not stat.S_ISREG(kind):
            raise BlockedError(f"{shown(path)} is no regular file", code="not-a-picture")
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise BlockedError(f"there is no file {shown(path)}", code="missing-file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or str(error)
        raise BlockedError(f"{shown(path)} cannot be read: {why}", code="missing-file") from None
