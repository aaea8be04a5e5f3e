"""What is inside pictures, said: how a result was made, the line of a file, `info`, and copies without it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import BlockedError, InvokeShellError, MetadataError, RunError
from invoke_shell.metadata.contents import contents_of, size_text, sources
from invoke_shell.metadata.files import opened, sidecar
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.jpeg_webp import SUFFIXES
from invoke_shell.metadata.provenance import marks_of
from invoke_shell.metadata.read import MAX_OTHER, PictureInfo
from invoke_shell.metadata.stripping import Stripped, strip_file
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.text import quote_word
from invoke_shell.records import StepRecord, topological
from invoke_shell.shell.answers.telling import command_lines, file_line, told
from invoke_shell.shell.archive.handles import numbers_text
from invoke_shell.shell.display.wrapping import hung
from invoke_shell.shell.replay.finding import (
    find_target,
    foreign_line,
    foreign_of,
    recalled_here,
    recalled_text,
    short_text,
    unreadable,
)
from invoke_shell.shell.session import Session

if TYPE_CHECKING:
    from invoke_shell.metadata.foreign.line import Line
    from invoke_shell.shell.archive.store import ResultRow
    from invoke_shell.shell.replay.foreign_models import Asked

__all__ = ["about", "in_a_file", "line_of", "made_how", "stripped", "stripped_name"]


def made_how(shell: Session, word: str) -> Iterator[str]:
    """How a result was made: its line, as recall gives it, and what was recorded of each step."""
    row = shell.keeper.row(word)
    step = from_metadata(loads(row.metadata))
    path = row.trashed or row.path
    yield from command_lines("", short_text(shell, step) if shell.interactive else recalled_text(shell.registry, step))
    gone = "" if path.exists() else f"  gone: replay {row.handle} makes it again"
    yield hung(f"  {row.width}x{row.height}  {row.seconds:.1f} s  {visible(str(path))}{gone}")
    yield f"  {_life(shell, row)}"
    for at in topological(step):
        models = ", ".join(m.text for m in at.models.values())
        run = f"{at.facts['steps_run']} steps run" if "steps_run" in at.facts else ""
        note = str(at.facts.get("note", ""))
        yield "  " + "  ".join(p for p in (at.node, models, run, visible(note), at.output_hash[:19]) if p)


def _life(shell: Session, row: ResultRow) -> str:
    """`made 2026-11-21 13:06 by line 3 of fox, @stars, from @1 @2, kept`."""
    session = shell.keeper.store.session(row.session).name
    parts = [f"made {datetime.fromtimestamp(row.made):%Y-%m-%d %H:%M} by line {row.line} of {visible(session)}"]
    parts += [f"@{row.name}"] if row.name else []
    parts += [f"from {numbers_text(row.parents)}"] if row.parents else []
    parts += {"kept": ["kept"], "discarded": ["in the trash"]}.get(row.state, [])
    return ", ".join(parts)


def line_of(shell: Session, word: str) -> str:
    """The line of a history number, a handle or a file: short where it is to be edited, whole where it is printed."""
    if word.isdigit():
        row = shell.keeper.store.line(int(word))
        if row is None:
            raise BlockedError(f"the history has no line {word}", hint="history lists them", code="unknown-handle")
        return row.text
    line = foreign_of(shell, word)
    if line is not None:
        return _foreign_text(shell, word, line)
    step = _step_of(shell, word)
    if wrong := unreadable(shell.registry, step):
        raise MetadataError(f"no command can be made of {visible(word)}: {'; '.join(wrong)}")
    return short_text(shell, step) if shell.interactive else recalled_text(shell.registry, step)


def _step_of(shell: Session, word: str) -> StepRecord:
    """What is recorded of a handle or a file. Raises MetadataError; of a picture that tells nothing, what it is for."""
    try:
        return find_target(shell, word).step
    except MetadataError as error:
        if error.code != "no-metadata":
            raise
        hint = f"load_image {quote_word(word)} begins a line with it"
        raise MetadataError(error.message, hint=hint, code=error.code) from None


def in_a_file(word: str, text: str) -> str:
    """A recalled line for a command file of several: below its name; one that wants a picture piped in is no command.

    Its pipe would take the results of the line before it.
    """
    lines = [f"# {line}" if text.startswith("|") else line for line in text.splitlines()]
    return "\n".join([f"# {visible(word)}", *lines])


def _foreign_text(shell: Session, word: str, line: Line) -> str:
    """The line of another program's picture; what did not carry over is told beside it."""
    if not line.text:
        raise MetadataError(f"no command can be made of {visible(word)}: {'; '.join(line.missing)}", code="no-metadata")
    for sentence in (*line.missing, *line.guessed):
        shell.view.say(hung(f"{visible(word)}: {sentence}"))
    return line.text


