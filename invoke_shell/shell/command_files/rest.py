"""The rest of a line that ended early, from the plan that was stored before its first step."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError, InvokeShellError
from invoke_shell.shell.archive.store import LineRow, ResultRow
from invoke_shell.shell.display.view import Where

if TYPE_CHECKING:
    from invoke_shell.pipeline.facts import Given, InputRef
    from invoke_shell.records import ModelRecord
    from invoke_shell.shell.session import Session

__all__ = ["resume_line"]


def resume_line(session: Session, line: LineRow, where: Where) -> None:
    """Make what is missing of a line, from the plan that was stored before its first step. Raises InvokeShellError."""
    from invoke_shell.pipeline.stored import from_plain, remaining
    from invoke_shell.shell.running import Early

    session.be_in(line.session)
    store = session.keeper.store
    stored = json.loads(store.plan(line.id) or "{}")
    made = from_plain(stored, session.registry, _Here(session))
    finished = store.made_by_line(line.id)
    rows = {row.place: row for row in finished}
    if len(rows) < len(finished) or any(place >= len(made.results) for place in rows):
        message = "a step of this line gives several pictures, and what is missing of them cannot be told"
        raise BlockedError(message, hint="again runs the line from its beginning", code="missing-input")
    done = {place: _giver(session, row) for place, row in rows.items()}
    rest, places = remaining(made, done, session.registry)
    early = Early(line=line.id, places=places, pictures=len(made.results))
    session.run_plan(rest, where, early=early)


def _giver(session: Session, row: ResultRow) -> Callable[[], Given | None]:
    """A finished result, read when a later step needs it; None when its file is gone."""

    def give() -> Given | None:
        try:
            return session.keeper.given(row)
        except InvokeShellError:
            return None

    return give


class _Here:
    """Finds what a stored plan names in this home."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def handle(self, text: str) -> list[Given]:
        return self.session.keeper.handle(text)

    def pixels(self, digits: str) -> InputRef | None:
        return self.session.keeper.pixels(digits)

    def model(self, text: str, kind: str) -> ModelRecord:
        return self.session.catalogue.find(text, kind)
