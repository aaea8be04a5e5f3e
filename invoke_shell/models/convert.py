"""Pickled weights to safetensors, in a process of its own: what is in a pickle never meets this one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke_shell.errors import BlockedError, OutputError
from invoke_shell.models.apart import command, environment
from invoke_shell.models.files import refusal, shown
from invoke_shell.models.probe import is_pickle

__all__ = ["Converted", "convert"]

CHILD = "invoke_shell.runtime.convert"


@dataclass(frozen=True, kw_only=True)
class Converted:
    """path: the new file. left_out: names of foreign classes that the pickle used; their objects were dropped."""

    path: Path
    tensors: int
    left_out: tuple[str, ...] = ()


def convert(source: Path, target: Path | None = None) -> Converted:
    """Write the weights of a pickle as a safetensors file, beside it unless told where; nothing is overwritten.

    Raises BlockedError when it is no pickle or cannot be converted, OutputError when the file cannot be written.
    """
    if source.is_dir():
        raise refusal(source, "is a folder; one file is converted at a time")
    if not is_pickle(source):
        raise refusal(source, "is no pickle, so there is nothing to convert", f"models add {shown(source)}")
    target = target or source.with_suffix(".safetensors")
    if target.is_dir():
        target = target / source.with_suffix(".safetensors").name
    _check_target(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        told = _run(source, part)
        part.chmod(stat.S_IMODE(source.stat().st_mode) & 0o666)  # who may read the one may read the other
        _put(part, target)
    finally:
        part.unlink(missing_ok=True)
    return Converted(path=target, tensors=told["tensors"], left_out=tuple(told["left_out"]))


def _check_target(target: Path) -> None:
    if target.suffix != ".safetensors":
        raise BlockedError(f"{shown(target)} must end in .safetensors", code="bad-value")
    if target.exists():
        hint = "give another name with --output"
        raise BlockedError(f"{shown(target)} is there already", hint=hint, code="file-exists")
    if not target.parent.is_dir():
        raise OutputError(f"there is no folder {shown(target.parent)}", hint="give another with --output")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"{shown(target.parent)} cannot be written", hint="give another folder with --output")


def _run(source: Path, target: Path) -> dict[str, Any]:
    """The child's answer. Raises BlockedError with its reason, or when it died."""
    nothing, there = subprocess.DEVNULL, command(CHILD, str(source), str(target))
    done = subprocess.run(there, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing, env=environment(), check=False)
    told: dict[str, Any] = {}
    with suppress(ValueError):
        told = json.loads(done.stdout)
    if "error" in told:
        raise refusal(source, str(told["error"]))
    if "tensors" not in told:
        why = f"could not be converted: the process that read it ended with status {done.returncode}"
        raise refusal(source, why, "there may not be enough memory")
    return told


def _put(part: Path, target: Path) -> None:
    """Give a finished file its name, unless somebody has taken it meanwhile."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise BlockedError(f"{shown(target)} is there already", code="file-exists") from None
    except OSError:  # a file system without links
        if target.exists():
            raise BlockedError(f"{shown(target)} is there already", code="file-exists") from None
        part.rename(target)
