"""Models that read more than latents, against diffusers' own pipelines: inpainting, edits, consistency; rescaling."""

import dataclasses
import shutil
from pathlib import Path

import diffusers
import pytest
import torch
from models_controls import control_record, loaded, small_adapter, small_control
from models_small import small_record, small_sd1
from runtime_kit import latents_of
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Control, Generation, PicturePrompt
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, Mask, ModelRecord
from invoke_shell.runtime import pictures
from invoke_shell.runtime.denoise import denoise, first_latents
from invoke_shell.runtime.drawing import told
from invoke_shell.runtime.engine import DiffusersEngine
from invoke_shell.runtime.guidance import Guidance
from invoke_shell.runtime.noise import generator
from invoke_shell.runtime.policy import Policy
from invoke_shell.runtime.start import started

TEXT = {"prompt": "a red circle", "negative_prompt": "blue"}
MASK = Mask(mode="L", width=64, height=64, pixels=(b"\0" * 32 + b"\xff" * 32) * 64)


def asked(model, **changes):
    values = {"steps": 4, "guidance": 5.0, "scheduler": "euler", "seed": 7, "negative": "blue"} | changes
    return Generation(prompt="a red circle", model=model, size=Size(64, 64), **values)


@pytest.fixture(scope="module")
def photo():
    rows = bytes((x * 4 + y * channel * 2) % 256 for y in range(64) for x in range(64) for channel in (1, 2, 3))
    return Image(mode="RGB", width=64, height=64, pixels=rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model whose U-Net is another, and diffusers' pipeline of it."""

    def make(kind, **unet):
        folder = small_sd1(tmp_path_factory.mktemp("painter"), **unet)
        pipe = getattr(diffusers, kind).from_pretrained(folder, local_files_only=True)
        pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config, clip_sample=False)
        pipe.set_progress_bar_config(disable=True)
        for network in (pipe.unet, pipe.vae, pipe.text_encoder):
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.data = tensor.data.clone()
        return pipe, small_record(folder, kind)

    return make


@pytest.fixture(scope="module")
def inpainting(made):
    pipe, model = made("StableDiffusionInpaintPipeline", in_channels=9)
    # diffusers draws a source's latents from the posterior with the picture's generator; its mode is asked here.
    pipe._encode_vae_image = lambda image, generator: pipe.vae.encode(image.contiguous()).latent_dist.mode() * 0.18215
    return pipe, model


@pytest.fixture(scope="module")
def editing(made):
    return made("StableDiffusionInstructPix2PixPipeline", in_channels=8)


@pytest.mark.parametrize("guidance", [5.0, 1.0])
@pytest.mark.parametrize("whole", [False, True])
def test_a_model_made_for_inpainting_equals_diffusers_pipeline(inpainting, real_engine, photo, guidance, whole):
    pipe, model = inpainting

    theirs = pipe(
        **TEXT, image=photo.pil(), mask_image=MASK.pil(), strength=1.0 if whole else 0.5, num_inference_steps=4,
        guidance_scale=guidance, height=64, width=64, generator=generator(7), output_type="latent",
    ).images  # fmt: skip
    begin = {"pure_noise": True} if whole else {"start_step": 2}
    request = asked(model, source=photo, mask=MASK, guidance=guidance, **begin)

    assert torch.equal(latents_of(real_engine, request), theirs)


def test_a_model_made_for_inpainting_draws_alone_as_if_all_were_masked(inpainting, real_engine):
    pipe, model = inpainting
    whole = Image(mode="L", width=64, height=64, pixels=b"\xff" * 4096)

    theirs = pipe(
        **TEXT, image=Image(mode="RGB", width=64, height=64, pixels=b"\0" * 12288).pil(), mask_image=whole.pil(),
        strength=1.0, num_inference_steps=4, guidance_scale=5.0, height=64, width=64, generator=generator(7),
        output_type="latent",
    ).images  # fmt: skip

    assert torch.equal(latents_of(real_engine, asked(model)), theirs)


@pytest.mark.parametrize(("guidance", "image_guidance"), [(7.5, 1.5), (5.0, 1.0), (1.0, 1.5), (5.0, 0.5)])
def test_an_edit_equals_diffusers_pipeline(editing, real_engine, photo, guidance, image_guidance):
    pipe, model = editing

    theirs = pipe(
        # A tensor, because a Pillow image becomes one of another layout of memory, which gives other last bits.
        **TEXT, image=pictures.to_unit(photo, torch.device("cpu"), torch.float32), num_inference_steps=4,
        guidance_scale=guidance, image_guidance_scale=image_guidance,
        generator=generator(7), output_type="latent",
    ).images  # fmt: skip
    request = asked(model, source=photo, guidance=guidance, image_guidance=image_guidance)

    assert torch.equal(latents_of(real_engine, request), theirs)


