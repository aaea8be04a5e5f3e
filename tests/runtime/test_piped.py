"""Stable Diffusion 3, Flux and others through diffusers' pipelines: their pixels, with our noise, steps and facts."""

import dataclasses
import json

import diffusers
import pytest
import torch
from models_small import small_lora, small_record
from models_transformers import (
    small_auraflow,
    small_chroma,
    small_cogview4,
    small_flux,
    small_lumina2,
    small_pixart,
    small_qwen_image,
    small_sana,
    small_sd3,
    small_z_image,
)

from invoke_shell.errors import Cancelled, RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Size, Weighted
from invoke_shell.records import Image, Mask, ModelRecord
from invoke_shell.runtime import pictures, schedulers
from invoke_shell.runtime.noise import generator

STEPS = 4
CPU = torch.device("cpu")
MAKERS = {"sd3": small_sd3, "flux": small_flux}


@pytest.fixture(scope="module", params=MAKERS)
def both(request, tmp_path_factory):
    """A model of the family: its record, and diffusers' pipeline on aligned weights as ours are."""
    folder = MAKERS[request.param](tmp_path_factory.mktemp(request.param))
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    for network in (n for n in pipe.components.values() if isinstance(n, torch.nn.Module)):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()
    return small_record(folder, request.param, request.param), pipe


@pytest.fixture
def photo():
    return Image(mode="RGB", width=64, height=64, pixels=bytes((n * 7) % 256 for n in range(64 * 64 * 3)))


def asked(model, **changes):
    values = {"steps": STEPS, "guidance": 5.0, "scheduler": "euler", "seed": 7} | changes
    return Generation(**{"prompt": "a red circle", "model": model, "size": Size(64, 64)} | values)


def drawn(engine, request):
    return next(engine.generate(request))


def theirs(pipe, **values):
    values = {"prompt": "a red circle", "num_inference_steps": STEPS, "guidance_scale": 5.0} | values
    return pipe(**values, height=64, width=64, generator=generator(7)).images[0].tobytes()


def test_picture_equals_diffusers_pipeline(both, real_engine):
    model, pipe = both
    negative = {"negative": "blue"} if model.base == "sd3" else {}

    made = drawn(real_engine, asked(model, **negative))

    assert made.image.pixels == theirs(pipe, **{f"{k}_prompt": v for k, v in negative.items()})
    assert drawn(real_engine, asked(model, seed=8)).image != made.image


@pytest.mark.parametrize("values", [{"prompt": ""}, {"guidance": 1.0}, {"size": Size(80, 64)}], ids=str)
def test_edges_equal_diffusers_pipeline(both, values, real_engine):
    model, pipe = both
    request = asked(model, **values)

    expected = pipe(
        request.prompt, num_inference_steps=STEPS, guidance_scale=request.guidance, generator=generator(7),
        height=request.size.height, width=request.size.width,
    ).images[0]  # fmt: skip

    assert drawn(real_engine, request).image.pixels == expected.tobytes()


@pytest.mark.parametrize("begin", [0, 1, 3])
def test_img2img_equals_diffusers_pipeline_from_the_same_latents(both, photo, begin, real_engine):
    model, pipe = both
    kind = getattr(diffusers, type(pipe).__name__.replace("Pipeline", "Img2ImgPipeline"))
    with torch.no_grad():
        posterior = pipe.vae.encode(2.0 * pictures.to_unit(photo, CPU, torch.float32) - 1.0).latent_dist
    latents = (posterior.mode() - pipe.vae.config.shift_factor) * pipe.vae.config.scaling_factor
    image_pipe = kind(**pipe.components)
    image_pipe.set_progress_bar_config(disable=True)

    made = drawn(real_engine, asked(model, source=photo, start_step=begin))

    assert made.image.pixels == theirs(image_pipe, image=latents, strength=(STEPS - begin) / STEPS)
    assert made.facts["steps_run"] == made.facts["model_calls"] == STEPS - begin


def test_pure_noise_is_txt2img(both, photo, real_engine):
    model, _ = both

    from_photo = drawn(real_engine, asked(model, source=photo, pure_noise=True)).image

    assert from_photo == drawn(real_engine, asked(model)).image


