"""One picture of a model that a pipeline of diffusers runs, with our noise, steps, progress and facts.

The prompts are read once and kept. A source goes in as latents, by the mode of the posterior, so that the noise is the
generator's first draw as everywhere; the strength given to the pipeline is one that begins at the step asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.prompts import read_prompt
from invoke_shell.records import Made
from invoke_shell.runtime import latents, noise, pictures, recording, request, schedulers
from invoke_shell.runtime._diffusers import SchedulerLike, make_scheduler, run_pipeline
from invoke_shell.runtime.drawing import Desk
from invoke_shell.runtime.piped_loading import Piped
from invoke_shell.runtime.preview import Previewer

__all__ = ["draw_piped"]

EachStep = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]  # (pipeline, step, timestep, tensors) -> changes


def draw_piped(model: Piped, asked: Generation, desk: Desk) -> Made:
    """The picture and its facts. asked: prepared for this model."""
    if asked.guidance > 1 and not model.guided:
        desk.watcher.say(f"{model.name} is not told its guidance: {asked.guidance:g} changes nothing")
    scheduler = _scheduler(model, asked, desk)
    alone = request.from_noise_alone(asked) and asked.start_step == 0
    pipe = model.pipe("text" if alone else "image", scheduler)
    values = _values(model, asked, pipe, desk.watcher.say)
    values |= {} if alone else _source(model, asked, desk)
    each_step = _each_step(model, asked, desk, _region(model, asked, desk))
    if desk.tiled:
        pipe.vae.enable_tiling()
    else:
        pipe.vae.disable_tiling()
    picture = run_pipeline(pipe, each_step, **values, generator=noise.generator(asked.seed), output_type="pt")
    if not bool(torch.isfinite(picture).all()):
        raise latents.bad_numbers(model.name, desk.place)
    drawn = pictures.from_unit(picture)
    if asked.mask is not None and asked.source is not None:
        drawn = pictures.pasted(drawn, asked.source, asked.mask)
    return Made(image=drawn, facts=_facts(model, asked, desk, scheduler))


def _scheduler(model: Piped, asked: Generation, desk: Desk) -> SchedulerLike:
    """The model's own, or any of ours on its noise schedule where its family takes them."""
    if model.family.schedulers:
        return make_scheduler(model.scheduler_class, model.scheduler_config)
    return schedulers.build(asked.scheduler, model.scheduler_config, asked.steps, desk.place.device)


def _values(model: Piped, asked: Generation, pipe: Any, say: Callable[[str], None]) -> dict[str, Any]:
    prompt, negative = _words(asked.prompt, say), _words(asked.negative, say)
    return {
        **model.family.fixed,
        **model.coded(pipe, prompt, negative, asked.guidance > model.family.guided_above, asked.clip_skip),
        model.family.guidance: asked.guidance,
        "num_inference_steps": asked.steps,
        "height": asked.size.height,
        "width": asked.size.width,
    }


def _words(text: str, say: Callable[[str], None]) -> str:
    """The words of a prompt; its weights and blends are for the families of CLIP, and that is said."""
    prompt = read_prompt(text)
    if prompt.weighted or prompt.joined:
        say("weights and blends are not read by this model: its prompt is the words alone")
    return prompt.text


def _source(model: Piped, asked: Generation, desk: Desk) -> dict[str, Any]:
    """What the picture begins from: the source's latents, or none for noise alone from a later step."""
    if request.from_noise_alone(asked):
        shape = (1, model.channels, asked.size.height // model.factor, asked.size.width // model.factor)
        start = torch.zeros(shape, device=desk.place.device, dtype=model.dtype)
    else:
        assert asked.source is not None  # else it were noise alone
        start = model.encoded(asked.source, desk.place.device, desk.tiled)
    # The pipelines begin at int(steps - steps x strength); a quarter keeps that off the edge of a binary fraction.
    return {"image": start, "strength": (request.steps_run(asked) - 0.25) / asked.steps}


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What stays outside of a mask. mask: (1, 1, h, w), 1 is repainted; source, noise: latents (1, c, h, w)."""

    mask: Tensor
    source: Tensor
    noise: Tensor

    def put_back(self, model: Piped, pipe: Any, latents: Tensor, following: Tensor | None) -> Tensor:
        """The latents as the pipeline keeps them, with the source put back as noisy as the loop now is.

        Diffusers' own inpaint pipelines compute the same. following: the next timestep, None at the end.
        """
        source = self.source.to(latents.dtype)
        if following is not None:
            source = pipe.scheduler.scale_noise(source, following.reshape(1), self.noise.to(latents.dtype))
        mask = model.packed(pipe, self.mask.to(latents.dtype).expand_as(source), latents)
        return (1 - mask) * model.packed(pipe, source, latents) + mask * latents


def _region(model: Piped, asked: Generation, desk: Desk) -> _Kept | None:
    if asked.mask is None or asked.source is None:
        return None
    source = model.encoded(asked.source, desk.place.device, desk.tiled)
    size = source.shape[-2], source.shape[-1]
    drawn = torch.randn(source.shape, generator=noise.generator(asked.seed), dtype=model.dtype)
    mask = pictures.mask_to_latents(asked.mask, size, source.device, source.dtype)
    return _Kept(mask=mask, source=source, noise=drawn.to(source.device))


def _each_step(
    model: Piped, asked: Generation, desk: Desk, kept: _Kept | None
) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    preview = Previewer(model.latent_map if desk.previews else None)
    steps = request.steps_run(asked)
    begin = asked.start_step

    def tell(pipe: Any, done: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        calls = _calls(pipe.scheduler, asked)
        if done == 0 and (line := request.told_start(asked, _sigma(pipe.scheduler, asked), calls)):
            desk.watcher.say(line)
        latents = tensors["latents"]
        desk.watcher.tick(
            min((done + 1) * steps // calls, steps), steps, preview(model.unpacked(pipe, latents, asked.size))
        )
        if kept is None:
            return {}
        following = pipe.scheduler.timesteps[begin + done + 1] if done + 1 < steps else None
        return {"latents": kept.put_back(model, pipe, latents, following)}

    return tell


def _calls(scheduler: Any, asked: Generation) -> int:
    """Of the model: one a step, but for schedulers of second order, which begin at their first."""
    return len(scheduler.timesteps) - asked.start_step


def _sigma(scheduler: Any, asked: Generation) -> float:
    return schedulers.sigma_at(scheduler, asked.scheduler, asked.start_step, scheduler.timesteps)


def _facts(model: Piped, asked: Generation, desk: Desk, scheduler: Any) -> dict[str, Any]:
    shape = (1, model.channels, asked.size.height // model.factor, asked.size.width // model.factor)
    compute = recording.short(model.dtype)
    own = {
        "noise": noise.described(asked, shape, noisy=False),
        "precision": {"weights": model.stored, "compute": compute, "vae": compute},
        "scheduler": schedulers.described(scheduler),
        "model_calls": _calls(scheduler, asked),
        "first_sigma": _sigma(scheduler, asked),
        "family": model.family.base,
        "pipeline": model.family.text,
    }
    return request.facts(asked, **own, **recording.worn(asked, model.adapters))
