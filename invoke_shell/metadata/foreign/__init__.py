"""Other programs' metadata: one reader a program, each a pure function of texts that never raises.

    texts of a file -> read -> Foreign -> to_line -> a line of ours, what is not carried, what was guessed

A reader is imported when a picture of its program is met. Nothing here opens a file, looks a model up or runs anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

from invoke_shell.metadata.foreign.result import Foreign

__all__ = ["Foreign", "read"]

SMALLEST = 64  # pixels of a side; a smaller picture was cropped
READERS = {
    "a1111": "infotext",
    "forge": "infotext",
    "sdnext": "infotext",
    "stability-matrix": "comfyui",
    "invoke_shell": "infotext",  # a site dropped all but `parameters`
    "comfyui": "comfyui",
    "tensorart": "comfyui",
    "invokeai": "invokeai",
    "huggingface": "spaces",
    "novelai": "novelai",
    "fooocus": "fooocus",
    "swarmui": "swarmui",
    "mold": "mold",
    "dgenerate": "dgenerate",
}


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int] = (0, 0)) -> Foreign | None:
    """What a program's texts say of a picture; None when there is no reader for it, or nothing to read.

    tool: as detect.tool_of names it. texts: by name, as they stand in the file. size: of the picture, in pixels.
    """
    if tool not in READERS:
        return None
    reader = import_module(f"{__name__}.{READERS[tool]}")
    found: Foreign | None = reader.read(tool, texts, size)
    return _sized(found, size) if found else None


def _sized(found: Foreign, size: tuple[int, int]) -> Foreign:
    """The picture's own size where the texts do not tell one, and nothing says that it was made larger."""
    if found.size or not found.drawn or found.source or found.then or min(size) < SMALLEST:
        return found
    sentence = f"the size is not in the file: {size[0]}x{size[1]} is the picture's own"
    return replace(found, size=size, guessed=(*found.guessed, sentence))
