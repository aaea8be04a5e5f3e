"""IP-Adapters: diffusers' pipelines' pixels bit for bit, put on and taken off again; and one sentence for a misfit."""

import shutil
from pathlib import Path

import diffusers
import pytest
import torch
from models_controls import control_record, loaded, small_adapter, small_control
from models_small import small_record, small_sd1, small_sdxl
from PIL import Image as Pillow

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Control, Generation, PicturePrompt
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, ModelRecord
from invoke_shell.runtime.noise import generator

FAMILIES = {"sd1": (small_sd1, "StableDiffusion"), "sdxl": (small_sdxl, "StableDiffusionXL")}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tmp_path_factory):
    folder = FAMILIES[request.param][0](tmp_path_factory.mktemp(request.param))
    return small_record(folder, request.param, request.param)


@pytest.fixture(scope="module", params=["plain", "plus"])
def adapter(request, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    return record(small_adapter(folder / "models", Path(model.path), plus=request.param == "plus"))


def record(path, base=""):
    return ModelRecord(name=path.stem, kind="ip_adapter", base=base, format="file", path=str(path))


def picture(colour, width=48, height=40):
    pil = Pillow.new("RGB", (width, height), "black")
    pil.paste(colour, (width // 4, height // 8, width // 2, height * 3 // 4))
    return pil


def prompted(adapter, *colours, weight=0.7):
    images = tuple(Image.from_pil(picture(c)) for c in colours or ("red",))
    return PicturePrompt(model=adapter, images=images, weight=weight)


def asked(model, **changes):
    values = {"steps": 3, "guidance": 5.0, "scheduler": "ddim", "seed": 7, "negative": "blue"} | changes
    return Generation(**{"prompt": "a circle", "model": model, "size": Size(64, 64)} | values)


def drawn(engine, request):
    return next(engine.generate(request)).image


def pipeline(model, *adapters, **parts):
    kind = "ControlNetPipeline" if parts else "Pipeline"
    made = getattr(diffusers, f"{FAMILIES[model.base][1]}{kind}")
    pipe = made.from_pretrained(model.path, local_files_only=True, **parts)
    pipe.load_ip_adapter(
        [str(Path(a.path).parent) for a in adapters],
        subfolder="",
        weight_name=[Path(a.path).name for a in adapters],
        image_encoder_folder="image_encoder",
        local_files_only=True,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    pipe.feature_extractor = CLIPImageProcessorPil(size=32, crop_size=32)
    pipe.set_progress_bar_config(disable=True)
    for network in (n for n in pipe.components.values() if isinstance(n, torch.nn.Module)):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()
    pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    return pipe


def theirs(pipe, scale, images, **values):
    pipe.set_ip_adapter_scale(scale)
    given = {"prompt": "a circle", "negative_prompt": "blue", "num_inference_steps": 3, "guidance_scale": 5.0}
    given |= {"height": 64, "width": 64, "ip_adapter_image": images}
    return pipe(**given | values, generator=generator(7)).images[0].tobytes()


@pytest.mark.parametrize("guidance", [5.0, 1.0])
def test_a_picture_prompt_equals_diffusers_pipeline(real_engine, model, adapter, guidance):
    bare = drawn(real_engine, asked(model, guidance=guidance))

    found = drawn(real_engine, asked(model, guidance=guidance, picture_prompts=(prompted(adapter),)))

    assert found.pixels == theirs(pipeline(model, adapter), 0.7, picture("red"), guidance_scale=guidance)
    assert drawn(real_engine, asked(model, guidance=guidance)) == bare != found


def test_several_pictures_and_several_adapters_equal_diffusers_pipeline(real_engine, model, adapter, tmp_path):
    folder = shutil.copytree(Path(adapter.path).parent, tmp_path / "other")
    shutil.copy(small_adapter(tmp_path / "made", Path(model.path), seed=22), folder / "style.safetensors")
    other = record(folder / "style.safetensors")  # with the first one's encoder: the pipeline has one for all
    two = (prompted(adapter, "red", "green"), prompted(other, "blue", weight=0.4))

    found = drawn(real_engine, asked(model, picture_prompts=two))

    images = [[picture("red"), picture("green")], [picture("blue")]]
    assert found.pixels == theirs(pipeline(model, adapter, other), [0.7, 0.4], images)


def test_with_a_controlnet_equals_diffusers_pipeline(real_engine, model, adapter, tmp_path):
    folder = small_control(tmp_path / "control", Path(model.path))
    control = Control(model=control_record(folder), image=Image.from_pil(picture("white", 64, 64)))

    found = drawn(real_engine, asked(model, controls=(control,), picture_prompts=(prompted(adapter),)))

    pipe = pipeline(model, adapter, controlnet=loaded(folder))
    assert found.pixels == theirs(pipe, 0.7, picture("red"), image=picture("white", 64, 64))


def test_what_was_seen_is_recorded(real_engine, model, adapter):
    made = next(real_engine.generate(asked(model, picture_prompts=(prompted(adapter, "red", "green"),))))

    assert made.facts["picture_prompts"] == [{"name": "style", "weight": 0.7, "pictures": 2}]


def test_the_same_pictures_are_looked_at_once(real_engine, model, adapter):
    request = asked(model, picture_prompts=(prompted(adapter, "orange"),))
    first = drawn(real_engine, request)
    eyes = [e for key, e in real_engine.stock._held._held.items() if key.startswith("eye ")]
    looks = []
    hooks = [e.network.register_forward_hook(lambda *_: looks.append(1)) for e in eyes]

    again = drawn(real_engine, request)

    for hook in hooks:
        hook.remove()
    assert (again, looks) == (first, [])


def test_an_adapter_without_its_encoder_says_where_it_belongs(real_engine, model, adapter, tmp_path):
    path = tmp_path / "alone" / "style.safetensors"
    path.parent.mkdir()
    shutil.copy(adapter.path, path)

    with pytest.raises(RunError) as raised:
        drawn(real_engine, asked(model, picture_prompts=(prompted(record(path)),)))

    assert raised.value.message == "the IP-Adapter style has no image encoder beside it"
    assert raised.value.hint == f"a CLIP vision model belongs into {path.parent / 'image_encoder'}"


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"x": torch.zeros(2)}, "it is no IP-Adapter that this knows"),
        ({"image_proj.proj.weight": torch.zeros(4, 4), "ip_adapter.1.to_k_ip.weight": torch.zeros(8, 768)},
         "it is 768 wide and the model's text "),
        ({"image_proj.norm.weight": torch.zeros(4), "ip_adapter.1.to_k_ip.weight": torch.zeros(8, 32)},
         "it reads faces, and this has no face recogniser"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence_and_leaves_the_model_bare(real_engine, model, tmp_path, tensors, reason):
    from safetensors.torch import save_file

    bare = drawn(real_engine, asked(model))
    path = tmp_path / "wrong.safetensors"
    save_file(tensors, path)

    with pytest.raises(RunError) as raised:
        drawn(real_engine, asked(model, picture_prompts=(prompted(record(path)),)))

    assert raised.value.message.startswith(f"the IP-Adapter wrong cannot be used here: {reason}")
    assert drawn(real_engine, asked(model)) == bare


def test_another_base_is_said_by_name(real_engine, model, adapter):
    other = "sdxl" if model.base == "sd1" else "sd1"
    wrong = record(Path(adapter.path), base=other)

    with pytest.raises(RunError, match=r"^the IP-Adapter style cannot be used here: it was made for "):
        drawn(real_engine, asked(model, picture_prompts=(prompted(wrong),)))
