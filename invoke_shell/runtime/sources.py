"""Where the parts of a model come from; a diffusers folder is one such source, a single file another (single_file.py).

A source is looked at before the libraries are: their own errors for a wrong family name tensors, not reasons.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _diffusers
from invoke_shell.runtime._diffusers import Component, PartKind, Tokenizer

__all__ = ["DTYPES", "Folder", "Source", "aligned", "model_key", "read_json", "refused", "stored_dtype", "tensors"]

ALIGNED = 64  # bytes; what torch's own CPU allocator gives
HEADER = 25_000_000  # bytes; a longer header of a safetensors file is not one
DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}


class Source(Protocol):
    """Parts of a model by the names of a diffusers folder: unet, vae, text_encoder, text_encoder_2, tokenizer ..."""

    model: ModelRecord

    @property
    def configs(self) -> Path:
        """A folder with a config.json for each part, in a folder of its name."""
        ...

    def config(self, name: str) -> Mapping[str, Any]:
        """A part's config.json. Raises RunError (bad-model)."""
        ...

    def index(self) -> Mapping[str, Any]:
        """model_index.json: the pipeline's class and what it says of itself."""
        ...

    def scheduler(self) -> Mapping[str, Any]:
        """scheduler_config.json: the noise schedule the model was trained on."""
        ...

    def check(self, name: str) -> None:
        """Raise RunError when a part's weights are not there."""
        ...

    def network(self, kind: PartKind, name: str, dtype: torch.dtype) -> Any:
        """A part, loaded. Raises whatever the libraries raise."""
        ...

    def tokenizer(self, name: str) -> Tokenizer: ...

    def stored(self) -> str:
        """Data type of the U-Net's weights as they lie on disk."""
        ...

    def beside(self, name: str) -> Path:
        """A file that a model may bring besides its parts: vocabulary.json, preview.json."""
        ...


class Folder:
    """A diffusers folder."""

    def __init__(self, model: ModelRecord) -> None:
        self.model = model
        self.path = Path(model.path)

    @property
    def configs(self) -> Path:
        return self.path

    def config(self, name: str) -> dict[str, Any]:
        return read_json(self.model, self.path, f"{name}/config.json")

    def index(self) -> dict[str, Any]:
        return read_json(self.model, self.path, "model_index.json")

    def scheduler(self) -> dict[str, Any]:
        return read_json(self.model, self.path, "scheduler/scheduler_config.json")

    def check(self, name: str) -> None:
        folder = self.path / name
        self.config(name)
        if any(folder.glob("*.safetensors")):
            return
        if any(folder.glob("*.bin")):
            raise refused(self.model, f"{name} holds only pickled weights (.bin), which could run any code")
        raise refused(self.model, f"{name} holds no .safetensors file")

    def network(self, kind: PartKind, name: str, dtype: torch.dtype) -> Any:
        return _diffusers.load_part(kind, str(self.path), name, dtype, self.variant(name))

    def tokenizer(self, name: str) -> Tokenizer:
        return _diffusers.load_tokenizer(str(self.path), name)

    def stored(self) -> str:
        return stored_dtype(min((self.path / "unet").glob("*.safetensors")))

    def beside(self, name: str) -> Path:
        return self.path / name

    def variant(self, name: str) -> str | None:
        """`fp16` when a part has only files such as diffusion_pytorch_model.fp16.safetensors."""
        names = [p.name for p in (self.path / name).glob("*.safetensors")]
        return None if any(".fp16" not in name for name in names) else "fp16"


def read_json(model: ModelRecord, folder: Path, name: str) -> dict[str, Any]:
    """A JSON object of a model, `unet/config.json`. Raises RunError (bad-model)."""
    path = folder / name
    said = f"{path.parent.name}/{path.name}"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise refused(model, f"{said} is missing") from error
    except (OSError, ValueError) as error:
        raise refused(model, f"{said} cannot be read") from error
    if not isinstance(value, dict):
        raise refused(model, f"{said} is not a JSON object")
    return value


def model_key(model: ModelRecord) -> str:
    """What tells loaded models apart: the file as it is, so that a hash that comes to be known loads nothing again."""
    return model.stamp or model.hash or model.path


def aligned(part: Component) -> None:
    """Bring a part's tensors into memory of known alignment, not to be trained.

    The same weights at other offsets of a memory-mapped file give other last bits (4e-7), hence the copies.
    """
    for tensor in tensors(part):
        tensor.requires_grad_(False)
        if tensor.data_ptr() % ALIGNED:
            tensor.data = tensor.data.clone()


def tensors(part: Component) -> Iterator[Tensor]:
    """Parameters and buffers."""
    yield from part.parameters()
    yield from part.buffers()


def refused(model: ModelRecord, reason: str) -> RunError:
    """Why a model cannot be used, with where it lies."""
    message = f"the model {model.name} cannot be used: {reason}"
    return RunError(message, hint=f"its {model.format or 'folder'}: {model.path}", code="bad-model")


def stored_dtype(path: Path, prefix: str = "") -> str:
    """Data type of the first tensor of a safetensors file whose name begins so, from its header: `F16` as `float16`."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, HEADER)))
    kinds = [
        str(entry["dtype"]) for name, entry in header.items() if name != "__metadata__" and name.startswith(prefix)
    ]
    return DTYPES.get(kinds[0], kinds[0])
