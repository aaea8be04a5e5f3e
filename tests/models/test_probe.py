"""What is this file? Full-size headers of every family, with the reason; and what is no model, each one sentence."""

import json
import math
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import (
    DENOISER,
    UNETS,
    checkpoint,
    clip,
    compact,
    esrgan,
    flux,
    kohya_lora,
    numbers,
    open_clip,
    peft_lora,
    sd3,
    under,
    unet,
    vae,
    write,
    write_raw,
)

from invoke_shell.errors import BlockedError
from invoke_shell.models.detectors import identify
from invoke_shell.models.header import Header
from invoke_shell.models.probe import look


def found(tmp_path, shapes, name="x.safetensors", **more):
    return look(write(tmp_path / name, shapes, **more))


def refused(path):
    with pytest.raises(BlockedError) as caught:
        look(path)
    assert caught.value.message.startswith(str(path))
    return caught.value.message.removeprefix(f"{path} "), caught.value.hint


# -- the material itself ---------------------------------------------------------------------------------------------

PARAMETERS = {"sd1": 859.52, "sd2": 865.91, "sdxl": 2567.46, "refiner": 2259.53}  # millions, of the published models


@pytest.mark.parametrize("family", UNETS)
def test_the_headers_are_those_of_the_real_models(family):
    assert round(numbers(unet(**UNETS[family])), 2) == PARAMETERS[family]


def test_the_encoders_are_those_of_the_real_models():
    assert [round(numbers(s), 2) for s in (clip(), open_clip(1280, 32), vae())] == [123.06, 694.66, 83.65]


# -- networks --------------------------------------------------------------------------------------------------------

MODELS = [
    (checkpoint("sd1"), "sd1", "", "epsilon"),
    (checkpoint("sd1", channels=9), "sd1", "inpaint", "epsilon"),
    (checkpoint("sd1", channels=8), "sd1", "edit", "epsilon"),
    (checkpoint("sd2"), "sd2", "", "epsilon"),
    (checkpoint("sd2", channels=9), "sd2", "inpaint", "epsilon"),
    (checkpoint("sd2", channels=5), "sd2", "depth", "epsilon"),
    (checkpoint("sdxl"), "sdxl", "", "epsilon"),
    (checkpoint("sdxl", channels=9), "sdxl", "inpaint", "epsilon"),
    (checkpoint("sdxl", channels=8), "sdxl", "edit", "epsilon"),
    (checkpoint("refiner"), "sdxl", "refiner", "epsilon"),
    (under(DENOISER, sd3()), "sd3", "medium", ""),
    (sd3(24, newer=True), "sd3", "3.5-medium", ""),
    (sd3(38), "sd3", "3.5-large", ""),
    (flux(), "flux", "dev", ""),
    (flux(guided=False), "flux", "schnell", ""),
    (flux(384), "flux", "fill", ""),
    (flux(128), "flux", "control", ""),
    (under(DENOISER, flux()), "flux", "dev", ""),
]


@pytest.mark.parametrize(("shapes", "base", "variant", "prediction"), MODELS)
def test_checkpoints(tmp_path, shapes, base, variant, prediction):
    it = found(tmp_path, shapes)

    assert (it.kind, it.base, it.variant, it.prediction) == ("checkpoint", base, variant, prediction)
    assert (it.dtype, it.zero_snr) == ("float16", False)
    assert it.reason


@pytest.mark.parametrize(
    ("shapes", "parts"),
    [
        (checkpoint("sdxl"), ("denoiser", "text_encoder", "vae")),
        (checkpoint("sd1"), ("denoiser", "text_encoder", "vae")),
        (under(DENOISER, unet(**UNETS["sd1"])), ("denoiser",)),
        (unet(**UNETS["sdxl"]), ("denoiser",)),
        (under(DENOISER, flux()) | under("vae.", vae(16)), ("denoiser", "vae")),
    ],
)
def test_what_a_checkpoint_has_and_lacks(tmp_path, shapes, parts):
    assert found(tmp_path, shapes).parts == parts


