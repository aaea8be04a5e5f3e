"""Single files: the same pictures as the folder of the same weights, asking no network."""

import dataclasses
import json
import socket
from pathlib import Path

import pytest
import torch
from models_single import single_file
from models_small import small_record, small_refiner, small_sd1, small_sd2, small_sdxl

from invoke_shell.errors import RunError
from invoke_shell.models.finding import Finding
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, Mask
from invoke_shell.runtime import clip_words, device
from invoke_shell.runtime import single_file as loader
from invoke_shell.runtime._diffusers import load_tokenizer, make_tokenizer
from invoke_shell.runtime.families import RUNS
from invoke_shell.runtime.loading import load_checkpoint
from invoke_shell.runtime.policy import Policy

CPU = device.find(Policy(device="cpu"))
MAKERS = {"sd1": small_sd1, "sd2": small_sd2, "sdxl": small_sdxl}


@pytest.fixture(params=MAKERS)
def both(request, tmp_path, monkeypatch):
    """A model as a folder and as a file; the loader's configs and words are those of the small models."""
    base = request.param
    folder = MAKERS[base](tmp_path / base)
    path = single_file(folder, tmp_path / "model.safetensors")
    monkeypatch.setattr(loader, "CONFIGS", tmp_path)
    words = json.loads((folder / "tokenizer" / "vocab.json").read_text())
    monkeypatch.setattr(clip_words, "vocabulary", lambda: (words, []))
    return small_record(folder, base, base), as_file(path, base)


def as_file(path, base=""):
    return dataclasses.replace(small_record(path, "single", base), format="file")


def drawn(engine, model, **more):
    request = Generation(
        prompt="A red circle!", negative="blue", model=model, size=Size(64, 64), steps=3, guidance=5.0,
        scheduler="euler", seed=7, **more,
    )  # fmt: skip
    return next(engine.generate(request))


def test_file_and_folder_of_one_model_give_equal_bits(both, real_engine):
    folder, file = both

    whole, single = drawn(real_engine, folder), drawn(real_engine, file)

    assert single.image == whole.image
    assert single.facts["scheduler"]["prediction_type"] == whole.facts["scheduler"]["prediction_type"]


def test_file_in_half_precision_is_said(both):
    folder, file = both
    single_file(Path(folder.path), Path(file.path), torch.float16)

    loaded = load_checkpoint(file, CPU)

    assert loaded.stored == "float16"
    assert {p.dtype for p in (*loaded.unet.parameters(), *loaded.reader.networks[0].parameters())} == {torch.float32}


def test_no_host_name_is_looked_up(both, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: asked.append(args))

    load_checkpoint(both[1], CPU)

    assert asked == []


def test_parameters_lie_in_aligned_memory_and_are_not_trained(both):
    model = load_checkpoint(both[1], CPU)

    for part in (model.unet, model.vae, *model.reader.networks):
        assert not part.training
        assert all(p.data_ptr() % 64 == 0 and not p.requires_grad for p in part.parameters())


@pytest.mark.parametrize(
    ("part", "words"), [("first_stage_model", "VAE"), ("model.diffusion_model", "U-Net")], ids=["vae", "unet"]
)
def test_file_that_is_no_whole_model_is_one_sentence(both, part, words):
    from safetensors.torch import load_file, save_file

    tensors = {k: v for k, v in load_file(both[1].path).items() if not k.startswith(part)}
    save_file(tensors, both[1].path)

    with pytest.raises(RunError) as raised:
        load_checkpoint(both[1], CPU)

    reason = f"it has no {words} in it, and a whole model is needed"
    assert raised.value.message == f"the model single cannot be used: {reason}"
    assert raised.value.hint == f"its file: {both[1].path}"


def test_family_that_is_not_run_is_one_sentence(both):
    with pytest.raises(RunError) as raised:
        load_checkpoint(dataclasses.replace(both[1], base="wan"), CPU)

    assert raised.value.message == f"the model single cannot be used: it is a wan, and this runs {RUNS}"


def test_family_that_runs_from_a_folder_alone_says_so(both):
    with pytest.raises(RunError) as raised:
        load_checkpoint(dataclasses.replace(both[1], base="z-image"), CPU)

    reason = "Z-Image runs from a diffusers folder, and this is one file"
    assert raised.value.message == f"the model single cannot be used: {reason}"


def test_file_of_which_nothing_is_known_is_one_sentence(tmp_path):
    from safetensors.torch import save_file

    save_file({"something": torch.zeros(2)}, tmp_path / "odd.safetensors")

    with pytest.raises(RunError, match=r"^the model single cannot be used: it is not known what it is \(unknown: "):
        load_checkpoint(as_file(tmp_path / "odd.safetensors"), CPU)


