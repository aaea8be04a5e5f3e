"""From a chain to a plan: precedence and sources, what flows, seeds, handles, pairing, results, needs."""

from dataclasses import replace
from typing import Annotated

import pytest
from pipeline_kit import (
    REGISTRY,
    chain_of,
    made_by,
    model_of,
    plan_of,
    ref_of,
    result_of,
    values_of,
)

from invoke_shell.errors import BlockedError, LineError
from invoke_shell.pipeline.chain import Source, Value
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.plan import InputRef, needs
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.types import Size, Weighted
from invoke_shell.records import Frame, Image, ModelRecord, Resource, StepRecord


def session(**values):
    return {n.replace("__", "."): Value(v, Source.SESSION) for n, v in values.items()}


def config(**values):
    return {n.replace("__", "."): Value(v, Source.CONFIG) for n, v in values.items()}


def advised(**advice):
    return {("checkpoint", "pocket"): model_of("pocket", advice=advice)}


def source_of(made, node_name, name):
    return [(c.params[name], c.sources[name]) for c in made_by(made, node_name)]


def refusal(line, **found):
    with pytest.raises(LineError) as caught:
        plan_of(line, **found)
    return str(caught.value)


def history(length):
    """A step with so many before it."""
    made = StepRecord(
        node="load_image", version=1, package="", params={}, inputs={"image": (Resource(hash="h", width=1, height=1),)}
    )
    for n in range(length - 1):
        made = StepRecord(node="blur", version=1, package="", params={"radius": n}, inputs={"frame": (made,)})
        _ = made.key
    return made


# -- where a value comes from ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "settings", "advice", "wanted"),
    [
        ("txt2img x --steps 1", session(steps=2), {"steps": 4}, (1, Source.LINE)),
        ("txt2img x", {**config(steps=3), **session(steps=2)}, {"steps": 4}, (2, Source.SESSION)),
        ("txt2img x", config(steps=3), {"steps": 4}, (3, Source.CONFIG)),
        ("txt2img x", {}, {"steps": 4}, (4, Source.MODEL)),
        ("txt2img x", {}, {}, (24, Source.DEFAULT)),
        ("txt2img x", session(txt2img__steps=5, steps=2), {}, (5, Source.SESSION)),
        ("txt2img x", {**config(txt2img__steps=5), **session(steps=2)}, {}, (2, Source.SESSION)),
        ("txt2img x", session(img2img__steps=5), {}, (24, Source.DEFAULT)),
        ("txt2img x", {}, {"steps": 999}, (24, Source.DEFAULT)),
        ("txt2img x", {}, {"steps": "many"}, (24, Source.DEFAULT)),
    ],
)
def test_precedence_of_a_value(line, settings, advice, wanted):
    made = plan_of(line, settings=settings, models=advised(**advice))

    assert source_of(made, "txt2img", "steps") == [wanted]


def test_piped_beats_the_session_and_typed_beats_piped():
    settings = session(prompt="s", negative="t")

    made = plan_of("txt2img x --negative y | img2img --negative z", settings=settings)

    assert source_of(made, "img2img", "prompt") == [("x", Source.PIPE)]
    assert source_of(made, "img2img", "negative") == [("z", Source.LINE)]


def test_prompts_and_model_follow_down_a_line_through_nodes_that_do_not_give_them():
    made = plan_of("txt2img x --negative y --model other | upscale | blur | img2img")

    (call,) = made_by(made, "img2img")
    assert (call.params["prompt"], call.params["negative"], call.params["model"].name) == ("x", "y", "other")
    assert {call.sources[n] for n in ("prompt", "negative", "model")} == {Source.PIPE}


def test_steps_and_size_do_not_follow():
    made = plan_of("txt2img x --steps 5 | img2img")

    assert source_of(made, "img2img", "steps") == [(24, Source.DEFAULT)]


def test_prompts_follow_from_a_handle_and_the_model_does_not():
    made = plan_of("@12 | img2img", handles={"@12": (result_of("@12", model=model_of("other")),)})

    assert source_of(made, "img2img", "prompt") == [("prompt of @12", Source.PIPE)]
    assert values_of(made, "img2img", "model") == [model_of("pocket")]
    other, own = model_of("other").text, model_of("pocket").text
    assert made.notes == (f"@12 was made with {other}; img2img runs {own}",)


