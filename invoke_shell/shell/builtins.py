"""Commands of the shell itself, declared like nodes: help, settings, recall, replay, history ... They run here.

The same signatures give the outer command line its subcommands, so `invoke-shell info a.png` and `info a.png` are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from invoke_shell.errors import (
    BlockedError,
    Fault,
    InvokeShellError,
    LineError,
    MetadataError,
    OutputError,
    RunError,
)
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.png import strip as stripped
from invoke_shell.metadata.read import PictureInfo, read_picture
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline import derive
from invoke_shell.pipeline.bind import understand
from invoke_shell.pipeline.chain import Chain, Source, Stage, Value, to_text
from invoke_shell.pipeline.node import Arg, Param, node
from invoke_shell.pipeline.text import quote
from invoke_shell.pipeline.types import Handle, Seed
from invoke_shell.records import topological
from invoke_shell.shell.explain import explain as explained
from invoke_shell.shell.outputs import write_new
from invoke_shell.shell.replaying import find_target, foreign_line, foreign_of, options, worst
from invoke_shell.shell.replaying import replay as replayed
from invoke_shell.shell.session import Session, StatusError
from invoke_shell.shell.view import Where

if TYPE_CHECKING:
    from invoke_shell.metadata.foreign.line import Line

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
        shell.view.text("\n".join(_made_how(shell, word)))
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


def _made_how(shell: Session, word: str) -> Iterator[str]:
    """How a result was made: its line, and what was recorded of each step."""
    row = shell.keeper.row(word)
    step = from_metadata(loads(row.metadata))
    yield shell.recalled_text(step)
    yield f"  {row.width}x{row.height}  {row.seconds:.1f} s  {visible(str(row.trashed or row.path))}"
    for at in topological(step):
        models = ", ".join(m.text for m in at.models.values())
        run = f"{at.facts['steps_run']} steps run" if "steps_run" in at.facts else ""
        note = str(at.facts.get("note", ""))
        yield "  " + "  ".join(p for p in (at.node, models, run, visible(note), at.output_hash[:19]) if p)


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
    reading = shell.read(line)
    if reading.faults:
        raise LineError(line, reading.faults)
    for bound in reading.bound:
        if bound.chain.stages and bound.builtin is None:
            shell.view.text("\n".join(explained(shell.planned(bound.chain), shell.registry)))


@node(builtin=True, group="shell", examples=["recall @1", "recall a.png"])
def recall(shell: Session, what: Words) -> None:
    """Put the command of a picture, or a line of the history, into the edit line; printed outside the shell."""
    texts = [_line_of(shell, word) for word in _expanded(what)]
    if shell.interactive:
        shell.recalled = texts[0]
        return
    for text in texts:
        shell.view.text(text)


def _line_of(shell: Session, word: str) -> str:
    if word.isdigit():
        row = shell.keeper.store.line(int(word))
        if row is None:
            raise BlockedError(f"the history has no line {word}", hint="history lists them", code="unknown-handle")
        return row.text
    line = foreign_of(shell, word)
    return shell.recalled_text(find_target(shell, word).step) if line is None else _foreign_text(shell, word, line)


def _foreign_text(shell: Session, word: str, line: Line) -> str:
    """The line of another program's picture; what did not carry over is told beside it."""
    if not line.text:
        raise MetadataError(f"no command can be made of {visible(word)}: {'; '.join(line.missing)}", code="no-metadata")
    for sentence in (*line.missing, *line.guessed):
        shell.view.say(sentence)
    return line.text


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
    words, flags = options(changes)
    chain = _chain_again(shell, words[0] if words else "@-1")
    shell.run_chain(_changed(shell, chain, flags), Where())


def _chain_again(shell: Session, word: str) -> Chain:
    """The line of a result as it was typed, its relative handles made absolute."""
    row = shell.keeper.row(word)
    line = shell.keeper.store.line(row.line)
    if line is None:
        raise BlockedError(f"the line of {word} is gone", code="unknown-handle")
    reading = shell.read(line.text)
    chains = [b.chain for b in reading.bound if b.chain.stages and b.builtin is None]
    if reading.faults or not chains:
        raise BlockedError(f"{word} was not made by a line", hint=f"replay {word}", code="unknown-handle")
    plan = json.loads(shell.keeper.store.plan(row.line) or "{}")
    return _absolute(chains[-1], plan.get("handles", {}))


