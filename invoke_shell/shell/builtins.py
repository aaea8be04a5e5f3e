"""Commands of the shell itself, declared like nodes: help, settings, recall, replay, history ... They run here.

The same signatures give the outer command line its subcommands, so `invoke-shell info a.png` and `info a.png` are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from invoke_shell.errors import Fault, InvokeShellError, LineError, OutputError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline import derive
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.text import quote
from invoke_shell.shell.outputs import write_new
from invoke_shell.shell.session import Session, StatusError
from invoke_shell.shell.view import Where

LONG = 60  # lines of help shown at once

Word = Annotated[str | None, Arg(help="A command, a handle, or a word to look for.")]
Words = Annotated[list[str], Arg(help="Pictures: files, handles, or lines of the history by number.")]
Rest = Annotated[str, Arg(help="The rest of the line.")]
OptionalRest = Annotated[str, Arg(help="The rest of the line.")]


# -- help ------------------------------------------------------------------------------------------------------------


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
    from invoke_shell.pipeline.schedulers import DEFAULT, SCHEDULERS

    for s in SCHEDULERS.values():
        yield f"  {s.name:<20} {s.help}" + (" (default)" if s.name == DEFAULT else "")


def _search(shell: Session, word: str) -> list[str]:
    """Commands whose help has the word. Raises BlockedError with the nearest name."""
    found = [n for n in shell.registry.values() if word.lower() in "\n".join(derive.help_node(n)).lower()]
    if not found:
        hint = shell.registry.suggest(word)
        raise LineError(word, [_fault(word, f"there is no command {word}", hint)])
    return [f"  {n.name:<14} {n.summary}" for n in found]


def _fault(word: str, message: str, hint: str = "", code: str = "unknown-command") -> Fault:
    return Fault(0, len(word), message, hint, code)


@node(builtin=True, group="shell", examples=["nodes", "nodes txt2img --schema"])
def nodes(
    shell: Session,
    name: Annotated[str | None, Arg(help="One node.")] = None,
    *,
    schema: Annotated[bool, Arg(help="As JSON Schema.")] = False,
) -> None:
    """List the nodes, or describe one."""
    if name is not None and name not in shell.registry:
        raise LineError(name, [_fault(name, f"there is no node {name}", shell.registry.suggest(name))])
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


# -- settings --------------------------------------------------------------------------------------------------------

ENGINE = ("device", "deterministic", "memory", "precision", "threads", "preview")


@node(builtin=True, group="shell", name="set", examples=["set steps 30", "set img2img.steps 20", "set show off"])
def set_(
    shell: Session,
    name: Annotated[str, Arg(help="A flag's name, or a setting of the shell.")],
    value: Annotated[str, Arg(help="Its value; for a switch on or off.", text=True)],
    *,
    keep: Annotated[bool, Arg(help="Write it to config.yaml, for every session.")] = False,
) -> None:
    """Give a flag or a setting a value for this session."""
    name = name.lstrip("-").replace("-", "_")
    p = shell.settings.param(name)
    if p.kind.model:
        shell.catalogue.find(value, p.kind.model)  # said now, not at the next line
    shell.settings.set(name, value)
    shell.keeper.remember(name, value)
    if keep:
        _write_config(shell, name, value)
    if name in ENGINE:
        shell.restart()
    shell.view.say(f"{name} is {p.kind.format(shell.settings.session[name].value)}" + (", kept" if keep else ""))


def _write_config(shell: Session, name: str, value: str) -> None:
    """Replace the line of a key, or add one; comments and all else stay."""
    path = shell.home.config_file
    line = f"{name}: {quote(value)}"
    try:
        before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [x for x in before if not x.startswith(f"{name}:")]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text("\n".join([*kept, line]) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


@node(builtin=True, group="shell", examples=["unset steps"])
def unset(shell: Session, name: Annotated[str, Arg(help="A setting of this session.")]) -> None:
    """Forget a value of this session."""
    name = name.lstrip("-").replace("-", "_")
    if name not in shell.settings.session:
        shell.settings.param(name)  # a name that is no setting is a mistake, one that is not set is not
        shell.view.say(f"{name} is not set in this session")
        return
    shell.settings.unset(name)
    shell.keeper.remember(name, None)
    if name in ENGINE:
        shell.restart()


@node(builtin=True, group="shell", examples=["settings"])
def settings(shell: Session) -> None:
    """Show every setting, its value, and where the value comes from."""
    rows = list(shell.settings.rows())
    wide = max(len(name) for name, _, _ in rows)
    shell.view.text("\n".join(f"{name:<{wide}}  {text}  ({source})" for name, text, source in rows))


@node(builtin=True, group="shell", examples=["models"])
def models(shell: Session) -> None:
    """List the models that are here."""
    rows = [(m.name, kind, m.base, m.path) for kind in ("checkpoint", "upscaler") for m in shell.catalogue.all(kind)]
    for name, kind, base, path in rows:
        record = {"event": "model", "name": name, "kind": kind, "base": base, "path": path}
        shell.view.text(f"{name:<24} {kind:<11} {base:<6} {visible(path)}", record)


# -- lines -----------------------------------------------------------------------------------------------------------


@node(builtin=True, rest=True, group="shell", examples=['explain txt2img "a fox" --seed 1..8 | contact_sheet'])
def explain(shell: Session, line: Rest) -> None:
    """Say what a line would do: values and where they come from, pictures, models. Runs nothing."""
    from invoke_shell.shell.explain import explain as explained

    reading = shell.read(line)
    if reading.faults:
        raise LineError(line, reading.faults)
    for bound in reading.bound:
        if bound.chain.stages and bound.builtin is None:
            shell.view.text("\n".join(explained(shell.planned(bound.chain), shell.registry)))


@node(builtin=True, group="shell", examples=["recall @1", "recall a.png"])
def recall(shell: Session, what: Words) -> None:
    """Put the command of a picture, or a line of the history, into the edit line; printed outside the shell."""
    from invoke_shell.shell.inside import line_of

    texts = [line_of(shell, word) for word in _expanded(what)]
    if shell.interactive:
        shell.recalled = texts[0]
        return
    for text in texts:
        shell.view.text(text)


def _expanded(words: list[str]) -> Iterator[str]:
    """Words with their patterns expanded; a word that names a file is that file."""
    from glob import glob

    for word in words:
        found = sorted(glob(str(Path(word).expanduser()))) if any(c in word for c in "*?[") else []
        yield from found or [word]


@node(builtin=True, rest=True, group="shell", examples=["replay @1", "replay a.png --steps 30"])
def replay(shell: Session, what: Rest) -> None:
    """Make pictures again from what is inside them, and say whether they are the same.

    Takes files and handles; flags change a value (--steps 30, --seed +1). --exact ends with status 1 unless all are
    exact.
    """
    from invoke_shell.shell.replaying import options, worst
    from invoke_shell.shell.replaying import replay as replayed

    words, flags = options(what, ("exact",))
    exact = flags.pop("exact", "") == "on"
    if not words:
        raise LineError(what, [_fault(what, "replay needs a picture", "as in: replay @1", "missing-argument")])
    status = worst(replayed(shell, list(_expanded(words)), flags, Where()), exact=exact)
    if status:
        raise StatusError(status)


@node(builtin=True, rest=True, group="shell", examples=["again", "again @1 --steps 30"])
def again(shell: Session, changes: OptionalRest = "") -> None:
    """Run the line that made a picture again, with other values and a fresh seed.

    Without a handle the last line. A flag that two stages have is written --txt2img.steps or --2.steps; --seed +1
    counts on.
    """
    from invoke_shell.shell.again import chain_again, changed
    from invoke_shell.shell.replaying import options

    words, flags = options(changes)
    chain = chain_again(shell, words[0] if words else "@-1")
    shell.run_chain(changed(shell, chain, flags), Where())


@node(builtin=True, group="shell", examples=["history", "history fox"])
def history(
    shell: Session,
    search: Annotated[str, Arg(help="Words that a line must have.", text=True)] = "",
    *,
    everywhere: Annotated[bool, Arg(help="Of every session, not this one alone.")] = False,
    limit: Annotated[int, Arg(help="How many lines.", ge=1, le=100_000)] = 20,
) -> None:
    """List the lines of this session and what they made, the last one below."""
    session = None if everywhere else shell.keeper.session.id
    rows = shell.keeper.store.history(session, search, limit)
    for row in reversed(rows):
        numbers = [r.n for r in shell.keeper.store.results_of_line(row.id)]
        made = f"@{numbers[0]}" + (f"…@{numbers[-1]}" if len(numbers) > 1 else "") if numbers else row.status
        shell.view.text(f"{row.id:>5}  {made:<14} {visible(row.text)}  {row.seconds:.1f} s")
    if not rows:
        shell.view.say("no line made anything yet" if not search else f"no line has {search}")


@node(builtin=True, group="shell", examples=["source poster.invoke"])
def source(
    shell: Session,
    file: Annotated[Path, Arg(help="A command file.")],
    *,
    keep_going: Annotated[bool, Arg(help="Go on after a line that failed.")] = False,
) -> None:
    """Run the lines of a command file; the whole file is checked before its first line runs."""
    from invoke_shell.shell.scripts import run_file

    status = run_file(shell, file.expanduser(), keep_going=keep_going)
    if status:
        raise StatusError(status)


# -- files -----------------------------------------------------------------------------------------------------------


@node(builtin=True, group="shell", examples=["info @1", "info a.png"])
def info(shell: Session, what: Words) -> None:
    """Say what is inside pictures: program, command, steps. Runs nothing."""
    from invoke_shell.metadata.read import read_picture
    from invoke_shell.shell.inside import about

    status = 0
    for word in _expanded(what):
        try:
            path = shell.keeper.row(word).path if word.startswith("@") else Path(word).expanduser()
            found = read_picture(path)
        except InvokeShellError as error:
            shell.view.error(error, Where())
            status = status or error.exit_status
            continue
        text, record = about(shell, word, found)
        shell.view.text(text, record)
    if status:
        raise StatusError(status)


@node(builtin=True, group="shell", examples=["strip @1"])
def strip(
    shell: Session,
    what: Words,
    *,
    output: Annotated[Path | None, Arg(help="File or folder for the copies.", short="o")] = None,
) -> None:
    """Write copies of pictures without what is inside them; the pictures stay as they are."""
    from invoke_shell.shell.inside import png_without_texts, stripped_name

    words = list(_expanded(what))
    for word in words:
        path = shell.keeper.row(word).path if word.startswith("@") else Path(word).expanduser()
        data = png_without_texts(path)
        target = stripped_name(path, output, several=len(words) > 1)
        written = write_new(
            data, target, tag=f"strip-{path.stem[:24]}", exactly=output is not None and not output.is_dir()
        )
        shell.view.text(visible(str(written)))


@node(builtin=True, group="shell", examples=["doctor"])
def doctor(shell: Session) -> None:
    """Look at the terminal, the engine, the folders and the models, and say what is amiss."""
    from invoke_shell.shell.doctor import examine

    shell.view.text("\n".join(examine(shell)))
