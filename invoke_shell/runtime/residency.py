"""Keeps loaded models while they fit into a budget of memory; the longest unused goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

__all__ = ["Residency"]


class Sized(Protocol):
    """Something loaded, with the bytes its tensors take."""

    @property
    def bytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class Residency:
    """Loaded models by key. budget: bytes they may take together; one alone may take more.

    A model that goes is dropped, not parked: on a CPU there is nowhere to park it.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._held: OrderedDict[str, Sized] = OrderedDict()

    def get(self, key: str, load: Callable[[], T], expected: int = 0) -> T:
        """The model of this key, loaded if it is not here.

        expected: bytes the loaded one will take as far as known; room is made before it is loaded.
        """
        if key not in self._held:
            self._make_room(expected)
            self._held[key] = load()
            self._make_room(0, but=key)
        self._held.move_to_end(key)
        return self._held[key]  # type: ignore[return-value]

    def drop_others(self, key: str) -> None:
        """Keep only this one: memory ran out."""
        for other in [k for k in self._held if k != key]:
            del self._held[other]

    @property
    def keys(self) -> list[str]:
        """What is here, the longest unused first."""
        return list(self._held)

    def _make_room(self, wanted: int, but: str = "") -> None:
        while sum(m.bytes for m in self._held.values()) + wanted > self.budget:
            oldest = next((key for key in self._held if key != but), None)
            if oldest is None:
                return
            del self._held[oldest]
