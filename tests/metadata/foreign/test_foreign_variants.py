"""What imitators and newer versions write differently, made from each program's own grammar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from foreign_material import core, found, opened, png, told

from invoke_shell.metadata.foreign.result import Draw, Enlarge, Lora
from invoke_shell.metadata.foreign.samplers import sampler

DETAILS = "Steps: 20, Sampler: Euler a, CFG scale: 6, Seed: 5, Size: 512x768, Model: v1-5, RNG: CPU"


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def graph(**changes: Any) -> dict[str, Any]:
    """ComfyUI's first graph; `changes` replace or add nodes, written n5=..."""
    basic = {
        "3": node("KSampler", seed=7, steps=9, cfg=5.0, sampler_name="euler", scheduler="normal", denoise=1.0,
                  model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
        "4": node("CheckpointLoaderSimple", ckpt_name="base.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "6": node("CLIPTextEncode", text="a red boat", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["8", 0]),
    }  # fmt: skip
    return {**basic, **{name[1:]: value for name, value in changes.items()}}


# -- AUTOMATIC1111's text ----------------------------------------------------------------------------------------------


def test_names_are_read_whatever_their_case():
    text = "a\nSteps: 20, Sampler: euler, CFG Scale: 8.0, seed: 5, size: 64x96, Model: x"

    assert core(found("a1111", parameters=text)) == ("a", "", 5, 20, 8.0, "euler", (64, 96), "x")


@pytest.mark.parametrize(
    ("text", "ours"),
    [("euler_simple", "euler"), ("dpmpp_2m_sgm_uniform", "dpmpp_2m_sgm"), ("euler_ancestral_normal", "euler_a"),
     ("dpmpp_2m_karras", "dpmpp_2m_karras"), ("euler_ddim_uniform", "euler")],
)  # fmt: skip
def test_savers_for_comfyui_join_sampler_and_levels(text: str, ours: str):
    from invoke_shell.metadata.foreign.result import Notes

    assert sampler(text, "", Notes()).get("scheduler") == ours


def test_sd_next_may_enlarge_alone_and_keeps_its_levels_apart():
    text = (
        "a\nNegative prompt: b\nSteps: 20, Size: 512x512, Sampler: DPM++ 2M, Seed: 5, CFG scale: 6, App: SD.Next, "
        "Operations: txt2img; upscale, Model: x, Refine: True, HiRes mode: 1, Hires upscaler: ESRGAN 4x Ultrasharp, "
        "Hires scale: 1.5, Hires size: 768x768, Sampler sigma: karras"
    )
    picture = found("sdnext", parameters=text)

    assert picture.then == (Enlarge(scale=1.5, upscaler="ESRGAN 4x Ultrasharp"),)
    assert picture.scheduler == "dpmpp_2m_karras"
    assert picture.missing == ()


def test_sd_next_draws_over_what_it_enlarged():
    text = f"a\n{DETAILS}, App: SD.Next, Hires scale: 2, Hires upscaler: Latent, Hires steps: 8, Hires strength: 0.3"
    enlarged, drawn = found("sdnext", parameters=text).then

    assert enlarged == Enlarge(scale=2.0)
    assert isinstance(drawn, Draw)
    assert (drawn.steps, drawn.strength) == (8, 0.3)


def test_a_hires_size_with_one_side_keeps_the_shape():
    text = f"a\n{DETAILS}, Denoising strength: 0.4, Hires resize: 1024x0, Hires steps: 8, Hires upscaler: Latent"

    assert found("a1111", parameters=text).then[0] == Enlarge(scale=2.0)


def test_a_denoising_strength_of_nothing_is_no_source():
    assert found("a1111", parameters=f"a\n{DETAILS}, Denoising strength: 0").source is None


VARIANTS = [
    ("a cat,\nsitting (on:1.2)\na mat\nNegative prompt: dog,\nbad\n", ("a cat,\nsitting (on:1.2)\na mat", "dog,\nbad")),
    ("\nNegative prompt: dog\n", ("", "dog")),
    ("Steps: many\n", ("Steps: many", "")),
    ("a: b, c: d, e: f\n", ("a: b, c: d, e: f", "")),
    ("a cat\r\nNegative prompt: dog\r\n", ("a cat", "dog")),
]


@pytest.mark.parametrize(("front", "wanted"), VARIANTS)
def test_prompts_of_any_form_stand_before_the_details(front: str, wanted: tuple[str, str]):
    picture = found("a1111", parameters=front + DETAILS)

    assert (picture.prompt, picture.negative) == wanted
    assert core(picture)[2:] == (5, 20, 6.0, "euler_a", (512, 768), "v1-5")


def test_what_extensions_add_is_said_and_spoils_nothing():
    more = (
        'Distilled CFG Scale: 3.5, ADetailer model: face_yolov8n.pt, ADetailer prompt: "a face, \\"smiling\\", 1: 2", '
        'ControlNet 0: "Module: canny, Model: control_v11p_sd15_canny [d14c016b], Weight: 1, Guidance Start: 0", '
        'RP Active: True, RP Ratios: "1,1", Lora hashes: "detail: 0123456789ab, style: ba9876543210", '
        'TI hashes: "easyneg: 66a7279a88, easyneg: 66a7279a88", Hashes: {"model": "cc6cb27103", "lora:detail": '
        '"0123456789", "embed:easyneg": "66a7279a88"}, Civitai resources: [{"type":"checkpoint","modelName":"x, y"}], '
        "Civitai metadata: {}, Created Date: 2026-01-04T01:27:21.27Z, Version: v1.10.1"
    )
    picture = found("a1111", parameters=f"a <lora:detail:0.6> boat\n{DETAILS}, {more}")

    assert core(picture) == ("a  boat", "", 5, 20, 6.0, "euler_a", (512, 768), "v1-5")
    assert picture.loras == (
        Lora(name="detail", weight=0.6, hash="0123456789"),
        Lora(name="style", hash="ba9876543210"),
    )
    assert picture.embeddings == ("easyneg",)
    assert picture.model is not None
    assert picture.model.hashes == {"autov2": "cc6cb27103"}
    assert [guide.model for guide in picture.guides] == ["control_v11p_sd15_canny"]
    assert [sentence.split()[2] for sentence in picture.missing] == [
        "Distilled", "ADetailer", "ADetailer", "RP", "RP",
    ]  # fmt: skip


# -- two accounts of one picture ---------------------------------------------------------------------------------------


def test_a_graph_beside_the_text_is_walked_and_the_text_has_the_hashes(tmp_path: Path):
    text = "other\nSteps: 1, Sampler: ddim, CFG scale: 1, Seed: 1, Size: 64x64, Model hash: cc6cb27103, Model: base"
    info = opened(png(parameters=text, prompt=json.dumps(graph())), tmp_path)

    assert info.tool == "comfyui"
    assert info.foreign is not None
    assert core(info.foreign) == ("a red boat", "blurry", 7, 9, 5.0, "euler", (512, 768), "base")
    assert info.foreign.model is not None
    assert info.foreign.model.hashes == {"autov2": "cc6cb27103"}


def test_a_graph_that_leads_nowhere_leaves_the_text(tmp_path: Path):
    odd = {"1": node("Mystery"), "2": node("SaveImage", images=["1", 0])}
    info = opened(png(parameters=f"a\n{DETAILS}", prompt=json.dumps(odd)), tmp_path)

    assert info.foreign is not None
    assert core(info.foreign) == ("a", "", 5, 20, 6.0, "euler_a", (512, 768), "v1-5")
    assert info.foreign.noise == "cpu"


def test_stability_matrix_has_the_whole_chain_in_its_graph(tmp_path: Path):
    text = "a\nSteps: 9, Sampler: Euler, CFG scale: 5, Seed: 7, Size: 1024x1536, Model: base.safetensors"
    second = graph(
        n10=node("ImageScale", width=1024, height=1536, image=["8", 0]),
        n11=node("VAEEncode", pixels=["10", 0], vae=["4", 2]),
        n12={"class_type": "KSampler", "inputs": {**graph()["3"]["inputs"], "denoise": 0.35000000000000003,
                                                  "latent_image": ["11", 0]}},
        n13=node("VAEDecode", samples=["12", 0], vae=["4", 2]),
        n9=node("SaveImage", images=["13", 0]),
    )  # fmt: skip
    texts = {"parameters": text, "parameters-json": "{}", "smproj": "{}", "prompt": json.dumps(second)}
    picture = opened(png(1024, 1536, **texts), tmp_path).foreign

    assert picture is not None
    assert picture.size == (512, 768)
    assert picture.then[0] == Enlarge(size=(1024, 1536))
    assert isinstance(picture.then[1], Draw)
    assert picture.then[1].strength == 0.35


# -- ComfyUI's other nodes ---------------------------------------------------------------------------------------------


def comfy(size: tuple[int, int] = (0, 0), **changes: Any) -> Any:
    return found("comfyui", size, prompt=json.dumps(graph(**changes)))


def test_reroutes_and_switches_are_passed_through():
    picture = comfy(
        n5=node("Reroute", **{"": ["20", 0]}),
        n20=node("ComfySwitchNode", switch=["21", 0], on_false=["22", 0], on_true=["23", 0]),
        n21=node("PrimitiveBoolean", value=True),
        n22=node("EmptyLatentImage", width=64, height=64, batch_size=1),
        n23=node("EmptyLatentImage", width=640, height=448, batch_size=1),
    )

    assert picture.size == (640, 448)
    assert picture.missing == ()


@pytest.mark.parametrize("loop", [["5", 0], ["20", 0]])
def test_reroutes_in_a_circle_end(loop: list[Any]):
    assert comfy(n5=node("Reroute", a=["20", 0]), n20=node("Reroute", a=loop)).seed == 7


def test_sizes_in_one_text_and_through_links():
    latent = node("SDXL Empty Latent Image (rgthree)", dimensions="1216 x 832   (landscape)", clip_scale=1.5)
    second = {**graph()["3"]["inputs"], "latent_image": ["11", 0], "denoise": 0.4}
    picture = comfy(
        n5=latent,
        n10=node("ImageScale", width=["5", 1], height=["5", 2], image=["8", 0]),
        n11=node("VAEEncode", pixels=["10", 0]),
        n12={"class_type": "KSampler", "inputs": second},
        n13=node("VAEDecode", samples=["12", 0]),
        n9=node("SaveImage", images=["13", 0]),
    )

    assert picture.size == (1216, 832)
    assert picture.then[0] == Enlarge(size=(1824, 1248))


def test_a_size_that_the_graph_computes_is_the_pictures_own():
    computed = node("CR Integer Multiple", integer=["5", 0], multiple=1.5)
    changes: dict[str, Any] = {
        "n10": node("ImageScale", width=["11", 0], height=["11", 0], image=["8", 0]),
        "n11": computed,
        "n9": node("SaveImage", images=["10", 0]),
    }

    assert comfy((768, 1152), **changes).then == (Enlarge(size=(768, 1152)),)
    assert comfy((0, 0), **changes).missing == ("not carried: the node ImageScale",)


def test_stacks_of_loras():
    picture = comfy(
        n3={"class_type": "KSampler", "inputs": {**graph()["3"]["inputs"], "model": ["30", 0]}},
        n30=node("CR Apply LoRA Stack", model=["4", 0], clip=["4", 1], lora_stack=["31", 0]),
        n31=node("CR LoRA Stack", switch_1="On", lora_name_1="a.safetensors", model_weight_1=0.5, switch_2="Off",
                 lora_name_2="b.safetensors", model_weight_2=1.0, lora_stack=["32", 0]),
        n32=node("LoRA Stacker", lora_count=1, lora_name_1="c.safetensors", lora_wt_1=0.7, lora_name_2="d"),
    )  # fmt: skip

    assert picture.loras == (Lora(name="a", weight=0.5), Lora(name="c", weight=0.7))


def test_of_a_merge_the_first_model_is_taken_and_the_merge_is_said():
    picture = comfy(
        n3={"class_type": "KSampler", "inputs": {**graph()["3"]["inputs"], "model": ["30", 0]}},
        n30=node("ModelMergeSimple", model1=["4", 0], model2=["31", 0], ratio=0.5),
        n31=node("CheckpointLoaderSimple", ckpt_name="other.safetensors"),
    )

    assert picture.model.name == "base"
    assert picture.missing == ("not carried: the node ModelMergeSimple",)


def test_a_guider_with_two_conditionings():
    picture = comfy(
        n3=node("SamplerCustomAdvanced", noise=["40", 0], guider=["41", 0], sampler=["42", 0], sigmas=["43", 0],
                latent_image=["5", 0]),
        n40=node("RandomNoise", noise_seed=11),
        n41=node("DualCFGGuider", cfg_conds=5.0, cond1=["6", 0], cond2=["7", 0], negative=["7", 0], model=["4", 0]),
        n42=node("KSamplerSelect", sampler_name="euler"),
        n43=node("BasicScheduler", scheduler="normal", steps=12, denoise=1.0, model=["4", 0]),
    )  # fmt: skip

    assert core(picture) == ("a red boat", "blurry", 11, 12, 5.0, "euler", (512, 768), "base")


# -- others ------------------------------------------------------------------------------------------------------------


def test_swarmui_without_its_source_picture_still_had_one():
    params = {"prompt": "a", "seed": 5, "steps": 20, "width": 64, "height": 64, "initimagecreativity": 0.4}
    picture = found("swarmui", parameters=json.dumps({"sui_image_params": params}))

    assert picture.source is not None
    assert picture.strength == 0.4


def test_swarmuis_refiner_counts_the_seed_on_and_may_have_a_network():
    params = {"prompt": "a", "seed": 5, "steps": 20, "refinercontrolpercentage": 0.3, "refinerupscale": 1.5,
              "refinerupscalemethod": "model-RealESRGAN_x4plus_anime_6B.pth"}  # fmt: skip
    enlarged, drawn = found("swarmui", parameters=json.dumps({"sui_image_params": params})).then

    assert enlarged == Enlarge(scale=1.5, upscaler="RealESRGAN_x4plus_anime_6B")
    assert isinstance(drawn, Draw)
    assert drawn.seed == 6


def test_a_space_of_hugging_face(tmp_path: Path):
    data = {
        "prompt": "a red boat", "negative_prompt": "blurry\n", "resolution": "512 x 768", "guidance_scale": 5.5,
        "num_inference_steps": 24, "seed": 5, "sampler": "DPM++ 2M Karras", "Model": "WAI v16", "Model hash": "AB" * 32,
        "use_upscaler": {"upscale_method": "nearest-exact", "upscaler_strength": 0.7, "upscale_by": 1.5},
        "add_quality_tags": True,
    }  # fmt: skip
    info = opened(png(parameters=json.dumps(data)), tmp_path)

    assert info.tool == "huggingface"
    assert info.foreign is not None
    wanted = ("a red boat", "blurry", 5, 24, 5.5, "dpmpp_2m_karras", (512, 768), "WAI v16")
    assert core(info.foreign) == wanted
    assert info.foreign.model is not None
    assert info.foreign.model.hashes == {"sha256": "ab" * 32}
    assert info.foreign.then[0] == Enlarge(scale=1.5)
    assert info.foreign.missing == ("not carried: add_quality_tags",)
    assert told("huggingface", parameters=json.dumps(data)).text.endswith("--seed 5")


# -- noise, and what takes over ----------------------------------------------------------------------------------------


def test_what_decides_the_noise_is_carried_to_every_pass():
    more = (
        "ENSD: 31337, Variation seed: 77, Variation seed strength: 0.25, Refiner: sdxl_refiner [7440042bbd], "
        "Refiner switch at: 0.7, Denoising strength: 0.4, Hires upscale: 2, Hires steps: 8, Hires upscaler: Latent"
    )
    line = told("a1111", parameters=f"a\n{DETAILS.replace('RNG: CPU', 'RNG: NV')}, {more}")

    first, _, second = line.text.split(" | ")
    for stage in (first, second):
        assert " --rng philox --ensd 31337 --blend 77:0.25 --seed 5" in stage
    assert first.endswith(" --refiner sdxl_refiner --refiner-start 0.7")
    assert "--refiner" not in second
    assert line.missing == ()


@pytest.mark.parametrize(("plain", "guidance"), [("1", 3.5), ("4", 4.0)])
def test_guidance_that_a_model_was_taught(plain: str, guidance: float):
    text = f"a\n{DETAILS.replace('CFG scale: 6', f'CFG scale: {plain}')}, Distilled CFG Scale: 3.5"
    picture = found("forge", parameters=text)

    assert picture.guidance == guidance
    assert ("not carried: Distilled CFG Scale 3.5" in picture.missing) == (plain != "1")
