"""ControlNets and IP-Adapters as flags: which picture belongs to which, what is said when they do not fit."""

from types import SimpleNamespace

import pytest
from pipeline_kit import REGISTRY as KIT
from pipeline_kit import model_of

from invoke_shell.commands.guides import Guides
from invoke_shell.commands.paint import inpaint, instruct, outpaint
from invoke_shell.commands.tiles import upscale_diffuse
from invoke_shell.errors import RunError
from invoke_shell.pipeline.types import Size, Weighted
from invoke_shell.records import Frame, Image, Made, Mask, StepRecord


def plain(colour, width=16, height=16):
    return Image(mode="RGB", width=width, height=height, pixels=bytes(colour) * (width * height))


RED, GREEN = plain((200, 0, 0)), plain((0, 200, 0))


def nets(kind, *names):
    return [Weighted(model_of(name, kind), 0.5) for name in names]


def test_each_control_reads_its_own_picture_and_one_is_for_all():
    both = Guides(control=nets("controlnet", "canny", "depth"), control_image=[RED, GREEN], control_end=[0.5])

    asked = both.asked()["controls"]

    assert [(c.model.name, c.weight, c.image, c.start, c.end) for c in asked] == [
        ("canny", 0.5, RED, 0.0, 0.5),
        ("depth", 0.5, GREEN, 0.0, 0.5),
    ]


def test_a_control_without_a_picture_reads_the_one_that_comes_in():
    (control,) = Guides(control=nets("controlnet", "tile")).asked(GREEN)["controls"]

    assert control.image == GREEN


def test_pictures_of_one_adapter_are_all_its_own_and_of_several_one_each():
    one = Guides(ip_adapter=nets("ip_adapter", "plus"), ip_image=[RED, GREEN]).asked()["picture_prompts"]
    two = Guides(ip_adapter=nets("ip_adapter", "plus", "face"), ip_image=[RED, GREEN]).asked()["picture_prompts"]

    assert [p.images for p in one] == [(RED, GREEN)]
    assert [(p.model.name, p.images) for p in two] == [("plus", (RED,)), ("face", (GREEN,))]


@pytest.mark.parametrize(
    ("guides", "message"),
    [
        (Guides(control=nets("controlnet", "a")), "--control needs a picture"),
        (Guides(control_image=[RED]), "--control-image stands without --control"),
        (Guides(control_end=[0.5]), "--control-end stands without --control"),
        (Guides(control=nets("controlnet", "a", "b", "c"), control_image=[RED, GREEN]),
         "there are 2 --control-image for 3 --control"),
        (Guides(control=nets("controlnet", "a"), control_image=[RED], control_start=[0.1, 0.2]),
         "there are 2 --control-start for 1 --control"),
        (Guides(ip_adapter=nets("ip_adapter", "a")), "--ip-adapter needs a picture"),
        (Guides(ip_image=[RED]), "--ip-image stands without --ip-adapter"),
    ],
)  # fmt: skip
def test_lists_that_do_not_fit_are_one_sentence(guides, message):
    with pytest.raises(RunError) as raised:
        guides.asked()

    assert (raised.value.message, raised.value.code) == (message, "wrong-shape")


class Recorder:
    """An engine that remembers what it was asked for and gives a picture of one colour."""

    def __init__(self):
        self.asked = []

    def generate(self, request):
        self.asked.append(request)
        yield Made(image=plain((1, 2, 3), *request.size), facts={})


@pytest.mark.parametrize(("zoom", "size"), [(None, Size(32, 32)), (0, Size(64, 64))])
def test_a_control_picture_goes_where_the_painted_part_goes(zoom, size):
    """White on the left half: zoomed in on the right half it is black all over."""
    engine = Recorder()
    half = Image(mode="RGB", width=32, height=32, pixels=(bytes([255] * 48) + bytes(48)) * 32)
    mask = Mask(mode="L", width=32, height=32, pixels=(bytes(16) + bytes([255] * 16)) * 16 + bytes(32) * 16)
    model = model_of("pocket", advice={"size": "64x64"})
    guides = Guides(control=nets("controlnet", "canny"), control_image=[half])

    list(
        inpaint.func(
            SimpleNamespace(engine=engine, say=lambda text: None), frame_of(plain((9, 9, 9), 32, 32)), "a boat",
            mask=mask, mask_blur=0.0, zoom=zoom, seed=1, model=model, guides=guides,
        )
    )  # fmt: skip

    (control,) = engine.asked[0].controls
    assert (engine.asked[0].size, control.image.size) == (size, (size.width, size.height))
    assert (255 in control.image.pixels) == (zoom is None)


