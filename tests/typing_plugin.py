"""A node as a plugin's author types it; test_inspector runs mypy --strict over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, assert_type

from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.node import Arg, Node, node
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Frame, Image, Made

Strength = Annotated[float, Arg(help="How much.", ge=0, le=1)]


@node
def negate(frame: Frame) -> Image:
    """Turn a picture into its negative."""
    return frame.image


@node(version=2, group="change", examples=["@-1 | tint --strength 0.5"])
def tint(ctx: Context, frame: Frame, *, strength: Strength = 0.5, size: Annotated[Size, Arg(help="Size.")] = Size(8, 8)) -> Iterator[Made]:  # fmt: skip # noqa: E501
    """Colour a picture."""
    ctx.say(f"{strength} of {size.width}")
    yield Made(image=frame.image)


def use(frame: Frame, ctx: Context) -> None:
    """A node is called as the function it is, and its arguments are checked."""
    assert_type(negate(frame), Image)
    assert_type(tint(ctx, frame, strength=0.2), Iterator[Made])
    negate("no frame")  # type: ignore[arg-type]
    tint(ctx, frame, strenght=0.2)  # type: ignore[call-arg]
    declared: Node[..., Iterator[Made]] = tint
    assert declared.name
