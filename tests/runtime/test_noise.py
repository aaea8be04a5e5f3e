"""Noise: one source of chance a picture, CUDA's numbers on the CPU, blends on the sphere, sides that meet."""

import pytest
import torch
from runtime_kit import latents_of

from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.pipeline.types import Size, Weighted
from invoke_shell.runtime.noise import Chance, generator, slerp, start_noise
from invoke_shell.runtime.philox import PhiloxNoise
from invoke_shell.runtime.seamless import seamless

CPU = torch.device("cpu")
# torch.randn on a CUDA device after torch.manual_seed(0), as it is published.
CUDA_0 = [
    -0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709,
    -1.07454231, -0.36314407, -1.67105067, 2.26550497,
]  # fmt: skip


def asked(model, **changes):
    values = {"steps": 3, "guidance": 5.0, "scheduler": "euler_a", "seed": 7} | changes
    return Generation(**{"prompt": "a red circle", "model": model, "size": Size(64, 64)} | values)


def test_philox_gives_what_cuda_gives():
    drawn = PhiloxNoise(0).draw((3, 4))

    assert drawn.dtype == torch.float32
    assert drawn.flatten().tolist() == pytest.approx(CUDA_0, abs=2e-6)


def test_philox_is_normal_and_each_draw_and_seed_is_another():
    source = PhiloxNoise(2**63 + 5)
    one, two, other = source.draw((1, 4, 64, 64)), source.draw((1, 4, 64, 64)), PhiloxNoise(5).draw((1, 4, 64, 64))

    for drawn in (one, two, other):
        assert float(drawn.mean()) == pytest.approx(0, abs=0.03)
        assert float(drawn.std()) == pytest.approx(1, abs=0.03)
    together = torch.corrcoef(torch.stack([one.flatten(), two.flatten(), other.flatten()]))
    assert float((together - torch.eye(3)).abs().max()) < 0.03


def test_philox_numbers_do_not_depend_on_how_many_are_drawn():
    assert torch.equal(PhiloxNoise(3).draw((8,)), PhiloxNoise(3).draw((1, 4, 4, 4)).flatten()[:8])


def test_steps_draw_on_from_the_pictures_own_numbers():
    chance, plain = Chance(9, "philox"), PhiloxNoise(9)
    chance.draw((4,))
    plain.draw((4,))

    with chance.in_steps():
        in_step = torch.randn((4,), generator=chance.generator, dtype=torch.float32, device=CPU)
        others = torch.randn((4,), generator=generator(1))

    assert torch.equal(in_step, plain.draw((4,)))
    assert torch.equal(others, torch.randn((4,), generator=generator(1)))


@pytest.mark.parametrize("rng", ["cpu", "philox"])
def test_another_seed_for_the_steps_leaves_the_first_noise(rng, real_engine, small_model):
    def drawn(**changes):
        return latents_of(real_engine, asked(small_model, rng=rng, **changes))

    assert not torch.equal(drawn(ensd=31337), drawn())
    assert torch.equal(drawn(ensd=31337, scheduler="ddim"), drawn(scheduler="ddim"))
    assert torch.equal(drawn(ensd=31337), drawn(ensd=31337))


def test_the_two_ways_to_draw_give_other_pictures(real_engine, small_model):
    drawn = [latents_of(real_engine, asked(small_model, rng=rng)) for rng in ("cpu", "philox", "philox")]

    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[1], drawn[2])


def test_a_blend_stays_as_strong_as_noise_is_and_ends_are_exact():
    one, two = (Chance(seed).draw((1, 4, 32, 32)) for seed in (1, 2))

    assert torch.equal(slerp(one, two, 0), one)
    assert torch.equal(slerp(one, two, 1), two)
    for share in (0.1, 0.5, 0.9):
        assert float(slerp(one, two, share).std()) == pytest.approx(float(one.std()), abs=0.02)
    assert float(torch.lerp(one, two, 0.5).std()) < 0.75  # what a plain mean would give
    assert torch.allclose(slerp(one, one, 0.4), one)


