"""Headers of weight files: names, shapes and types of tensors. No weights are read.

A header is data from a stranger: its size and its number of tensors have limits, and its strings are never shown raw.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from invoke_shell.models.files import reading, refusal, size_text

__all__ = ["AGAIN", "DEEPEST", "LARGEST", "MOST", "Header", "Tensor", "check_end", "read_header", "read_numbers"]

LARGEST = 25_000_000  # bytes of a header; that of SDXL has 365,000
MOST = 100_000  # tensors
DEEPEST = 8  # dimensions of a tensor
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
AGAIN = "download it again"

Tensor = tuple[
    str, tuple[int, ...], int, int
]  # dtype in the file's own word, shape, begin and end in bytes of the file


@dataclass(frozen=True, kw_only=True)
class Header:
    """tensors: by name. metadata: what the file says of itself, texts by name. bytes: of the file."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)
    bytes: int = 0

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; () where there is none of the name."""
        found = self.tensors.get(name)
        return found[1] if found else ()

    def side(self, name: str, axis: int) -> int:
        """One side of a tensor; 0 where there is none."""
        shape = self.shape(name)
        return shape[axis] if -len(shape) <= axis < len(shape) else 0

    @property
    def dtype(self) -> str:
        """The type most of the weights have, in the file's own word: F16, BF16, F8_E4M3 ...; "" without tensors."""
        counted: Counter[str] = Counter()
        for dtype, shape, _, _ in self.tensors.values():
            counted[dtype] += math.prod(shape)
        return max(counted, key=lambda d: counted[d], default="")


def read_header(path: Path) -> Header:
    """The header of a safetensors file. Raises BlockedError with what is wrong, in a sentence that names the file."""
    with reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        raw = _raw(path, file, size)
    # Counted before it is read: a header of nothing but names takes seconds.
    count = raw.count(b'"data_offsets"')
    names = _object(path, raw) if count <= MOST else {}
    told = names.pop("__metadata__", None)
    if (count := max(count, len(names))) > MOST:
        why = f"has {count:,} tensors; at most {MOST:,} are read"
        raise refusal(path, why, "it is no model for this program")
    tensors = dict(_tensors(path, names, 8 + len(raw)))
    header = Header(tensors=tensors, metadata=_texts(told), bytes=size)
    check_end(path, header)
    return header


def _raw(path: Path, file: BinaryIO, size: int) -> bytes:
    head = file.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    if length > LARGEST:
        raise refusal(path, f"has a header of {size_text(length)}; at most {size_text(LARGEST)} is read", AGAIN)
    if size < 10 or length < 2 or 8 + length > size:
        raise refusal(path, "is cut short: its header is not all there", AGAIN)
    return file.read(length)


def _object(path: Path, raw: bytes) -> dict[str, Any]:
    """The header as JSON, each name once."""
    try:
        found = json.loads(raw, object_pairs_hook=_once)
    except _Twice as error:
        raise refusal(path, "has two tensors of one name, and each reader would take another one", AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise refusal(path, "has a header that cannot be read", AGAIN) from error
    if not isinstance(found, dict):
        raise refusal(path, "has a header that cannot be read", AGAIN)
    return found


class _Twice(Exception):
    """A key stands twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found


def _tensors(path: Path, names: Mapping[str, Any], begin: int) -> Iterator[tuple[str, Tensor]]:
    for name, entry in names.items():
        try:
            dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
            sound = _sound(dtype, shape, start, stop)
        except (TypeError, KeyError, ValueError) as error:
            raise refusal(path, "has a header that cannot be read", AGAIN) from error
        if not sound:
            raise refusal(path, "has a header that contradicts itself", AGAIN)
        yield name, (dtype, shape, begin + start, begin + stop)


def _sound(dtype: str, shape: tuple[int, ...], start: int, stop: int) -> bool:
    """Whether shape and type agree with the place; a type that is not known yet takes any place."""
    if len(shape) > DEEPEST or type(start) is not int or type(stop) is not int or start < 0:
        return False
    count = 1
    for side in shape:
        if type(side) is not int or side < 0:
            return False
        count *= side
    bits = BITS.get(dtype)
    return stop >= start if bits is None else count * bits == 8 * (stop - start)


def check_end(path: Path, header: Header) -> None:
    """Raise BlockedError for a file that ends before its last tensor does."""
    end, size = max((stop for _, _, _, stop in header.tensors.values()), default=0), header.bytes
    if end > size:
        raise refusal(path, f"is cut short: {size_text(end)} are announced and {size_text(size)} are there", AGAIN)


def _texts(told: Any) -> dict[str, str]:
    return {k: v for k, v in told.items() if isinstance(v, str)} if isinstance(told, dict) else {}


FORMATS = {"F32": "f", "F16": "e", "F64": "d"}


def read_numbers(path: Path, tensor: Tensor, most: int = 4096) -> tuple[float, ...]:
    """The first numbers of a small tensor of F16, BF16, F32 or F64; () for other types. Raises BlockedError."""
    dtype, shape, start, _ = tensor
    count = min(most, math.prod(shape))
    with reading(path) as file:
        file.seek(start)
        raw = file.read(count * BITS.get(dtype, 0) // 8)
    if dtype == "BF16":  # the upper half of a float32
        return struct.unpack(f"<{len(raw) // 2}f", b"".join(b"\0\0" + raw[i : i + 2] for i in range(0, len(raw), 2)))
    return struct.unpack(f"<{count}{FORMATS[dtype]}", raw) if dtype in FORMATS else ()
