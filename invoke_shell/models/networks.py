"""Whole networks by the names and widths of their tensors: U-Nets, transformers, ControlNets, VAEs, text encoders."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from invoke_shell.models.families import CHANNELS, LATENTS
from invoke_shell.models.files import reading, shown
from invoke_shell.models.finding import Finding
from invoke_shell.models.header import Header, read_numbers
from invoke_shell.models.layouts import ENCODERS, PARTS, PREFIXES, TRANSFORMERS, UNETS, WIDTHS, UNet

__all__ = ["find_controlnet", "find_encoder", "find_transformer", "find_unet", "find_vae"]

# Spread of one bias of Stable Diffusion 2 above which it predicts v (found by ComfyUI's authors; 320 numbers).
V_SPREAD = 0.09
TEXT_KEY = ".transformer_blocks.0.attn2.to_k.weight"
LONGEST = 100_000  # bytes of a config that are read


def find_controlnet(header: Header, path: Path) -> Finding | None:
    for prefix, net in (("control_model.", UNETS[0]), ("", UNETS[0]), ("", UNETS[1])):
        hint = "input_hint_block.0.weight" if net is UNETS[0] else "controlnet_cond_embedding.conv_in.weight"
        if prefix + hint in header.tensors:
            width, label = _widths(header, prefix, net)
            base = WIDTHS.get((width, label), ("", ""))[0] or ("sdxl" if label == 2816 else "")
            return Finding(kind="controlnet", base=base, reason=f"half a U-Net that reads a picture{_text(width)}")
    if "controlnet_blocks.0.weight" in header.tensors:
        flux = "controlnet_x_embedder.weight" in header.tensors
        base = "flux" if flux else "sd3" if "pos_embed_input.proj.weight" in header.tensors else ""
        return Finding(kind="controlnet", base=base, reason="a transformer with controlnet_blocks")
    return None


def _widths(header: Header, prefix: str, net: UNet) -> tuple[int, int]:
    """Width of the text and of the labels that a U-Net reads; 0 for what is not there."""
    return header.side(prefix + net.text, -1), header.side(prefix + net.label, -1)


def _text(width: int) -> str:
    return f" and text of width {width}" if width else ""


def find_unet(header: Header, path: Path) -> Finding | None:
    for prefix in PREFIXES:
        for net in UNETS:
            image = header.shape(prefix + net.image)
            if len(image) == 4 and (text := _reads_text(header, prefix, net)):
                return _unet_found(header, path, prefix, replace(net, text=text), image[1])
    return None


def _reads_text(header: Header, prefix: str, net: UNet) -> str:
    """A projection of the text: where every known family has one, else the first of a network of another build."""
    if prefix + net.text in header.tensors:
        return net.text
    found = (n for n in header.tensors if n.startswith(prefix) and n.endswith(TEXT_KEY))
    return min(found, default="").removeprefix(prefix)


def _unet_found(header: Header, path: Path, prefix: str, net: UNet, channels: int) -> Finding:
    width, label = _widths(header, prefix, net)
    base, variant = WIDTHS.get((width, label), ("", ""))
    pruned = base == "sdxl" and not variant and prefix + net.deep not in header.tensors
    kinds = [variant, CHANNELS.get(channels, f"{channels} channels"), "pruned" if pruned else ""]
    labels = f" and labels of width {label}" if label else ""
    reason = f"{'' if base else 'unknown family: '}a U-Net that reads {channels} channels{_text(width)}{labels}"
    found = Finding(
        kind="checkpoint",
        base=base,
        variant=" ".join(k for k in kinds if k),
        parts=_parts(header),
        zero_snr="ztsnr" in header.tensors,
        reason=reason,
    )
    prediction, why = _prediction(header, path, found, prefix + net.spread)
    return replace(found, prediction=prediction, reason=f"{reason}; {why}")


def _parts(header: Header) -> tuple[str, ...]:
    firsts = {name.partition(".")[0] for name in header.tensors}
    return ("denoiser", *dict.fromkeys(part for first, part in PARTS.items() if first in firsts))


def _prediction(header: Header, path: Path, found: Finding, spread: str) -> tuple[str, str]:
    """What the network predicts, and why we think so."""
    for name, prediction in (("edm_mean", "edm"), ("edm_vpred.sigma_max", "edm_v"), ("v_pred", "v")):
        if name in header.tensors:
            return prediction, f"marked {name}"
    told = header.metadata.get("modelspec.prediction_type", "").lower()
    if told in ("epsilon", "v"):
        return told, f"its modelspec says it predicts {told}"
    if found.base == "sd2" and not found.variant:
        return _prediction_of_sd2(header, path, spread)
    return "epsilon", "not marked as predicting v"


def _prediction_of_sd2(header: Header, path: Path, spread: str) -> tuple[str, str]:
    """Two kinds of Stable Diffusion 2 have equal headers: a config beside the file tells, else the spread of a bias."""
    beside = path.with_suffix(".yaml")
    if beside.is_file():
        with reading(beside) as file:
            says = re.search(rb"parameterization:\s*[\"']?v\b", file.read(LONGEST))
        return ("v" if says else "epsilon"), f"{shown(beside.name)} beside it says so"
    numbers = read_numbers(path, header.tensors[spread]) if spread in header.tensors else ()
    if len(numbers) < 2:
        return "", "it does not say whether it predicts epsilon or v"
    found = _spread(numbers)
    wide = found > V_SPREAD
    return ("v" if wide else "epsilon"), f"a bias spreads by {found:.3f}, {'over' if wide else 'under'} {V_SPREAD}"


def _spread(numbers: Sequence[float]) -> float:
    """The standard deviation; the module for it takes 3 ms to import."""
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in numbers) / len(numbers))


def find_transformer(header: Header, path: Path) -> Finding | None:
    for prefix in PREFIXES:
        for mark in TRANSFORMERS:
            names, lacks = ([prefix + n for n in some] for some in (mark.names, mark.lacks))
            if all(n in header.tensors for n in names) and not any(n in header.tensors for n in lacks):
                reason = f"a transformer with {shown(mark.names[0])}"
                variant = VARIANTS.get(mark.base, _plain)(header, prefix)
                return Finding(kind="checkpoint", base=mark.base, variant=variant, parts=_parts(header), reason=reason)
    return None


def _plain(header: Header, prefix: str) -> str:
    return ""


def _flux(header: Header, prefix: str) -> str:
    image = header.side(prefix + "img_in.weight", -1) or header.side(prefix + "x_embedder.weight", -1)
    guided = any(prefix + n in header.tensors for n in FLUX_GUIDANCE)
    return {384: "fill", 128: "control"}.get(image, "dev" if guided else "schnell")


FLUX_GUIDANCE = ("guidance_in.in_layer.weight", "time_text_embed.guidance_embedder.linear_1.weight")


def _sd3(header: Header, prefix: str) -> str:
    for variant, names in SD3_VARIANTS.items():
        if any(prefix + name in header.tensors for name in names):
            return variant
    return "medium"


SD3_VARIANTS = {
    "3.5-large": ("joint_blocks.37.x_block.mlp.fc1.weight", "transformer_blocks.37.ff.net.2.weight"),
    "3.5-medium": ("joint_blocks.0.x_block.attn2.qkv.weight", "transformer_blocks.0.attn2.to_k.weight"),
}
VARIANTS: Mapping[str, Callable[[Header, str], str]] = {"flux": _flux, "sd3": _sd3}


def find_vae(header: Header, path: Path) -> Finding | None:
    if any(name.startswith(PREFIXES[0]) for name in header.tensors):
        return None  # of something that draws, and that is not known
    for prefix in ("", "first_stage_model.", "vae."):
        latents = header.shape(prefix + "decoder.conv_in.weight")
        if len(latents) == 4 and prefix + "encoder.conv_in.weight" in header.tensors:
            channels = latents[1]
            base = LATENTS.get(channels, "")
            return Finding(kind="vae", base=base, reason=f"an encoder and a decoder around {channels} channels")
    return None


def find_encoder(header: Header, path: Path) -> Finding | None:
    for (name, width), variant in ENCODERS.items():
        if header.side(name, -1) == width:
            return Finding(kind="text_encoder", variant=variant, reason=f"a text encoder of width {width}")
    return None