def test_vae_beside_the_model_is_no_other_model():
    made = plan_of("@12 | img2img --vae soft", handles={"@12": (result_of("@12", model=model_of("pocket")),)})

    assert made.notes == ()


def test_nothing_follows_from_a_file():
    message = "img2img needs a prompt: none was typed and none comes down the pipe"

    assert refusal("load_image a.png | img2img") == (
        f"  load_image a.png | img2img\n                     ^^^^^^^\n{message}\n  write it: --prompt ..."
    )


def test_a_list_node_hands_on_only_what_all_its_pictures_share():
    made = plan_of("txt2img {a|b} --negative y | contact_sheet | img2img z")

    assert source_of(made, "img2img", "negative") == [("y", Source.PIPE)]
    assert refusal("txt2img {a|b} | contact_sheet | img2img").splitlines()[2].startswith("img2img needs a prompt")


def test_a_value_of_another_type_or_kind_of_model_does_not_flow():
    @node(gives=("model", "prompt"))
    def start(
        *,
        model: Annotated[ModelRecord, Arg(help="A VAE.", model="vae")],
        prompt: Annotated[int, Arg(help="A number.")] = 3,
    ) -> Image:
        """Start."""
        raise NotImplementedError

    registry = Registry.of(start, REGISTRY["img2img"])

    made = plan_of("start --model v | img2img x", registry)

    assert values_of(made, "img2img", "model") == [model_of("pocket")]
    with pytest.raises(LineError, match="img2img needs a prompt"):
        plan_of("start --model v | img2img", registry)


# -- excluded parameters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "settings", "wanted"),
    [
        ("--strength 0.5", {}, (0.5, None)),
        ("--start-step 3", {}, (0.75, 3)),
        ("--start-step 3", session(strength=0.2), (0.75, 3)),
        ("--strength 0.5", session(start_step=3), (0.5, None)),
        ("", session(strength=0.2), (0.2, None)),
        ("", session(start_step=3), (0.75, 3)),
        ("", {**config(strength=0.2), **session(start_step=3)}, (0.75, 3)),
        ("", {**config(start_step=3), **session(strength=0.2)}, (0.2, None)),
        ("--start-step none", session(start_step=3), (0.75, None)),
    ],
)
def test_of_two_parameters_that_exclude_each_other_the_nearer_stands(line, settings, wanted):
    made = plan_of(f"load_image a.png | img2img x {line}", settings=settings)

    assert values_of(made, "img2img", "strength", "start_step") == [wanted]


# -- seeds -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("txt2img x", [1000]),
        ("txt2img x -n 3", [1000, 1001, 1002]),
        ("txt2img x --seed 7 -n 3", [7, 8, 9]),
        ("txt2img x --seed random -n 2", [1000, 1001]),
        ("txt2img x --steps 1,2,3", [1000, 1000, 1000]),
        ("txt2img x --seed 18446744073709551615", [2**64 - 1]),
        ("txt2img x --seed @12.seed", [100]),
    ],
)
def test_seeds_of_one_stage(line, wanted):
    assert values_of(plan_of(line), "txt2img", "seed") == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("txt2img x --seed 7 | img2img", [8]),
        ("txt2img x --seed 7 | img2img --seed 7", [7]),
        ("txt2img x --seed 7 | img2img | img2img", [8, 9]),
        ("txt2img x --seed 7 | upscale | img2img", [8]),
        ("txt2img x --seed 7 | img2img -n 2", [8, 9]),
        ("txt2img x --seed 7 -n 2 | img2img", [8, 9]),
        ("txt2img x --seed 7 | img2img --seed random", [1001]),
        ("txt2img x --seed 18446744073709551615 | img2img", [0]),
        ("@12 | img2img", [101]),
        ("load_image a.png | img2img x", [1000]),
        ("load_image a.png b.png | img2img x", [1000, 1001]),
    ],
)
def test_a_later_stage_never_has_its_picture_s_seed(line, wanted):
    assert values_of(plan_of(line), "img2img", "seed") == wanted


