"""Nodes that put pictures side by side: sheets with labels, and pairs with what differs written under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

from invoke_shell.commands.histories import differing, said, shortened, value_of, values_of
from invoke_shell.commands.layers import canvas, in_mode, layered, place_of
from invoke_shell.commands.letters import caption, line_height, unknown_letters, width_of
from invoke_shell.commands.params import Background, FontSize, Gap, refuse_huge
from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Color
from invoke_shell.records import Frame, Image, Json

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["compare", "contact_sheet"]

BLACK, WHITE = Color(0, 0, 0), Color(255, 255, 255)
TOLD = 6  # differing values that are named
WIDEST = 90  # letters of a text in a sentence
ROWS = 4  # of a value that is written over or under a picture
ROOM = 12  # as many times the height of the letters are before the rows of small pictures
SHORT = 24  # letters of a value that stands in one row with others

Columns = Annotated[int | None, Arg(help="Pictures in a row; none makes it about square.", ge=1, le=256)]
Label = Annotated[list[str], Arg(help="A value to write under each picture: seed, guidance, prompt ...")]
Across = Annotated[list[str], Arg(help="A value that changes from column to column, written over them.")]
Down = Annotated[list[str], Arg(help="A value that changes from row to row, written before them.")]
Axes = Annotated[bool, Arg(help="Take the values that differ as columns and rows.")]
Named = Annotated[bool, Arg(help="Write the values that differ under the pictures.")]
OtherFrame = Annotated[Frame, Arg(help="The other picture: a file, a handle, or blake3:HEX.")]


@node(
    version=2,
    changes={2: "its labels are of another font and end with their cell; values that change together are one axis"},
    group="combine",
    examples=[
        "@1..3 | contact_sheet",
        'txt2img "a star" --seed 1..4 | contact_sheet --columns 2 --label seed',
        'txt2img "a star" --guidance 3,7 --seed 1..2 | contact_sheet --axes',
        'txt2img "a star" --guidance 3,7 --steps 4,8 | contact_sheet --across steps --down guidance',
    ],
)
def contact_sheet(
    ctx: Context,
    frames: list[Frame],
    *,
    columns: Columns = None,
    gap: Gap = 4,
    background: Background = WHITE,
    label: Label = (),  # type: ignore[assignment]  # a node always gets a list
    font_size: FontSize = 16,
    across: Across = (),  # type: ignore[assignment]
    down: Down = (),  # type: ignore[assignment]
    axes: Axes = False,
) -> Image:
    """Put all pictures on one sheet, in order or by their values.

    They stand in reading order, or in columns and rows of the values that they were made with. Each cell is as
    large as the largest picture; smaller ones stand in its middle. --label writes a value that the picture was made
    with under it, the latest of that name in its history; repeat it for more. --across and --down make columns and
    rows of values, in the order in which they first come; --axes finds them by itself: what changes first goes
    across, all else down. Of long texts the labels have what differs.
    """
    if not frames:
        raise RunError("contact_sheet got no pictures", hint="begin with some, as in: @1..4 | contact_sheet")
    if axes:
        across, down = _axes_of(frames, across, down)
    grid = _by_values(frames, across, down) if across or down else _in_order(frames, columns)
    texts = _texts(frames, label)
    if lacking := unknown_letters([*grid.over, *grid.before, *texts]):
        ctx.say(f"contact_sheet: {lacking}")
    return _drawn(frames, grid, texts, gap, background, font_size)


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Where pictures stand: rows of indices, None for an empty cell. over, before: labels of columns and rows."""

    rows: Sequence[Sequence[int | None]]
    over: Sequence[str] = ()
    before: Sequence[str] = ()


def _in_order(frames: list[Frame], columns: int | None) -> _Grid:
    across = min(columns or ceil(sqrt(len(frames))), len(frames))
    numbers: list[int | None] = [*range(len(frames))]
    return _Grid(rows=[numbers[start : start + across] for start in range(0, len(numbers), across)])


def _axes_of(frames: list[Frame], across: list[str], down: list[str]) -> tuple[list[str], list[str]]:
    """The values that differ, as far as they are not named: those that change first go across, the others down.

    Values that change together are one: a model and the steps that it advises. None where nothing differs: then the
    sheet is in reading order.
    """
    found = [name for name in differing([f.step for f in frames]) if name not in (*across, *down)]
    first = [] if across else _together(frames, found)
    rest = [name for name in found if name not in first]
    return [*across, *first], [*down, *rest]


