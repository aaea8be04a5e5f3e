"""What a picture file says about itself: our own metadata whole, other programs' as named texts. Decodes no pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from invoke_shell.errors import BlockedError, InvokeShellError, MetadataError
from invoke_shell.metadata import history
from invoke_shell.metadata.companions import metadata_in
from invoke_shell.metadata.detect import tool_of
from invoke_shell.metadata.exif import texts_of
from invoke_shell.metadata.files import opened, shown, sidecar
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.metadata.jpeg_webp import PNG, Form
from invoke_shell.metadata.png import SIGNATURE, Png, TextChunk
from invoke_shell.metadata.record import KEYWORD, SPEC
from invoke_shell.metadata.stealth import has_stealth, hidden_texts
from invoke_shell.metadata.visible import visible, visible_lines
from invoke_shell.records import Json, StepRecord

if TYPE_CHECKING:
    from invoke_shell.metadata.foreign import Foreign

__all__ = ["PictureInfo", "form_of", "read_picture"]

NAMED = '"spec"'  # a key of ours that InvokeAI 2's record of the same name has not
MAX_BESIDE = 16 << 20  # bytes of the JSON beside a picture, as of a text inside
MAX_OTHER = 32 << 20  # bytes of a file that is no PNG
SHOWN = 1 << 17  # characters of a foreign text; a large ComfyUI workflow has half of it
SHOWN_IN_ALL = 1 << 20
KEPT = 1 << 21  # characters of a text that foreign readers get
KEPT_IN_ALL = 1 << 22


@dataclass(frozen=True, kw_only=True)
class PictureInfo:
    """One file's account of itself.

    tool: the program that made it, "" when nothing tells. kind: of the file, as Pillow calls it (PNG, JPEG, WEBP ...).
    beside: the metadata stands in the JSON beside the file. data: our `sd-metadata` as read, unknown keys and all.
    raw: what other programs wrote, by name; never to be shown as it stands. problem: why our own metadata cannot be
    used. steps_text: the steps as they stand in the file, in a listing. warnings: sentences.
    """

    tool: str
    width: int
    height: int
    kind: str = "PNG"
    beside: bool = False
    data: Mapping[str, Json] | None = None
    steps_text: str = field(default="", repr=False)
    raw: Mapping[str, str] = field(default_factory=dict, repr=False)
    problem: MetadataError | None = None
    warnings: tuple[str, ...] = ()

    @cached_property
    def texts(self) -> dict[str, str]:
        """What other programs wrote, safe to show: the first SHOWN characters of each."""
        texts: dict[str, str] = {}
        room = SHOWN_IN_ALL
        for name, text in self.raw.items():
            shortened = text[: min(SHOWN, room)]
            room -= len(shortened)
            texts.setdefault(visible(name), visible_lines(shortened))
        return texts

    @cached_property
    def foreign(self) -> Foreign | None:
        """What another program's metadata says; None for our own, and where no reader can tell anything."""
        if self.data is not None or self.problem is not None:
            return None
        from invoke_shell.metadata.foreign import read

        return read(self.tool, self.raw, (self.width, self.height))

    def step(self) -> StepRecord:
        """The step that made the picture, with its history.

        Raises MetadataError: the problem; what is not of the form; `no-metadata` when it is no picture of ours.
        """
        if self.problem is not None:
            raise self.problem
        if self.data is None:
            who = f"it is of {self.tool}" if self.tool else "nothing in it tells how it was made"
            raise MetadataError(f"there is no {KEYWORD} of invoke_shell in it: {who}", code="no-metadata")
        return from_metadata(self.data)

    @property
    def pixel_hash(self) -> str:
        """The recorded hash of its pixels, before any loss of the file's; "" when there is none."""
        value = _result(self.data or {}).get("pixel_hash")
        return value if isinstance(value, str) else ""

    @property
    def form(self) -> Form:
        """How our metadata says that the file was written: a JPEG gives back other pixels than it was made from."""
        return form_of(self.data or {})


def _result(data: Mapping[str, Json]) -> Mapping[str, Json]:
    result = data.get("result")
    return result if isinstance(result, dict) else {}


def form_of(data: Mapping[str, Json]) -> Form:
    """How `sd-metadata` says that the picture's file was written; a PNG where it says nothing."""
    name, quality = _result(data).get("format"), _result(data).get("quality", 100)
    known = name in ("jpeg", "webp") and type(quality) is int and 1 <= quality <= 100
    return Form(name=name, quality=quality) if known else PNG  # type: ignore[arg-type]  # known says so


def read_picture(path: Path, *, listing: bool = False) -> PictureInfo:
    """Read a file's metadata, and only that.

    listing: one of thousands, for its `steps_text`; strict.listing says what is not looked for then.
    Raises BlockedError when the file is not there or is no picture, MetadataError when it is a damaged PNG.
    """
    with opened(path) as file:
        if file.read(8) == SIGNATURE:
            return _read_png(file, path, listing)
        return _read_other(file, path)


