"""InvokeAI 1 (Dream), 2 (sd-metadata of command line and web page), 3 and later."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from foreign_material import GPU, core, found, opened, png, told
from hypothesis import given
from hypothesis import strategies as st

from invoke_shell.metadata.foreign.dream import SILENT, SWITCHES, parse
from invoke_shell.metadata.foreign.result import Enlarge, Lora, Source
from invoke_shell.pipeline.types import Weighted

SHA = "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516"

# -- Dream -----------------------------------------------------------------------------------------------------------

VALUES = {"steps": "50", "seed": "42", "width": "512", "height": "768", "guidance": "7.5", "sampler": "k_euler"}


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ('"a cat" -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler', "a cat"),
        ('"a cat" -s50 -S42 -W512 -H768 -C7.5 -Ak_euler', "a cat"),
        ("a cat -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler", "a cat"),
        ('"a "big" cat" -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler', 'a "big" cat'),
        ('"a \\"big\\" cat" -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler', 'a "big" cat'),
        ("a cat -X, it's - so -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler", "a cat -X, it's - so"),
        ('a "cat -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler', 'a "cat'),
        (" -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler", ""),
        ('"a cat" --steps 50 --seed 42 --width 512 --height 768 --cfg_scale 7.5 --sampler k_euler', "a cat"),
        ('"a cat" -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler -n 4 -g -o /etc/passwd', "a cat"),
    ],
)
def test_a_command_is_read_quoted_or_not_attached_or_not(text: str, prompt: str):
    dream = parse(text)

    assert (dream.prompt, dream.values, dream.other) == (prompt, VALUES, "")


def test_the_model_stands_behind_the_command():
    dream = parse("a cat -s 50 # model_id=stable-diffusion-1.5")

    assert (dream.prompt, dream.values, dream.model) == ("a cat", {"steps": "50"}, "stable-diffusion-1.5")


def test_paths_may_have_blanks_and_pictures_may_be_inside():
    assert parse("x -I a scratch file -A k_lms --fit").values == {
        "source": "a scratch file",
        "sampler": "k_lms",
        "fit": "",
    }
    inside = parse(f'"x" -s5 -Idata:image/png;base64,{"QUJD" * 200_000}== -f0.4')
    assert inside.values == {"steps": "5", "source": "data:", "strength": "0.4"}


@pytest.mark.parametrize("text", ["!mask a.png -tm hair 0.5", '!fix "a.png" -U 2', "<too lazy to implement>"])
def test_what_is_no_prompt_is_told_and_not_run(text: str):
    line = told("invokeai", Dream=text)

    assert line.text == ""
    assert line.missing == (f"it was not drawn from a prompt; Dream says: {text}",)


def test_a_dream_alone_is_a_line():
    line = told(
        "invokeai", Dream='"a fox [blurry]" -s 30 -S 7 -W 512 -H 512 -C 6 -A k_euler_a -G 0.8 -U 2 0.5 --seamless'
    )

    assert line.text == (
        'txt2img "a fox" --negative "blurry" --size 512x512 --steps 30 --guidance 6 --scheduler euler_a --rng philox'
        " --seed 7 --seamless both | upscale --scale 2"
    )
    assert line.missing == ("not carried: face restoration gfpgan at 0.8",)
    assert line.guessed[-1] == GPU


def test_img2img_of_a_dream():
    line = told(
        "invokeai",
        Dream='"fire" -s 50 -S 1 -W 384 -H 384 -C 7.5 -I /home/bob/fire.png -A ddim -f 0.4 --fit -tm face 0.6',
    )

    assert line.text.startswith('| resize 384x384 --how fit | img2img "fire" --strength 0.4 --steps 50 ')
    assert "bob" not in " ".join(line.missing)
    assert line.missing[0] == "not carried: a mask face 0.6"
    assert line.missing[-1] == "the source picture fire.png is not in the file: pipe it in, as in load_image FILE | ..."


@pytest.mark.parametrize("text", ["1111:0.2,3333:0.1", "1111,0.2;3333,0.1"])
def test_variations_are_other_seeds_noise(text: str):
    line = told("invokeai", Dream=f'"a" -s5 -S2 -V {text} -v 0.2')

    assert " --blend 1111:0.2 --blend 3333:0.1 " in line.text
    assert line.missing == ()


def test_the_seed_may_be_missing():
    line = told("invokeai", Dream='"a cat" -s 50 -W 512 -H 512')

    assert "the seed is not in the file: a fresh one is drawn" in line.missing
    assert line.guessed == ("not in the file, so what is set here counts: guidance, scheduler", GPU)


@given(
    st.lists(st.sampled_from([*SWITCHES, *SILENT, '"', "a", "-", "5", "0.5", "# model_id=x", "[b]", "\\"])).map(
        " ".join
    )
)
def test_any_command_is_read_and_its_line_binds(text: str):
    if text.strip():
        told("invokeai", Dream=text)


@pytest.mark.parametrize("unit", ['"', "-s ", '" -', "-s5 ", " ", "[a", "a:1,", "withLora(", "<a"])
def test_a_long_command_takes_no_two_seconds(unit: str):
    text = unit * (2_000_000 // len(unit))
    begun = time.process_time()

    told("invokeai", Dream=f"x{text}")
    told("invokeai", Dream=f'"{text}')

    assert time.process_time() - begun < 2


# -- sd-metadata -----------------------------------------------------------------------------------------------------

CLI = {
    "type": "txt2img", "prompt": [{"prompt": "a fox [blurry, ugly]", "weight": 1.0}], "seed": 42, "steps": 60,
    "cfg_scale": 7.5, "width": 576, "height": 512, "sampler": "k_euler", "variations": [], "postprocessing": None,
    "threshold": 0.0, "perlin": 0.0, "facetool": "gfpgan", "facetool_strength": 0.0, "upscale": None,
    "hires_fix": False, "h_symmetry_time_pct": None, "v_symmetry_time_pct": None, "init_mask": None,
}  # fmt: skip
WANTED = ("a fox", "blurry, ugly", 42, 60, 7.5, "euler", (576, 512), "stable-diffusion-1.5")


def metadata(changes: Any = None, **top: Any) -> str:
    data = {"model": "stable diffusion", "model_id": "stable-diffusion-1.5", "model_hash": SHA,
            "app_id": "invoke-ai/InvokeAI", "app_version": "2.3.5", "image": CLI | (changes or {})}  # fmt: skip
    return json.dumps({**data, **top})


def said(changes: Any = None, dream: str = "", **top: Any) -> Any:
    return found("invokeai", **{"sd-metadata": metadata(changes, **top), "Dream": dream})


def line(changes: Any = None, dream: str = "", **top: Any) -> Any:
    return told("invokeai", **{"sd-metadata": metadata(changes, **top), "Dream": dream})


def test_the_form_of_the_command_line():
    assert core(said()) == WANTED
    assert said().model.hashes == {"sha256": SHA}
    assert line().missing == ()
    assert line().guessed == (GPU,)


@pytest.mark.parametrize(
    ("changes", "top"),
    [
        ({"prompt": "a fox [blurry, ugly]"}, {}),  # the web page of 2.3
        ({}, {"model_id": None, "model_weights": "stable-diffusion-1.5"}),
        ({}, {"image": None, "images": [CLI, CLI]}),
        ({}, {"model_hash": "NOHASH"}),
        ({"prompt": [{"prompt": "a fox [blurry, ugly]"}]}, {}),
        ({"steps": "60", "seed": 42.0, "cfg_scale": "7.5"}, {}),
    ],
)
def test_every_form_it_took(changes: dict[str, Any], top: dict[str, Any]):
    assert core(said(changes, **top)) == WANTED


def test_a_grid_is_said_and_its_first_picture_taken():
    assert (
        "it is a grid of 2 pictures; the first is taken" in said(image=None, images=[CLI, {**CLI, "seed": 43}]).guessed
    )


@pytest.mark.parametrize("prompt", ["", []])
def test_an_empty_prompt(prompt: Any):
    assert said({"prompt": prompt}).prompt == ""


@pytest.mark.parametrize(
    ("prompt", "ours"),
    [
        ([{"prompt": "blue sphere", "weight": 0.25}, {"prompt": "red cube", "weight": 0.75}],
         '("blue sphere", "red cube").blend(0.25, 0.75)'),
        ([{"prompt": "dog", "weight": 1 / 3}, {"prompt": ",cat", "weight": 2 / 3}],
         '("dog", "cat").blend(0.3333, 0.6667)'),
        ("dog:1,cat:2", '("dog", "cat").blend(1, 2)'),
        ("a clock at 12:30", "a clock at 12:30"),
    ],
)  # fmt: skip
def test_blends_are_written_as_later_versions_write_them(prompt: Any, ours: str):
    assert said({"prompt": prompt}).prompt == ours


def test_weights_triggers_and_loras_inside_the_prompt():
    picture = said({"prompt": "a fox++ <style> withLora(detail, 0.8), \\(x\\)"})

    assert picture.prompt == "a fox++ style , \\(x\\)"
    assert (picture.loras, picture.embeddings) == ((Lora(name="detail", weight=0.8),), ("style",))
    assert picture.missing == ()


@pytest.mark.parametrize(
    ("theirs", "ours", "named"),
    [
        ("big (red dog).swap(tiger) runs", "big red dog runs", "(red dog).swap(tiger)"),
        ("a cat.swap(dog) runs", "a cat runs", "cat.swap(dog)"),
        ('("a", "b").blend(0.5, 0.5)', '("a", "b").blend(0.5, 0.5)', ""),
    ],
)
def test_what_our_prompts_have_stays_and_the_rest_is_named(theirs: str, ours: str, named: str):
    picture = said({"prompt": theirs})

    assert picture.prompt == ours
    wanted = (f"not carried: a text that changes during the run, in the prompt {named}",) if named else ()
    assert picture.missing == wanted


def test_marks_that_do_not_fit_together_are_text():
    picture = said({"prompt": 'a sea ("a", "b").blend(1, 2)'})

    assert picture.prompt == r"a sea \(\"a\",\ \"b\"\).blend\(1, 2\)".replace("\\ ", " ")
    assert picture.guessed == ("the prompt is taken as plain text: its marks do not fit together",)


def test_what_the_web_page_did_afterwards():
    after = [
        {"type": "codeformer", "strength": 0.9, "fidelity": 0.75},
        {"type": "esrgan", "scale": 4, "strength": 0.95, "denoise_str": 0},
    ]
    picture = said({"postprocessing": after}, dream="a fox -s 60 -G 0.9 -cf 0.75 -U 4 0.95")

    assert picture.then == (Enlarge(scale=4.0),)
    assert picture.missing == ('not carried: codeformer {"strength": 0.9, "fidelity": 0.75}',)


def test_what_fix_did_afterwards():
    after = [
        {"tool": "upscale", "dream_command": "!fix outputs/x.png -s 50 -U 2.0 0.6 # model_id=x"},
        {"tool": "outcrop", "dream_command": "!fix x.png -c top 64"},
    ]
    picture = said({"postprocessing": after})

    assert picture.then == (Enlarge(scale=2.0),)
    assert picture.missing == ("not carried: outcrop !fix x.png -c top 64",)


def test_every_switch_that_was_on_is_named():
    image = {"threshold": 2.0, "perlin": 0.1, "hires_fix": True, "h_symmetry_time_pct": 0.5, "facetool_strength": 0.5,
             "upscale": [2.0, 0.6], "variations": [{"seed": 1111, "weight": 0.2}]}  # fmt: skip
    picture = said(image, dream="x --seamless")

    assert picture.then == (Enlarge(scale=2.0),)
    assert picture.missing == (
        "not carried: face restoration gfpgan at 0.5",
        "not carried: threshold 2.0",
        "not carried: perlin 0.1",
        "not carried: hires_fix",
        "not carried: h_symmetry_time_pct 0.5",
    )
    assert picture.more == {"blend": (Weighted(1111, 0.2),), "seamless": "both"}


@pytest.mark.parametrize(
    ("image", "source", "strength"),
    [
        ({"type": "img2img", "strength_steps": 0.4, "orig_hash": SHA}, Source(hash=SHA), 0.4),
        ({"type": "img2img", "strength": 0.4, "init_image_path": "outputs/a.png", "fit": True},
         Source(name="a.png", how="fit"), 0.4),
        ({"type": "img2img", "init_img": "C:\\me\\a.png"}, Source(name="a.png"), 0.75),
        ({"type": "txt2img", "strength": 0.75}, None, None),
    ],
)  # fmt: skip
def test_img2img(image: dict[str, Any], source: Source | None, strength: float | None):
    picture = said(image, dream='"x" -f 0.75')

    assert (picture.source, picture.strength) == (source, strength)


@pytest.mark.parametrize("kind", ["inpainting", "unifiedCanvas"])
def test_its_canvas_has_a_mask(kind: str):
    picture = said({"type": kind, "strength": 0.8, "inpaint_replace": 0.3})

    assert (picture.source, picture.strength) == (Source(), 0.8)
    assert picture.missing == (f"not carried: a mask {kind}", "not carried: inpaint_replace 0.3")


def test_a_malformed_object_of_fix_has_its_values_on_top():
    top = {**json.loads(metadata()), **CLI, "image": {"postprocessing": []}}

    assert core(found("invokeai", **{"sd-metadata": json.dumps(top)})) == WANTED


def test_a_picture_that_was_only_changed():
    text = json.dumps({"image": {"postprocessing": [{"type": "esrgan", "scale": 2, "orig_path": ["x"]}]}})

    assert told("invokeai", **{"sd-metadata": text}).text == "| upscale --scale 2"


def test_an_object_with_nothing_in_it_leaves_the_word_to_dream():
    assert found("invokeai", **{"sd-metadata": "{}", "Dream": "<too lazy to implement>"}).missing
    assert found("invokeai", **{"sd-metadata": "[1]", "Dream": '"a" -s5'}).prompt == "a"


# -- 3 and later -----------------------------------------------------------------------------------------------------

OF_3 = {
    "app_version": "3.0.2post1", "generation_mode": "txt2img", "positive_prompt": "a fox", "negative_prompt": "blurry",
    "width": 512, "height": 768, "seed": 42, "rand_device": "cpu", "cfg_scale": 7.5, "steps": 20,
    "scheduler": "euler_k", "clip_skip": 0, "controlnets": [],
    "model": {"model_name": "v1-5", "base_model": "sd-1", "model_type": "main"},
    "loras": [{"lora": {"model_name": "detail", "base_model": "sd-1"}, "weight": 0.8}], "vae": None, "strength": None,
    "init_image": None, "positive_style_prompt": None,
}  # fmt: skip
OF_6 = {
    "generation_mode": "sdxl_txt2img", "positive_prompt": "a fox", "negative_prompt": "blurry", "width": 512,
    "height": 768, "seed": 42, "rand_device": "cpu", "cfg_scale": 7.5, "cfg_rescale_multiplier": 0.0, "steps": 20,
    "scheduler": "euler_k", "seamless_x": False, "seamless_y": False, "ref_images": [], "regions": [],
    "app_version": "6.10.0",
    "model": {"key": "9f", "hash": "blake3:6a22", "name": "v1-5", "base": "sdxl", "type": "main"},
    "loras": [{"model": {"key": "1", "name": "detail", "hash": "blake3:00"}, "weight": 0.8}],
    "positive_style_prompt": "a fox", "negative_style_prompt": "blurry",
}  # fmt: skip
OF_BOTH = ("a fox", "blurry", 42, 20, 7.5, "euler_karras", (512, 768), "v1-5")


def of_3(data: dict[str, Any], **changes: Any) -> Any:
    return found("invokeai", invokeai_metadata=json.dumps({**data, **changes}))


@pytest.mark.parametrize("data", [{k: v for k, v in OF_3.items() if v is not None}, OF_6])
def test_the_metadata_of_3_to_6(data: dict[str, Any]):
    picture = of_3(data)

    assert core(picture) == OF_BOTH
    assert (picture.loras, picture.noise, picture.missing) == ((Lora(name="detail", weight=0.8),), "cpu", ())


def test_nulls_of_3_are_nothing():
    picture = of_3(OF_3)

    assert core(picture) == OF_BOTH
    assert picture.missing == ()


def test_any_key_may_be_missing():
    assert of_3({"seed": 5}).seed == 5
    assert told("invokeai", invokeai_metadata='{"steps": 5}').text == 'txt2img "" --steps 5'


def test_all_else_that_was_on_is_named():
    picture = of_3(
        OF_6,
        positive_style_prompt="oil",
        seamless_x=True,
        refiner_model={"name": "refine", "base": "sdxl-refiner"},
        refiner_start=0.7,
        refiner_steps=20,
        vae={"name": "fix", "base": "sdxl"},
        cfg_rescale_multiplier=0.7,
        clip_skip=2,
        rand_device="cuda",
        cfg_scale=[4, 5],
    )

    assert (picture.vae, picture.clip_skip, picture.noise, picture.guidance) == ("fix", 2, "gpu", 4.0)
    assert picture.missing == (
        "not carried: guidance for each step [4, 5]",
        "not carried: positive style prompt oil",
        "not carried: refiner_steps 20",
    )
    assert picture.more == {"guidance_rescale": 0.7, "seamless": "x", "refiner": "refine", "refiner_start": 0.7}


@pytest.mark.parametrize("mode", ["img2img", "sdxl_inpaint"])
def test_its_sources_are_names_in_a_database(mode: str):
    picture = of_3(OF_6, generation_mode=mode, strength=0.6, init_image="11.png")

    assert (picture.source, picture.strength) == (Source(name="11.png"), 0.6)
    assert ("not carried: a mask sdxl_inpaint" in picture.missing) == (mode == "sdxl_inpaint")


GRAPH = {
    "nodes": {
        "loader": {"type": "main_model_loader", "model": {"model_name": "v1-5"}},
        "p": {"type": "compel", "prompt": "a fox"},
        "n": {"type": "compel", "prompt": "blurry"},
        "noise": {"type": "noise", "seed": 42, "width": 512, "height": 768},
        "d": {"type": "denoise_latents", "steps": 20, "cfg_scale": 7.5, "scheduler": "euler_k"},
        "x": None,
    },
    "edges": [
        {"source": {"node_id": "p"}, "destination": {"node_id": "d", "field": "positive_conditioning"}},
        {"source": {"node_id": "n"}, "destination": {"node_id": "d", "field": "negative_conditioning"}},
        {"source": "x"},
        5,
    ],
}


def test_the_graph_is_read_where_there_is_no_metadata():
    assert core(found("invokeai", invokeai_graph=json.dumps(GRAPH))) == OF_BOTH


def test_a_metadata_node_of_the_graph_knows_it_all():
    graph = {**GRAPH, "nodes": {**GRAPH["nodes"], "m": {"type": "core_metadata", **OF_6}}}

    assert core(found("invokeai", invokeai_graph=json.dumps(graph))) == OF_BOTH


@pytest.mark.parametrize("kind", ["t2l", "l2l"])
def test_the_betas_of_3(kind: str):
    flat = {"type": kind, "positive_conditioning": "a fox", "negative_conditioning": "blurry", "width": 512,
            "height": 768, "seed": 42, "cfg_scale": 7.5, "steps": 20, "scheduler": "euler_k", "model": "v1-5",
            "strength": 0.5, "latents": None}  # fmt: skip
    picture = found("invokeai", invokeai=json.dumps(flat))

    assert core(picture) == OF_BOTH
    assert (picture.strength is not None) == (kind == "l2l")
    alpha = {"session_id": "x", "node": {"type": "txt2img", "prompt": "a fox", "seed": 42}}
    assert found("invokeai", invokeai=json.dumps(alpha)).prompt == "a fox"


def test_the_editors_workflow_alone_is_said():
    assert found("invokeai", invokeai_workflow="{}").missing == (
        "the file has the editor's workflow only, not the values that ran",
    )


# -- files and strangers ---------------------------------------------------------------------------------------------


def test_the_newest_form_counts(tmp_path: Path):
    texts = {"Dream": '"old" -s5', "sd-metadata": metadata(), "invokeai_metadata": json.dumps(OF_6)}

    for name, prompt in (("invokeai_metadata", "a fox"), ("sd-metadata", "a fox"), ("Dream", "old")):
        info = opened(png(**texts), tmp_path)
        assert info.foreign is not None
        assert (info.tool, info.foreign.prompt) == ("invokeai", prompt)
        del texts[name]


names = st.sampled_from([*CLI, *OF_3, "nodes", "type"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*CLI, *OF_3, "image", "images", "nodes", "edges", "model_id"]), json_values))
@pytest.mark.parametrize("name", ["sd-metadata", "invokeai_metadata", "invokeai_graph", "invokeai"])
def test_any_object_is_read_and_its_line_binds(name: str, data: dict[str, Any]):
    from invoke_shell.metadata.foreign import read

    if read("invokeai", {name: json.dumps(data)}) is not None:
        told("invokeai", **{name: json.dumps(data)})