def _together(frames: list[Frame], names: list[str]) -> list[str]:
    """The first name whose value is another in the second picture, and the names that change whenever it does."""
    ways = {name: _groups(frames, name) for name in names}
    leader = next((name for name in names if ways[name][:2] == [0, 1]), None)
    return [name for name in names if leader is not None and ways[name] == ways[leader]]


def _groups(frames: list[Frame], name: str) -> list[int]:
    """For each picture, which of the values of a name it has, counted as they first come."""
    labels = [str(value_of(f.step, name)) for f in frames]
    return [list(dict.fromkeys(labels)).index(label) for label in labels]


def _by_values(frames: list[Frame], across: list[str], down: list[str]) -> _Grid:
    """Columns by some values and rows by others; with one of them alone, pictures of a value in their order."""
    for name in (*across, *down):
        if all(value_of(f.step, name) is None for f in frames):
            message = f"contact_sheet: no picture was made with a value called {name}"
            raise RunError(message, hint="info tells the values of a picture", code="bad-choice")
    columns = _labels(frames, across)
    rows = _labels(frames, down)
    over, before = list(dict.fromkeys(columns)), list(dict.fromkeys(rows))
    cells: dict[tuple[int, int], int] = {}
    for n, (column, row) in enumerate(zip(columns, rows, strict=True)):
        place = [before.index(row), over.index(column)]
        free = 1 if across else 0  # the direction in which pictures of one value go on
        while (place[0], place[1]) in cells:
            if across and down:
                raise _twice(frames, cells[place[0], place[1]], n, f"{column}, {row}")
            place[1 - free] += 1
        cells[place[0], place[1]] = n
    high, wide = max(r for r, _ in cells) + 1, max(c for _, c in cells) + 1
    grid = [[cells.get((r, c)) for c in range(wide)] for r in range(high)]
    return _Grid(rows=grid, over=over if across else (), before=before if down else ())


def _labels(frames: list[Frame], names: list[str], *, axis: bool = True) -> list[str]:
    """The values of some names, a text a picture. axis: in one row, and what a picture has not is said too."""
    values = [shortened([value_of(f.step, name) for f in frames]) for name in names]
    found = [[(n, v[i]) for n, v in zip(names, values, strict=True)] for i in range(len(frames))]
    texts = [[said(n, v) for n, v in one if axis or v is not None] for one in found]
    in_a_row = axis or all(len(text) <= SHORT for one in texts for text in one)
    return [(", " if in_a_row else "\n").join(one) for one in texts]


def _twice(frames: list[Frame], one: int, two: int, place: str) -> RunError:
    """Two pictures of one cell, and in what they differ."""
    rest = differing([frames[one].step, frames[two].step])
    why = f": they differ in {', '.join(rest[:TOLD])}" if rest else ": they are alike"
    hint = f"make it an axis too, as in: --down {rest[0]}" if rest else "take one of each"
    return RunError(f"contact_sheet has two pictures for {place}{why}", hint=hint, code="bad-choice")


