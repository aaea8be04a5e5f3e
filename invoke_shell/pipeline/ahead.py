"""What a node will ask of the engine, learned before it is run: so that pictures can be drawn together.

The node's function is begun with a context that only listens, and left where it asks for a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from invoke_shell.pipeline.context import Ask, Generation
from invoke_shell.pipeline.node import Node
from invoke_shell.records import Image

__all__ = ["asks_for_pictures", "request_of"]


class _Asked(Exception):
    def __init__(self, request: Generation) -> None:
        self.request = request


class _Listener:
    """A Context and an Engine that hear the first request."""

    device = "cpu"

    @property
    def engine(self) -> Any:
        return self

    def generate(self, request: Generation) -> NoReturn:
        raise _Asked(request)

    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        """Nobody is told."""

    def say(self, text: str) -> None:
        """It is said when the node is run."""

    def ask(self, request: Ask) -> None:
        """Nothing is saved or shown."""


def asks_for_pictures(node: Node[Any, Any]) -> bool:
    """Whether a node draws with a model and a seed: the others are not begun in vain."""
    kinds = [p.kind for p in node.params.values()]
    return node.context and any(k.model == "checkpoint" for k in kinds) and any(k.is_seed for k in kinds)


def request_of(run: Callable[[Any], Any]) -> Generation | None:
    """The first request that `run(context)` makes; None when it makes none, or fails: the real run will say why."""
    try:
        for _ in _each(run(_Listener())):
            return None
    except _Asked as asked:
        return asked.request
    except Exception:
        return None
    return None


def _each(result: Any) -> Iterator[Any]:
    if isinstance(result, Iterable):
        yield from result