def test_pure_noise_from_a_later_step_holds_nothing_of_the_source(both, photo, real_engine):
    model, _ = both
    other = dataclasses.replace(photo, pixels=bytes(len(photo.pixels)))

    one, two = (drawn(real_engine, asked(model, source=p, pure_noise=True, start_step=2)) for p in (photo, other))

    assert one.image == two.image


def test_every_step_can_be_begun_at(both, photo, real_engine, told):
    model, _ = both

    for count in range(1, 12):
        told.ticks.clear()
        made = drawn(real_engine.watch(told), asked(model, source=photo, steps=11, start_step=11 - count))
        assert (made.facts["steps_run"], len(told.ticks)) == (count, count)


def test_strength_is_said_with_its_sigma(both, photo, real_engine, told):
    model, _ = both

    made = drawn(real_engine.watch(told), asked(model, source=photo, start_step=2, strength=0.5))

    sigma = made.facts["first_sigma"]
    assert told.said == [f"img2img: 2 of 4 steps (strength 0.5, from sigma {sigma:.2g})"]
    assert 0 < sigma < 1
    assert [tick[:2] for tick in told.ticks] == [(1, 2), (2, 2)]


def test_run_stops_at_the_next_step_and_goes_on_afterwards(both, real_engine, told):
    model, _ = both
    expected = drawn(real_engine, asked(model)).image

    def stop(done, total, preview=None):
        raise Cancelled("stopped")

    told.tick = stop
    with pytest.raises(Cancelled):
        drawn(real_engine.watch(told), asked(model))

    from invoke_shell.runtime.policy import SILENT

    assert drawn(real_engine.watch(SILENT), asked(model)).image == expected


def test_text_encoders_do_not_run_again_for_another_seed(both, real_engine):
    model, _ = both
    drawn(real_engine, asked(model))
    parts = real_engine.stock.piped(asked(model), family_of(model)).parts
    calls = []
    hooks = [n.register_forward_hook(lambda *_: calls.append(1)) for p, n in parts.items() if "text_encoder" in p]

    for seed in (1, 2):
        drawn(real_engine, asked(model, prompt="never seen before", seed=seed))

    for hook in hooks:
        hook.remove()
    assert len(calls) == (6 if model.base == "sd3" else 2)  # SD 3 reads the negative prompt too


def family_of(model):
    from invoke_shell.runtime.pipelines import piped_family

    return piped_family(model)


def test_previews_are_the_size_of_the_latents(both, real_engine, told, tmp_path, monkeypatch):
    import shutil

    from invoke_shell.runtime import pace

    monkeypatch.setattr(pace, "EVERY", 0)
    model, _ = both
    folder = shutil.copytree(model.path, tmp_path / "previewed")
    (folder / "preview.json").write_text(json.dumps({"matrix": [[0.1, 0.2, 0.3]] * 16, "bias": [0, 0, 0]}))

    drawn(real_engine.watch(told), asked(dataclasses.replace(model, path=str(folder)), size=Size(80, 64)))

    assert [preview.size for _, _, preview in told.ticks] == [(10, 8)] * STEPS


def test_facts_say_what_ran(both, real_engine):
    model, pipe = both

    facts = drawn(real_engine, asked(model)).facts

    assert (facts["family"], facts["pipeline"]) == (model.base, type(pipe).__name__)
    assert facts["noise"]["shape"] == [1, 16, 8, 8]
    assert facts["precision"] == {"weights": "float32", "compute": "float32", "vae": "float32"}
    assert facts["scheduler"]["class"] == "FlowMatchEulerDiscreteScheduler"
    assert facts["first_sigma"] == 1.0
    assert json.loads(json.dumps(facts)) == facts


def lora_for(model, path, seed=1):
    """A LoRA in PEFT's layout for the attention of the transformer and of the first CLIP."""
    from pathlib import Path

    from safetensors.torch import load_file, save_file

    weights, chance = {}, torch.Generator().manual_seed(seed)
    layers = {"transformer": ("to_q", "to_v", "to_out.0"), "text_encoder": ("q_proj", "out_proj")}
    for part, names in layers.items():
        for name, tensor in load_file(next((Path(model.path) / part).glob("*.safetensors"))).items():
            if (layer := name.removesuffix(".weight")).endswith(names):
                out, into = tensor.shape
                weights[f"{part}.{layer}.lora_A.weight"] = torch.randn(4, into, generator=chance) * 0.3
                weights[f"{part}.{layer}.lora_B.weight"] = torch.randn(out, 4, generator=chance) * 0.3
    save_file(weights, path)
    return ModelRecord(name=path.stem, kind="lora", path=str(path))


