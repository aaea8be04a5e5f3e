"""Nodes that bring pictures in and ask the shell to write them out."""

from invoke_shell.commands.params import Embed, Graft, Picture, Target
from invoke_shell.pipeline.context import Ask, Context
from invoke_shell.pipeline.node import node
from invoke_shell.records import Frame, Image

__all__ = ["load_image", "save"]


@node(
    version=1,
    group="files",
    examples=["load_image a.png | blur", "load_image a.png b.png | contact_sheet", "load_image a.png --embed | blur"],
)
def load_image(image: Picture, *, embed: Embed = False, graft: Graft = False) -> Image:
    """Bring picture files into a chain, one picture each.

    The first frame, turned as its EXIF says, in sRGB, 8 bits a channel. `-` reads a PNG from standard input.
    """
    return image


@node(version=1, group="files", stage_only=True, examples=["@-1 | save copy.png", "@-1 | save friend.webp --embed"])
def save(ctx: Context, frame: Frame, path: Target, *, embed: Embed = False) -> None:
    """Write a copy of each picture to a file of your choice.

    Nothing is overwritten. Every result has a file already; this is for another place, name or format: a.png, a.jpg
    or a.webp. `-` writes a PNG to standard output.
    """
    ctx.ask(Ask(what="save", frame=frame, path=path, options={"embed": embed}))
