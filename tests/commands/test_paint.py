"""Painting under masks and beyond sides, tiles, faces: what is asked of the engine, and what stays."""

import itertools

import pytest
from command_kit import FakeContext, frame_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw
from pipeline_kit import chain_of, model_of

from invoke_shell import commands
from invoke_shell.commands.enlarge import restore_faces
from invoke_shell.commands.fills import filled
from invoke_shell.commands.generate import txt2img
from invoke_shell.commands.paint import inpaint, instruct, outpaint
from invoke_shell.commands.params import Chance, Sampling, own_size, varied
from invoke_shell.commands.tiles import places, shares, upscale_diffuse
from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Box, Seed, Size, Weighted
from invoke_shell.records import Image, Made, Mask

MODEL = model_of("pocket")
WHOLE = "inpaint: paints 100 % of the picture: nothing of it stays; img2img does the same without a mask"
GIVEN = {"seed": Seed(7), "model": MODEL, "sampling": Sampling(steps=8)}


def picture(width=64, height=48, mode="RGB"):
    """One with structure."""
    gradient = Pillow.linear_gradient("L").resize((width, height))
    bands = [gradient.rotate(90 * n).resize((width, height)) for n in range(3)]
    pil = {"L": gradient, "RGB": Pillow.merge("RGB", bands)}.get(mode)
    return Image.from_pil(pil if pil else Pillow.merge("RGBA", [*bands, Pillow.new("L", (width, height), 255)]))


def box_mask(box, width=64, height=48):
    pil = Pillow.new("L", (width, height))
    ImageDraw.Draw(pil).rectangle(box, fill=255)
    return Mask(mode="L", width=width, height=height, pixels=pil.tobytes())


def painted(ctx=None, source=None, **values):
    ctx = ctx or FakeContext()
    values = {"mask": box_mask((16, 8, 31, 23)), "mask_blur": 0.0} | values
    (made,) = inpaint.func(ctx, frame_of(source or picture()), "a red boat", **GIVEN, **values)
    return made, ctx


def changed(image, before):
    """Left, top, right, bottom of what is not as it was."""
    from PIL import ImageChops

    return ImageChops.difference(image.pil().convert("RGB"), before.pil().convert("RGB")).getbbox()