@pytest.mark.parametrize("guidance", [7.5, 1.0])
def test_an_edit_with_a_picture_prompt_equals_diffusers_pipeline(editing, real_engine, photo, tmp_path, guidance):
    pipe, model = editing
    adapter = small_adapter(tmp_path / "adapters", Path(model.path))
    pipe.load_ip_adapter(
        str(adapter.parent), subfolder="", weight_name=adapter.name, image_encoder_folder="image_encoder",
        local_files_only=True,
    )  # fmt: skip
    pipe.feature_extractor = CLIPImageProcessorPil(size=32, crop_size=32)
    pipe.set_ip_adapter_scale(0.7)
    for network in (pipe.unet, pipe.image_encoder):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()
    style = ModelRecord(name="style", kind="ip_adapter", format="file", path=str(adapter))
    prompt = PicturePrompt(model=style, images=(photo,), weight=0.7)

    theirs = pipe(
        **TEXT, image=pictures.to_unit(photo, torch.device("cpu"), torch.float32), num_inference_steps=4,
        guidance_scale=guidance, image_guidance_scale=1.5, ip_adapter_image=photo.pil(), generator=generator(7),
        output_type="latent",
    ).images  # fmt: skip
    pipe.unload_ip_adapter()
    request = asked(model, source=photo, guidance=guidance, image_guidance=1.5)

    assert torch.equal(latents_of(real_engine, dataclasses.replace(request, picture_prompts=(prompt,))), theirs)
    assert not torch.equal(latents_of(real_engine, request), theirs)


class Steered(torch.nn.Module):
    """A U-Net with a ControlNet beside it, written out; diffusers' pipeline of edits takes none."""

    def __init__(self, unet, control, image):
        super().__init__()
        self.unet, self.control, self.image = unet, control, image
        self.config, self.dtype, self.device = unet.config, unet.dtype, unet.device

    def forward(self, sample, timestep, encoder_hidden_states, **_):
        down, middle = self.control(
            sample[:, :4], timestep, encoder_hidden_states, self.image.repeat(len(sample), 1, 1, 1), 0.8,
            return_dict=False,
        )  # fmt: skip
        return self.unet(
            sample, timestep, encoder_hidden_states, down_block_additional_residuals=down,
            mid_block_additional_residual=middle, return_dict=False,
        )  # fmt: skip


def test_an_edit_with_a_controlnet_is_the_pipeline_with_one_beside_its_unet(editing, real_engine, photo, tmp_path):
    pipe, model = editing
    folder, plain = tmp_path / "net", small_sd1(tmp_path / "plain")
    small_control(folder, plain)
    tensor = pictures.to_unit(photo, torch.device("cpu"), torch.float32)
    own, pipe.unet = pipe.unet, Steered(pipe.unet, loaded(folder), tensor)

    theirs = pipe(
        **TEXT, image=tensor, num_inference_steps=4, guidance_scale=7.5, image_guidance_scale=1.5,
        generator=generator(7), output_type="latent",
    ).images  # fmt: skip
    pipe.unet = own
    control = Control(model=control_record(folder), image=photo, weight=0.8)
    request = asked(model, source=photo, guidance=7.5, image_guidance=1.5, controls=(control,))

    assert torch.equal(latents_of(real_engine, request), theirs)


def test_a_wrong_model_is_told_before_it_is_loaded(small_folder, small_model, photo, tmp_path):
    """Its weights are not even there."""
    bare = shutil.copytree(small_folder, tmp_path / "bare")
    for file in bare.rglob("*.safetensors"):
        file.write_bytes(b"")
    model = dataclasses.replace(small_model, path=str(bare))

    with pytest.raises(RunError, match=r"^small was not trained to follow instructions"):
        next(DiffusersEngine(Policy(device="cpu")).generate(asked(model, source=photo, image_guidance=1.5)))


def test_only_a_model_that_follows_instructions_edits(editing, real_engine, small_model, photo):
    with pytest.raises(RunError, match=r"^small was not trained to follow instructions") as raised:
        next(real_engine.generate(asked(small_model, source=photo, image_guidance=1.5)))
    assert raised.value.hint == "img2img redraws a picture with any model"
    with pytest.raises(RunError, match=r"cannot draw by itself: it changes a picture as it is told"):
        next(real_engine.generate(asked(editing[1])))