def test_weights_of_eight_bits_are_read(both, real_engine):
    from safetensors.torch import load_file, save_file

    eight = {k: v.to(torch.float8_e4m3fn) for k, v in load_file(both[1].path).items()}
    save_file(eight, both[1].path)
    other = Path(both[1].path).with_name("wide.safetensors")
    save_file({k: v.float() for k, v in eight.items()}, other)

    made = drawn(real_engine, both[1])

    assert made.facts["precision"]["weights"] == "F8_E4M3"
    assert made.image == drawn(real_engine, as_file(other, both[0].base)).image


def test_what_is_found_in_the_file_says_how_it_predicts(both, monkeypatch):
    found = Finding(kind="checkpoint", base=both[0].base, reason="", prediction="v", zero_snr=True)
    monkeypatch.setattr(loader, "identify", lambda header, path: found)

    schedule = load_checkpoint(both[1], CPU).scheduler_config

    assert (schedule["prediction_type"], schedule["rescale_betas_zero_snr"]) == ("v_prediction", True)
    assert schedule["timestep_spacing"] == "trailing"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [({"variant": "depth"}, "depth"), ({"variant": "inpaint pruned"}, "pruned"), ({"prediction": "edm"}, "edm")],
)
def test_kinds_that_are_not_run_are_one_sentence(both, monkeypatch, fields, kind):
    found = Finding(kind="checkpoint", base=both[0].base, reason="", **fields)
    monkeypatch.setattr(loader, "identify", lambda header, path: found)

    with pytest.raises(RunError) as raised:
        load_checkpoint(both[1], CPU)

    assert raised.value.message.endswith(f"of a kind ({kind}) that is not run here")


@pytest.mark.parametrize(
    ("lacking", "part"), [("time_embed", "unet"), ("final_layer_norm", "text_encoder"), ("encoder.conv_in", "vae")]
)
def test_file_with_half_a_part_is_one_sentence(both, lacking, part):
    from safetensors.torch import load_file, save_file

    lacking = {"sd2": {"final_layer_norm": "ln_final"}}.get(both[0].base, {}).get(lacking, lacking)
    tensors = {k: v for k, v in load_file(both[1].path).items() if lacking not in k}
    save_file(tensors, both[1].path)

    with pytest.raises(RunError) as raised:
        load_checkpoint(both[1], CPU)

    reason = f"loading its weights failed: tensors of its {part} are missing"
    assert raised.value.message == f"the model single cannot be used: {reason}"


WHOLE = Mask(mode="L", width=64, height=64, pixels=b"\xff" * 64 * 32 + b"\0" * 64 * 32)
BESIDE = {"inpaint": {"mask": WHOLE, "start_step": 1}, "edit": {"image_guidance": 1.5}}


@pytest.mark.parametrize(("channels", "task"), [(9, "inpaint"), (8, "edit")])
def test_model_that_reads_a_picture_draws_what_its_folder_draws(both, tmp_path, channels, task, real_engine):
    folder = MAKERS[both[0].base](tmp_path / "other", in_channels=channels)
    path = single_file(folder, tmp_path / "other.safetensors")
    photo = Image(mode="RGB", width=64, height=64, pixels=bytes(n * 7 % 256 for n in range(64 * 64 * 3)))

    def pictured(model):
        return drawn(real_engine, model, source=photo, **BESIDE[task])

    whole, single = pictured(small_record(folder, "whole", both[0].base)), pictured(as_file(path, both[0].base))

    assert single.image == whole.image
    assert single.image != drawn(real_engine, both[1]).image
    assert load_checkpoint(as_file(path, both[0].base), CPU).task == task


def test_u_net_of_odd_channels_is_one_sentence(both):
    from safetensors.torch import load_file, save_file

    name = "model.diffusion_model.input_blocks.0.0.weight"
    save_file({**load_file(both[1].path), name: torch.zeros(32, 6, 3, 3)}, both[1].path)

    with pytest.raises(RunError) as raised:
        load_checkpoint(both[1], CPU)

    assert raised.value.message == ("the model single cannot be used: its U-Net reads 6 channels where its VAE makes 4")


