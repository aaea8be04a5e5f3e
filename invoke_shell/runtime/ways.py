"""How a picture is brought into memory: the VAE in tiles or whole, the model on its device or waiting beside it.

No torch here. What is slower comes later: a run begins with the first way that the policy allows, and goes one further
when memory runs out, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from invoke_shell.runtime.policy import Policy

__all__ = ["Way", "cheaper", "first_way"]

SAID = {
    "none": "",
    "model": "the parts of the model waiting in main memory for their turn",
    "group": "each layer of the model waiting in main memory for its turn",
}


@dataclass(frozen=True, kw_only=True)
class Way:
    """tiled: the VAE works in tiles, which changes pixels a little. offload: what waits in main memory, which changes
    none: `model` whole networks, `group` layers. again: it is the second try.
    """

    tiled: bool = False
    offload: Literal["none", "model", "group"] = "none"
    again: bool = False

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is recorded of it."""
        tiled = {"vae": "tiled: memory ran out" if self.again else "tiled"} if self.tiled else {}
        return {**tiled, **({"offload": self.offload} if self.offload != "none" else {})}

    @property
    def said(self) -> str:
        """The line for the second try."""
        parts = ["the VAE in tiles" if self.tiled else "", SAID[self.offload]]
        return f"memory ran out; once more with {' and '.join(p for p in parts if p)}"


def first_way(policy: Policy, *, on_cpu: bool, weights: int, largest: int, budget: int) -> Way:
    """The way a policy asks for, in bytes. weights: of a model, largest: its largest part, budget: the device's."""
    tiled = policy.tiling == "on"
    if policy.offload != "auto":
        return Way(tiled=tiled, offload=policy.offload)
    if on_cpu or weights <= budget:
        return Way(tiled=tiled)
    return Way(tiled=tiled, offload="model" if largest <= budget else "group")


def cheaper(way: Way, *, on_cpu: bool) -> Way | None:
    """The next way when memory ran out; None behind the last. On a CPU nothing waits elsewhere."""
    if way.offload == "group" or (on_cpu and way.tiled):
        return None
    if on_cpu and way.offload == "none":
        return replace(way, tiled=True, again=True)
    return Way(tiled=True, offload="model" if way.offload == "none" else "group", again=True)
