"""Running a plan: events in order, the cache, failures as one event, records complete."""

import logging
import pickle
from collections.abc import Iterator
from typing import Annotated

import pytest
from pipeline_kit import (
    REGISTRY,
    FakeHost,
    MemoryCache,
    frames,
    image_of,
    model_of,
    plan_of,
    ref_of,
    result_of,
    run_of,
    smallest_line,
    told,
)

from invoke_shell.errors import BlockedError, Cancelled, RunError
from invoke_shell.pipeline.context import Ask, Context
from invoke_shell.pipeline.events import Failed, FrameDone, Progress, Said, to_plain
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.registry import Registry
from invoke_shell.records import Frame, Image, Made, Mask, Resource, StepRecord, topological
from invoke_shell.runtime.fake import FakeEngine

SMALL = "--size 64x64 --steps 2"


def kinds(events, kind):
    return [e for e in events if isinstance(e, kind)]


def last(events):
    return events[-1]


# -- events ------------------------------------------------------------------------------------------------------------


def test_events_come_in_order():
    events = run_of(f"txt2img x {SMALL} -n 2 | upscale | show_image")

    assert told(events) == [
        *("ChainStarted", "StageStarted", "FrameDone", "FrameDone", "StageDone"),
        *("StageStarted", "FrameDone", "FrameDone", "StageDone"),
        *("StageStarted", "AskShell", "FrameDone", "AskShell", "FrameDone", "StageDone", "ChainDone"),
    ]
    assert (events[0].stages, events[0].pictures) == (("txt2img", "upscale", "show_image"), 2)
    assert events[-1].pictures == 2


def test_progress_counts_the_steps_of_each_picture():
    events = run_of(f"txt2img x {SMALL} -n 2")

    found = [(p.stage, p.call, p.done, p.total) for p in kinds(events, Progress)]
    assert found[-1] == (0, 1, 2, 2)
    assert {f[1] for f in found} == {0, 1}
    assert all(done <= total for _, _, done, total in found)


def test_results_are_numbered_in_reading_order_and_named():
    done = kinds(run_of(f"txt2img x {SMALL} -n 2 as @base | upscale"), FrameDone)

    assert [(d.number, d.name, d.final) for d in done] == [
        (0, "base", True),
        (1, "base", True),
        (2, "", True),
        (3, "", True),
    ]


def test_pictures_between_are_no_results():
    done = kinds(run_of(f"txt2img x {SMALL} | upscale | blur"), FrameDone)

    assert [d.final for d in done] == [False, False, True]


def test_a_sheet_keeps_its_pictures_as_results():
    done = kinds(run_of(f"txt2img x {SMALL} -n 3 | contact_sheet"), FrameDone)

    assert [d.final for d in done] == [True, True, True, True]


def test_notes_of_the_plan_are_said_first():
    events = run_of("@12 | img2img --steps 2", handles={"@12": (result_of("@12", model=model_of("other")),)})

    assert kinds(events, Said)[0].text.startswith("@12 was made with other@")


def test_save_and_show_ask_the_shell_and_pass_their_pictures_on():
    events = run_of(f"txt2img x {SMALL} | save a.png | show_image --width 20 | blur")

    asks = [e.ask for e in events if type(e).__name__ == "AskShell"]
    assert [(a.what, str(a.path or ""), dict(a.options)) for a in asks] == [
        ("save", "a.png", {"embed": False}),
        ("show", "", {"width": 20}),
    ]
    (result,) = frames(events)
    assert [s.node for s in topological(result.step)] == ["txt2img", "blur"]


def test_a_node_that_gives_several_pictures_hands_all_on():
    events = run_of("load_image a.png b.png | twins | blur")

    assert len(frames(events)) == 4


