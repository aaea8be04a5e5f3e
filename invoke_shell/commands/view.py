"""Nodes that ask the shell to show pictures."""

from typing import Annotated

from invoke_shell.pipeline.context import Ask, Context
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.records import Frame

__all__ = ["show_image"]

Width = Annotated[int | None, Arg(help="Width in terminal columns.", unit="columns", ge=4, le=500, pixels=False)]


@node(version=1, group="view", stage_only=True, examples=["@-1 | show_image", "@1..3 | show_image --width 20"])
def show_image(ctx: Context, frame: Frame, *, width: Width = None) -> None:
    """Show each picture in the terminal, at a size of your choice."""
    ctx.ask(Ask(what="show", frame=frame, options={"width": width}))