def test_the_reason_says_what_was_seen(tmp_path):
    it = found(tmp_path, checkpoint("sdxl", channels=9))

    assert it.reason == (
        "a U-Net that reads 9 channels and text of width 2048 and labels of width 2816; not marked as predicting v"
    )


def test_a_pruned_sdxl_is_not_taken_for_a_whole_one(tmp_path):
    small = unet(**{**UNETS["sdxl"], "depths": (0, 2, 4), "middle": 0})

    assert found(tmp_path, under(DENOISER, small)).variant == "pruned"


DIFFUSERS = [
    (768, 0, "sd1", ""),
    (1024, 0, "sd2", ""),
    (2048, 2816, "sdxl", "pruned"),
    (1280, 2560, "sdxl", "refiner"),
]


@pytest.mark.parametrize(("text", "label", "base", "variant"), DIFFUSERS)
def test_a_unet_as_diffusers_names_it(tmp_path, text, label, base, variant):
    shapes = {
        "conv_in.weight": (320, 4, 3, 3),
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (640, text),
    }
    if label:
        shapes["add_embedding.linear_1.weight"] = (1280, label)

    it = found(tmp_path, shapes)

    assert (it.kind, it.base, it.variant, it.parts) == ("checkpoint", base, variant, ("denoiser",))


def test_transformers_as_diffusers_names_them(tmp_path):
    flux = {
        "x_embedder.weight": (3072, 384),
        "time_text_embed.text_embedder.linear_1.weight": (3072, 768),
        "transformer_blocks.0.attn.add_q_proj.weight": (3072, 3072),
        "single_transformer_blocks.0.attn.norm_q.weight": (128,),
    }
    sd3 = {
        "pos_embed.proj.weight": (1536, 16, 2, 2),
        "context_embedder.weight": (1536, 4096),
        "transformer_blocks.0.attn.add_q_proj.weight": (1536, 1536),
        "transformer_blocks.0.attn2.to_k.weight": (1536, 1536),
    }

    assert [(it.base, it.variant) for it in (found(tmp_path, s) for s in (flux, sd3))] == [
        ("flux", "fill"),
        ("sd3", "3.5-medium"),
    ]


def test_a_unet_of_another_build_is_one_all_the_same(tmp_path):
    shapes = {
        "model.diffusion_model.input_blocks.0.0.weight": (32, 4, 3, 3),
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (32, 16),
        **under("first_stage_model.", vae()),
    }

    found = look(write(tmp_path / "small.safetensors", shapes))

    assert (found.kind, found.base, found.parts) == ("checkpoint", "", ("denoiser", "vae"))
    assert found.reason.startswith("unknown family: a U-Net that reads 4 channels and text of width 16")


def test_a_denoiser_that_is_not_known_is_no_vae(tmp_path):
    shapes = {"model.diffusion_model.x": (8, 8), **under("first_stage_model.", vae())}

    found = look(write(tmp_path / "odd.safetensors", shapes))

    assert (found.kind, found.reason.partition(":")[0]) == ("", "unknown")


@pytest.mark.parametrize("name", ["distilled_guidance_layer.in_proj.bias", "single_stream_modulation.lin.weight"])
def test_what_grew_out_of_flux_is_not_flux(tmp_path, name):
    it = found(tmp_path, flux() | {name: (8,)})

    assert it.base in ("chroma", "flux2")


# -- prediction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_marked_as_predicting_v_with_zero_terminal_snr(tmp_path, family):
    it = found(tmp_path, checkpoint(family) | {"v_pred": (0,), "ztsnr": (0,)})

    assert (it.prediction, it.zero_snr) == ("v", True)
    assert it.reason.endswith("; marked v_pred")


def test_a_modelspec_may_say_what_is_predicted(tmp_path):
    it = found(tmp_path, checkpoint("sd2"), metadata={"modelspec.prediction_type": "v"})

    assert it.prediction == "v"
    assert it.advice == {"size": "768x768"}


@pytest.mark.parametrize(("said", "wanted"), [('parameterization: "v"', "v"), ("linear_start: 0.1", "epsilon")])
def test_a_config_beside_sd2_says_what_is_predicted(tmp_path, said, wanted):
    (tmp_path / "x.yaml").write_text(f"model:\n  params:\n    {said}\n")

    assert found(tmp_path, checkpoint("sd2")).prediction == wanted


