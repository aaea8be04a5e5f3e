"""ComfyUI's graphs, walked back from the saving node."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from foreign_material import core, found, opened, png, told
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from invoke_shell.metadata.foreign import read
from invoke_shell.metadata.foreign.result import Enlarge, Guide, Lora, Source

Graph = dict[str, Any]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def basic(**changes: Any) -> Graph:
    """The graph ComfyUI starts with; `changes` replace or add nodes by id, written n5=..."""
    graph = {
        "3": node("KSampler", seed=5, steps=20, cfg=8.0, sampler_name="euler", scheduler="normal", denoise=1.0,
                  model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
        "4": node("CheckpointLoaderSimple", ckpt_name="SDXL\\base.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "6": node("CLIPTextEncode", text="a red boat\n", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="x", images=["8", 0]),
    }  # fmt: skip
    return {**graph, **{name[1:]: value for name, value in changes.items()}}


def sampler(**changes: Any) -> dict[str, Any]:
    return {"class_type": "KSampler", "inputs": {**basic()["3"]["inputs"], **changes}}


def said(graph: Graph, size: tuple[int, int] = (0, 0)) -> Any:
    return found("comfyui", size, prompt=json.dumps(graph))


def line(graph: Graph, size: tuple[int, int] = (0, 0)) -> Any:
    return told("comfyui", size, prompt=json.dumps(graph))


WANTED = ("a red boat", "blurry", 5, 20, 8.0, "euler", (512, 768), "base")


def test_the_graph_it_starts_with():
    assert core(said(basic())) == WANTED
    assert line(basic())[:3] == (
        'txt2img "a red boat" --negative "blurry" --size 512x768 --steps 20 --guidance 8 --scheduler euler --seed 5'
        " --model base",
        (),
        (),
    )


# -- values ----------------------------------------------------------------------------------------------------------


def test_values_come_through_links_and_lists_of_one():
    graph = basic(
        n3=sampler(seed=["20", 0], steps=[30], cfg=["21", 0], sampler_name=["22", 1]),
        n5=node("EmptySD3LatentImage", width=["23", 0], height=768, batch_size=1),
        n20=node("Seed (rgthree)", seed=7),
        n21=node("PrimitiveFloat", value=["24", 0]),
        n22=node("Sampler Selector", sampler_name="dpmpp_2m", scheduler="karras"),
        n23=node("PrimitiveInt", value=640),
        n24=node("FloatConstant", value=4.5),
    )

    assert core(said(graph)) == ("a red boat", "blurry", 7, 30, 4.5, "dpmpp_2m", (640, 768), "base")


def test_texts_come_through_links_and_are_joined_as_their_node_does():
    graph = basic(
        n6=node("CLIPTextEncode", text=["20", 0], clip=["4", 1]),
        n20=node("StringConcatenate", string_a=["21", 0], string_b="on a sea", delimiter=", "),
        n21=node("PrimitiveString", value="a red boat"),
    )

    assert said(graph).prompt == "a red boat, on a sea"


def test_nan_and_infinity_are_read_as_nothing():
    text = json.dumps(basic(n3=sampler(cfg=float("nan"), denoise=float("inf"))))

    assert "NaN" in text
    assert core(found("comfyui", prompt=text)) == (*WANTED[:4], None, *WANTED[5:])


def test_values_of_a_wrong_kind_are_said():
    graph = basic(n3=sampler(seed="abc", steps={"a": 1}, cfg=[1, 2, 3], sampler_name=5))
    picture = said(graph)

    assert (picture.seed, picture.steps, picture.guidance, picture.scheduler_text) == (None, None, None, "")
    assert picture.missing == ("noise_seed of KSampler is no whole number: abc",)


# -- prompts ---------------------------------------------------------------------------------------------------------


def test_sdxl_prompts_that_differ_are_one_text_and_that_is_said():
    graph = basic(n6=node("CLIPTextEncodeSDXL", text_g="a boat, ", text_l="red", width=1024, clip=["4", 1]))
    picture = said(graph)

    assert picture.prompt == "a boat, red"
    assert picture.missing == ("the prompt is 2 texts with conditions of their own; here they are one text",)
    assert said(basic(n6=node("CLIPTextEncodeSDXL", text_g="a", text_l="a", clip=["4", 1]))).prompt == "a"


def test_combined_conditionings_keep_the_order_of_their_inputs():
    graph = basic(
        n3=sampler(positive=["20", 0]),
        n20=node("ConditioningCombine", conditioning_1=["21", 0], conditioning_2=["6", 0]),
        n21=node("ConditioningSetArea", conditioning=["22", 0], width=64, height=64, x=0, y=0, strength=1.0),
        n22=node("CLIPTextEncode", text="sky", clip=["4", 1]),
    )
    picture = said(graph)

    assert picture.prompt == "sky, a red boat"
    assert picture.missing == (
        "not carried: the node ConditioningSetArea",
        "the prompt is 2 texts with conditions of their own; here they are one text",
    )


def test_a_controlnet_is_named_and_its_two_outputs_are_told_apart():
    graph = basic(
        n3=sampler(positive=["20", 0], negative=["20", 1]),
        n20=node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["21", 0], strength=0.8),
        n21=node("ControlNetLoader", control_net_name="canny.safetensors"),
    )
    picture = said(graph)

    assert (picture.prompt, picture.negative) == ("a red boat", "blurry")
    assert picture.guides == (Guide(kind="controlnet", model="canny", weight=0.8),)
    assert picture.missing == ()


def test_a_controlnet_and_an_ip_adapter_with_their_pictures():
    graph = basic(
        n3=sampler(positive=["20", 0], negative=["20", 1], model=["30", 0]),
        n20=node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["21", 0], strength=0.8,
                 start_percent=0.1, end_percent=0.7, image=["22", 0]),
        n21=node("ControlNetLoader", control_net_name="canny.safetensors"),
        n22=node("Canny", image=["23", 0]),
        n23=node("LoadImage", image="dir/fox.png"),
        n30=node("IPAdapterAdvanced", model=["4", 0], ipadapter=["31", 0], image=["24", 0], weight=0.5),
        n31=node("IPAdapterModelLoader", ipadapter_file="plus.safetensors"),
        n24=node("LoadImage", image="style.png"),
    )  # fmt: skip
    made = line(graph)

    assert "--control canny:0.8 --control-start 0.1 --control-end 0.7 --ip-adapter plus:0.5" in made.text
    assert made.missing == (
        "the picture fox.png that --control canny reads is not in the file, made by Canny: add --control-image FILE",
        "the picture style.png that --ip-adapter plus reads is not in the file: add --ip-image FILE",
    )
    assert made.lacks


def test_a_conditioning_of_zeros_is_an_empty_prompt():
    graph = basic(n3=sampler(negative=["20", 0]), n20=node("ConditioningZeroOut", conditioning=["6", 0]))

    assert said(graph).negative == ""


def test_embeddings_are_named_by_their_word():
    picture = said(basic(n7=node("CLIPTextEncode", text="embedding:sub/easy.pt, (embedding:bad:1.2)", clip=["4", 1])))

    assert (picture.negative, picture.embeddings) == ("easy, (bad:1.2)", ("easy", "bad"))


def test_weights_are_comfyuis_own():
    assert said(basic(n6=node("CLIPTextEncode", text="((a:1.3) b) [c]", clip=["4", 1]))).prompt == "(a:1.3) (b:1.1) [c]"


# -- models ----------------------------------------------------------------------------------------------------------


def test_loras_vae_and_clip_skip():
    graph = basic(
        n3=sampler(model=["20", 0]),
        n6=node("CLIPTextEncode", text="a red boat", clip=["21", 0]),
        n8=node("VAEDecode", samples=["3", 0], vae=["22", 0]),
        n20=node("LoraLoader", lora_name="sub/detail.safetensors", strength_model=0.8, strength_clip=1,
                 model=["23", 0], clip=["4", 1]),
        n21=node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["20", 1]),
        n22=node("VAELoader", vae_name="mse.safetensors"),
        n23=node("Power Lora Loader (rgthree)", lora_1={"on": True, "lora": "a.safetensors", "strength": 0.5},
                 lora_2={"on": False, "lora": "b.safetensors", "strength": 1}, model=["24", 0]),
        n24=node("ModelSamplingDiscrete", sampling="v_prediction", model=["4", 0]),
    )  # fmt: skip
    picture = said(graph)

    assert core(picture) == WANTED
    assert picture.loras == (Lora(name="detail", weight=0.8), Lora(name="a", weight=0.5))
    assert (picture.vae, picture.clip_skip) == ("mse", 1)
    assert picture.missing == ("not carried: the node ModelSamplingDiscrete",)


def test_an_efficient_loader_holds_everything():
    graph = {
        "1": node("Efficient Loader", ckpt_name="base.safetensors", vae_name="mse.pt", clip_skip=-2, lora_name="None",
                  positive="a red boat", negative="blurry", empty_latent_width=512, empty_latent_height=768),
        "2": node("KSampler (Efficient)", seed=5, steps=20, cfg=8, sampler_name="euler", scheduler="normal", denoise=1,
                  model=["1", 0], positive=["1", 1], negative=["1", 2], latent_image=["1", 3], vae=["1", 4]),
        "3": node("SaveImage", images=["2", 5]),
    }  # fmt: skip
    picture = said(graph)

    assert core(picture) == WANTED
    assert (picture.vae, picture.clip_skip) == ("mse", 1)


# -- samplers --------------------------------------------------------------------------------------------------------


def custom(**changes: Any) -> Graph:
    """The same with SamplerCustomAdvanced."""
    parts = {
        "n3": node("SamplerCustomAdvanced", noise=["20", 0], guider=["21", 0], sampler=["22", 0], sigmas=["23", 0],
                   latent_image=["5", 0]),
        "n20": node("RandomNoise", noise_seed=5),
        "n21": node("CFGGuider", cfg=8, model=["4", 0], positive=["6", 0], negative=["7", 0]),
        "n22": node("KSamplerSelect", sampler_name="euler"),
        "n23": node("BasicScheduler", scheduler="normal", steps=20, denoise=1, model=["4", 0]),
    }  # fmt: skip
    return basic(**{**parts, **changes})


def test_the_advanced_sampler_keeps_its_values_in_nodes_of_their_own():
    assert core(said(custom())) == WANTED


def test_flux_has_one_conditioning_and_a_guidance_of_its_own():
    graph = custom(
        n4=node("UNETLoader", unet_name="flux1-dev.safetensors"),
        n21=node("BasicGuider", model=["4", 0], conditioning=["24", 0]),
        n24=node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
    )
    picture = said(graph)

    assert core(picture) == ("a red boat", None, 5, 20, 1.0, "euler", (512, 768), "flux1-dev")
    assert picture.missing == ("not carried: distilled guidance 3.5",)


def test_levels_and_samplers_that_are_nodes():
    graph = custom(n22=node("SamplerDPMPP_2M_SDE", eta=1.0), n23=node("KarrasScheduler", steps=20, sigma_max=14.6))

    assert said(graph).scheduler == "dpmpp_2m_sde_karras"


def test_img2img_begins_from_a_file_that_is_named_and_never_opened():
    graph = basic(
        n3=sampler(denoise=0.6, latent_image=["10", 0]),
        n10=node("VAEEncode", pixels=["11", 0], vae=["4", 2]),
        n11=node("LoadImage", image="../private/face.png"),
    )
    picture = said(graph)

    assert (picture.source, picture.strength, picture.size) == (Source(name="face.png"), 0.6, None)
    assert line(graph)[:2] == (
        '| img2img "a red boat" --negative "blurry" --strength 0.6 --steps 20 --guidance 8 --scheduler euler --seed 5'
        " --model base",
        ("the source picture face.png is not in the file: pipe it in, as in load_image FILE | ...",),
    )


def test_a_source_may_be_made_larger_first():
    graph = basic(
        n3=sampler(denoise=0.6, latent_image=["10", 0]),
        n10=node("VAEEncode", pixels=["11", 0], vae=["4", 2]),
        n11=node("ImageScaleBy", image=["12", 0], scale_by=1.5),
        n12=node("LoadImage", image="face.png"),
    )

    assert said(graph).before == (Enlarge(scale=1.5),)
    assert said(graph).prompt == "a red boat"
    assert line(graph).text.startswith('| upscale --scale 1.5 | img2img "a red boat" ')


def two_passes() -> Graph:
    return basic(
        n10=node("LatentUpscale", samples=["3", 0], width=1024, height=1536, upscale_method="nearest", crop="disabled"),
        n11=sampler(seed=9, steps=12, denoise=0.5, latent_image=["10", 0], model=["12", 0]),
        n12=node("CheckpointLoaderSimple", ckpt_name="fine.ckpt"),
        n13=node("VAEDecode", samples=["11", 0], vae=["4", 2]),
        n14=node("ImageUpscaleWithModel", upscale_model=["15", 0], image=["13", 0]),
        n15=node("UpscaleModelLoader", model_name="RealESRGAN_x2.pth"),
        n9=node("SaveImage", images=["14", 0]),
    )


def test_every_sampler_on_the_way_is_a_pass():
    assert core(said(two_passes())) == WANTED
    assert line(two_passes())[:3] == (
        'txt2img "a red boat" --negative "blurry" --size 512x768 --steps 20 --guidance 8 --scheduler euler --seed 5'
        " --model base"
        " | resize 1024x1536 --how stretch"
        ' | img2img "a red boat" --negative "blurry" --strength 0.5 --steps 12 --guidance 8 --scheduler euler --seed 9'
        " --model fine"
        " | upscale --scale 2 --upscaler RealESRGAN_x2",
        (),
        (
            "the upscaler RealESRGAN_x2 is taken to enlarge 2 times, by its name",
            "LatentUpscale enlarges latents there and pixels here",
        ),
    )


def test_of_several_saving_nodes_the_one_of_the_pictures_size_is_taken():
    graph = two_passes() | {"16": node("SaveImage", images=["8", 0])}

    assert said(graph, (512, 768)).then == ()
    assert len(said(graph, (2048, 3072)).then) == 3
    assert len(said(graph).then) == 3  # else the one with most passes
    assert "the graph has 2 saving nodes; the one that fits the picture best is taken" in said(graph).guessed


def test_a_sampler_that_goes_on_from_the_first_is_no_pass():
    advanced = {"seed": None, "noise_seed": 5, "start_at_step": 0, "end_at_step": 20, "add_noise": "enable"}
    graph = basic(
        n3={"class_type": "KSamplerAdvanced", "inputs": {**sampler()["inputs"], **advanced}},
        n10={
            "class_type": "KSamplerAdvanced",
            "inputs": {**sampler(latent_image=["3", 0], model=["11", 0])["inputs"], "add_noise": "disable"},
        },
        n11=node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors"),
        n8=node("VAEDecode", samples=["10", 0], vae=["4", 2]),
    )
    picture = said(graph)

    assert core(picture) == WANTED
    assert picture.then == ()
    assert picture.missing == ("not carried: a second sampler that goes on from the first refiner",)


def test_a_sampler_that_begins_and_ends_between_has_a_strength():
    inputs = {**sampler(latent_image=["10", 0])["inputs"], "start_at_step": 5, "end_at_step": 15, "noise_seed": 6}
    graph = basic(
        n3={"class_type": "KSamplerAdvanced", "inputs": inputs},
        n10=node("VAEEncode", pixels=["11", 0], vae=["4", 2]),
        n11=node("LoadImage", image="face.png"),
    )
    picture = said(graph)

    assert (picture.strength, picture.seed) == (0.75, 6)
    assert picture.missing == ("not carried: stopping before the last of 20 steps 15",)


def test_ultimate_upscale_enlarges_and_draws():
    graph = basic(
        n10=node("UltimateSDUpscale", image=["8", 0], upscale_by=2.0, seed=8, steps=10, cfg=7, denoise=0.2,
                 sampler_name="euler_ancestral", scheduler="normal", model=["4", 0], positive=["6", 0],
                 negative=["7", 0], upscale_model=["11", 0]),
        n11=node("UpscaleModelLoader", model_name="4x-UltraSharp.pth"),
        n9=node("SaveImage", images=["10", 0]),
    )  # fmt: skip

    assert " | upscale --scale 2 --upscaler 4x-UltraSharp | img2img " in line(graph).text


def test_a_detailer_and_an_unknown_node_are_named_and_passed_through():
    graph = basic(
        n10=node("FaceDetailer", image=["8", 0], seed=8, steps=10, cfg=7, sampler_name="euler", denoise=0.5),
        n11=node("ImageSharpen", image=["10", 0]),
        n9=node("SaveImage", images=["11", 0]),
    )
    picture = said(graph)

    assert core(picture) == WANTED
    assert picture.missing == ("not carried: the node ImageSharpen", "not carried: the node FaceDetailer")


def test_a_batch_and_a_mask_are_said():
    graph = basic(
        n5=node("EmptyLatentImage", width=512, height=768, batch_size=4),
        n3=sampler(latent_image=["10", 0]),
        n10=node("SetLatentNoiseMask", samples=["5", 0], mask=["11", 0]),
        n11=node("LoadImageMask", image="m.png"),
    )
    picture = said(graph)

    assert picture.guessed == ("it is one of a batch of 4; the file does not say which, the first is taken",)
    assert "not carried: a mask SetLatentNoiseMask" in picture.missing


# -- where it stands -------------------------------------------------------------------------------------------------


def test_the_editors_workflow_alone_is_said(tmp_path: Path):
    info = opened(png(workflow=json.dumps({"nodes": [], "links": []})), tmp_path)

    assert info.tool == "comfyui"
    assert info.foreign is not None
    assert info.foreign.missing == (
        "the file has the editor's workflow only, and no way to a saved picture is found in it",
    )


@pytest.mark.parametrize("tag", [0x0110, 0x010F, 0x010E])
@pytest.mark.parametrize("prefix", ["prompt:", "Prompt: "])
def test_webp_keeps_it_in_exif(tag: int, prefix: str, tmp_path: Path):
    exif = Pillow.Exif()
    exif[tag] = prefix + json.dumps(basic())
    out = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(out, "WEBP", exif=exif)

    info = opened(out.getvalue(), tmp_path, "a.webp")

    assert info.tool == "comfyui"
    assert info.foreign is not None
    assert core(info.foreign) == WANTED


def test_a_graph_under_prompt_is_found():
    assert core(said({"prompt": basic(), "client_id": "x"})) == WANTED


# -- strangers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "graph",
    [
        {},
        {"1": node("SaveImage", images=["1", 0])},
        {"1": node("SaveImage", images=["2", 0]), "2": node("VAEDecode", samples=["1", 0])},
        {"1": node("SaveImage", images=["99", 0])},
        {"1": node("SaveImage", images=["2", 0]), "2": {"class_type": "KSampler", "inputs": None}},
        {"1": {"class_type": 5}, "2": None, "3": [], "4": "x"},
        basic(n6=node("CLIPTextEncode", text=["6", 0], clip=["6", 0])),
        basic(n4=node("LoraLoader", model=["4", 0], clip=["4", 1], lora_name=["4", 0])),
        basic(n5=node("LatentUpscale", samples=["3", 0], width=8, height=8)),
    ],
)
def test_broken_graphs_are_read_as_far_as_they_go(graph: Graph):
    picture = read("comfyui", {"prompt": json.dumps(graph)})

    assert picture is None or picture.tool == "comfyui"


links = st.lists(st.one_of(st.sampled_from("1234"), st.integers(0, 4)), min_size=2, max_size=2)
INPUTS = """seed noise_seed steps cfg sampler_name scheduler denoise model positive negative latent_image samples image
    images text width height conditioning clip vae guider noise sigmas sampler mask scale_by lora_name"""
KINDS = """KSampler KSamplerAdvanced SamplerCustomAdvanced SaveImage VAEDecode CLIPTextEncode LatentUpscale LoadImage
    CheckpointLoaderSimple LoraLoader ConditioningCombine ControlNetApply EmptyLatentImage ImageUpscaleWithModel"""
inputs, kinds = st.sampled_from(INPUTS.split()), st.sampled_from(KINDS.split())
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), links)
graphs = st.dictionaries(
    st.sampled_from("1234"),
    st.builds(lambda kind, found: {"class_type": kind, "inputs": found}, kinds, st.dictionaries(inputs, scalars)),
)


@given(graphs)
def test_any_graph_is_read_and_its_line_binds(graph: Graph):
    if read("comfyui", {"prompt": json.dumps(graph)}) is not None:
        line(graph)


def test_a_chain_of_ten_thousand_samplers_takes_no_two_seconds():
    chain = {str(n): sampler(latent_image=[str(n + 1), 0], positive=["x", 0], clip=["x", 0]) for n in range(10_000)}
    chain |= {f"s{n}": node("SaveImage", images=[str(n), 0]) for n in range(1000)}
    chain["x"] = node("CLIPTextEncode", text="a", clip=["x", 0])
    begun = time.process_time()

    said(chain)

    assert time.process_time() - begun < 2
