"""Stable Diffusion 3 and Flux in one file: the folder's pixels, with text encoders and VAE from wherever they are."""

import dataclasses
import json
import math
import shutil
import socket

import pytest
import torch
from models_small import small_record
from models_transformers import REAL, loose_parts, sd3_file, small_flux, small_sd3, transformer_file
from safetensors.torch import load_file, save_file
from test_full_size import write_zeros

from invoke_shell.errors import RunError
from invoke_shell.models.folders import T5_LACKS
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Size
from invoke_shell.records import ModelRecord
from invoke_shell.runtime import clip_words, single_file
from invoke_shell.runtime.pipelines import PIPED
from invoke_shell.runtime.transformer_file import TransformerFile

ASSETS = single_file.CONFIGS  # as they ship; tests put the small model's in their place
LOOSE = {
    "sd3": {"text_encoder": "a.safetensors", "text_encoder_2": "b.safetensors", "text_encoder_3": "c.safetensors"},
    "flux": {"text_encoder": "clip_l.safetensors", "text_encoder_2": "t5xxl_fp16.safetensors"},
}
FAMILIES = {family.base: family for family in PIPED}


@pytest.fixture(scope="module", params=["sd3", "flux"])
def folder(request, tmp_path_factory):
    """A model whose text encoders are as wide as the real ones, by which loose files are known."""
    make = {"sd3": small_sd3, "flux": small_flux}[request.param]
    return make(tmp_path_factory.mktemp("files") / request.param, widths=REAL)


@pytest.fixture(autouse=True)
def small_configs(folder, monkeypatch):
    """The configs and words that ship, replaced by those of the small model."""
    monkeypatch.setattr(single_file, "CONFIGS", folder.parent)
    words = json.loads((folder / "tokenizer" / "vocab.json").read_text())
    monkeypatch.setattr(clip_words, "vocabulary", lambda: (words, []))


def whole(folder):
    return small_record(folder, "whole", folder.name)


def as_file(path, base):
    return dataclasses.replace(small_record(path, "single", base), format="file")


def parts_in(path):
    return ModelRecord(name="parts", kind="components", format="folder", path=str(path))


def drawn(engine, model, components=None):
    request = Generation(
        prompt="a red circle", model=model, size=Size(64, 64), steps=2, guidance=4.0, scheduler="euler", seed=7,
        components=components,
    )  # fmt: skip
    return next(engine.generate(request))


@pytest.fixture
def loose(folder, tmp_path):
    """Loose files of any name."""
    return loose_parts(folder, tmp_path / "loose", {**LOOSE[folder.name], "vae": "ae.safetensors"})


@pytest.fixture
def alone(folder, tmp_path):
    """The transformer in a file."""
    return transformer_file(folder, tmp_path / "alone.safetensors")


def test_transformer_with_a_diffusers_folder_is_the_folders_picture(folder, alone, real_engine):
    single = drawn(real_engine, as_file(alone, folder.name), whole(folder))

    assert single.image == drawn(real_engine, whole(folder)).image
    assert single.facts["precision"]["weights"] == "float32"


def test_transformer_with_loose_files_is_the_folders_picture(folder, alone, loose, real_engine, monkeypatch):
    looked_up = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: looked_up.append(args))

    single = drawn(real_engine, as_file(alone, folder.name), parts_in(loose))

    assert single.image == drawn(real_engine, whole(folder)).image
    assert looked_up == []


def test_whole_file_of_stable_diffusion_3_is_the_folders_picture(folder, tmp_path, real_engine):
    if folder.name == "flux":
        pytest.skip("Flux is not published so")
    path = sd3_file(folder, tmp_path / "all.safetensors")
    words = shutil.copytree(folder / "tokenizer_3", tmp_path / "words")

    single = drawn(real_engine, as_file(path, "sd3"), parts_in(words))

    assert single.image == drawn(real_engine, whole(folder)).image


def test_transformer_in_the_published_layout_is_the_same_network(folder, alone, tmp_path):
    if folder.name == "flux":
        pytest.skip("the library's converter knows the real width alone: see the last test")
    path = sd3_file(folder, tmp_path / "published.safetensors", whole=False)
    family = FAMILIES["sd3"]

    one, two = (TransformerFile(as_file(p, "sd3"), family).transformer(torch.float32) for p in (path, alone))

    ours, theirs = one.state_dict(), two.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_weights_of_eight_bits_draw_what_the_same_numbers_draw(folder, alone, loose, real_engine, tmp_path):
    eight = {k: v.to(torch.float8_e4m3fn) for k, v in load_file(alone).items()}
    save_file(eight, alone)
    save_file({k: v.float() for k, v in eight.items()}, tmp_path / "wide.safetensors")

    single = drawn(real_engine, as_file(alone, folder.name), parts_in(loose))

    wide = drawn(real_engine, as_file(tmp_path / "wide.safetensors", folder.name), parts_in(loose))
    assert single.facts["precision"]["weights"] == "F8_E4M3"
    assert single.image == wide.image


