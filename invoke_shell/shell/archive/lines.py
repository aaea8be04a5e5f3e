"""The lines that were typed, kept in a file: by every shell of this home, and past any way a shell may end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from prompt_toolkit.history import History

__all__ = ["LineHistory"]

READ = 1 << 20  # bytes of the file's end that a shell reads: some ten thousand lines


class LineHistory(History):
    """prompt_toolkit's own file format: a `# time` line, then each line of the entry after a `+`.

    Tried: its FileHistory, which reads the whole file at every start and leaves it readable to everybody.
    path: set before the first line is read; None keeps nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        super().__init__()

    @property
    def bytes(self) -> int:
        """How long the file is."""
        try:
            return self.path.stat().st_size if self.path is not None else 0
        except OSError:
            return 0

    def load_history_strings(self) -> Iterable[str]:
        """The newest first, as many as READ bytes hold: the first prompt waits for them."""
        return self.entries(READ)

    def entries(self, at_most: int = 1 << 30) -> Iterator[str]:
        """The newest first, of so many bytes at the file's end."""
        if self.path is None:
            return iter(())
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - at_most))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return iter(())
        if size > at_most:
            text = text.partition("\n\n")[2]  # the first entry is cut off
        return reversed(_entries(text))

    def store_string(self, string: str) -> None:
        """In one write, which two shells cannot mix; a folder that cannot be written to keeps nothing."""
        if self.path is None:
            return
        entry = "".join(f"+{line}\n" for line in string.split("\n"))
        data = f"\n# {time.strftime('%Y-%m-%d %H:%M:%S')}\n{entry}".encode(errors="replace")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            return
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


def _entries(text: str) -> list[str]:
    """Entries in the order they were typed, an entry that repeats the one before left out."""
    found: list[str] = []
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.startswith("+"):
            lines.append(line[1:])
        elif lines:
            entry = "\n".join(lines)
            lines = []
            if not found or found[-1] != entry:
                found.append(entry)
    return found
