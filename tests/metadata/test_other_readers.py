"""Our pictures as other programs' readers see them: sd-parsers itself, and what the others insist on."""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import replace
from typing import Any

import pytest
from metadata_material import SHA256, frame, image, txt2img
from PIL import Image as Pillow
from sd_parsers import ParserManager

from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.jpeg_webp import Form
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.records import Frame, Resource

WORDS = {"prompt": "a red (boat), on <green> sea", "negative": "blurry", "scheduler": "euler_a", "guidance": 7.5}
PARSERS = ParserManager()


def read(data: bytes) -> Any:
    with Pillow.open(io.BytesIO(data)) as picture:
        return PARSERS.parse(picture)


@pytest.mark.parametrize("form", [Form(), Form(name="jpeg"), Form(name="webp")], ids=["png", "jpeg", "webp"])
def test_sd_parsers_reads_the_line_of_other_programs(form: Form):
    found = read(embed(frame(**WORDS), app_version="0.1.0", form=form))

    (sampler,) = found.samplers
    assert found.generator.name == "AUTOMATIC1111"
    assert [p.value for p in sampler.prompts] == [r"a red \(boat\), on <green> sea"]
    assert [p.value for p in sampler.negative_prompts] == ["blurry"]
    assert (sampler.name, sampler.parameters["seed"], sampler.parameters["steps"]) == ("Euler a", "42", "20")
    assert sampler.parameters["cfg_scale"] == "7.5"
    assert (sampler.model.name, sampler.model.hash) == ("pocket", SHA256[:10])


def test_sd_parsers_reads_the_record_itself_as_invokeais():
    found = read(embed(frame(**WORDS), app_version="0.1.0", a1111=False))

    (sampler,) = found.samplers
    assert found.generator.name == "INVOKEAI"
    assert [p.value for p in sampler.prompts] == ["a red (boat), on <green> sea"]
    assert [p.value for p in sampler.negative_prompts] == ["blurry"]
    assert (sampler.name, sampler.parameters["seed"], sampler.parameters["steps"]) == ("k_euler_a", 42, 20)
    assert (sampler.parameters["cfg_scale"], sampler.model.hash) == (7.5, SHA256)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_sd_parsers_reads_every_scheduler(scheduler: str):
    (sampler,) = read(embed(frame(scheduler=scheduler), app_version="0.1.0")).samplers

    assert sampler.name


def texts(made: Frame) -> tuple[dict[str, Any], list[str]]:
    info = Pillow.open(io.BytesIO(embed(made, app_version="0.1.0"))).info
    return json.loads(info["sd-metadata"]), shlex.split(info["Dream"])


def test_invokeai_2_finds_what_its_reader_looks_up():
    """2.3.5's reader takes `image`, these keys without a default, and a Dream chunk that shlex can split."""
    source = Resource(hash="blake3:" + "1" * 64, width=6, height=4)
    made = Frame(image=image(), step=replace(txt2img(**WORDS, strength=0.6), inputs={"frame": (source,)}))

    data, dream = texts(made)

    view = data["image"]
    assert [(p["prompt"], p["weight"]) for p in view["prompt"]] == [("a red (boat), on <green> sea [blurry]", 1.0)]
    assert {"sampler", "seed", "steps", "cfg_scale", "width", "height", "variations", "type"} <= set(view)
    assert view["variations"] == []
    assert {"model", "model_hash", "app_id", "app_version"} <= set(data)
    assert dream == shlex.split(
        '"a red (boat), on <green> sea [blurry]" -s 20 -S 42 -W 6 -H 4 -C 7.5 -A k_euler_a -f 0.6'
    )


def test_diffusion_toolkit_finds_the_keys_it_throws_without():
    data, _ = texts(frame(**WORDS))

    assert isinstance(data["model_hash"], str)
    kinds = {
        key: type(data["image"][key]) for key in ("prompt", "steps", "cfg_scale", "height", "width", "seed", "sampler")
    }
    assert kinds == {
        "prompt": list, "steps": int, "cfg_scale": float, "height": int, "width": int, "seed": int, "sampler": str,
    }  # fmt: skip
