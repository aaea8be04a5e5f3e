"""What is this folder? A diffusers pipeline or one component of one, from its JSON configs and its files' headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invoke_shell.models.families import CHANNELS, DTYPES, LATENTS, advice_for
from invoke_shell.models.files import refusal, shown
from invoke_shell.models.finding import Finding
from invoke_shell.models.hashing import tree_bytes
from invoke_shell.models.header import read_header

__all__ = ["T5_LACKS", "is_component", "look_folder"]

INDEX = "model_index.json"
T5_WORDS = ("tokenizer.json", "spiece.model")
T5_LACKS = "T5's tokenizer is not in it: put the tokenizer.json of t5-v1_1-xxl there (it is in tokenizer_2 of Flux)"

# Beginning of the pipeline's class, the longest first -> base, variant
PIPELINES = (
    ("StableDiffusionXLInpaint", "sdxl", "inpaint"), ("StableDiffusionXLInstructPix2Pix", "sdxl", "edit"),
    ("StableDiffusionXL", "sdxl", ""), ("StableDiffusion3", "sd3", ""), ("StableDiffusionInpaint", "sd1", "inpaint"),
    ("StableDiffusionInstructPix2Pix", "sd1", "edit"), ("StableDiffusionDepth", "sd1", "depth"),
    ("StableDiffusionUpscale", "sd2", "upscale"), ("StableDiffusionPipeline", "sd1", ""),
    ("StableDiffusionImg2Img", "sd1", ""), ("LatentConsistencyModel", "sd1", ""), ("FluxFill", "flux", "fill"),
    ("FluxControl", "flux", "control"), ("FluxPipeline", "flux", ""), ("FluxKontext", "flux", "edit"),
    ("FluxImg2Img", "flux", ""), ("ZImagePipeline", "z-image", ""), ("QwenImagePipeline", "qwen-image", ""),
    ("PixArtAlphaPipeline", "pixart", ""), ("PixArtSigmaPipeline", "pixart", ""),
)  # fmt: skip
# _class_name of a component's config, or its first architecture -> kind, base where the class says it
COMPONENTS = {
    "AutoencoderKL": ("vae", ""), "ControlNetModel": ("controlnet", ""), "SD3ControlNetModel": ("controlnet", "sd3"),
    "FluxControlNetModel": ("controlnet", "flux"), "UNet2DConditionModel": ("checkpoint", ""),
    "SD3Transformer2DModel": ("checkpoint", "sd3"), "FluxTransformer2DModel": ("checkpoint", "flux"),
    "CLIPTextModel": ("text_encoder", ""), "CLIPTextModelWithProjection": ("text_encoder", ""),
    "T5EncoderModel": ("text_encoder", ""),
}  # fmt: skip
NEVER = ("safety_checker", "feature_extractor")  # loaded
WEIGHTLESS = ("scheduler", "tokenizer", "image_processor")
AGAIN = "download it again, whole"
PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample", "flow_prediction": "flow"}


def look_folder(folder: Path) -> Finding:
    """What a folder is. Raises BlockedError when it is no model, or half of one."""
    if (folder / INDEX).is_file():
        return _pipeline(folder)
    if is_component(folder):
        return _component(folder)
    if found := _loose(folder):
        return found
    raise refusal(folder, f"is not a model: {INDEX} is not in it", "models scan looks for models inside it")


def is_component(folder: Path) -> bool:
    """Whether it is one network of diffusers or transformers: a config and weights."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


# -- pipelines -------------------------------------------------------------------------------------------------------


def _pipeline(folder: Path) -> Finding:
    index = _json(folder / INDEX)
    if not index:
        raise refusal(folder, f"has a {INDEX} that cannot be read", AGAIN)
    parts = [p for p, made in index.items() if isinstance(made, list) and made and made[0]]
    for part in parts:
        _check_part(folder, part)
    denoiser = "transformer" if "transformer" in index else "unet"
    base, variant = _family(str(index.get("_class_name", "")), _json(folder / denoiser / "config.json"))
    schedule = _json(folder / "scheduler" / "scheduler_config.json")
    said = str(schedule.get("prediction_type", "epsilon"))
    return Finding(
        kind="checkpoint",
        base=base,
        variant=variant,
        format="folder",
        dtype=_dtype(folder / denoiser),
        bytes=tree_bytes(folder),
        prediction=PREDICTIONS.get(said, "") if denoiser == "unet" else "",
        zero_snr=schedule.get("rescale_betas_zero_snr") is True,
        parts=("denoiser", *(p for p in ("text_encoder", "vae") if p in parts)),
        reason=f"a diffusers folder of a {shown(str(index.get('_class_name')))}",
        advice=_advice(folder, denoiser, base, variant),
    )