def test_every_event_has_a_plain_form_and_crosses_a_pipe():
    import json

    for event in run_of(f"txt2img x {SMALL} | save a.png") + run_of("load_image a.png | fail"):
        assert json.loads(json.dumps(to_plain(event)))["event"] == type(event).__name__
        again = pickle.loads(pickle.dumps(event))
        assert to_plain(again) == to_plain(event)


def test_the_seconds_of_a_result_are_those_of_all_its_steps():
    slow = FakeHost(fake=FakeEngine(latency=0.1))

    alone = kinds(run_of(f"txt2img x {SMALL} | blur | blur", slow), FrameDone)
    named = kinds(run_of(f"txt2img x {SMALL} as @base | blur", slow), FrameDone)
    sheet = kinds(run_of(f"txt2img x {SMALL} -n 2 | contact_sheet", slow), FrameDone)

    assert alone[-1].final
    assert alone[-1].seconds >= 0.2
    assert named[0].seconds >= 0.2 > named[-1].seconds  # the base has told its own
    assert sheet[-1].seconds < 0.2


# -- the cache ---------------------------------------------------------------------------------------------------------


def ran(events):
    return {e.node: (e.ran, e.cached) for e in events if type(e).__name__ == "StageDone"}


def test_changing_only_the_last_stage_runs_only_the_last_stage():
    cache = MemoryCache()

    first = run_of(f"txt2img x {SMALL} --seed 1..2 | upscale", cache=cache)
    second = run_of(f"txt2img x {SMALL} --seed 1..2 | upscale --scale 3", cache=cache)

    assert ran(first) == {"txt2img": (2, 0), "upscale": (2, 0)}
    assert ran(second) == {"txt2img": (0, 2), "upscale": (2, 0)}
    assert [d.cached for d in kinds(second, FrameDone)] == [True, True, False, False]


def test_a_cached_picture_is_the_picture_and_its_whole_record():
    cache = MemoryCache()
    line = f"txt2img x {SMALL} --seed 1 | img2img | contact_sheet"

    fresh, cached = (frames(run_of(line, cache=cache)) for _ in range(2))

    assert [f.step.key for f in fresh] == [f.step.key for f in cached]
    assert [f.image for f in fresh] == [f.image for f in cached]
    assert [f.step.facts for f in fresh] == [f.step.facts for f in cached]


@pytest.mark.parametrize("change", ["--steps 3", "--seed 2", "--negative y", "--model other", "--size 64x128"])
def test_what_changes_a_pixel_is_in_the_key(change):
    cache = MemoryCache()
    run_of("txt2img x --seed 1 --steps 2 --size 64x64", cache=cache)

    line = f"txt2img x {change} " + " ".join(
        p for p in ("--seed 1", "--steps 2", "--size 64x64") if p.split()[0] not in change
    )
    assert ran(run_of(line, cache=cache)) == {"txt2img": (1, 0)}


def test_another_environment_is_another_key():
    class Elsewhere(FakeHost):
        def environment(self, *, models):
            return {**super().environment(models=models), "threads": 7}

    cache = MemoryCache()
    run_of(f"txt2img x {SMALL} --seed 1", cache=cache)

    assert ran(run_of(f"txt2img x {SMALL} --seed 1", Elsewhere(), cache=cache)) == {"txt2img": (1, 0)}


def test_without_a_cache_every_step_runs():
    assert ran(run_of(f"txt2img x {SMALL} --seed 1")) == {"txt2img": (1, 0)}


@node
def brag(ctx: Context, frame: Frame) -> Image:
    """Say how large a picture is."""
    ctx.say(f"it has {frame.image.width} columns")
    return frame.image


@node
def show_off(ctx: Context, frame: Frame) -> Image:
    """Show a picture on its way."""
    ctx.ask(Ask(what="show", frame=frame))
    return frame.image


TELLING = Registry.of(*REGISTRY.nodes.values(), brag, show_off, implicit="txt2img", loader="load_image")


