"""Whose weights are these? One digest for each part of a model, the same for a single file and a diffusers folder.

Layouts fuse, split, transpose and rename tensors, but keep their rows. So rows are what is digested, without names and
without order; docs/weights-identity.md is the specification, with test vectors. No torch here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from invoke_shell.models.detectors import identify
from invoke_shell.models.files import Tick, quiet, reading
from invoke_shell.models.header import Tensor, read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Identity", "Likeness", "identities", "likeness", "part_of", "to_texts"]

VERSION = 1
BLOCK = 32 << 20  # bytes read at once, in whole rows
MOST_ROWS = 1 << 20  # of a tensor; no network has a quarter of that, and a stranger's file would take hours
WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
QUANTISED = (
    "F8",
    "F4",
    "F6",
    "I8",
    "U8",
)  # a part with such weights has no identity: its rows are those of no original

# Beginnings of tensors in single files, and the part they are of; what begins otherwise (EMA, schedules) is of none.
PREFIXES = (
    ("model.diffusion_model.", "denoiser"),
    ("first_stage_model.", "vae"),
    ("vae.", "vae"),
    ("cond_stage_model.transformer.", "text_encoder"),
    ("cond_stage_model.model.", "text_encoder"),
    ("conditioner.embedders.0.transformer.", "text_encoder"),
    ("conditioner.embedders.1.model.", "text_encoder_2"),
    ("text_encoders.clip_l.transformer.", "text_encoder"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
    ("text_encoders.t5xxl.transformer.", "text_encoder_3"),
)
FOLDERS = {"unet": "denoiser", "transformer": "denoiser", "vae": "vae"} | {
    name: name for name in ("text_encoder", "text_encoder_2", "text_encoder_3")
}
# Not weights, or not in every layout: OpenCLIP's last layer and projection are not used by Stable Diffusion 2.
LEFT_OUT = re.compile(
    r"(^|\.)(position_ids|logit_scale|model_ema|loss)(\.|$)|encoder\.embed_tokens\.weight$"
    r"|^cond_stage_model\.model\.(transformer\.resblocks\.23\.|text_projection$)"
)
TURNED = "conditioner.embedders.1.model.text_projection"  # stands (in, out) there, (out, in) everywhere else

Likeness = Literal["exact", "half", "other", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A part's digests, `weights:` and 64 hex digits. exact: of its numbers; half: of them rounded to float16."""

    exact: str
    half: str


@dataclass(kw_only=True)
class _Rows:
    """Digests of the rows of one part so far, and how many numbers they hold."""

    exact: bytearray = field(default_factory=bytearray)
    half: bytearray = field(default_factory=bytearray)
    numbers: int = 0
    unfit: bool = False


def identities(path: Path, tick: Tick = quiet) -> dict[str, Identity]:
    """The parts of a file or folder: denoiser, vae, text_encoder, text_encoder_2, text_encoder_3.

    Empty for what is no model; a part with quantised weights, or with more rows than any network has, is left out.
    tick: (bytes done, of), may raise to stop.
    Raises BlockedError for a file that cannot be read.
    """
    work = list(_tensors(path))
    total = sum(stop - start for _, _, _, (_, _, start, stop) in work) or 1
    parts: dict[str, _Rows] = {}
    done = 0
    for file, part, name, tensor in work:
        _take(parts.setdefault(part, _Rows()), file, name, tensor)
        done += tensor[3] - tensor[2]
        tick(done, total)
    return {part: _sealed(rows) for part, rows in sorted(parts.items()) if rows.numbers and not rows.unfit}


def likeness(one: Identity | None, other: Identity | None) -> Likeness:
    """exact: equal numbers. half: equal once rounded to float16, as an original and its fp16 file are."""
    if one is None or other is None:
        return "unknown"
    return "exact" if one.exact == other.exact else "half" if one.half == other.half else "other"


def to_texts(found: Mapping[str, Identity]) -> dict[str, str]:
    """As plain texts by part: `denoiser.exact`, `denoiser.half` ..."""
    pairs = ((part, kind, getattr(i, kind)) for part, i in found.items() for kind in ("exact", "half"))
    return {f"{part}.{kind}": text for part, kind, text in pairs}


# Which tensors


def part_of(name: str) -> str:
    """The part that a tensor of a single file belongs to, by its name; "" for none."""
    if LEFT_OUT.search(name):
        return ""
    return next((part for prefix, part in PREFIXES if name.startswith(prefix)), "")


