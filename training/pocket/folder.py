"""The model folder: every part in the layout that StableDiffusionPipeline.from_pretrained reads."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from copy import deepcopy
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

from training.pocket.colours import latent_colours
from training.pocket.scene import vocabulary
from training.pocket.tokenizer import write_tokenizer
from training.pocket.unet import scheduler

__all__ = ["ADVICE", "GUIDANCE", "write_folder"]


def write_folder(target: Path, text: CLIPTextModel, unet: UNet2DConditionModel, vae: AutoencoderKL) -> None:
    """Write the folder in half precision; each file is swapped in whole, so that a reader never meets half of one."""
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        write_tokenizer(made / "tokenizer")
        scheduler().save_pretrained(made / "scheduler")
        for name, part in (("text_encoder", text), ("unet", unet), ("vae", vae)):
            deepcopy(part).to("cpu", torch.float16).save_pretrained(made / name)
        (made / "advice.json").write_text(json.dumps(ADVICE) + "\n")
        (made / "vocabulary.json").write_text(json.dumps({"words": vocabulary()}, indent=1) + "\n")
        (made / "preview.json").write_text(json.dumps(latent_colours(vae), indent=1) + "\n")
        (made / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n")
        for path in sorted(made.rglob("*")):
            if path.is_file():
                swap_in(path, target / path.relative_to(made))


def swap_in(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(place.name + ".part")
    shutil.copyfile(path, part)
    os.replace(part, place)


# What the model is drawn with unless the user says otherwise.
GUIDANCE = 2
ADVICE = {"size": "128x128", "steps": 20, "guidance": GUIDANCE}

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": diffusers.__version__,
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
