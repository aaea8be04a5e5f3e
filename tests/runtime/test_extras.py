"""LoRAs, textual inversions and other VAEs on a model: equal to diffusers', gone without a trace."""

import dataclasses
import shutil
from pathlib import Path

import diffusers
import pytest
import torch
from models_small import small_lora, small_record, small_sd1, small_sdxl
from safetensors.torch import load_file, save_file

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Size, Weighted
from invoke_shell.records import ModelRecord
from invoke_shell.runtime.noise import generator

STEPS = 3


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def model(request, tmp_path_factory):
    """A model of the family."""
    make = {"sd1": small_sd1, "sdxl": small_sdxl}[request.param]
    return small_record(make(tmp_path_factory.mktemp(request.param)), request.param, request.param)


@pytest.fixture(scope="module")
def loras(model, tmp_path_factory):
    """Two LoRAs for it."""
    folder = tmp_path_factory.mktemp("loras")
    return [record(small_lora(folder / f"l{n}.safetensors", Path(model.path), seed=n), "lora") for n in (1, 2)]


@pytest.fixture
def pipe(model):
    """diffusers' pipeline of the same model."""
    kind = "StableDiffusionXLPipeline" if model.base == "sdxl" else "StableDiffusionPipeline"
    made = getattr(diffusers, kind).from_pretrained(model.path, local_files_only=True)
    made.set_progress_bar_config(disable=True)
    made.scheduler = diffusers.DDIMScheduler.from_config(made.scheduler.config, clip_sample=False)
    return made


def record(path, kind, base=""):
    return ModelRecord(name=path.stem, kind=kind, base=base, format="file", path=str(path))


def asked(model, **changes):
    values = {"steps": STEPS, "guidance": 5.0, "scheduler": "ddim", "seed": 7, "negative": "blue"} | changes
    return Generation(**{"prompt": "a red circle", "model": model, "size": Size(64, 64)} | values)


def made(engine, request):
    return next(engine.generate(request))


def drawn(engine, request):
    return made(engine, request).image


def theirs(pipe, **values):
    tensors = [t for n in pipe.components.values() if isinstance(n, torch.nn.Module) for t in n.parameters()]
    for tensor in tensors:
        tensor.data = tensor.data.clone()
    values = {"prompt": "a red circle", "negative_prompt": "blue"} | values
    return pipe(
        **values, num_inference_steps=STEPS, guidance_scale=5.0, height=64, width=64, generator=generator(7),
    ).images[0].tobytes()  # fmt: skip


# LoRAs


def test_loras_equal_diffusers_pipeline(real_engine, model, loras, pipe):
    for name, lora in zip(("a", "b"), loras, strict=True):
        pipe.load_lora_weights(lora.path, adapter_name=name)
    pipe.set_adapters(["a", "b"], [0.8, -0.5])

    worn = (Weighted(loras[0], 0.8), Weighted(loras[1], -0.5))

    assert drawn(real_engine, asked(model, loras=worn)).pixels == theirs(pipe)


def test_taking_a_lora_out_gives_the_models_own_bits_back(real_engine, model, loras):
    bare = drawn(real_engine, asked(model))

    with_one = drawn(real_engine, asked(model, loras=(Weighted(loras[0]),)))

    assert with_one != bare
    assert drawn(real_engine, asked(model)) == bare
    assert drawn(real_engine, asked(model, loras=(Weighted(loras[0]),))) == with_one


def test_strength_changes_without_loading_again(real_engine, model, loras, monkeypatch):
    full = drawn(real_engine, asked(model, loras=(Weighted(loras[0], 1.0),)))
    half = drawn(real_engine, asked(model, loras=(Weighted(loras[0], 0.5),)))
    monkeypatch.setattr("invoke_shell.runtime._lora.add_lora", None)

    assert drawn(real_engine, asked(model, loras=(Weighted(loras[0], 1.0),))) == full != half


