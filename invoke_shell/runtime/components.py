"""Text encoders, tokenizers and the VAE that go with a transformer in one file.

They are in the file itself, in a diffusers folder, or in a folder of loose files as artists have them (clip_l, clip_g,
t5xxl, ae), which are known by their content and may have any name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invoke_shell.errors import InvokeShellError
from invoke_shell.models.detectors import identify
from invoke_shell.models.header import read_header
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _diffusers, clip_words
from invoke_shell.runtime.sources import refused
from invoke_shell.runtime.transformer_file import TransformerFile

__all__ = ["Components", "Loose", "file_parts"]

# Part -> which encoder it is, and what it is for people
ENCODERS: Mapping[str, Mapping[str, str]] = {
    "sd3": {"text_encoder": "clip_l", "text_encoder_2": "clip_g", "text_encoder_3": "t5xxl"},
    "flux": {"text_encoder": "clip_l", "text_encoder_2": "t5xxl"},
}
OPTIONAL = {("sd3", "t5xxl")}  # Stable Diffusion 3 reads prompts with its two CLIPs alone, less well
INSIDE = {name: f"text_encoders.{name}.transformer." for name in ("clip_l", "clip_g", "t5xxl")}
INSIDE_VAE = "first_stage_model."
PLAIN_CLIP = "conditioner.embedders.0.transformer."  # where the library looks for a CLIP without a projection
T5_WORDS = ("tokenizer.json", "spiece.model")
Parts = dict[str, Any]


class Loose:
    """The parts in a folder of loose files, by content; of two of one kind the larger, which is the finer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, Path] = {}
        for path in sorted(folder.glob("*.safetensors"), key=lambda p: (p.stat().st_size, p.name)):
            if what := _what(path):
                self.files[what] = path

    @property
    def words(self) -> Path | None:
        """The folder with T5's tokenizer: this one, or one in it."""
        places = (self.folder, *sorted(p for p in self.folder.iterdir() if p.is_dir()))
        return next((p for p in places if any((p / name).is_file() for name in T5_WORDS)), None)


def _what(path: Path) -> str:
    """`clip_l`, `clip_g`, `t5xxl`, `vae` of 16 channels, or "" for all else."""
    try:
        found = identify(read_header(path), path)
    except InvokeShellError:
        return ""  # a file that broke off is missed where it is needed
    if found.kind == "vae" and "flux" in found.base.split("/"):
        return "vae"
    return found.variant if found.kind == "text_encoder" else ""


class Components:
    """Where the parts besides the transformer come from. folder: None when they are in the file, if anywhere."""

    def __init__(self, file: TransformerFile, folder: ModelRecord | None) -> None:
        self.file = file
        self.loose = Loose(Path(folder.path)) if folder else None
        self.where = f"the folder {folder.name}" if folder else "it"

    def weights(self, what: str) -> dict[str, Tensor] | None:
        """Tensors of a text encoder under the names they have in a whole file; None when it is nowhere."""
        prefix = INSIDE[what]
        if self.loose and (path := self.loose.files.get(what)):
            return {prefix + name: tensor for name, tensor in _diffusers.read_weights(str(path)).items()}
        return self.file.tensors(prefix) if self.file.has(prefix) else None

    def vae(self, dtype: torch.dtype) -> Any:
        path = self.loose.files.get("vae") if self.loose else None
        if path is None and not self.file.has(INSIDE_VAE):
            raise self.lacking("VAE")
        given = str(path) if path else self.file.tensors(INSIDE_VAE)
        return _diffusers.load_single_part("vae", given, str(self.file.configs), "vae", dtype)

    def t5_words(self) -> Any:
        """T5's tokenizer, which no weights file brings."""
        place = self.loose.words if self.loose else None
        if place is None:
            where = self.loose.folder if self.loose else "--components FOLDER"
            reason = f"T5's tokenizer is missing: put the tokenizer.json of t5-v1_1-xxl into {where}"
            raise refused(self.file.model, reason)
        return _diffusers.load_named("transformers", "T5Tokenizer", str(place), "")

    def lacking(self, what: str) -> Exception:
        """A part is nowhere."""
        if self.loose is None:
            reason = f"it holds no {what}: --components FOLDER says where its text encoders and its VAE are"
        else:
            reason = f"there is no {what} for it in {self.loose.folder}"
        return refused(self.file.model, reason)


def file_parts(file: TransformerFile, folder: ModelRecord | None, dtype: torch.dtype) -> Parts:
    """Text encoders, tokenizers and VAE, by their names in a diffusers folder. Raises RunError (bad-model)."""
    given = Components(file, folder)
    found = {name: (what, given.weights(what)) for name, what in ENCODERS[file.family.base].items()}
    for what, weights in found.values():
        if weights is None and (file.family.base, what) not in OPTIONAL:
            raise given.lacking(what)
    # Tokenizers first: an encoder is up to 10 GB, and its words may be missing.
    words = {_beside(name): _words(given, what) if weights else None for name, (what, weights) in found.items()}
    encoders = {name: _encoder(file, name, *pair, dtype) if pair[1] else None for name, pair in found.items()}
    return {**words, **encoders, "vae": given.vae(dtype)}


def _beside(encoder: str) -> str:
    return encoder.replace("text_encoder", "tokenizer")


def _encoder(file: TransformerFile, name: str, what: str, weights: Any, dtype: torch.dtype) -> Any:
    configs = str(file.configs)
    if what == "t5xxl":
        return _diffusers.load_single_t5(weights, configs, name, dtype)
    if file.family.base == "sd3":
        return _diffusers.load_single_text("text_projected", weights, configs, name, dtype)
    plain = {name.replace(INSIDE[what], PLAIN_CLIP): t for name, t in weights.items() if "text_projection" not in name}
    return _diffusers.load_single_text("text", plain, configs, name, dtype)


def _words(given: Components, what: str) -> Any:
    if what == "t5xxl":
        return given.t5_words()
    words, merges = clip_words.vocabulary()
    # As in single files of SDXL: OpenCLIP was trained with zeros behind a prompt's end.
    return _diffusers.make_tokenizer(words, merges, "!" if what == "clip_g" else clip_words.MARKS[1])