def telling(line, cache):
    """What a line tells, and whether its picture came from the cache."""
    events = run_of(line, registry=TELLING, cache=cache)
    return [e.text for e in kinds(events, Said)], kinds(events, FrameDone)[-1].cached


def test_what_is_told_of_a_picture_is_told_again_when_it_comes_from_the_cache():
    cache = MemoryCache()
    line = f"txt2img x {SMALL} --seed 1 | brag"

    assert telling(line, cache) == (["it has 64 columns"], False)
    assert telling(line, cache) == (["it has 64 columns"], True)


def test_a_line_that_many_pictures_give_rise_to_is_told_once_and_is_each_ones_own():
    cache = MemoryCache()

    assert telling(f"txt2img x {SMALL} --seed 1..3 | brag", cache) == (["it has 64 columns"], False)
    assert telling(f"txt2img x {SMALL} --seed 1..3 | brag", cache) == (["it has 64 columns"], True)
    assert telling(f"txt2img x {SMALL} --seed 2 | brag", cache) == (["it has 64 columns"], True)


def test_a_value_that_only_tells_is_not_answered_by_a_picture_made_without_it():
    cache = MemoryCache()
    run_of(f"txt2img x {SMALL} --seed 1", cache=cache)

    assert ran(run_of(f"txt2img x {SMALL} --seed 1 --tokens", cache=cache)) == {"txt2img": (1, 0)}
    assert ran(run_of(f"txt2img x {SMALL} --seed 1 --count 2", cache=cache)) == {"txt2img": (1, 1)}


def test_a_node_that_asks_something_of_the_shell_asks_each_time():
    cache = MemoryCache()
    line = f"txt2img x {SMALL} --seed 1 | show_off"

    events = [run_of(line, registry=TELLING, cache=cache) for _ in range(2)]

    assert [told(e).count("AskShell") for e in events] == [1, 1]


def test_what_failed_is_not_cached():
    cache = MemoryCache()

    run_of("load_image a.png | fail", cache=cache)

    assert len(cache.held) == 1


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_node_s_exception_is_one_event_with_a_log_id(caplog):
    with caplog.at_level(logging.ERROR, "invoke_shell.run"):
        events = run_of("load_image a.png | fail | blur")

    failed = last(events)
    assert isinstance(failed, Failed)
    assert type(failed.error) is RunError
    assert failed.error.message == "fail failed: a fault of the node"
    assert failed.error.hint == f"the log has the rest: {failed.error.log_id}"
    assert failed.error.log_id in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert told(events) == ["ChainStarted", "StageStarted", "FrameDone", "StageDone", "StageStarted", "Failed"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("text", "fail failed: a node gives pictures, not str"),
        ("none", "fail failed: a node gives pictures, not NoneType"),
    ],
)
def test_a_node_that_gives_no_pictures_fails(how, message):
    assert last(run_of(f"load_image a.png | fail --how {how}")).error.message == message


def test_an_error_of_ours_is_told_as_it_is():
    error = last(run_of("load_image a.png | crop 0:0:999:9")).error

    assert (error.code, error.message) == ("wrong-shape", "crop 0:0:999:9 lies outside a picture of 24x16")


def test_no_memory_has_a_code_of_its_own():
    @node
    def greedy(frame: Frame) -> Image:
        """Want too much."""
        raise MemoryError

    events = run_of("load_image a.png | greedy", registry=Registry.of(greedy, REGISTRY["load_image"]))

    assert last(events).error.code == "out-of-memory"


def test_a_source_that_cannot_be_read_any_more_is_told():
    class Gone(FakeHost):
        def read(self, ref):
            raise BlockedError(f"{ref.name} is not there any more")

    made = plan_of("load_image a.png | blur", pictures={"a.png": (ref_of("a.png"),)})
    call = made.calls[0]
    from dataclasses import replace

    gone = replace(call, inputs={"image": (replace(call.inputs["image"][0], image=None),)})

    events = run_of(replace(made, calls=(gone, *made.calls[1:])), Gone())

    assert last(events).error.message == "a.png is not there any more"


