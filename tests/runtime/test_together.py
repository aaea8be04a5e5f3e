"""Pictures drawn together: each with its own noise, near the one drawn alone, and the same again in its row."""

import dataclasses

import pytest
from models_small import small_lora, small_record, small_sd1, small_sdxl

from invoke_shell.errors import Cancelled, RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Size, Weighted
from invoke_shell.records import Image, ModelRecord
from invoke_shell.runtime.batching import Batches, Pace, may_join
from invoke_shell.runtime.engine import DiffusersEngine
from invoke_shell.runtime.policy import SILENT, Policy
from invoke_shell.runtime.together import drawn_together

SEEDS = [7, 8, 9]


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def model(request, tmp_path_factory):
    """A model of the family."""
    make = {"sd1": small_sd1, "sdxl": small_sdxl}[request.param]
    return small_record(make(tmp_path_factory.mktemp("together")), request.param, request.param)


@pytest.fixture(scope="module")
def engine():
    """Draws three at once."""
    return DiffusersEngine(Policy(device="cpu", threads=1, batch=3))


def asked(model, **changes):
    values = {"steps": 3, "guidance": 4.0, "scheduler": "euler", "seed": 7, "size": Size(64, 64)} | changes
    return Generation(prompt="a red circle", model=model, **values)


def together(engine, requests, row=None):
    engine.expect(requests, row)
    return [next(engine.generate(request)) for request in requests]


def difference(one, other):
    return max(abs(a - b) for a, b in zip(one.pixels, other.pixels, strict=True))


@pytest.mark.parametrize("scheduler", ["euler", "euler_a", "dpmpp_2m", "heun"])
def test_each_picture_is_that_of_its_seed(model, engine, real_engine, scheduler):
    requests = [asked(model, seed=seed, scheduler=scheduler) for seed in SEEDS]

    made = together(engine, requests)

    alone = [next(real_engine.generate(request)).image for request in requests]
    assert [difference(m.image, a) <= 1 for m, a in zip(made, alone, strict=True)] == [True] * 3
    assert len({m.image.hash for m in made}) == 3  # no two share their noise
    assert [m.facts["batch"] for m in made] == [{"size": 3, "index": n} for n in range(3)]
    assert [m.facts["noise"]["seed"] for m in made] == SEEDS


def test_one_model_call_does_for_all(model, engine):
    unet, sizes = engine.stock.checkpoint(model).unet, []
    hook = unet.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))

    together(engine, [asked(model, seed=seed) for seed in SEEDS])

    hook.remove()
    assert sizes == [6] * 3  # prompt and negative prompt of three pictures, in three steps


def test_a_row_is_the_same_again_whatever_stands_beside_it(model, engine):
    requests = [asked(model, seed=seed, scheduler="euler_a") for seed in SEEDS]
    made = together(engine, requests)

    for row, request in enumerate(requests):
        engine.expect([request] * 3, row)
        again = next(engine.generate(request))
        assert again.image == made[row].image
        assert again.facts["batch"] == {"size": 3, "index": row}


def test_img2img_of_several_sources(model, engine, real_engine):
    photos = [Image(mode="RGB", width=64, height=64, pixels=bytes([n]) * (64 * 64 * 3)) for n in (40, 200)]
    requests = [asked(model, source=photo, start_step=1) for photo in photos]

    made = together(engine, requests)

    alone = [next(real_engine.generate(request)).image for request in requests]
    assert [difference(m.image, a) <= 1 for m, a in zip(made, alone, strict=True)] == [True] * 2


def test_loras_go_with_a_batch(tmp_path, engine, real_engine):
    folder = small_sd1(tmp_path / "model")
    lora = ModelRecord(name="l", kind="lora", path=str(small_lora(tmp_path / "l.safetensors", folder)))
    requests = [asked(small_record(folder), seed=seed, loras=(Weighted(lora, 0.7),)) for seed in SEEDS]

    made = together(engine, requests)

    alone = [next(real_engine.generate(request)).image for request in requests]
    assert [difference(m.image, a) <= 1 for m, a in zip(made, alone, strict=True)] == [True] * 3


