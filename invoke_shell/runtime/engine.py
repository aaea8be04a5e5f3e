"""The engine: what a request becomes on this machine. Models come from residency, numbers from denoise and decode.

    prompt -> embeddings --------------\\
    seed -> generator -> noise -> first latents -> denoise -> decode -> 8-bit picture
    source -> VAE mode -> latents -----/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Enlargement, Generation
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.records import Image, Made, ModelRecord
from invoke_shell.runtime import device, noise, pictures, request, schedulers
from invoke_shell.runtime._diffusers import SchedulerLike, encode_latents, import_libraries
from invoke_shell.runtime.conditioning import Embeddings, unknown_words
from invoke_shell.runtime.denoise import Region, denoise, first_latents
from invoke_shell.runtime.encoders import Conditioning, Reading
from invoke_shell.runtime.inversions import load_inversion, unused
from invoke_shell.runtime.loading import Checkpoint, load_checkpoint, load_vae
from invoke_shell.runtime.policy import SILENT, Once, Policy, Watcher
from invoke_shell.runtime.preview import Previewer
from invoke_shell.runtime.residency import Residency
from invoke_shell.runtime.sources import model_key
from invoke_shell.runtime.upscalers import Upscaler, load_upscaler

__all__ = ["DiffusersEngine"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One picture about to be drawn. timesteps: (model calls,); source: latents (1, c, h, w) or None."""

    model: Checkpoint
    scheduler: SchedulerLike
    timesteps: Tensor
    generator: torch.Generator
    noise: Tensor
    source: Tensor | None