def test_loras_equal_diffusers_pipeline_and_leave_no_trace(both, real_engine, tmp_path):
    model, pipe = both
    one, two = (lora_for(model, tmp_path / f"{n}.safetensors", n) for n in (1, 2))
    bare = drawn(real_engine, asked(model)).image
    for name, lora in (("one", one), ("two", two)):
        pipe.load_lora_weights(lora.path, adapter_name=name)
    pipe.set_adapters(["one", "two"], [0.8, -0.5])

    made = drawn(real_engine, asked(model, loras=(Weighted(one, 0.8), Weighted(two, -0.5))))
    expected = theirs(pipe)
    pipe.unload_lora_weights()

    assert made.image.pixels == expected != bare.pixels
    assert [row["name"] for row in made.facts["loras"]] == ["1", "2"]
    assert all(row["layers"] > 2 for row in made.facts["loras"])
    assert drawn(real_engine, asked(model)).image == bare


def test_lora_for_another_family_is_one_sentence(both, real_engine, tmp_path):
    model, _ = both
    other = small_record((small_flux if model.base == "sd3" else small_sd3)(tmp_path / "other"))
    lora = lora_for(other, tmp_path / "alien.safetensors")

    with pytest.raises(RunError, match=r"^the LoRA alien cannot be used here: its layers are not those of "):
        drawn(real_engine, asked(model, loras=(Weighted(lora),)))


def test_lora_of_which_no_layer_is_the_models_is_one_sentence(both, real_engine, small_folder, tmp_path):
    """A U-Net's, whose names the library passes by without a word."""
    model, _ = both
    path = small_lora(tmp_path / "alien.safetensors", small_folder)

    with pytest.raises(RunError, match=r"^the LoRA alien cannot be used here: (its layers are not those of|loading)"):
        drawn(real_engine, asked(model, loras=(Weighted(ModelRecord(name="alien", kind="lora", path=str(path))),)))


@pytest.mark.parametrize("form", ["folder", "file"])
def test_other_vae_equals_diffusers_pipeline(both, real_engine, tmp_path, form):
    import shutil

    model, pipe = both
    other = shutil.copytree(MAKERS[model.base](tmp_path / "other", seed=9) / "vae", tmp_path / "soft")
    path = other if form == "folder" else next(other.glob("*.safetensors"))
    own = pipe.vae
    pipe.register_modules(vae=diffusers.AutoencoderKL.from_pretrained(other, local_files_only=True))
    expected = theirs(pipe)
    pipe.register_modules(vae=own)

    vae = ModelRecord(name="soft", kind="vae", path=str(path))

    assert drawn(real_engine, asked(model, vae=vae)).image.pixels == expected
    assert expected != drawn(real_engine, asked(model)).image.pixels


def test_stable_diffusion_3_goes_without_t5(tmp_path, real_engine):
    model = small_record(small_sd3(tmp_path, t5=False), "no-t5", "sd3")

    assert drawn(real_engine, asked(model)).image.size == (64, 64)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"negative": "blue"}, "negative prompt"),
        ({"clip_skip": 1}, "--clip-skip"),
        ({"scheduler": "ddim"}, "scheduler but euler"),
        ({"embeddings": (ModelRecord(name="w", kind="embedding"),)}, "textual inversion"),
        ({"image_guidance": 1.5}, "instructions"),
        ({"mixed": (Weighted(5, 0.2),)}, "--variation and no --blend"),
    ],
)
def test_what_flux_cannot_do_is_said_before_anything_is_loaded(tmp_path, real_engine, changes, what):
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    model = small_record(tmp_path, "quick", "flux")

    with pytest.raises(RunError) as raised:
        drawn(real_engine, asked(model, **changes))

    assert raised.value.message == f"Flux takes no {what}"
    assert raised.value.hint == "quick is Flux: leave it out"


