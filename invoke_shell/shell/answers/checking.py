"""`info --check`: whether a file's metadata is what the specification says, fault by fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from invoke_shell.errors import MetadataError
from invoke_shell.metadata.check import MOST, Wrong, check_container, check_data, check_pixels
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.files import opened
from invoke_shell.metadata.history import loads
from invoke_shell.metadata.png import Png
from invoke_shell.metadata.read import MAX_BESIDE, PictureInfo, read_picture
from invoke_shell.metadata.schema import node_schemas
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.registry import Registry

__all__ = ["checked"]


def checked(registry: Registry, label: str, path: Path) -> tuple[bool, str, dict[str, Any]]:
    """Whether a picture, or a JSON file by itself, is valid; the answer for people and for programs.

    Raises BlockedError for what is no picture, MetadataError for one without our metadata.
    """
    info = _json_alone(path) if path.suffix.lower() == ".json" else read_picture(path)
    if info.data is None and info.problem is None:
        who = f"it is of {info.tool}" if info.tool else "nothing in it tells how it was made"
        raise MetadataError(f"{visible(label)} has no sd-metadata of invoke_shell: {who}", code="no-metadata")
    faults = [Wrong("$", visible(info.problem.message))] if info.problem is not None else _faults(registry, path, info)
    record = {
        "event": "check", "image": label, "valid": not faults,
        "faults": [{"path": wrong.path, "message": wrong.message} for wrong in faults],
    }  # fmt: skip
    return not faults, "\n".join(_lines(label, info, faults)), record


def _json_alone(path: Path) -> PictureInfo:
    with opened(path) as file:
        text = file.read(MAX_BESIDE + 1)
    if len(text) > MAX_BESIDE:
        raise MetadataError(f"{visible(str(path))} has more than {MAX_BESIDE >> 20} MiB")
    try:
        return PictureInfo(tool="invoke_shell", width=0, height=0, kind="JSON", data=loads(text.decode()))
    except MetadataError as error:
        return PictureInfo(tool="invoke_shell", width=0, height=0, kind="JSON", problem=error)
    except UnicodeDecodeError:
        return PictureInfo(tool="invoke_shell", width=0, height=0, problem=MetadataError("it is not UTF-8"))


def _faults(registry: Registry, path: Path, info: PictureInfo) -> list[Wrong]:
    data = info.data or {}
    faults = check_data(data, node_schemas(registry))
    if info.kind == "PNG":
        with opened(path) as file:
            faults += check_container(Png(file))
    if info.kind != "JSON" and not faults:
        faults += check_pixels(data, read_image(path)[0], lossless=info.form.lossless)
    return faults


def _lines(label: str, info: PictureInfo, faults: list[Wrong]) -> Iterator[str]:
    name = visible(label)
    if not faults:
        data: Any = info.data
        steps, resources = len(data["steps"]), len(data["resources"])
        counts = f"{_count(steps, 'step')}, {_count(resources, 'resource')}"
        yield f"{name}: valid sd-metadata, spec {data['spec_version']}: {counts}{_pixels(info)}"
        return
    more = " or more" if len(faults) >= MOST else ""
    yield f"{name}: {_count(len(faults), 'fault')}{more}"
    yield from (f"  {wrong.path} {wrong.message}" for wrong in faults)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _pixels(info: PictureInfo) -> str:
    if info.kind == "JSON":
        return ""
    kind = {"WEBP": "WebP"}.get(info.kind, info.kind)
    return ", and these pixels" if info.form.lossless else f", in a {kind} with loss"
