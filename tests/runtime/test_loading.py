"""Model folders: what is refused and why, precision, and which models stay."""

import dataclasses
import json
import shutil
import socket

import pytest
import torch

from invoke_shell.errors import RunError
from invoke_shell.runtime import device
from invoke_shell.runtime.families import RUNS
from invoke_shell.runtime.loading import load_checkpoint
from invoke_shell.runtime.policy import Policy
from invoke_shell.runtime.residency import Residency

CPU = device.find(Policy(device="cpu"))


@pytest.fixture
def copy(small_model, tmp_path):
    """A copy of the small model that may be broken."""
    folder = shutil.copytree(small_model.path, tmp_path / "copy")
    return dataclasses.replace(small_model, path=str(folder)), folder


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def break_family(folder):
    rewrite(folder / "model_index.json", _class_name="FluxControlPipeline")


def break_channels(folder):
    rewrite(folder / "unet" / "config.json", in_channels=5)


def break_conditioning(folder):
    rewrite(folder / "unet" / "config.json", addition_embed_type="image")


def break_pickle(folder):
    weights = next((folder / "vae").glob("*.safetensors"))
    weights.rename(weights.with_suffix(".bin"))


def break_truncated(folder):
    weights = next((folder / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:5000])


def break_shapes(folder):
    rewrite(folder / "unet" / "config.json", block_out_channels=[32, 96])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (shutil.rmtree, "copy/model_index.json is missing"),
        (
            break_family,
            f"it is a FluxControlPipeline, and this runs {RUNS}",
        ),
        (
            lambda f: rewrite(f / "model_index.json", _class_name="FluxFillPipeline"),
            f"it is a FluxFillPipeline, and this runs {RUNS}",
        ),
        (
            lambda f: rewrite(f / "model_index.json", _class_name="WanPipeline"),
            f"it is a WanPipeline, and this runs {RUNS}",
        ),
        (break_channels, "its U-Net reads 5 channels where its VAE makes 4"),
        (break_conditioning, "its U-Net wants more than its family's prompts and a timestep"),
        (break_pickle, "vae holds only pickled weights (.bin), which could run any code"),
        (lambda f: shutil.rmtree(f / "text_encoder"), "text_encoder/config.json is missing"),
        (lambda f: (f / "unet" / "config.json").write_text("{"), "unet/config.json cannot be read"),
        (lambda f: (f / "model_index.json").write_text("[]"), "copy/model_index.json is not a JSON object"),
    ],
)
def test_folder_that_cannot_be_used_is_refused_with_the_reason(copy, change, reason):
    model, folder = copy
    change(folder)

    with pytest.raises(RunError) as raised:
        load_checkpoint(model, CPU)

    assert raised.value.message == f"the model small cannot be used: {reason}"
    assert raised.value.code == "bad-model"


@pytest.mark.parametrize("change", [break_truncated, break_shapes])
def test_broken_weights_are_one_sentence(copy, change):
    model, folder = copy
    change(folder)

    with pytest.raises(RunError) as raised:
        load_checkpoint(model, CPU)

    assert raised.value.message.startswith("the model small cannot be used: loading its weights failed: ")
    assert "\n" not in raised.value.message


def test_loading_opens_no_connection(small_model, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert load_checkpoint(small_model, CPU).name == "small"


def test_parameters_lie_in_aligned_memory_and_are_not_trained(small_model):
    model = load_checkpoint(small_model, CPU)

    for part in (model.unet, model.vae, *model.reader.networks):
        assert not part.training
        assert all(p.data_ptr() % 64 == 0 and not p.requires_grad for p in part.parameters())


def test_half_precision_on_disk_is_float32_on_a_cpu(copy):
    from safetensors.torch import load_file, save_file

    model, folder = copy
    for path in folder.glob("*/*.safetensors"):
        save_file({name: t.half() for name, t in load_file(path).items()}, path, metadata={"format": "pt"})

    loaded = load_checkpoint(model, CPU)

    assert loaded.stored == "float16"
    assert {p.dtype for p in loaded.unet.parameters()} == {torch.float32}


def test_variant_files_are_found(copy):
    model, folder = copy
    for part in ("unet", "vae"):
        path = folder / part / "diffusion_pytorch_model.safetensors"
        path.rename(path.with_suffix(".fp16.safetensors"))
    (folder / "text_encoder" / "model.safetensors").rename(folder / "text_encoder" / "model.fp16.safetensors")

    assert load_checkpoint(model, CPU).stored == "float32"


def test_unknown_device_is_one_sentence():
    with pytest.raises(RunError) as raised:
        device.find(Policy(device="cuda:63"))

    assert raised.value.message == "this machine has no device cuda:63"


@dataclasses.dataclass
class Weight:
    bytes: int


def test_models_stay_while_they_fit_and_the_longest_unused_goes():
    models, loaded = Residency(budget=100), []

    def get(key, size):
        def load():
            loaded.append(key)
            return Weight(size)

        return models.get(key, load, size)

    for key in ("a", "b", "a", "b"):
        get(key, 40)
    assert loaded == ["a", "b"]

    get("a", 40)
    get("c", 60)
    assert models.keys == ["a", "c"]


def test_model_larger_than_the_budget_is_kept_alone():
    models = Residency(budget=100)

    models.get("a", lambda: Weight(40), 40)
    models.get("b", lambda: Weight(300), 300)

    assert models.keys == ["b"]
    assert models.get("b", lambda: pytest.fail("loaded again")).bytes == 300
