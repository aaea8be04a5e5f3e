"""What every engine promises, real or fake: one contract, run on both."""

import dataclasses
import json

import pytest

from invoke_shell.errors import Cancelled, RunError
from invoke_shell.pipeline.context import Enlargement, Generation
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.pipeline.types import Size
from invoke_shell.records import Image, Mask, ModelRecord
from invoke_shell.runtime.fake import FakeEngine


@pytest.fixture(params=["fake", "real"])
def engine(request):
    return FakeEngine() if request.param == "fake" else request.getfixturevalue("real_engine")


@pytest.fixture
def ask(small_model):
    """A request with changes."""

    def changed(**changes):
        values = {"steps": 4, "guidance": 5.0, "scheduler": "euler_a", "seed": 7} | changes
        return Generation(**{"prompt": "a red circle", "model": small_model, "size": Size(64, 64)} | values)

    return changed


@pytest.fixture
def photo():
    return Image(mode="RGB", width=64, height=64, pixels=bytes((n * 7) % 256 for n in range(64 * 64 * 3)))


def is_plain(value):
    """True for what json.loads gives: a subclass of str from torch would import torch wherever it is unpickled."""
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return all(map(is_plain, value)) if type(value) is list else type(value) in (str, int, float, bool, type(None))


def drawn(engine, request):
    (made,) = engine.generate(request)
    return made


