"""Networks that wait in main memory for their turn, by hooks of accelerate and diffusers; no number changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

__all__ = ["attach"]


def attach(parts: Sequence[Any], device: torch.device, how: Literal["none", "model", "group"]) -> None:
    """From now on the parts, in the order of their use, come to the device when they are called.

    model: each whole, and the one before it goes. group: each layer by itself.
    """
    if how == "model":
        from accelerate import cpu_offload_with_hook

        before = None
        for part in parts:
            _, before = cpu_offload_with_hook(part, device, before)
    elif how == "group":
        from diffusers.hooks import apply_group_offloading

        for part in parts:
            apply_group_offloading(part, device, offload_device=torch.device("cpu"), offload_type="leaf_level")