def test_what_was_not_expected_is_drawn_alone(model, engine, real_engine):
    engine.expect([asked(model, seed=1), asked(model, seed=2)])

    made = next(engine.generate(asked(model, seed=3)))

    assert made.image == next(real_engine.generate(asked(model, seed=3))).image
    assert made.facts["batch"] == {"size": 1, "index": 0}


def test_a_picture_of_a_batch_tells_its_own_lines_when_it_is_asked_for(model, engine, told):
    requests = [asked(model, seed=seed, size=Size(70, 64)) for seed in SEEDS]
    engine.watch(told).expect(requests)

    said = [(len(told.said), next(engine.generate(request)) and told.said[-1]) for request in requests]

    line = "size 70x64 is drawn as 64x64: sides are multiples of 8"
    assert said == [(0, line), (1, line), (2, line)]


def test_stopping_ends_all_of_a_batch(model, engine, told):
    def stop(done, total, preview=None):
        raise Cancelled("stopped")

    told.tick = stop
    requests = [asked(model, seed=seed) for seed in SEEDS]
    engine.watch(told).expect(requests)

    with pytest.raises(Cancelled):
        next(engine.generate(requests[0]))

    assert len(together(engine.watch(SILENT), requests)) == 3


def test_progress_is_that_of_one_picture(model, engine, told):
    together(engine.watch(told), [asked(model, seed=seed) for seed in SEEDS])

    assert [tick[:2] for tick in told.ticks] == [(1, 3), (2, 3), (3, 3)]


def test_memory_that_runs_out_draws_alone(model, told, monkeypatch):
    engine = DiffusersEngine(Policy(device="cpu", threads=1, batch=3)).watch(told)
    unet = engine.stock.checkpoint(model).unet
    forward = unet.forward

    def small(sample, *args, **kwargs):
        if len(sample) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(unet, "forward", small)
    made = together(engine, [asked(model, seed=seed) for seed in SEEDS])

    assert [m.facts["batch"]["size"] for m in made] == [1, 1, 1]
    assert told.said == ["memory ran out with 3 pictures together; this one is drawn alone"]


def test_an_error_in_one_picture_is_that_of_all():
    def fails(unet):
        raise RunError("no", code="step-failed")

    def waits(unet):
        return unet(None, None, return_dict=False)

    with pytest.raises(RunError, match=r"^no$"):
        drawn_together(None, [waits, fails])


# Which go together


def test_pictures_of_one_shape_go_together_as_they_come(small_model):
    one = asked(small_model)
    requests = [dataclasses.replace(one, seed=n) for n in range(3)] + [dataclasses.replace(one, seed=9, steps=5)]
    batches = Batches()
    batches.expect(requests, None)

    assert batches.group(requests[0], 8) == requests[:3]
    assert batches.group(requests[3], 8) == requests[3:]


@pytest.mark.parametrize(
    "change",
    [{"guidance": 2.0}, {"size": Size(72, 64)}, {"prompt": "blue"}, {"steps": 4}, {"scheduler": "ddim"}],
    ids=str,
)
def test_what_differs_in_more_than_chance_is_apart(small_model, change):
    one = asked(small_model)
    other = dataclasses.replace(one, seed=8, **change)
    batches = Batches()
    batches.expect([one, other], None)

    assert batches.group(one, 8) == [one]


def test_what_a_batch_does_not_know_is_drawn_alone(small_model):
    assert may_join(asked(small_model))
    assert not may_join(asked(small_model, refiner=small_model))
    assert not may_join(asked(small_model, seamless="both"))
    assert not may_join(asked(small_model, start_step=3))


def test_automatic_batches_grow_while_they_help():
    pace, drawn = Pace(), []
    seconds = {1: 1.0, 2: 1.2, 4: 2.0, 8: 4.2}  # 8 is no quicker than 4

    waiting = 40
    while waiting:
        size = pace.next(waiting)
        pace.learn(size, seconds[size])
        drawn.append(size)
        waiting -= size

    assert drawn[:4] == [1, 2, 4, 8]
    assert set(drawn[4:-1]) == {4}
    assert sum(drawn) == 40
