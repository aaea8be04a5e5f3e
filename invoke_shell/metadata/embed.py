"""A finished picture as the bytes of its file, with everything that is written into it, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from invoke_shell.metadata.companions import dream, parameters, xmp
from invoke_shell.metadata.contents import Contents, size_text, without_contents
from invoke_shell.metadata.jpeg_webp import PNG, Form, encode_other
from invoke_shell.metadata.png import XMP, encode, text_chunk
from invoke_shell.metadata.provenance import source_type
from invoke_shell.metadata.record import KEYWORD, to_metadata
from invoke_shell.metadata.strict import dumps
from invoke_shell.metadata.summary import summarise
from invoke_shell.records import Frame, topological

__all__ = ["Packed", "embed", "pack"]


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A picture's file. metadata: the text of its `sd-metadata` without what is embedded; the store keeps it.

    sidecar: the JSON to be written beside it, b"" for none. notes: sentences on what did not fit.
    """

    data: bytes
    metadata: str
    sidecar: bytes = b""
    notes: tuple[str, ...] = ()


def embed(frame: Frame, *, app_version: str, **options: Any) -> bytes:
    """The bytes of a frame's file alone; as `pack`."""
    return pack(frame, app_version=app_version, **options).data


def pack(
    frame: Frame,
    *,
    app_version: str,
    created: str = "",
    command: str = "",
    privacy: bool = False,
    a1111: bool = True,
    form: Form = PNG,
    contents: Contents | None = None,
) -> Packed:
    """The file of a frame. Equal arguments give equal bytes: the time is an argument (`created`, RFC 3339 in UTC).

    command: the resolved line; privacy: see `to_metadata`; a1111: also write the `parameters` line; contents: source
    pictures to embed. Raises MetadataError when a value of the history is no plain JSON, OutputError for a picture that
    a file of this form cannot hold.
    """
    form.refuse(frame.image)
    contents = contents or Contents()
    whole = to_metadata(
        frame.step, mode=frame.image.mode, app_version=app_version, created=created, command=command, privacy=privacy,
        contents={**contents.inside, **contents.beside}, form=form.recorded(),
    )  # fmt: skip
    bare = dumps(without_contents(whole))
    inner = dumps(without_contents(whole, contents.beside)) if contents.inside else bare
    texts = _Texts(frame, inner, app_version, privacy, a1111)
    beside = dumps(whole).encode() if contents.beside else b""
    if form.name == "png":
        return Packed(data=encode(frame.image, texts.chunks()), metadata=bare, sidecar=beside)
    packet, comment, notes = texts.fitted(form)
    if packet != texts.packet:
        beside = dumps(whole).encode()
    data = encode_other(frame.image, form, comment=comment, xmp=packet, software=texts.software)
    return Packed(data=data, metadata=bare, sidecar=beside, notes=tuple(notes))


class _Texts:
    """What is written into one picture, for us and for other programs."""

    def __init__(self, frame: Frame, metadata: str, app_version: str, privacy: bool, a1111: bool) -> None:
        steps = list(topological(frame.step))
        made = summarise(steps)
        self.metadata = metadata
        self.software = f"invoke_shell {app_version}"
        self.dream = dream(made)
        self.parameters = parameters(made, app_version, privacy=privacy) if made is not None and a1111 else ""
        self.term = source_type(steps)

    def chunks(self) -> Iterator[tuple[bytes, bytes]]:
        """Of a PNG."""
        yield text_chunk(KEYWORD, self.metadata)
        yield text_chunk("Dream", self.dream)
        if self.parameters:
            yield text_chunk("parameters", self.parameters)
        if self.term:
            yield text_chunk(XMP, xmp(self.term))

    @cached_property
    def packet(self) -> str:
        """The XMP of a JPEG or WebP, which have no texts of their own."""
        return xmp(self.term, self.metadata)

    def fitted(self, form: Form) -> tuple[str, str, list[str]]:
        """XMP and comment, as far as the file has room, and sentences on what it has not."""
        packet, comment, notes = self.packet, self.parameters, []
        if not form.fits(len(packet.encode())):
            size = size_text(len(self.metadata))
            notes.append(f"the metadata ({size}) does not fit into a JPEG and stands beside it, as JSON")
            packet = xmp(self.term)
        if not form.fits(2 * len(comment)):  # UTF-16
            notes.append("the line for other programs does not fit into a JPEG and is left out")
            comment = ""
        return packet, comment, notes