def test_a_source_is_read_once_however_often_it_is_used():
    from dataclasses import replace

    ref = replace(ref_of("m.png"), image=None)
    host = FakeHost(images={ref.hash: image_of("m.png")})

    run_of("load_image a.png b.png | paste m.png", host, pictures={"m.png": (ref,)})

    assert host.reads == [ref.hash]


def test_a_stop_ends_the_run_between_steps_and_keeps_what_is_done():
    seen = []

    def stop():
        seen.append(1)
        return len(seen) > 8

    events = run_of("txt2img x --size 64x64 --steps 4 -n 3", cancelled=stop)

    assert type(last(events).error) is Cancelled
    assert last(events).error.message == "stopped in txt2img"
    assert 1 <= len(kinds(events, FrameDone)) < 3


def test_a_stop_before_a_stage_without_steps():
    events = run_of("load_image a.png", cancelled=lambda: True)

    assert type(last(events).error) is Cancelled


def test_progress_is_not_told_for_every_step():
    @node
    def busy(ctx: Context, frame: Frame) -> Image:
        """Count."""
        for done in range(1, 1001):
            ctx.tick(done, 1000)
        return frame.image

    events = run_of("load_image a.png | busy", registry=Registry.of(busy, REGISTRY["load_image"]))

    progress = kinds(events, Progress)
    assert progress[-1].done == 1000
    assert len(progress) < 500


# -- records -----------------------------------------------------------------------------------------------------------


LINES = {  # small, inside the picture, with something to paint
    "txt2img": f"txt2img x {SMALL}",
    "crop": "load_image a.png | crop 0:0:4:4",
    "inpaint": "load_image a.png | inpaint x --mask a.png",
    "outpaint": "load_image a.png | outpaint x --left 8",
}


def test_every_recorded_parameter_of_every_node_reaches_the_step():
    recorded = [n for n in REGISTRY.values() if not n.builtin and not n.stage_only and n.name != "fail"]

    for each in recorded:
        step = frames(run_of(LINES.get(each.name) or smallest_line(each)))[-1].step
        assert step.node == each.name
        assert (step.version, step.package) == (each.version, "invoke_shell")
        assert list(step.params) == [p.name for p in each.recorded]


def test_values_are_recorded_as_plain_json():
    lora = model_of("a", "lora")
    (frame,) = frames(
        run_of(
            'every_kind "x" --size 3:4 --mood wild --tile 4 --file ~/a.png --shade red --window 1:2:3:4 --numbers 5 '
            "--names y --lora a:0.5 --seed 7 --real 2 --on --remark none"
        )
    )

    assert frame.step.params == {
        "prompt": "x",
        "whole": 1,
        "maybe": None,
        "real": 2,
        "label": "",
        "remark": None,
        "on": True,
        "choice": "plain",
        "tile": "4",
        "mood": "wild",
        "table": "x",
        "file": "~/a.png",
        "size": "56x72",
        "shade": "#ff0000",
        "window": "1:2:3:4",
        "seed": 7,
        "lora": [f"{lora.text}:0.5"],
        "numbers": [5],
        "names": ["y"],
    }
    assert frame.step.models == {"model": model_of("pocket"), "lora.0": lora}


def test_nothing_local_is_recorded():
    (frame,) = frames(run_of("load_image a.png | paste m.png"))

    assert "/pictures" not in repr([s.inputs for s in topological(frame.step)])


def test_pictures_that_went_in_are_recorded_by_name():
    (frame,) = frames(run_of("load_image a.png | paste m.png --over @12"))

    inputs = frame.step.inputs
    assert list(inputs) == ["frame", "mask", "over"]
    assert inputs["frame"][0].node == "load_image"
    assert inputs["mask"] == (ref_of("m.png").resource(),)
    assert inputs["over"][0].inputs["image"] == (ref_of("@12").resource(),)