def test_same_request_gives_the_same_pixels(engine, ask):
    assert drawn(engine, ask()).image == drawn(engine, ask()).image


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a blue circle"},
        {"negative": "ugly"},
        {"seed": 8},
        {"steps": 5},
        {"guidance": 3.0},
        {"scheduler": "ddim"},
        {"size": Size(64, 72)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_pixel_field_changes_the_picture(engine, ask, change):
    assert drawn(engine, ask(**change)).image != drawn(engine, ask()).image


def test_source_start_and_mask_change_the_picture(engine, ask, photo):
    whole = Mask(mode="L", width=64, height=64, pixels=b"\xff" * 64 * 64)
    half = Mask(mode="L", width=64, height=64, pixels=(b"\0" * 32 + b"\xff" * 32) * 64)

    pictures = [
        drawn(engine, ask()).image,
        drawn(engine, ask(source=photo, start_step=1)).image,
        drawn(engine, ask(source=photo, start_step=2)).image,
        drawn(engine, ask(source=photo, start_step=1, pure_noise=True)).image,
        drawn(engine, ask(source=photo, start_step=1, mask=half)).image,
        drawn(engine, ask(source=photo, start_step=2, mask=whole)).image,
    ]

    assert len({picture.hash for picture in pictures}) == 6 or pictures[2] == pictures[5]
    assert len({picture.hash for picture in pictures[:5]}) == 5


def test_negative_prompt_has_no_say_without_guidance(engine, ask):
    assert drawn(engine, ask(guidance=1.0, negative="ugly")).image == drawn(engine, ask(guidance=1.0)).image


def test_pure_noise_from_the_first_step_is_txt2img(engine, ask, photo):
    assert drawn(engine, ask(source=photo, pure_noise=True)).image == drawn(engine, ask()).image


def test_strength_0_passes_the_picture_through_and_says_so(engine, ask, photo):
    made = drawn(engine, ask(source=photo, start_step=4, strength=0.0))

    assert made.image == photo
    assert made.facts["note"] == "strength 0: the picture passed through untouched"
    assert made.facts["steps_run"] == 0


def test_nothing_is_drawn_before_the_iterator_is_advanced(engine, ask, told):
    engine.watch(told).generate(ask())

    assert told.ticks == []


@pytest.mark.parametrize("name", ["euler_a", "heun", "pndm"])
def test_ticks_count_the_steps(engine, ask, told, name):
    drawn(engine.watch(told), ask(scheduler=name))

    counts = [done for done, _, _ in told.ticks]
    assert counts[-1] == 4
    assert counts == sorted(counts)
    assert {total for _, total, _ in told.ticks} == {4}


def test_tick_that_raises_stops_the_run(engine, ask):
    class Impatient:
        ticks = 0

        def tick(self, done, total, preview=None):
            self.ticks += 1
            if done == 2:
                raise Cancelled()

        def say(self, text):
            pass

    watcher = Impatient()

    with pytest.raises(Cancelled):
        drawn(engine.watch(watcher), ask())
    assert watcher.ticks == 2


@pytest.mark.parametrize("name", SCHEDULERS)
def test_facts_are_plain_json_and_name_what_ran(engine, ask, name, photo):
    facts = drawn(engine, ask(scheduler=name, source=photo, start_step=2, strength=0.5)).facts

    assert is_plain(facts)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["steps_run"] == 2
    assert facts["model_calls"] == SCHEDULERS[name].calls(2)
    assert facts["scheduler"]["class"] == SCHEDULERS[name].kind
    assert facts["noise"]["seed"] == 7
    assert facts["first_sigma"] > 0
    assert facts["strength"] == 0.5
    assert facts["batch"] == {"size": 1, "index": 0}


def test_both_engines_record_the_same_facts(real_engine, ask):
    real, fake = drawn(real_engine, ask()).facts, drawn(FakeEngine(), ask()).facts

    assert real.keys() == fake.keys()
    assert real["noise"].keys() == fake["noise"].keys()
    assert real["precision"].keys() == fake["precision"].keys()
    assert real_engine.environment().keys() == FakeEngine().environment().keys()


def test_start_is_told(real_engine, ask, photo, told):
    drawn(real_engine.watch(told), ask(source=photo, steps=20, start_step=5, strength=0.75, scheduler="euler"))

    assert told.said == ["img2img: 15 of 20 steps (strength 0.75, from sigma 3.9)"]


def test_start_of_second_order_tells_its_model_calls(engine, ask, photo, told):
    drawn(engine.watch(told), ask(source=photo, steps=4, start_step=2, scheduler="heun"))

    assert len(told.said) == 1
    assert told.said[0].startswith("img2img: 2 of 4 steps (step 2, from sigma ")
    assert told.said[0].endswith(", 3 model calls)")


def test_sides_are_brought_down_to_multiples_of_8_and_said(engine, ask, told):
    made = drawn(engine.watch(told), ask(size=Size(70, 65)))

    assert made.image.size == (64, 64)
    assert told.said == ["size 70x65 is drawn as 64x64: sides are multiples of 8"]


def test_source_of_another_size_is_fitted_and_said(engine, ask, told):
    source = Image(mode="RGB", width=70, height=68, pixels=b"\x40" * 70 * 68 * 3)

    made = drawn(engine.watch(told), ask(size=Size(70, 68), source=source, start_step=2))

    assert made.image.size == (64, 64)
    assert "img2img: the source of 70x68 is sized to 64x64" in told.said


def test_unknown_scheduler_is_one_sentence(engine, ask):
    with pytest.raises(RunError, match=r"^no scheduler is called best$"):
        drawn(engine, ask(scheduler="best"))


def test_environment_is_plain_json(engine):
    environment = dict(engine.environment())

    assert is_plain(environment)
    assert environment["device"] == "cpu"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("scale", [2, 1.5, 3])
def test_enlarging_gives_the_size_asked_and_keeps_transparency(engine, small_upscaler, mode, scale):
    image = Image(mode=mode, width=10, height=6, pixels=bytes(range(60)) * len(mode))

    (made,) = engine.enlarge(Enlargement(image=image, model=small_upscaler, scale=scale))

    assert made.image.size == (round(10 * scale), round(6 * scale))
    assert (made.image.mode == "RGBA") == (mode == "RGBA")
    assert is_plain(made.facts)


@pytest.fixture(scope="session")
def small_upscaler(tmp_path_factory):
    """A Compact network of random weights that enlarges twice."""
    import torch
    from safetensors.torch import save_file

    from invoke_shell.runtime.upscalers import Compact

    path = tmp_path_factory.mktemp("upscaler") / "small.safetensors"
    torch.manual_seed(0)
    save_file(Compact(width=8, depth=2, scale=2).state_dict(), path)
    return ModelRecord(name="small-2x", kind="upscaler", format="file", path=str(path))


# Only the real one


def test_text_encoder_does_not_run_again_for_another_seed(real_engine, ask, small_model):
    network, calls = real_engine.stock.checkpoint(small_model).reader.networks[0], []
    hook = network.register_forward_hook(lambda *_: calls.append(1))

    for seed in (1, 2, 3):
        drawn(real_engine, ask(prompt="seen for the first time", negative="so is this", seed=seed))

    hook.remove()
    assert len(calls) == 2


def test_unknown_words_are_told_by_a_model_that_has_a_vocabulary(real_engine, ask, small_model, told, tmp_path):
    import shutil

    folder = shutil.copytree(small_model.path, tmp_path / "pocket")
    (folder / "vocabulary.json").write_text('{"words": ["a", "red"]}')
    pocket = dataclasses.replace(small_model, name="pocket", path=str(folder))

    drawn(real_engine.watch(told), ask(prompt="a red cathedral", model=pocket))

    assert told.said == ["pocket does not know: cathedral"]


def test_previews_come_from_the_model_folder(real_engine, ask, small_model, told, tmp_path, monkeypatch):
    import shutil

    from invoke_shell.runtime import pace

    monkeypatch.setattr(pace, "EVERY", 0)
    folder = shutil.copytree(small_model.path, tmp_path / "previewed")
    (folder / "preview.json").write_text('{"matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], "bias": [0, 0, 0]}')

    drawn(real_engine.watch(told), ask(model=dataclasses.replace(small_model, path=str(folder))))

    assert [preview.size for _, _, preview in told.ticks] == [(8, 8)] * 4


def test_numbers_that_are_none_are_an_error_with_advice(real_engine, ask, small_model, monkeypatch):
    model = real_engine.stock.checkpoint(small_model)
    decode = model.vae.decode
    monkeypatch.setattr(model.vae, "decode", lambda *a, **k: (decode(*a, **k)[0] * float("nan"),))

    with pytest.raises(RunError, match=r"^small gave numbers that are none \(NaN\)") as raised:
        drawn(real_engine, ask())
    assert raised.value.code == "bad-numbers"
    assert raised.value.hint == "try a lower --guidance or another --scheduler"


def test_memory_that_runs_out_once_is_retried_with_tiles(real_engine, ask, small_model, monkeypatch):
    expected = drawn(real_engine, ask()).image
    fail_first(monkeypatch, real_engine.stock.checkpoint(small_model).vae, times=1)

    made = drawn(real_engine, ask())

    assert made.image == expected  # so small a picture is one tile
    assert made.facts["vae"] == "tiled: memory ran out"


def test_memory_that_runs_out_again_is_one_sentence(real_engine, ask, small_model, monkeypatch):
    fail_first(monkeypatch, real_engine.stock.checkpoint(small_model).vae, times=2)

    with pytest.raises(RunError, match=r"^64x64 with small needs more memory than cpu has free") as raised:
        drawn(real_engine, ask())
    assert raised.value.code == "out-of-memory"


def fail_first(monkeypatch, vae, times):
    decode, failures = vae.decode, []

    def failing(*args, **kwargs):
        if len(failures) < times:
            failures.append(1)
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return decode(*args, **kwargs)

    monkeypatch.setattr(vae, "decode", failing)