def test_seeds_are_mixed_in_one_after_the_other():
    shape = (1, 4, 8, 8)
    noises = [Chance(seed).draw(shape) for seed in (1, 2, 3)]

    blended = start_noise(Chance(1), shape, CPU, torch.float32, (Weighted(2, 0.3), Weighted(3, 0.1)))

    assert torch.equal(blended, slerp(slerp(noises[0], noises[1], 0.3), noises[2], 0.1))


def test_pictures_of_a_run_never_share_noise(real_engine, small_model):
    """Of ten pictures no two begin alike, whatever ran before, and each begins as it does alone."""
    seeds = range(7, 17)

    in_a_row = [latents_of(real_engine, asked(small_model, seed=seed, steps=1)) for seed in seeds]
    alone = [latents_of(real_engine, asked(small_model, seed=seed, steps=1)) for seed in reversed(seeds)][::-1]

    noises = torch.stack([Chance(seed).draw((1, 4, 8, 8)).flatten() for seed in seeds])
    assert float((torch.corrcoef(noises) - torch.eye(10)).abs().max()) < 0.35  # of 256 numbers each
    assert all(torch.equal(a, b) for a, b in zip(in_a_row, alone, strict=True))
    assert len({tuple(latents.flatten().tolist()) for latents in in_a_row}) == 10


@pytest.mark.parametrize(("sides", "axes"), [("x", (3,)), ("y", (2,)), ("both", (2, 3))])
def test_a_seamless_picture_moved_round_its_sides_is_the_same_picture(sides, axes, real_engine, small_model):
    model = real_engine.stock.checkpoint(small_model)
    latents, states = Chance(3).draw((1, 4, 8, 8)), Chance(4).draw((1, 5, 32))
    shifts = [4] * len(axes)

    with torch.inference_mode(), seamless(sides, model.unet, model.vae):
        here = model.unet(latents, 500, encoder_hidden_states=states, return_dict=False)[0]
        there = model.unet(latents.roll(shifts, axes), 500, encoder_hidden_states=states, return_dict=False)[0]
        picture = model.vae.decode(latents, return_dict=False)[0]
        moved = model.vae.decode(latents.roll(shifts, axes), return_dict=False)[0]

    assert torch.allclose(there, here.roll(shifts, axes), atol=1e-4)
    assert torch.allclose(moved, picture.roll([32] * len(axes), axes), atol=1e-4)


def test_a_seamless_picture_leaves_the_model_as_it_was(real_engine, small_model):
    plain = next(real_engine.generate(asked(small_model))).image
    meeting = {sides: next(real_engine.generate(asked(small_model, seamless=sides))).image for sides in ("x", "both")}

    assert next(real_engine.generate(asked(small_model))).image == plain
    assert len({plain.hash, *(image.hash for image in meeting.values())}) == 3


@pytest.mark.parametrize("name", [name for name, row in SCHEDULERS.items() if not row.noisy])
def test_a_scheduler_without_noise_draws_none(name, real_engine, small_model):
    one = latents_of(real_engine, asked(small_model, scheduler=name, ensd=5))

    assert torch.equal(one, latents_of(real_engine, asked(small_model, scheduler=name)))


@pytest.mark.parametrize("rng", ["cpu", "philox"])
def test_a_picture_of_a_batch_with_a_seed_each_has_the_noise_it_has_alone(rng):
    """As AUTOMATIC1111, Forge, SD.Next and InvokeAI draw a batch: row k from seed + k, step after step."""
    chances = [Chance(1000 + k, rng) for k in range(4)]
    batch = [torch.cat([chance.draw((1, 4, 8, 8)) for chance in chances]) for _ in range(3)]
    alone = Chance(1002, rng)

    assert all(torch.equal(draws[2:3], alone.draw((1, 4, 8, 8))) for draws in batch)


def test_of_a_batch_from_one_seed_the_first_has_the_noise_it_has_alone():
    """As ComfyUI and SwarmUI draw one: all of it at once."""
    batch = torch.randn((4, 4, 8, 8), generator=torch.Generator().manual_seed(5))
    alone = Chance(5)

    assert torch.equal(batch[:1], alone.draw((1, 4, 8, 8)))
    assert not torch.equal(batch[2:3], Chance(7).draw((1, 4, 8, 8)))
