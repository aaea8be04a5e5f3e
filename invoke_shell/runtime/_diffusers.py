"""Faces diffusers' and transformers' untyped calls, as _lora.py does for LoRAs; the others see these protocols.

Importing this module imports neither library; the first call of a loader does, and takes about four seconds of CPU.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from invoke_shell.collector import collector_paused

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = [
    "Autoencoder",
    "Component",
    "Denoiser",
    "PartKind",
    "SchedulerLike",
    "TextEncoder",
    "Tokenizer",
    "encode_latents",
    "encode_prompt",
    "import_libraries",
    "load_named",
    "load_part",
    "load_single_part",
    "load_single_t5",
    "load_single_text",
    "load_tokenizer",
    "load_transformer",
    "make_pipeline",
    "make_scheduler",
    "make_tokenizer",
    "read_weights",
    "replaced_tokens",
    "run_pipeline",
    "step_arguments",
    "text_states",
]

T = TypeVar("T")
# What the library says of a tensor that does not fit: its name, the shape wanted, the shape that is there.
OTHER_SHAPE = re.compile(r"(\S+) expected shape \D*\[([\d, ]*)\]\)?, but got \D*\[([\d, ]*)\]")


class Component(Protocol):
    """What all networks have in common: a torch module, put as a protocol so that their calls can be typed."""

    config: Any

    def eval(self: T) -> T: ...

    def to(self: T, device: torch.device, dtype: torch.dtype | None = None) -> T: ...

    def parameters(self) -> Iterator[Tensor]: ...

    def buffers(self) -> Iterator[Tensor]: ...


class Denoiser(Component, Protocol):
    """A U-Net. Latents (n, c, h, w), a timestep, what a Conditioning says -> ((n, c, h, w),)."""

    def __call__(self, sample: Tensor, timestep: Tensor, *, return_dict: bool, **told: Any) -> tuple[Tensor]: ...


class Autoencoder(Component, Protocol):
    """Pictures in -1 to 1 (n, 3, h, w) <-> latents (n, c, h/8, w/8), not scaled."""

    def decode(self, latents: Tensor, *, return_dict: bool) -> tuple[Tensor]: ...

    def enable_slicing(self) -> None: ...

    def enable_tiling(self) -> None: ...

    def disable_slicing(self) -> None: ...

    def disable_tiling(self) -> None: ...


class TextEncoder(Component, Protocol):
    """A CLIP text encoder; text_states calls it."""

    def final_layer_norm(self, states: Tensor) -> Tensor: ...

    def get_input_embeddings(self) -> torch.nn.Module: ...


class Tokenizer(Protocol):
    """Text -> token numbers without the marks at the ends."""

    model_max_length: int
    bos_token_id: int
    eos_token_id: int
    pad_token_id: int

    def __call__(self, text: str, *, add_special_tokens: bool, verbose: bool) -> Mapping[str, Sequence[int]]: ...

    def convert_ids_to_tokens(self, ids: int) -> str: ...


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
    ) -> tuple[Tensor, ...]: ...


class _Libraries(NamedTuple):
    unet: Any
    vae: Any
    text: Any
    text_projected: Any
    tokenizer: Any


@cache
def import_libraries() -> _Libraries:
    """The classes we load with, imported from where they live and not through the pipelines; quiet from here on.

    Tried besides: packages replaced by bare ones so that diffusers' `__init__`s do not import every model, 0.1 s less
    and a trap for whoever imports diffusers later; not worth it.
    """
    with collector_paused(for_good=True):
        import diffusers
        import transformers
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    return _Libraries(UNet2DConditionModel, AutoencoderKL, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer)


PartKind = Literal["unet", "vae", "text", "text_projected"]


def load_part(kind: PartKind, folder: str, name: str, dtype: torch.dtype, variant: str | None) -> Any:
    """A network of a diffusers folder; name: its subfolder. Raises whatever the library raises."""
    made_by = getattr(import_libraries(), kind)
    return made_by.from_pretrained(
        folder, subfolder=name, dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True
    )


def read_weights(file: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file, mapped and not read."""
    from diffusers.loaders.single_file_utils import load_single_file_checkpoint

    weights: dict[str, Tensor] = load_single_file_checkpoint(file, local_files_only=True)
    return weights


