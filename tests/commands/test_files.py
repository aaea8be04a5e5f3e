"""Nodes that bring in, write and show."""

from pathlib import Path

from command_kit import FakeContext, frame_of
from pipeline_kit import plain_image

from invoke_shell.commands.files import load_image, save
from invoke_shell.commands.view import show_image

PICTURE = plain_image(4, 4)


def test_load_image_hands_on_the_pixels_it_is_given():
    assert load_image(PICTURE) is PICTURE


def test_save_asks_the_shell_to_write():
    ctx, frame = FakeContext(), frame_of(PICTURE)

    save(ctx, frame, Path("copy.png"))

    assert [(a.what, a.frame, a.path) for a in ctx.asked] == [("save", frame, Path("copy.png"))]


def test_show_image_asks_the_shell_to_draw():
    ctx, frame = FakeContext(), frame_of(PICTURE)

    show_image(ctx, frame, width=20)

    assert [(a.what, a.frame, a.options) for a in ctx.asked] == [("show", frame, {"width": 20})]
