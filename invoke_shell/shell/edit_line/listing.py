"""What a value may be, for completion: models, picture files, handles, seeds, settings. Looked up once a prompt."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import InvokeShellError
from invoke_shell.metadata.visible import visible
from invoke_shell.models.files import PICKLES, WEIGHTS
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.shell.settings import SHELL
from invoke_shell.shell.wildcards import Wildcards

if TYPE_CHECKING:
    from invoke_shell.pipeline.chain import Value
    from invoke_shell.shell.archive.store import ResultRow, Store
    from invoke_shell.shell.session import Session

__all__ = ["PICTURES", "Listing", "recent"]

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jxl")
HANDLES = 20  # earlier results that are offered
SEEDS = 5
FOLDERS = ("/",)  # an ending that no file has
NAMES = 8
SPREAD = 10  # numbers looked at for each result that is found: some are lost or discarded
ENTRIES = 2000  # of a folder; more are not looked at while somebody types

Rows = list[tuple[str, str]]  # (word, note)


class Listing:
    """The values of one session. `forget` after each line: then they are looked up again."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._known: dict[object, Rows] = {}

    def forget(self) -> None:
        """What was looked up may have changed."""
        self._known.clear()

    def values(
        self, node: Node[Any, Any] | None, p: Param, prefix: str, typed: Mapping[str, Value] | None = None
    ) -> Iterable[tuple[str, str]]:
        """The words that `p` of `node` may have, with a note each. typed: what other parameters have already."""
        if node is not None and (node.name, p.name) == ("models", "what"):
            return self._for_models({name: value.value for name, value in (typed or {}).items()}, prefix)
        if node is not None and node.builtin and (found := self._of_builtin(node.name, p.name, prefix)) is not None:
            return found
        if p.kind.is_switch:
            return [("on", ""), ("off", "")]
        if p.kind.model:
            return self._once(("model", p.kind.model), lambda: self._models(p.kind.model))
        if p.kind.picture:
            return [*(self.handles() if not prefix or prefix.startswith("@") else ()), *self.files(prefix, PICTURES)]
        if p.arg.prompt:
            return self._once("wildcards", self._wildcards)
        if p.kind.is_seed:
            return self._once("seeds", self._seeds)
        return self.files(prefix) if "path" in p.kind.label else []

    def _of_builtin(self, command: str, name: str, prefix: str) -> Iterable[tuple[str, str]] | None:
        if command == "help":
            return [*((n.name, n.summary) for n in self.session.registry.values()), *self._topics()]
        if (command, name) == ("nodes", "name"):
            return [(n.name, n.summary) for n in self.session.registry.values() if not n.builtin]
        if (command, name) == ("models", "hash"):
            from invoke_shell.models.onepass import algorithms

            return [(algorithm, "") for algorithm in algorithms()]
        if (command, name) in (("set", "name"), ("unset", "name")):
            return self._settings(given=command == "unset")
        if (command, name) == ("sessions", "name"):
            return self._once("sessions", self._sessions)
        if (command, name) == ("resume", "what"):
            return self._once("left", self._left)
        if name == "handles":
            return self.handles()
        if name == "what":
            return [*self.handles(), *self.files(prefix, PICTURES)]
        return None

    def abbreviations(self) -> dict[str, str]:
        """Short words and what they stand for; none of a store that cannot be read: a line will say so."""
        return dict(self._once("abbreviations", self._abbreviations))

    def _abbreviations(self) -> Rows:
        try:
            return list(self.session.keeper.store.abbreviations().items())
        except InvokeShellError:
            return []

    # -- what there is -----------------------------------------------------------------------------------------------

    def handles(self) -> Rows:
        """Earlier results of this home, the newest first, each with the line that made it."""
        return self._once("handles", self._handles)

    def _handles(self) -> Rows:
        rows = recent(self.session.keeper.store, HANDLES)
        several = [("@-1", "the last result"), ("@@", "all results of the last line")] if rows else []
        keeper = self.session.keeper
        if kept := len(keeper.store.kept(keeper.session.id)):
            several.append(("@kept", f"{kept} kept picture{'' if kept == 1 else 's'}"))
        several += [(f"@{name}", "a name of this session") for name in keeper.store.names(keeper.session.id)[:NAMES]]
        lines: dict[int, str] = {}
        for row in rows:
            if row.line not in lines:
                line = self.session.keeper.store.line(row.line)
                lines[row.line] = visible(line.text) if line else ""
        return [*several, *((row.handle, lines[row.line]) for row in rows)]

    def _sessions(self) -> Rows:
        store = self.session.keeper.store
        used = [s for s in store.sessions() if store.was_used(s.id)][:HANDLES]
        return [(s.name, f"{store.count(s.id)} pictures") for s in used]

    def _left(self) -> Rows:
        from invoke_shell.shell.command_files.resuming import left

        return [
            (one.key, f"{one.progress}  {one.what if one.line else ''}".rstrip())
            for one in left(self.session.keeper.store)
        ]

    def _wildcards(self) -> Rows:
        return [(f"__{name}__", "") for name in Wildcards(self.session.home.wildcards).names()]

    def _seeds(self) -> Rows:
        used = {
            str(row.seed): row.handle
            for row in reversed(recent(self.session.keeper.store, HANDLES))
            if row.seed is not None
        }
        offered = [(seed, f"of {handle}") for seed, handle in reversed(used.items())]
        return [("random", "a drawn one"), *offered[:SEEDS]]

    def _models(self, kind: str) -> Rows:
        return [(e.name, e.note) for e in self.session.catalogue.entries(kind)]

    def _for_models(self, typed: Mapping[str, Any], prefix: str) -> Rows:
        """What an action of `models` is done to."""
        from invoke_shell.models.finding import KINDS

        action, words = typed.get("action", "list"), typed.get("what", ())
        if action == "list":
            return [(kind, called) for kind, called in KINDS.items() if kind not in words]
        if action in ("add", "scan", "convert"):
            return self.files(prefix, {"add": WEIGHTS, "convert": PICKLES}.get(action, FOLDERS))
        if action == "rename" and [word for word in words if word != prefix]:
            return []
        kind = typed.get("kind") or ""
        return [row for row in self._once(("entries", kind), lambda: self._entries(kind)) if row[0] not in words]

    def _entries(self, kind: str) -> Rows:
        found = self.session.catalogue.entries(kind)
        return [(e.name, "  ".join(part for part in (e.kind, e.note) if part)) for e in found]

    def _topics(self) -> Rows:
        """What help knows besides commands."""
        from invoke_shell.shell.answers.pages import GROUPS, TOPICS

        settings = ((name, p.arg.help) for name, p in SHELL.items())
        about = [("schedulers", "Every scheduler, with what it is good for."), *((t, "a page") for t in TOPICS)]
        return [*about, *((word, title) for word, title in GROUPS.items()), *settings]

    def _settings(self, *, given: bool) -> Rows:
        settings = self.session.settings
        names = settings.session if given else [n for n in settings.params if "." not in n]
        return sorted((n, settings.params[n].arg.help) for n in names)

    def files(self, prefix: str, endings: tuple[str, ...] = ()) -> Rows:
        """Files and folders that a typed path may become; with `endings` only files that have one."""
        folder, _, start = prefix.rpartition("/")
        there = f"{folder}/" if "/" in prefix else ""
        return [
            (there + name, "")
            for name, _ in self._once(("folder", there), lambda: [(e, "") for e in _entries(there or ".")])
            if name.startswith(start)
            and (start.startswith(".") or not name.startswith("."))
            and (name.endswith("/") or not endings or name.lower().endswith(endings))
        ]

    def _once(self, key: object, look: Callable[[], Rows]) -> Rows:
        if key not in self._known:
            self._known[key] = look()
        return self._known[key]


def recent(store: Store, count: int) -> list[ResultRow]:
    """The newest results of the home, at most `count`; none of a store that cannot be read: a line will say so."""
    try:
        last = store.last_number()
        return store.between(last, max(1, last - SPREAD * count))[:count] if last else []
    except InvokeShellError:
        return []


def _entries(folder: str) -> Iterator[str]:
    """Names in a folder in order, folders with a slash; none where it cannot be read."""
    try:
        with os.scandir(Path(folder).expanduser()) as found:
            entries = [entry for entry, _ in zip(found, range(ENTRIES), strict=False)]
    except OSError:
        return
    for entry in sorted(entries, key=lambda e: e.name.lower()):
        yield entry.name + ("/" if _is_folder(entry) else "")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False
