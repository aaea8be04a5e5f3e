"""Wildcards: `__name__` in a prompt is every line of NAME.txt in the home's folder `wildcards`.

Lines may hold `{a|b}` and other wildcards. Blank lines and those that begin with # are left out; so is a line's twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from invoke_shell.errors import BlockedError, nearest
from invoke_shell.pipeline.sweep import LIMIT
from invoke_shell.pipeline.tags import TAG_BEGIN
from invoke_shell.pipeline.templates import wildcards_of

__all__ = ["Wildcards"]

BIGGEST = 4_000_000  # bytes of a file; more is no list of words


@dataclass(frozen=True)
class Wildcards:
    """The lists in one folder, its subfolders too: `__animals/birds__`."""

    folder: Path

    def names(self) -> list[str]:
        """All there are, in order."""
        found = self.folder.rglob("*.txt") if self.folder.is_dir() else ()
        return sorted(path.relative_to(self.folder).with_suffix("").as_posix() for path in found)

    def with_inner(self, name: str) -> Mapping[str, tuple[str, ...]]:
        """The lines of a wildcard and of those its lines name. Raises BlockedError."""
        found: dict[str, tuple[str, ...]] = {}
        waiting = [name]
        while waiting:
            wanted = waiting.pop()
            if wanted not in found:
                found[wanted] = self.lines(wanted)
                waiting += [inner for line in found[wanted] for inner in wildcards_of(line)]
        return found

    def lines(self, name: str) -> tuple[str, ...]:
        """The lines of one, each once. Raises BlockedError."""
        path = self.folder / f"{name}.txt"
        try:
            if ".." in name.split("/") or not path.is_file():
                raise self._unknown(name)
            if path.stat().st_size > BIGGEST:
                raise BlockedError(f"the wildcard {name} is larger than {BIGGEST // 1_000_000} MB", code="bad-value")
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise BlockedError(f"the wildcard {name} cannot be read: it is no text in UTF-8", hint=str(path),
                               code="missing-file") from error  # fmt: skip
        rows = tuple(dict.fromkeys(r for line in text.splitlines() if (r := line.strip()) and not r.startswith("#")))
        if not rows:
            raise BlockedError(f"the wildcard {name} has no lines", hint=str(path), code="bad-value")
        if any(TAG_BEGIN.search(row) for row in rows):
            hint = "write it on the line itself, or as --lora NAME:0.8"
            raise BlockedError(f"the wildcard {name} names a LoRA or an embedding", hint=hint, code="bad-prompt")
        return rows

    def _unknown(self, name: str) -> BlockedError:
        near = nearest(name, self.names()[:LIMIT])
        hint = f"did you mean __{near}__?" if near else f"its lines belong into {self.folder / name}.txt"
        message = f"there is no wildcard {name}"
        return BlockedError(message, hint=f"{hint}\n  in '...' it is text", code="missing-file")
