"""The loop against diffusers' own pipelines: equal bits for every scheduler, and what is right where they are not."""

import math

import pytest
import torch
from runtime_kit import latents_of

from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, Mask
from invoke_shell.runtime import pictures, schedulers
from invoke_shell.runtime.denoise import denoise, first_latents
from invoke_shell.runtime.encoders import Conditioning
from invoke_shell.runtime.noise import Chance, generator, start_noise

STEPS = 4
CPU = torch.device("cpu")
TEXT = {"prompt": "a red circle", "negative_prompt": "blue"}
ETA = {"tcd": {"eta": 0.3}}  # pipelines give 0 to whoever takes one; the class's own default is what we run


def asked(model, **changes):
    values = {"steps": STEPS, "guidance": 5.0, "scheduler": "ddim", "seed": 7, "negative": "blue"} | changes
    return Generation(prompt="a red circle", model=model, size=Size(64, 64), **values)


def image_of(engine, request):
    return next(engine.generate(request)).image


def diffusers_scheduler(pipe, name):
    import diffusers

    row = SCHEDULERS[name]
    # As keywords: from_config leaves out what the model's own scheduler has from its class's defaults.
    return getattr(diffusers, row.kind).from_config(pipe.scheduler.config, **{"clip_sample": False, **row.config})


@pytest.fixture
def pipe_with(diffusers_pipe):
    """The pipeline with the scheduler of this name; the model's own is put back afterwards."""
    own = diffusers_pipe.scheduler

    def with_scheduler(name):
        diffusers_pipe.scheduler = own
        diffusers_pipe.scheduler = diffusers_scheduler(diffusers_pipe, name)
        return diffusers_pipe

    yield with_scheduler
    diffusers_pipe.scheduler = own


@pytest.fixture(scope="session")
def photo():
    """A picture with structure, 64x64."""
    rows = bytes((x * 4 + y * channel * 2) % 256 for y in range(64) for x in range(64) for channel in (1, 2, 3))
    return Image(mode="RGB", width=64, height=64, pixels=rows)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_loop_equals_diffusers_pipeline(name, real_engine, small_model, pipe_with):
    pipe = pipe_with(name)
    values = {"num_inference_steps": STEPS, "guidance_scale": 5.0, "height": 64, "width": 64}

    theirs = pipe(**TEXT, **values, **ETA.get(name, {}), generator=generator(7), output_type="latent").images
    request = asked(small_model, scheduler=name)

    assert torch.equal(latents_of(real_engine, request), theirs)
    with torch.no_grad():
        decoded = pipe.vae.decode(theirs / pipe.vae.config.scaling_factor, return_dict=False)[0]
    picture = pipe.image_processor.postprocess(decoded, output_type="pil")[0]
    assert image_of(real_engine, request).pixels == picture.tobytes()