def test_order_of_loras_is_theirs(real_engine, model, loras):
    one, two = Weighted(loras[0], 0.8), Weighted(loras[1], 0.3)

    facts = made(real_engine, asked(model, loras=(one, two))).facts

    assert [(row["name"], row["weight"]) for row in facts["loras"]] == [("l1", 0.8), ("l2", 0.3)]
    assert all(row["layers"] > 8 for row in facts["loras"])
    assert "loras" not in made(real_engine, asked(model)).facts


def test_lora_in_peft_layout_is_the_same_lora(real_engine, model, loras, pipe, tmp_path):
    pipe.load_lora_weights(loras[0].path, adapter_name="a")
    state, alphas = {}, {}
    for part in ("unet", "text_encoder", "text_encoder_2"):
        if (network := getattr(pipe, part, None)) is not None:
            for name, tensor in network.state_dict().items():
                if ".lora_" in name:
                    state[f"{part}.{name.replace('.a.weight', '.weight')}"] = tensor.contiguous()
    assert {p.lora_alpha for p in pipe.unet.peft_config.values()} == {2.0}
    save_file(scaled(state, 2.0 / 4), tmp_path / "peft.safetensors")
    del alphas

    peft = record(tmp_path / "peft.safetensors", "lora")

    expected = drawn(real_engine, asked(model, loras=(Weighted(loras[0]),)))
    found = drawn(real_engine, asked(model, loras=(Weighted(peft),)))
    assert largest_difference(found, expected) <= 1


def scaled(state, factor):
    """This layout has no alpha in the file: it is in the matrices."""
    return {name: tensor * factor if "lora_B" in name else tensor for name, tensor in state.items()}


def largest_difference(one, other):
    return max(abs(a - b) for a, b in zip(one.pixels, other.pixels, strict=True))


def test_lora_made_for_another_base_is_one_sentence(real_engine, model, loras, tmp_path):
    other = (small_sd1 if model.base == "sdxl" else small_sdxl)(tmp_path / "other")
    lora = record(small_lora(tmp_path / "alien.safetensors", other), "lora")
    bare = drawn(real_engine, asked(model))

    with pytest.raises(RunError) as raised:
        drawn(real_engine, asked(model, loras=(Weighted(loras[0]), Weighted(lora))))

    title = {"sd1": "Stable Diffusion 1", "sdxl": "SDXL"}[model.base]
    reason = f"its layers are not those of {title}: it was made for another base"
    assert raised.value.message == f"the LoRA alien cannot be used here: {reason}"
    assert drawn(real_engine, asked(model)) == bare


def test_lora_whose_base_is_known_is_refused_before_it_is_read(real_engine, model):
    lora = ModelRecord(name="far", kind="lora", base="flux", path="/nowhere")

    with pytest.raises(RunError, match=r"^the LoRA far cannot be used here: it was made for Flux, and this model is S"):
        drawn(real_engine, asked(model, loras=(Weighted(lora),)))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["lora_unet_x.hada_w1_a"], "it is a LoHa, and this runs plain LoRAs"),
        (["lora_unet_x.lora_down.weight", "lora_unet_x.dora_scale"], "it is a DoRA, and this runs plain LoRAs"),
        (["first_stage_model.encoder.weight"], "it is no LoRA that this knows"),
    ],
)
def test_what_is_no_plain_lora_is_one_sentence(real_engine, model, tmp_path, names, reason):
    save_file({name: torch.zeros(4, 4) for name in names}, tmp_path / "odd.safetensors")

    with pytest.raises(RunError) as raised:
        drawn(real_engine, asked(model, loras=(Weighted(record(tmp_path / "odd.safetensors", "lora")),)))

    assert raised.value.message == f"the LoRA odd cannot be used here: {reason}"


def test_broken_lora_is_one_sentence_and_leaves_the_model_bare(real_engine, model, loras, tmp_path):
    bare = drawn(real_engine, asked(model))
    path = tmp_path / "cut.safetensors"
    path.write_bytes(b"\x10\0\0\0")

    with pytest.raises(RunError, match=r"^the LoRA cut cannot be used here: loading it failed: "):
        drawn(real_engine, asked(model, loras=(Weighted(record(path, "lora")),)))

    assert drawn(real_engine, asked(model)) == bare


# Textual inversions


