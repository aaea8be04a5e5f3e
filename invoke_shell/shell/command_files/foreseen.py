"""How many pictures a command file will make, before its first line runs: each line planned, its handles played."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from invoke_shell.errors import InvokeShellError
from invoke_shell.pipeline.chain import Chain
from invoke_shell.pipeline.plan import Facts, Given, InputRef, Plan, needs, plan
from invoke_shell.shell.archive.handles import NAME, between

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["Count"]

BACK = re.compile(r"@-(\d+)(?:\.\.-(\d+))?")
NOBODYS = InputRef(hash="blake3:" + "0" * 64, width=8, height=8)  # stands for a picture that is not there yet


class Count:
    """Goes through a file's lines in order. pictures: of all lines so far, 0 from the first that cannot be counted."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.pictures = 0
        self.known = True
        self.all: list[Given] = []
        self.last: list[Given] = []
        self.names: dict[str, list[Given]] = {}

    def add(self, chain: Chain, facts: Facts) -> None:
        """One more line; facts: what was found for it, its handles left out."""
        if not self.known:
            return
        try:
            made = self._planned(chain, facts)
        except InvokeShellError:  # what is wrong is told when the line runs
            self.known, self.pictures = False, 0
            return
        self.pictures += len(made.results)
        self._play(made)

    def _planned(self, chain: Chain, facts: Facts) -> Plan:
        session, values = self.session, self.session.settings.values()
        wanted = [n.text for n in needs(chain, session.registry, values) if n.what == "handle"]
        last = self.last or (session.keeper.last() if chain.continues else [])
        facts = replace(facts, handles={text: tuple(self._handle(text)) for text in wanted}, last=tuple(last))
        return plan(chain, session.registry, facts, values, lambda: 0, keep_all=session.settings["keep"] == "all")

    def _handle(self, text: str) -> list[Given]:
        """The results that a handle will name; of earlier lines of the home what it names now."""
        if text == "@@" and self.last:
            return self.last
        if (name := NAME.fullmatch(text)) and name[1] in self.names:
            found = self.names[name[1]]
            places = [int(place) for place in name.groups()[1:] if place]
            return between(found, places) if places and 0 < min(places) <= max(places) <= len(found) else found
        if (back := BACK.fullmatch(text)) and max(int(back[1]), int(back[2] or 0)) <= len(self.all):
            first, last = int(back[1]), int(back[2] or back[1])
            found = self.all[len(self.all) - max(first, last) : len(self.all) - min(first, last) + 1]
            return found if first >= last else found[::-1]
        return self.session.keeper.handle(text)

    def _play(self, made: Plan) -> None:
        """What the handles of the lines after it will find."""
        givens = {i: Given(ref=NOBODYS, values=made.calls[i].flows) for i in made.results}
        self.all += givens.values()
        end = made.calls[made.results[-1]].stage if made.results else -1
        self.last = [given for i, given in givens.items() if made.calls[i].stage == end] or self.last
        fresh: dict[str, list[Given]] = {}
        for i, given in givens.items():
            if made.calls[i].name:
                fresh.setdefault(made.calls[i].name, []).append(given)
        self.names |= fresh
