"""A session as a command file that makes the same pictures, from what is recorded of them: `export FILE`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell import __version__
from invoke_shell.errors import BlockedError, OutputError
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.replay import recall_all
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.script import resolved_lines, short_hash
from invoke_shell.pipeline.text import quote_word
from invoke_shell.records import ModelRecord, Resource, StepRecord, topological
from invoke_shell.shell.archive.outputs import slug, write_new
from invoke_shell.shell.replay.finding import AsRecorded

if TYPE_CHECKING:
    from invoke_shell.shell.archive.store import ResultRow
    from invoke_shell.shell.session import Session

__all__ = ["Exported", "export"]

HEADER = "# invoke 1"
DIGITS = 12  # of a name's end in the folder of sources, so that two files of one name stay two


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written. missing: sources that are not here any more, by their hash."""

    path: Path
    pictures: int
    files: tuple[Path, ...] = ()
    missing: tuple[str, ...] = field(default=())


def export(session: Session, rows: Sequence[ResultRow], path: Path, *, with_files: bool) -> Exported:
    """Write a file that makes these results again. Nothing is overwritten. Raises OutputError and BlockedError."""
    if path.is_dir() or not path.name:
        raise OutputError(f"{visible(str(path))} is a folder", hint=f"as in: export {path / 'today.invoke'}")
    path = path if path.suffix else path.with_suffix(".invoke")
    if path.exists():
        raise OutputError(f"{path} is there already, and nothing is overwritten", code="file-exists")
    steps = [from_metadata(loads(row.metadata)) for row in rows]
    sources, models = _resources(steps)
    files, missing = _copied(session, sources, path) if with_files else ({}, ())
    count = len({step.key for step in steps})  # what was made twice is made once
    lines = [*_head(session, count, sources, models), *_body(session, rows, steps, files)]
    written = write_new(("\n".join(lines) + "\n").encode(), path, tag=f"export-{path.stem[:24]}", exactly=True)
    return Exported(path=written, pictures=count, files=tuple(files.values()), missing=missing)


def _head(session: Session, count: int, sources: Iterable[Resource], models: Iterable[ModelRecord]) -> Iterator[str]:
    yield HEADER
    pictures = f"{count} picture{'' if count == 1 else 's'}"
    yield f"# session {visible(session.keeper.session_name)}: {pictures}, invoke_shell {__version__}"
    yield from (f"# {model.kind} {visible(model.text)} {model.hash}".rstrip() for model in models)
    yield from (f"# source {s.hash} {s.width}x{s.height} {visible(s.name)}".rstrip() for s in sources)


def _body(
    session: Session, rows: Sequence[ResultRow], steps: Sequence[StepRecord], files: dict[str, Path]
) -> Iterator[str]:
    """The lines, each group under a comment with what was typed; a picture that alone had a name has it there too."""
    recalled = recall_all(steps, session.registry, AsRecorded())
    if recalled.missing:
        raise BlockedError("; ".join(recalled.missing), code="missing-input")
    by_step: dict[str, list[ResultRow]] = {}
    for row, step in zip(rows, steps, strict=True):
        by_step.setdefault(step.key, []).append(row)
    by_call = dict(zip(recalled.plan.results, by_step.values(), strict=True))
    names = {call: next((row.name for row in same if row.name), "") for call, same in by_call.items()}
    calls = tuple(replace(c, name=names.get(c.id, "")) for c in recalled.plan.calls)
    line = 0
    for call, text in resolved_lines(replace(recalled.plan, calls=calls), session.registry):
        made = by_call.get(call)
        if made is not None and made[0].line != line:
            line = made[0].line
            typed = session.keeper.store.line(line)
            yield from ("", f"# {visible(typed.text)}") if typed is not None else ("",)
        yield _with_paths(text, files)


def _with_paths(text: str, files: dict[str, Path]) -> str:
    """A line with the hashes of sources replaced by the files beside it."""
    for digits, path in files.items():
        word = quote_word(f"{path.parent.name}/{path.name}")
        words = re.split(rf"(?<!\S){re.escape(short_hash(digits))}(?!\S)", text)
        text = word.join(words)
    return text


def _resources(steps: Iterable[StepRecord]) -> tuple[list[Resource], list[ModelRecord]]:
    """Sources and models of histories, each once, in the order they are met."""
    sources: dict[str, Resource] = {}
    models: dict[str, ModelRecord] = {}
    for last in steps:
        for step in topological(last):
            for model in step.models.values():
                models.setdefault(f"{model.kind} {model.text} {model.hash}", model)
            for items in step.inputs.values():
                for item in items:
                    if isinstance(item, Resource):
                        sources.setdefault(item.hash, item)
    return list(sources.values()), list(models.values())


def _copied(session: Session, sources: Iterable[Resource], path: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Sources and masks as PNG files in a folder beside the file, by their hash; and those that are not here."""
    from invoke_shell.metadata.png import encode

    folder = path.with_name(f"{path.stem}-files")
    files: dict[str, Path] = {}
    missing: list[str] = []
    for source in sources:
        found = session.keeper.pixels(source.hash)
        if found is None:
            missing.append(short_hash(source.hash))
            continue
        image = found.image if found.image is not None else read_image(Path(found.path))[0]
        name = slug(Path(source.name).stem, 40) or "source"
        digits = source.hash.removeprefix("blake3:")[:DIGITS]
        target = folder / f"{name}-{digits}.png"
        if target.exists() and read_image(target)[0].hash == image.hash:
            files[source.hash] = target
            continue
        files[source.hash] = write_new(encode(image), target, tag=f"export-{digits}", exactly=True)
    return files, tuple(missing)
