"""Finished pictures on the terminal: one, up to four side by side, or a sheet with the handle under each.

The handles of a sheet are text, not pixels: they stay sharp at every size and can be copied. Nothing here is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, TextIO

from invoke_shell.records import Image
from invoke_shell.shell.display import terminal as terminals
from invoke_shell.shell.display.encoders import encode, pixels_per_cell
from invoke_shell.shell.display.terminal import Answer, Terminal

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["COLUMNS", "Pictures", "drawn"]

COLUMNS = 40  # of one picture, unless asked otherwise
THUMBNAILS = 4  # more than these make a sheet
GAP = 1  # columns between pictures
NARROWEST = 12  # columns of a sheet's cell: room for a handle of six digits
BELOW = 3  # rows kept for the handle, the result line and the next prompt
PREVIEW = 32  # columns of a picture in progress
SLOW = 0.15  # seconds a terminal takes to answer over a line that four previews a second would fill
CHECKS = (b"\x66", b"\x99")  # greys of what shows through transparent pixels


class Pictures:
    """Draws on one terminal, which is asked what it can do when the first picture comes, and only then.

    keep_keys: gets the keys that were typed ahead of the terminal's answer, once, to hand them to the prompt.
    alone: for as long as it lasts nobody else reads the terminal.
    """

    def __init__(
        self,
        stdin: TextIO,
        stdout: TextIO,
        env: Mapping[str, str],
        keep_keys: Callable[[bytes], None] | None = None,
        alone: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._stdin, self._stdout, self._env, self._keep_keys = stdin, stdout, env, keep_keys
        self._alone = alone
        self._answer: Answer | None = None

    @property
    def background(self) -> tuple[int, int, int] | None:
        """The terminal's background colour, once it was asked for its abilities and said it."""
        return self._answer.background if self._answer is not None else None

    def terminal(self, *, setting: str = "auto", plain: bool = False) -> Terminal:
        """How pictures are shown here, and why. Raises SettingError (see terminal.detect)."""
        return terminals.detect(
            self._stdin, self._stdout, self._env, setting=setting, plain=plain, asked=self._asked_once
        )

    def show(
        self,
        images: Sequence[Image],
        handles: Sequence[str] = (),
        *,
        columns: int = COLUMNS,
        setting: str = "auto",
        plain: bool = False,
    ) -> bool:
        """Draw the pictures; False when this terminal gets the path only."""
        terminal = self.terminal(setting=setting, plain=plain)
        text = drawn(images, handles, terminal=terminal, columns=columns, window=terminals.window(self._stdout))
        self._stdout.write(text)
        self._stdout.flush()
        return bool(text)

    def preview(self, image: Image, *, setting: str = "auto", wanted: str = "auto") -> list[str]:
        """Rows of half-blocks, whatever protocol finished pictures have: text can be redrawn in place everywhere.

        wanted: `on`, `off`, or `auto`: not over a slow line. Raises SettingError (see terminal.detect).
        """
        if wanted == "off":
            return []
        there = self.terminal(setting=setting)
        slow = self._answer is not None and self._answer.seconds > SLOW
        if there.protocol == "path" or (slow and wanted == "auto"):
            return []
        columns, rows = terminals.window(self._stdout)
        half_blocks = replace(there, protocol="half-blocks", tmux=False)
        text = drawn([image], terminal=half_blocks, columns=min(PREVIEW, columns - 1), window=(columns, rows - 1))
        return text.split("\n")[:-1]

    def _asked_once(self) -> Answer:
        if self._answer is None:
            with self._alone():
                self._answer = terminals.ask(self._stdin, self._stdout, self._env)
            if self._answer.leftover and self._keep_keys:
                self._keep_keys(self._answer.leftover)
        return self._answer


def drawn(
    images: Sequence[Image],
    handles: Sequence[str] = (),
    *,
    terminal: Terminal,
    columns: int = COLUMNS,
    window: tuple[int, int] = (80, 24),
) -> str:
    """The text that shows the pictures, whole lines; "" where only the path is shown.

    columns: the most a single picture takes. window: (columns, rows) of the terminal. handles: one a picture, drawn
    under each where there are several.
    """
    if terminal.protocol == "path" or not images:
        return ""
    across, width = _layout(images, columns, window, terminal)
    height = max(1, window[1] - BELOW)
    labels = list(handles) if len(images) > 1 else []
    out = []
    for first in range(0, len(images), across):
        out.append(_row(images[first : first + across], width, height, terminal))
        out.append(_label_line(labels[first : first + across], width))
    return "".join(out)


