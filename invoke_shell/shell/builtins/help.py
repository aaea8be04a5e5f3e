"""What there is, and how it is used: help, nodes, doctor; and the way out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from invoke_shell.errors import LineError
from invoke_shell.pipeline import derive
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.builtins.words import Word, fault
from invoke_shell.shell.session import Session

__all__ = ["LONG", "doctor", "exit_", "help_", "nodes"]

LONG = 60  # lines of help shown at once


@node(builtin=True, group="shell", name="help", examples=["help", "help txt2img", "help schedulers"])
def help_(shell: Session, word: Word = None) -> None:
    """Say what there is, or how one command is used."""
    if word is None:
        shell.view.text(
            "\n".join([*derive.overview(shell.registry), "", "help NAME tells more; explain LINE runs nothing"])
        )
    elif word.startswith("@"):
        from invoke_shell.shell.inside import made_how

        shell.view.text("\n".join(made_how(shell, word)))
    elif word in shell.registry:
        shell.view.text("\n".join(derive.help_node(shell.registry[word])))
    elif word == "schedulers":
        shell.view.text("\n".join(_schedulers()))
    else:
        shell.view.text("\n".join(_search(shell, word)))


def _schedulers() -> Iterator[str]:
    """Those of their own, each with the other noise levels it knows; then what those are."""
    from invoke_shell.pipeline.schedulers import DEFAULT, LEVELS, SCHEDULERS

    for s in SCHEDULERS.values():
        if not s.base:
            yield f"  {s.name:<14} {s.help}"
            more = [f"_{other.sigmas}" for other in SCHEDULERS.values() if other.base == s.name]
            notes = [f"also with {' '.join(more)}"] if more else []
            notes += [f"takes --{' --'.join(s.takes)}"] if s.takes else []
            notes += [f"needs {s.needs}"] if s.needs else []
            if notes:
                yield f"  {'':<14} {'; '.join(notes)}"
    yield ""
    yield from (f"  _{word:<13} {levels.help}." for word, levels in LEVELS.items())
    yield f"\n  The default is {DEFAULT}. Other programs' names are read too: --scheduler 'Euler a'"


def _search(shell: Session, word: str) -> list[str]:
    """Commands whose help has the word. Raises BlockedError with the nearest name."""
    found = [n for n in shell.registry.values() if word.lower() in "\n".join(derive.help_node(n)).lower()]
    if not found:
        hint = shell.registry.suggest(word)
        raise LineError(word, [fault(word, f"there is no command {word}", hint)])
    return [f"  {n.name:<14} {n.summary}" for n in found]


@node(builtin=True, group="shell", examples=["nodes", "nodes txt2img --schema"])
def nodes(
    shell: Session,
    name: Annotated[str | None, Arg(help="One node.")] = None,
    *,
    schema: Annotated[bool, Arg(help="As JSON Schema.")] = False,
) -> None:
    """List the nodes, or describe one."""
    if name is not None and name not in shell.registry:
        raise LineError(name, [fault(name, f"there is no node {name}", shell.registry.suggest(name))])
    chosen = [shell.registry[name]] if name else [n for n in shell.registry.values() if not n.builtin]
    if schema:
        found = [derive.json_schema(n) for n in chosen]
        shell.view.text(json.dumps(found[0] if name else found, indent=2))
    elif name:
        shell.view.text("\n".join(derive.help_node(chosen[0])))
    else:
        shell.view.text("\n".join(f"{n.name:<14} {derive.flow(n):<28} {n.summary}" for n in chosen))


@node(builtin=True, group="shell", examples=["exit"], name="exit")
def exit_(shell: Session) -> None:
    """Leave the shell; Ctrl-D does too."""
    shell.leaving = True


@node(builtin=True, group="shell", examples=["doctor"])
def doctor(shell: Session) -> None:
    """Look at the terminal, the engine, the folders and the models, and say what is amiss."""
    from invoke_shell.shell.doctor import examine

    shell.view.text("\n".join(examine(shell)))
