"""Commands of the shell itself, declared like nodes: one module a family, this table of them. They run here.

The same signatures give the outer command line its subcommands, so `invoke-shell info a.png` and `info a.png` are one.
Modules are imported before the first key is read: what a command needs for its work is imported inside it.
"""

from __future__ import annotations

from invoke_shell.pipeline.registry import Registry
from invoke_shell.shell.builtins import files, help, lines, looking, models, results, scripts, sessions, settings

__all__ = ["MODULES", "registry"]

MODULES = (help, settings, models, lines, results, looking, sessions, scripts, files)


def registry() -> Registry:
    """The shell's own commands alone."""
    return Registry.of(*MODULES)
