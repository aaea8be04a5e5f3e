"""The models that another program's picture names, found in this home: by their hash, else by their name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import BlockedError
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Guide, Lora, Model
from invoke_shell.metadata.visible import visible
from invoke_shell.models.words import unread

if TYPE_CHECKING:
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.models.entry import Entry
    from invoke_shell.records import ModelRecord

__all__ = ["Asked", "named_here"]


class Asked:
    """A catalogue that is asked each thing once: a command may look at thousands of pictures of a few models."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._entries: dict[str, list[Entry]] = {}
        self._texts: dict[str, frozenset[str]] = {}
        self._alike: dict[tuple[str, str], str] = {}
        self._unread: dict[str, str] = {}
        self._hashed: dict[tuple[str, str], ModelRecord | None] = {}

    def entries(self, kind: str) -> list[Entry]:
        """As Catalogue.entries."""
        if kind not in self._entries:
            self._entries[kind] = self.catalogue.entries(kind)
        return self._entries[kind]

    def texts(self, kind: str) -> frozenset[str]:
        """What a line may call the models of a kind."""
        if kind not in self._texts:
            entries = self.entries(kind)
            self._texts[kind] = frozenset(text for entry in entries for text in (entry.name, entry.record.text))
        return self._texts[kind]

    def unread(self, kind: str) -> str:
        """The sentence on models of a kind whose hashes are not known; "" when all are."""
        if kind not in self._unread:
            self._unread[kind] = unread(self.entries(kind))
        return self._unread[kind]

    def alike(self, kind: str, name: str) -> str:
        """The model of this name: as it is, or as it is written here; "" when there is none."""
        if (kind, name) not in self._alike:
            self._alike[kind, name] = self._find_alike(kind, name)
        return self._alike[kind, name]

    def _find_alike(self, kind: str, name: str) -> str:
        from invoke_shell.models.entry import clean_name

        here = [e.name for e in self.entries(kind)]
        wanted = clean_name(name).casefold()
        return name if name in here else next((n for n in here if n.casefold() == wanted), "")

    def by_hash(self, text: str, kind: str) -> ModelRecord | None:
        """The one model of a hash as far as hashes are known; None when there is none, or more than one."""
        if (text, kind) not in self._hashed:
            try:
                self._hashed[text, kind] = self.catalogue.by_hash(text, kind, read=0)
            except BlockedError:
                self._hashed[text, kind] = None
        return self._hashed[text, kind]


def named_here(found: Foreign, catalogue: Asked) -> Foreign:
    """The picture with its models as they are called here; what was found otherwise than by its hash is in `guessed`.

    A model that is not here keeps its name; a ControlNet or IP-Adapter is left out, and said. No file is read for it:
    hashes count as far as they are known.
    """
    namer = _Namer(catalogue)
    called: dict[str, Any] = {
        "model": found.model and namer.model(found.model),
        "loras": tuple(namer.lora(lora) for lora in found.loras),
        "embeddings": tuple(namer.name("embedding", name) for name in found.embeddings),
        "guides": tuple(filter(None, map(namer.guide, found.guides))),
        "vae": namer.name("vae", found.vae),
        "before": tuple(namer.enlarged(step) for step in found.before),
        "then": tuple(namer.enlarged(s) if isinstance(s, Enlarge) else namer.drawn(s) for s in found.then),
    }
    said = {"guessed": (*found.guessed, *namer.guessed), "missing": (*found.missing, *namer.missing)}
    other = {name: value for name, value in {**called, **said}.items() if value != getattr(found, name)}
    return replace(found, **other) if other else found


class _Namer:
    def __init__(self, catalogue: Asked) -> None:
        self.catalogue = catalogue
        self.guessed: dict[str, None] = {}
        self.missing: dict[str, None] = {}

    def drawn(self, step: Draw) -> Draw:
        model = step.model
        return replace(step, model=self.model(model)) if model is not None else step

    def enlarged(self, step: Enlarge) -> Enlarge:
        return replace(step, upscaler=self.name("upscaler", step.upscaler)) if step.upscaler else step

    def model(self, model: Model) -> Model:
        return replace(model, name=self.name("checkpoint", model.name, model.hashes))

    def guide(self, guide: Guide) -> Guide | None:
        if called := self.catalogue.alike(guide.kind, guide.model):
            return replace(guide, model=called)
        self.missing[visible(f"not carried: {guide}, which is not here")] = None
        return None

    def lora(self, lora: Lora) -> Lora:
        return replace(lora, name=self.name("lora", lora.name, {"autov3": lora.hash} if lora.hash else {}))

    def name(self, kind: str, name: str, hashes: Mapping[str, str] = {}) -> str:  # never written to
        """What it is called here; the name itself when it is not here."""
        for algorithm, digits in hashes.items():
            if found := self.hashed(kind, f"{algorithm}:{digits}"):
                return found
        alike = self.catalogue.alike(kind, name) if name else ""
        said = next((f"{algorithm} {digits}" for algorithm, digits in hashes.items()), "")
        if alike and said and self.is_read(kind, alike):
            self.guessed[f"{alike} here is another file than the picture's, which had {visible(said)}"] = None
        elif not alike and said and (sentence := self.catalogue.unread(kind)):
            self.missing[sentence] = None
        return alike or name

    def hashed(self, kind: str, text: str) -> str:
        """The model with a hash, `sha256:DIGITS`, as a line names it; "" when there is none, or more than one."""
        found = self.catalogue.by_hash(text, kind)
        return found.text if found is not None else ""

    def is_read(self, kind: str, name: str) -> bool:
        return any(e.hash for e in self.catalogue.entries(kind) if e.name == name)