@pytest.mark.parametrize("fill", ["original", "noise", "blur"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_outside_of_a_mask_every_pixel_stays(fill, mode):
    made, ctx = painted(source=picture(mode=mode), fill=fill)

    left, top, right, bottom = changed(made.image, picture(mode=mode))
    assert (left >= 16, top >= 8, right <= 32, bottom <= 24) == (True,) * 4
    assert made.image.mode == mode
    assert "inpaint: paints 8 % of the picture" in ctx.said
    assert made.facts["paints"] == round(256 / (64 * 48), 4)


def test_a_soft_edge_reaches_as_far_as_its_blur_and_no_farther():
    made, _ = painted(mask_blur=2.0)

    left, top, right, bottom = changed(made.image, picture())
    assert 8 <= left < 16
    assert 32 < right <= 40
    assert top < 8
    assert bottom > 24


def test_a_turned_mask_paints_the_rest():
    made, ctx = painted(invert_mask=True)

    assert made.image.pil().crop((16, 8, 32, 24)).tobytes() == picture().pil().crop((16, 8, 32, 24)).tobytes()
    assert "inpaint: paints 92 % of the picture" in ctx.said


@pytest.mark.parametrize(
    ("box", "line"),
    [
        (None, "inpaint: paints 0 % of the picture: the mask is black all over; --invert-mask turns it round"),
        ((0, 0, 63, 47), WHOLE),
        ((0, 0, 2, 2), "inpaint: paints 0.3 % of the picture"),
    ],
)  # fmt: skip
def test_a_mask_that_may_be_a_mistake_is_said(box, line):
    mask = box_mask(box) if box else Mask(mode="L", width=64, height=48, pixels=b"\0" * 64 * 48)

    made, ctx = painted(mask=mask)

    assert line in ctx.said
    if box is None:
        assert ctx.requests == []
        assert made.image == picture()
        assert made.facts["note"] == "nothing is painted: the picture passed through untouched"


def test_strength_0_paints_nothing():
    made, ctx = painted(strength=0.0)

    assert (made.image, ctx.requests) == (picture(), [])


def test_without_a_mask_the_transparent_part_is_painted_and_is_there_afterwards():
    pil = picture(mode="RGBA").pil()
    alpha = Pillow.new("L", pil.size, 255)
    ImageDraw.Draw(alpha).rectangle((16, 8, 31, 23), fill=0)
    pil.putalpha(alpha)

    made, ctx = painted(source=Image.from_pil(pil), mask=None)

    assert made.image.pil().getchannel("A").getextrema() == (255, 255)
    assert ctx.requests[0].mask.pil().getbbox() == (16, 8, 32, 24)


def test_no_mask_at_all_is_one_sentence():
    with pytest.raises(RunError) as raised:
        painted(mask=None)
    assert raised.value.message == "inpaint has no mask, and nothing in the picture is transparent"


@pytest.mark.parametrize("size", [(64, 48), (61, 45), (70, 33)])
def test_a_picture_keeps_its_size_whatever_a_model_can_draw(size):
    made, ctx = painted(source=picture(*size), mask=box_mask((8, 8, 20, 20), *size))

    assert made.image.size == size
    assert ctx.requests[0].size == Size(*(-(-side // 8) * 8 for side in size))


def test_zoom_draws_the_part_at_the_models_own_size_and_puts_it_back():
    made, ctx = painted(zoom=4)

    (request,) = ctx.requests
    assert request.size == Size(512, 512)
    assert request.mask.pil().getbbox() is not None
    assert made.facts["zoom"] == {"box": "12:4:24:24", "size": "512x512"}
    left, top, right, bottom = changed(made.image, picture())
    assert (left >= 16, top >= 8, right <= 32, bottom <= 24) == (True,) * 4


def test_what_is_asked_of_the_engine():
    _, ctx = painted(strength=0.5, pure_noise=True, chance=Chance(rng="philox", ensd=3, blend=[Weighted(9, 0.2)]))

    (request,) = ctx.requests
    assert (request.start_step, request.pure_noise, request.strength) == (4, True, 0.5)
    assert (request.rng, request.ensd, request.mixed) == ("philox", 3, (Weighted(9, 0.2),))
    assert request.source == picture()


def test_filled_from_around_is_as_bright_as_what_is_around():
    grey = Image.from_pil(Pillow.new("RGB", (96, 96), (200, 100, 50)))
    mask = box_mask((20, 20, 75, 75), 96, 96)
    hole = grey.pil()
    hole.paste((0, 0, 0), (20, 20, 76, 76))

    result = filled(Image.from_pil(hole), mask, "blur", 1)

    assert changed(result, grey) is None or max(
        abs(a - b) for a, b in zip(result.pixels, grey.pixels, strict=True)
    ) <= 2  # fmt: skip


def test_scattered_pixels_are_the_pictures_own_and_the_seeds():
    mask = box_mask((20, 20, 43, 43))
    one, same, other = (filled(picture(), mask, "noise", seed) for seed in (2**63, 2**63, 4))

    palette = set(picture().pil().get_flattened_data())
    assert set(one.pil().get_flattened_data()) <= palette
    assert one == same
    assert one != other


@pytest.mark.parametrize("fill", ["original", "noise", "blur"])
def test_beyond_the_sides_the_old_picture_stays_behind_the_seam(fill):
    ctx = FakeContext()
    (made,) = outpaint.func(
        ctx, frame_of(picture()), "sea", left=16, bottom=8, seam=8, fill=fill, seed=Seed(7), model=MODEL
    )

    assert made.image.size == (80, 56)
    old = made.image.pil().crop((16 + 8, 0, 80, 48 - 8))
    assert old.tobytes() == picture().pil().crop((8, 0, 64, 40)).tobytes()
    assert ctx.requests[0].mask.pil().getbbox() == (0, 0, 80, 56)
    assert ctx.requests[0].start_step == 2


@pytest.mark.parametrize("sides", [{}, {"left": 0}])
def test_no_side_to_paint_beyond_is_one_sentence(sides):
    with pytest.raises(RunError, match=r"^outpaint got no side to paint beyond"):
        list(outpaint.func(FakeContext(), frame_of(picture()), "sea", seed=Seed(7), model=MODEL, **sides))


def test_an_edit_brings_its_picture_and_keeps_its_size():
    ctx = FakeContext()
    (made,) = instruct.func(
        ctx, frame_of(picture(61, 45)), "make it night", image_guidance=1.2, seed=Seed(7), model=MODEL
    )

    assert made.image.size == (61, 45)
    (request,) = ctx.requests
    assert (request.image_guidance, request.size, request.start_step) == (1.2, Size(64, 48), 0)


# -- larger ------------------------------------------------------------------------------------------------------------


def test_hires_is_upscale_and_img2img_in_one():
    ctx = FakeContext()
    (made,) = txt2img.func(ctx, "a boat", size=Size(64, 48), hires=2.0, hires_strength=0.5, **GIVEN)

    small, large = ctx.requests
    assert (small.size, small.source, small.seed) == (Size(64, 48), None, 7)
    assert (large.size, large.source.size, large.seed, large.start_step) == (Size(128, 96), (128, 96), 8, 4)
    assert made.image.size == (128, 96)
    assert made.facts["hires"]["size"] == "64x48"


@pytest.mark.parametrize(
    ("words", "zoom"),
    [
        ('"a boat" --zoom', 32), ('--zoom "a boat"', 32), ("a boat --zoom --seed 3", 32), ("a boat --zoom | blur", 32),
        ('--zoom 8 "a boat"', 8), ("a boat --zoom=0", 0), ("a boat --zoom 64 | blur", 64), ('"a boat"', None),
    ],
)  # fmt: skip
def test_zoom_stands_alone_or_with_pixels(words, zoom):
    stage = next(s for s in chain_of(f"@1 | inpaint {words}", commands.registry()).stages if s.node == "inpaint")

    assert stage.values["prompt"].value == "a boat"
    assert (stage.values["zoom"].value if "zoom" in stage.values else None) == zoom


@pytest.mark.parametrize(("end", "said"), [(8, False), (9, True)])
def test_an_end_behind_the_last_step_is_said(end, said):
    ctx = FakeContext()
    list(txt2img.func(ctx, "a boat", size=Size(64, 48), end_step=end, **GIVEN))

    line = "txt2img: step 9 is behind the last of 8; the picture is drawn to its end"
    assert ctx.said == ([line] if said else [])


@given(st.integers(1, 4000), st.integers(8, 600), st.floats(0, 0.5))
def test_tiles_cover_a_side_and_their_shares_add_up(length, tile, overlap):
    length = max(length, tile)
    begins = places(length, tile, overlap)
    total = [0.0] * length

    for begin, share in zip(begins, shares(begins, tile, length), strict=True):
        for n, part in enumerate(share):
            total[begin + n] += float(part)

    assert begins[0] == 0
    assert begins[-1] == length - tile
    assert all(abs(t - 1) < 1e-9 for t in total)
    for one, two in itertools.pairwise(begins):
        assert one + tile - two >= int(tile * overlap) - 1


def test_tiles_are_drawn_with_seeds_that_count_up_and_the_size_is_free():
    ctx = FakeContext()
    (made,) = upscale_diffuse.func(
        ctx, frame_of(picture(100, 60)), "a boat", scale=1.7, tile=Size(64, 64), overlap=0.25, **GIVEN
    )

    assert made.image.size == (170, 102)
    assert [r.seed for r in ctx.requests] == [7 + n for n in range(len(ctx.requests))]
    assert {r.size for r in ctx.requests} == {Size(64, 64)}
    assert made.facts["tiles"]["count"] == len(ctx.requests) == 8
    assert "upscale_diffuse: 4 x 2 tiles of 64x64" in ctx.said


def test_a_picture_of_one_tile_is_drawn_whole():
    ctx = FakeContext()
    (made,) = upscale_diffuse.func(ctx, frame_of(picture(30, 20)), "a boat", scale=2.0, **GIVEN)

    assert made.image.size == (60, 40)
    assert [r.size for r in ctx.requests] == [Size(64, 40)]


class Negatives(FakeContext):
    """Its engine's networks make negatives."""

    @property
    def engine(self):
        return self

    def enlarge(self, request):
        from PIL import ImageOps

        self.requests.append(request)
        yield Made(image=Image.from_pil(ImageOps.invert(request.image.pil())))


def test_a_face_is_drawn_at_512_and_nothing_outside_of_its_box_changes():
    ctx = Negatives()
    made = restore_faces.func(
        ctx, frame_of(picture(96, 64, "RGBA")), face_model=model_of("gfpgan", "upscaler"), box=[Box(40, 8, 32, 24)]
    )

    assert [r.image.size for r in ctx.requests] == [(512, 512)]
    left, top, right, bottom = changed(made.image, picture(96, 64, "RGBA"))
    assert (left >= 40, top >= 4, right <= 72, bottom <= 36) == (True,) * 4
    assert made.facts["faces"] == ["40:4:32:32"]
    assert "restore_faces takes 32x32 at 40:4 for 40:8:32:24: a square" in ctx.said


# -- variations --------------------------------------------------------------------------------------------------------


def test_a_variation_is_another_seed_mixed_in():
    assert varied({"variation": 0.0, "blend": ()}, 9) is None
    assert varied({"variation": 0.2, "blend": (Weighted(3, 0.1),)}, 9) == {
        "variation": 0.0,
        "blend": (Weighted(3, 0.1), Weighted(9, 0.2)),
    }


def test_variations_keep_their_seed_and_mix_in_seeds_that_count_up():
    from pipeline_kit import REGISTRY, plan_of

    calls = [c for c in plan_of("txt2img x --seed 7 --variation 0.2 -n 3", REGISTRY).calls if c.node]

    assert [c.params["seed"] for c in calls] == [7, 7, 7]
    seeds = [c.params["blend"][0].value for c in calls]
    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]
    assert {c.params["variation"] for c in calls} == {0.0}


def test_a_sweep_of_variations_goes_toward_one_picture():
    from pipeline_kit import REGISTRY, plan_of

    calls = [c for c in plan_of("txt2img x --seed 7 --variation 0..0.4..0.2", REGISTRY).calls if c.node]

    assert [len(c.params["blend"]) for c in calls] == [0, 1, 1]
    assert calls[1].params["blend"][0].value == calls[2].params["blend"][0].value


def test_several_seeds_may_stand_in_one_word():
    from pipeline_kit import REGISTRY, plan_of

    (call,) = [c for c in plan_of("txt2img x --seed 7 --blend 3:0.1,5:0.25 -V 8", REGISTRY).calls if c.node]

    assert call.params["blend"] == (Weighted(3, 0.1), Weighted(5, 0.25), Weighted(8, 1.0))


def test_a_seed_that_is_none_is_refused():
    with pytest.raises(RunError, match=r"^--blend -4 is no seed"):
        Chance(blend=[Weighted(-4, 0.5)]).asked()


@pytest.mark.parametrize(
    ("advice", "base", "size"),
    [({"size": "128x128"}, "", 128), ({}, "sdxl", 1024), ({}, "sd1", 512), ({"size": "3:4"}, "sd1", 512)],
)
def test_a_models_own_size(advice, base, size):
    import dataclasses

    assert own_size(dataclasses.replace(MODEL, advice=advice, base=base)) == Size(size, size)
