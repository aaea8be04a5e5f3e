"""Texts, graphs and files as other programs write them, for the tests of their readers."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

from invoke_shell.commands import registry
from invoke_shell.metadata.foreign import Foreign, read
from invoke_shell.metadata.foreign.line import Line, to_line
from invoke_shell.metadata.read import PictureInfo, read_picture
from invoke_shell.pipeline.bind import understand

REGISTRY = registry()
GPU = "the noise was drawn on a GPU there: it is made as an NVIDIA one does"


def found(tool: str, size: tuple[int, int] = (0, 0), **texts: str) -> Foreign:
    """What a reader says; it must say something."""
    said = read(tool, texts, size)
    assert said is not None
    return said


def told(tool: str, size: tuple[int, int] = (0, 0), **texts: str) -> Line:
    """The line of a reader's find, which must bind."""
    line = to_line(found(tool, size, **texts), REGISTRY)
    if line.text:
        understand(line.text, REGISTRY)
    return line


def core(said: Foreign) -> tuple[Any, ...]:
    """Prompt, negative, seed, steps, guidance, scheduler or the nearest with ~, size, model."""
    scheduler = said.scheduler or (f"~{said.near}" if said.near else None)
    model = said.model.name if said.model else None
    return said.prompt, said.negative, said.seed, said.steps, said.guidance, scheduler, said.size, model


# -- files -----------------------------------------------------------------------------------------------------------


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 1, height: int = 1, **texts: str) -> bytes:
    """A grey PNG with tEXt chunks, UTF-8 in them as many programs write it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    parts = [chunk(b"tEXt", name.encode() + b"\0" + text.encode()) for name, text in texts.items()]
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * (width + 1) * height))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(parts) + pixels + chunk(b"IEND", b"")


def opened(data: bytes, folder: Path, name: str = "a.png") -> PictureInfo:
    (folder / name).write_bytes(data)
    return read_picture(folder / name)