def test_an_earlier_result_brings_its_own_history():
    step = frames(run_of("load_image a.png | blur"))[0].step
    handles = {"@12": (result_of("@12", step=step),)}

    (frame,) = frames(run_of("@12 | resize 8x8", handles=handles))

    assert [s.node for s in topological(frame.step)] == ["load_image", "blur", "resize"]


def test_a_sheet_s_history_is_a_graph_with_each_step_once():
    line = f"txt2img x {SMALL} --seed 1 as @base | img2img --strength 0.5 --seed 1..3 | contact_sheet"

    sheet = frames(run_of(line))[-1]

    nodes = [s.node for s in topological(sheet.step)]
    assert nodes == ["txt2img", "img2img", "img2img", "img2img", "contact_sheet"]
    assert len(sheet.step.inputs["frames"]) == 3


def test_the_engine_s_facts_and_environment_are_recorded():
    (frame,) = frames(run_of(f"txt2img x {SMALL} --seed 7"))

    assert frame.step.facts["noise"]["seed"] == 7
    assert frame.step.environment["device"] == "cpu"
    assert (frame.step.width, frame.step.height, frame.step.output_hash) == (64, 64, frame.image.hash)
    assert frame.values["prompt"] == "x"


def test_a_node_without_a_model_records_no_engine():
    (frame,) = frames(run_of("load_image a.png | blur"))

    assert frame.step.environment == {"invoke_shell": "test"}


def test_a_history_of_thousands_of_steps_runs_and_crosses_a_pipe():
    step = StepRecord(
        node="load_image", version=1, package="", params={}, inputs={"image": (Resource(hash="h", width=1, height=1),)}
    )
    for n in range(3000):
        step = StepRecord(node="blur", version=1, package="", params={"radius": n}, inputs={"frame": (step,)})
        _ = step.key

    (frame,) = frames(run_of("@12 | blur", handles={"@12": (result_of("@12", step=step),)}))

    again = pickle.loads(pickle.dumps(frame))
    assert again.step.key == frame.step.key
    assert sum(1 for _ in topological(again.step)) == 3002


# -- what a node gets --------------------------------------------------------------------------------------------------


def test_a_node_gets_its_parameters_as_its_signature_says():
    got = {}

    @node
    def probe(
        ctx: Context,
        frames: list[Frame],
        stencil: Annotated[Mask, Arg(help="A mask.")],
        *,
        more: Annotated[list[Image], Arg(help="Pictures.")] = (),  # type: ignore[assignment]
        none: Annotated[Image | None, Arg(help="A picture.")] = None,
        many: Annotated[list[int], Arg(help="Numbers.")] = (),  # type: ignore[assignment]
    ) -> Iterator[Made]:
        """Look at what comes."""
        got.update(ctx=ctx, frames=frames, stencil=stencil, more=more, none=none, many=many)
        yield Made(image=frames[0].image, facts={"note": ctx.device})

    registry = Registry.of(probe, REGISTRY["load_image"], loader="load_image")

    (frame,) = frames(
        run_of("load_image a.png b.png | probe m.png --more a.png --more b.png --many 1", registry=registry)
    )

    assert [type(f) for f in got["frames"]] == [Frame, Frame]
    assert type(got["stencil"]) is Mask
    assert got["more"] == [image_of("a.png"), image_of("b.png")]
    assert (got["none"], got["many"]) == (None, [1])
    assert frame.step.facts == {"note": "cpu"}


def test_a_frame_that_a_node_gives_back_is_its_picture():
    @node
    def same(frame: Frame) -> Frame:
        """Change nothing."""
        return frame

    (frame,) = frames(run_of("load_image a.png | same", registry=Registry.of(same, REGISTRY["load_image"])))

    assert frame.image == image_of("a.png")
    assert frame.step.node == "same"
