"""How many pictures a command file will make, before its first line runs: each line planned, its handles played."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import InvokeShellError
from invoke_shell.pipeline.calls import Call
from invoke_shell.pipeline.chain import Chain
from invoke_shell.pipeline.plan import Facts, Given, InputRef, Plan, needs, plan
from invoke_shell.pipeline.types import Seed
from invoke_shell.shell.answers.explain import drawn
from invoke_shell.shell.archive.handles import NAME, between

if TYPE_CHECKING:
    from invoke_shell.shell.workbench import Workbench

__all__ = ["Count", "gathered"]

BACK = re.compile(r"@-(\d+)(?:\.\.-(\d+))?")
NOBODYS = InputRef(hash="blake3:" + "0" * 64, width=8, height=8)  # stands for a picture that is not there yet


def gathered(session: Workbench, chain: Chain) -> Facts:
    """The models and files of a line; its handles may be made by the lines before it. Raises BlockedError."""
    from invoke_shell.shell.gather import Gatherer

    wanted = needs(chain, session.registry, session.settings.values())
    return Gatherer.of(session).facts(chain, tuple(n for n in wanted if n.what not in ("handle", "last")))


class Count:
    """Goes through a file's lines in order. pictures: of all lines so far, 0 from the first that cannot be counted."""

    def __init__(self, session: Workbench) -> None:
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
            made = self.foresee(chain, facts)
        except InvokeShellError:  # what is wrong is told when the line runs
            self.known, self.pictures = False, 0
            return
        self.pictures += len(made.results)

    def foresee(self, chain: Chain, facts: Facts) -> Plan:
        """The plan of one more line, over pictures that are not there yet. Raises InvokeShellError."""
        made = self._planned(chain, facts)
        self._play(made)
        return made

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
        fresh_seeds = drawn(made, self.session.registry)
        givens = {
            i: Given(ref=NOBODYS, values=_known(made.calls[i], i in fresh_seeds), handle=_called(made.calls[i]))
            for i in made.results
        }
        self.all += givens.values()
        end = made.calls[made.results[-1]].stage if made.results else -1
        self.last = [given for i, given in givens.items() if made.calls[i].stage == end] or self.last
        fresh: dict[str, list[Given]] = {}
        for i, given in givens.items():
            if made.calls[i].name:
                fresh.setdefault(made.calls[i].name, []).append(given)
        self.names |= fresh


def _known(call: Call, drawn: bool) -> dict[str, Any]:
    """The values that follow from a picture; a seed that a run will draw is none yet."""
    return {name: value for name, value in call.flows.items() if not (drawn and isinstance(value, Seed))}


def _called(call: Call) -> str:
    return f"@{call.name}" if call.name else "(of a line before)"