def test_a_seed_of_the_session_is_not_shared_by_two_stages():
    made = plan_of("txt2img x | img2img", settings=session(seed=42))

    assert source_of(made, "txt2img", "seed") == [(42, Source.SESSION)]
    assert source_of(made, "img2img", "seed") == [(43, Source.PIPE)]


def test_seeds_end():
    assert refusal("txt2img x --seed 18446744073709551615 -n 2").splitlines()[1:] == [
        "                   ^^^^^^^^^^^^^^^^^^^^",
        "seeds go up to 18446744073709551615",
    ]


# -- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "advice", "wanted"),
    [
        ("--size 3:4", {}, Size(440, 592)),
        ("--size 3:4", {"size": "64x64"}, Size(56, 72)),
        ("--size 1:1", {"size": "768x768"}, Size(768, 768)),
        ("--size 768x", {}, Size(768, 512)),
        ("-H 768", {"size": "64x64"}, Size(64, 768)),
        ("", {"size": "64x96"}, Size(64, 96)),
        ("-W 128 -H 256", {"size": "64x64"}, Size(128, 256)),
    ],
)
def test_ratios_and_sides_are_at_the_model_s_own_area(typed, advice, wanted):
    models = {("checkpoint", "pocket"): model_of("pocket", advice=advice)}
    if wanted == Size(56, 72):
        assert refusal(f"txt2img x {typed}", models=models).splitlines()[2] == (
            "3:4 would be 56x72: --size is 64 to 4096 px, a multiple of 8, not 56x72"
        )
        return

    assert values_of(plan_of(f"txt2img x {typed}", models=models), "txt2img", "size") == [wanted]


def test_a_ratio_of_the_session_is_resolved_too():
    from invoke_shell.pipeline.types import Ratio

    made = plan_of("txt2img x", settings=session(size=Ratio(1, 4)))

    assert source_of(made, "txt2img", "size") == [(Size(256, 1024), Source.SESSION)]


# -- handles -----------------------------------------------------------------------------------------------------------


def test_several_handles_come_down_the_pipe_in_order():
    several = {"@12": tuple(result_of(f"@{n}") for n in (1, 2)), "@x": (result_of("@x"),)}

    made = plan_of("@12 @x | img2img", handles=several)

    assert values_of(made, "img2img", "prompt") == ["prompt of @1", "prompt of @2", "prompt of @x"]


def test_a_line_goes_on_from_all_results_of_the_last():
    made = plan_of("| img2img", last=[result_of("@1"), result_of("@2")])

    assert values_of(made, "img2img", "seed") == [101, 101]
    assert made.handles == {"|": ("@1", "@2")}


def test_without_a_last_line_there_is_nothing_to_go_on_from():
    with pytest.raises(BlockedError) as caught:
        plan_of("| upscale")

    assert (caught.value.message, caught.value.code) == ("there are no results to go on from", "no-last")


@pytest.mark.parametrize(
    ("line", "found", "wanted"),
    [
        ("--seed @12.seed", {}, "@12 has no seed"),
        ("--seed @12.seed", {"seed": 2**70}, "--seed is 0 to 18446744073709551615, not 1180591620717411303424"),
        ("--seed @12.prompt", {"prompt": "x"}, "@12.prompt is not a whole number from 0 to 18446744073709551615, "
                                              "or random"),
        ("--steps @12.seed", {"seed": 999}, "--steps is 1 to 150, not 999"),
        ("--model @12.prompt", {"prompt": "x"}, "@12.prompt is not the name of a model"),
        ("--steps @12.model", {}, "@12.model is not a whole number"),
    ],
)  # fmt: skip
def test_a_link_that_does_not_fit_is_said_at_its_word(line, found, wanted):
    said = refusal(f"txt2img x {line}", handles={"@12": (result_of("@12", values=found),)})

    word = line.split()[1]
    assert said.splitlines()[0].endswith(word)
    assert said.splitlines()[1].strip() == "^" * len(word)
    assert said.splitlines()[2] == wanted


def test_a_link_to_pictures_that_differ_is_refused():
    two = (result_of("@1", values={"seed": 1}), result_of("@2", values={"seed": 2}))

    assert "@-2..-1 has more than one seed" in refusal("txt2img x --seed @-2..-1.seed", handles={"@-2..-1": two})