def test_gguf_is_read_and_computed_wider(folder, loose, tmp_path, real_engine):
    gguf = pytest.importorskip("gguf")
    weights = load_file(next((folder / "transformer").glob("*.safetensors")))
    path = tmp_path / "packed.gguf"
    writer = gguf.GGUFWriter(path, folder.name)
    for name, tensor in weights.items():
        packs = tensor.dim() == 2 and tensor.shape[1] % 32 == 0
        kind = gguf.GGMLQuantizationType.Q8_0 if packs else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(tensor.numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    packed = drawn(real_engine, as_file(path, folder.name), parts_in(loose))

    exact = drawn(real_engine, whole(folder))
    worst = max(abs(a - b) for a, b in zip(packed.image.pixels, exact.image.pixels, strict=True))
    assert packed.facts["precision"]["weights"] == "gguf Q8_0"
    assert 0 < worst < 24  # 8 bits a weight: near, and not the same


def test_without_components_is_one_sentence(folder, alone, real_engine):
    with pytest.raises(RunError) as raised:
        drawn(real_engine, as_file(alone, folder.name))

    reason = "it holds no clip_l: --components FOLDER says where its text encoders and its VAE are"
    assert raised.value.message == f"the model single cannot be used: {reason}"


@pytest.mark.parametrize(("missing", "said"), [("clip", "clip_l"), ("vae", "VAE")])
def test_part_that_is_missing_is_one_sentence(folder, alone, loose, real_engine, missing, said):
    names = {**LOOSE[folder.name], "vae": "ae.safetensors"}
    (loose / names["text_encoder" if missing == "clip" else "vae"]).unlink()

    with pytest.raises(RunError) as raised:
        drawn(real_engine, as_file(alone, folder.name), parts_in(loose))

    assert raised.value.message == f"the model single cannot be used: there is no {said} for it in {loose}"


def test_t5_without_its_tokenizer_is_one_sentence(folder, alone, loose, real_engine):
    (loose / "tokenizer.json").unlink()

    with pytest.raises(RunError) as raised:
        drawn(real_engine, as_file(alone, folder.name), parts_in(loose))

    reason = f"T5's tokenizer is missing: put the tokenizer.json of t5-v1_1-xxl into {loose}"
    assert raised.value.message == f"the model single cannot be used: {reason}"


def test_a_folder_with_t5_and_without_its_tokenizer_says_so_when_it_is_added(folder, loose, tmp_path):
    from invoke_shell.models.catalogue import Catalogue

    catalogue = Catalogue(path=tmp_path / "catalogue.db")
    assert catalogue.add(loose).finding.notes == ()
    (loose / "tokenizer.json").unlink()

    assert catalogue.add(loose).finding.notes == (T5_LACKS,)


def test_what_is_missing_is_said_before_the_encoders_are_read(folder, alone, loose, real_engine):
    (loose / "tokenizer.json").unlink()
    first = loose / LOOSE[folder.name]["text_encoder"]
    save_file({k: v for k, v in load_file(first).items() if "final_layer_norm" not in k}, first)

    with pytest.raises(RunError, match="T5's tokenizer is missing"):
        drawn(real_engine, as_file(alone, folder.name), parts_in(loose))


def test_stable_diffusion_3_goes_without_t5(folder, alone, loose, real_engine):
    if folder.name == "flux":
        pytest.skip("Flux needs it")
    (loose / "c.safetensors").unlink()

    assert drawn(real_engine, as_file(alone, "sd3"), parts_in(loose)).image.size == (64, 64)


def test_packed_weights_are_one_sentence(folder, alone, real_engine):
    save_file({**load_file(alone), "x_embedder.scale_weight": torch.ones(1)}, alone)

    with pytest.raises(RunError) as raised:
        drawn(real_engine, as_file(alone, folder.name))

    reason = "its weights are packed with scales of their own, which only their program reads"
    assert raised.value.message == f"the model single cannot be used: {reason}"


def test_schnell_is_known_by_the_guidance_it_lacks(folder, tmp_path):
    if folder.name == "sd3":
        pytest.skip("Flux alone")
    quick = small_flux(tmp_path / "schnell", guided=False)
    file = TransformerFile(as_file(transformer_file(quick, tmp_path / "q.safetensors"), "flux"), FAMILIES["flux"])

    assert file.values() == {"num_layers": 1, "num_single_layers": 1, "guidance_embeds": False}
    assert (file.scheduler()["shift"], file.scheduler()["use_dynamic_shifting"]) == (1.0, False)


def test_folder_of_components_is_found_by_path_and_by_name(folder, alone, loose, real_engine, tmp_path):
    from invoke_shell.models.catalogue import Catalogue

    catalogue = Catalogue(path=tmp_path / "catalogue.db")
    catalogue.add(loose, name="extras")

    by_path, by_name = catalogue.find(str(loose), "components"), catalogue.find("extras", "components")
    other = catalogue.find(str(folder), "components")

    assert by_path.hash == by_name.hash
    assert (by_name.kind, other.kind) == ("components", "checkpoint")
    assert catalogue.find(by_name.text, "components").name == "extras"
    assert drawn(real_engine, as_file(alone, folder.name), by_name).image.size == (64, 64)


def test_what_is_no_folder_of_components_is_one_sentence(alone, tmp_path):
    from invoke_shell.errors import BlockedError
    from invoke_shell.models.catalogue import Catalogue

    with pytest.raises(BlockedError, match=r"is a model that draws, not a folder of text encoders and a VAE\n"):
        Catalogue(path=tmp_path / "catalogue.db").find(str(alone), "components")


# What ships


@pytest.mark.parametrize(
    ("base", "part", "millions"),
    [
        ("sd3", "transformer", 2028.33), ("sd3", "text_encoder", 123.65), ("sd3", "text_encoder_2", 694.66),
        ("sd3", "text_encoder_3", 4762.31), ("sd3", "vae", 83.82), ("flux", "transformer", 11901.41),
        ("flux", "text_encoder", 123.06), ("flux", "text_encoder_2", 4762.31), ("flux", "vae", 83.82),
    ],
)  # fmt: skip
def test_configs_make_networks_of_the_published_sizes(base, part, millions):
    import diffusers
    import transformers

    config = json.loads((ASSETS / base / part / "config.json").read_text())
    name = config.get("_class_name") or config["architectures"][0]
    with torch.device("meta"):
        if part.startswith("text"):
            kind = getattr(transformers, name)
            network = kind(kind.config_class(**config))
        else:
            network = getattr(diffusers, name).from_config(config)

    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize("guided", [True, False])
def test_flux_in_its_published_layout_loads(folder, monkeypatch, tmp_path, guided):
    if folder.name == "sd3":
        pytest.skip("Flux alone")
    monkeypatch.setattr(single_file, "CONFIGS", ASSETS)
    shapes = published_flux(guided)
    write_zeros(shapes, tmp_path / "flux.safetensors")
    file = TransformerFile(as_file(tmp_path / "flux.safetensors", "flux"), FAMILIES["flux"])

    network = file.transformer(torch.float16)

    assert file.values() == {"num_layers": 1, "num_single_layers": 1, "guidance_embeds": guided}
    assert sum(p.numel() for p in network.parameters()) == sum(math.prod(shape) for shape in shapes.values())
    assert not any(p.is_meta for p in network.parameters())


def published_flux(guided):
    """Names and shapes of Flux as its makers name them, with one block of each kind."""
    width = 3072
    layers = {"img_in": (width, 64), "txt_in": (width, 4096), "final_layer.linear": (64, width)}
    inputs = {"time_in": 256, "vector_in": 768, **({"guidance_in": 256} if guided else {})}
    for name, numbers in inputs.items():
        layers |= {f"{name}.in_layer": (width, numbers), f"{name}.out_layer": (width, width)}
    layers["final_layer.adaLN_modulation.1"] = (2 * width, width)
    for side in ("img", "txt"):
        block = f"double_blocks.0.{side}"
        layers |= {f"{block}_attn.qkv": (3 * width, width), f"{block}_attn.proj": (width, width)}
        layers |= {f"{block}_mlp.0": (4 * width, width), f"{block}_mlp.2": (width, 4 * width)}
        layers[f"{block}_mod.lin"] = (6 * width, width)
    layers |= {"single_blocks.0.linear1": (7 * width, width), "single_blocks.0.linear2": (width, 5 * width)}
    layers["single_blocks.0.modulation.lin"] = (3 * width, width)
    shapes = {f"{name}.weight": shape for name, shape in layers.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in layers.items()}
    norms = ("double_blocks.0.img_attn", "double_blocks.0.txt_attn", "single_blocks.0")
    return shapes | {f"{n}.norm.{x}_norm.scale": (128,) for n in norms for x in ("query", "key")}