def frame_of(image):
    step = StepRecord(node="load_image", version=1, package="x", params={}, inputs={}, environment={},
                      output_hash=image.hash, width=image.width, height=image.height)  # fmt: skip
    return Frame(image=image, step=step, values={})


def test_the_nodes_that_draw_have_the_flags():
    for name in ("txt2img", "img2img", "inpaint"):
        assert {"--control", "--control-image", "--ip-adapter", "--ip-image"} <= set(KIT[name].flags)


def guided(node, image, *words, **values):
    """What a node asks of the engine."""
    engine = Recorder()
    ctx = SimpleNamespace(engine=engine, say=lambda text: None)
    list(node.func(ctx, frame_of(image), *words, seed=1, model=model_of("pocket"), **values))
    return engine.asked[0]


@pytest.mark.parametrize(
    ("size", "box"),
    [((16, 16), (8, 0, 24, 16)), ((32, 16), (0, 0, 32, 16))],  # of the old picture; of the whole
)
def test_a_control_picture_of_outpaint_stands_where_the_picture_does(size, box):
    guides = Guides(control=nets("controlnet", "canny"), control_image=[plain((255, 255, 255), *size)])

    asked = guided(outpaint, RED, "a boat", left=8, right=8, guides=guides)

    assert (asked.controls[0].image.size, asked.controls[0].image.pil().getbbox()) == ((32, 16), box)


def test_outpaint_lets_a_control_read_the_picture_it_grows():
    asked = guided(outpaint, RED, "a boat", right=16, fill="original", guides=Guides(control=nets("controlnet", "a")))

    assert asked.controls[0].image == plain((200, 0, 0), 32, 16) == asked.source


def test_instruct_takes_both_and_fills_a_control_picture_up_as_its_own():
    image = plain((200, 0, 0), 20, 16)
    guides = Guides(
        control=nets("controlnet", "a"), ip_adapter=nets("ip_adapter", "style"), ip_image=[GREEN]
    )  # fmt: skip

    asked = guided(instruct, image, "make it night", guides=guides)

    assert (asked.controls[0].image, asked.picture_prompts[0].images) == (plain((200, 0, 0), 24, 16), (GREEN,))
    assert asked.source == asked.controls[0].image


def test_each_tile_reads_its_part_of_a_control_picture():
    """Of 32x32 enlarged to 64x64 with tiles of 32: white is the left half alone."""
    engine = Recorder()
    ctx = SimpleNamespace(engine=engine, say=lambda text: None)
    half = Image(mode="RGB", width=32, height=32, pixels=(bytes([255] * 48) + bytes(48)) * 32)
    guides = Guides(control=nets("controlnet", "tile"), control_image=[half])
    model = model_of("pocket", advice={"size": "64x64"})

    values = {"seed": 1, "model": model, "tile": Size(64, 64), "scale": 4.0, "overlap": 0.0, "guides": guides}
    list(upscale_diffuse.func(ctx, frame_of(plain((9, 9, 9), 32, 32)), "a boat", **values))

    lights = [max(asked.controls[0].image.pixels[3 * 40 : 3 * 60]) for asked in engine.asked]
    assert [asked.controls[0].image.size for asked in engine.asked] == [(64, 64)] * 4
    assert [light > 128 for light in lights] == [True, False, True, False]


def test_tiles_are_read_by_a_control_that_has_no_picture():
    engine = Recorder()
    ctx = SimpleNamespace(engine=engine, say=lambda text: None)
    guides = Guides(control=nets("controlnet", "tile"))

    list(upscale_diffuse.func(ctx, frame_of(RED), "a boat", seed=1, model=model_of("pocket"), guides=guides))

    assert all(asked.controls[0].image == asked.source for asked in engine.asked)
