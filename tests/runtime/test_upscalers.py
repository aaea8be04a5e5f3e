"""Upscaler files: both layouts of ESRGAN, Compact, tiles without seams, and files that are neither."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from invoke_shell.errors import RunError
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import _spandrel, upscalers
from invoke_shell.runtime.upscalers import Compact, Esrgan, load_upscaler

CPU = torch.device("cpu")
OTHER = "it is no upscaler of a known kind" if _spandrel.installed() else "it is no ESRGAN or Compact upscaler"


@pytest.fixture
def saved(tmp_path):
    """A record of an upscaler file with these weights."""

    def save(weights):
        path = tmp_path / "upscaler.safetensors"
        save_file({name: t.contiguous() for name, t in weights.items()}, path)
        return ModelRecord(name="up", kind="upscaler", path=str(path))

    return save


def picture(height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def old_names(weights, depth):
    """The older ESRGAN layout: a sequence of sequences."""
    renamed = {
        "conv_first": "model.0",
        "conv_body": f"model.1.sub.{depth}",
        "conv_up1": "model.3",
        "conv_up2": "model.6",
    }
    renamed |= {"conv_hr": "model.8", "conv_last": "model.10"}
    out = {}
    for name, tensor in weights.items():
        if name.startswith("body."):
            _, block, dense, conv, kind = name.split(".")
            out[f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{kind}"] = tensor
        else:
            part, kind = name.split(".")
            out[f"{renamed[part]}.{kind}"] = tensor
    return out


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 4])
def test_compact_is_what_its_tensors_say(saved, scale):
    torch.manual_seed(0)
    weights = Compact(width=8, depth=2, scale=scale).state_dict()

    upscaler = load_upscaler(saved(weights), CPU)

    x = source = picture(5, 7)
    for n in (0, 2, 4):
        x = functional.conv2d(x, weights[f"body.{n}.weight"], weights[f"body.{n}.bias"], padding=1)
        x = functional.prelu(x, weights[f"body.{n + 1}.weight"])
    x = functional.conv2d(x, weights["body.6.weight"], weights["body.6.bias"], padding=1)
    expected = functional.pixel_shuffle(x, scale) + source.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert upscaler.scale == scale
    assert torch.equal(upscaler.enlarge(source, lambda done, total: None), expected)


@torch.no_grad()
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_esrgan_enlarges_any_size(saved, scale):
    torch.manual_seed(0)
    network = Esrgan(width=8, depth=2, growth=4, scale=scale)

    upscaler = load_upscaler(saved(network.state_dict()), CPU)

    assert upscaler.enlarge(picture(5, 7), lambda done, total: None).shape == (1, 3, 5 * scale, 7 * scale)


@torch.no_grad()
def test_older_esrgan_layout_is_the_same_network(saved):
    torch.manual_seed(0)
    network = Esrgan(width=8, depth=2, growth=4, scale=4)

    upscaler = load_upscaler(saved(old_names(network.state_dict(), depth=2)), CPU)

    assert torch.equal(upscaler.network(picture(6, 6)), network(picture(6, 6)))


@torch.no_grad()
def test_tiles_show_no_seam(saved, monkeypatch):
    torch.manual_seed(0)
    upscaler = load_upscaler(saved(Compact(width=8, depth=2, scale=2).state_dict()), CPU)
    whole = upscaler.enlarge(picture(70, 90), lambda done, total: None)
    ticks = []

    monkeypatch.setattr(upscalers, "TILE", 40)
    tiled = upscaler.enlarge(picture(70, 90), lambda *tick: ticks.append(tick))

    # The margin is wider than what four convolutions see, so only the last bits may differ.
    assert torch.allclose(tiled, whole, atol=1e-5)
    assert ticks == [(n, 6) for n in range(1, 7)]


def test_file_of_another_layout_is_refused(saved):
    model = saved({"layers.0.attention.weight": torch.zeros(3, 3)})

    with pytest.raises(RunError, match=rf"^the model up cannot be used: {OTHER}") as raised:
        load_upscaler(model, CPU)
    assert raised.value.code == "bad-model"


def test_file_that_is_no_safetensors_is_refused(tmp_path):
    path = tmp_path / "up.safetensors"
    path.write_bytes(b"not a model")

    with pytest.raises(RunError, match=r"^the model up cannot be used"):
        load_upscaler(ModelRecord(name="up", kind="upscaler", path=str(path)), CPU)


@torch.no_grad()
@pytest.mark.parametrize("size", [(41, 40), (85, 123)])
def test_tiles_fade_into_each_other(size, saved, monkeypatch):
    """A network that sees farther than the margin draws each tile in its own way; no line shows where they meet."""

    class Average(torch.nn.Module):
        scale = 2

        def forward(self, part):
            # As bright as the tile on the whole: what a wide network's opinion of it comes to.
            return part.mean(dim=(2, 3), keepdim=True).expand(1, 3, part.shape[2] * 2, part.shape[3] * 2)

    monkeypatch.setattr(upscalers, "TILE", 40)
    upscaler = upscalers.Upscaler(network=Average(), scale=2, device=CPU)
    ramp = torch.linspace(0, 1, size[1]).expand(1, 3, *size)

    drawn = upscaler.enlarge(ramp, lambda *tick: None)

    step = drawn.diff(dim=3).abs().max()
    assert float(drawn.min()) > 0.1  # shares add up to 1 everywhere
    assert float(step) < 0.02  # a hard seam between tiles would be a step of 0.3
    assert torch.allclose(upscaler.enlarge(torch.ones(1, 3, *size), lambda *tick: None), torch.ones(1))


def test_other_layouts_are_read_through_spandrel(saved):
    pytest.importorskip("spandrel", reason="an extra")
    with _spandrel._without_torchvision():
        from spandrel.architectures.SPAN import SPAN
    torch.manual_seed(0)
    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2).eval()

    upscaler = load_upscaler(saved(network.state_dict()), CPU)

    with torch.no_grad():
        expected = network(picture(20, 30)).clamp(0, 1)
        assert upscaler.scale == 2
        assert upscaler.network.kind == "SPAN"
        assert torch.equal(upscaler.enlarge(picture(20, 30), lambda *tick: None), expected)
