"""invoke_shell: a pipe-style command line for Stable Diffusion. Public names for node authors.

    from invoke_shell import Arg, Context, Frame, Image, node

They are loaded when first asked for, so that `invoke-shell --version` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invoke_shell.errors import InvokeShellError as InvokeShellError
    from invoke_shell.errors import RunError as RunError
    from invoke_shell.pipeline.context import Context as Context
    from invoke_shell.pipeline.context import Enlargement as Enlargement
    from invoke_shell.pipeline.context import Generation as Generation
    from invoke_shell.pipeline.node import Arg as Arg
    from invoke_shell.pipeline.node import node as node
    from invoke_shell.pipeline.types import Box as Box
    from invoke_shell.pipeline.types import Color as Color
    from invoke_shell.pipeline.types import Seed as Seed
    from invoke_shell.pipeline.types import Size as Size
    from invoke_shell.pipeline.types import Weighted as Weighted
    from invoke_shell.records import Frame as Frame
    from invoke_shell.records import Image as Image
    from invoke_shell.records import Made as Made
    from invoke_shell.records import Mask as Mask
    from invoke_shell.records import ModelRecord as ModelRecord

__version__ = "0.1.0"

_HOMES = {
    "Arg": "pipeline.node",
    "Box": "pipeline.types",
    "Color": "pipeline.types",
    "Context": "pipeline.context",
    "Enlargement": "pipeline.context",
    "Frame": "records",
    "Generation": "pipeline.context",
    "Image": "records",
    "InvokeShellError": "errors",
    "Made": "records",
    "Mask": "records",
    "ModelRecord": "records",
    "RunError": "errors",
    "Seed": "pipeline.types",
    "Size": "pipeline.types",
    "Weighted": "pipeline.types",
    "node": "pipeline.node",
}

__all__ = ["__version__", *_HOMES]  # names of the table above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
