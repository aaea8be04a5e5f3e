"""Stable Diffusion 2 and XL in our own loop: equal bits to diffusers' pipelines, and how each reads prompts."""

import diffusers
import pytest
import torch
from models_small import small_record, small_refiner, small_sd2, small_sdxl
from runtime_kit import latents_of

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.prompts import Piece
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image
from invoke_shell.runtime import pictures
from invoke_shell.runtime.conditioning import Embeddings
from invoke_shell.runtime.encoders import Clip, Reading
from invoke_shell.runtime.loading import load_checkpoint
from invoke_shell.runtime.noise import generator

STEPS = 4
CPU = torch.device("cpu")
SIZE = {"height": 64, "width": 72}
FAMILIES = {"sd2": (small_sd2, "StableDiffusion"), "sdxl": (small_sdxl, "StableDiffusionXL")}
NAMES = ["ddim", "euler_a", "dpmpp_2m_karras", "heun", "unipc"]


@pytest.fixture(scope="module", params=FAMILIES)
def both(request, tmp_path_factory):
    """A model of the family: its record, and diffusers' pipeline on aligned weights as ours are."""
    make, kind = FAMILIES[request.param]
    folder = make(tmp_path_factory.mktemp(request.param))
    pipe = getattr(diffusers, f"{kind}Pipeline").from_pretrained(folder, local_files_only=True)
    return small_record(folder, request.param, request.param), quiet(pipe)


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    for network in (n for n in pipe.components.values() if isinstance(n, torch.nn.Module)):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()
    return pipe


def with_scheduler(pipe, name):
    row = SCHEDULERS[name]
    pipe.scheduler = getattr(diffusers, row.kind).from_config(pipe.scheduler.config, clip_sample=False, **row.config)
    return pipe


def copy_of(pipe, kind):
    parts = {**pipe.components} | ({"requires_safety_checker": False} if "XL" not in type(pipe).__name__ else {})
    return quiet(kind(**parts))


def asked(model, **changes):
    values = {"steps": STEPS, "guidance": 5.0, "scheduler": "ddim", "seed": 7, "negative": "blue"} | changes
    return Generation(**{"prompt": "a red circle", "model": model, "size": Size(72, 64)} | values)


@pytest.mark.parametrize("name", NAMES)
def test_loop_equals_diffusers_pipeline(both, name, real_engine):
    model, pipe = both
    pipe = with_scheduler(copy_of(pipe, type(pipe)), name)

    latents = pipe(
        "a red circle", negative_prompt="blue", num_inference_steps=STEPS, guidance_scale=5.0, **SIZE,
        generator=generator(7), output_type="latent",
    ).images  # fmt: skip
    with torch.no_grad():
        decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
    picture = pipe.image_processor.postprocess(decoded, output_type="pil")[0]

    assert torch.equal(latents_of(real_engine, asked(model, scheduler=name)), latents)
    assert next(real_engine.generate(asked(model, scheduler=name))).image.pixels == picture.tobytes()


@pytest.mark.parametrize("values", [{"guidance": 1.0}, {"negative": ""}, {"prompt": ""}], ids=str)
def test_loop_equals_diffusers_pipeline_at_the_edges(both, values, real_engine):
    model, pipe = both
    request = asked(model, **values)
    pipe = with_scheduler(copy_of(pipe, type(pipe)), "ddim")

    latents = pipe(
        request.prompt, negative_prompt=request.negative or None, num_inference_steps=STEPS, **SIZE,
        guidance_scale=request.guidance, generator=generator(7), output_type="latent",
    ).images  # fmt: skip

    assert torch.equal(latents_of(real_engine, request), latents)


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m"])
def test_img2img_equals_diffusers_pipeline_given_the_same_latents(both, name, real_engine):
    model, pipe = both
    photo = Image(mode="RGB", width=72, height=64, pixels=bytes((n * 7) % 256 for n in range(72 * 64 * 3)))
    kind = getattr(diffusers, type(pipe).__name__.replace("Pipeline", "Img2ImgPipeline"))
    pipe = with_scheduler(copy_of(pipe, kind), name)
    with torch.no_grad():
        posterior = pipe.vae.encode(2.0 * pictures.to_unit(photo, CPU, torch.float32) - 1.0).latent_dist
    latents = posterior.mode() * pipe.vae.config.scaling_factor

    theirs = pipe(
        "a red circle", negative_prompt="blue", image=latents, strength=0.5, num_inference_steps=STEPS,
        guidance_scale=5.0, generator=generator(7), output_type="latent",
    ).images  # fmt: skip

    assert torch.equal(latents_of(real_engine, asked(model, scheduler=name, source=photo, start_step=2)), theirs)


