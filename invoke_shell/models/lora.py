"""What a LoRA is for: the family it fits, from the widths of its matrices, and its trigger words, from its header."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from invoke_shell.models.header import Header
from invoke_shell.models.layouts import LORA_ENDINGS

__all__ = ["is_lora", "lora_base", "lora_layout", "trigger_words"]

MOST = 8  # trigger words that are told
COMMON = 0.8  # of the pictures of a folder that have a tag, for it to be a trigger

# Part of a name, width of what the matrix reads, family. The first that is found counts: the later ones are weaker.
SIGNS = tuple(
    (re.compile(pattern), width, base, variant)
    for pattern, width, base, variant in (
        (r"single_(transformer_)?blocks[._]\d+", 3072, "flux", ""),
        (r"double_blocks[._]\d+", 3072, "flux", ""),
        (r"joint_blocks[._]\d+", 1536, "sd3", ""),
        (r"joint_blocks[._]\d+", 2432, "sd3", ""),
        (r"transformer_blocks[._]\d+[._]attn[._]add_k_proj", 1536, "sd3", ""),
        (r"transformer_blocks[._]\d+[._]attn[._]add_k_proj", 2432, "sd3", ""),
        (r"attn2[._](processor[._])?to_k", 2048, "sdxl", ""),
        (r"attn2[._](processor[._])?to_k", 1280, "sdxl", "refiner"),
        (r"attn2[._](processor[._])?to_k", 1024, "sd2", ""),
        (r"attn2[._](processor[._])?to_k", 768, "sd1", ""),
        (r"(lora_te2|text_encoder_2)[._]", 1280, "sdxl", ""),
        (r"(lora_te|text_encoder)[._]text_model", 1024, "sd2", ""),
        (r"(lora_te|text_encoder)[._]text_model", 768, "sd1", ""),
    )
)
LAYOUTS = (
    ("lora_unet_", "kohya"), ("lora_te", "kohya"), ("lora_transformer_", "kohya"), ("base_model.", "peft"),
    ("unet.", "peft"), ("text_encoder", "peft"), ("transformer.", "peft"), ("diffusion_model.", "peft"),
)  # fmt: skip


def is_lora(header: Header) -> bool:
    """Whether the file holds pairs of small matrices that are added to a model's."""
    return any(name.endswith(LORA_ENDINGS) for name in header.tensors)


def lora_layout(header: Header) -> str:
    """How its tensors are named: kohya or peft; "" for another way."""
    first = next(name for name in header.tensors if name.endswith(LORA_ENDINGS))
    bare = "peft" if ".lora_A." in first else ""  # the layers alone, as peft writes those of one network
    return next((layout for start, layout in LAYOUTS if first.startswith(start)), bare)


def lora_base(header: Header) -> tuple[str, str, str]:
    """(base, variant, why) from its matrices; ("", "", "") when none of them tells."""
    read = list(_read(header))
    for pattern, width, base, variant in SIGNS:
        if any(found == width and pattern.search(name) for name, found in read):
            return base, variant, f"its matrices read a width of {width}, as those of {base} {variant}".rstrip()
    return "", "", ""


def _read(header: Header) -> Iterator[tuple[str, int]]:
    """Names and the width that the matrix reads: the second side of the one that goes down."""
    for name, (_, shape, _, _) in header.tensors.items():
        if len(shape) > 1 and name.endswith(LORA_ENDINGS):
            yield name, shape[1]


def trigger_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The words that call it up: its modelspec's, else tags that most of the training pictures had."""
    told = metadata.get("modelspec.trigger_phrase", "")
    words = [word.strip() for word in told.split(",")] if told.strip() else list(_common_tags(metadata))
    return tuple(dict.fromkeys(word for word in words if word))[:MOST]


def _common_tags(metadata: Mapping[str, str]) -> Iterator[str]:
    """Tags of kohya's ss_tag_frequency, {folder: {tag: pictures}}, the most frequent first."""
    try:
        folders = json.loads(metadata.get("ss_tag_frequency", "{}"))
        counted = [(tag, n) for tags in folders.values() for tag, n in _numbers(tags, COMMON)]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return  # free text of some trainer: it says nothing
    yield from (tag.strip() for tag, _ in sorted(counted, key=lambda pair: -pair[1]))


def _numbers(tags: Mapping[str, int], share: float) -> Iterator[tuple[str, int]]:
    most = max(tags.values(), default=0)
    yield from ((tag, n) for tag, n in tags.items() if n >= share * most)