def _check_part(folder: Path, part: str) -> None:
    """Refuse a folder that lacks what its index lists, or has a part that broke off."""
    here = folder / part
    if part in NEVER:
        return
    if Path(part).name != part or not here.is_dir():
        raise refusal(folder, f"is half a model: its {shown(part)} is missing", AGAIN)
    if part.startswith(WEIGHTLESS):
        return
    files = sorted(here.glob("*.safetensors"))
    if not files and any(here.glob("*.bin")):
        hint = "look for its safetensors variant, or convert each with: models convert FILE.bin"
        raise refusal(folder, f"has only pickled weights in {part}, which could run any program", hint)
    if not files or (lost := _lost_shards(here)):
        what = f"{shown(lost)} is missing" if files else "there are no weights"
        raise refusal(folder, f"is half a model: {what} in its {part}", AGAIN)
    for file in files:
        read_header(file)  # says it when the file broke off


def _lost_shards(part: Path) -> str:
    """The first file that a list of shards names and that is not there."""
    listed = [str(f) for index in part.glob("*.index.json") for f in _json(index).get("weight_map", {}).values()]
    return next((f for f in sorted(set(listed)) if not (part / Path(f).name).is_file()), "")


def _family(name: str, config: Mapping[str, Any]) -> tuple[str, str]:
    """(base, variant) of a pipeline's class; the width of the text tells SD 2 from SD 1 and a refiner from SDXL."""
    base, variant = next(((b, v) for start, b, v in PIPELINES if name.startswith(start)), ("", ""))
    width = config.get("cross_attention_dim")
    if base == "sd1" and width == 1024:
        base = "sd2"
    if base == "sdxl" and width == 1280:
        variant = "refiner"
    if base == "flux" and not variant:
        variant = {True: "dev", False: "schnell"}.get(config.get("guidance_embeds"), "")  # type: ignore[arg-type]
    if base in ("sd1", "sd2", "sdxl") and not variant:
        variant = CHANNELS.get(config.get("in_channels", 4), "")
    return base or name.removesuffix("Pipeline").lower(), variant


def _advice(folder: Path, denoiser: str, base: str, variant: str) -> dict[str, Any]:
    """Parameter defaults: what `advice.json` says, else the family's, and the size that a U-Net was made for."""
    if advice := _json(folder / "advice.json"):
        return advice
    advice = advice_for(base, variant, "")
    sample = _json(folder / denoiser / "config.json").get("sample_size")
    levels = _json(folder / "vae" / "config.json").get("block_out_channels")
    if denoiser == "unet" and isinstance(sample, int) and isinstance(levels, list):
        side = max(64, sample * 2 ** max(0, len(levels) - 1))
        advice["size"] = f"{side}x{side}"
    return advice


# -- loose parts -----------------------------------------------------------------------------------------------------


def _loose(folder: Path) -> Finding | None:
    """A folder of text encoders, VAEs and T5's tokenizer, as other programs keep them; None for any other."""
    from invoke_shell.models.detectors import identify

    names = ["T5's tokenizer"] if has_t5_words(folder) else []
    dtype = ""
    for file in sorted(folder.glob("*.safetensors")):
        found = identify(read_header(file), file)
        if found.kind not in ("text_encoder", "vae"):
            return None
        dtype = dtype or found.dtype
        names.append(found.variant if found.kind == "text_encoder" else "a VAE")
    if not names:
        return None
    reason = f"it holds {', '.join(sorted(names))}"
    notes = (T5_LACKS,) if "t5xxl" in names and "T5's tokenizer" not in names else ()
    return Finding(
        kind="components", format="folder", dtype=dtype, bytes=tree_bytes(folder), reason=reason, notes=notes
    )


def has_t5_words(folder: Path) -> bool:
    """Whether T5's tokenizer lies in a folder, or in one of its folders."""
    places = (folder, *(p for p in folder.iterdir() if p.is_dir()))
    return any((place / name).is_file() for place in places for name in T5_WORDS)


# -- one component ---------------------------------------------------------------------------------------------------


def _component(folder: Path) -> Finding:
    config = _json(folder / "config.json")
    name = str(config.get("_class_name") or next(iter(_list(config.get("architectures"))), ""))
    kind, base = COMPONENTS.get(name, ("", ""))
    if kind == "vae":
        base = LATENTS.get(config.get("latent_channels", 4), "")
    elif kind in ("controlnet", "checkpoint") and not base:
        base = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl"}.get(config.get("cross_attention_dim", 0), "")
    said = f"its config names a {shown(name)}" if name else "its config names no class"
    return Finding(
        kind=kind, base=base, format="folder", dtype=_dtype(folder), bytes=tree_bytes(folder),
        variant="refiner" if config.get("cross_attention_dim") == 1280 else "",
        parts=("denoiser",) if kind == "checkpoint" else (), reason=said if kind else f"unknown: {said}",
    )  # fmt: skip


def _dtype(folder: Path) -> str:
    """The type of the weights in a folder, from the header of its first file."""
    first = min(folder.glob("*.safetensors"), default=None)
    found = read_header(first).dtype if first else ""
    return DTYPES.get(found, found.lower())


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # probing: a missing or broken config says nothing, the loader will
    return found if isinstance(found, dict) else {}
