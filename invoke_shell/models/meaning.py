"""Which model a word means: a name, `name@9f21c0`, a path, a key, or 6 and more digits of a hash.

The hash decides, the name is for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError
from invoke_shell.models.files import shown

if TYPE_CHECKING:
    from invoke_shell.models.contents import Contents
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.shelf import Shelf

__all__ = ["Meaning"]

AT_ONCE = 1_000_000_000  # bytes that are hashed, unasked, to find a model by its hash
DIGITS = "0123456789abcdef"
PARTED = ("components", "checkpoint")  # kinds of folders with text encoders and a VAE in them
ENOUGH = 6  # hex digits that a hash may be shortened to


class Meaning:
    """Raises BlockedError for a word that means no model, another kind of one, or several."""

    def __init__(self, shelf: Shelf, contents: Contents) -> None:
        self.shelf = shelf
        self.contents = contents

    def any_kind(self, text: str) -> Entry:
        """The model of any kind."""
        if _is_path(text):
            return self.of_kind(text, "")
        name = text.partition("@")[0]
        found = {e.kind: e for e in self.shelf.entries() if text and (text in (e.name, e.key) or e.name == name)}
        if len(found) > 1:
            hint = f"say which with --kind {' or --kind '.join(found)}"
            raise BlockedError(f"{len(found)} models are called {shown(text)}", hint=hint, code="unknown-model")
        return next(iter(found.values()), None) or self.of_kind(text, "")

    def of_kind(self, text: str, kind: str) -> Entry:
        """The model of a kind; "" for any."""
        if kind == "components":
            return self._components(text)
        if _is_path(text):
            return self.at(text, kind)
        name, at, digits = text.partition("@")
        boxed = self.shelf.in_box(name)
        if boxed is not None and kind in ("", boxed.kind):  # without opening the file: most lines need no other
            return self._exactly(boxed, digits, kind) if at else boxed
        entries = self.shelf.entries(kind)
        named = next((e for e in entries if e.name == name or (e.key and e.key == text)), None)
        if named is not None and at:
            return self._exactly(named, digits, kind)
        if entry := named or self.by_hash(digits if at else text, kind):
            return entry
        from invoke_shell.models.words import mistaken, unknown

        other = next((e for e in self.shelf.entries() if e.name == name), None) if kind else None
        raise mistaken(other, kind) if other else unknown(text, kind, entries)

    def at(self, text: str, kind: str) -> Entry:
        """The model at a path, in the catalogue or not."""
        from invoke_shell.models.words import mistaken

        path = Path(text).expanduser().absolute()
        entry = self.shelf.at(path)
        if kind and entry.kind != kind:
            raise mistaken(entry, kind, path)
        return entry

    def by_hash(self, text: str, kind: str, read: int | None = None) -> Entry | None:
        """The model whose hash digits begin so, of several with one content the first; None when there is none.

        read: bytes that may be read of models whose hash is not known, of all together; None for AT_ONCE.
        Raises BlockedError when several contents begin so.
        """
        scheme, _, digits = text.lower().rpartition(":")
        if len(digits) < ENOUGH or not all(c in DIGITS for c in digits):
            return None
        of_scheme = [e for e in self.shelf.entries(kind) if _is_of(e, scheme)]
        entries = [self._read_box(e) if e.origin == "box" else e for e in of_scheme]
        silent = [e for e in entries if not e.hash]
        found = self._beginning(entries, digits)
        if not found and sum(e.finding.bytes for e in silent) <= (AT_ONCE if read is None else read):
            found = self._beginning([self._read(e) for e in silent], digits)
        found = [e for e in found if e.is_now(digits)] or found  # before what was converted from it
        if len({e.hash for e in found}) > 1:
            names = ", ".join(e.record.text for e in found)
            raise BlockedError(f"several models' hashes begin with {digits}: {names}", code="unknown-model")
        return found[0] if found else None

    def _exactly(self, named: Entry, digits: str, kind: str) -> Entry:
        """What `name@digits` means. Raises BlockedError when the one of that name is another."""
        named = self.contents.hash(named)
        found = named if named.is_or_was(digits.lower()) else self.by_hash(digits, kind)
        if found is None:
            from invoke_shell.models.words import another

            raise another(named, digits)
        return found

    def _beginning(self, entries: Sequence[Entry], digits: str) -> list[Entry]:
        """Those with a hash that begins so and that are still what they were."""
        found = [e for e in entries if e.is_or_was(digits)]
        return [e for e in found if e.path.exists() and self.contents.fresh(e).hash]

    def _read(self, entry: Entry) -> Entry:
        """With its hash; a model that cannot be read goes without."""
        try:
            return self.contents.hash(entry)
        except BlockedError:
            return entry

    def _read_box(self, entry: Entry) -> Entry:
        """With its hash, looked for once: what comes with the program does not change while it runs."""
        known = self.shelf.in_box(entry.path.name)
        return known if known is not None and known.hash else self.shelf.boxed(self.contents.hash(entry))

    def _components(self, text: str) -> Entry:
        """A folder with text encoders and a VAE, by name or path: of loose files, or a diffusers folder."""
        from invoke_shell.models.words import mistaken, unknown

        if _is_path(text):
            found = self.at(text, "")
            if found.kind not in PARTED or found.finding.format != "folder":
                raise mistaken(found, "components", found.path)
            return found
        entries = [e for kind in PARTED for e in self.shelf.entries(kind) if e.finding.format == "folder"]
        name, _, digits = text.partition("@")
        for entry in (e for e in entries if e.name == name):
            if not digits or self.contents.hash(entry).hash.rpartition(":")[2].startswith(digits):
                return entry
        raise unknown(text, "components", entries)


def _is_path(text: str) -> bool:
    """Whether a word is a path and no name: it has a separator, or begins as paths do."""
    return "/" in text or "\\" in text or text.startswith((".", "~"))


def _is_of(entry: Entry, scheme: str) -> bool:
    """Whether a model may have a hash of a scheme: trees are folders, all else are files."""
    return not scheme or (scheme == "blake3-tree") == (entry.finding.format == "folder")
