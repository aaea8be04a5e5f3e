"""Finding what a recorded picture needs: its record, its models by hash, its sources by their pixels. Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.jpeg_webp import PNG, Form
from invoke_shell.metadata.read import PictureInfo, read_picture
from invoke_shell.metadata.replay import Recalled, recall
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.facts import InputRef
from invoke_shell.pipeline.registry import Registry
from invoke_shell.records import Image, Json, ModelRecord, Resource, StepRecord

if TYPE_CHECKING:
    from invoke_shell.metadata.foreign.line import Line
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.pipeline.param import Param
    from invoke_shell.pipeline.plan import Call
    from invoke_shell.shell.archive.keeper import Keeper
    from invoke_shell.shell.replay.foreign_models import Asked
    from invoke_shell.shell.workbench import Workbench

__all__ = [
    "Target",
    "find_target",
    "foreign_line",
    "foreign_of",
    "is_own",
    "recalled_here",
    "recalled_text",
    "short_text",
    "unreadable",
]

_SPOKEN = {"checkpoint": "model", "lora": "LoRA", "vae": "VAE"}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A picture to be made again: its history, and its pixels when its file is there. data: the record, as read."""

    label: str
    step: StepRecord
    image: Image | None = None
    form: Form = PNG
    warnings: tuple[str, ...] = ()
    data: Mapping[str, Json] = field(default_factory=dict, repr=False)


def recalled_text(registry: Registry, step: StepRecord) -> str:
    """The lines that make a picture, from its record alone."""
    return recall(step, registry, AsRecorded()).text(registry)


def unreadable(registry: Registry, step: StepRecord) -> tuple[str, ...]:
    """Why no lines make a picture, wherever it is: nodes that are not here, values that are none."""
    return recall(step, registry, AsRecorded()).missing


def short_text(bench: Workbench, step: StepRecord) -> str:
    """The lines that make a picture in this session, without the values that untyped would be the same here.

    With something missing here: the whole lines, from the record alone.
    """
    recalled = recalled_here(bench, step)
    if recalled.missing:
        return recalled_text(bench.registry, step)
    chosen = bench.settings.values()

    def unsaid(call: Call, p: Param) -> bool:
        given = {p.name, f"{call.node}.{p.name}"} & chosen.keys()
        advised = p.name in getattr(call.params.get("model"), "advice", ())
        piped = p.arg.follows and call.inputs
        return call.params[p.name] == p.default and not (given or advised or piped)

    return recalled.text(bench.registry, unsaid)


def recalled_here(bench: Workbench, step: StepRecord) -> Recalled:
    """The plan that makes a recorded picture again, models and sources looked up in this home."""
    here = Here(bench.catalogue, bench.keeper)
    recalled = recall(step, bench.registry, here)
    return replace(recalled, missing=(*recalled.missing, *here.unread)) if here.unread else recalled


def find_target(bench: Workbench, word: str) -> Target:
    """The picture a word names: a file, or a handle, whose record outlives its file. Raises InvokeShellError."""
    if word.startswith("@"):
        row = bench.keeper.row(word)
        if not row.path.exists():
            return Target(label=word, step=from_metadata(loads(row.metadata)), warnings=(f"{word}'s file is gone",))
        path = row.path
    else:
        path = Path(word).expanduser()
    from invoke_shell.metadata.decode import read_image
    from invoke_shell.shell.replay.sources import bring_in

    info = read_picture(path)
    step = info.step()
    image, _ = read_image(path)
    for sentence in bring_in(bench.keeper, path, info, step):
        bench.view.say(sentence)
    return Target(label=word, step=step, image=image, form=info.form, warnings=info.warnings, data=info.data or {})


def is_own(bench: Workbench, target: Target) -> bool:
    """True for a picture that this home made, by its whole history: a stranger's file may say any hash."""
    rows = bench.keeper.store.with_pixels(target.step.output_hash)
    return any(from_metadata(loads(row.metadata)) == target.step for row in rows)


def foreign_of(bench: Workbench, word: str) -> Line | None:
    """The line of another program's picture; None for our own, and for what cannot be read. Raises as read_picture."""
    return None if word.startswith("@") else foreign_line(bench, read_picture(Path(word).expanduser()))


def foreign_line(bench: Workbench, info: PictureInfo, asked: Asked | None = None) -> Line | None:
    """The line of a picture that another program made, and of what it names that is not here.

    asked: what was asked for the pictures before it.
    """
    if info.foreign is None:
        return None
    from invoke_shell.metadata.foreign.line import to_line
    from invoke_shell.shell.replay.foreign_models import Asked, named_here

    asked = asked or Asked(bench.catalogue)
    line = to_line(named_here(info.foreign, asked), bench.registry)
    return line._replace(missing=(*line.missing, *_absent(asked, line)))


def _absent(asked: Asked, line: Line) -> Iterator[str]:
    """Models of a line that no folder of this home has."""
    for kind, names in line.models.items():
        for name in names:
            if name not in asked.texts(kind):
                yield f"there is no {_SPOKEN.get(kind, kind)} {visible(name)} here"


class AsRecorded:
    """A Finder that believes the record: for text, where nothing runs."""

    def model(self, record: ModelRecord) -> ModelRecord:
        return record

    def picture(self, resource: Resource) -> InputRef:
        return InputRef(hash=resource.hash, width=resource.width, height=resource.height, mode=resource.mode)


class Here:
    """A Finder over this home: models by hash, by their weights, then by name; pictures by hash."""

    def __init__(self, catalogue: Catalogue, keeper: Keeper) -> None:
        self.catalogue = catalogue
        self.keeper = keeper
        self.unread: dict[str, None] = {}  # sentences on where else a model may be

    def model(self, record: ModelRecord) -> ModelRecord | None:
        found = self.catalogue.by_hash(record.hash, record.kind) if record.hash else None
        if found is None and "weights" in record.hashes:
            from invoke_shell.models.weighing import same_model

            found = same_model(self.catalogue, record)
        if found is not None:
            return found
        if (named := next(self.named(record), None)) is None:
            from invoke_shell.models.words import unread

            self.unread |= {s: None for s in [unread(self.catalogue.entries(record.kind))] if s}
        return named

    def named(self, record: ModelRecord) -> Iterator[ModelRecord]:
        for candidate in self.catalogue.all(record.kind):
            if candidate.name == record.name:
                yield self.catalogue.find(candidate.path, record.kind)

    def picture(self, resource: Resource) -> InputRef | None:
        found = self.keeper.pixels(resource.hash)
        # What is recorded again must be what was recorded: the base name and how the file was read.
        return found and replace(found, name=resource.name, file_hash=resource.file_hash, facts=resource.facts)
