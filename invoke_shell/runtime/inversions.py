"""Textual inversions: a word that stands for vectors of its own, from a safetensors file.

Layouts: `emb_params` (AUTOMATIC1111), `clip_l` and `clip_g` (SDXL), or the word itself (diffusers), each (rows, width).
"""

from __future__ import annotations

from collections.abc import Sequence

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.records import ModelRecord
from invoke_shell.runtime._diffusers import TextEncoder
from invoke_shell.runtime.clip import Inversion
from invoke_shell.runtime.sources import model_key

__all__ = ["load_inversion", "unused"]


def load_inversion(model: ModelRecord, networks: Sequence[TextEncoder]) -> Inversion:
    """The vectors for each of a model's text encoders. Raises RunError (bad-model).

    The word is the file's name, as in AUTOMATIC1111 and ComfyUI, whatever the file says of itself.
    """
    try:
        tensors = load_file(model.path)
    except (OSError, ValueError, SafetensorError) as error:
        raise _refused(model, "it is no safetensors file that can be read") from error
    rows = [tensor.reshape(-1, tensor.shape[-1]) for tensor in tensors.values() if tensor.dim() in (1, 2)]
    vectors = tuple(_of_width(model, rows, network) for network in networks)
    if len({len(v) for v in vectors}) > 1:
        raise _refused(model, "it has more vectors for one text encoder than for the other")
    return Inversion(word=model.name, key=model_key(model), vectors=vectors)


def _of_width(model: ModelRecord, rows: Sequence[Tensor], network: TextEncoder) -> Tensor:
    own = next(network.parameters())
    width = network.config.hidden_size
    for tensor in rows:
        if tensor.shape[-1] == width:
            return tensor.to(own.device, own.dtype)
    widths = sorted({tensor.shape[-1] for tensor in rows})
    made = " and ".join(map(str, widths)) or "no number"
    raise _refused(model, f"its vectors are {made} wide and the text encoder's {width}: it was made for another base")


def unused(inversions: Sequence[Inversion], *texts: str) -> list[str]:
    """Words of inversions that stand in none of the texts."""
    said = " ".join(texts).lower()
    return [i.word for i in inversions if i.word.lower() not in said]


def _refused(model: ModelRecord, reason: str) -> RunError:
    message = f"the embedding {model.name} cannot be used here: {reason}"
    return RunError(message, hint=f"its file: {model.path}", code="bad-model")