def _row(images: Sequence[Image], columns: int, rows: int, terminal: Terminal) -> str:
    canvas = _side_by_side(images, columns, rows, terminal)
    across, down = pixels_per_cell(terminal)
    return encode(canvas, canvas.width // across, canvas.height // down, terminal)


def _layout(images: Sequence[Image], columns: int, window: tuple[int, int], terminal: Terminal) -> tuple[int, int]:
    """(pictures side by side, columns of each): a sheet has as few a row as keep it on the screen."""
    width = _cell_width(len(images), columns, window)
    if len(images) == 1 or (len(images) <= THUMBNAILS and width >= NARROWEST):
        return len(images), width
    most = max(1, (window[0] + GAP) // (NARROWEST + GAP))
    for across in range(min(THUMBNAILS, most), most):
        width = _cell_width(across, columns, window)
        height = max(_rows(image, width, terminal) for image in images) + 1  # the handles' line
        if ceil(len(images) / across) * height <= window[1] - BELOW:
            return across, width
    return most, _cell_width(most, columns, window)


def _cell_width(across: int, columns: int, window: tuple[int, int]) -> int:
    return max(1, min(columns, (window[0] - GAP * (across - 1)) // across))


def _rows(image: Image, columns: int, terminal: Terminal) -> int:
    _, height = _pixels(image, columns, 10**6, terminal)
    return ceil(height / pixels_per_cell(terminal)[1])


def _pixels(image: Image, columns: int, rows: int, terminal: Terminal) -> tuple[int, int]:
    """Canvas pixels of a picture inside columns x rows cells, its shape kept whatever shape a cell has."""
    across, down = pixels_per_cell(terminal)
    # A half-block's pixel is as wide as the cell and half as high, which is square only in a 1:2 cell.
    wide, high = terminal.cell[0] / across, terminal.cell[1] / down
    scale = min(columns * across * wide / image.width, rows * down * high / image.height)
    return max(1, round(image.width * scale / wide)), max(1, round(image.height * scale / high))


def _side_by_side(images: Sequence[Image], columns: int, rows: int, terminal: Terminal) -> PILImage:
    """The pictures at the top of equal cells; what is between and below them is transparent."""
    from PIL import Image as Pillow

    across, down = pixels_per_cell(terminal)
    sizes = [_pixels(image, columns, rows, terminal) for image in images]
    width = ceil(sizes[0][0] / across) if len(images) == 1 else len(images) * (columns + GAP) - GAP
    height = max(ceil(size[1] / down) for size in sizes)
    canvas = Pillow.new("RGBA", (width * across, height * down))
    for place, (image, size) in enumerate(zip(images, sizes, strict=True)):
        canvas.paste(_scaled(_opaque(image), size), (place * (columns + GAP) * across, 0))
    return canvas


def _opaque(image: Image) -> PILImage:
    """As RGB; transparent pixels show a grey chessboard, as picture viewers do."""
    picture = image.pil()
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    board = _chessboard(picture.size)
    board.paste(picture, mask=picture.getchannel("A"))
    return board


def _chessboard(size: tuple[int, int]) -> PILImage:
    from PIL import Image as Pillow

    field = max(1, max(size) // 16)
    row = (CHECKS[0] * field + CHECKS[1] * field) * (size[0] // (2 * field) + 2)
    rows = [row[y // field % 2 * field :][: size[0]] for y in range(size[1])]
    return Pillow.frombytes("L", size, b"".join(rows)).convert("RGB")


def _scaled(picture: PILImage, size: tuple[int, int]) -> PILImage:
    """Lanczos, except for a small picture made large: its pixels stay squares with sharp edges."""
    from PIL import Image as Pillow

    factor = size[0] / picture.width
    if factor < 2:
        return picture.resize(size, Pillow.Resampling.LANCZOS)
    whole = ceil(factor)
    large = picture.resize((picture.width * whole, picture.height * whole), Pillow.Resampling.NEAREST)
    # BOX has no ringing: between two flat squares it leaves at most one mixed pixel.
    return large if large.size == size else large.resize(size, Pillow.Resampling.BOX)


def _label_line(labels: Sequence[str], width: int) -> str:
    if not labels:
        return ""
    return "".join(label[:width].ljust(width + GAP) for label in labels).rstrip() + "\n"
