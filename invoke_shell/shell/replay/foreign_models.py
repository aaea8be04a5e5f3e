"""The models that another program's picture names, found in this home: by their hash, else by their name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from invoke_shell.errors import BlockedError
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Lora, Model
from invoke_shell.metadata.visible import visible
from invoke_shell.models.words import unread

if TYPE_CHECKING:
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.models.entry import Entry
    from invoke_shell.records import ModelRecord

__all__ = ["Asked", "named_here"]

Step = TypeVar("Step", Draw, Foreign)


class Asked:
    """A catalogue that is asked each thing once: a command may look at thousands of pictures of a few models."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._entries: dict[str, list[Entry]] = {}
        self._hashed: dict[tuple[str, str], ModelRecord | None] = {}

    def entries(self, kind: str) -> list[Entry]:
        """As Catalogue.entries."""
        if kind not in self._entries:
            self._entries[kind] = self.catalogue.entries(kind)
        return self._entries[kind]

    def by_hash(self, digits: str, kind: str) -> ModelRecord | None:
        """The one model of a hash as far as hashes are known; None when there is none, or more than one."""
        if (digits, kind) not in self._hashed:
            try:
                self._hashed[digits, kind] = self.catalogue.by_hash(digits, kind, read=0)
            except BlockedError:
                self._hashed[digits, kind] = None
        return self._hashed[digits, kind]


def named_here(found: Foreign, catalogue: Asked) -> Foreign:
    """The picture with its models as they are called here; what was found otherwise than by its hash is in `guessed`.

    A model that is not here keeps its name. No file is read for it: hashes count as far as they are known.
    """
    namer = _Namer(catalogue)
    made = namer.drawn(found)
    made = replace(
        made,
        loras=tuple(namer.lora(lora) for lora in found.loras),
        embeddings=tuple(namer.name("embedding", name) for name in found.embeddings),
        vae=namer.name("vae", found.vae),
        before=tuple(namer.enlarged(step) for step in found.before),
        then=tuple(namer.enlarged(s) if isinstance(s, Enlarge) else namer.drawn(s) for s in found.then),
    )
    return replace(made, guessed=(*made.guessed, *namer.guessed), missing=(*made.missing, *namer.missing))


class _Namer:
    def __init__(self, catalogue: Asked) -> None:
        self.catalogue = catalogue
        self.guessed: dict[str, None] = {}
        self.missing: dict[str, None] = {}

    def drawn(self, step: Step) -> Step:
        model = step.model
        return replace(step, model=self.model(model)) if model is not None else step

    def enlarged(self, step: Enlarge) -> Enlarge:
        return replace(step, upscaler=self.name("upscaler", step.upscaler))

    def model(self, model: Model) -> Model:
        return replace(model, name=self.name("checkpoint", model.name, model.hashes))

    def lora(self, lora: Lora) -> Lora:
        return replace(lora, name=self.name("lora", lora.name, {"autov3": lora.hash} if lora.hash else {}))

    def name(self, kind: str, name: str, hashes: Mapping[str, str] = {}) -> str:  # never written to
        """What it is called here; the name itself when it is not here."""
        for digits in hashes.values():
            if found := self.hashed(kind, digits):
                return found
        alike = self.alike(kind, name) if name else ""
        said = next((f"{algorithm} {digits}" for algorithm, digits in hashes.items()), "")
        if alike and said and self.is_read(kind, alike):
            self.guessed[f"{alike} here is another file than the picture's, which had {visible(said)}"] = None
        elif not alike and said and (sentence := unread(self.catalogue.entries(kind))):
            self.missing[sentence] = None
        return alike or name

    def hashed(self, kind: str, digits: str) -> str:
        """The model with a hash, as a line names it; "" when there is none, or more than one."""
        found = self.catalogue.by_hash(digits, kind)
        return found.text if found is not None else ""

    def alike(self, kind: str, name: str) -> str:
        """The model of this name: as it is, or as it is written here."""
        from invoke_shell.models.entry import clean_name

        here = [e.name for e in self.catalogue.entries(kind)]
        wanted = clean_name(name).casefold()
        return name if name in here else next((n for n in here if n.casefold() == wanted), "")

    def is_read(self, kind: str, name: str) -> bool:
        return any(e.hash for e in self.catalogue.entries(kind) if e.name == name)