def about(
    shell: Session, label: str, path: Path, found: PictureInfo, asked: Asked | None = None
) -> tuple[str, dict[str, Any]]:
    """What `info` says of a picture, for people and for programs. asked: see foreign_line."""
    size = path.stat().st_size
    lines = [file_line(f"{label} {path}" if label.startswith("@") else label, found, size)]
    record: dict[str, Any] = {
        "event": "info", "image": label, "tool": found.tool, "width": found.width, "height": found.height,
        "format": found.kind.lower(), "bytes": size,
        "command": None, "steps": [], "missing": [], "warnings": list(found.warnings),
    }  # fmt: skip
    if line := foreign_line(shell, found, asked):
        _about_foreign(found, line, lines, record)
    else:
        _about_ours(shell, path, found, lines, record)
    lines += [hung(f"  {w}") for w in found.warnings]
    return "\n".join(lines), record


def _about_ours(shell: Session, path: Path, found: PictureInfo, lines: list[str], record: dict[str, Any]) -> None:
    """The history of a picture of ours; the texts of one that cannot be read."""
    try:
        step = found.step()
    except InvokeShellError as error:
        lines.append(hung(f"  {error.message}"))
        record["warnings"].append(error.message)
        lines += [f"  {name}: {text.replace(chr(10), chr(10) + '    ')}" for name, text in found.texts.items()]
        record["texts"] = dict(found.texts)
        if not found.tool:
            marks = _marks(path)
            record["marks"] = marks
            lines += [f"  marked {mark}" for mark in marks]
        return
    recalled = recalled_here(shell, step)
    record["command"] = recalled.text(shell.registry)
    record["steps"] = (found.data or {}).get("steps", [])
    beside = sidecar(path)
    record["missing"] = [m for m in recalled.missing if not _is_brought(found, m, beside=beside.is_file())]
    lines += told(shell.registry, found.data or {}, list(topological(step)), record["command"])
    if found.beside or beside.is_file():
        what = "its record" if found.beside else "sources"
        lines.append(f"  {what} beside it in {visible(beside.name)}, {size_text(beside.stat().st_size)}")
    lines += [hung(f"  missing: {m}") for m in record["missing"]]


def _is_brought(found: PictureInfo, missing: str, *, beside: bool) -> bool:
    """Whether a source that is not here comes with the picture: a replay takes it from there."""
    hashes = [source.hash for source in sources(found.step())]
    inside = {} if beside else contents_of(found.data or {})
    return any(h[:23] in missing for h in hashes if beside or h in inside)


def _marks(path: Path) -> list[str]:
    """Marks of origin on a file that says nothing else."""
    with opened(path) as file:
        return marks_of(file.read(MAX_OTHER))


def _about_foreign(found: PictureInfo, line: Line, lines: list[str], record: dict[str, Any]) -> None:
    """The line of another program's picture, what is missing, and what was guessed."""
    lines += command_lines("  ", line.text) if line.text else []
    lines += [hung(f"  missing: {m}") for m in line.missing] + [hung(f"  guessed: {g}") for g in line.guessed]
    record |= {
        "command": line.text or None, "missing": list(line.missing), "guessed": list(line.guessed),
        "texts": dict(found.texts),
    }  # fmt: skip


def stripped(shell: Session, word: str, *, marks: bool) -> tuple[Path, Stripped]:
    """A picture's path, and its copy without what is inside it. Raises InvokeShellError."""
    path = shell.keeper.row(word).path if word.startswith("@") else Path(word).expanduser()
    with opened(path) as file:
        data = file.read()
    try:
        return path, strip_file(data, visible(word), marks=marks)
    except MetadataError as error:
        raise MetadataError(f"{visible(word)}: {error.message}") from None


def stripped_name(path: Path, copy: Stripped, output: Path | None, *, several: bool) -> Path:
    """Where the copy goes. Raises RunError for one file for several, and for an ending that is another format's."""
    if output is None:
        return path.with_name(f"{path.stem}-stripped{path.suffix}")
    if output.is_dir() or (several and not output.suffix):
        return output / path.name
    if several:
        raise RunError(f"{output} is one file for several pictures", hint="give a folder", code="bad-usage")
    if SUFFIXES.get(output.suffix.lower(), copy.kind) != copy.kind:
        kind = {"webp": "a WebP"}.get(copy.kind, f"a {copy.kind.upper()}")
        message = f"{visible(path.name)} is {kind}, and {visible(output.name)} would say it is another format"
        raise RunError(message, hint="load_image FILE | save NAME writes another format", code="bad-usage")
    return output