def _absolute(chain: Chain, handles: dict[str, list[str]]) -> Chain:
    def plain(found: Handle) -> tuple[Handle, ...]:
        return tuple(Handle(text) for text in handles.get(found.text, [found.text]))

    def value(v: Value) -> Value:
        if isinstance(v.value, Handle) and len(plain(v.value)) == 1:
            return replace(v, value=Handle(plain(v.value)[0].text, v.value.field))
        return v

    stages = [
        replace(
            s,
            handles=tuple(h for old in s.handles for h in plain(old)),
            values={n: value(v) for n, v in s.values.items()},
        )
        for s in chain.stages
    ]
    if chain.continues:
        stages.insert(0, Stage(node="", handles=plain(Handle("|"))))
    return replace(chain, stages=tuple(stages), continues=False)


def _changed(shell: Session, chain: Chain, flags: dict[str, str]) -> Chain:
    """The chain with flags changed and typed seeds left out, so that fresh ones are drawn."""
    stages = list(chain.stages)
    for name, text in flags.items():
        i = _stage_of(shell, stages, name)
        p = shell.registry[stages[i].node].flags["--" + name.rpartition(".")[2].replace("_", "-")]
        old = stages[i].values.get(p.name)
        if p.kind.is_seed and text.startswith("+") and text[1:].isdigit():
            before = old.value if old is not None and isinstance(old.value, int) else 0
            new = Value(Seed(before + int(text[1:])), Source.LINE)
        else:
            new = _value(shell, p, stages[i], text)
        rest = {n: v for n, v in stages[i].values.items() if n not in (p.arg.excludes, p.name)}
        stages[i] = replace(stages[i], values={**rest, p.name: new})
    for i, stage in enumerate(stages):
        node = shell.registry[stage.node] if stage.node else None
        if node is not None and node.seed and not any(f.rpartition(".")[2] == node.seed.name for f in flags):
            values = {n: v for n, v in stage.values.items() if n != node.seed.name}
            stages[i] = replace(stage, values=values)
    changed = replace(chain, stages=tuple(stages))
    return understand(to_text(changed, shell.registry), shell.registry, shell.settings.values())[0].chain


def _value(shell: Session, p: Param, stage: Stage, text: str) -> Value:
    """A flag's value as if it had been typed. Raises LineError."""
    node = shell.registry[stage.node]
    needed = " ".join(
        f"{q.flag} {quote('x')}" for q in node.params.values() if q.required and q.arg.text and q is not p
    )
    front = "@1 | " if node.takes != "none" else ""
    word = "" if p.kind.is_switch else quote(text) if p.kind.is_text else text
    flag = p.flag if not p.kind.is_switch or text != "off" else "--no-" + p.flag[2:]
    line = f"{front}{node.name} {needed} {flag} {word}".strip()
    return understand(line, shell.registry, shell.settings.values())[0].chain.stages[-1].values[p.name]


def _stage_of(shell: Session, stages: list[Stage], name: str) -> int:
    """The stage a flag means. Raises LineError naming the spellings when several have it."""
    where, _, flag = name.rpartition(".")
    flag = "--" + flag.replace("_", "-")
    having = [i for i, s in enumerate(stages) if s.node and flag in shell.registry[s.node].flags]
    if where.isdigit():
        having = [i for i in having if i == int(where) - 1]
    elif where:
        having = [i for i in having if stages[i].node == where]
    if len(having) == 1:
        return having[0]
    if not having:
        raise LineError(name, [_fault(name, f"no stage of the line has {flag}", "", "unknown-flag")])
    twice = len({stages[i].node for i in having}) < len(having)
    spellings = [f"--{i + 1 if twice else stages[i].node}.{flag[2:]}" for i in having]
    message = f"{flag} could be of {' or '.join(stages[i].node for i in having)}"
    raise LineError(name, [_fault(name, message, "write " + " or ".join(spellings), "unknown-flag")])


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
    status = 0
    for word in _expanded(what):
        try:
            path = shell.keeper.row(word).path if word.startswith("@") else Path(word).expanduser()
            found = read_picture(path)
        except InvokeShellError as error:
            shell.view.error(error, Where())
            status = status or error.exit_status
            continue
        text, record = _about(shell, word, found)
        shell.view.text(text, record)
    if status:
        raise StatusError(status)


