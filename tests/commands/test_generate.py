"""What the generating nodes ask of an engine."""

import pytest
from command_kit import FakeContext, frame_of
from pipeline_kit import REGISTRY, model_of, plain_image

from invoke_shell.commands.enlarge import upscale
from invoke_shell.commands.generate import img2img, steps_run, txt2img
from invoke_shell.commands.params import Extras, Sampling
from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Enlargement
from invoke_shell.pipeline.types import Seed, Size, Weighted
from invoke_shell.records import Made

MODEL = model_of("pocket")


@pytest.mark.parametrize(
    ("steps", "strength", "run"),
    [
        (50, 0.58, 29),
        (20, 0.5, 10),
        (20, 0.75, 15),
        (24, 0.75, 18),
        (20, 1, 20),
        (20, 1.0, 20),
        (20, 0, 0),
        (20, 0.0, 0),
        (20, 0.001, 1),
        (1, 0.001, 1),
        (1, 0.5, 1),
        (5, 0.5, 3),
        (15, 0.5, 8),
        (25, 0.5, 13),
        (10, 0.25, 3),
        (10, 0.05, 1),
        (150, 0.1, 15),
        (30, 0.55, 17),
        (10, 0.35, 4),
        (100, 0.285, 29),
        (20, 1e-05, 1),
    ],
)
def test_steps_that_run_at_a_strength(steps, strength, run):
    assert steps_run(steps, strength) == run


def test_the_steps_that_run_never_fall_as_strength_grows():
    runs = [steps_run(20, n / 1000) for n in range(1001)]

    assert runs == sorted(runs)
    assert (runs[0], runs[1], runs[-1]) == (0, 1, 20)


def asked(made, ctx):
    """The one request behind what was made."""
    assert [type(m) for m in made] == [Made]
    (request,) = ctx.requests
    return request


def test_txt2img_asks_for_what_was_typed():
    ctx = FakeContext()

    made = list(
        txt2img(
            ctx,
            "a cat",
            negative="bad",
            size=Size(64, 96),
            sampling=Sampling(steps=5, guidance=3.0, scheduler="euler"),
            seed=Seed(7),
            model=MODEL,
        )
    )

    request = asked(made, ctx)
    assert (request.prompt, request.negative, request.model) == ("a cat", "bad", MODEL)
    assert (request.size, request.steps, request.guidance) == (Size(64, 96), 5, 3.0)
    assert (request.scheduler, request.seed, request.start_step, request.source) == ("euler", 7, 0, None)
    assert made[0].image.size == (64, 96)


def drawn_anew(image=None, **values):
    """The request and the picture of img2img at 20 steps, and what was said."""
    ctx = FakeContext()
    picture = image or plain_image(64, 64)
    given = {"sampling": Sampling(steps=20), "seed": Seed(7), "model": MODEL, **values}
    made = list(img2img(ctx, frame_of(picture), "x", **given))
    return asked(made, ctx), made[0], ctx.said


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({}, 5),
        ({"strength": 0.5}, 10),
        ({"strength": 1.0}, 0),
        ({"strength": 0.001}, 19),
        ({"start_step": 3}, 3),
        ({"start_step": 3, "strength": 0.1}, 3),
        ({"start_step": 0}, 0),
        ({"pure_noise": True}, 5),
    ],
)
def test_the_step_at_which_img2img_begins(values, start):
    request, _, _ = drawn_anew(**values)

    assert request.start_step == start
    assert request.pure_noise == values.get("pure_noise", False)


def test_what_was_asked_for_is_recorded_one_way():
    assert drawn_anew(strength=0.5)[0].strength == 0.5
    assert drawn_anew(start_step=3)[0].strength is None


@pytest.mark.parametrize("values", [{"strength": 0.0}, {"start_step": 20}, {"strength": 0.0, "pure_noise": True}])
@pytest.mark.parametrize("size", [(64, 64), (61, 30)])
@pytest.mark.parametrize("colour", [(1, 2, 3), (1, 2, 3, 4), (7,)])
def test_nothing_to_run_passes_the_picture_through_untouched(values, size, colour):
    picture = plain_image(*size, colour)

    _, made, said = drawn_anew(picture, **values)

    assert made.image == picture
    assert made.facts["note"] == "strength 0: the picture passed through untouched"
    assert said == []


