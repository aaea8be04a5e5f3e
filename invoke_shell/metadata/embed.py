"""A finished picture as the bytes of its PNG, with everything that is written into it."""

from __future__ import annotations

from collections.abc import Iterator

from invoke_shell.metadata.companions import ai_mark, dream, parameters
from invoke_shell.metadata.png import XMP, encode, text_chunk
from invoke_shell.metadata.record import KEYWORD, to_metadata
from invoke_shell.metadata.strict import dumps
from invoke_shell.metadata.summary import has_source, summarise
from invoke_shell.records import Frame, topological

__all__ = ["embed"]


def embed(
    frame: Frame,
    *,
    app_version: str,
    created: str = "",
    command: str = "",
    privacy: bool = False,
    a1111: bool = True,
) -> bytes:
    """The PNG of a frame. Equal arguments give equal bytes: the time is an argument (`created`, RFC 3339 in UTC).

    command: the resolved line; privacy: see `to_metadata`; a1111: also write the `parameters` line.
    Raises MetadataError when a value of the history is no plain JSON.
    """
    data = to_metadata(
        frame.step, mode=frame.image.mode, app_version=app_version, created=created, command=command, privacy=privacy
    )
    chunks = [text_chunk(KEYWORD, dumps(data)), *_companions(frame, app_version, privacy, a1111)]
    return encode(frame.image, chunks)


def _companions(frame: Frame, app_version: str, privacy: bool, a1111: bool) -> Iterator[tuple[bytes, bytes]]:
    steps = list(topological(frame.step))
    made = summarise(steps)
    yield text_chunk("Dream", dream(made))
    if made is not None:
        if a1111:
            yield text_chunk("parameters", parameters(made, app_version, privacy=privacy))
        yield text_chunk(XMP, ai_mark(composite=has_source(steps)))
