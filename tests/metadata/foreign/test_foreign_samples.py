"""Genuine pictures of other programs: what each file has, read from it.

INVOKE_SHELL_SAMPLES names the folder. A table of our own reading of each file, by its texts; `~` marks the nearest
scheduler where none is equal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from foreign_material import REGISTRY, core

from invoke_shell.metadata.foreign.line import to_line
from invoke_shell.metadata.read import read_picture
from invoke_shell.pipeline.bind import understand

SAMPLES = os.environ.get("INVOKE_SHELL_SAMPLES", "")
pytestmark = pytest.mark.skipif(not SAMPLES, reason="INVOKE_SHELL_SAMPLES names no folder of genuine pictures")

DUCK = ("photo of a duck", "monochrome", 235284042, 15, 5.0, "unipc", (512, 400), "realistic_realisticVisionV20_v20")
WOMAN = "professional full body photo of young woman, hyper long brunette hair"
GOLDFISH = ("a smiling goldfish", "", 6952411511246973023, 30, 4.0, "dpmpp_2m_sde_karras", (768, 1280),
            "juggernautXL_v8Rundiffusion")  # fmt: skip
SD15, SD14 = "stable-diffusion-1.5", "stable-diffusion-1.4"
SQUARE = (512, 512)
NONE = (None, None, None, None, None, None, None, None)

# Prompts by how they begin: prompt, negative, seed, steps, guidance, scheduler, size, model.
TABLE: dict[str, tuple[Any, ...]] = {
    "a1111/automatic1111_cropped.jpg": DUCK,
    "a1111/automatic1111_cropped.png": DUCK,
    "a1111/automatic1111_stealth.png":
        ("a circle", "a square", 2015833630, 20, 7.0, "euler", (64, 64), "realisticVisionV51_v51VAE"),
    "a1111/thumbnail.png": ("hands, soft volumetric light, 8 k", "", 2302659950, 20, 12.0, "euler_a", SQUARE, ""),
    "bad/text_after_idat.png": DUCK,
    "comfyui/img2img_cropped.png":
        ("photograph of victorian woman with wings, sky clouds, meadow grass", "watermark, text", 280823642470253,
         20, 8.0, "dpmpp_2m", None, "v1-5-pruned-emaonly"),
    "comfyui/workflow_night_evening_day_morning.png":
        ("(best quality:1.1) (night:1.3) (darkness:1.1) sky", "(hands:1.1), text, error", 335608130539327, 13, 8.5,
         "dpmpp_sde", (704, 1280), "Anything-V3.0"),
    "fooocus/fooocus1_cropped.png": GOLDFISH,
    "invokeai1/000019.curly.hair.masked.png": NONE,
    "invokeai1/000030.step-0.png": NONE,
    "invokeai2/000004.42.png": ("banana sushi", "", 42, 50, 7.5, "lms", SQUARE, ""),
    "invokeai2/000019.1592514025.png": ("fire", "", 1592514025, 10, 7.5, "euler", (384, 384), SD14),
    "invokeai2/000022.47.png": ('("dog", "cat").blend(0.3333, 0.6667)', "", 47, 50, 7.5, "lms", SQUARE, ""),
    "invokeai2/000035.1592514025.png": ("fire", "", 1592514025, 50, 7.5, "ddim", (384, 384), SD14),
    "invokeai2/image3.png": ("Japanese gardener hoi4-leaders", "", 2218943012, 30, 7.5, "euler_a", SQUARE, ""),
    "invokeai2/step1.png": ("A fantastical translucent poney", "", 1654590180, 20, 7.5, "euler_a", (512, 768), SD14),
    "invokeai2/still-life-inpainted.png": ("baseball", "", 752632541, 50, 7.5, "lms", SQUARE, SD14),
    "invokeai2_written/000009.777.png": ("a cat", "", 777, 10, None, None, (64, 64), None),
    "invokeai2_written/000013.42.png":
        ("a fantastic alien landscape", "blurry, ugly", 42, 60, 7.5, "euler", (576, 512), SD15),
    "invokeai2_written/000014.7.png":
        ('("blue sphere", "red cube").blend(0.25, 0.75)', "", 7, 20, 7.5, "lms", SQUARE, SD15),
    "invokeai2_written/000015.1111.png": ("a cat", "", 2222, 50, 7.5, "lms", SQUARE, SD15),
    "invokeai2_written/000016.2222.png": ("a cat", "", 2222, 50, 7.5, "lms", SQUARE, SD15),
    "invokeai2_written/000019.1.png": ("a cat", "", 1, 50, 7.5, "lms", SQUARE, SD15),
    "invokeai2_written/000020.1.png": ("it's a cat", "", 1, 50, 7.5, "lms", SQUARE, SD15),
    "invokeai2_written/000021.1.png": ('a cat, "hi"', "", 1, 5, 7.5, "lms", SQUARE, SD15),
    "invokeai2_written/000022.1.png": ("a cat -X", "", 1, 50, 7.5, "lms", SQUARE, SD15),
    "invokeai2_written/000023.1.png": ("banana", "", 1, 3, 7.5, "lms", SQUARE, SD15),
    "invokeai2_written/000024.1.png": ("", "", 1, 3, 7.5, "lms", SQUARE, SD15),
    "invokeai3/blue-sphere-0.25-red-cube-0.75-hybrid.png":
        ('("blue sphere", "red cube").blend(0.25, 0.75)', "", 754100013, 15, 7.5, "euler", SQUARE,
         "stable-diffusion-v1-5"),
    "invokeai_cropped/invokeai_dream1.png":
        (WOMAN, "rendering, glowing eyes, skinny", 2980747362, 50, 5.0, "lms", (512, 768), None),
    "invokeai_cropped/invokeai_imeta1.png":
        ("digital artwork, oil painting.", "grainy+, photo, oversaturated", 3293022630, 35, 8.0, "euler", (1024, 1024),
         "juggernautXL"),
    "invokeai_cropped/invokeai_sdmeta1.png":
        (WOMAN, "rendering, glowing eyes, skinny", 2980747362, 50, 5.0, "lms", (512, 768),
         "deliberateForInvoke_v08"),
}  # fmt: skip


def pictures() -> Iterator[str]:
    if SAMPLES:
        for path in sorted(Path(SAMPLES).rglob("*")):
            if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif"):
                yield path.relative_to(SAMPLES).as_posix()


@pytest.mark.parametrize("name", TABLE)
def test_a_genuine_picture_is_read_whole(name: str):
    found = read_picture(Path(SAMPLES) / name).foreign

    assert found is not None
    values, wanted = core(found), TABLE[name]
    assert values[2:] == wanted[2:]
    for value, beginning in zip(values[:2], wanted[:2], strict=True):
        assert value == beginning if not beginning else value.startswith(beginning)


@pytest.mark.parametrize("name", list(pictures()) or [""])
def test_every_genuine_picture_is_in_the_table_and_its_line_binds(name: str):
    found = read_picture(Path(SAMPLES) / name).foreign

    assert name in TABLE
    assert found is not None
    line = to_line(found, REGISTRY)
    assert (line.text != "") == (TABLE[name] != NONE)
    understand(line.text, REGISTRY)
    assert all(sentence.isprintable() for sentence in (line.text, *line.missing, *line.guessed))
