"""Files that add to a model: LoRAs, textual inversions, IP-Adapters; and upscalers, which stand beside one."""

from __future__ import annotations

import math
import re
from pathlib import Path

from invoke_shell.models.finding import Finding
from invoke_shell.models.header import Header
from invoke_shell.models.lora import is_lora, lora_base, lora_layout, trigger_words

__all__ = ["find_embedding", "find_ip_adapter", "find_lora", "find_upscaler"]


def find_lora(header: Header, path: Path) -> Finding | None:
    if any(name.startswith("lllite_") for name in header.tensors):
        return Finding(kind="controlnet", variant="lllite", reason="its tensors are called lllite")
    if "lora_controlnet" in header.tensors:
        return Finding(kind="controlnet", variant="control-lora", reason="it has a tensor lora_controlnet")
    if not is_lora(header):
        return None
    base, variant, why = lora_base(header)
    layout = lora_layout(header)
    reason = f"pairs of small matrices{f' named as {layout} does' if layout else ''}" + (f"; {why}" if why else "")
    return Finding(
        kind="lora", base=base, variant=" ".join(v for v in (layout, variant) if v), reason=reason,
        words=trigger_words(header.metadata),
    )  # fmt: skip


MOST_VECTORS = 256  # of a textual inversion
EMBEDDINGS = {768: "sd1", 1024: "sd2"}  # width of a token -> base


def find_embedding(header: Header, path: Path) -> Finding | None:
    if len(header.tensors) > 3:
        return None
    shapes = {name: t[1] for name, t in header.tensors.items()}
    if {"clip_l", "clip_g"} <= shapes.keys():
        return Finding(kind="embedding", base="sdxl", reason="vectors for two text encoders")
    if len(shapes) != 1:
        return None
    ((name, shape),) = shapes.items()
    vectors = shape[0] if len(shape) == 2 else 1
    if len(shape) not in (1, 2) or vectors > MOST_VECTORS:
        return None
    if name != "emb_params" and shape[-1] not in EMBEDDINGS:
        return None  # any small tensor might be called anything
    word = () if name == "emb_params" else (name,)
    reason = f"{vectors} vector{'s' if vectors > 1 else ''} of width {shape[-1]} and nothing else"
    return Finding(kind="embedding", base=EMBEDDINGS.get(shape[-1], ""), reason=reason, words=word)


def find_ip_adapter(header: Header, path: Path) -> Finding | None:
    keys = [(n, t[1]) for n, t in header.tensors.items() if n.endswith("to_k_ip.weight") and len(t[1]) == 2]
    if keys:
        width = max(shape[1] for _, shape in keys)
        base = {768: "sd1", 2048: "sdxl"}.get(width, "")
        return Finding(kind="ip_adapter", base=base, reason=f"projections of pictures beside text of width {width}")
    if any("ip_adapter" in name for name in header.tensors):
        flux = any(name.startswith("double_blocks.") for name in header.tensors)
        return Finding(kind="ip_adapter", base="flux" if flux else "", reason="its tensors are called ip_adapter")
    return None


def find_upscaler(header: Header, path: Path) -> Finding | None:
    if "body.0.rdb1.conv1.weight" in header.tensors and "conv_first.weight" in header.tensors:
        scale = {3: 4, 12: 2, 48: 1}.get(header.side("conv_first.weight", 1))
        variant = f"esrgan x{scale}" if scale else "esrgan"
        return Finding(kind="upscaler", variant=variant, reason="dense blocks named as ESRGAN does")
    if "model.1.sub.0.RDB1.conv1.0.weight" in header.tensors:
        return Finding(kind="upscaler", variant="esrgan", reason="dense blocks named as the first ESRGAN did")
    if len(header.shape("body.0.weight")) == 4 and len(header.shape("body.1.weight")) == 1:
        last = max((n for n in header.tensors if re.fullmatch(r"body\.\d+\.weight", n)), key=lambda n: int(n[5:-7]))
        scale = math.isqrt(header.side(last, 0) // 3)
        return Finding(kind="upscaler", variant=f"compact x{scale}", reason="convolutions and slopes in a row")
    return None