def _tensors(path: Path) -> Iterator[tuple[Path, str, str, Tensor]]:
    """(file, part, name, tensor) of everything that counts, in the order of the disk."""
    for file, part in _files(path):
        tensors = read_header(file).tensors
        bare = "" if part or any(part_of(name) for name in tensors) else _bare_part(file)
        for name, tensor in sorted(tensors.items(), key=lambda item: item[1][2]):
            own = part or bare or part_of(name)
            if own and not LEFT_OUT.search(name) and _counts(tensor):
                yield file, own, name, tensor


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Files with weights and their part; "" for a single file, whose tensors say it."""
    if path.is_file():
        yield path, ""
        return
    parts = sorted(p for p in path.iterdir() if p.is_dir() and p.name in FOLDERS)
    for folder in parts:
        yield from ((file, FOLDERS[folder.name]) for file in _loaded(folder))
    if not parts:
        yield from ((file, "") for file in _loaded(path))  # one part alone, a VAE


def _loaded(folder: Path) -> list[Path]:
    """The weights of a part that are loaded: not those of a variant (fp16) that lies beside them."""
    files = sorted(folder.glob("*.safetensors"))
    return [f for f in files if ".fp16" not in f.name] or files


def _bare_part(file: Path) -> str:
    """The part of a file that is one part alone, without prefixes: a VAE, or Flux' transformer."""
    kind = identify(read_header(file), file).kind
    return {"vae": "vae", "checkpoint": "denoiser"}.get(kind, "")


def _counts(tensor: Tensor) -> bool:
    return tensor[0] in WIDTHS or tensor[0].startswith(QUANTISED)


# Rows


def _take(rows: _Rows, file: Path, name: str, tensor: Tensor) -> None:
    """Add the rows of a tensor."""
    if tensor[0] not in WIDTHS or (tensor[1] and tensor[1][0] > MOST_ROWS):
        rows.unfit = True
        return
    for block in _turned(file, tensor) if name == TURNED else _blocks(file, tensor):
        rows.numbers += block.size
        exact, half = _forms(block)
        rows.exact += _digests(exact)
        rows.half += _digests(half)


def _turned(file: Path, tensor: Tensor) -> Iterator[NDArray[Any]]:
    import numpy as np

    yield np.concatenate(list(_blocks(file, tensor))).T


def _blocks(file: Path, tensor: Tensor) -> Iterator[NDArray[Any]]:
    """A tensor's numbers as float32 (rows, width), some rows at a time. A vector is rows of one number."""
    dtype, shape, start, stop = tensor
    width = math.prod(shape[1:])
    size = WIDTHS[dtype] * max(1, width)
    step = max(1, BLOCK // size) * size
    with reading(file) as opened:
        opened.seek(start)
        for begin in range(start, stop, step):
            yield _floats(_read(opened, min(stop - begin, step)), dtype).reshape(-1, width)


def _read(opened: BinaryIO, length: int) -> bytes:
    """So many bytes, in several reads where one gives fewer. Raises OSError when the file is cut meanwhile."""
    raw = bytearray()
    while len(raw) < length:
        more = opened.read(length - len(raw))
        if not more:
            raise OSError("it ended while it was read")
        raw += more
    return bytes(raw)


def _floats(raw: bytes, dtype: str) -> NDArray[Any]:
    import numpy as np

    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(raw, "<u2").astype("<u4") << np.uint32(16)).view("<f4")
    return np.frombuffer(raw, {"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype]).astype("<f4")


def _forms(block: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """As little-endian float32 and float16, with one zero: -0 + 0 is 0."""
    import numpy as np

    exact = np.ascontiguousarray(block + np.float32(0))
    with np.errstate(over="ignore", invalid="ignore"):  # what float16 cannot hold is infinite there, in every file
        half = exact.astype("<f2")
    bits = half.view("<u2")
    bits[bits == 0x8000] = 0  # small negative numbers become -0; as bits, because adding in float16 is slow
    return exact, half


def _digests(rows: NDArray[Any]) -> bytes:
    """blake3 of each row, 32 bytes each, in a row."""
    from blake3 import blake3

    data, width = rows.tobytes(), rows.shape[1] * rows.itemsize
    view = memoryview(data)
    return b"".join([blake3(view[i : i + width]).digest() for i in range(0, len(data), width)])


def _sealed(rows: _Rows) -> Identity:
    return Identity(exact=_seal("exact", rows.exact, rows.numbers), half=_seal("half", rows.half, rows.numbers))


def _seal(kind: str, digests: Iterable[int], numbers: int) -> str:
    """blake3 of a line with the counts and of the sorted digests."""
    import numpy as np
    from blake3 import blake3

    ordered = np.sort(np.frombuffer(bytes(digests), "S32"))
    line = f"weights {VERSION} {kind} {len(ordered)} {numbers}\n".encode()
    return "weights:" + blake3(line).update(ordered.tobytes()).hexdigest()
