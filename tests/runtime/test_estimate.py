"""The estimate of memory against live tensors, counted in the networks themselves."""

import dataclasses
import json
import weakref

import pytest
import torch
from models_single import single_file
from models_small import small_record, small_sd1, small_sdxl
from models_transformers import small_flux, small_sd3
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from invoke_shell.pipeline.types import Size
from invoke_shell.runtime.estimate import CONFIGS, estimate, likely_precision

MAKERS = {"sd1": small_sd1, "sdxl": small_sdxl, "sd3": small_sd3, "flux": small_flux}


class Live(TorchDispatchMode):
    """Counts the bytes of tensors that are alive at once, those in `known` left out."""

    def __init__(self, known):
        super().__init__()
        self.now = self.most = 0
        self.seen = {t.untyped_storage()._cdata for t in known}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in (t for t in tree_flatten(out)[0] if isinstance(t, torch.Tensor)):
            storage = tensor.untyped_storage()
            if storage._cdata not in self.seen:
                self.seen.add(storage._cdata)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self.gone, storage._cdata, storage.nbytes())
        return out

    def gone(self, key, size):
        self.now -= size
        self.seen.discard(key)


def most_alive(network, call):
    known = (*network.parameters(), *network.buffers())
    with torch.inference_mode(), Live(known) as live:
        call()
    return live.most


@pytest.fixture
def fused_attention(monkeypatch):
    """As on a device: the result and no table of all pairs."""

    def attention(query, key, value, **_):
        return torch.empty_like(query)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attention)


def empty(shape, dtype=torch.float16):
    return torch.empty(shape, dtype=dtype, device="meta")


def unet_of(base):
    from diffusers import UNet2DConditionModel

    config = json.loads((CONFIGS / base / "unet" / "config.json").read_text())
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(config).half().eval(), config


@pytest.mark.parametrize(("base", "side"), [("sd1", 512), ("sd2", 768), ("sdxl", 1024)])
def test_work_of_a_u_net_is_what_is_alive_in_it(base, side, fused_attention):
    from invoke_shell.runtime.estimate import _denoising

    unet, config = unet_of(base)
    latents = side // 8
    added = {"text_embeds": empty((2, 1280)), "time_ids": empty((2, 6))}
    told = {"added_cond_kwargs": added} if base == "sdxl" else {}
    states = empty((2, 77, config["cross_attention_dim"]))

    counted = most_alive(
        unet, lambda: unet(empty((2, 4, latents, latents)), empty(()), encoder_hidden_states=states, **told)
    )

    told_bytes = 2 * _denoising(base, 320, Size(side, side), guided=True)
    assert counted == pytest.approx(told_bytes, rel=0.02)


def test_work_of_a_transformer_is_what_is_alive_in_it(fused_attention):
    from diffusers import SD3Transformer2DModel

    from invoke_shell.runtime.estimate import _denoising

    config = json.loads((CONFIGS / "sd3" / "transformer" / "config.json").read_text())
    with torch.device("meta"):
        network = SD3Transformer2DModel.from_config({**config, "num_layers": 2}).half().eval()
    inputs = {"encoder_hidden_states": empty((2, 333, 4096)), "pooled_projections": empty((2, 2048))}

    counted = most_alive(network, lambda: network(empty((2, 16, 128, 128)), timestep=empty((2,)), **inputs))

    assert counted == pytest.approx(2 * _denoising("sd3", 1536, Size(1024, 1024), guided=True), rel=0.1)


def test_work_of_a_vae_is_what_is_alive_in_it_and_a_quarter(fused_attention):
    from diffusers import AutoencoderKL

    from invoke_shell.runtime.estimate import VAE_WORK

    with torch.device("meta"):
        vae = AutoencoderKL.from_config(json.loads((CONFIGS / "sd1" / "vae" / "config.json").read_text())).half().eval()

    counted = most_alive(vae, lambda: vae.decode(empty((1, 4, 64, 64))))

    assert 1.25 * counted == pytest.approx(2 * VAE_WORK * 128 * 512 * 512, rel=0.02)


@pytest.mark.parametrize("base", MAKERS)
def test_weights_are_those_of_the_networks(base, tmp_path, real_engine):
    from invoke_shell.runtime.pipelines import piped_family

    model = small_record(MAKERS[base](tmp_path / base), base, base)
    family = piped_family(model)
    loaded = real_engine.stock._piped(model, family, None) if family else real_engine.stock.checkpoint(model)

    found = estimate(model, Size(64, 64), "float32", guided=True)

    assert sum(found.weights.values()) == pytest.approx(loaded.bytes, rel=0.02)  # T5 writes its words twice
    assert found.work > 0


def test_file_and_folder_are_told_the_same(tmp_path):
    folder = small_sd1(tmp_path / "sd1")
    file = dataclasses.replace(small_record(single_file(folder, tmp_path / "m.safetensors")), format="file")

    one, two = (estimate(m, Size(64, 64), "float32", guided=False) for m in (small_record(folder), file))

    assert one.weights == two.weights


def test_vae_that_wants_float32_is_told_so(tmp_path):
    model = small_record(small_sdxl(tmp_path), base="sdxl")

    half, whole = (
        estimate(model, Size(64, 64), precision, guided=True).weights for precision in ("float16", "float32")
    )

    assert half["VAE"] == whole["VAE"]
    assert half["denoiser"] * 2 == whole["denoiser"]


def test_what_cannot_be_told_is_none(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"no header")

    assert estimate(small_record(tmp_path / "model.safetensors"), Size(64, 64), "float32", guided=True) is None
    assert estimate(small_record(tmp_path / "gone"), Size(64, 64), "float32", guided=True) is None


@pytest.mark.parametrize(
    ("precision", "device", "likely"),
    [("auto", "cpu", "float32"), ("auto", "cuda:1", "float16"), ("bfloat16", "cpu", "bfloat16")],
)
def test_likely_precision(precision, device, likely):
    assert likely_precision(precision, device) == likely
