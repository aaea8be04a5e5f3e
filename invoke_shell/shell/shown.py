"""A line of handles alone: their pictures are shown again as they were when they were made, and may get a name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from invoke_shell.metadata.decode import read_image
from invoke_shell.pipeline.chain import Chain
from invoke_shell.pipeline.events import ChainDone, ChainStarted
from invoke_shell.shell.display.view import Result, Where

if TYPE_CHECKING:
    from invoke_shell.shell.archive.store import ResultRow
    from invoke_shell.shell.workbench import Workbench

__all__ = ["is_only_handles", "show_again"]


def is_only_handles(chain: Chain) -> bool:
    """Whether nothing in a line makes or changes a picture."""
    return bool(chain.stages) and not chain.continues and not any(stage.node for stage in chain.stages)


def show_again(bench: Workbench, chain: Chain, where: Where) -> None:
    """Tell the results of a line of handles, each once. Raises BlockedError for those that are not there."""
    named = [row for stage in chain.stages for handle in stage.handles for row in bench.keeper.rows(handle.text)]
    rows = list({row.n: row for row in named}.values())
    name = chain.stages[-1].name
    told = [_result(bench, row, where, name or row.name) for row in rows]
    if name:
        bench.keeper.give_name(name, [row.n for row in rows], chain.source)
    bench.view.event(ChainStarted(stages=(), pictures=len(told)))
    for result in told:
        bench.view.result(result)
    bench.view.event(ChainDone(pictures=len(told), seconds=0.0))


def _result(bench: Workbench, row: ResultRow, where: Where, name: str) -> Result:
    return Result(
        n=row.n,
        path=str(row.trashed or row.path),
        image=read_image(bench.keeper.results.data(row), row.path.name)[0],
        seed=row.seed,
        seconds=row.seconds,
        session=bench.keeper.store.session(row.session).name,
        command=str(json.loads(row.metadata or "{}").get("command", "")),
        line=where.line,
        name=name,
        parents=row.parents,
    )
