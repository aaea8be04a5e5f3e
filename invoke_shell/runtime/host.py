"""What a run finds in the process it runs in: the engine, made when first asked for, and the reading of sources."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from invoke_shell.collector import collector_paused
from invoke_shell.errors import BlockedError
from invoke_shell.metadata.decode import read_image, to_mask
from invoke_shell.pipeline.plan import InputRef
from invoke_shell.records import Image, Mask, ModelRecord
from invoke_shell.runtime.fake import FakeEngine
from invoke_shell.runtime.policy import SILENT, Setup, Watcher

__all__ = ["LocalHost"]


class LocalHost:
    """Implements pipeline.run.Host for the process it is made in."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._engine: Any = None

    def engine(self, watcher: Watcher) -> Any:
        """The engine, telling `watcher`. Raises RunError when the device asked for is not there."""
        if self._engine is None:
            self._engine = self._made()
        return self._engine.watch(watcher)

    def _made(self) -> Any:
        if self._setup.engine == "fake":
            return FakeEngine.from_environment(self._setup.policy)
        # Read when torch is imported: threads that wait sleep. Spinning, OpenMP's default, makes a picture take five
        # times as long when another program has one of the cores (5.8 s to 1.2 s); bits are the same.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        with collector_paused(for_good=True):
            from invoke_shell.runtime.engine import DiffusersEngine  # torch: 1.1 s

        return DiffusersEngine(self._setup.policy)

    def warm(self, model: ModelRecord | None) -> None:
        """Import and load what the next line will need."""
        self.engine(SILENT).warm(model)

    def memory(self) -> tuple[int, int] | None:
        """Bytes of the GPU that are free, and that it has; None without one, and before an engine is needed."""
        found: tuple[int, int] | None = self._engine.memory() if self._engine is not None else None
        return found

    def environment(self, *, models: bool) -> Mapping[str, Any]:
        """What decides over pixels besides the values: of Pillow's nodes; with models, of the engine too."""
        return {**_basics(), **(self.engine(SILENT).environment() if models else {})}

    @property
    def device(self) -> str:
        """`cpu`, `cuda:0`, `mps`."""
        return str(self.engine(SILENT).environment()["device"])

    def read(self, ref: InputRef) -> Image:
        """The pixels of a source. Raises BlockedError when the file is gone or no longer holds them."""
        image, _ = read_image(Path(ref.path))
        if image.hash != ref.hash:
            raise BlockedError(f"{ref.name or ref.path} changed after the line was read", code="missing-input")
        return image

    def to_mask(self, image: Image) -> Mask:
        """255 where to repaint."""
        return to_mask(image)


@cache
def _basics() -> dict[str, Any]:
    from PIL import __version__ as pillow

    return {"pillow": pillow, "machine": platform.machine(), "system": platform.system()}
