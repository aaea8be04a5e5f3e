"""The header of a GGUF file: what it says of itself, and the shapes of its tensors. No weights are read.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke_shell.models.files import reading, refusal
from invoke_shell.models.header import DEEPEST, LARGEST, MOST, Header, Tensor

__all__ = ["read_gguf"]

SIMPLE = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
TYPES = (
    "F32", "F16", "Q4_0", "Q4_1", "", "", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
    "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64",
    "F64", "IQ1_M", "BF16",
)  # fmt: skip


def read_gguf(path: Path) -> Header:
    """The header of a GGUF file; shapes as torch has them. Raises BlockedError."""
    with reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        raw = file.read(LARGEST)
    try:
        return _Reader(raw).header(size)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise refusal(path, "is a GGUF file whose header cannot be read", "download it again") from error


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = len(b"GGUF")

    def header(self, size: int) -> Header:
        version, count, told = self.take("I"), self.take("Q"), self.take("Q")
        if version not in (2, 3) or max(count, told) > MOST:
            raise ValueError
        metadata = {self.text(): self.value(self.take("I")) for _ in range(told)}
        tensors = dict(self.tensor() for _ in range(count))
        return Header(tensors=tensors, metadata={k: str(v) for k, v in metadata.items() if v is not None}, bytes=size)

    def take(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self.raw, self.at)
        self.at += struct.calcsize(f"<{form}")
        return value

    def text(self) -> str:
        length = self.take("Q")
        begin, self.at = self.at, self.at + length
        if self.at > len(self.raw):
            raise IndexError
        return self.raw[begin : self.at].decode()

    def value(self, kind: int) -> Any:
        """A value; None for an array, which is only stepped over."""
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.take(SIMPLE[kind]) if kind in SIMPLE else self.refuse()
        inner, count = self.take("I"), self.take("Q")
        if inner in SIMPLE:
            self.at += count * struct.calcsize(f"<{SIMPLE[inner]}")
        else:
            self.skip(inner, count)
        return None

    def skip(self, kind: int, count: int) -> None:
        """Step over texts; arrays of arrays are in no file that we know."""
        read: Callable[[], object] = self.text if kind == STRING else self.refuse
        for _ in range(count):
            read()

    def refuse(self) -> Any:
        raise ValueError

    def tensor(self) -> tuple[str, Tensor]:
        name, depth = self.text(), self.take("I")
        if depth > DEEPEST:
            raise ValueError
        shape = tuple(self.take("Q") for _ in range(depth))[::-1]
        kind, start = self.take("I"), self.take("Q")
        dtype = TYPES[kind] if kind < len(TYPES) else ""
        return name, (dtype or f"type {kind}", shape, start, start)
