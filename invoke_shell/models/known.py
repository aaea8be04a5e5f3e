"""Where other programs keep their models: folders looked for by name alone, in the places people put such programs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.models.files import PICKLES, WEIGHTS, shown

if TYPE_CHECKING:
    from invoke_shell.models.catalogue import Catalogue

__all__ = ["known_folders", "offer"]

# Program -> folders below one of PLACES
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "AUTOMATIC1111": ("stable-diffusion-webui", "automatic1111"),
    "Forge": ("stable-diffusion-webui-forge", "forge", "webui_forge/webui"),
    "SD.Next": ("sdnext/models", "automatic/models"),
    "ComfyUI": ("ComfyUI/models", "ComfyUI_windows_portable/ComfyUI/models", "comfy/ComfyUI/models"),
    "InvokeAI": ("invokeai/models", "InvokeAI/models"),
    "Fooocus": ("Fooocus/models",),
    "SwarmUI": ("SwarmUI/Models",),
    "Stability Matrix": ("StabilityMatrix/Models", "StabilityMatrix/Data/Models"),
}
PLACES = ("", "Documents", "ai", "AI", "Apps", "apps", "git", "src", "code", "projects", "Downloads", "sd")
SEARCHED = 500  # folders that are looked into for weights
OFFERED = "folders-offered"  # a fact of the catalogue


def known_folders(home: Path, env: Mapping[str, str] = os.environ) -> Iterator[tuple[str, Path]]:
    """(program, folder) of what is there. home: the person's."""
    seen: set[Path] = set()
    for program, folder in _candidates(home, env):
        if folder.is_dir() and (real := folder.resolve()) not in seen and _has_models(folder):
            seen.add(real)
            yield program, folder


def _has_models(folder: Path) -> bool:
    """Whether there are weights in a folder or near: a program that is installed need not have any."""
    from invoke_shell.models.walk import SKIPPED  # only where there is such a folder

    for _, folders, files in islice(os.walk(folder), SEARCHED):
        folders[:] = [name for name in folders if not name.startswith(".") and name.lower() not in SKIPPED]
        if any(name.lower().endswith((*WEIGHTS, *PICKLES)) for name in files):
            return True
    return False


def _candidates(home: Path, env: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    if root := env.get("INVOKEAI_ROOT"):
        yield "InvokeAI", Path(root) / "models"
    for program, names in PROGRAMS.items():
        yield from ((program, home / place / name) for place in PLACES for name in names)
    cache = Path(env["HF_HOME"]) if env.get("HF_HOME") else home / ".cache" / "huggingface"
    yield "Hugging Face", Path(env["HF_HUB_CACHE"]) if env.get("HF_HUB_CACHE") else cache / "hub"


def offer(catalogue: Catalogue, home: Path | None = None, env: Mapping[str, str] = os.environ) -> str:
    """What was found and the one line that takes it in, said once in a home's life; "" when there is nothing to say."""
    there = catalogue.path is None or catalogue.path.exists()  # a home that needs no catalogue yet gets none
    if there and catalogue.fact(OFFERED):
        return ""
    found = list(known_folders(home or Path.home(), env))
    if not found:
        return ""
    catalogue.fact(OFFERED, "said")
    programs = " and ".join(dict.fromkeys(program for program, _ in found))
    folders = " ".join(_typed(folder, home or Path.home()) for _, folder in found)
    return f"found models of {programs}; to use them where they lie:\n  models scan {folders}"


def _typed(folder: Path, home: Path) -> str:
    """As it would be typed, with ~ where that needs no quotes."""
    text = str(folder)
    if folder.is_relative_to(home) and shown(text) == text:
        return "~/" + folder.relative_to(home).as_posix()
    return shown(text)
