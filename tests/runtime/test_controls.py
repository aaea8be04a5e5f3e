"""ControlNets: diffusers' pipelines' pixels bit for bit, one or several, from noise and from a picture."""

import dataclasses
from pathlib import Path

import diffusers
import pytest
import torch
from models_controls import control_record, loaded, small_control
from models_small import small_record, small_sd1, small_sd2, small_sdxl
from PIL import Image as Pillow
from runtime_kit import latents_of

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Control, Generation
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, Mask
from invoke_shell.runtime.noise import generator

FAMILIES = {"sd1": (small_sd1, "StableDiffusion"), "sd2": (small_sd2, "StableDiffusion"),
            "sdxl": (small_sdxl, "StableDiffusionXL")}  # fmt: skip
STEPS = 4


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tmp_path_factory):
    return small_record(
        FAMILIES[request.param][0](tmp_path_factory.mktemp(request.param)), request.param, request.param
    )


@pytest.fixture(scope="module")
def two(model, tmp_path_factory):
    """Two ControlNets for the model."""
    root = tmp_path_factory.mktemp("controls")
    return [small_control(root / name, Path(model.path), seed) for seed, name in enumerate(("canny", "depth"), 11)]


def pipeline(model, controls, kind="ControlNet"):
    made = getattr(diffusers, f"{FAMILIES[model.base][1]}{kind}Pipeline")
    networks = [loaded(folder) for folder in controls]
    pipe = made.from_pretrained(
        model.path, controlnet=networks if len(networks) > 1 else networks[0], local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    for network in (n for n in pipe.components.values() if isinstance(n, torch.nn.Module)):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()
    pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    return pipe


def picture(colour, width=64, height=64):
    pil = Pillow.new("RGB", (width, height), "black")
    pil.paste(colour, (width // 4, height // 8, width // 2, height * 3 // 4))
    return pil


def asked(model, **changes):
    values = {"steps": STEPS, "guidance": 5.0, "scheduler": "ddim", "seed": 7, "negative": "blue"} | changes
    return Generation(**{"prompt": "a red circle", "model": model, "size": Size(64, 64)} | values)


def drawn(engine, request):
    return next(engine.generate(request)).image


def theirs(pipe, **values):
    given = {"prompt": "a red circle", "negative_prompt": "blue", "num_inference_steps": STEPS, "guidance_scale": 5.0}
    return pipe(**given | values, generator=generator(7)).images[0].tobytes()


def control(folder, colour="white", **values):
    return Control(model=control_record(folder), image=Image.from_pil(picture(colour)), **values)


@pytest.mark.parametrize("values", [{}, {"guidance": 1.0}, {"negative": ""}], ids=str)
def test_one_equals_diffusers_pipeline(real_engine, model, two, values):
    pipe = pipeline(model, two[:1])
    names = {"guidance": "guidance_scale", "negative": "negative_prompt"}

    found = drawn(real_engine, asked(model, controls=(control(two[0], weight=0.8),), **values))

    given = {names[k]: v or None for k, v in values.items()}
    assert found.pixels == theirs(pipe, image=picture("white"), controlnet_conditioning_scale=0.8, **given)
    assert found != drawn(real_engine, asked(model, **values))


def test_two_with_their_own_beginnings_and_ends_equal_diffusers_pipeline(real_engine, model, two):
    pipe = pipeline(model, two)
    both = (control(two[0], weight=0.8, start=0.25), control(two[1], "green", weight=1.3, end=0.6))

    found = drawn(real_engine, asked(model, controls=both))

    assert found.pixels == theirs(
        pipe, image=[picture("white"), picture("green")], controlnet_conditioning_scale=[0.8, 1.3],
        control_guidance_start=[0.25, 0.0], control_guidance_end=[1.0, 0.6],
    )  # fmt: skip


def test_a_picture_of_another_size_is_sized_and_said(real_engine, model, two, told):
    pipe = pipeline(model, two[:1])
    large = picture("white", 100, 80)
    given = Control(model=control_record(two[0]), image=Image.from_pil(large))

    found = drawn(real_engine.watch(told), asked(model, controls=(given,)))

    assert told.said == ["the control picture of 100x80 is sized to 64x64"]
    assert found.pixels == theirs(pipe, image=large, height=64, width=64)


def test_img2img_equals_diffusers_pipeline_from_the_same_latents(real_engine, model, two):
    from invoke_shell.runtime import latents

    pipe = pipeline(model, two[:1], "ControlNetImg2Img")
    source = Image.from_pil(picture("orange"))
    checkpoint = real_engine.stock.checkpoint(model)
    with torch.no_grad():
        start = latents.encoded(checkpoint, source, real_engine.place, False)

    found = drawn(real_engine, asked(model, controls=(control(two[0]),), source=source, start_step=2))

    assert found.pixels == theirs(
        pipe, image=start, control_image=picture("white"), strength=0.5, height=64, width=64,
        controlnet_conditioning_scale=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("channels", [4, 9])
@pytest.mark.parametrize("whole", [False, True])
def test_inpaint_equals_diffusers_pipeline_from_the_same_latents(real_engine, model, two, tmp_path, channels, whole):
    """A mask, a source and a ControlNet, with a model of any kind and with one that reads the mask itself."""
    if channels == 9:
        folder = FAMILIES[model.base][0](tmp_path / "painter", in_channels=9)
        model, two = small_record(folder, "painter", model.base), [small_control(tmp_path / "net", Path(model.path))]
    pipe = pipeline(model, two[:1], "ControlNetInpaint")
    # diffusers draws a source's latents from the posterior with the picture's generator; its mode is asked here.
    scaling = pipe.vae.config.scaling_factor
    pipe._encode_vae_image = lambda image, generator: pipe.vae.encode(image.contiguous()).latent_dist.mode() * scaling
    half = Mask(mode="L", width=64, height=64, pixels=(b"\0" * 32 + b"\xff" * 32) * 64)
    source = Image.from_pil(picture("orange"))
    begin = {"pure_noise": True} if whole else {"start_step": 2}

    request = asked(model, controls=(control(two[0], weight=0.8),), source=source, mask=half, **begin)

    expected = pipe(
        prompt="a red circle", negative_prompt="blue", num_inference_steps=STEPS, guidance_scale=5.0,
        generator=generator(7), image=source.pil(), mask_image=half.pil(), control_image=picture("white"), height=64,
        width=64, strength=1.0 if whole else 0.5, controlnet_conditioning_scale=0.8, output_type="latent",
    ).images  # fmt: skip
    assert torch.equal(latents_of(real_engine, request), expected)
    assert not torch.equal(latents_of(real_engine, dataclasses.replace(request, controls=())), expected)


@pytest.mark.parametrize("layout", ["diffusers", "first"])
def test_a_single_file_draws_what_its_folder_draws(real_engine, model, two, tmp_path, layout):
    from safetensors.torch import load_file, save_file

    weights = load_file(next(two[0].glob("*.safetensors")))
    path = tmp_path / "canny.safetensors"
    save_file(weights if layout == "diffusers" else in_the_first_layout(weights), path)

    found = drawn(real_engine, asked(model, controls=(control(path),)))

    assert found == drawn(real_engine, asked(model, controls=(control(two[0]),)))


def in_the_first_layout(weights):
    """The same tensors under the names of ControlNet's first publication."""
    from models_single import _unet_name

    return {f"control_model.{_first_name(name) or _unet_name(name, 1, set())}": t for name, t in weights.items()}


def _first_name(name):
    from re import match

    if found := match(r"controlnet_down_blocks\.(\d+)\.(.*)", name):
        return f"zero_convs.{found[1]}.0.{found[2]}"
    if found := match(r"controlnet_cond_embedding\.blocks\.(\d+)\.(.*)", name):
        return f"input_hint_block.{2 * int(found[1]) + 2}.{found[2]}"
    places = {"controlnet_mid_block": "middle_block_out.0", "controlnet_cond_embedding.conv_in": "input_hint_block.0"}
    places["controlnet_cond_embedding.conv_out"] = "input_hint_block.14"
    part, _, kind = name.rpartition(".")
    return f"{places[part]}.{kind}" if part in places else ""


def test_another_base_is_said_before_it_is_loaded(real_engine, model, tmp_path):
    other = "sdxl" if model.base != "sdxl" else "sd1"
    wrong = Control(model=control_record(tmp_path / "gone", base=other), image=Image.from_pil(picture("white")))

    with pytest.raises(RunError, match=r"^the ControlNet canny is for .*, and this model is "):
        drawn(real_engine, asked(model, controls=(wrong,)))


def test_another_base_that_does_not_say_so_is_one_sentence(real_engine, model, tmp_path):
    make = small_sdxl if model.base != "sdxl" else small_sd1
    other = small_control(tmp_path / "other", make(tmp_path / "model"))

    with pytest.raises(RunError, match=r"^the model canny cannot be used: its blocks are not those of the model"):
        drawn(real_engine, asked(model, controls=(control(other),)))


def test_what_is_no_controlnet_is_one_sentence(real_engine, model, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "lite.safetensors"
    save_file({"lllite_unet.weight": torch.zeros(2, 2)}, path)

    with pytest.raises(RunError, match="it is a ControlNet-LLLite, and this runs plain ControlNets"):
        drawn(real_engine, asked(model, controls=(control(path),)))


def test_what_was_worn_is_recorded_and_taken_off(real_engine, model, two):
    bare = drawn(real_engine, asked(model))

    made = next(real_engine.generate(asked(model, controls=(control(two[0], weight=0.5, end=0.75),))))

    assert made.facts["controls"] == [{"name": "canny", "weight": 0.5, "start": 0.0, "end": 0.75}]
    assert drawn(real_engine, asked(model)) == bare
