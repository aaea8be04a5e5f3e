"""A transformer in one file: Stable Diffusion 3 or Flux, as safetensors or GGUF, in the published layout or diffusers'.

Its config ships in the package; what differs between the models of a family (depth, guidance, sizes) is read from names
and shapes of its tensors. Text encoders and a VAE may be in it too; components.py finds them elsewhere.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invoke_shell.models.detectors import identify
from invoke_shell.models.gguf import read_gguf
from invoke_shell.models.header import Header, read_header
from invoke_shell.models.layouts import PREFIXES
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _diffusers, single_file
from invoke_shell.runtime.pipelines import PipedFamily
from invoke_shell.runtime.sources import DTYPES, read_json, refused

__all__ = ["TransformerFile"]

CLASSES = {"sd3": "SD3Transformer2DModel", "flux": "FluxTransformer2DModel"}
UNUSUAL = {"fill", "control"}  # Flux that reads more than latents
PACKED = (".scale_weight", "scaled_fp8", ".weight_scale", ".quant_state.", ".absmax", ".qweight")
FLUX_PARTS = {"num_layers": ("double_blocks", "transformer_blocks")}
FLUX_PARTS |= {"num_single_layers": ("single_blocks", "single_transformer_blocks")}
GUIDANCE = ("guidance_in.in_layer.weight", "time_text_embed.guidance_embedder.linear_1.weight")
SD3_BLOCKS = ("joint_blocks", "transformer_blocks")


class TransformerFile:
    """Raises RunError (bad-model), a sentence each, for what cannot be run."""

    def __init__(self, model: ModelRecord, family: PipedFamily) -> None:
        self.model = model
        self.family = family
        self.path = Path(model.path)
        self.packed = self.path.suffix.lower() == ".gguf"
        self.header: Header = read_gguf(self.path) if self.packed else read_header(self.path)
        self._check()

    def transformer(self, dtype: torch.dtype) -> Any:
        """The network. Raises whatever the library raises."""
        config = str(self.configs)
        given: str | dict[str, Tensor] = str(self.path) if self.packed else self._of_transformer()
        kind = CLASSES[self.family.base]
        return _diffusers.load_transformer(kind, given, config, dtype, self.values(), packed=self.packed)

    def tensors(self, beginning: str) -> dict[str, Tensor]:
        """Tensors of a part in the file, by their whole names."""
        return {name: tensor for name, tensor in self._weights.items() if name.startswith(beginning)}

    def has(self, beginning: str) -> bool:
        """Whether any tensor's name begins so."""
        return any(name.startswith(beginning) for name in self.header.tensors)

    @property
    def configs(self) -> Path:
        """The folder with a config for each part."""
        return single_file.CONFIGS / self.family.base

    @property
    def stored(self) -> str:
        """Data type of most of the weights."""
        return f"gguf {self.header.dtype}" if self.packed else DTYPES.get(self.header.dtype, self.header.dtype)

    @property
    def guided(self) -> bool:
        """Flux dev is told its guidance, schnell is not."""
        return any(self._prefix + name in self.header.tensors for name in GUIDANCE)

    def scheduler(self) -> Mapping[str, Any]:
        """The family's; Flux schnell was distilled without the shift by size."""
        found = read_json(self.model, self.configs, "scheduler/scheduler_config.json")
        plain = self.family.base == "flux" and not self.guided
        return {**found, **({"shift": 1.0, "use_dynamic_shifting": False} if plain else {})}

    def values(self) -> dict[str, Any]:
        """What of the config this file says otherwise."""
        return self._flux() if self.family.base == "flux" else self._sd3()

    # -- what is in the header ---------------------------------------------------------------------------------------

    def _check(self) -> None:
        finding = identify(self.header, self.path)
        if found := UNUSUAL & set(finding.variant.split()):
            raise refused(self.model, f"it is {self.family.title} of a kind ({', '.join(found)}) that is not run here")
        if not self.packed and any(mark in name for name in self.header.tensors for mark in PACKED):
            raise refused(self.model, "its weights are packed with scales of their own, which only their program reads")
        if self.packed and importlib.util.find_spec("gguf") is None:
            raise refused(self.model, "GGUF files need the package gguf: pip install 'invoke-shell[gguf]'")

    @cached_property
    def _prefix(self) -> str:
        marks = ("x_embedder.", "img_in.")
        found = (p for p in PREFIXES for m in marks if any(n.startswith(p + m) for n in self.header.tensors))
        return next(found, "")

    @cached_property
    def _weights(self) -> dict[str, Tensor]:
        """All tensors, mapped from the file: read when they are used."""
        return _diffusers.read_weights(str(self.path))

    def _of_transformer(self) -> dict[str, Tensor]:
        """Without its prefix and without the other parts, which the library would take for its own."""
        found = self.tensors(self._prefix) if self._prefix else self._weights
        return {name.removeprefix(self._prefix): tensor for name, tensor in found.items()}

    def _count(self, blocks: tuple[str, ...]) -> int:
        pattern = re.compile(rf"{re.escape(self._prefix)}(?:{'|'.join(blocks)})\.(\d+)\.")
        return 1 + max((int(m[1]) for name in self.header.tensors if (m := pattern.match(name))), default=-1)

    def _side(self, names: tuple[str, ...], axis: int) -> int:
        return next((s for name in names if (s := self.header.side(self._prefix + name, axis))), 0)

    def _flux(self) -> dict[str, Any]:
        counted = {name: self._count(blocks) for name, blocks in FLUX_PARTS.items()}
        return {**counted, "guidance_embeds": self.guided}

    def _sd3(self) -> dict[str, Any]:
        """3 medium, 3.5 medium (attention twice in its first blocks) and 3.5 large (deeper) differ."""
        config = read_json(self.model, self.configs, "transformer/config.json")
        width = self._side(("x_embedder.proj.weight", "pos_embed.proj.weight"), 0)
        places = self._side(("pos_embed", "pos_embed.pos_embed"), 1)
        twice = re.compile(
            rf"{re.escape(self._prefix)}(?:joint_blocks|transformer_blocks)\.(\d+)\.(?:x_block\.)?attn2\."
        )
        names = self.header.tensors
        normed = any(re.search(r"attn\.(ln_q|norm_q)\.weight$", name) for name in names)
        return {
            "num_layers": self._count(SD3_BLOCKS),
            "num_attention_heads": width // config["attention_head_dim"],
            "caption_projection_dim": self._side(("context_embedder.weight",), 0),
            "pos_embed_max_size": math.isqrt(places) or config["pos_embed_max_size"],
            "dual_attention_layers": tuple(sorted({int(m[1]) for name in names if (m := twice.match(name))})),
            "qk_norm": "rms_norm" if normed else None,
        }
