"""`models`: what there is, what it is, and how it gets here. The work is done in model_work.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from invoke_shell.errors import RunError
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.session import Session

__all__ = ["ACTIONS", "models"]

Action = Literal["list", "show", "add", "remove", "rename", "verify", "scan", "convert"]
Kind = Literal["checkpoint", "vae", "lora", "embedding", "controlnet", "ip_adapter", "upscaler", "text_encoder", "face"]
Models = Annotated[list[str], Arg(help="Models by name, key, hash or path; kinds for list, folders for scan.")]
Hashes = Annotated[list[str], Arg(help="More hashes for show: sha512, shake_128:32 ...")]

# What each action does, for menus
ACTIONS = {
    "list": "all models, or those of some kinds",
    "show": "all that is known of one, with trigger words and hashes",
    "add": "a file, a folder, or hf:owner/name",
    "remove": "out of the catalogue; its file stays",
    "rename": "another name: models rename OLD NEW",
    "verify": "read again: is it still what it was?",
    "scan": "take in the folders of other programs",
    "convert": "a pickle (.ckpt, .pt) to safetensors",
}
WRITES = ("add", "remove", "rename", "scan", "convert")  # what a command file may only with --trust


@node(
    builtin=True,
    group="shell",
    examples=["models", "models list lora", "models show pocket", "models verify"],
)
def models(
    shell: Session,
    action: Annotated[Action, Arg(help="list, show, add, remove, rename, verify, scan or convert.")] = "list",
    what: Models = (),  # type: ignore[assignment]  # always a list
    *,
    kind: Annotated[Kind | None, Arg(help="The kind that is meant; for add what it is, when nobody can tell.")] = None,
    name: Annotated[str | None, Arg(help="The name that what is added gets.")] = None,
    output: Annotated[Path | None, Arg(help="File or folder that convert writes.", short="o")] = None,
    hash: Hashes = (),  # type: ignore[assignment]  # always a list
) -> None:
    """List models; show, add, remove, rename, verify, scan them.

    A model is named by its name, its key, a path, or 6 digits or more of a hash. Adding takes a file, a folder or
    hf:owner/name, and leaves it where it is; removing leaves it there too. scan takes in the folders of other
    programs, and without a folder looks through those of before. convert makes a safetensors file of a pickle.
    """
    if action in WRITES and not shell.trusted:
        raise RunError(f"models {action} changes the catalogue, which a file may only with --trust", code="not-trusted")
    from invoke_shell.shell.model_work import Work

    work = Work(shell, kind or "", name or "", output, hash)
    getattr(work, f"do_{action}")(what)
