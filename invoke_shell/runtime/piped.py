"""One picture of a model that a pipeline of diffusers runs, with our noise, steps, progress and facts.

The prompts are read once and kept. A source goes in as latents, by the mode of the posterior, so that the noise is the
generator's first draw as everywhere; the strength given to the pipeline is one that begins at the step asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.prompts import read_prompt
from invoke_shell.records import Made
from invoke_shell.runtime import latents, noise, pictures, recording, request, schedulers
from invoke_shell.runtime._diffusers import make_scheduler
from invoke_shell.runtime.drawing import Desk
from invoke_shell.runtime.piped_loading import Piped
from invoke_shell.runtime.preview import Previewer

__all__ = ["draw_piped"]

EachStep = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]  # (pipeline, step, timestep, tensors) -> changes


def draw_piped(model: Piped, asked: Generation, desk: Desk) -> Made:
    """The picture and its facts. asked: prepared for this model."""
    if asked.guidance > 1 and not model.guided:
        desk.watcher.say(f"{model.name} is not told its guidance: {asked.guidance:g} changes nothing")
    scheduler = make_scheduler(model.scheduler_class, model.scheduler_config)
    alone = request.from_noise_alone(asked) and asked.start_step == 0
    pipe = model.pipe("text" if alone else "image", scheduler)
    values = _values(model, asked, pipe, desk.watcher.say)
    values |= {} if alone else _source(model, asked, desk)
    if desk.tiled:
        pipe.vae.enable_tiling()
    else:
        pipe.vae.disable_tiling()
    picture = pipe(
        **values,
        generator=noise.generator(asked.seed),
        callback_on_step_end=_each_step(model, asked, desk),
        output_type="pt",
    ).images
    if not bool(torch.isfinite(picture).all()):
        raise latents.bad_numbers(model.name, desk.place)
    return Made(image=pictures.from_unit(picture), facts=_facts(model, asked, desk, scheduler))


def _values(model: Piped, asked: Generation, pipe: Any, say: Callable[[str], None]) -> dict[str, Any]:
    prompt, negative = _words(asked.prompt, say), _words(asked.negative, say)
    return {
        **model.coded(pipe, prompt, negative, request.guided(asked), asked.clip_skip),
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


def _each_step(
    model: Piped, asked: Generation, desk: Desk
) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    preview = Previewer(model.latent_map if desk.previews else None)
    steps = request.steps_run(asked)

    def tell(pipe: Any, done: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if done == 0 and (line := request.told_start(asked, _sigma(pipe.scheduler, asked), steps)):
            desk.watcher.say(line)
        desk.watcher.tick(done + 1, steps, preview(model.unpacked(pipe, tensors["latents"], asked.size)))
        return {}

    return tell


def _sigma(scheduler: Any, asked: Generation) -> float:
    return float(scheduler.sigmas[asked.start_step])


def _facts(model: Piped, asked: Generation, desk: Desk, scheduler: Any) -> dict[str, Any]:
    shape = (1, model.channels, asked.size.height // model.factor, asked.size.width // model.factor)
    compute = recording.short(model.dtype)
    own = {
        "noise": noise.described(asked, shape, noisy=False),
        "precision": {"weights": model.stored, "compute": compute, "vae": compute},
        "scheduler": schedulers.described(scheduler),
        "model_calls": request.steps_run(asked),
        "first_sigma": _sigma(scheduler, asked),
        "family": model.family.base,
        "pipeline": model.family.text,
    }
    return request.facts(asked, **own, **recording.worn(asked, model.adapters))
