"""What there is, and how it is used: help, nodes, doctor; and the way out."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Annotated

from invoke_shell.errors import LineError
from invoke_shell.pipeline import derive
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.answers import pages
from invoke_shell.shell.answers.searching import search
from invoke_shell.shell.builtins.words import fault
from invoke_shell.shell.session import Session
from invoke_shell.shell.settings import SHELL

__all__ = ["doctor", "exit_", "help_", "nodes"]

NEAR = 0.75  # how much alike a word and a command's name are for a misspelling; `animation` is no saturation

What = Annotated[list[str], Arg(help="A command, flag, setting, handle, group or topic; or words to look for.")]


@node(
    builtin=True,
    group="shell",
    name="help",
    examples=["help", "help txt2img", "help blur a mask", "help --all", "help keys", "help schedulers"],
)
def help_(
    shell: Session,
    what: What = (),  # type: ignore[assignment]  # always a list
    *,
    all: Annotated[bool, Arg(help="The whole of it, however long.")] = False,
) -> None:
    """Say what there is, or how one thing is used."""
    asked = " ".join(what)
    lines = pages.shortened(_help(shell, asked, whole=all), asked, whole=all)
    shell.view.page("\n".join(lines))


def _help(shell: Session, what: str, *, whole: bool) -> list[str]:
    """The page of what is called so, else what has the words. Raises LineError with the nearest name."""
    word, registry = what.strip(), shell.registry
    if not word:
        return pages.overview(registry, whole=whole)
    if word.startswith("@"):
        from invoke_shell.shell.answers.inside import made_how

        return list(made_how(shell, word))
    if word in registry:
        return derive.help_node(registry[word], None if whole else pages.LONG)
    if page := pages.topic(word, registry) or pages.flag_page(word, registry):
        return page
    if word in SHELL:
        name, text, source = next(row for row in shell.settings.rows() if row[0] == word)
        return pages.setting_page(SHELL[name], text, source)
    found = search(word, registry)
    if page := pages.flag_page(f"--{word.replace('_', '-')}", registry):
        return [*page, "", *found]
    if not found:
        hint = "help lists all commands, help language what a line may have"
        if near := get_close_matches(word, registry, n=1, cutoff=NEAR):
            hint = f"did you mean {near[0]}?"
        raise LineError(word, [fault(word, f"nothing is called {word}, and no page speaks of it", hint)])
    return found


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
        shell.view.page("\n".join(f"{n.name:<14} {derive.flow(n):<28} {n.summary}" for n in chosen))


@node(builtin=True, group="shell", examples=["exit"], name="exit")
def exit_(shell: Session) -> None:
    """Leave the shell; Ctrl-D does too."""
    shell.leaving = True


@node(builtin=True, group="shell", examples=["doctor"])
def doctor(
    shell: Session,
    *,
    pictures: Annotated[
        bool, Arg(help="Draw a test card in every protocol, to see which ones this terminal knows.")
    ] = False,
) -> None:
    """Look at terminal, engine, folders and models: what is amiss?"""
    from invoke_shell.shell.answers.doctor import examine, show_cards

    if pictures:
        show_cards(shell)
    else:
        shell.view.text("\n".join(examine(shell)))