def test_a_consistency_model_reads_its_guidance_as_in_diffusers(made, real_engine):
    pipe, model = made("StableDiffusionPipeline", time_cond_proj_dim=32)
    pipe.scheduler = diffusers.LCMScheduler.from_config(pipe.scheduler.config, clip_sample=False)

    theirs = pipe(
        **TEXT, num_inference_steps=4, guidance_scale=8.0, height=64, width=64, generator=generator(7),
        output_type="latent",
    ).images  # fmt: skip

    assert torch.equal(latents_of(real_engine, asked(model, scheduler="lcm", guidance=8.0)), theirs)


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_rescaled_guidance_equals_diffusers_pipeline(diffusers_pipe, real_engine, small_model, share):
    own = diffusers_pipe.scheduler
    diffusers_pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(own.config, clip_sample=False)

    theirs = diffusers_pipe(
        **TEXT, num_inference_steps=4, guidance_scale=9.0, guidance_rescale=share, height=64, width=64,
        generator=generator(7), output_type="latent",
    ).images  # fmt: skip
    diffusers_pipe.scheduler = own

    assert torch.equal(latents_of(real_engine, asked(small_model, guidance=9.0, guidance_rescale=share)), theirs)


@pytest.mark.parametrize(("scheduler", "option"), [("ddim", {"eta": 0.6}), ("tcd", {"eta": 0.0}), ("ddim", {"eta": 0})])
def test_the_noise_that_a_scheduler_may_add_equals_diffusers(
    diffusers_pipe, real_engine, small_model, scheduler, option
):
    own, kind = diffusers_pipe.scheduler, {"ddim": "DDIMScheduler", "tcd": "TCDScheduler"}[scheduler]
    diffusers_pipe.scheduler = getattr(diffusers, kind).from_config(own.config, clip_sample=False)

    theirs = diffusers_pipe(
        **TEXT, num_inference_steps=4, guidance_scale=5.0, height=64, width=64, **option, generator=generator(7),
        output_type="latent",
    ).images  # fmt: skip
    diffusers_pipe.scheduler = own

    assert torch.equal(latents_of(real_engine, asked(small_model, scheduler=scheduler, **option)), theirs)


@pytest.mark.parametrize(("option", "takers"), [({"eta": 0.5}, "ddim, tcd"), ({"churn": 5.0}, "euler")])
def test_an_option_that_a_scheduler_does_not_take_is_refused(real_engine, small_model, option, takers):
    with pytest.raises(RunError) as raised:
        next(real_engine.generate(asked(small_model, scheduler="unipc", **option)))
    assert raised.value.message == f"unipc has no --{next(iter(option))}"
    assert raised.value.hint == f"{takers} have one"


def test_churn_adds_noise(real_engine, small_model):
    plain, churned = (latents_of(real_engine, asked(small_model, churn=churn)) for churn in (0.0, 10.0))

    assert not torch.equal(plain, churned)


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m_karras", "ddim", "heun", "pndm", "euler_a"])
def test_a_picture_on_its_way_is_what_its_loop_has_after_that_step(name, real_engine, small_model):
    """What the whole run expects of its end after step 3 is the picture of --end-step 3, to the bit."""
    request, seen, desk = asked(small_model, scheduler=name, steps=5), {}, real_engine.desk()
    model = real_engine.stock.checkpoint(small_model)
    with torch.inference_mode():
        run = started(model, request, desk.place, desk.watcher.say, False)
        denoise(
            model.unet, run.scheduler, first_latents(run.scheduler, run.timesteps, run.noise, None), run.timesteps,
            told(model, request, desk), Guidance(weight=5.0), run.chance,
            lambda done, calls, expected: seen.update({done: expected.clone()}),
        )  # fmt: skip

    calls = {"heun": 6, "pndm": 4}.get(name, 3)
    assert torch.equal(latents_of(real_engine, dataclasses.replace(request, end_step=3)), seen[calls])
    assert torch.equal(
        latents_of(real_engine, dataclasses.replace(request, end_step=5)), latents_of(real_engine, request)
    )


@pytest.mark.parametrize(("end", "begin"), [(3, 3), (2, 3)])
def test_a_picture_cannot_end_before_it_begins(real_engine, small_model, photo, end, begin):
    with pytest.raises(RunError, match=rf"^--end-step {end} is not behind step {begin}, where it begins$"):
        next(real_engine.generate(asked(small_model, source=photo, start_step=begin, end_step=end)))