@pytest.mark.parametrize(("guidance", "said"), [(4.0, True), (0.0, False)])
def test_guidance_that_schnell_is_not_told_is_said(tmp_path, real_engine, told, guidance, said):
    model = small_record(small_flux(tmp_path, guided=False), "quick", "flux")

    drawn(real_engine.watch(told), asked(model, guidance=guidance))

    assert told.said == (["quick is not told its guidance: 4 changes nothing"] if said else [])


def test_folder_that_names_another_library_is_one_sentence(tmp_path, real_engine):
    folder = small_flux(tmp_path)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "text_encoder": ["os", "system"]}))

    with pytest.raises(RunError) as raised:
        drawn(real_engine, asked(small_record(folder, "odd", "flux")))

    reason = "its text_encoder is made by os, and only diffusers and transformers are asked"
    assert raised.value.message == f"the model odd cannot be used: {reason}"


def test_no_host_name_is_looked_up(both, monkeypatch):
    import socket

    from invoke_shell.runtime.engine import DiffusersEngine
    from invoke_shell.runtime.policy import Policy

    looked_up = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: looked_up.append(args))

    drawn(DiffusersEngine(Policy(device="cpu", threads=1)), asked(both[0], steps=1))

    assert looked_up == []


# Families that draw from a prompt alone, or that language models read for

OTHERS = {
    "chroma": small_chroma, "auraflow": small_auraflow, "z-image": small_z_image, "qwen-image": small_qwen_image,
    "lumina2": small_lumina2, "cogview4": small_cogview4, "sana": small_sana, "pixart": small_pixart,
}  # fmt: skip
OWN = {"sana": "dpmpp_2m", "pixart": "dpmpp_2m"}  # schedulers that are not Euler's
UNBINNED = {"use_resolution_binning": False}  # the size is what was asked for
TOLD = {"sana": UNBINNED, "pixart": {**UNBINNED, "clean_caption": False}}


@pytest.fixture(scope="module", params=OTHERS)
def other(request, tmp_path_factory):
    """A model of the family and diffusers' pipeline of it."""
    folder = OTHERS[request.param](tmp_path_factory.mktemp("other"))
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    for network in (n for n in pipe.components.values() if isinstance(n, torch.nn.Module)):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()
    return small_record(folder, request.param, request.param), pipe


def asked_of(model, **changes):
    return asked(model, **{"scheduler": OWN.get(model.base, "euler"), **changes})


def weighed(model, guidance):
    return {("true_cfg_scale" if model.base == "qwen-image" else "guidance_scale"): guidance}


def theirs_of(model, pipe, guidance=5.0, negative="", **values):
    given = {"num_inference_steps": STEPS, "height": 64, "width": 64, **weighed(model, guidance), **values}
    given |= {"prompt": "a red circle", "negative_prompt": negative, **TOLD.get(model.base, {})}
    return pipe(**given, generator=generator(7)).images[0].tobytes()


@pytest.mark.parametrize("values", [{"negative": "blue"}, {"negative": "", "guidance": 1.0}], ids=str)
def test_other_families_equal_diffusers_pipelines(other, real_engine, told, values):
    model, pipe = other

    made = drawn(real_engine.watch(told), asked_of(model, **values))

    assert made.image.pixels == theirs_of(model, pipe, **values)
    assert (made.facts["family"], made.facts["pipeline"]) == (model.base, type(pipe).__name__)
    assert [tick[:2] for tick in told.ticks] == [(n + 1, STEPS) for n in range(STEPS)]
    assert told.said == []
    assert drawn(real_engine, asked_of(model, seed=8)).image != made.image
    assert json.loads(json.dumps(made.facts)) == made.facts


def test_what_draws_from_a_prompt_alone_says_so(other, photo, real_engine):
    model, _ = other
    if family_of(model).image:
        pytest.skip("it takes pictures")

    with pytest.raises(RunError, match=r"^\S+( \d)? takes no picture, only a prompt"):
        drawn(real_engine, asked_of(model, source=photo, start_step=1))


@pytest.mark.parametrize("name", ["ddim", "heun", "unipc_karras"])
def test_pixart_is_sampled_with_any_scheduler_of_ours(tmp_path, real_engine, told, name):
    model = small_record(small_pixart(tmp_path), "pixart", "pixart")

    made = drawn(real_engine.watch(told), asked(model, scheduler=name))

    assert made.facts["scheduler"]["class"] == schedulers.SCHEDULERS[name].kind
    assert made.facts["model_calls"] == (7 if name == "heun" else 4)
    assert told.ticks[-1][:2] == (STEPS, STEPS)


