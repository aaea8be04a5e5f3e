"""Looks up what a line needs before any of it runs: handles, files, patterns, hashes, models; all faults at once."""

from __future__ import annotations

import glob
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from invoke_shell.errors import BlockedError, Fault, InvokeShellError
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.visible import visible
from invoke_shell.models.catalogue import Catalogue
from invoke_shell.pipeline.chain import Chain
from invoke_shell.pipeline.plan import Facts, Given, InputRef, Need, Needs
from invoke_shell.pipeline.registry import Registry
from invoke_shell.records import ModelRecord
from invoke_shell.shell.archive.given import input_ref
from invoke_shell.shell.wildcards import Wildcards

if TYPE_CHECKING:
    from invoke_shell.shell.workbench import Workbench

__all__ = ["Gatherer", "Pool", "matching"]


QUICK = 64_000_000  # bytes of a model that is read at once for its hash; a larger one is read beside the drawing


class Pool(Protocol):
    """Where earlier pictures are found."""

    def handle(self, text: str) -> list[Given]:
        """The results a handle names. Raises BlockedError."""
        ...

    def last(self) -> list[Given]:
        """All results of the last line that made any."""
        ...

    def pixels(self, digits: str) -> InputRef | None:
        """A picture of the person's by its pixel hash or the beginning of it."""
        ...


class Gatherer:
    """Gathers facts for chains. base: what relative paths are relative to (the command file's folder)."""

    def __init__(
        self, registry: Registry, pool: Pool, catalogue: Catalogue, wildcards: Wildcards, base: Path | None = None
    ) -> None:
        self.registry = registry
        self.pool = pool
        self.catalogue = catalogue
        self.wildcards = wildcards
        self.base = base

    @classmethod
    def of(cls, bench: Workbench) -> Gatherer:
        """The one that looks where a session looks."""
        lists = Wildcards(bench.home.wildcards)
        return cls(bench.registry, bench.keeper, bench.catalogue, lists, bench.base)

    def facts(self, chain: Chain, needs: Needs) -> Facts:
        """Everything found. Raises BlockedError with a fault for each thing that is missing."""
        handles: dict[str, tuple[Given, ...]] = {}
        pictures: dict[str, tuple[InputRef, ...]] = {}
        models: dict[tuple[str, str], ModelRecord] = {}
        wildcards: dict[str, tuple[str, ...]] = {}
        faults: list[tuple[Need, InvokeShellError]] = []
        last: tuple[Given, ...] = ()
        for need in needs:
            try:
                if need.what == "last":
                    last = tuple(self.pool.last())
                elif need.what == "handle":
                    handles[need.text] = tuple(self.pool.handle(need.text))
                elif need.what == "model":
                    models[(need.kind, need.text)] = self.catalogue.find(need.text, need.kind, read=QUICK)
                elif need.what == "wildcard":
                    wildcards |= self.wildcards.with_inner(need.text)
                else:
                    pictures[need.text] = tuple(self.pictures(need))
            except BlockedError as error:
                faults.append((need, error))
        if faults:
            raise _blocked(chain, faults)
        return Facts(handles=handles, last=last, pictures=pictures, models=models, wildcards=wildcards)

    def pictures(self, need: Need) -> Iterable[InputRef]:
        if need.what == "hash":
            found = self.pool.pixels(need.text)
            if found is None:
                message = f"no picture of yours has the hash {need.text}"
                raise BlockedError(message, hint="load_image FILE makes it known", code="missing-input")
            return [found]
        if need.what == "pattern":
            return [self.file(path) for path in self.matches(need.text)]
        if need.text == "-":
            return [standard_input()]
        return [self.file(self.path(need.text))]

    def path(self, text: str) -> Path:
        path = Path(text).expanduser()
        return self.base / path if self.base is not None and not path.is_absolute() else path

    def matches(self, pattern: str) -> list[Path]:
        """The files a pattern matches, sorted as people count: a2 before a10."""
        return matching(str(self.path(pattern)), pattern)

    @staticmethod
    def file(path: Path) -> InputRef:
        """A picture's file. Its name goes into records, so it has to be a text."""
        if any("\ud800" <= c <= "\udfff" for c in path.name):
            message = f"the name of {visible(str(path))} is no text in UTF-8"
            raise BlockedError(message, hint="rename it", code="missing-file")
        return input_ref(read_image(path)[1], path)


def matching(pattern: str, shown: str = "") -> list[Path]:
    """The files a pattern matches, sorted as people count. Raises BlockedError when there are none."""
    found = [Path(p) for p in glob.glob(pattern)]
    if not found:
        raise BlockedError(f"no file matches {visible(shown or pattern)}", code="missing-file")
    return sorted((p for p in found if p.is_file()), key=_natural)


def standard_input() -> InputRef:
    """A picture on standard input, kept in memory: it cannot be read twice."""
    if sys.stdin is None or sys.stdin.isatty():
        raise BlockedError("load_image - reads a picture from standard input, which is a terminal", code="missing-file")
    image, resource = read_image(sys.stdin.buffer.read(), "standard input")
    return input_ref(replace(resource, name=""), image=image)


def _natural(path: Path) -> list[tuple[int, Any]]:
    return [(0, int(part)) if part.isdigit() else (1, part.lower()) for part in re.split(r"(\d+)", str(path)) if part]


def _blocked(chain: Chain, faults: list[tuple[Need, InvokeShellError]]) -> BlockedError:
    """One error for all that is missing, with a caret under each typed word."""
    first = faults[0][1]
    marks = [
        Fault(*chain.local(need.span), error.message, error.hint, error.code)
        for need, error in faults
        if need.span is not None
    ]
    rest = [error.message for need, error in faults if need.span is None and error is not first]
    hint = "\n  ".join([h for h in (first.hint, *rest) if h])
    return BlockedError(first.message, hint=hint, code=first.code, source=chain.source, faults=marks)