def test_refiners_file_and_folder_give_equal_bits(tmp_path, monkeypatch, real_engine):
    folder = small_refiner(tmp_path / "sdxl-refiner")
    small_sdxl(tmp_path / "sdxl")
    path = single_file(folder, tmp_path / "refiner.safetensors")
    monkeypatch.setattr(loader, "CONFIGS", tmp_path)
    words = json.loads((folder / "tokenizer_2" / "vocab.json").read_text())
    monkeypatch.setattr(clip_words, "vocabulary", lambda: (words, []))
    found = Finding(kind="checkpoint", base="sdxl", reason="", variant="refiner")
    monkeypatch.setattr(loader, "identify", lambda header, path: found)

    whole, single = drawn(real_engine, small_record(folder, "whole", "sdxl")), drawn(real_engine, as_file(path, "sdxl"))

    assert single.image == whole.image


def test_vae_of_another_build_is_one_sentence(both, real_engine, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(single_file(Path(both[0].path), tmp_path / "v.safetensors"))
    name = "first_stage_model.encoder.conv_in.weight"
    wanted = tuple(tensors[name].shape)
    save_file({**tensors, name: torch.zeros(64, 3, 3, 3)}, tmp_path / "v.safetensors")

    with pytest.raises(RunError) as raised:
        drawn(real_engine, both[0], vae=as_file(tmp_path / "v.safetensors"))

    reason = f"its encoder.conv_in.weight is (64, 3, 3, 3) where {wanted} is wanted, so it is of another model"
    assert raised.value.message == f"the model single cannot be used: loading its weights failed: {reason}"


def test_other_vae_works_on_a_file(both, real_engine, tmp_path):
    folder, file = both
    other = MAKERS[folder.base](tmp_path / "other", seed=9)
    vae = as_file(single_file(other, tmp_path / "v.safetensors"))

    def with_vae(model):
        request = Generation(
            prompt="x", model=model, size=Size(64, 64), steps=2, guidance=1.0, scheduler="euler", seed=7, vae=vae
        )
        return next(real_engine.generate(request)).image

    assert with_vae(file) == with_vae(folder)


# What ships


def test_vocabulary_is_clips():
    words, merges = clip_words.vocabulary()
    tokenizer = make_tokenizer(words, merges, clip_words.MARKS[1])

    assert (len(words), len(merges)) == (49408, 48894)
    ids = tokenizer("a photo of a cat", add_special_tokens=True, verbose=False)["input_ids"]
    assert list(ids) == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (49406, 49407, 49407)
    assert make_tokenizer(words, merges, "!").pad_token_id == 0


@pytest.mark.parametrize("text", ["", "A Red Circle, 日本! don't", "  1girl,\tbest-quality (x:1.2) 🐱 ünïcode"])
def test_vocabulary_made_is_the_one_read_from_files(text, tmp_path):
    words, merges = clip_words.vocabulary()
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocab.json").write_text(json.dumps(words))
    lines = "\n".join(" ".join(pair) for pair in merges)
    (tmp_path / "tokenizer" / "merges.txt").write_text(f"#version: 0.2\n{lines}\n")
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "!"}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "unk_token": "<|endoftext|>", **marks}
    (tmp_path / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(settings))

    read, made = load_tokenizer(str(tmp_path), "tokenizer"), make_tokenizer(words, merges, "!")

    assert made(text, add_special_tokens=False, verbose=False) == read(text, add_special_tokens=False, verbose=False)


@pytest.mark.parametrize(
    ("base", "part", "millions"),
    [
        ("sd1", "unet", 859.52), ("sd1", "vae", 83.65), ("sd1", "text_encoder", 123.06),
        ("sd2", "unet", 865.91), ("sd2", "text_encoder", 340.39),
        ("sdxl", "unet", 2567.46), ("sdxl-refiner", "unet", 2259.53), ("sdxl", "text_encoder_2", 694.66),
    ],
)  # fmt: skip
def test_configs_make_networks_of_the_published_sizes(base, part, millions):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = json.loads((loader.CONFIGS / base / part / "config.json").read_text())
    with torch.device("meta"):
        if part.startswith("text"):
            kind = CLIPTextModelWithProjection if part.endswith("2") else CLIPTextModel
            network = kind(CLIPTextConfig(**config))
        else:
            network = (UNet2DConditionModel if part == "unet" else AutoencoderKL).from_config(config)

    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize("refiner", [False, True])
def test_configs_fit_together(refiner):
    from invoke_shell.runtime.families import family_of

    for base in ["sdxl"] if refiner else MAKERS:
        source = loader.SingleFile.__new__(loader.SingleFile)
        source.model, source.base = as_file(loader.CONFIGS / base, base), base
        source.header = type("Header", (), {"shape": lambda _, name: (320, 4, 3, 3)})()
        source.check, source.refiner = lambda name: None, refiner
        assert family_of(source)[0] == base
