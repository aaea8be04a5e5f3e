"""NovelAI, Fooocus, SwarmUI, mold and dgenerate, after the grammars of their writers."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from foreign_material import GPU, core, found, opened, png, told
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from invoke_shell.metadata.foreign import READERS, read
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Lora, Source

# -- NovelAI ---------------------------------------------------------------------------------------------------------

COMMENT = {
    "prompt": "{a fox}, red", "steps": 28, "height": 1216, "width": 832, "scale": 5.0, "uncond_scale": 1.0,
    "cfg_rescale": 0.0, "seed": 42, "n_samples": 1, "noise_schedule": "native", "sampler": "k_euler_ancestral",
    "controlnet_model": None, "dynamic_thresholding": False, "sm": False, "sm_dyn": False, "strength": 0.7,
    "noise": 0.2, "uc": "blurry", "request_type": "PromptGenerateRequest", "signed_hash": "x",
}  # fmt: skip


def novelai(**changes: Any) -> Any:
    return found(
        "novelai", Comment=json.dumps({**COMMENT, **changes}), Description="x", Source="NovelAI Diffusion V3 1234"
    )


def test_novelai():
    picture = novelai()

    assert core(picture) == ("(a fox:1.05), red", "blurry", 42, 28, 5.0, "euler_a", (832, 1216), None)
    assert (picture.source, picture.strength) == (None, None)
    assert picture.missing == ("the model is NovelAI's own and cannot be had elsewhere: NovelAI Diffusion V3 1234",)
    assert picture.guessed == ("the weights in the prompt pull a little otherwise here: as InvokeAI's do",)


def test_novelai_4_has_captions_for_characters():
    picture = novelai(
        v4_prompt={"caption": {"base_caption": "two foxes", "char_captions": [{"char_caption": "girl, red"}]}},
        v4_negative_prompt={"caption": {"base_caption": "bad", "char_captions": []}},
        noise_schedule="karras",
        sampler="k_dpmpp_2m",
    )

    assert (picture.prompt, picture.negative, picture.scheduler) == ("two foxes", "bad", "dpmpp_2m_karras")
    assert "not carried: a character's prompt girl, red" in picture.missing


def test_novelai_img2img_and_what_was_on():
    picture = novelai(request_type="Img2ImgRequest", sm=True, cfg_rescale=0.3, uncond_scale=0.5)

    assert (picture.source, picture.strength) == (Source(), 0.7)
    assert picture.more == {"guidance_rescale": 0.3}
    assert picture.missing == (
        "not carried: noise added to the source 0.2",
        "the model is NovelAI's own and cannot be had elsewhere: NovelAI Diffusion V3 1234",
        "not carried: uncond_scale 0.5",
        "not carried: sm",
    )


def test_novelai_inpainting_has_a_mask():
    assert "not carried: a mask InpaintRequest" in novelai(request_type="InpaintRequest").missing


def test_novelai_of_2022_keeps_the_prompt_in_the_description_and_the_size_in_the_picture():
    comment = {"steps": 28, "sampler": "k_euler_ancestral", "seed": 42, "strength": 0.69, "noise": 0.667, "scale": 11.0,
               "uc": "blurry"}  # fmt: skip
    picture = found("novelai", (512, 768), Comment=json.dumps(comment), Description="a fox ")

    assert core(picture) == ("a fox", "blurry", 42, 28, 11.0, "euler_a", (512, 768), None)
    assert picture.guessed == ("the size is not in the file: 512x768 is the picture's own",)


def test_novelai_without_a_comment_is_a_prompt():
    picture = found("novelai", Comment="{broken", Description="a fox")

    assert picture.prompt == "a fox"
    assert picture.missing == ("the Comment cannot be read: the prompt is all there is",)


def test_novelais_webp_has_all_texts_in_one(tmp_path: Path):
    texts = {"Description": "x", "Software": "NovelAI", "Source": "S", "Comment": json.dumps(COMMENT)}
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + json.dumps(texts).encode()
    out = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(out, "WEBP", exif=exif)

    info = opened(out.getvalue(), tmp_path, "a.webp")

    assert info.tool == "novelai"
    assert info.foreign is not None
    assert info.foreign.prompt == "(a fox:1.05), red"


# -- Fooocus ---------------------------------------------------------------------------------------------------------

FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernaut", "base_model_hash": "aeb7e9e689", "clip_skip": 2,
    "full_prompt": ["x"], "guidance_scale": 4, "loras": [["detail", 0.1, "00"]], "metadata_scheme": "fooocus",
    "negative_prompt": "blurry", "performance": "Speed", "prompt": "a fox",
    "prompt_expansion": "", "refiner_model": "None", "refiner_switch": 0.5, "resolution": "(768, 1280)",
    "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras",
    "seed": "42", "sharpness": 2, "steps": 30, "styles": "[]", "vae": "Default (model)", "version": "Fooocus v2.5.5",
}  # fmt: skip
OF_FOOOCUS = ("a fox", "blurry", 42, 30, 4.0, "dpmpp_2m_sde_karras", (768, 1280), "juggernaut")


def fooocus(**changes: Any) -> Any:
    return found("fooocus", parameters=json.dumps({**FOOOCUS, **changes}), fooocus_scheme="fooocus")


def test_fooocus():
    picture = fooocus()

    assert core(picture) == OF_FOOOCUS
    assert picture.model.hashes == {"autov2": "aeb7e9e689"}
    assert (picture.loras, picture.vae, picture.clip_skip) == ((Lora(name="detail", weight=0.1),), "", 1)
    assert picture.missing == (
        "not carried: performance Speed",
        "not carried: sharpness 2",
        "not carried: ADM guidance (1.5, 0.8, 0.3)",
    )


def test_what_fooocus_adds_to_a_prompt_is_named():
    picture = fooocus(styles="['Fooocus V2']", prompt_expansion="a fox, glossy", refiner_model="r.safetensors")

    assert picture.missing[:2] == ("not carried: styles ['Fooocus V2']", "not carried: prompt expansion a fox, glossy")
    assert "not carried: refinermodel r.safetensors" in picture.missing


def test_fooocus_loras_of_before():
    assert fooocus(loras=[], lora_combined_1="sub/a.safetensors : 0.5", lora_combined_2="True : b : 1").loras == (
        Lora(name="a", weight=0.5),
        Lora(name="b", weight=1.0),
    )


def test_fooocus_in_automatic1111s_words():
    text = (
        "a fox, glossy\nNegative prompt: blurry, ugly\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 42, "
        'Size: 768x1280, CFG scale: 4, Sharpness: 2, ADM Guidance: "(1.5, 0.8, 0.3)", Model: juggernaut, '
        "Model hash: aeb7e9e689, Performance: Speed, Scheduler: karras, VAE: Default (model), Raw prompt: a fox, "
        'Raw negative prompt: blurry, Lora hashes: "detail: 00", Lora weights: "detail: 0.1", Version: Fooocus v2.5.5'
    )
    picture = found("fooocus", parameters=text, fooocus_scheme="a1111")

    assert core(picture) == OF_FOOOCUS
    assert picture.loras == (Lora(name="detail", weight=0.1, hash="00"),)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_fooocus_keeps_it_bare_in_exif(kind: str, tmp_path: Path):
    exif = Pillow.Exif()
    exif[0x9286], exif[0x0131], exif[0x927C] = json.dumps(FOOOCUS), "Fooocus v2.5.5", "fooocus"
    out = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(out, kind, exif=exif)

    info = opened(out.getvalue(), tmp_path, "a.jpg")

    assert info.tool == "fooocus"
    assert info.foreign is not None
    assert core(info.foreign) == OF_FOOOCUS


def test_ruined_fooocus(tmp_path: Path):
    data = {"Prompt": "a fox", "Negative": "blurry", "steps": 30, "cfg": 4, "width": 768, "height": 1280, "seed": 42,
            "sampler_name": "dpmpp_2m_sde", "scheduler": "karras", "base_model_name": "juggernaut.safetensors",
            "base_model_hash": "x", "loras": [], "clip_skip": 1, "software": "RuinedFooocus"}  # fmt: skip
    info = opened(png(parameters=json.dumps(data)), tmp_path)

    assert info.tool == "fooocus"
    assert info.foreign is not None
    assert core(info.foreign) == OF_FOOOCUS


# -- SwarmUI ---------------------------------------------------------------------------------------------------------

SWARM = {
    "prompt": "a fox <lora:detail:0.5>", "negativeprompt": "blurry", "model": "Official/sd_xl.safetensors",
    "seed": 42, "steps": 20, "cfgscale": 7.0, "aspectratio": "1:1", "width": 1024, "height": 768, "sampler": "dpmpp_2m",
    "scheduler": "karras", "automaticvae": True, "swarm_version": "0.9.3.1",
}  # fmt: skip
OF_SWARM = ("a fox", "blurry", 42, 20, 7.0, "dpmpp_2m_karras", (1024, 768), "sd_xl")
HASH = "d7a9105a900fd52748f20725fe52fe52b507fd36bee4fc107b1550a26e6ee1d7"


def swarm(**changes: Any) -> str:
    models = [{"name": "sd_xl.safetensors", "param": "model", "hash": f"0x{HASH}"}]
    return json.dumps({"sui_image_params": {**SWARM, **changes}, "sui_extra_data": {"date": "x"}, "sui_models": models})


def test_swarmui():
    picture = found("swarmui", parameters=swarm())

    assert core(picture) == OF_SWARM
    assert picture.model is not None
    assert picture.model.hashes == {"tensors": HASH}
    assert (picture.loras, picture.missing) == ((Lora(name="detail", weight=0.5),), ())


def test_swarmuis_values_may_be_text_and_its_lists_too():
    text = swarm(
        seed="42", steps="20", cfgscale="7.0", width="1024", height="768", loras="a,sub/b", loraweights="0.5,1"
    )
    picture = found("swarmui", parameters=text)

    assert core(picture) == OF_SWARM
    assert picture.loras[1:] == (Lora(name="a", weight=0.5), Lora(name="b", weight=1.0))


def test_swarmui_from_a_source_and_refined():
    text = swarm(
        initimage="data/a.png", initimagecreativity="0.4", refinercontrolpercentage=0.2, refinerupscale=1.5,
        refinermethod="PostApply", clipstopatlayer=-2, vae="x.sft", freeu=True, variationseed=5, sampler=None,
        comfyuisampler="euler",
    )  # fmt: skip
    picture = found("swarmui", parameters=text)

    assert (picture.source, picture.strength) == (Source(name="a.png"), 0.4)
    assert picture.then[0] == Enlarge(scale=1.5)
    assert isinstance(picture.then[1], Draw)
    assert (picture.then[1].strength, picture.then[1].steps) == (0.2, 20)
    assert (picture.clip_skip, picture.vae, picture.scheduler) == (1, "x", "euler_karras")
    assert picture.missing == ("not carried: freeu", "not carried: variationseed 5")


def test_swarmuis_jpeg_is_little_endian(tmp_path: Path):
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + swarm().encode("utf-16-le")
    out = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(out, "JPEG", exif=exif)

    info = opened(out.getvalue(), tmp_path, "a.jpg")

    assert info.tool == "swarmui"
    assert info.foreign is not None
    assert core(info.foreign) == OF_SWARM


# -- mold ------------------------------------------------------------------------------------------------------------

MOLD = {
    "prompt": "a fox", "negative_prompt": "blurry", "original_prompt": "fox", "model": "sd15:fp16", "seed": 2**64 - 1,
    "steps": 20, "guidance": 7.5, "width": 512, "height": 768, "scheduler": "euler-ancestral", "version": "0.9.0",
}  # fmt: skip
OF_MOLD = ("a fox", "blurry", 2**64 - 1, 20, 7.5, "euler_a", (512, 768), "sd15:fp16")


def test_mold_has_a_text_for_each_value(tmp_path: Path):
    info = opened(png(**{f"mold:{name}": str(value) for name, value in MOLD.items()}), tmp_path)

    assert info.tool == "mold"
    assert info.foreign is not None
    assert core(info.foreign) == OF_MOLD
    assert info.foreign.missing == ()


def test_mold_has_it_all_as_json_too():
    data = {**MOLD, "strength": 0.5, "lora": {"path": "a/b.safetensors", "scale": 0.5}, "control_model": "canny"}
    picture = found("mold", **{"mold:parameters": json.dumps(data)})

    assert core(picture) == OF_MOLD
    assert (picture.strength, picture.source, picture.loras) == (0.5, Source(), (Lora(name="b", weight=0.5),))
    assert picture.missing == ("not carried: control_model canny",)


def test_molds_jpeg_has_it_in_the_comment(tmp_path: Path):
    out = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(out, "JPEG", comment=b"mold:parameters " + json.dumps(MOLD).encode())

    info = opened(out.getvalue(), tmp_path, "a.jpg")

    assert info.tool == "mold"
    assert info.foreign is not None
    assert core(info.foreign) == OF_MOLD


# -- dgenerate -------------------------------------------------------------------------------------------------------

CONFIG = r"""#! /usr/bin/env dgenerate --file
#! dgenerate 4.5.1