def test_links_reach_what_flows_the_model_and_what_the_step_recorded():
    step = replace(history(1), params={"steps": 9, "size": "64x96"})
    handles = {"@12": (result_of("@12", step=step, model=model_of("other")),)}

    made = plan_of("txt2img @12.prompt --seed @12.seed --steps @12.steps --size @12.size --model @12", handles=handles)

    found = values_of(made, "txt2img", "prompt", "seed", "steps", "size", "model")
    assert found == [("prompt of @12", 100, 9, Size(64, 96), model_of("other"))]


def test_links_in_lists_and_strengths():
    handles = {"@12": (result_of("@12", model=model_of("l", "lora")),)}

    made = plan_of("every_kind --numbers @12.seed --numbers 5 --lora @12:0.5 --lora b", handles=handles)

    assert values_of(made, "every_kind", "numbers") == [(100, 5)]
    wanted = (Weighted(model_of("l", "lora"), 0.5), Weighted(model_of("b", "lora"), 1.0))
    assert values_of(made, "every_kind", "lora") == [wanted]


# -- second pictures ---------------------------------------------------------------------------------------------------


def masks(made):
    return [c.inputs["mask"] for c in made_by(made, "paste")]


def test_one_mask_goes_with_every_picture():
    made = plan_of("load_image a.png b.png | paste m.png")

    assert masks(made) == [(ref_of("m.png"),), (ref_of("m.png"),)]


def test_as_many_masks_as_pictures_are_paired_in_order():
    three = {"m*.png": tuple(ref_of(f"m{n}.png") for n in (1, 2, 10))}

    made = plan_of("load_image a.png b.png c.png | paste m*.png", pictures=three)

    assert [m[0].name for m in masks(made)] == ["m1.png", "m2.png", "m10.png"]


def test_another_number_of_masks_is_refused():
    two = {"m*.png": (ref_of("m1.png"), ref_of("m2.png"))}

    assert refusal("load_image a.png b.png c.png | paste m*.png", pictures=two) == (
        "  load_image a.png b.png c.png | paste m*.png\n"
        "                                       ^^^^^^\n"
        "--mask gives 2 pictures for 3\n  give one, or as many as come down the pipe"
    )


def test_an_earlier_result_as_a_mask_is_one_call_however_often_it_is_used():
    made = plan_of("load_image a.png b.png | paste @12 --over @12")

    assert [c.given.handle for c in made.calls if c.given] == ["@12"]
    (first, second), (over, _) = masks(made), [c.inputs["over"] for c in made_by(made, "paste")]
    assert first == second == over


def test_several_files_begin_a_chain_of_several_pictures():
    made = plan_of("load_image a.png *.jpg @12", pictures={"*.jpg": (ref_of("1.jpg"), ref_of("2.jpg"))})

    inputs = [c.inputs["image"][0] for c in made_by(made, "load_image")]
    assert [i.name for i in inputs if isinstance(i, InputRef)] == ["a.png", "1.jpg", "2.jpg"]
    assert isinstance(inputs[3], int)


def test_a_list_of_pictures_takes_them_all():
    made = plan_of("every_kind --pictures a.png --pictures b.png")

    assert [r.name for r in made_by(made, "every_kind")[0].inputs["pictures"]] == ["a.png", "b.png"]


# -- results -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "keep_all", "wanted"),
    [
        ("txt2img x", False, ["txt2img"]),
        ("txt2img x | upscale", False, ["upscale"]),
        ("txt2img x | upscale", True, ["txt2img", "upscale"]),
        ("txt2img x as @base | upscale", False, ["txt2img", "upscale"]),
        ("txt2img x | upscale | save a.png", False, ["upscale"]),
        ("txt2img x | show_image | upscale", False, ["upscale"]),
        ("txt2img x -n 2 | contact_sheet", False, ["txt2img", "txt2img", "contact_sheet"]),
        ("txt2img x -n 2 | show_image | contact_sheet", False, ["txt2img", "txt2img", "contact_sheet"]),
        ("txt2img x -n 2 | upscale | contact_sheet | blur", False, ["upscale", "upscale", "blur"]),
        ("load_image a.png b.png | contact_sheet", False, ["contact_sheet"]),
        ("load_image a.png | blur | contact_sheet", False, ["blur", "contact_sheet"]),
        ("@12 | contact_sheet", False, ["contact_sheet"]),
        ("@12 | save a.png", False, []),
        ("@12", False, []),
        ("load_image a.png", False, ["load_image"]),
    ],
)
def test_which_pictures_are_results(line, keep_all, wanted):
    made = plan_of(line, keep_all=keep_all)

    assert [made.calls[i].node for i in made.results] == wanted


