"""docs/metadata.md: its limits are the code's."""

from __future__ import annotations

from pathlib import Path

from invoke_shell.metadata import contents, exif, png, read, strict
from invoke_shell.metadata.decode import MAX_PIXELS
from invoke_shell.metadata.jpeg_webp import SEGMENT
from invoke_shell.metadata.record import MAX_STEPS
from invoke_shell.metadata.verdict import DECODERS
from invoke_shell.shell.replay import sources

PAGE = (Path(__file__).parents[2] / "docs" / "metadata.md").read_text(encoding="utf-8")


def test_the_limits_on_the_page_are_the_codes():
    numbers = {
        f"{png.MAX_TEXT >> 20} MiB; {png.MAX_TEXT >> 22} MiB when not ASCII",
        f"{png.MAX_TEXTS >> 20} MiB",
        f"{png.MAX_TEXT_CHUNKS:,} and {png.MAX_CHUNKS:,}",
        f"depth {strict.MAX_DEPTH}, {strict.MAX_VALUES:,} commas",
        f"{MAX_STEPS:,} each",
        f"{read.SHOWN:,} characters, {read.SHOWN_IN_ALL:,} in all",
        f"{read.MAX_OTHER >> 20} MiB; its XMP {exif.MAX_XMP >> 20} MiB",
        f"{read.MAX_BESIDE >> 20} MiB; {sources.MAX_BESIDE >> 20} MiB when a replay",
        f"{contents.INSIDE >> 20} MiB in all, {contents.BESIDE >> 20} MiB in the JSON",
        f"sources up to {contents.ATOM >> 20} MiB each",
        f"{SEGMENT:,} bytes of XMP",
        f"more than {DECODERS} of 255",
        f"{MAX_PIXELS // 1_000_000} million",
    }

    assert {text for text in numbers if text not in PAGE} == set()