def load_single_part(
    kind: PartKind, weights: str | dict[str, Tensor], configs: str, name: str, dtype: torch.dtype, **changes: Any
) -> Any:
    """A U-Net or a VAE from a single file or its tensors, in whichever layout.

    configs: a folder with the part's config.json under `name`; without one the library would ask the network.
    changes: values of the config that are others for this file.
    """
    made_by = getattr(import_libraries(), kind)
    given = weights if isinstance(weights, str) else dict(weights)
    with _all_there(name):
        return made_by.from_single_file(
            given, config=configs, subfolder=name, dtype=dtype, local_files_only=True, **changes
        )


def load_single_text(kind: PartKind, weights: dict[str, Tensor], configs: str, name: str, dtype: torch.dtype) -> Any:
    """A text encoder from the tensors of a single file; of several the one as wide as its config says."""
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm

    made_by = getattr(import_libraries(), kind)
    with _all_there(name):
        part = create_diffusers_clip_model_from_ldm(
            made_by, dict(weights), subfolder=name, config=configs, torch_dtype=dtype, local_files_only=True
        )
        return part.to("cpu")  # fails for tensors that are not there, as from_single_file does by itself


def load_single_t5(weights: dict[str, Tensor], configs: str, name: str, dtype: torch.dtype) -> Any:
    """T5's encoder from tensors named as in a whole file of Stable Diffusion 3."""
    from diffusers.loaders.single_file_utils import create_diffusers_t5_model_from_checkpoint
    from transformers import T5EncoderModel

    with _all_there(name):
        part: Any = create_diffusers_t5_model_from_checkpoint(
            T5EncoderModel, dict(weights), subfolder=name, config=configs, torch_dtype=dtype, local_files_only=True
        )
        part.encoder.embed_tokens = part.shared  # one and the same, which a file holds once
        return part.to("cpu")


def load_transformer(
    kind: str, given: str | dict[str, Tensor], configs: str, dtype: torch.dtype, values: dict[str, Any], packed: bool
) -> Any:
    """A transformer from a file or its tensors. values: of its config. packed: GGUF, computed in dtype."""
    import_libraries()
    import diffusers

    own = {"quantization_config": diffusers.GGUFQuantizationConfig(compute_dtype=dtype)} if packed else {}
    weights = given if isinstance(given, str) else dict(given)
    with _all_there("transformer"):
        return getattr(diffusers, kind).from_single_file(
            weights, config=configs, subfolder="transformer", dtype=dtype, local_files_only=True, **values, **own
        )


@contextmanager
def _all_there(name: str) -> Iterator[None]:
    """Raise ValueError in our words for tensors that a file lacks, and for such of other shapes than are wanted.

    The library makes those that are missing without memory, and speaks of that.
    """
    try:
        yield
    except NotImplementedError as error:
        raise ValueError(f"tensors of its {name} are missing") from error
    except ValueError as error:
        if (found := OTHER_SHAPE.search(str(error))) is None:
            raise
        wanted, there = (f"({shape})" for shape in found.group(2, 3))
        raise ValueError(f"its {found[1]} is {there} where {wanted} is wanted, so it is of another model") from error


def make_tokenizer(words: Mapping[str, int], merges: Sequence[tuple[str, str]], pad: str) -> Tokenizer:
    """A CLIP tokenizer of a vocabulary."""
    made_by = import_libraries().tokenizer
    tokenizer: Tokenizer = made_by(vocab=dict(words), merges=list(merges), pad_token=pad, model_max_length=77)
    return tokenizer


def load_tokenizer(folder: str, name: str) -> Tokenizer:
    """A CLIP tokenizer of a diffusers folder; name: its subfolder."""
    tokenizer: Tokenizer = import_libraries().tokenizer.from_pretrained(folder, subfolder=name, local_files_only=True)
    return tokenizer


def text_states(network: TextEncoder, ids: Tensor, mask: Tensor | None, layer: int | None) -> tuple[Tensor, Tensor]:
    """States (n, 77, width) of a layer, and the network's own first result; layer None: that result is the states.

    layer: -1 is the last before its normalisation, -2 the one below.
    """
    called: Any = network
    result = called(ids, attention_mask=mask, output_hidden_states=layer is not None)
    return (result[0] if layer is None else result.hidden_states[layer]), result[0]


