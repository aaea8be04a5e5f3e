"""The example plugins that work with models the person brings: what they say without them, and that they fetch none."""

from __future__ import annotations

import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from command_kit import FakeContext, frame_of
from pipeline_kit import plain_image
from pixel_kit import BLACK, RED, WHITE, picture, rows

from invoke_shell import commands
from invoke_shell.errors import RunError
from invoke_shell.pipeline.bind import read
from invoke_shell.pipeline.registry import Registry

EXAMPLES = Path(__file__).parents[2] / "examples"
PLUGINS = {"plugin-remove-background": "remove_background", "plugin-describe": "describe"}
REMBG = """
def new_session(name, model_path, providers):
    return name, model_path, providers

def remove(picture, session, only_mask):
    assert only_mask and session[0] in ("u2net_custom", "dis_custom"), session
    assert session[2] == ["CPUExecutionProvider"]
    return picture.convert("L")
"""


def plugin(folder):
    """The node of a plugin, as its entry point names it."""
    project = tomllib.loads((EXAMPLES / folder / "pyproject.toml").read_text())["project"]
    ((name, module_name),) = project["entry-points"]["invoke_shell.nodes"].items()
    spec = spec_from_file_location(module_name, EXAMPLES / folder / f"{module_name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize("folder", PLUGINS)
def test_a_plugin_is_a_whole_small_package(folder):
    node = plugin(folder)
    registry = Registry.of(*commands.MODULES, node)

    assert node.name == PLUGINS[folder]
    assert [read(e, registry).faults for e in node.examples] == [[]] * len(node.examples)
    assert f"invoke-shell help {node.name}" in (EXAMPLES / folder / "README.md").read_text()


@pytest.mark.parametrize("folder", PLUGINS)
def test_the_shell_loads_a_plugin_without_its_library(folder):
    before = set(sys.modules)

    plugin(folder)

    assert not {"rembg", "onnxruntime", "transformers", "torch", "numpy", "PIL"} & (set(sys.modules) - before)


# -- remove_background -------------------------------------------------------------------------------------------------


@pytest.fixture
def rembg(tmp_path, monkeypatch):
    """A rembg whose networks find what is light, and its folder."""
    for name, text in (("rembg", REMBG), ("onnxruntime", "")):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "networks"))
    (tmp_path / "networks").mkdir()
    yield tmp_path / "networks"
    sys.modules.pop("rembg", None)


@pytest.mark.parametrize("network", ["u2net", "isnet-general-use"])
def test_the_subject_stays_and_colours_stay_under_the_rest(rembg, network):
    (rembg / f"{network}.onnx").write_bytes(b"weights")

    made = plugin("plugin-remove-background")(FakeContext(), frame_of(picture([[WHITE, BLACK]])), network=network)

    assert rows(made.image) == [[(*WHITE, 255), (*BLACK, 0)]]


def test_the_record_has_the_networks_hash_and_no_path(rembg):
    (rembg / "u2net.onnx").write_bytes(b"weights")

    made = plugin("plugin-remove-background")(FakeContext(), frame_of(plain_image(2, 2)), network="u2net")

    assert made.facts["network"]["name"] == "u2net"
    assert made.facts["network"]["hash"].startswith("blake3:")
    assert str(rembg) not in str(made.facts)


def test_a_network_that_is_not_there_is_said(rembg):
    with pytest.raises(RunError) as caught:
        plugin("plugin-remove-background")(FakeContext(), frame_of(plain_image(2, 2)), network="u2netp")

    assert caught.value.message == "remove_background finds no u2netp.onnx in rembg's folder"
    assert caught.value.hint == "copy it there; U2NET_HOME says where the folder is"
    assert caught.value.code == "unknown-model"


@pytest.mark.parametrize("missing", ["rembg", "onnxruntime"])
def test_a_library_that_is_not_installed_is_said(rembg, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)  # as Python marks a module that cannot be imported

    with pytest.raises(RunError) as caught:
        plugin("plugin-remove-background")(FakeContext(), frame_of(plain_image(2, 2)))

    assert caught.value.message == f"remove_background needs {missing}, which is not installed"
    assert caught.value.hint == 'python -m pip install "rembg[cpu]"'


# -- describe ----------------------------------------------------------------------------------------------------------


def test_a_folder_without_a_model_is_said(tmp_path):
    with pytest.raises(RunError) as caught:
        plugin("plugin-describe")(FakeContext(), frame_of(plain_image(2, 2)), tmp_path / "blip")

    assert caught.value.message == "blip is no folder of an image-to-text model: config.json is not in it"
    assert (caught.value.hint, caught.value.code) == ("a folder such as save_pretrained writes", "unknown-model")


def test_describe_is_no_step_and_leaves_no_path_in_a_picture():
    node = plugin("plugin-describe")

    assert node.stage_only
    assert node.recorded == ()


@pytest.mark.slow
def test_describe_says_what_a_model_says(tmp_path):
    save_tiny_blip(tmp_path / "blip")
    node, ctx = plugin("plugin-describe"), FakeContext()

    for colour in (RED, (7,), (1, 2, 3, 4)):
        node(ctx, frame_of(plain_image(20, 30, colour)), tmp_path / "blip", words=5)

    assert len(ctx.said) == 3
    assert {word for said in ctx.said for word in said.split()} <= {"a", "red", "boat", "on", "the", "sea"}


@pytest.mark.slow
def test_a_model_of_another_kind_is_said(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "config.json").write_text('{"model_type": "clip"}')

    with pytest.raises(RunError, match="clip cannot be loaded as an image-to-text model"):
        plugin("plugin-describe")(FakeContext(), frame_of(plain_image(2, 2)), tmp_path / "clip")


def save_tiny_blip(folder):
    """A BLIP of a few thousand random weights and eleven words."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "boat", "on", "the", "sea"]
    (folder / "vocab.txt").write_text("\n".join(words))
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    text = {**small, **special, "vocab_size": len(words), "encoder_hidden_size": 16, "max_position_embeddings": 32}
    torch.manual_seed(0)
    config = BlipConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 16})
    BlipForConditionalGeneration(config).save_pretrained(folder)
    images = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(images, BertTokenizer(str(folder / "vocab.txt"))).save_pretrained(folder)
