"""Faces diffusers' and PEFT's untyped calls for LoRAs; adapters.py is what uses them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell.runtime._diffusers import Component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "adapters_of",
    "add_lora",
    "count_layers",
    "read_lora",
    "remove_adapters",
    "tensor_names",
    "unet_matrices",
    "weigh_adapters",
    "weight_shapes",
]


def tensor_names(file: str) -> list[str]:
    """Names in a safetensors file."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return list(opened.keys())


LOADERS = {
    "sdxl": "StableDiffusionXLLoraLoaderMixin",
    "sd3": "SD3LoraLoaderMixin",
    "flux": "FluxLoraLoaderMixin",
}
TRANSFORMERS = ("sd3", "flux")  # families whose LoRAs are for a transformer


def _lora_loader(family: str) -> Any:
    from diffusers.loaders import lora_pipeline

    return getattr(lora_pipeline, LOADERS.get(family, "StableDiffusionLoraLoaderMixin"))


def read_lora(family: str, file: str, unet: Component) -> tuple[dict[str, Tensor], Any, Any]:
    """A LoRA in diffusers' names, its alphas and its own settings, from kohya's or PEFT's layout."""
    path = Path(file)
    given: dict[str, Any] = {"weight_name": path.name, "use_safetensors": True, "local_files_only": True}
    given["return_lora_metadata"] = True
    loader = _lora_loader(family)
    if family == "sd3":
        weights, metadata = loader.lora_state_dict(str(path.parent), **given)
        return weights, None, metadata
    own = {"return_alphas": True} if family == "flux" else {"unet_config": unet.config}
    weights, alphas, metadata = loader.lora_state_dict(str(path.parent), **given, **own)
    return weights, alphas, metadata


def add_lora(
    family: str, parts: Sequence[Component], weights: dict[str, Tensor], alphas: Any, metadata: Any, name: str
) -> None:
    """Put a LoRA beside the weights of a U-Net and its text encoders, in this order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a second adapter joins a first, which is what was asked
        _add(family, parts, weights, {"network_alphas": alphas, "metadata": metadata, "adapter_name": name})
    for part in parts:
        part.eval()


def _add(family: str, parts: Sequence[Component], weights: dict[str, Tensor], given: dict[str, Any]) -> None:
    loader, (unet, *texts) = _lora_loader(family), parts
    if family in TRANSFORMERS:
        own = {k: v for k, v in given.items() if family != "sd3" or k != "network_alphas"}
        loader.load_lora_into_transformer(weights, transformer=unet, **own)
    else:
        loader.load_lora_into_unet(weights, unet=unet, **given)
    for place, text in enumerate(texts, 1):
        prefix = "text_encoder" if place == 1 else f"text_encoder_{place}"
        loader.load_lora_into_text_encoder(weights, text_encoder=text, prefix=prefix, **given)


def adapters_of(part: Component) -> list[str]:
    """Names of the adapters in a network."""
    return list(getattr(part, "peft_config", None) or {})


def weigh_adapters(part: Component, weights: Mapping[str, float]) -> None:
    """Set the strengths of those of the adapters that a network has, in their order."""
    from diffusers.utils.peft_utils import set_weights_and_activate_adapters

    names = [name for name in weights if name in adapters_of(part)]
    if names:
        set_weights_and_activate_adapters(part, names, [weights[name] for name in names])


def remove_adapters(part: Component) -> None:
    """Give a network its own layers back, the very same objects."""
    from diffusers.utils.peft_utils import recurse_remove_peft_layers

    untyped: Any = part
    if adapters_of(part):
        recurse_remove_peft_layers(untyped)
        del untyped.peft_config
        untyped._hf_peft_config_loaded = False


def weight_shapes(part: Any) -> dict[str, tuple[int, ...]]:
    """Layers that have weights, by name; a layer with adapters beside it under its own name."""
    named = {name.replace(".base_layer", ""): layer for name, layer in part.named_modules() if hasattr(layer, "weight")}
    return {name: tuple(layer.weight.shape) for name, layer in named.items() if layer.weight is not None}


def unet_matrices(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shapes of a LoRA's matrices for the denoiser, as `... to_q.lora_A`: A narrows to the rank, B widens again."""
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    for_transformer = {n.removeprefix("transformer."): w for n, w in weights.items() if n.startswith("transformer.")}
    if for_transformer:
        return {name.removesuffix(".weight"): tuple(weight.shape) for name, weight in for_transformer.items()}
    own = {name.removeprefix("unet."): weight for name, weight in weights.items() if name.startswith("unet.")}
    renamed = convert_unet_state_dict_to_peft(own).items()
    return {name.removesuffix(".weight"): tuple(weight.shape) for name, weight in renamed}


def count_layers(part: Any, adapter: str) -> int:
    """Layers of a network that an adapter stands beside."""
    return sum(adapter in getattr(layer, "lora_A", ()) for layer in part.modules())
