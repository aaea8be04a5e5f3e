"""The header of a GGUF file: what it says of itself, and the shapes of its tensors. No weights are read.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke_shell.models.files import reading, refusal
from invoke_shell.models.header import AGAIN, DEEPEST, LARGEST, MOST, Header, Tensor, check_end

__all__ = ["read_gguf"]

SIMPLE = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# number of a type -> its name, and how many numbers take how many bytes
TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2),
}  # fmt: skip
ALIGNMENT = 32  # bytes, where general.alignment says nothing else


def read_gguf(path: Path) -> Header:
    """The header of a GGUF file; shapes as torch has them. Raises BlockedError."""
    with reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        raw = file.read(LARGEST)
    try:
        header = _Reader(raw).header(size)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise refusal(path, "is a GGUF file whose header cannot be read", AGAIN) from error
    check_end(path, header)
    return header


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = len(b"GGUF")

    def header(self, size: int) -> Header:
        version, count, told = self.take("I"), self.take("Q"), self.take("Q")
        if version not in (2, 3) or max(count, told) > MOST:
            raise ValueError
        metadata = {self.text(): self.value(self.take("I")) for _ in range(told)}
        found = dict(self.tensor() for _ in range(count))
        begin = self.aligned(metadata.get("general.alignment"))
        tensors = {name: (dtype, shape, begin + at, begin + end) for name, (dtype, shape, at, end) in found.items()}
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
        dtype, block, size = TYPES.get(kind, (f"type {kind}", 1, 0))
        return name, (dtype, shape, start, start + math.prod(shape) // block * size)

    def aligned(self, to: object) -> int:
        """Where the weights begin."""
        step = to if isinstance(to, int) and to > 0 else ALIGNMENT
        return -(-self.at // step) * step
