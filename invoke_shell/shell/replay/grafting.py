"""`load_image --graft`: a file's own history goes on, as a handle's does, where its pixels are the recorded ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError, Fault, MetadataError
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.read import read_picture
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.chain import Chain, Stage
from invoke_shell.pipeline.facts import Given
from invoke_shell.pipeline.types import Handle, Pattern
from invoke_shell.shell.archive.given import flows_of, input_ref
from invoke_shell.shell.gather import Gatherer
from invoke_shell.shell.replay.sources import bring_in

if TYPE_CHECKING:
    from invoke_shell.shell.workbench import Workbench

__all__ = ["grafted"]


def grafted(bench: Workbench, chain: Chain, gatherer: Gatherer) -> tuple[Chain, Mapping[str, tuple[Given, ...]]]:
    """The chain with each `load_image --graft` as if the files were results, and what they give by the word for each.

    Raises BlockedError for a file without a history, or whose pixels are not those of its history.
    """
    found: dict[str, tuple[Given, ...]] = {}
    stages = list(chain.stages)
    for place, stage in enumerate(stages):
        if stage.node == bench.registry.loader and _asked(stage):
            paths = _paths(chain, stage, gatherer)
            found |= {str(path): (_given(bench, chain, stage, path),) for path in paths}
            stages[place] = replace(stage, node="", values={}, handles=tuple(Handle(str(path)) for path in paths))
    return replace(chain, stages=tuple(stages)), found


def _asked(stage: Stage) -> bool:
    return "graft" in stage.values and bool(stage.values["graft"].value)


def _paths(chain: Chain, stage: Stage, gatherer: Gatherer) -> list[Path]:
    value = stage.values["image"].value
    paths: list[Path] = []
    for item in value if isinstance(value, tuple) else (value,):
        if isinstance(item, Pattern):
            paths += gatherer.matches(str(item))
        elif isinstance(item, Path) and str(item) != "-":
            paths.append(gatherer.path(str(item)))
        else:
            hint = f"begin with {item}: a result brings its history" if isinstance(item, Handle) else "name its file"
            raise _refused(chain, stage, f"--graft is for files, and {item} is none", hint)
    return paths


def _given(bench: Workbench, chain: Chain, stage: Stage, path: Path) -> Given:
    """A file with its history."""
    name = visible(str(path))
    plain = "without --graft it is taken as it is"
    info = read_picture(path)
    try:
        step = info.step()
    except MetadataError as error:
        raise _refused(chain, stage, f"{name} has no history to go on with: {error.message}", plain) from None
    image, resource = read_image(path)
    if image.hash != step.output_hash:
        why = "was edited since it was made" if info.form.lossless else "lost some of its pixels when it was written"
        raise _refused(chain, stage, f"{name} {why}: its history does not give these pixels", plain)
    for sentence in bring_in(bench.keeper, path, info, step):
        bench.view.say(sentence)
    return Given(ref=input_ref(resource, path), step=step, values=flows_of(step, bench.registry))


def _refused(chain: Chain, stage: Stage, message: str, hint: str) -> BlockedError:
    fault = Fault(*chain.local(stage.span), message, hint, "no-metadata")
    return BlockedError(message, hint=hint, code="no-metadata", source=chain.source, faults=[fault])