# With a picture, and under a mask

HALF = Mask(mode="L", width=64, height=64, pixels=(b"\0" * 32 + b"\xff" * 32) * 64)
SOURCED = {"sd3": small_sd3, "flux": small_flux, "z-image": small_z_image, "qwen-image": small_qwen_image}


@pytest.fixture(scope="module", params=SOURCED)
def sourced(request, tmp_path_factory):
    """A model of a family that takes pictures; its folder's parts, for diffusers' pipelines."""
    folder = SOURCED[request.param](tmp_path_factory.mktemp("sourced"))
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    for network in (n for n in pipe.components.values() if isinstance(n, torch.nn.Module)):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()
    return small_record(folder, request.param, request.param), pipe


def pipeline_of(pipe, kind):
    """The family's pipeline for another task."""
    made = getattr(diffusers, type(pipe).__name__.replace("Pipeline", f"{kind}Pipeline"))(**pipe.components)
    made.set_progress_bar_config(disable=True)
    return made


def unit(image):
    """A tensor, because a Pillow image becomes one of another layout of memory, which gives other last bits."""
    return pictures.to_unit(image, CPU, torch.float32)


@pytest.fixture
def mode_alone(monkeypatch):
    """A source's latents are the mode of the posterior, as ours; diffusers draws them with the picture's generator."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())
    return monkeypatch


@pytest.mark.parametrize("begin", [1, 3])
def test_a_picture_of_every_family_equals_diffusers_pipeline(sourced, photo, begin, real_engine, mode_alone):
    model, pipe = sourced
    negative = {} if model.base == "flux" else {"negative_prompt": ""}

    made = drawn(real_engine, asked(model, source=photo, start_step=begin))

    assert made.image.pixels == pipeline_of(pipe, "Img2Img")(
        prompt="a red circle", num_inference_steps=STEPS, height=64, width=64, generator=generator(7), **negative,
        image=unit(photo), strength=(STEPS - begin) / STEPS, **weighed(model, 5.0),
    ).images[0].tobytes()  # fmt: skip
    assert made.facts["steps_run"] == STEPS - begin


@pytest.mark.parametrize("begin", [0, 1, 2])
def test_inpainting_equals_diffusers_pipeline_under_the_mask(sourced, photo, begin, real_engine, mode_alone):
    """Outside of it the pixels are the source's; diffusers gives back what its VAE made of them."""
    model, pipe = sourced
    negative = {} if model.base == "flux" else {"negative_prompt": ""}
    start = {"start_step": begin, "pure_noise": begin == 0}

    made = drawn(real_engine, asked(model, source=photo, mask=HALF, **start)).image.pil()

    painter = pipeline_of(pipe, "Inpaint")
    if model.base == "sd3":  # diffusers' own forgets the shift when it decodes
        bare = painter.vae.decode
        shift = painter.vae.config.shift_factor
        mode_alone.setattr(painter.vae, "decode", lambda latents, **values: bare(latents + shift, return_dict=False))
    expected = painter(
        prompt="a red circle", num_inference_steps=STEPS, height=64, width=64, generator=generator(7), **negative,
        image=unit(photo), mask_image=HALF.pil(), strength=(STEPS - begin) / STEPS, **weighed(model, 5.0),
    ).images[0]  # fmt: skip
    right, left = (32, 0, 64, 64), (0, 0, 32, 64)
    assert made.crop(right).tobytes() == expected.crop(right).tobytes()
    assert made.crop(left).tobytes() == photo.pil().crop(left).tobytes()
    assert made.crop(right) != drawn(real_engine, asked(model, source=photo, **start)).image.pil().crop(right)


def test_a_mask_that_is_white_all_over_and_pure_noise_are_txt2img(sourced, photo, real_engine):
    model, _ = sourced
    white = dataclasses.replace(HALF, pixels=b"\xff" * (64 * 64))

    made = drawn(real_engine, asked(model, source=photo, mask=white, pure_noise=True))

    assert made.image == drawn(real_engine, asked(model)).image