def test_loop_equals_diffusers_pipeline_without_guidance(real_engine, small_model, pipe_with):
    values = {"num_inference_steps": STEPS, "guidance_scale": 1.0, "height": 64, "width": 64}

    theirs = pipe_with("euler")(**TEXT, **values, generator=generator(7), output_type="pil").images[0]

    assert image_of(real_engine, asked(small_model, scheduler="euler", guidance=1.0)).pixels == theirs.tobytes()


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "pndm"])
def test_img2img_equals_diffusers_pipeline_given_the_same_latents(name, real_engine, small_model, pipe_with, photo):
    from diffusers import StableDiffusionImg2ImgPipeline

    pipe = StableDiffusionImg2ImgPipeline(**pipe_with(name).components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        posterior = pipe.vae.encode(2.0 * pictures.to_unit(photo, CPU, torch.float32) - 1.0).latent_dist
    latents = posterior.mode() * pipe.vae.config.scaling_factor

    theirs = pipe(
        **TEXT, image=latents, strength=0.5, num_inference_steps=STEPS, guidance_scale=5.0, generator=generator(7),
        output_type="latent", **ETA.get(name, {}),
    ).images  # fmt: skip

    assert torch.equal(latents_of(real_engine, asked(small_model, scheduler=name, source=photo, start_step=2)), theirs)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_pure_noise_is_txt2img_bit_for_bit(name, real_engine, small_model, photo):
    drawn = latents_of(real_engine, asked(small_model, scheduler=name))

    from_photo = latents_of(real_engine, asked(small_model, scheduler=name, source=photo, pure_noise=True))

    assert torch.equal(from_photo, drawn)


def test_inpainting_equals_diffusers_pipeline_given_the_same_noise(real_engine, small_model, pipe_with, photo):
    from diffusers import StableDiffusionInpaintPipeline

    pipe = StableDiffusionInpaintPipeline(**pipe_with("euler").components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    # diffusers draws the source's latents from the posterior with the picture's generator; its mode is asked here.
    pipe._encode_vae_image = lambda image, generator: pipe.vae.encode(image.contiguous()).latent_dist.mode() * 0.18215
    mask = Mask(mode="L", width=64, height=64, pixels=(b"\0" * 32 + b"\xff" * 32) * 64)

    theirs = pipe(
        **TEXT, image=photo.pil(), mask_image=mask.pil(), strength=0.5, num_inference_steps=STEPS, guidance_scale=5.0,
        height=64, width=64, generator=generator(7), output_type="latent",
    ).images  # fmt: skip
    request = asked(small_model, scheduler="euler", source=photo, mask=mask, start_step=2)

    assert torch.equal(latents_of(real_engine, request), theirs)


def test_inpainting_leaves_every_pixel_outside_the_mask(real_engine, small_model, photo):
    mask = Mask(mode="L", width=64, height=64, pixels=(b"\0" * 32 + b"\xff" * 32) * 64)

    drawn = image_of(real_engine, asked(small_model, source=photo, mask=mask, start_step=1)).pil()

    left = (0, 0, 32, 64)
    assert drawn.crop(left).tobytes() == photo.pil().crop(left).tobytes()
    assert drawn.tobytes() != photo.pixels


def test_pndm_begins_at_the_step_asked_and_repeats_its_second():
    scheduler = schedulers.build("pndm", {"steps_offset": 1}, 5, CPU)

    assert schedulers.timesteps_from(scheduler, "pndm", 0).tolist() == [801, 601, 601, 401, 201, 1]
    assert schedulers.timesteps_from(scheduler, "pndm", 2).tolist() == [401, 201, 201, 1]
    assert schedulers.timesteps_from(scheduler, "pndm", 4).tolist() == [1]


class GaussianModel:
    """The perfect denoiser of pictures whose values are drawn from N(1.5, 0.5 squared): what a U-Net would learn."""

    mean, deviation = 1.5, 0.5

    def __init__(self, alphas):
        self.alphas = alphas

    def __call__(self, sample, timestep, *, encoder_hidden_states, return_dict):
        low, high = math.floor(float(timestep)), math.ceil(float(timestep))
        share = float(timestep) - low
        kept = self.alphas[low] * (1 - share) + self.alphas[min(high, 999)] * share
        spread = kept * self.deviation**2 + 1 - kept
        return ((1 - kept).sqrt() * (sample - kept.sqrt() * self.mean) / spread,)


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in ("lcm", "tcd")])
def test_scheduler_draws_the_distribution_its_model_knows(name):
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    # Beta noise levels leave out much of the middle, where the noisy ones gather their spread.
    scheduler = schedulers.build(name, config, 150 if name.endswith("sde_beta") else 50, CPU)
    timesteps = schedulers.timesteps_from(scheduler, name, 0)
    chance = Chance(3)
    noise = start_noise(chance, (1, 4, 32, 32), CPU, torch.float32)

    drawn = denoise(
        GaussianModel(scheduler.alphas_cumprod), scheduler, first_latents(scheduler, timesteps, noise, None),
        timesteps, Conditioning(states=torch.zeros(1)), None, chance, lambda done, calls, latents: None,
    )  # fmt: skip

    # A mean of 1.5 and a deviation of 0.5, up to what 50 steps and a schedule that ends short of pure noise allow.
    assert float(drawn.mean()) == pytest.approx(1.5, abs=0.08)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.08)


def test_lcm_refuses_more_steps_than_it_was_made_for(real_engine, small_model):
    from invoke_shell.errors import RunError

    with pytest.raises(RunError, match=r"^--steps 60 is too many for lcm: at most 50$"):
        image_of(real_engine, asked(small_model, scheduler="lcm", steps=60))
