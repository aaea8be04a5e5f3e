"""Which commands there are: nodes from modules, plugins by entry point or as files. Nothing registers itself."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from invoke_shell.errors import DeclarationError, nearest
from invoke_shell.pipeline.node import Node
from invoke_shell.pipeline.node_files import node_files
from invoke_shell.records import digest

__all__ = ["GROUP", "Registry", "load_plugins"]

METADATA = (".dist-info", ".egg-info", ".egg")
SLOW = 1.0  # seconds that a plugin may take of every start before it is said
GROUP = "invoke_shell.nodes"  # entry-point group; each entry names a module


@dataclass(frozen=True)
class Registry(Mapping[str, Node[Any, Any]]):
    """Commands by name.

    implicit: the command of a line that begins with a quoted text. loader: the command `-I X` puts in front.
    old: words of other shells -> today's. warnings: one sentence for each plugin that could not be loaded.
    """

    nodes: Mapping[str, Node[Any, Any]]
    implicit: str = ""
    loader: str = ""
    old: Mapping[str, str] = ()  # type: ignore[assignment]  # an empty tuple is never looked into
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, *sources: ModuleType | Node[Any, Any], **options: Any) -> Registry:
        """A registry of every Node found in the modules, and of the nodes themselves. Raises DeclarationError."""
        nodes: dict[str, Node[Any, Any]] = {}
        for source in sources:
            for found in [source] if isinstance(source, Node) else _nodes_of(source):
                _join(nodes, found)
        return cls(nodes, **options)

    def with_plugins(self, folder: Path | None = None) -> Registry:
        """This registry and every plugin's nodes, and those of the files in `folder`.

        Two nodes of one name are an error naming both.
        """
        found, warnings = load_plugins(folder=folder)
        nodes = dict(self.nodes)
        for plugin in found:
            _join(nodes, plugin)
        return replace(self, nodes=nodes, warnings=(*self.warnings, *warnings))

    def __getitem__(self, name: str) -> Node[Any, Any]:
        return self.nodes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def suggest(self, word: str) -> str:
        """The hint for a word that is no command; "" when nothing is near."""
        if word in self.old:
            return f"today's word is {self.old[word]}"
        near = nearest(word, self.nodes)
        return f"did you mean {near}?" if near else ""


def _nodes_of(module: ModuleType) -> list[Node[Any, Any]]:
    """The nodes of a module's own package: one that is only imported there is somebody else's."""
    package = module.__name__.partition(".")[0]
    found = [value for value in vars(module).values() if isinstance(value, Node)]
    return [n for n in found if n.func.__module__.partition(".")[0] == package]


def _join(nodes: dict[str, Node[Any, Any]], found: Node[Any, Any]) -> None:
    there = nodes.get(found.name)
    if there is not None and there is not found:
        raise DeclarationError(
            f"two nodes are called {found.name}: one of {there.package}, one of {found.package}",
            hint='rename or remove one; INVOKE_SHELL_PLUGINS="" starts without plugins',
        )
    nodes[found.name] = found


def load_plugins(
    entries: Iterable[Any] | None = None, folder: Path | None = None
) -> tuple[list[Node[Any, Any]], list[str]]:
    """Nodes of installed plugins and of a folder's files, and a warning for each that cannot be loaded or has none.

    INVOKE_SHELL_PLUGINS="" switches all off; a comma list takes only those packages.
    """
    wanted = os.environ.get("INVOKE_SHELL_PLUGINS")
    if wanted is not None and not wanted.strip():
        return [], []
    taken = None if wanted is None else {name.strip() for name in wanted.split(",")}
    if entries is None:
        entries = (*_installed(), *node_files(folder))
    nodes: list[Node[Any, Any]] = []
    warnings: list[str] = []
    for entry in entries:
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.name
        if taken is not None and package.split()[0] not in taken:
            continue
        begun = time.perf_counter()
        try:
            thing = entry.load()
            found = [thing] if isinstance(thing, Node) else _nodes_of(thing)
            nodes += [replace(n, package=package, edition=_edition(n)) for n in found]
            if not found:
                warnings.append(f"plugin {package} has no node: a function with @node above it is one")
            elif (seconds := time.perf_counter() - begun) > SLOW:
                why = "what its functions need is better imported inside them"
                warnings.append(f"plugin {package} took {seconds:.1f} s of this start: {why}")
        except (Exception, SystemExit) as error:  # a plugin may raise anything; the shell must start all the same
            said = " ".join(f"{type(error).__name__}: {error}".split())
            warnings.append(f"plugin {package} cannot be loaded: {said}")
    return nodes, warnings


def _edition(found: Node[Any, Any]) -> str:
    """A digest of the file that a plugin's node was read from; "" when there is none."""
    try:
        return digest(Path(found.func.__code__.co_filename).read_bytes())
    except (AttributeError, OSError):
        return ""


def _installed() -> Iterable[Any]:
    """The entry points of installed plugins."""
    if "importlib.metadata" not in sys.modules and not announced(sys.path):
        return ()
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def announced(path: Iterable[str]) -> bool:
    """Whether a package on this path may name nodes of ours.

    Looks for the group's name in the packages' own lists: 1 ms, where importlib.metadata takes 38 to import and to read
    all there is, at every start, mostly to find nothing. What is no plain folder (a zip) is left to it: True.
    """
    for folder in path:
        try:
            with os.scandir(folder or ".") as entries:
                if any(_names_nodes(entry.path) for entry in entries if entry.name.endswith(METADATA)):
                    return True
        except NotADirectoryError:
            return True
        except OSError:
            continue  # a folder that is not there has no packages
    return False


def _names_nodes(package: str) -> bool:
    inside = "EGG-INFO/entry_points.txt" if package.endswith(".egg") else "entry_points.txt"
    try:
        with open(os.path.join(package, inside), "rb") as file:
            return GROUP.encode() in file.read()
    except NotADirectoryError:
        return package.endswith(".egg")  # a zipped one
    except OSError:
        return False