class DiffusersEngine:
    """Runs Stable Diffusion 1, 2 and XL, and upscaler files; implements pipeline.context.Engine.

    One thread at a time. A batch of one always: larger ones change the last bits of every picture in them.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.place = device.find(self.policy)
        device.settle(self.policy, self.place)
        self._models = Residency(self.place.memory)
        self._embeddings = Embeddings()
        self._watcher = Once(SILENT)

    def watch(self, watcher: Watcher) -> Self:
        """From now on tell this one; a run's context. Lines that many pictures give rise to are said once."""
        if self._watcher.watcher is not watcher:
            self._watcher = Once(watcher)
        return self

    def warm(self, model: ModelRecord | None = None) -> None:
        """Import the libraries, and load a model, before anyone waits for them."""
        import_libraries()
        if model is not None:
            self._checkpoint(model)

    def generate(self, request: Generation) -> Iterator[Made]:
        """The picture of a request, drawn when the iterator is advanced."""
        yield self._with_memory(lambda tiled: self._draw(request, tiled), request.model, str(request.size))

    def enlarge(self, request: Enlargement) -> Iterator[Made]:
        """The picture, enlarged when the iterator is advanced."""
        size = f"{request.image.width}x{request.image.height}"
        yield self._with_memory(lambda tiled: self._enlarge(request), request.model, size)

    def environment(self) -> Mapping[str, Any]:
        """Versions, device, threads, determinism; what a bit-exact replay needs to be equal."""
        return device.environment(self.policy, self.place)

    # Memory

    def _with_memory(self, work: Callable[[bool], T], model: ModelRecord, size: str) -> T:
        """Do the work; when memory runs out, make room and try once more with the VAE in tiles."""
        try:
            return work(False)
        except (RuntimeError, MemoryError) as error:
            if not device.ran_out(error):
                raise
        # Outside of the handler, whose traceback would keep the failed run's tensors alive.
        self._models.drop_others(model_key(model))
        device.free_memory(self.place.device)
        try:
            return work(True)
        except (RuntimeError, MemoryError) as error:
            if not device.ran_out(error):
                raise
            message = f"{size} with {model.name} needs more memory than {self.place.device} has free"
            raise RunError(message, hint="try a smaller picture", code="out-of-memory") from error

    def _checkpoint(self, model: ModelRecord) -> Checkpoint:
        return self._models.get(model_key(model), lambda: load_checkpoint(model, self.place), model.bytes)

    def _dressed(self, asked: Generation) -> Checkpoint:
        """The model with the LoRAs and the VAE of a request, and with no others."""
        model = self._checkpoint(asked.model)
        model.adapters.wear(asked.loras)
        if asked.vae is None:
            return model
        key, wanted = f"{model_key(asked.vae)} with {model_key(asked.model)}", asked.vae
        vae = self._models.get(key, lambda: load_vae(wanted, asked.model, self.place), wanted.bytes)
        return replace(model, vae=vae.network, scaling=vae.scaling)

    def _upscaler(self, model: ModelRecord) -> Upscaler:
        return self._models.get(model_key(model), lambda: load_upscaler(model, self.place.device), model.bytes)

    # Drawing

    @torch.inference_mode()
    def _draw(self, asked: Generation, tiled: bool) -> Made:
        if (untouched := request.passed_through(asked)) is not None:
            return untouched
        model = self._dressed(asked)
        asked = request.prepare(asked, self._watcher.say, max(8, model.factor))
        told = self._condition(model, asked)
        run = self._started(model, asked, tiled)
        facts = self._facts(asked, run, tiled)
        self._tell_start(asked, facts)
        latents = self._denoised(asked, run, told)
        image = _finished(asked, self._decoded(model, latents, tiled))
        return Made(image=image, facts=facts)

    def _condition(self, model: Checkpoint, asked: Generation) -> Conditioning:
        say = self._watcher.say
        if model.words is not None and (unknown := unknown_words(f"{asked.prompt} {asked.negative}", model.words)):
            say(f"{model.name} does not know: {', '.join(unknown)}")
        negative = asked.negative if request.guided(asked) else None
        reading = self._reading(model, asked)
        coded = self._embeddings.pair(model.reader, asked.prompt, negative, say, reading)
        return model.reader.conditioning(coded, asked.size)

    def _reading(self, model: Checkpoint, asked: Generation) -> Reading:
        inversions = tuple(load_inversion(e, model.reader.networks) for e in asked.embeddings)
        for word in unused(inversions, asked.prompt, asked.negative):
            self._watcher.say(f"the embedding {word} is not used: its word is not in the prompt")
        return Reading(skip=asked.clip_skip, inversions=inversions, adapters=model.adapters.in_texts)

    def _started(self, model: Checkpoint, asked: Generation, tiled: bool) -> _Run:
        place = self.place
        scheduler = schedulers.build(asked.scheduler, model.scheduler_config, asked.steps, place.device)
        if line := schedulers.missed(scheduler, asked.scheduler, model.scheduler_config):
            self._watcher.say(line)
        timesteps = schedulers.timesteps_from(scheduler, asked.scheduler, asked.start_step)
        generator = noise.generator(asked.seed)
        shape = (1, model.channels, asked.size.height // model.factor, asked.size.width // model.factor)
        start = noise.start_noise(generator, shape, place.device, place.dtype)
        read = asked.source if request.reads_source(asked) else None
        source = None if read is None else self._encoded(model, read, tiled)
        return _Run(
            model=model, scheduler=scheduler, timesteps=timesteps, generator=generator, noise=start, source=source
        )

    def _denoised(self, asked: Generation, run: _Run, told: Conditioning) -> Tensor:
        mixed_in = None if request.from_noise_alone(asked) else run.source
        return denoise(
            run.model.unet,
            run.scheduler,
            first_latents(run.scheduler, run.timesteps, run.noise, mixed_in),
            run.timesteps,
            told,
            asked.guidance if request.guided(asked) else None,
            run.generator,
            self._each_step(run.model, request.steps_run(asked)),
            _region(asked, run),
        )

    def _each_step(self, model: Checkpoint, steps: int) -> Callable[[int, int, Tensor], None]:
        preview = Previewer(model.latent_map if self.policy.previews else None)
        tick = self._watcher.tick

        def tell(done: int, calls: int, latents: Tensor) -> None:
            # Counted in steps, as typed; a second-order scheduler ticks twice in each.
            tick(done * steps // calls, steps, preview(latents))

        return tell

    def _tell_start(self, asked: Generation, facts: Mapping[str, Any]) -> None:
        if line := request.told_start(asked, facts["first_sigma"], facts["model_calls"]):
            self._watcher.say(line)

    # The VAE

    def _encoded(self, model: Checkpoint, image: Image, tiled: bool) -> Tensor:
        vae_dtype = next(model.vae.parameters()).dtype
        picture = 2.0 * pictures.to_unit(image, self.place.device, vae_dtype) - 1.0
        _set_tiling(model, tiled)
        return (encode_latents(model.vae, picture) * model.scaling).to(self.place.dtype)

    def _decoded(self, model: Checkpoint, latents: Tensor, tiled: bool) -> Image:
        _set_tiling(model, tiled)
        vae_dtype = next(model.vae.parameters()).dtype
        picture = model.vae.decode((latents / model.scaling).to(vae_dtype), return_dict=False)[0]
        if not bool(torch.isfinite(picture).all()):
            raise self._bad_numbers(model)
        return pictures.from_unit(picture * 0.5 + 0.5)

    def _bad_numbers(self, model: Checkpoint) -> RunError:
        wider = "" if self.place.dtype == torch.float32 else "`set precision float32`, "
        hint = f"try {wider}a lower --guidance or another --scheduler"
        return RunError(f"{model.name} gave numbers that are none (NaN)", hint=hint, code="bad-numbers")

    # For the record

    def _facts(self, asked: Generation, run: _Run, tiled: bool) -> dict[str, Any]:
        shape = tuple(run.noise.shape)
        own = {
            "noise": noise.described(asked.seed, shape, SCHEDULERS[asked.scheduler].noisy),
            "precision": self._precision(run.model),
            "scheduler": schedulers.described(run.scheduler),
            "model_calls": len(run.timesteps),
            "first_sigma": schedulers.sigma_at(run.scheduler, asked.scheduler, run.timesteps),
            "family": run.model.family,
        }
        return request.facts(
            asked, **own, **_worn(asked, run.model), **({"vae": "tiled: memory ran out"} if tiled else {})
        )

    def _precision(self, model: Checkpoint) -> dict[str, str]:
        vae = next(model.vae.parameters()).dtype
        return {"weights": model.stored, "compute": _short(self.place.dtype), "vae": _short(vae)}

    # Enlarging

    @torch.inference_mode()
    def _enlarge(self, asked: Enlargement) -> Made:
        upscaler = self._upscaler(asked.model)
        image, passes = asked.image, request.passes(asked.scale, upscaler.scale)
        for _ in range(passes):
            image = self._pass(upscaler, image)
        facts = {"network": type(upscaler.network).__name__, "network_scale": upscaler.scale, "passes": passes}
        precision = {"weights": "float32", "compute": "float32"}
        return Made(image=_scaled(asked, image), facts={**facts, "precision": precision})

    def _pass(self, upscaler: Upscaler, image: Image) -> Image:
        source = pictures.to_unit(image, torch.device("cpu"), torch.float32)
        return pictures.from_unit(upscaler.enlarge(source, self._watcher.tick))


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _worn(asked: Generation, model: Checkpoint) -> dict[str, Any]:
    """LoRAs with their strengths and the layers they reach; nothing for a picture without."""
    rows = zip(asked.loras, model.adapters.layers(), strict=True)
    worn = [{"name": lora.value.name, "weight": lora.weight, "layers": layers} for lora, layers in rows]
    return {"loras": worn} if worn else {}


def _set_tiling(model: Checkpoint, tiled: bool) -> None:
    if tiled:
        model.vae.enable_tiling()
    else:
        model.vae.disable_tiling()


def _region(asked: Generation, run: _Run) -> Region | None:
    if asked.mask is None or run.source is None:
        return None
    height, width = run.noise.shape[-2:]
    mask = pictures.mask_to_latents(asked.mask, (height, width), run.noise.device, run.noise.dtype)
    return Region(mask=mask, source=run.source, noise=run.noise)


def _finished(asked: Generation, drawn: Image) -> Image:
    if asked.mask is None or asked.source is None:
        return drawn
    return pictures.pasted(drawn, asked.source, asked.mask)


def _scaled(asked: Enlargement, enlarged: Image) -> Image:
    """To the size wanted exactly, by Lanczos, and with the transparency of the source, by Lanczos too."""
    from PIL.Image import Resampling

    size = (round(asked.image.width * asked.scale), round(asked.image.height * asked.scale))
    picture = enlarged.pil().resize(size, Resampling.LANCZOS) if enlarged.size != size else enlarged.pil()
    if asked.image.mode == "RGBA":
        picture.putalpha(asked.image.pil().getchannel("A").resize(size, Resampling.LANCZOS))
    return Image.from_pil(picture)
