"""The colours of latents: the linear map that shows a picture while it is being drawn, fitted to the VAE.

python -m training.pocket.colours FOLDER        fits it for a model folder and writes its preview.json
"""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image

from training.pocket.draw import draw
from training.pocket.scene import scenes

__all__ = ["latent_colours"]

DRAWINGS, SEED = 256, 3


@torch.inference_mode()
def latent_colours(vae: AutoencoderKL) -> dict[str, list]:
    """{"matrix": (channels, 3), "bias": (3,)} that bring latents nearest to the small pictures, colours from 0 to 1."""
    vae = deepcopy(vae).to("cpu", torch.float32)  # the trained one stays where it is
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    rows, colours = [], []
    for scene in islice(scenes(SEED), DRAWINGS):
        picture = draw(scene)
        small = picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.BOX)
        pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        latents = vae.encode(pixels).latent_dist.mode()[0] * vae.config.scaling_factor
        rows.append(latents.flatten(1).T)
        colours.append(torch.from_numpy(np.asarray(small, dtype=np.float32)).reshape(-1, 3) / 255)
    told = torch.cat(rows)
    found = torch.linalg.lstsq(torch.cat([told, torch.ones(len(told), 1)], 1), torch.cat(colours)).solution
    *matrix, bias = [[round(value, 4) for value in row] for row in found.tolist()]
    return {"matrix": matrix, "bias": bias}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = latent_colours(AutoencoderKL.from_pretrained(folder, subfolder="vae"))
    (folder / "preview.json").write_text(json.dumps(found, indent=1) + "\n")
