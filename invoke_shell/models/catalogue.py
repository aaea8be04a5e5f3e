"""Which models there are and how they are named: the ones in the box, the folders of the person's, and any path.

Nothing is loaded here. A model is found by name, by path, or by its hash; the hash decides, the name is for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from invoke_shell.errors import BlockedError, nearest
from invoke_shell.models.hashing import Digests, tree_hash
from invoke_shell.records import ModelRecord

__all__ = ["ASSETS", "Catalogue"]

ASSETS = Path(__file__).resolve().parent.parent / "assets"
PIPELINES = {
    "StableDiffusionPipeline": "sd1",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusion3Pipeline": "sd3",
    "FluxPipeline": "flux",
}


class Catalogue:
    """The models of one home. folders: where the person keeps models; each may hold `upscalers/` too."""

    def __init__(self, folders: Sequence[Path] = (), digests: Digests | None = None) -> None:
        self.folders = [ASSETS, *folders]
        self.digests = digests or Digests()

    def find(self, text: str, kind: str = "checkpoint") -> ModelRecord:
        """The model a word names: name, `name@9f21c0`, path, or 6 and more hash digits. Raises BlockedError."""
        name, at, digits = text.partition("@")
        if (path := self._path(text, kind)) is not None:
            return self._known(path, kind)
        if at and (found := self.by_hash(digits, kind)) is not None:
            return found
        for path in self._paths(kind):
            if _name(path) == name:
                return self._known(path, kind)
        if (found := self.by_hash(text, kind)) is not None:
            return found
        raise self._unknown(text, kind)

    def by_hash(self, text: str, kind: str = "checkpoint") -> ModelRecord | None:
        """The model with this hash, or whose hash digits begin so (6 or more); None when there is none."""
        _, _, digits = text.rpartition(":")
        if len(digits) < 6 or not all(c in "0123456789abcdef" for c in digits):
            return None
        for path in self._paths(kind):
            record = self._known(path, kind)
            if record.hash.rpartition(":")[2].startswith(digits):
                return record
        return None

    def all(self, kind: str = "checkpoint") -> Iterator[ModelRecord]:
        """Every model of a kind, without hashes."""
        for path in self._paths(kind):
            yield _record(path, kind)

    def _paths(self, kind: str) -> Iterator[Path]:
        for folder in self.folders:
            if kind == "upscaler":
                yield from _listed(folder / "upscalers", lambda p: p.suffix == ".safetensors")
            else:
                yield from _listed(folder, lambda p: (p / "model_index.json").is_file())

    def _path(self, text: str, kind: str) -> Path | None:
        """A word that is a path: with a separator in it, and something there."""
        path = Path(text).expanduser()
        looks = "/" in text or "\\" in text or text.startswith((".", "~"))
        if not looks:
            return None
        if not path.exists():
            raise BlockedError(f"there is no model at {text}", code="unknown-model")
        fits = path.suffix == ".safetensors" if kind == "upscaler" else (path / "model_index.json").is_file()
        if not fits:
            wanted = (
                "a .safetensors file" if kind == "upscaler" else "a diffusers folder: model_index.json is not in it"
            )
            raise BlockedError(f"{text} is not {wanted}", code="bad-model")
        return path.resolve()

    def _known(self, path: Path, kind: str) -> ModelRecord:
        record = _record(path, kind)
        of_file = "" if path.is_dir() else "blake3:" + self.digests.of(path)["blake3"]
        digest = of_file or tree_hash(path, self.digests)
        self.digests.save()
        return replace(record, hash=digest)

    def _unknown(self, text: str, kind: str) -> BlockedError:
        names = [_name(p) for p in self._paths(kind)]
        near = nearest(text, names)
        word = "model" if kind == "checkpoint" else kind
        hint = f"did you mean {near}?" if near else f"there is: {', '.join(sorted(names))}" if names else ""
        return BlockedError(f"there is no {word} {text}", hint=hint, code="unknown-model")


def _listed(folder: Path, fits: Any) -> Iterable[Path]:
    try:
        return sorted(p for p in folder.iterdir() if fits(p))
    except OSError:
        return []  # a folder that is not there, or may not be read, has no models


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _record(path: Path, kind: str) -> ModelRecord:
    if path.is_file():
        return ModelRecord(name=path.stem, kind=kind, format="file", path=str(path), bytes=path.stat().st_size)
    return ModelRecord(
        name=path.name, kind=kind, base=_base(path), format="folder", path=str(path), advice=_advice(path)
    )


def _base(folder: Path) -> str:
    """The family, from the pipeline class and the width of the text embeddings."""
    name = str(_json(folder / "model_index.json").get("_class_name", ""))
    base = PIPELINES.get(name, name.removesuffix("Pipeline").lower())
    wide = _json(folder / "unet" / "config.json").get("cross_attention_dim") == 1024
    return "sd2" if base == "sd1" and wide else base


def _advice(folder: Path) -> dict[str, Any]:
    """Parameter defaults: what `advice.json` says, else the size the denoiser was made for."""
    if advice := _json(folder / "advice.json"):
        return advice
    sample = _json(folder / "unet" / "config.json").get("sample_size")
    levels = _json(folder / "vae" / "config.json").get("block_out_channels", [])
    if not isinstance(sample, int) or not isinstance(levels, list):
        return {}
    side = max(64, sample * 2 ** max(0, len(levels) - 1))
    return {"size": f"{side}x{side}"}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # probing: a missing or broken config says nothing, the loader will
    return found if isinstance(found, dict) else {}
