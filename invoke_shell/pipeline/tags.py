"""LoRAs and textual inversions named in a prompt: `<lora:name:0.8>`, `<embedding:name>`. Flags are what is recorded.

`\\<` is the sign alone. The word of an inversion stays in the prompt, a LoRA leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

__all__ = ["TAG_BEGIN", "Tag", "shielded", "tags_of", "untagged"]

Kind = Literal["lora", "embedding"]
NAMES: dict[str, Kind] = {"lora": "lora", "lyco": "lora", "embedding": "embedding", "embed": "embedding"}
TAG_BEGIN = re.compile(r"(?<!\\)<(?:lora|lyco|embedding|embed):", re.I)
TAG = re.compile(r"(?<!\\)<(lora|lyco|embedding|embed):([^<>:{}|\"]{1,200}?)(?::([^<>{}|\"]{0,40}))?>", re.I)


class Tag(NamedTuple):
    """One tag with its place in the text. weight: as written, "" for none."""

    kind: Kind
    name: str
    weight: str
    start: int
    end: int


def tags_of(text: str) -> Iterator[Tag]:
    """The tags of a prompt as it was typed."""
    for m in TAG.finditer(text) if "<" in text else ():
        yield Tag(NAMES[m[1].lower()], m[2].strip(), (m[3] or "").strip(), m.start(), m.end())


def untagged(text: str) -> str:
    """The text without its tags, and without the blanks that stood before them."""
    out, at = "", 0
    for tag in tags_of(text):
        before = text[at : tag.start]
        word = tag.name if tag.kind == "embedding" else ""
        out += before if word else before.rstrip(" ")
        out += word
        at = tag.end
    rest = text[at:]
    return (out + rest if out else rest.lstrip(" ")) if at else text


def shielded(text: str) -> str:
    r"""What stands between the quotes of a word, so that what looks like a tag in it is text: `\u{3c}lora:x>`."""
    return TAG.sub(lambda m: "\\u{3c}" + m[0][1:], text) if "<" in text else text
