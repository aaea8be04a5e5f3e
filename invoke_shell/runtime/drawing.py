"""One picture of a U-Net model, from its request to 8 bits, in our own loop.

    prompt -> embeddings --------------\\
    seed -> generator -> noise -> first latents -> denoise -> decode -> 8-bit picture
    source -> VAE mode -> latents -----/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from torch import Tensor

from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.prompts import plain_text
from invoke_shell.records import Image, Made
from invoke_shell.runtime import latents, pictures, recording, request, schedulers
from invoke_shell.runtime._diffusers import Denoiser
from invoke_shell.runtime.beside import beside
from invoke_shell.runtime.conditioning import Embeddings, unknown_words
from invoke_shell.runtime.controls import Controlled, steered
from invoke_shell.runtime.denoise import Region, denoise, first_latents
from invoke_shell.runtime.device import Place
from invoke_shell.runtime.encoders import Conditioning, Reading
from invoke_shell.runtime.guidance import Guidance, told_guidance
from invoke_shell.runtime.inversions import load_inversion, unused
from invoke_shell.runtime.loading import Checkpoint
from invoke_shell.runtime.policy import Watcher
from invoke_shell.runtime.preview import Previewer
from invoke_shell.runtime.refining import HandOver, handed_over
from invoke_shell.runtime.start import Run, started
from invoke_shell.runtime.tokens import token_lines

__all__ = ["Desk", "denoised", "draw", "told"]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What pictures are drawn with. previews: give small pictures on the way. tiled: the VAE works in tiles."""

    place: Place
    embeddings: Embeddings
    watcher: Watcher
    previews: bool = True
    tiled: bool = False


def draw(model: Checkpoint, asked: Generation, desk: Desk, refiner: Checkpoint | None = None) -> Made:
    """The picture and its facts. asked: prepared for this model. refiner: draws the last steps."""
    say = desk.watcher.say
    conditioning = told(model, asked, desk)
    run = started(model, asked, desk.place, say, desk.tiled)
    facts = recording.facts(asked, run, desk.place)
    if line := request.told_start(asked, facts["first_sigma"], facts["model_calls"]):
        say(line)
    if refiner is None:
        drawn = denoised(asked, run, conditioning, desk)
    else:
        over = handed_over(run, refiner, asked, desk.place)
        facts |= over.facts
        drawn = _refined(asked, over, conditioning, desk)
    return Made(image=_finished(asked, latents.decoded(model, drawn, desk.place, desk.tiled)), facts=facts)


def told(model: Checkpoint, asked: Generation, desk: Desk) -> Conditioning:
    """What the U-Net is told: the prompts, read once and kept."""
    say = desk.watcher.say
    if model.words is not None and (unknown := _unknown(asked, model.words)):
        say(f"{model.name} does not know: {', '.join(unknown)}")
    guided = _guidance(model, asked)
    reading = _reading(model, asked, say)
    for label, text in (("prompt", asked.prompt), ("negative", asked.negative)) if asked.tokens else ():
        first = model.reader.first
        for line in token_lines(label, text, partial(first.spelled, inversions=reading.inversions), first.room):
            say(line)
    coded = desk.embeddings.pair(model.reader, asked.prompt, asked.negative if guided else None, say, reading)
    if guided and guided.image is not None:
        coded = (coded[1], coded[0], coded[0])
    told = model.reader.conditioning(coded, asked.size)
    if model.eyes:  # a refiner has none
        copies = guided.copies if guided else (True,)
        seen = model.pictured.embeddings(asked.picture_prompts, model.eyes, desk.place, copies)
        told = replace(told, added={**told.added, "image_embeds": seen})
    if not model.told_guidance:
        return told
    return replace(told, guidance=told_guidance(asked.guidance, model.told_guidance, told.states))


def denoised(asked: Generation, run: Run, conditioning: Conditioning, desk: Desk) -> Tensor:
    """Latents (1, c, h, w) without noise."""
    mixed_in = None if request.from_noise_alone(asked) else run.source
    first = first_latents(run.scheduler, run.timesteps, run.noise, mixed_in, asked.start_step)
    return _loop(asked, run, first, conditioning, desk, (0, len(run.timesteps)))


