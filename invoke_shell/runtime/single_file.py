"""A whole model in one safetensors file: Stable Diffusion 1, 2 or XL in the layout of their first publication.

Such a file has weights and nothing else. What it lacks ships in the package: configs (assets/configs, numbers alone)
and CLIP's vocabulary. With both at hand the library asks no network; without configs it does, even when told not to.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from invoke_shell.models.detectors import identify
from invoke_shell.models.finding import Finding
from invoke_shell.models.header import Header, read_header
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _diffusers, clip_words
from invoke_shell.runtime._diffusers import PartKind, Tokenizer
from invoke_shell.runtime.families import titled
from invoke_shell.runtime.sources import DTYPES, read_json, refused

__all__ = ["CONFIGS", "SingleFile"]

CONFIGS = Path(__file__).resolve().parent.parent / "assets" / "configs"
CLASSES = {
    "sd1": "StableDiffusionPipeline",
    "sd2": "StableDiffusionPipeline",
    "sdxl": "StableDiffusionXLPipeline",
    "sd3": "StableDiffusion3Pipeline",
    "flux": "FluxPipeline",
}
# Beginnings of a part's tensors.
PARTS = {
    "unet": ("model.diffusion_model.",),
    "vae": ("first_stage_model.",),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0.transformer."),
    "text_encoder_2": ("conditioner.embedders.1.",),
}
WORDS = {"unet": "U-Net", "vae": "VAE", "text_encoder": "text encoder", "text_encoder_2": "second text encoder"}
REFINER = "sdxl-refiner"
REFINER_PARTS = {"text_encoder_2": ("conditioner.embedders.0.model.",)}
UNUSUAL = {
    "pruned",
    "depth",
    "upscale",
    "unclip",
    "edm",
    "edm_v",
}  # variants and ways to predict that this does not run
IMAGE = "model.diffusion_model.input_blocks.0.0.weight"  # the U-Net's first convolution: (out, channels, 3, 3)


class SingleFile:
    """Implements sources.Source. Raises BlockedError or RunError, a sentence each, for a file that is no such model."""

    def __init__(self, model: ModelRecord) -> None:
        self.model = model
        self.path = Path(model.path)
        self.header: Header = read_header(self.path)
        self.finding: Finding = identify(self.header, self.path)
        self.base = model.base or self.finding.base
        if found := UNUSUAL & {*self.finding.variant.split(), self.finding.prediction}:
            raise refused(model, f"it is {titled(self.base)} of a kind ({', '.join(found)}) that is not run here")
        self.refiner = "refiner" in self.finding.variant.split()

    @property
    def configs(self) -> Path:
        """The folder with a config for each part."""
        return CONFIGS / self.base

    def configs_of(self, name: str) -> Path:
        """The folder with the config of a part: a refiner shares all with SDXL but its U-Net."""
        own = CONFIGS / REFINER
        return own if self.refiner and (own / name).is_dir() else self.configs

    def config(self, name: str) -> Mapping[str, Any]:
        found = read_json(self.model, self.configs_of(name), f"{name}/config.json")
        return {**found, "in_channels": self.channels} if name == "unet" else found

    @property
    def channels(self) -> int:
        """What the U-Net reads: 4, with a mask and a picture 9, with a picture 8."""
        return self.header.shape(IMAGE)[1]

    def index(self) -> Mapping[str, Any]:
        if not self.base:
            raise refused(self.model, f"it is not known what it is ({self.finding.reason})")
        scored = {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False} if self.refiner else {}
        return {"_class_name": CLASSES.get(self.base, self.base), **scored}

    def scheduler(self) -> Mapping[str, Any]:
        """What was found in the file beats the family's usual: SD 2 and XL come with both kinds of prediction."""
        own: dict[str, Any] = {}
        if self.finding.prediction and self.finding.base:  # of a family that was not recognised, the usual is nearer
            own["prediction_type"] = {"v": "v_prediction"}.get(self.finding.prediction, self.finding.prediction)
        if self.finding.zero_snr:
            own |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        return {**read_json(self.model, self.configs, "scheduler/scheduler_config.json"), **own}

    def check(self, name: str) -> None:
        beginnings = {**PARTS, **(REFINER_PARTS if self.refiner else {})}[name]
        if not any(tensor.startswith(beginnings) for tensor in self.header.tensors):
            raise refused(self.model, f"it has no {WORDS[name]} in it, and a whole model is needed")

    def network(self, kind: PartKind, name: str, dtype: torch.dtype) -> Any:
        configs = str(self.configs_of(name))
        if kind in ("text", "text_projected"):
            return _diffusers.load_single_text(kind, self._weights, configs, name, dtype)
        changes = {"in_channels": self.channels} if kind == "unet" else {}
        return _diffusers.load_single_part(kind, self._weights, configs, name, dtype, **changes)

    def tokenizer(self, name: str) -> Tokenizer:
        words, merges = clip_words.vocabulary()
        # What stands after a prompt's end is read by the encoder too, and OpenCLIP was trained with zeros there.
        pad = "!" if self.base == "sd2" or name == "tokenizer_2" else clip_words.MARKS[1]
        return _diffusers.make_tokenizer(words, merges, pad)

    def stored(self) -> str:
        return DTYPES.get(self.header.dtype, self.header.dtype)

    def beside(self, name: str) -> Path:
        """Next to the file, its name before: `red.preview.json`."""
        return self.path.with_suffix(f".{name}")

    @cached_property
    def _weights(self) -> dict[str, torch.Tensor]:
        """All tensors, mapped from the file: read when they are used."""
        return _diffusers.read_weights(str(self.path))