@pytest.fixture
def inversion(model, tmp_path):
    """A word of three vectors."""
    vectors = {"clip_l": torch.randn(3, 32, generator=torch.Generator().manual_seed(3))}
    if model.base == "sdxl":
        vectors["clip_g"] = torch.randn(3, 48, generator=torch.Generator().manual_seed(4))
    else:
        vectors = {"emb_params": vectors["clip_l"]}
    save_file(vectors, tmp_path / "moodboard.safetensors")
    return record(tmp_path / "moodboard.safetensors", "embedding")


@pytest.mark.parametrize("prompt", ["a moodboard circle", "MoodBoard", "a circle in <moodboard>, red"])
def test_inversion_equals_diffusers_pipeline(real_engine, model, pipe, inversion, prompt):
    tensors = load_file(inversion.path)
    if model.base == "sdxl":
        for name, part in (("clip_l", ""), ("clip_g", "_2")):
            text, tokens = getattr(pipe, f"text_encoder{part}"), getattr(pipe, f"tokenizer{part}")
            pipe.load_textual_inversion(tensors[name], token="moodboard", text_encoder=text, tokenizer=tokens)
    else:
        pipe.load_textual_inversion(tensors["emb_params"], token="moodboard")
    plain = prompt.lower().replace("<", "").replace(">", "")

    found = drawn(real_engine, asked(model, prompt=prompt, embeddings=(inversion,)))

    assert found.pixels == theirs(pipe, prompt=plain)


def test_inversion_without_its_word_is_said_and_changes_nothing(real_engine, model, inversion, told):
    bare = drawn(real_engine, asked(model))

    found = drawn(real_engine.watch(told), asked(model, embeddings=(inversion,)))

    assert found == bare
    assert told.said == ["the embedding moodboard is not used: its word is not in the prompt"]


def test_word_inside_another_word_is_not_the_inversions(real_engine, model, inversion):
    prompt = "moodboards"

    bare = drawn(real_engine, asked(model, prompt=prompt))

    assert drawn(real_engine, asked(model, prompt=prompt, embeddings=(inversion,))) == bare


def test_inversion_of_another_width_is_one_sentence(real_engine, model, tmp_path):
    save_file({"emb_params": torch.zeros(2, 768)}, tmp_path / "far.safetensors")

    with pytest.raises(RunError) as raised:
        drawn(real_engine, asked(model, embeddings=(record(tmp_path / "far.safetensors", "embedding"),)))

    reason = "its vectors are 768 wide and the text encoder's 32: it was made for another base"
    assert raised.value.message == f"the embedding far cannot be used here: {reason}"


# VAEs


@pytest.fixture
def other_vae(model, tmp_path):
    """A folder with nothing but another VAE."""
    make = {"sd1": small_sd1, "sdxl": small_sdxl}[model.base]
    return shutil.copytree(make(tmp_path / "other", seed=9) / "vae", tmp_path / "soft")


@pytest.mark.parametrize("form", ["folder", "file"])
def test_other_vae_equals_diffusers_pipeline(real_engine, model, pipe, other_vae, form):
    pipe.vae = diffusers.AutoencoderKL.from_pretrained(other_vae, local_files_only=True)
    path = other_vae if form == "folder" else next(other_vae.glob("*.safetensors"))
    vae = dataclasses.replace(record(path, "vae"), format=form)

    assert drawn(real_engine, asked(model, vae=vae)).pixels == theirs(pipe)
    assert drawn(real_engine, asked(model, vae=vae)) != drawn(real_engine, asked(model))


def test_other_vae_of_other_channels_is_one_sentence(real_engine, model, other_vae):
    import json

    config = other_vae / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "latent_channels": 16}))

    with pytest.raises(RunError, match=r"^the model soft cannot be used: it makes latents of 16 channels and sd"):
        drawn(real_engine, asked(model, vae=dataclasses.replace(record(other_vae, "vae"), format="folder")))


def test_clip_skip_changes_the_picture(real_engine, model):
    assert drawn(real_engine, asked(model, clip_skip=1)) != drawn(real_engine, asked(model))
