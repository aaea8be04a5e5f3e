"""What memory costs: the ways to save it, in their order, and that offloading changes no pixel."""

import pytest
from models_small import small_lora, small_record, small_sd1, small_sdxl
from models_transformers import small_flux, small_sd3

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.types import Size, Weighted
from invoke_shell.records import ModelRecord
from invoke_shell.runtime.engine import DiffusersEngine
from invoke_shell.runtime.policy import Policy
from invoke_shell.runtime.ways import Way, cheaper, first_way

MAKERS = {"sd1": small_sd1, "sdxl": small_sdxl, "sd3": small_sd3, "flux": small_flux}
GB = 10**9


@pytest.fixture(scope="module", params=MAKERS)
def model(request, tmp_path_factory):
    """A model of the family."""
    return small_record(MAKERS[request.param](tmp_path_factory.mktemp("ways")), request.param, request.param)


def asked(model, **changes):
    values = {"steps": 2, "guidance": 4.0, "scheduler": "euler", "seed": 7} | changes
    return Generation(prompt="a red circle", model=model, size=Size(64, 64), **values)


def drawn(engine, request):
    return next(engine.generate(request))


def offloading(how, **policy):
    return DiffusersEngine(Policy(device="cpu", threads=1, offload=how, **policy))


@pytest.mark.parametrize("how", ["model", "group"])
def test_offloading_changes_no_pixel(model, how, real_engine):
    engine = offloading(how)

    one, two = drawn(engine, asked(model)), drawn(engine, asked(model))

    assert one.image == two.image == drawn(real_engine, asked(model)).image
    assert one.facts["offload"] == how


def test_parts_wait_in_main_memory(tmp_path):
    model = small_record(small_sd1(tmp_path))
    engine = offloading("model")

    drawn(engine, asked(model))

    loaded = engine.stock.checkpoint(model)
    hooks = [part._hf_hook for part in (*loaded.reader.networks, loaded.unet, loaded.vae)]
    assert [hook.prev_module_hook is not None for hook in hooks] == [False, True, True]


def test_loras_go_with_parts_that_wait_but_not_with_layers(tmp_path, real_engine):
    folder = small_sd1(tmp_path / "model")
    path = small_lora(tmp_path / "l.safetensors", folder)
    model = small_record(folder)
    lora = ModelRecord(name="l", kind="lora", path=str(path))
    request = asked(model, loras=(Weighted(lora, 0.7),))

    assert drawn(offloading("model"), request).image == drawn(real_engine, request).image
    with pytest.raises(RunError, match=r"^a model whose layers wait one by one takes no LoRAs"):
        drawn(offloading("group"), request)


def test_tiling_may_be_asked_for(tmp_path):
    made = drawn(offloading("none", tiling="on"), asked(small_record(small_sd1(tmp_path))))

    assert made.facts["vae"] == "tiled"
    assert "offload" not in made.facts


@pytest.mark.parametrize(
    ("weights", "largest", "budget", "offload"),
    [(4 * GB, 3 * GB, 6 * GB, "none"), (7 * GB, 5 * GB, 6 * GB, "model"), (24 * GB, 23 * GB, 16 * GB, "group")],
)
def test_what_does_not_fit_waits(weights, largest, budget, offload):
    way = first_way(Policy(), on_cpu=False, weights=weights, largest=largest, budget=budget)

    assert way == Way(offload=offload)
    assert first_way(Policy(), on_cpu=True, weights=weights, largest=largest, budget=budget) == Way()


@pytest.mark.parametrize(
    ("way", "on_cpu", "then"),
    [
        (Way(), True, Way(tiled=True, again=True)),
        (Way(tiled=True), True, None),
        (Way(), False, Way(tiled=True, offload="model", again=True)),
        (Way(offload="model"), False, Way(tiled=True, offload="group", again=True)),
        (Way(offload="group"), False, None),
    ],
)
def test_the_next_way_is_cheaper(way, on_cpu, then):
    assert cheaper(way, on_cpu=on_cpu) == then


def test_memory_that_runs_out_is_said_and_tried_in_the_next_way(tmp_path, told, monkeypatch):
    model = small_record(small_sd1(tmp_path))
    engine = offloading("model").watch(told)
    expected = drawn(engine, asked(model)).image
    vae = engine.stock.checkpoint(model).vae

    def full(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(vae, "decode", full)
    made = drawn(engine, asked(model))

    layers = "each layer of the model waiting in main memory for its turn"
    assert told.said == [f"memory ran out; once more with the VAE in tiles and {layers}"]
    assert (made.facts["vae"], made.facts["offload"]) == ("tiled: memory ran out", "group")
    assert made.image == expected  # so small a picture is one tile
    assert drawn(engine, asked(model, seed=8)).facts["offload"] == "group"  # what helped stays
    assert len(told.said) == 1