stabilityai/stable-diffusion-2-1 \
--model-type torch \
--dtype float16 \
--inference-steps 30 \
--guidance-scales 5 \
--prompts 'a fox, \
           red; blurry' \
--seeds 42 \
--output-size 512x768 \
--scheduler "DPMSolverMultistepScheduler;algorithm-type=sde-dpmsolver++;use-karras-sigmas=true" \
--loras "sub/detail;scale=0.8" "civitai;weight-name=x.safetensors" \
--clip-skips 1 \
--hidiffusion
"""
OF_DGENERATE = ("a fox, red", "blurry", 42, 30, 5.0, "dpmpp_2m_sde_karras", (512, 768), "stable-diffusion-2-1")


def test_dgenerate(tmp_path: Path):
    info = opened(png(DgenerateConfig=CONFIG), tmp_path)

    assert info.tool == "dgenerate"
    assert info.foreign is not None
    assert core(info.foreign) == OF_DGENERATE
    assert info.foreign.loras == (Lora(name="detail", weight=0.8), Lora(name="x"))
    assert info.foreign.missing == ("not carried: --hidiffusion",)


def test_dgenerates_jpeg_has_it_in_the_user_comment(tmp_path: Path):
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + CONFIG.encode()
    out = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(out, "JPEG", exif=exif)

    info = opened(out.getvalue(), tmp_path, "a.jpg")

    assert info.tool == "dgenerate"
    assert info.foreign is not None
    assert core(info.foreign) == OF_DGENERATE


@pytest.mark.parametrize(
    ("scheduler", "ours", "missing"),
    [
        ("EulerAncestralDiscreteScheduler", "euler_a", ()),
        ("DPMSolverMultistepScheduler", "dpmpp_2m", ()),
        ("DPMSolverMultistepScheduler;algorithm-type=sde-dpmsolver++;solver-order=3", "dpmpp_3m_sde", ()),
        ("PNDMScheduler", "pndm", ()),
        ("LMSDiscreteScheduler;use-karras-sigmas=True", "lms_karras", ()),
        ("DDIMScheduler;eta=1", "ddim", ("not carried: eta of the scheduler 1",)),
    ],
)
def test_dgenerates_schedulers_are_diffusers_classes(scheduler: str, ours: str | None, missing: tuple[str, ...]):
    picture = found("dgenerate", DgenerateConfig=f'x --prompts "a" --scheduler "{scheduler}"')

    assert (picture.scheduler, picture.missing) == (ours, missing)


def test_dgenerate_img2img():
    text = "x --prompts a --image-seeds '/home/bob/a.png;mask=b.png' --image-seed-strengths 0.5 --output-size 512"
    picture = found("dgenerate", DgenerateConfig=text)

    assert (picture.source, picture.strength, picture.size) == (Source(name="a.png"), 0.5, (512, 512))


def test_nothing_of_a_config_is_run():
    text = "\\exec rm -rf /\n{% for x in [1] %}\nx --prompts '$HOME `id` {{ 7*7 }}' --seeds 1"

    assert found("dgenerate", DgenerateConfig=text).prompt == "$HOME `id` {{ 7*7 }}"


# -- strangers -------------------------------------------------------------------------------------------------------

KEYS = [*COMMENT, *FOOOCUS, *SWARM, *MOLD, "v4_prompt", "caption", "base_caption", "char_captions", "sui_models",
        "param", "lora_combined_1", "loraweights", "refinercontrolpercentage", "refinerupscale"]  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("0.5"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=10,
)
objects = st.dictionaries(st.sampled_from(KEYS), values, max_size=8)


@given(objects)
@pytest.mark.parametrize("tool", ["novelai", "fooocus", "swarmui", "mold"])
def test_any_object_is_read_and_its_line_binds(tool: str, data: dict[str, Any]):
    told_or_none(tool, **wrapped(tool, data))


def wrapped(tool: str, data: dict[str, Any]) -> dict[str, str]:
    """The object where its program keeps it."""
    if tool == "swarmui":
        data = {"sui_image_params": data, "sui_models": [data]}
    return {{"novelai": "Comment", "mold": "mold:parameters"}.get(tool, "parameters"): json.dumps(data)}


def told_or_none(tool: str, **texts: str) -> None:
    if read(tool, texts) is not None:
        told(tool, **texts)


NAMES = ["parameters", "prompt", "Comment", "Description", "UserComment", "Dream", "sd-metadata", "DgenerateConfig",
         "mold:prompt", "mold:parameters", "invokeai_metadata", "invokeai_graph", "comment", "Make"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60), max_size=4))
@pytest.mark.parametrize("tool", READERS)
def test_any_texts_are_read_and_their_line_binds(tool: str, texts: dict[str, str]):
    told_or_none(tool, **texts)


@pytest.mark.parametrize("unit", ["'", '"', " \\\n", "--a ", "x;", "\\", "#", "::", "{", "1.5::"])
def test_long_texts_take_no_two_seconds(unit: str):
    text = unit * (2_000_000 // len(unit))
    begun = time.process_time()

    told_or_none("dgenerate", DgenerateConfig=text)
    told_or_none("novelai", Comment=json.dumps({"prompt": text}))

    assert time.process_time() - begun < 2


def test_a_program_without_a_reader_says_nothing():
    assert read("drawthings", {"Comment": "{}"}) is None
    assert read("", {}) is None


def test_gpu_noise_is_said():
    line = told("novelai", Comment=json.dumps(COMMENT))

    assert GPU in line.guessed
    assert " --rng philox " in line.text
