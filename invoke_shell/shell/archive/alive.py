"""Signs of life: which processes of this home still run, so that nobody cleans up after a living one.

Each holds a lock on a file of its own; the system lets it go when the process ends, however it ends. Not process ids:
they are given again, and mean nothing on a folder that two machines share.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from invoke_shell.shell import posix

__all__ = ["Signs"]


class Signs:
    """The signs of one home, and the own one. owner: the name this process goes by."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owner = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._held: int | None = None

    def appear(self) -> None:
        """Show that this process lives. Where locks do not work nobody is ever taken for dead."""
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = posix.hold(self.folder / self.owner)

    def vanish(self) -> None:
        """Take the own sign away."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
            self._remove(self.owner)

    def is_dead(self, owner: str) -> bool:
        """True when no process goes by this name any more."""
        return owner != self.owner and not posix.is_held(self.folder / owner)

    def clean(self) -> None:
        """Remove the signs of the dead."""
        for path in self.folder.glob("*"):
            if self.is_dead(path.name):
                self._remove(path.name)

    def _remove(self, owner: str) -> None:
        with suppress(OSError):
            (self.folder / owner).unlink()
