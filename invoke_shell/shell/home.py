"""Where a person's things rest: data, settings, cache, logs, pictures. One folder with --home, else the platform's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Home", "short"]

NAME = "invoke-shell"
VARIABLE = "INVOKE_SHELL_HOME"


@dataclass(frozen=True, kw_only=True)
class Home:
    """data: sessions.db, resources, models, trash. config: config.yaml. pictures: None until asked of the platform."""

    data: Path
    config: Path
    cache: Path
    own: bool = False

    @classmethod
    def find(cls, argument: str | None = None) -> Home:
        """The folder given, or named by INVOKE_SHELL_HOME, or the platform's folders."""
        given = argument or os.environ.get(VARIABLE)
        if given:
            folder = Path(given).expanduser().resolve()
            return cls(data=folder, config=folder, cache=folder / "cache", own=True)
        from platformdirs import PlatformDirs  # 21 ms; --home and the variable do without

        dirs = PlatformDirs(NAME, appauthor=False)
        return cls(data=dirs.user_data_path, config=dirs.user_config_path, cache=dirs.user_cache_path)

    @property
    def config_file(self) -> Path:
        return self.config / "config.yaml"

    @property
    def history_file(self) -> Path:
        return self.data / "history"

    @property
    def resources(self) -> Path:
        """Bare pixels of the source pictures that results were made from, by hash."""
        return self.data / "resources"

    @property
    def wildcards(self) -> Path:
        """Lists of words for prompts, a file each."""
        return self.data / "wildcards"

    @property
    def nodes(self) -> Path:
        """Nodes of one's own, a file each or several in one."""
        return self.data / "nodes"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def log_file(self) -> Path:
        return self.data / "logs" / "invoke-shell.log"


def short(path: Path) -> str:
    """A path with the person's own folder as ~, to be read."""
    try:
        return str("~" / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # it lies elsewhere, or nobody's folder is known
        return str(path)
