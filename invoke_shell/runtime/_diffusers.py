"""The one place that faces diffusers' and transformers' untyped calls; the rest of the package sees these protocols.

Importing this module imports neither library; the first call of a loader does, and takes about four seconds of CPU.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = [
    "Autoencoder",
    "Denoiser",
    "SchedulerLike",
    "TextEncoder",
    "Tokenizer",
    "encode_latents",
    "import_libraries",
    "load_autoencoder",
    "load_denoiser",
    "load_text_encoder",
    "load_tokenizer",
    "make_scheduler",
    "step_arguments",
]

T = TypeVar("T")


class Component(Protocol):
    """What all networks have in common: a torch module, put as a protocol so that their calls can be typed."""

    config: Any

    def eval(self: T) -> T: ...

    def to(self: T, device: torch.device, dtype: torch.dtype | None = None) -> T: ...

    def parameters(self) -> Iterator[Tensor]: ...

    def buffers(self) -> Iterator[Tensor]: ...


class Denoiser(Component, Protocol):
    """A U-Net. Latents (n, c, h, w), a timestep, embeddings (n, tokens, width) -> ((n, c, h, w),)."""

    def __call__(
        self, sample: Tensor, timestep: Tensor, *, encoder_hidden_states: Tensor, return_dict: bool
    ) -> tuple[Tensor]: ...


class Autoencoder(Component, Protocol):
    """Pictures in -1 to 1 (n, 3, h, w) <-> latents (n, c, h/8, w/8), not scaled."""

    def decode(self, latents: Tensor, *, return_dict: bool) -> tuple[Tensor]: ...

    def enable_slicing(self) -> None: ...

    def enable_tiling(self) -> None: ...

    def disable_slicing(self) -> None: ...

    def disable_tiling(self) -> None: ...


class TextEncoder(Component, Protocol):
    """Token numbers (n, 77) -> ((n, 77, width), ...)."""

    def __call__(self, input_ids: Tensor, *, attention_mask: Tensor | None) -> tuple[Tensor, ...]: ...


class Tokenizer(Protocol):
    """Text -> token numbers without the marks at the ends."""

    model_max_length: int
    bos_token_id: int
    eos_token_id: int
    pad_token_id: int

    def __call__(self, text: str, *, add_special_tokens: bool, verbose: bool) -> Mapping[str, Sequence[int]]: ...


class SchedulerLike(Protocol):
    """What the loop asks of a scheduler. One is made for each picture, because it remembers steps."""

    config: Mapping[str, Any]
    timesteps: Tensor
    init_noise_sigma: float | Tensor

    def set_timesteps(self, num_inference_steps: int, device: torch.device) -> None: ...

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor: ...

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor: ...

    def step(
        self, guess: Tensor, timestep: Tensor, sample: Tensor, *, return_dict: bool, **extra: Any
    ) -> tuple[Tensor]: ...


class _Libraries(NamedTuple):
    unet: Any
    autoencoder: Any
    text_encoder: Any
    tokenizer: Any


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No garbage collection while modules are imported: they make half a million objects that stay for good.

    Measured: 3.8 s instead of 4.5 s. Tried besides: packages replaced by bare ones so that diffusers' `__init__`s
    do not import every model, 0.1 s more and a trap for whoever imports diffusers later; not worth it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@cache
def import_libraries() -> _Libraries:
    """The classes we load with, imported from where they live and not through the pipelines; quiet from here on."""
    with _collector_paused():
        import diffusers
        import transformers
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    return _Libraries(UNet2DConditionModel, AutoencoderKL, CLIPTextModel, CLIPTokenizer)


def load_denoiser(folder: str, dtype: torch.dtype, variant: str | None) -> Denoiser:
    """The U-Net of a model folder. Raises whatever the library raises."""
    unet: Denoiser = _load(import_libraries().unet, folder, "unet", dtype, variant)
    return unet


def load_autoencoder(folder: str, dtype: torch.dtype, variant: str | None) -> Autoencoder:
    """The VAE of a model folder."""
    vae: Autoencoder = _load(import_libraries().autoencoder, folder, "vae", dtype, variant)
    return vae


def load_text_encoder(folder: str, dtype: torch.dtype, variant: str | None) -> TextEncoder:
    """The CLIP text encoder of a model folder."""
    encoder: TextEncoder = _load(import_libraries().text_encoder, folder, "text_encoder", dtype, variant)
    return encoder


def load_tokenizer(folder: str) -> Tokenizer:
    """The CLIP tokenizer of a model folder."""
    tokenizer: Tokenizer = import_libraries().tokenizer.from_pretrained(
        folder, subfolder="tokenizer", local_files_only=True
    )
    return tokenizer


def _load(kind: Any, folder: str, part: str, dtype: torch.dtype, variant: str | None) -> Any:
    return kind.from_pretrained(
        folder, subfolder=part, dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True
    )


def encode_latents(vae: Autoencoder, picture: Tensor) -> Tensor:
    """Latents of a picture in -1 to 1, not scaled: the mode of the posterior, so that no noise is drawn for it."""
    encoder: Any = vae
    latents: Tensor = encoder.encode(picture).latent_dist.mode()
    return latents


def make_scheduler(kind: str, config: Mapping[str, Any]) -> SchedulerLike:
    """A scheduler of diffusers' class `kind` from those values of `config` that it knows.

    The class is called, not its from_config: that one imports every scheduler there is to find what to leave out.
    """
    import_libraries()
    import diffusers

    made_by = getattr(diffusers, kind)
    known = inspect.signature(made_by.__init__).parameters
    scheduler: SchedulerLike = made_by(**{name: value for name, value in config.items() if name in known})
    return scheduler


def step_arguments(scheduler: SchedulerLike, generator: torch.Generator) -> dict[str, Any]:
    """The generator for those schedulers that draw noise in a step; the others take no such argument."""
    return {"generator": generator} if "generator" in _parameters(type(scheduler)) else {}


@cache
def _parameters(kind: type[SchedulerLike]) -> frozenset[str]:
    return frozenset(inspect.signature(kind.step).parameters)