def _read_png(file: BinaryIO, path: Path, listing: bool) -> PictureInfo:
    try:
        png = Png(file)
    except MetadataError as error:
        raise MetadataError(f"{shown(path)}: {error.message}") from None
    own = [chunk for chunk in png.texts if chunk.keyword == KEYWORD]
    data, problem, steps = _own(png, own, listing)
    if data is not None:
        return PictureInfo(
            tool="invoke_shell",
            width=png.width,
            height=png.height,
            data=data,
            steps_text=steps,
            warnings=tuple(png.warnings),
        )
    return _foreign(file, png, problem)


def _own(png: Png, found: list[TextChunk], listing: bool) -> tuple[dict[str, Json] | None, MetadataError | None, str]:
    """Our metadata with the text of its steps, or why what says it is ours cannot be used."""
    if not found:
        return None, None, ""
    if len(found) > 1:
        sizes = " and ".join(f"{chunk.length:,}" for chunk in found[:4])
        return None, MetadataError(f"it has {len(found)} {KEYWORD} chunks, of {sizes} bytes; none is believed"), ""
    text = ""
    try:
        text = png.text(found[0])
        if NAMED not in text:
            return None, None, ""  # InvokeAI 2's
        data, steps = history.listing(text) if listing else (loads(text), "")
        return data, None, steps
    except MetadataError as error:
        # A damaged one is nobody's until it can be read.
        return None, error if not text or SPEC in text else None, ""


def _foreign(file: BinaryIO, png: Png, problem: MetadataError | None) -> PictureInfo:
    warnings = list(png.warnings)
    raw = _texts(png, warnings)
    tool = "invoke_shell" if problem and (not raw or SPEC in raw.get(KEYWORD, "")) else tool_of(raw)
    if not tool and has_stealth(file, png):
        hidden = hidden_texts(file, png)
        tool, raw = tool_of(hidden) or "a1111", {**raw, **hidden}
        read = "read from there" if hidden else "not read"
        warnings.append(f"its metadata is hidden in the alpha channel (stealth pnginfo) and is {read}")
    return PictureInfo(
        tool=tool, width=png.width, height=png.height, raw=raw, problem=problem, warnings=tuple(warnings)
    )


def _texts(png: Png, warnings: list[str]) -> dict[str, str]:
    """All texts; the first of each name. What cannot be read, or not to its end, is a warning."""
    texts: dict[str, str] = {}
    room = KEPT_IN_ALL
    for chunk in png.texts:
        try:
            text = png.text(chunk)
        except MetadataError as error:
            warnings.append(error.message)
            continue
        if len(text) > min(KEPT, room):
            warnings.append(f"{chunk} has {len(text):,} characters; the first {min(KEPT, room):,} are read")
        texts.setdefault(chunk.keyword, text[: min(KEPT, room)])
        room -= min(KEPT, room, len(text))
    return texts


def _read_other(file: BinaryIO, path: Path) -> PictureInfo:
    size = file.seek(0, 2)
    if size > MAX_OTHER:
        raise BlockedError(f"{shown(path)} is no PNG and has {size:,} bytes: it is not read", code="not-a-picture")
    file.seek(0)
    # The file, not its bytes: a large text in a WebP would be in memory once more.
    buffered = BufferedReader(file)  # type: ignore[type-var]  # opened gives an unbuffered one
    try:
        found = texts_of(buffered)
    except Exception as error:  # Pillow's plugins raise a dozen kinds for damaged files
        raise BlockedError(f"{shown(path)} cannot be read as a picture", code="not-a-picture") from error
    finally:
        buffered.detach()
    warnings: list[str] = []
    beside = False
    data, problem = _own_text(metadata_in(found.texts.get("xmp", "")))
    if data is None and problem is None:
        data, problem = _beside(path, (found.width, found.height), warnings)
        beside = data is not None or problem is not None
    raw = {} if data is not None else {name: text[:KEPT] for name, text in found.texts.items()}
    return PictureInfo(
        tool="invoke_shell" if data is not None or problem is not None else tool_of(raw),
        width=found.width, height=found.height, kind=found.kind, beside=beside, data=data, raw=raw, problem=problem,
        warnings=tuple(warnings),
    )  # fmt: skip


def _own_text(text: str) -> tuple[dict[str, Json] | None, MetadataError | None]:
    """Our metadata from its text, or why it cannot be used; neither where the text is none of ours."""
    try:
        return (loads(text), None) if SPEC in text else (None, None)
    except MetadataError as error:
        return None, error


def _beside(
    path: Path, size: tuple[int, int], warnings: list[str]
) -> tuple[dict[str, Json] | None, MetadataError | None]:
    """The metadata in the JSON beside a picture that has none inside."""
    name = sidecar(path)
    try:
        if not name.is_file():
            return None, None
        with opened(name) as file:
            text = file.read(MAX_BESIDE + 1)
    except (InvokeShellError, OSError, ValueError):
        return None, None
    if len(text) > MAX_BESIDE:
        warnings.append(f"{shown(name)} beside it has more than {MAX_BESIDE >> 20} MiB and is not read")
        return None, None
    data, problem = _own_text(text.decode("utf-8", "replace"))
    result = (data or {}).get("result")
    if isinstance(result, dict) and (result.get("width"), result.get("height")) != size:
        warnings.append(f"{shown(name)} beside it is of another picture and is not believed")
        return None, None
    return data, problem