def test_refiner_equals_diffusers_pipeline(tmp_path, real_engine):
    folder = small_refiner(tmp_path)
    pipe = quiet(diffusers.StableDiffusionXLImg2ImgPipeline.from_pretrained(folder, local_files_only=True))
    pipe = with_scheduler(pipe, "euler")
    photo = Image(mode="RGB", width=72, height=64, pixels=bytes((n * 7) % 256 for n in range(72 * 64 * 3)))
    with torch.no_grad():
        posterior = pipe.vae.encode(2.0 * pictures.to_unit(photo, CPU, torch.float32) - 1.0).latent_dist
    model = small_record(folder, "refiner", "sdxl")

    theirs = pipe(
        "a red circle", negative_prompt="blue", image=posterior.mode() * pipe.vae.config.scaling_factor, strength=0.5,
        num_inference_steps=STEPS, guidance_scale=5.0, generator=generator(7), output_type="latent",
    ).images  # fmt: skip

    request = asked(model, scheduler="euler", source=photo, start_step=2)
    assert torch.equal(latents_of(real_engine, request), theirs)


@pytest.mark.parametrize("name", ["euler", "euler_a", "ddim", "dpmpp_2m", "heun"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_hand_over_to_a_refiner_equals_two_pipelines(refined, real_engine, name, share):
    base, refiner, (first, second) = refined
    first, second = with_scheduler(first, name), with_scheduler(second, name)
    text = {"prompt": "a red circle", "negative_prompt": "blue", "num_inference_steps": 10, "guidance_scale": 5.0}
    chance = generator(7)

    latents = first(**text, **SIZE, denoising_end=share, generator=chance, output_type="latent").images
    theirs = second(**text, image=latents, denoising_start=share, generator=chance).images[0]
    made = next(real_engine.generate(asked(base, scheduler=name, steps=10, refiner=refiner, refiner_start=share)))

    assert made.image.pixels == theirs.tobytes()
    assert made.facts["refiner"]["name"] == "refiner"
    assert made.facts["model_calls"] == (20 if name == "heun" else 10)  # heun is cut in a step, which is done again


@pytest.fixture(scope="module")
def refined(tmp_path_factory):
    """SDXL and its refiner: records and diffusers' pipelines."""
    base, refiner = (make(tmp_path_factory.mktemp(make.__name__)) for make in (small_sdxl, small_refiner))
    kinds = diffusers.StableDiffusionXLPipeline, diffusers.StableDiffusionXLImg2ImgPipeline
    pipes = [quiet(k.from_pretrained(f, local_files_only=True)) for k, f in zip(kinds, (base, refiner), strict=True)]
    pipes[1].register_modules(vae=pipes[0].vae)
    return small_record(base, "base", "sdxl"), small_record(refiner, "refiner", "sdxl"), pipes


def test_progress_of_a_hand_over_is_counted_through(refined, real_engine, told):
    base, refiner, _ = refined

    next(real_engine.watch(told).generate(asked(base, scheduler="heun", steps=5, refiner=refiner)))

    steps = [done for done, total, _ in told.ticks]
    assert steps == sorted(steps)
    assert (steps[-1], {total for _, total, _ in told.ticks}) == (5, {5})


def test_refiner_of_another_family_is_one_sentence(refined, real_engine, small_model):
    base, _, _ = refined

    with pytest.raises(RunError, match=r"^small cannot go on where base left off: it is of another family"):
        next(real_engine.generate(asked(base, refiner=small_model)))


def test_refiner_that_leaves_nothing_is_one_sentence(refined, real_engine):
    base, refiner, _ = refined

    with pytest.raises(RunError, match=r"^--refiner-start 0 leaves base nothing to draw"):
        next(real_engine.generate(asked(base, refiner=refiner, refiner_start=0.0)))


def test_model_that_follows_instructions_does_not_draw_alone(tmp_path, real_engine):
    model = small_record(small_sdxl(tmp_path, in_channels=8), "painter", "sdxl")

    with pytest.raises(RunError) as raised:
        next(real_engine.generate(asked(model)))

    assert raised.value.message == "painter cannot draw by itself: it changes a picture as it is told"


def test_facts_name_the_family_and_its_schedule(both, real_engine):
    model, _ = both

    facts = next(real_engine.generate(asked(model))).facts

    assert facts["family"] == ("sd1" if model.base == "sd2" else "sdxl")  # so narrow a text encoder is not SD 2's
    assert facts["scheduler"]["prediction_type"] == ("v_prediction" if model.base == "sd2" else "epsilon")
    assert facts["scheduler"]["rescale_betas_zero_snr"] == (model.base == "sd2")


@pytest.mark.parametrize("name", ["heun", "ddim", "euler", "dpmpp_2m"])
def test_scheduler_without_zero_snr_is_said(both, name, real_engine, told):
    model, _ = both

    next(real_engine.watch(told).generate(asked(model, scheduler=name)))

    line = "heun does not know zero SNR, which this model was trained with: ddim, euler and dpmpp_2m do"
    assert told.said == ([line] if (model.base, name) == ("sd2", "heun") else [])


def test_long_prompt_is_chunks_for_every_encoder(both, real_engine):
    model, _ = both
    reader, said = real_engine.stock.checkpoint(model).reader, []

    negative, positive = Embeddings().pair(reader, "abcde " * 24, "blue", said.append)

    assert said == ["prompt has 120 tokens: 2 chunks of 75"]
    assert negative.states.shape == positive.states.shape
    assert positive.states.shape[1] == 154


def test_clip_skip_is_a_text_encoder_with_fewer_layers(both, real_engine):
    model, _ = both
    reader = real_engine.stock.checkpoint(model).reader
    expected = [shortened(network, 1, reader) for network in reader.networks]

    with torch.no_grad():
        coded = reader.read((Piece("red"),), Reading(skip=1))

    assert torch.equal(coded.states, torch.cat(expected, dim=-1))


def shortened(network, skip, reader):
    """States of the same network with its last layers taken out, normalised where the family does."""
    base = getattr(network, "text_model", network)
    layers, normalised = base.encoder.layers, isinstance(reader, Clip)
    base.encoder.layers = layers[: len(layers) - skip - (not normalised)]
    encoder = reader.encoder if normalised else reader.encoders[network is reader.networks[1]]
    hidden = []
    hook = base.final_layer_norm.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0]))
    try:
        with torch.no_grad():
            states, _ = encoder.states(encoder.chunks((Piece("red"),))[0], None)
    finally:
        base.encoder.layers = layers
        hook.remove()
    return states if normalised else hidden[0]