def _drawn(frames: list[Frame], grid: _Grid, texts: list[str], gap: int, background: Color, font_size: int) -> Image:
    """The sheet: labels of the columns above, of the rows at the left, of each picture under it."""
    width, height = max(f.image.width for f in frames), max(f.image.height for f in frames)
    ink = _ink(background)

    def strip(text: str, wide: int, most: int = ROWS) -> PILImage:
        return caption("contact_sheet", text, wide, font_size, ink, background, most=most)

    side = _widest(grid.before, width, font_size)
    heads = [strip(text, width) for text in grid.over]
    lefts = [strip(text, side, max(1, height // line_height(font_size))) for text in grid.before]
    strips = [strip(text, width) for text in texts]
    top, under = max((s.height for s in heads), default=0), max((s.height for s in strips), default=0)
    high = height + under
    wide = max(len(row) for row in grid.rows)
    x0, y0 = (side + gap if lefts else 0) + gap, (top + gap if heads else 0) + gap
    size = (x0 + wide * (width + gap), y0 + len(grid.rows) * (high + gap))
    refuse_huge("contact_sheet", *size, hint="smaller before, as in: | resize 512 | contact_sheet")
    sheet = canvas(size, background)
    for column, head in enumerate(heads):
        sheet.paste(head, (x0 + column * (width + gap), gap + top - head.height))
    for number, row in enumerate(grid.rows):
        y = y0 + number * (high + gap)
        if number < len(lefts):
            sheet.paste(lefts[number], (gap, y + max(0, (height - lefts[number].height) // 2)))
        for column, n in enumerate(row):
            if n is not None:
                x = x0 + column * (width + gap)
                _put(sheet, frames[n].image, (x, y), (width, height))
                if strips:
                    sheet.paste(strips[n], (x, y + height))
    return in_mode(sheet, "RGB")


def _put(sheet: PILImage, image: Image, corner: tuple[int, int], cell: tuple[int, int]) -> None:
    """A picture in the middle of its cell."""
    x, y = place_of("center", cell, image.size)
    pil = image.pil().convert("RGBA")
    sheet.paste(pil, (corner[0] + x, corner[1] + y), pil)


def _widest(texts: Sequence[str], most: int, font_size: int) -> int:
    """Pixels that labels of rows need, at most those of a cell or of ROOM; longer ones are broken between words."""
    longest = max((width_of(text, font_size) + font_size // 2 for text in texts), default=0)
    return min(max(most, ROOM * font_size), longest)


def _texts(frames: list[Frame], names: list[str]) -> list[str]:
    """The labels of a sheet, one a picture; none without names. Raises RunError for a name that no picture has."""
    for name in names:
        if all(value_of(f.step, name) is None for f in frames):
            message = f"contact_sheet --label {name}: no picture was made with a value of this name"
            raise RunError(message, hint="info tells the values of a picture", code="bad-choice")
    return _labels(frames, names, axis=False) if names else []


# -- pairs -----------------------------------------------------------------------------------------------------------


@node(
    version=3,
    changes={3: "its letters are of another font; of long texts it writes what differs"},
    group="combine",
    examples=["compare @1 @3", "@-1 | compare @1 --no-values", "load_image a.png | compare b.png --gap 8"],
)
def compare(
    ctx: Context,
    frame: Frame,
    other: OtherFrame,
    *,
    gap: Gap = 4,
    background: Background = WHITE,
    values: Named = True,
    font_size: FontSize = 16,
) -> Image:
    """Put another picture beside each and name what differs.

    The other one is brought to the same height. What is transparent shows the background. What differs is said, and
    written under each of the two, of long texts the words that differ; pictures without a history have nothing to
    be named.
    """
    from PIL import Image as Pillow

    high = frame.image.height
    wide = max(1, round(other.image.width * high / other.image.height))
    names = differing([frame.step, other.step]) if values else []
    pairs = _pairs(frame, other, names)
    if values and (line := _difference(frame, other, pairs)):
        ctx.say(line)
    strips = []
    for side, width in enumerate((frame.image.width, wide)):
        text = "\n".join(said(name, pair[side]) for name, pair in list(pairs.items())[:TOLD])
        strips.append(caption("compare", text, width, font_size, _ink(background), background, most=ROWS))
    under = max(s.height for s in strips) if names else 0
    size = (frame.image.width + gap + wide, high + under)
    refuse_huge("compare", *size)
    right = other.image.pil().convert("RGBA").resize((wide, high), Pillow.Resampling.LANCZOS)
    whole = layered(canvas(size, background), frame.image.pil().convert("RGBA"))
    whole = layered(whole, right, frame.image.width + gap)
    if names:
        whole.paste(strips[0], (0, high))
        whole.paste(strips[1], (frame.image.width + gap, high))
    return in_mode(whole, "RGB")


def _pairs(frame: Frame, other: Frame, names: list[str]) -> dict[str, tuple[Json, Json]]:
    """What each of two pictures was made with, by name; of long texts what differs."""
    left, right = values_of(frame.step), values_of(other.step)
    found = {name: shortened([left.get(name), right.get(name)]) for name in names}
    return {name: (pair[0], pair[1]) for name, pair in found.items()}


def _difference(frame: Frame, other: Frame, pairs: Mapping[str, tuple[Json, Json]]) -> str:
    """`they differ in seed (3, 7), guidance (5, 7.5)`; that two pictures are one and the same is said too."""
    if not pairs:
        return "they are the same picture" if frame.image == other.image else ""
    rest = f" and {len(pairs) - TOLD} more" if len(pairs) > TOLD else ""
    told = [f"{name} ({_word(one)}, {_word(two)})" for name, (one, two) in list(pairs.items())[:TOLD]]
    return f"they differ in {', '.join(told)}{rest}"


def _word(value: Json) -> str:
    """A value in a sentence."""
    if value is None or value == "":
        return "none"
    text = shorten(value, WIDEST, placeholder=" …") if isinstance(value, str) else str(value)
    return f'"{text}"' if " " in text else text


def _ink(background: Color) -> Color:
    """Black on what is light, white on what is dark."""
    return BLACK if background.red + background.green + background.blue > 382 else WHITE
