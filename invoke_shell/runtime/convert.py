"""A program of its own: weights out of a pickle, into a safetensors file. Started by models/convert.py.

python -m invoke_shell.runtime.convert SOURCE TARGET prints one JSON object: {"tensors", "left_out"} or {"error"}.

A pickle is a program for a small machine that may call anything. torch's own reader of weights alone is tried first.
It refuses files that name classes it does not know, as many checkpoints do (callbacks of their trainer); for these a
reader of ours puts a dead object in the place of every such class. Nothing that a file names is ever imported or
called, except the few functions of torch that put a tensor together.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["Refused", "main", "read_pickle", "weights"]

# What a file may name, besides the types of storages, which torch's reader knows.
ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): torch.serialization._get_layout,
}
# Where trainers put the weights among other things, the best first.
NESTS = ("state_dict", "params_ema", "params", "model_state_dict", "model", "module", "net", "generator")
INSIDES = re.compile(r"\b(_modules|_parameters|_buffers)\.")  # of a network that was pickled whole
KEPT = ("global_step", "epoch")  # numbers beside the weights that say something of the model
DEEPEST = 12
MOST_SHOWN = 12


class Refused(Exception):
    """Why a file is not converted, as the end of a sentence that begins with its name."""


def main(arguments: list[str]) -> int:
    """Convert; what happened goes to standard output as JSON."""
    source, target = (Path(a) for a in arguments)
    try:
        loaded, foreign = read_pickle(source)
        tensors = weights(loaded)
        save_file(tensors, target, metadata={"format": "pt", **_facts(loaded)})
        answer: dict[str, object] = {"tensors": len(tensors), "left_out": sorted(foreign)[:MOST_SHOWN]}
    except Refused as refused:
        answer = {"error": str(refused)}
    except MemoryError:
        answer = {"error": "does not fit into memory"}
    except Exception as error:  # writing may fail in as many ways as reading
        reason = str(error).strip().splitlines() or [type(error).__name__]
        answer = {"error": f"cannot be converted: {_plain(reason[0])}"}
    print(json.dumps(answer), flush=True)
    return 0


# -- reading ---------------------------------------------------------------------------------------------------------


def read_pickle(path: Path) -> tuple[Any, set[str]]:
    """What is in a file, and the foreign names in it that stand for nothing now. Raises Refused."""
    zipped = zipfile.is_zipfile(path)
    if zipped:
        _check_zip(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped), set()
    except MemoryError:
        raise
    except Exception:  # a hostile file may provoke anything
        return _read_stubbed(path, zipped)


def _check_zip(path: Path) -> None:
    names = [Path(name).name for name in zipfile.ZipFile(path).namelist()]
    if "constants.pkl" in names:
        raise Refused("is a program (TorchScript), not weights alone; look for a safetensors file of the model")
    if "data.pkl" not in names:
        raise Refused("is an archive without weights in it")


def _read_stubbed(path: Path, zipped: bool) -> tuple[Any, set[str]]:
    foreign: set[str] = set()
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_reader(foreign), mmap=zipped)
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        broken = zipped and "PytorchStreamReader" in reason[0]
        why = "is damaged or cut short: download it again" if broken else f"cannot be read: {_plain(reason[0])}"
        raise Refused(why) from error
    return loaded, foreign


class _Dead:
    """Stands for an object of a class that is not known here: takes whatever a pickle gives it, and does nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> _Dead:
        return object.__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __call__(self, *args: object, **kwargs: object) -> _Dead:
        return _Dead()

    def __setitem__(self, key: object, value: object) -> None:
        """Nothing is kept."""

    def append(self, value: object) -> None:
        """Nothing is kept."""

    def extend(self, values: object) -> None:
        """Nothing is kept."""


def _reader(foreign: set[str]) -> Any:
    """A module as torch.load wants it, whose reader imports nothing. foreign: gets the names that are not known."""

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in ALLOWED:
                return ALLOWED[(module, name)]
            if module == "torch" and isinstance(found := getattr(torch, name, None), torch.dtype):
                return found
            foreign.add(_plain(f"{module}.{name}"))
            return _Dead

    made: Any = ModuleType("restricted")
    made.Unpickler = Reader
    made.load = lambda file, **options: Reader(file, **options).load()
    return made


def _plain(text: str) -> str:
    """At most a line of it, without what cannot be printed."""
    return "".join(c for c in text if c.isprintable())[:200]


# -- what of it are weights ------------------------------------------------------------------------------------------


def weights(loaded: Any) -> dict[str, Tensor]:
    """The tensors by name, each in memory of its own. Raises Refused when there are none."""
    found = dict(_flat(_inner(loaded), "", 0))
    if isinstance(loaded, Mapping) and "string_to_param" in loaded:
        found = dict(_flat(loaded["string_to_param"], "", 0))
        found = {"emb_params": next(iter(found.values()))} if len(found) == 1 else found
    if not found:
        raise Refused("has no weights in it")
    return dict(_apart(found))


def _inner(loaded: Any) -> Any:
    """The part of a file that is the model."""
    if isinstance(loaded, Mapping):
        for name in NESTS:
            if name in loaded and next(_flat(loaded[name], "", 0), None) is not None:
                return loaded[name]
    return loaded


def _flat(value: Any, name: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    """Tensors in dictionaries and dead objects, by their path with dots."""
    if isinstance(value, _Dead):
        value = value.state
    if isinstance(value, Tensor):
        yield INSIDES.sub("", name), value.detach()
    elif isinstance(value, Mapping) and depth < DEEPEST:
        for key, inner in value.items():
            if isinstance(key, str):
                yield from _flat(inner, f"{name}.{key}" if name else key, depth + 1)


def _apart(found: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Dense, contiguous and sharing nothing, as safetensors wants them."""
    seen: set[int] = set()
    for name, tensor in found.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise Refused(f"has a tensor that is {_plain(str(tensor.layout))} or quantised, which cannot be converted")
        place = tensor.untyped_storage().data_ptr()
        shared = place in seen or tensor.untyped_storage().nbytes() != tensor.nbytes
        seen.add(place)
        yield name, tensor.clone(memory_format=torch.contiguous_format) if shared else tensor.contiguous()


def _facts(loaded: Any) -> dict[str, str]:
    found = {name: loaded.get(name) for name in KEPT} if isinstance(loaded, Mapping) else {}
    return {name: str(value) for name, value in found.items() if type(value) is int}


if __name__ == "__main__":
    os.environ.pop("TORCH_FORCE_WEIGHTS_ONLY_LOAD", None)  # would forbid our own reader
    raise SystemExit(main(sys.argv[1:]))
