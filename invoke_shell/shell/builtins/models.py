"""Models: what is here."""

from __future__ import annotations

from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.node import node
from invoke_shell.shell.session import Session

__all__ = ["models"]


@node(builtin=True, group="shell", examples=["models"])
def models(shell: Session) -> None:
    """List the models that are here."""
    rows = [(m.name, kind, m.base, m.path) for kind in ("checkpoint", "upscaler") for m in shell.catalogue.all(kind)]
    for name, kind, base, path in rows:
        record = {"event": "model", "name": name, "kind": kind, "base": base, "path": path}
        shell.view.text(f"{name:<24} {kind:<11} {base:<6} {visible(path)}", record)
