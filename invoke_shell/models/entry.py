"""A row of the catalogue: what a model is, where it lies, and what is known of its content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from invoke_shell.models.finding import Finding
from invoke_shell.records import ModelRecord

__all__ = ["Entry", "Origin", "clean_name", "is_generic", "name_of", "short_hashes"]

Origin = Literal["box", "home", "added", "scanned"]

# What would be read as something else in a line: handles, lists, weights, paths, quotes; and what cannot be printed.
UNFIT = r"[\s@/\\:,|;\"'{}<>]+"
LONGEST = 100  # characters
WEIGHED = ("checkpoint", "vae")  # kinds that come in several layouts
# Stems that say nothing: the folder's name does. And names that are a commit, or InvokeAI's key.
GENERIC = (
    r"(diffusion_pytorch_model|model|pytorch_model|pytorch_lora_weights|adapter_model|learned_embeds)"
    r"(\.\w+|-\d+-of-\d+)?"
)
REVISION = r"[0-9a-f]{40}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """key: random, never reused; what a person may rely on when names change. "" for what is in the box.

    stamp: of the file when it was looked at (files.stamp). source: `hf:owner/name@revision`, or "". hash: `blake3:` or
    `blake3-tree:`, "" while not known. hashes: whole hex digits by algorithm. original: of the file that this one was
    converted from: name, blake3, sha256. weights: identity of the weights by part. added, verified: seconds since 1970,
    0 for never.
    """

    name: str
    path: Path
    finding: Finding
    stamp: str
    origin: Origin
    key: str = ""
    source: str = ""
    hash: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    original: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    added: float = 0.0
    verified: float = 0.0

    @property
    def kind(self) -> str:
        return self.finding.kind

    @property
    def unweighed(self) -> bool:
        """Whether the identity of its weights can be computed and is not known."""
        return self.kind in WEIGHED and self.finding.format != "gguf" and not self.weights

    @property
    def record(self) -> ModelRecord:
        """What travels with a line."""
        found = self.finding
        return ModelRecord(
            name=self.name,
            kind=found.kind,
            base=found.base,
            format=found.format,
            path=str(self.path),
            hash=self.hash,
            bytes=found.bytes,
            license=found.told.get("license", ""),
            hashes={**short_hashes(self.hashes), **_weights(self.weights, found.kind)},
            advice=dict(found.advice),
            stamp=self.stamp,
        )

    @property
    def note(self) -> str:
        """What stands beside its name in a menu: family, variant, trigger words."""
        found = self.finding
        return "  ".join(part for part in (found.base, found.variant, ", ".join(found.words)) if part)

    def is_now(self, digits: str) -> bool:
        """Whether a hash of its content begins so."""
        return any(d.startswith(digits) for d in (self.hash.rpartition(":")[2], *self.hashes.values()))

    def is_or_was(self, digits: str) -> bool:
        """Whether a hash of its content, or of what it was converted from, begins so."""
        before = (hexdigits for name, hexdigits in self.original.items() if name != "name")
        return self.is_now(digits) or any(d.startswith(digits) for d in before)


def short_hashes(hashes: Mapping[str, str]) -> dict[str, str]:
    """The hashes that other programs speak of, each as long as they write it."""
    parts = (("sha256", "sha256", 64), ("autov1", "autov1", 8), ("autov2", "sha256", 10), ("autov3", "autov3", 12))
    return {name: hashes[source][:length] for name, source, length in parts if source in hashes}


def _weights(weights: Mapping[str, str], kind: str) -> dict[str, str]:
    """What of the weights' identity travels with a record: that of the part that draws, or of the only one."""
    part = "denoiser" if kind == "checkpoint" else kind
    names = (("weights", f"{part}.exact"), ("weights-half", f"{part}.half"))
    return {name: weights[source].removeprefix("weights:") for name, source in names if source in weights}


def clean_name(text: str) -> str:
    """A name that can be typed without quotes and is read as nothing else; never empty."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(UNFIT, "-", shown).strip("-.# ")[:LONGEST] or "model"


def is_generic(stem: str) -> bool:
    """Whether many models' files are called so."""
    return re.fullmatch(GENERIC, stem) is not None


def name_of(path: Path, source: str = "") -> str:
    """What people would call it: the stem, or where that says nothing the folder's name or the repository's."""
    stem = path.name if path.is_dir() else path.stem
    if not is_generic(stem) and not re.fullmatch(REVISION, stem):
        return stem
    if source:
        return source.removeprefix("hf:").partition("@")[0].rpartition("/")[2]
    above = path.parent
    nameless = re.fullmatch(REVISION, above.name) and above.parent.name != "models"
    return above.parent.name if nameless else above.name