@pytest.mark.parametrize(("dtype", "form"), [("F16", "e"), ("F32", "f"), ("BF16", "")])
@pytest.mark.parametrize(("spread", "wanted"), [(0.25, "v"), (1 / 64, "epsilon")])
def test_one_bias_of_sd2_tells_what_is_predicted(tmp_path, dtype, form, spread, wanted):
    path = write(tmp_path / "x.safetensors", checkpoint("sd2"), dtype=dtype)
    with path.open("r+b") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start, stop = header[DENOISER + "output_blocks.11.1.transformer_blocks.0.norm1.bias"]["data_offsets"]
        values = [spread * (-1) ** n for n in range(320)]  # 0.25 and 1/64 are exact in every type
        raw = struct.pack(f"<320{form}", *values) if form else b"".join(struct.pack("<f", v)[2:] for v in values)
        file.seek(8 + len(json.dumps(header)) + start)
        file.write(raw)
        assert len(raw) == stop - start

    it = look(path)

    assert it.prediction == wanted
    assert f"a bias spreads by {spread:.3f}" in it.reason


# -- smaller things --------------------------------------------------------------------------------------------------

SMALL = [
    (vae(), "vae", "sd1/sd2/sdxl", ""),
    (vae(16), "vae", "sd3/flux", ""),
    (under("first_stage_model.", vae()), "vae", "sd1/sd2/sdxl", ""),
    (kohya_lora("sd1"), "lora", "sd1", "kohya"),
    (kohya_lora("sd2"), "lora", "sd2", "kohya"),
    (kohya_lora("sdxl"), "lora", "sdxl", "kohya"),
    (peft_lora("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", 768), "lora", "sd1", "peft"),
    (peft_lora("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", 2048), "lora", "sdxl", "peft"),
    (peft_lora("down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", 768), "lora", "sd1", "peft"),
    (peft_lora("base_model.model.down_blocks.1.x.attn2.to_k", 1024), "lora", "sd2", "peft"),
    (peft_lora("transformer.single_transformer_blocks.3.attn.to_q", 3072), "lora", "flux", "peft"),
    (peft_lora("transformer.transformer_blocks.3.attn.add_k_proj", 1536), "lora", "sd3", "peft"),
    ({"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (16, 3072)}, "lora", "flux", "kohya"),
    ({"lora_unet_x_attn2_to_k.hada_w1_b": (8, 768)}, "lora", "sd1", "kohya"),
    ({"unet.x.attn2.processor.to_k_lora.down.weight": (4, 768)}, "lora", "sd1", "peft"),
    ({"emb_params": (8, 768)}, "embedding", "sd1", ""),
    ({"emb_params": (2, 128)}, "embedding", "", ""),
    ({"<cat-toy>": (1024,)}, "embedding", "sd2", ""),
    ({"clip_l": (4, 768), "clip_g": (4, 1280)}, "embedding", "sdxl", ""),
    (esrgan(), "upscaler", "", "esrgan x4"),
    (esrgan(6, first=12), "upscaler", "", "esrgan x2"),
    ({"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)}, "upscaler", "", "esrgan"),
    (compact(4), "upscaler", "", "compact x4"),
    (compact(2, depth=32), "upscaler", "", "compact x2"),
    (under("control_model.", unet(text=768) | {"input_hint_block.0.weight": (16, 3, 3, 3)}), "controlnet", "sd1", ""),
    (unet(**UNETS["sdxl"]) | {"input_hint_block.0.weight": (16, 3, 3, 3)}, "controlnet", "sdxl", ""),
    (
        {
            "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
            "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (640, 1024),
        },
        "controlnet", "sd2", "",
    ),
    ({"controlnet_blocks.0.weight": (1, 1), "controlnet_x_embedder.weight": (1, 1)}, "controlnet", "flux", ""),
    ({"lllite_unet_x.down.0.weight": (1, 1)}, "controlnet", "", "lllite"),
    ({"image_proj.proj.weight": (3072, 1024), "ip_adapter.1.to_k_ip.weight": (320, 768)}, "ip_adapter", "sd1", ""),
    ({"image_proj.latents": (1, 16, 1280), "ip_adapter.1.to_k_ip.weight": (640, 2048)}, "ip_adapter", "sdxl", ""),
    (clip(), "text_encoder", "", "clip_l"),
    ({"encoder.block.0.layer.0.SelfAttention.k.weight": (4096, 4096)}, "text_encoder", "", "t5xxl"),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "kind", "base", "variant"), SMALL)
def test_what_is_no_checkpoint(tmp_path, shapes, kind, base, variant):
    it = found(tmp_path, shapes)

    assert (it.kind, it.base, it.variant) == (kind, base, variant)


def test_a_lora_says_its_trigger_words(tmp_path):
    tags = {"10_sks": {"sks dog": 20, "grass": 19, "sky": 3}, "5_more": {"collar": 8}}
    shapes = kohya_lora("sd1")

    spec = found(tmp_path, shapes, metadata={"modelspec.trigger_phrase": "sks, a dog"})
    kohya = found(tmp_path, shapes, metadata={"ss_tag_frequency": json.dumps(tags)})
    broken = [
        found(tmp_path, shapes, metadata={"ss_tag_frequency": s}) for s in ("{", "[1]", '{"a": 3}', '{"a":{"b":"c"}}')
    ]

    assert spec.words == ("sks", "a dog")
    assert kohya.words == ("sks dog", "grass", "collar")
    assert [it.words for it in broken] == [()] * 4


def test_a_lora_without_telling_widths_is_known_by_its_words(tmp_path):
    shapes = {"lora_unet_x_proj_in.lora_down.weight": (4, 320)}

    told = found(tmp_path, shapes, metadata={"ss_base_model_version": "sdxl_base_v1-0"})
    silent = found(tmp_path, shapes)

    assert (told.base, silent.base) == ("sdxl", "")
    assert told.reason.endswith("; ss_base_model_version says sdxl_base_v1-0")


def test_a_modelspec_is_told_but_shapes_decide(tmp_path):
    spec = {
        "modelspec.architecture": "stable-diffusion-v1", "modelspec.title": "Fox", "modelspec.license": "MIT",
        "modelspec.thumbnail": "data:" + "x" * 10**5, "modelspec.resolution": "1216x832",
    }  # fmt: skip
    it = found(tmp_path, checkpoint("sdxl"), metadata=spec)

    assert it.base == "sdxl"
    assert it.told == {
        "architecture": "stable-diffusion-v1",
        "title": "Fox",
        "license": "MIT",
        "resolution": "1216x832",
    }
    assert it.advice == {"size": "1216x832"}


def test_a_small_network_of_a_family_is_known_by_its_modelspec_alone(tmp_path):
    small = under(DENOISER, unet(text=32, width=32))

    silent = found(tmp_path, small)
    told = found(tmp_path, small, metadata={"modelspec.architecture": "stable-diffusion-v1"})

    assert (silent.kind, silent.base) == ("checkpoint", "")
    assert silent.reason.startswith("unknown family: a U-Net that reads 4 channels and text of width 32")
    assert told.base == "sd1"


def test_fp8_is_said(tmp_path):
    it = found(tmp_path, flux(), dtype="F8_E4M3")

    assert it.dtype == "float8_e4m3"
    assert it.notes == ("its weights are 8-bit numbers (float8_e4m3): a float16 file of the same model draws finer",)


def test_unknown_is_said_with_what_was_seen(tmp_path):
    it = found(tmp_path, {"b.weight": (2, 2), "a\x1b[31m": (1,), "c" * 100: (1,), "d": (1,)})

    assert (it.kind, it.base) == ("", "")
    assert it.reason == f'unknown: 4 tensors, such as "a\\u{{1b}}[31m", b.weight, {"c" * 60}'


def test_nothing_is_unknown_too(tmp_path):
    assert found(tmp_path, {}).reason == "unknown: there are no tensors in it"


# -- GGUF ------------------------------------------------------------------------------------------------------------


def gguf(path, tensors, told=()):
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(told))
    for name, value in told:
        if isinstance(value, list):
            out += text(name) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(v) for v in value)
        elif isinstance(value, str):
            out += text(name) + struct.pack("<I", 8) + text(value)
        else:
            out += text(name) + struct.pack("<II", 4, value)
    for name, shape in tensors.items():
        out += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1]) + struct.pack("<IQ", 12, 0)
    path.write_bytes(out)
    with path.open("rb+") as file:  # the weights: holes
        file.truncate(-(-len(out) // 32) * 32 + max(map(math.prod, tensors.values())) // 256 * 144)
    return path


def test_gguf_is_said_and_not_loaded(tmp_path):
    told = [("general.architecture", "flux"), ("words", ["a", "b"]), ("general.file_type", 15)]

    it = look(gguf(tmp_path / "f.gguf", flux(), told))

    assert (it.kind, it.base, it.variant, it.format, it.dtype) == ("checkpoint", "flux", "dev", "gguf", "q4_k")
    assert it.reason.startswith("GGUF: a transformer")


def test_gguf_that_names_its_family_only(tmp_path):
    it = look(gguf(tmp_path / "f.gguf", {"x": (2,)}, [("general.architecture", "sd3")]))

    assert (it.kind, it.base, it.reason) == ("checkpoint", "sd3", "GGUF: it says its architecture is sd3")
    assert it.advice["scheduler"] == "euler"


def test_gguf_whose_weights_broke_off(tmp_path):
    path = gguf(tmp_path / "f.gguf", flux(), [("general.architecture", "flux")])
    whole = path.stat().st_size
    with path.open("rb+") as file:
        file.truncate(whole - 1)

    with pytest.raises(BlockedError, match=r"is cut short: 37\.2 MB are announced and 37\.2 MB are there"):
        look(path)


def test_sizes_of_packed_numbers_are_the_formats_own():
    pytest.importorskip("gguf", reason="an extra")
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    from invoke_shell.models.gguf import TYPES

    theirs = {int(kind): (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType}
    assert {kind: theirs[kind] for kind in TYPES} == TYPES


@pytest.mark.parametrize("keep", [6, 20, 60, 300])
def test_gguf_that_broke_off(tmp_path, keep):
    path = gguf(tmp_path / "f.gguf", flux(), [("general.architecture", "flux"), ("words", ["a" * 50] * 9)])
    path.write_bytes(path.read_bytes()[:keep])

    assert refused(path) == ("is a GGUF file whose header cannot be read", "download it again")


# -- what is no model ------------------------------------------------------------------------------------------------

LINK = "download the model's file, not what its page shows"
BEGINNINGS = [
    (b"\xff\xd8\xff\xe0" + b"x" * 60, "is a JPEG picture", LINK),
    (b"\x89PNG\r\n\x1a\n" + b"x" * 60, "is a picture", LINK),
    (
        b"<!DOCTYPE html><html>" + b" " * 60,
        "is a web page: the site wanted a login, or the link was not to the file",
        "download it again",
    ),
    (b"version https://git-lfs.github.com/x", "is a pointer of Git LFS, not the weights", "git lfs pull fetches them"),
    (b"\0" * 100, "holds nothing yet: its download was not finished", "download it again"),
    (b"", "holds nothing yet: its download was not finished", "download it again"),
    (b"Once upon a time", "is no file of weights that is known here", "known are .safetensors, .sft, .gguf"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "why", "hint"), BEGINNINGS)
def test_what_only_has_the_ending(tmp_path, content, why, hint):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)

    assert refused(path) == (why, hint)


@pytest.mark.parametrize("content", [b"PK\x03\x04archive/data.pkl", b"\x80\x02}q\x00."])
@pytest.mark.parametrize("name", ["x.ckpt", "x.safetensors", "x.pt", "x.bin"])
def test_a_pickle_is_refused_by_its_content(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)

    why, hint = refused(path)

    assert why == "is a pickle, which could run any program when it is opened"
    assert hint == f"models convert {path} makes a safetensors file of it"


@pytest.mark.parametrize("name", ["x.ckpt", "x.gguf", "x.txt", "x"])
def test_a_wrong_ending_is_said_with_the_right_one(tmp_path, name):
    path = write(tmp_path / name, kohya_lora("sd1"))

    assert refused(path) == ("is a safetensors file by its content", "rename it to x.safetensors")


@pytest.mark.parametrize("keep", [9, 100, 1000])
def test_a_file_whose_header_broke_off(tmp_path, keep):
    path = write(tmp_path / "x.safetensors", checkpoint("sd1"))
    with path.open("r+b") as file:
        file.truncate(keep)

    assert refused(path) == ("is cut short: its header is not all there", "download it again")


def test_a_file_whose_weights_broke_off(tmp_path):
    path = write(tmp_path / "x.safetensors", checkpoint("sdxl"))
    with path.open("r+b") as file:
        file.truncate(3_000_000_000)

    assert refused(path) == ("is cut short: 6.94 GB are announced and 3 GB are there", "download it again")


def test_a_header_larger_than_any(tmp_path):
    path = write_raw(tmp_path / "x.safetensors", b"{" + b" " * 25_000_001 + b"}", 0)

    assert refused(path) == ("has a header of 25 MB; at most 25 MB is read", "download it again")


def test_a_header_of_petabytes_is_not_waited_for(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f{" + b"x" * 100)

    assert refused(path)[0].startswith("has a header of ")


def test_four_hundred_thousand_tensors(tmp_path):
    entry = ':{"dtype":"F16","shape":[0],"data_offsets":[0,0]}'
    raw = "{" + ",".join(f'"{n}"{entry}' for n in range(400_000)) + "}"
    path = write_raw(tmp_path / "x.safetensors", raw.encode(), 0)

    assert refused(path) == ("has 400,000 tensors; at most 100,000 are read", "it is no model for this program")


TENSOR = '{"dtype":"F16","shape":[2],"data_offsets":[0,4]}'
TWICE = "has two tensors of one name, and each reader would take another one"
CONTRADICTS, UNREADABLE = "has a header that contradicts itself", "has a header that cannot be read"
HEADERS = [
    (f'{{"a":{TENSOR},"a":{TENSOR}}}', TWICE),
    ('{"a":{"dtype":"F16","shape":[2],"shape":[3],"data_offsets":[0,4]}}', TWICE),
    ('{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,4]}}', CONTRADICTS),
    ('{"a":{"dtype":"F16","shape":[-2],"data_offsets":[0,-4]}}', CONTRADICTS),
    ('{"a":{"dtype":"F16","shape":[2.0],"data_offsets":[0,4]}}', CONTRADICTS),
    ('{"a":{"dtype":"X","shape":[2],"data_offsets":[4,0]}}', CONTRADICTS),
    ('{"a":{"dtype":"F16","shape":' + str([1] * 99) + ',"data_offsets":[0,2]}}', CONTRADICTS),
    ('{"a":{"dtype":"F16","shape":2,"data_offsets":[0,4]}}', UNREADABLE),
    ('{"a":{"dtype":["F16"],"shape":[2],"data_offsets":[0,4]}}', UNREADABLE),
    ('{"a":{"dtype":"F16","shape":[2],"data_offsets":["0","4"]}}', CONTRADICTS),
    ('{"a":{"dtype":"F16","shape":[2],"data_offsets":[0]}}', UNREADABLE),
    ('{"a":3}', UNREADABLE),
    ('{"a":' + "9" * 5000 + "}", UNREADABLE),
    ("{" * 10, UNREADABLE),
    ('{"a":' * 30000, UNREADABLE),
    ("{\xff\xfe", UNREADABLE),
]  # fmt: skip


@pytest.mark.parametrize(("header", "why"), HEADERS)
def test_headers_that_lie(tmp_path, header, why):
    path = write_raw(tmp_path / "x.safetensors", header.encode("latin-1"), 64)

    assert refused(path) == (why, "download it again")


def test_bytes_that_move_the_cursor_are_never_shown_raw(tmp_path):
    path = tmp_path / "a\x1b[2J\n.safetensors"
    path.write_bytes(b"\xff\xd8\xff")

    with pytest.raises(BlockedError) as caught:
        look(path)

    assert str(caught.value).replace("\n  ", "").isprintable()
    assert "a\\u{1b}[2J\\u{a}.safetensors" in str(caught.value)


def test_a_path_where_nothing_is_says_what_is_near(tmp_path):
    write(tmp_path / "fox-v2.safetensors", kohya_lora("sd1"))

    for typed, hint in (
        ("fox_v2.safetensors", f"did you mean {tmp_path}/fox-v2.safetensors?"),
        ("loras/fox.safetensors", f"there is no folder {tmp_path}/loras"),
        ("something else", ""),
    ):
        with pytest.raises(BlockedError, match=r"^there is no model at ") as raised:
            look(tmp_path / typed)
        assert raised.value.hint == hint


def test_a_path_where_nothing_is(tmp_path):
    with pytest.raises(BlockedError) as caught:
        look(tmp_path / "gone.safetensors")

    assert str(caught.value) == f"there is no model at {tmp_path}/gone.safetensors"


# -- folders ---------------------------------------------------------------------------------------------------------


def pipeline(folder, name="StableDiffusionPipeline", *, text=768, channels=4, prediction="epsilon", **more):
    """A diffusers folder with the parts of a Stable Diffusion pipeline."""
    parts = ("unet", "vae", "text_encoder")
    index = {
        "_class_name": name,
        "safety_checker": [None, None],
        **{p: ["diffusers", "X"] for p in (*parts, "scheduler")},
    }
    (folder / "scheduler").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps({"prediction_type": prediction, **more}))
    for part in parts:
        write(folder / part / "diffusion_pytorch_model.safetensors", {"x": (2,)}, dtype="BF16")
    config = {"cross_attention_dim": text, "in_channels": channels, "sample_size": 64}
    (folder / "unet/config.json").write_text(json.dumps(config))
    (folder / "vae/config.json").write_text(json.dumps({"block_out_channels": [1, 2, 3, 4]}))
    return folder


PIPELINES = [
    ("StableDiffusionPipeline", {}, "sd1", ""),
    ("StableDiffusionPipeline", {"text": 1024}, "sd2", ""),
    ("StableDiffusionPipeline", {"channels": 9}, "sd1", "inpaint"),
    ("StableDiffusionInpaintPipeline", {"text": 1024}, "sd2", "inpaint"),
    ("StableDiffusionInstructPix2PixPipeline", {}, "sd1", "edit"),
    ("StableDiffusionXLPipeline", {"text": 2048}, "sdxl", ""),
    ("StableDiffusionXLImg2ImgPipeline", {"text": 1280}, "sdxl", "refiner"),
    ("StableDiffusionXLInpaintPipeline", {"text": 2048}, "sdxl", "inpaint"),
    ("StableDiffusion3Pipeline", {}, "sd3", ""),
    ("FluxPipeline", {}, "flux", ""),
    ("FluxFillPipeline", {}, "flux", "fill"),
    ("WanPipeline", {}, "wan", ""),
]


@pytest.mark.parametrize(("name", "more", "base", "variant"), PIPELINES)
def test_folders_by_their_pipeline(tmp_path, name, more, base, variant):
    it = look(pipeline(tmp_path / "m", name, **more))

    assert (it.kind, it.base, it.variant, it.format, it.dtype) == ("checkpoint", base, variant, "folder", "bfloat16")
    assert it.advice["size"] == "512x512"


def test_a_folder_says_what_it_predicts(tmp_path):
    it = look(pipeline(tmp_path / "m", prediction="v_prediction", rescale_betas_zero_snr=True))

    assert (it.prediction, it.zero_snr) == ("v", True)


@pytest.mark.parametrize(
    ("config", "kind", "base"),
    [
        ({"_class_name": "AutoencoderKL", "latent_channels": 4}, "vae", "sd1/sd2/sdxl"),
        ({"_class_name": "ControlNetModel", "cross_attention_dim": 2048}, "controlnet", "sdxl"),
        ({"_class_name": "UNet2DConditionModel", "cross_attention_dim": 768}, "checkpoint", "sd1"),
        ({"architectures": ["T5EncoderModel"]}, "text_encoder", ""),
        ({"_class_name": "MotionAdapter"}, "", ""),
    ],
)
def test_components_are_models_of_their_own(tmp_path, config, kind, base):
    write(tmp_path / "diffusion_pytorch_model.safetensors", {"x": (2,)})
    (tmp_path / "config.json").write_text(json.dumps(config))

    it = look(tmp_path)

    assert (it.kind, it.base, it.format) == (kind, base, "folder")


def half(folder, what):
    import shutil

    if what == "part":
        shutil.rmtree(folder / "vae")
    elif what == "weights":
        (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    elif what == "pickled":
        (folder / "unet/diffusion_pytorch_model.safetensors").rename(folder / "unet/diffusion_pytorch_model.bin")
    elif what == "shard":
        shards = {"weight_map": {"x": "a-1.safetensors", "y": "a-2.safetensors"}}
        (folder / "unet/a.safetensors.index.json").write_text(json.dumps(shards))
    elif what == "broken":
        (folder / "model_index.json").write_text("{")


HALVES = [
    ("part", "is half a model: its vae is missing", "download it again, whole"),
    ("weights", "is half a model: there are no weights in its unet", "download it again, whole"),
    (
        "pickled",
        "has only pickled weights in unet, which could run any program",
        "look for its safetensors variant, or convert each with: models convert FILE.bin",
    ),
    ("shard", "is half a model: a-1.safetensors is missing in its unet", "download it again, whole"),
    ("broken", "has a model_index.json that cannot be read", "download it again, whole"),
]


@pytest.mark.parametrize(("what", "why", "hint"), HALVES)
def test_half_a_folder(tmp_path, what, why, hint):
    folder = pipeline(tmp_path / "m")
    half(folder, what)

    assert refused(folder) == (why, hint)


def test_a_folder_whose_weights_broke_off(tmp_path):
    folder = pipeline(tmp_path / "m")
    (folder / "vae/diffusion_pytorch_model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")

    with pytest.raises(BlockedError, match=r"vae/diffusion_pytorch_model\.safetensors"):
        look(folder)


def test_any_other_folder(tmp_path):
    why = "is not a model: model_index.json is not in it"

    assert refused(tmp_path) == (why, "models scan looks for models inside it")


# -- cost ------------------------------------------------------------------------------------------------------------


def test_a_header_of_sdxl_takes_milliseconds(tmp_path):
    path = write(tmp_path / "x.safetensors", checkpoint("sdxl"))
    times = []
    for _ in range(5):
        start = time.process_time()
        look(path)
        times.append(time.process_time() - start)

    assert min(times) < 0.020


def test_looking_needs_no_torch():
    code = (
        "import sys, invoke_shell.models.probe; print([m for m in ('torch', 'numpy', 'sqlite3') if m in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


# -- anything at all -------------------------------------------------------------------------------------------------

NAMES = sorted({name for shapes, *_ in SMALL for name in list(shapes)[:40]} | {"v_pred", "img_in.weight", "x.yaml"})


@given(
    st.dictionaries(st.sampled_from(NAMES), st.lists(st.integers(0, 3000), max_size=5).map(tuple), max_size=12),
    st.dictionaries(
        st.sampled_from(["modelspec.architecture", "ss_tag_frequency", "modelspec.x"]), st.text(max_size=20)
    ),
)
def test_any_shapes_of_any_names_get_an_answer(shapes, metadata):
    tensors = {name: ("F16", shape, 0, 0) for name, shape in shapes.items()}

    it = identify(Header(tensors=tensors, metadata=metadata), Path("x.safetensors"))

    assert it.reason.isprintable()
    assert it.kind or it.reason.startswith("unknown: ")


@given(st.binary(max_size=200))
def test_any_bytes_get_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "x.safetensors"
    path.write_bytes(content)

    assert answer(path)


def answer(path):
    try:
        return look(path).reason
    except BlockedError as error:
        return error.message
