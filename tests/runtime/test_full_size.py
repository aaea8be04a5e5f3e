"""Files of the published sizes load with what ships in the package: sparse files of zeros, so that no disk is used."""

import dataclasses
import json
import math
import struct

import pytest
import torch
from models_single import renamed
from models_small import small_record

from invoke_shell.runtime import device
from invoke_shell.runtime.loading import load_checkpoint
from invoke_shell.runtime.policy import Policy
from invoke_shell.runtime.single_file import CONFIGS

# Millions of parameters, published: U-Net, VAE, text encoders.
SIZES = {"sd1": (859.52, 83.65, 123.06), "sd2": (865.91, 83.65, 340.39), "sdxl": (2567.46, 83.65, 123.06, 694.66)}


def write_zeros(shapes, path):
    """A safetensors file of float16 zeros; the system keeps no block for them."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def empty_network(base, part):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = json.loads((CONFIGS / base / part / "config.json").read_text())
    with torch.device("meta"):
        if part.startswith("text"):
            kind = CLIPTextModelWithProjection if part.endswith("2") else CLIPTextModel
            return kind(CLIPTextConfig(**config))
        return (UNet2DConditionModel if part == "unet" else AutoencoderKL).from_config(config)


@pytest.mark.slow
@pytest.mark.parametrize("base", SIZES)
def test_full_size_file_loads(base, tmp_path):
    texts = ["text_encoder", "text_encoder_2"] if base == "sdxl" else ["text_encoder"]
    parts = {part: dict(empty_network(base, part).named_parameters()) for part in ["unet", "vae", *texts]}
    configs = {part: json.loads((CONFIGS / base / part / "config.json").read_text()) for part in parts}
    path = tmp_path / "full.safetensors"
    write_zeros({name: tuple(tensor.shape) for name, tensor in renamed(parts, configs).items()}, path)
    model = dataclasses.replace(small_record(path, "full", ""), format="file")

    loaded = load_checkpoint(model, device.find(Policy(device="cpu", precision="float16")))

    networks = (loaded.unet, loaded.vae, *loaded.reader.networks)
    found = tuple(round(sum(p.numel() for p in network.parameters()) / 1e6, 2) for network in networks)
    assert (loaded.family, found) == (base, SIZES[base])