def test_a_name_behind_save_names_the_picture_that_is_saved():
    made = plan_of("txt2img x | save a.png as @kitten")

    assert [c.name for c in made_by(made, "txt2img")] == ["kitten"]
    assert [c.name for c in made_by(made, "save")] == [""]


# -- needs -------------------------------------------------------------------------------------------------------------


def wanted(line, settings=None):
    return [(n.what, n.kind, n.text) for n in needs(chain_of(line), REGISTRY, settings or {})]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("txt2img x", [("model", "checkpoint", "pocket")]),
        ("txt2img x --model b", [("model", "checkpoint", "b")]),
        ("txt2img x --model b,c", [("model", "checkpoint", "b"), ("model", "checkpoint", "c")]),
        ("txt2img x --model b | img2img", [("model", "checkpoint", "b")]),
        ("txt2img x --model b,c | contact_sheet | img2img x", [
            ("model", "checkpoint", "b"), ("model", "checkpoint", "c"), ("model", "checkpoint", "pocket"),
        ]),
        ("@12 | img2img", [("handle", "", "@12"), ("model", "checkpoint", "pocket")]),
        ("@12 @-1 | blur", [("handle", "", "@12"), ("handle", "", "@-1")]),
        ("| blur", [("last", "", "|")]),
        ("load_image a.png *.png @12 blake3:0123456789ab a.png", [
            ("picture", "", "a.png"), ("pattern", "", "*.png"), ("handle", "", "@12"),
            ("hash", "", "blake3:0123456789ab"),
        ]),
        ('load_image "*.png"', [("picture", "", "*.png")]),
        ("txt2img x --seed @12.seed --model m", [("handle", "", "@12"), ("model", "checkpoint", "m")]),
        ("@1 | paste m.png --over @1", [("handle", "", "@1"), ("picture", "", "m.png")]),
        ("every_kind --lora a:0.5 --lora @12:2 --extra v --model c", [
            ("model", "lora", "a"), ("handle", "", "@12"), ("model", "vae", "v"), ("model", "checkpoint", "c"),
        ]),
        ("@1 | upscale --upscaler esrgan", [("handle", "", "@1"), ("model", "upscaler", "esrgan")]),
    ],
)  # fmt: skip
def test_everything_a_line_needs_is_listed_once_in_reading_order(line, found):
    assert wanted(line) == found


def test_a_model_of_the_session_is_needed_instead_of_the_default():
    from invoke_shell.pipeline.types import ModelName

    assert wanted("txt2img x", session(model=ModelName("mine"))) == [("model", "checkpoint", "mine")]


def test_a_need_knows_its_word():
    line = "txt2img x --model b | paste m.png"

    assert [line[slice(*n.span)] for n in needs(chain_of(line), REGISTRY, {})] == ["b", "m.png"]


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_history_longer_than_the_limit_is_refused_before_the_run():
    line = "@12 | blur"

    plan_of(line, handles={"@12": (result_of("@12", step=history(4094)),)})
    said = refusal(line, handles={"@12": (result_of("@12", step=history(4096)),)})

    assert said == (
        "  @12 | blur\n  ^^^^^^^^^^\nthe history of this picture would have more than 4096 steps\n"
        "  go on from its file: load_image takes it without its history"
    )


def test_many_pictures_with_long_histories_each_are_no_long_history():
    many = tuple(result_of(f"@{n}", step=history(1000)) for n in range(5))

    assert len(made_by(plan_of("@12 | blur", handles={"@12": many}), "blur")) == 5


def test_a_frame_parameter_has_any_name():
    @node
    def first(pictures: list[Frame]) -> Image:
        """Take the first."""
        return pictures[0].image

    made = plan_of("load_image a.png b.png | first", Registry.of(first, REGISTRY["load_image"], loader="load_image"))

    assert made.calls[-1].inputs == {"pictures": (0, 1)}