def _about(shell: Session, label: str, found: PictureInfo) -> tuple[str, dict[str, Any]]:
    """What `info` says of a picture, for people and for programs."""
    lines = [f"{visible(label)}: {found.tool or 'no program known'}, {found.width}x{found.height}"]
    record: dict[str, Any] = {
        "event": "info", "image": label, "tool": found.tool, "width": found.width, "height": found.height,
        "command": None, "steps": [], "missing": [], "warnings": list(found.warnings),
    }  # fmt: skip
    if line := foreign_line(shell, found):
        _about_foreign(found, line, lines, record)
    else:
        _about_ours(shell, found, lines, record)
    lines += [f"  {w}" for w in found.warnings]
    return "\n".join(lines), record


def _about_ours(shell: Session, found: PictureInfo, lines: list[str], record: dict[str, Any]) -> None:
    """The history of a picture of ours; the texts of one that cannot be read."""
    try:
        step = found.step()
    except InvokeShellError as error:
        lines.append(f"  {error.message}")
        record["warnings"].append(error.message)
        lines += [f"  {name}: {text.replace(chr(10), chr(10) + '    ')}" for name, text in found.texts.items()]
        record["texts"] = dict(found.texts)
        return
    recalled = shell.recall(step)
    record["command"] = recalled.text(shell.registry)
    record["steps"] = (found.data or {}).get("steps", [])
    record["missing"] = list(recalled.missing)
    lines += ["  " + line for line in record["command"].splitlines()]
    lines += [f"  missing: {m}" for m in recalled.missing]


def _about_foreign(found: PictureInfo, line: Line, lines: list[str], record: dict[str, Any]) -> None:
    """The line of another program's picture, what is missing, and what was guessed."""
    lines += [f"  {line.text}"] if line.text else []
    lines += [f"  missing: {m}" for m in line.missing] + [f"  guessed: {g}" for g in line.guessed]
    record |= {
        "command": line.text or None, "missing": list(line.missing), "guessed": list(line.guessed),
        "texts": dict(found.texts),
    }  # fmt: skip


@node(builtin=True, group="shell", examples=["strip @1"])
def strip(
    shell: Session,
    what: Words,
    *,
    output: Annotated[Path | None, Arg(help="File or folder for the copies.", short="o")] = None,
) -> None:
    """Write copies of pictures without what is inside them; the pictures stay as they are."""
    words = list(_expanded(what))
    for word in words:
        path = shell.keeper.row(word).path if word.startswith("@") else Path(word).expanduser()
        data = _png_bytes(path)
        target = _stripped_name(path, output, several=len(words) > 1)
        written = write_new(
            data, target, tag=f"strip-{path.stem[:24]}", exactly=output is not None and not output.is_dir()
        )
        shell.view.text(visible(str(written)))


def _png_bytes(path: Path) -> bytes:
    try:
        return stripped(path.read_bytes())
    except OSError as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise BlockedError(f"{visible(str(path))} {why}", code="missing-file") from error


def _stripped_name(path: Path, output: Path | None, *, several: bool) -> Path:
    if output is None:
        return path.with_name(f"{path.stem}-stripped.png")
    if output.is_dir() or (several and not output.suffix):
        return output / f"{path.stem}.png"
    if several:
        raise RunError(f"{output} is one file for several pictures", hint="give a folder", code="bad-usage")
    return output


@node(builtin=True, group="shell", examples=["doctor"])
def doctor(shell: Session) -> None:
    """Look at the terminal, the engine, the folders and the models, and say what is amiss."""
    from invoke_shell.shell.doctor import examine

    shell.view.text("\n".join(examine(shell)))