def test_clip_skip_beyond_the_layers_is_one_sentence(both, real_engine):
    model, _ = both
    reader = real_engine.stock.checkpoint(model).reader
    most = 2 if isinstance(reader, Clip) else 1

    with pytest.raises(RunError, match=rf"^--clip-skip 3 leaves nothing of the text encoder: at most {most} for this"):
        reader.read((Piece("red"),), Reading(skip=3))


def test_vae_that_wants_float32_gets_it(tmp_path):
    from invoke_shell.runtime import device
    from invoke_shell.runtime.policy import Policy

    model = small_record(small_sdxl(tmp_path), base="sdxl")

    loaded = load_checkpoint(model, device.find(Policy(device="cpu", precision="bfloat16")))

    assert next(loaded.unet.parameters()).dtype == torch.bfloat16
    assert next(loaded.vae.parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("part", "values", "reason"),
    [
        (
            "unet",
            {"projection_class_embeddings_input_dim": 60},
            "its U-Net takes 60 numbers on sizes and prompt, not 72",
        ),
        ("unet", {"addition_embed_type": None}, "its U-Net wants more than its family's prompts and a timestep"),
        ("text_encoder_2", {"hidden_size": 64}, "its U-Net reads text of width 80 where its text encoders make 96"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, part, values, reason):
    import json

    path = small_sdxl(tmp_path) / part / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    with pytest.raises(RunError) as raised:
        load_checkpoint(small_record(tmp_path, base="sdxl"), None)

    assert reason in raised.value.message