@contextmanager
def replaced_tokens(network: TextEncoder, rows: Mapping[int, Tensor]) -> Iterator[None]:
    """While it lasts, the tokens at these places of a (1, 77) input are read as the rows (width,) given."""

    def replace(_module: Any, _inputs: Any, embedded: Tensor) -> Tensor:
        for place, row in rows.items():
            embedded[:, place] = row
        return embedded

    hook = network.get_input_embeddings().register_forward_hook(replace) if rows else None
    try:
        yield
    finally:
        if hook is not None:
            hook.remove()


def encode_latents(vae: Autoencoder, picture: Tensor) -> Tensor:
    """Latents of a picture in -1 to 1, not scaled: the mode of the posterior, so that no noise is drawn for it."""
    encoder: Any = vae
    latents: Tensor = encoder.encode(picture).latent_dist.mode()
    return latents


def load_named(library: str, kind: str, folder: str, name: str, **values: Any) -> Any:
    """A part of a diffusers folder by its class in diffusers or transformers. values: dtype and variant of weights."""
    import_libraries()
    made_by = getattr(importlib.import_module(library), kind)
    safely = {"use_safetensors": True} if values else {}
    return made_by.from_pretrained(folder, subfolder=name, local_files_only=True, **values, **safely)


def make_pipeline(kind: str, parts: Mapping[str, Any]) -> Any:
    """A pipeline of diffusers around parts; takes a fifth of a millisecond. It draws no progress bar."""
    import_libraries()
    import diffusers

    made_by = getattr(diffusers, kind)
    known = inspect.signature(made_by.__init__).parameters
    pipe = made_by(**{name: part for name, part in parts.items() if name in known})
    pipe.set_progress_bar_config(disable=True)
    return pipe


def encode_prompt(
    pipe: Any, prompt: str, negative: str, guided: bool, skip: int, negated: bool, fixed: Mapping[str, Any]
) -> Sequence[Tensor | None]:
    """What a pipeline reads of a prompt. negated: it reads a negative one too; skip: layers of CLIP left out.

    fixed: what its call is told always; else what its call would say, whose defaults are not always the reading's own.
    """
    called = {n: p.default for n, p in inspect.signature(pipe.__call__).parameters.items() if p.default is not p.empty}
    called = {name: value for name, value in called.items() if value is not None}
    given: dict[str, Any] = {"prompt_2": None, "prompt_3": None, "clip_skip": skip or None, **called, **fixed}
    if negated:
        given |= {"negative_prompt": negative, "do_classifier_free_guidance": guided}
    known = inspect.signature(pipe.encode_prompt).parameters.keys() & given.keys() - {"prompt"}
    coded: Sequence[Tensor | None] = pipe.encode_prompt(prompt, **{name: given[name] for name in known})
    return coded


def run_pipeline(pipe: Any, each_step: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]], **values: Any) -> Any:
    """The pictures of a pipeline. each_step: gets pipeline, step, timestep and its latents, and may change those.

    Some older pipelines tell of a step in another way, and let nothing be changed.
    """
    if "callback_on_step_end" in inspect.signature(pipe.__call__).parameters:
        return pipe(**values, callback_on_step_end=each_step).images

    def told(step: int, timestep: Any, latents: Tensor) -> None:
        calls = (step + 1) * getattr(pipe.scheduler, "order", 1)
        each_step(pipe, calls - 1, timestep, {"latents": latents})

    return pipe(**values, callback=told).images


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


def expected(scheduler: SchedulerLike, stepped: tuple[Tensor, ...]) -> Tensor:
    """What a step takes the finished latents to be, where the scheduler says so; else its latents, noise and all."""
    if len(stepped) > 1:
        return stepped[1]
    remembered = getattr(scheduler, "model_outputs", None)  # of solvers of several steps
    speaks_of_pictures = scheduler.config.get("predict_x0") or "dpmsolver++" in str(
        scheduler.config.get("algorithm_type")
    )
    return remembered[-1] if remembered and speaks_of_pictures else stepped[0]


@cache
def _parameters(kind: type[SchedulerLike]) -> frozenset[str]:
    return frozenset(inspect.signature(kind.step).parameters)