def _refined(asked: Generation, over: HandOver, conditioning: Conditioning, desk: Desk) -> Tensor:
    """Latents without noise that two models drew, one after the other."""
    before, after = over.first.calls or 0, len(over.second.timesteps)
    mixed_in = None if request.from_noise_alone(asked) else over.first.source
    first = first_latents(over.first.scheduler, over.first.timesteps, over.first.noise, mixed_in, asked.start_step)
    handed = _loop(asked, over.first, first, conditioning, desk, (0, before + after))
    # It reads the prompts with text encoders of its own; inversions and LoRAs are made for the first model.
    plain = replace(asked, embeddings=(), loras=())
    reread = told(over.second.model, plain, desk)
    return _loop(asked, over.second, handed, reread, desk, (before, before + after))


def _loop(
    asked: Generation, run: Run, first: Tensor, conditioning: Conditioning, desk: Desk, counted: tuple[int, int]
) -> Tensor:
    """counted: model calls before this loop, and of the whole picture."""
    guidance = _guidance(run.model, asked)
    channels = beside(run.model, asked, desk.place, desk.tiled, guidance.parts if guidance else 1)
    each_step = _EachStep(run.model, request.steps_run(asked), desk, *counted)
    drawn = denoise(
        _unet(asked, run, desk),
        run.scheduler,
        first,
        run.timesteps[: run.calls],
        conditioning,
        guidance,
        run.chance,
        each_step,
        # A model that reads the mask keeps the rest by itself.
        _region(asked, run) if channels is None else None,
        channels,
        schedulers.step_options(asked),
    )
    # A picture on its way is shown as the end is expected to be, not with the noise that is still in it.
    return drawn if request.last_step(asked) == asked.steps else each_step.expected


def _guidance(model: Checkpoint, asked: Generation) -> Guidance | None:
    """None where the prompt alone is asked: without guidance, and in a consistency model, which is told of it."""
    if not request.guided(asked) or model.told_guidance:
        return None
    return Guidance(weight=asked.guidance, rescale=asked.guidance_rescale, image=asked.image_guidance)


def _unet(asked: Generation, run: Run, desk: Desk) -> Denoiser:
    """The U-Net, with its ControlNets beside it when there are some."""
    model = run.model
    if not model.controls:  # a refiner has none
        return model.unet
    steering = steered(model.controls, asked.controls, run.noise, model.factor, desk.watcher.say)
    return cast(Denoiser, Controlled(model.unet, steering, len(run.timesteps)))  # the loop does nothing but call it


def _reading(model: Checkpoint, asked: Generation, say: Callable[[str], None]) -> Reading:
    inversions = tuple(load_inversion(e, model.reader.networks) for e in asked.embeddings)
    for word in unused(inversions, plain_text(asked.prompt), plain_text(asked.negative)):
        say(f"the embedding {word} is not used: its word is not in the prompt")
    return Reading(skip=asked.clip_skip, inversions=inversions, adapters=model.adapters.in_texts)


def _unknown(asked: Generation, known: frozenset[str]) -> list[str]:
    """Words of both prompts that neither a model was taught nor an embedding brings, each once."""
    known = known.union(*(unknown_words(model.name, frozenset()) for model in asked.embeddings))
    return list(dict.fromkeys([*unknown_words(asked.prompt, known), *unknown_words(asked.negative, known)]))


class _EachStep:
    """Tells how far a picture is; remembers what its end is expected to be.

    steps: that will run. before: model calls of the loop before this one. calls: of the whole picture.
    """

    def __init__(self, model: Checkpoint, steps: int, desk: Desk, before: int, calls: int) -> None:
        self.expected: Tensor
        self._steps, self._before, self._calls = steps, before, calls
        self._preview = Previewer(model.latent_map if desk.previews else None)
        self._tick = desk.watcher.tick

    def __call__(self, done: int, _: int, expected: Tensor) -> None:
        self.expected = expected
        # Counted in steps, as typed; a second-order scheduler ticks twice in each.
        steps = (self._before + done) * self._steps // self._calls
        self._tick(steps, self._steps, self._preview(expected))


def _region(asked: Generation, run: Run) -> Region | None:
    if asked.mask is None or run.source is None:
        return None
    height, width = run.noise.shape[-2:]
    mask = pictures.mask_to_latents(asked.mask, (height, width), run.noise.device, run.noise.dtype)
    return Region(mask=mask, source=run.source, noise=run.noise)


def _finished(asked: Generation, drawn: Image) -> Image:
    if asked.mask is None or asked.source is None:
        return drawn
    return pictures.pasted(drawn, asked.source, asked.mask)