def test_a_start_behind_the_last_step_is_said():
    picture = plain_image(61, 30)

    _, made, said = drawn_anew(picture, start_step=21)

    assert made.image == picture
    assert said == ["img2img: step 21 is behind the last of 20; the picture passes through"]


@pytest.mark.parametrize(
    ("size", "wanted", "said"),
    [
        ((64, 64), Size(64, 64), []),
        ((70, 66), Size(64, 64), ["img2img sizes 70x66 to 64x64: multiples of 8"]),
        ((5, 64), Size(8, 64), ["img2img sizes 5x64 to 8x64: multiples of 8"]),
    ],
)
def test_sides_become_multiples_of_eight_and_that_is_said(size, wanted, said):
    request, made, told = drawn_anew(plain_image(*size))

    assert request.size == wanted
    assert request.source.size == (wanted.width, wanted.height)
    assert made.image.size == (wanted.width, wanted.height)
    assert [t for t in told if t.startswith("img2img sizes")] == said


@pytest.mark.parametrize("colour", [(7,), (1, 2, 3, 4)])
def test_other_modes_become_rgb(colour):
    assert drawn_anew(plain_image(64, 64, colour))[0].source.mode == "RGB"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"steps": 24, "strength": 0.75, "start_step": None}, "18 of 24 steps"),
        ({"steps": 20, "strength": 0.75, "start_step": 5}, "15 of 20 steps"),
        ({"steps": 20, "strength": 0, "start_step": None}, "0 of 20 steps"),
    ],
)
def test_explain_says_how_many_steps_run(values, line):
    assert REGISTRY["img2img"].explains(values) == line


@pytest.mark.parametrize(("scale", "size"), [(2.0, (16, 8)), (1.0, (8, 4)), (1.5, (12, 6)), (16.0, (128, 64))])
@pytest.mark.parametrize("colour", [(7,), (1, 2, 3), (1, 2, 3, 255)])
def test_lanczos_enlarges_without_an_engine(scale, size, colour):
    ctx, picture = FakeContext(), plain_image(8, 4, colour)

    (image,) = upscale(ctx, frame_of(picture), scale=scale)

    assert (image.size, image.mode) == (size, picture.mode)
    assert set(image.pixels) == set(picture.pixels)
    assert ctx.requests == []


def test_a_network_is_asked_of_the_engine():
    ctx, network = FakeContext(), model_of("esrgan", "upscaler")

    (made,) = upscale(ctx, frame_of(plain_image(8, 4)), scale=3.0, upscaler=network)

    assert ctx.requests == [Enlargement(image=plain_image(8, 4), model=network, scale=3.0)]
    assert made.image.size == (24, 12)


@pytest.mark.parametrize("upscaler", [None, model_of("esrgan", "upscaler")])
def test_more_pixels_than_can_be_read_back_are_refused(upscaler):
    with pytest.raises(RunError, match="upscale would make a picture of 16000x16000"):
        list(upscale(FakeContext(), frame_of(plain_image(1000, 1000, (0,))), scale=16.0, upscaler=upscaler))


@pytest.mark.parametrize("node", ["txt2img", "img2img"])
def test_what_is_put_on_the_model_is_asked_for(node):
    ctx, lora, word, vae = FakeContext(), model_of("style"), model_of("word"), model_of("soft")
    extras = Extras(lora=[Weighted(lora, 0.8)], embedding=[word], vae=vae, clip_skip=1)
    run = (txt2img.func, ()) if node == "txt2img" else (img2img.func, (frame_of(plain_image(64, 64)),))

    made = list(run[0](ctx, *run[1], "a cat", seed=Seed(7), model=MODEL, extras=extras))

    request = asked(made, ctx)
    assert (request.loras, request.embeddings) == ((Weighted(lora, 0.8),), (word,))
    assert (request.vae, request.clip_skip) == (vae, 1)
