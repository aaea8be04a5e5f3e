"""What every runtime promises, in this process and in a worker, with a fake engine and a real one."""

import json

import pytest
from pipeline_kit import chain_of, facts_for

from invoke_shell import commands
from invoke_shell.errors import Cancelled
from invoke_shell.pipeline.events import ChainDone, ChainStarted, Failed, FrameDone, Progress, Said, StageDone
from invoke_shell.pipeline.plan import needs, plan
from invoke_shell.runtime.inline import InlineRuntime
from invoke_shell.runtime.policy import Policy, Setup
from invoke_shell.runtime.worker import WorkerRuntime

REGISTRY = commands.registry()
SLOW = "0.01"  # seconds a step of the fake engine takes, so that a run can be stopped in the middle
KINDS = ["inline fake", "worker fake", "inline real", "worker real"]


@pytest.fixture(scope="module")
def runtimes():
    """Runtimes by kind, made when asked for; a worker is shared by the tests of this file."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INVOKE_SHELL_FAKE_LATENCY", SLOW)

        def runtime(kind):
            if kind not in made:
                place, engine = kind.split()
                setup = Setup(
                    engine="fake" if engine == "fake" else "diffusers", policy=Policy(device="cpu", threads=1)
                )
                made[kind] = InlineRuntime(setup) if place == "inline" else WorkerRuntime(setup)
            return made[kind]

        yield runtime
        for one in made.values():
            one.close()


@pytest.fixture(params=KINDS)
def runtime(request, runtimes):
    return runtimes(request.param)


@pytest.fixture
def plan_of(small_model):
    """The plan of a line; every checkpoint in it is the small model."""

    def planned(line):
        chain = chain_of(line, REGISTRY)
        wanted = needs(chain, REGISTRY, {})
        models = {(n.kind, n.text): small_model for n in wanted if n.what == "model"}
        return plan(chain, REGISTRY, facts_for(wanted, models=models), {}, lambda: 11)

    return planned


def line(seed, steps=4):
    return f"txt2img 'a red circle' --size 64x64 --steps {steps} --seed {seed}"


def frames(events):
    return [event for event in events if isinstance(event, FrameDone)]


def test_events_come_in_order_and_the_last_is_the_end(runtime, plan_of):
    events = list(runtime.submit(plan_of(f"{line(1)} -n 2 | resize 32x32")))

    assert isinstance(events[0], ChainStarted)
    assert isinstance(events[-1], ChainDone)
    assert [event.node for event in events if isinstance(event, StageDone)] == ["txt2img", "resize"]
    assert [frame.frame.image.size for frame in frames(events)] == [(64, 64)] * 2 + [(32, 32)] * 2
    assert any(isinstance(event, Progress) and event.done == event.total == 4 for event in events)


def test_same_line_gives_the_same_pixels_without_the_cache(runtime, plan_of):
    first, second = (frames(runtime.submit(plan_of(line(2)), cached=False)) for _ in range(2))

    assert first[0].frame.image == second[0].frame.image
    assert not second[0].cached


def test_only_the_changed_last_stage_runs(runtime, plan_of):
    list(runtime.submit(plan_of(f"{line(3)} | resize 32x32")))

    events = list(runtime.submit(plan_of(f"{line(3)} | resize 16x16")))

    ran = {event.node: (event.ran, event.cached) for event in events if isinstance(event, StageDone)}
    assert ran == {"txt2img": (0, 1), "resize": (1, 0)}


def test_cached_step_is_recorded_as_the_one_that_ran(runtime, plan_of):
    (fresh,) = frames(runtime.submit(plan_of(line(4))))

    (cached,) = frames(runtime.submit(plan_of(line(4))))

    assert cached.cached
    assert not fresh.cached
    assert cached.frame == fresh.frame


def test_cancelled_run_ends_and_the_next_one_works(runtime, plan_of):
    ticks, events = 0, []
    for event in runtime.submit(plan_of(line(5, steps=150))):
        events.append(event)
        if isinstance(event, Progress):
            ticks += 1
            if ticks == 1:
                runtime.cancel()

    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, Cancelled)
    assert events[-1].error.message == "stopped in txt2img"
    assert frames(events) == []
    assert isinstance(list(runtime.submit(plan_of(line(6))))[-1], ChainDone)


def test_abandoned_run_is_stopped_and_does_not_disturb_the_next(runtime, plan_of):
    abandoned = runtime.submit(plan_of(line(7, steps=150)))
    next(abandoned)
    abandoned.close()

    (done,) = frames(runtime.submit(plan_of(line(8))))

    assert done.frame.step.params["seed"] == 8


def test_failure_is_one_event_with_its_code(runtime, plan_of):
    events = list(runtime.submit(plan_of(f"{line(13)} | crop 0:0:900:900")))

    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "wrong-shape"
    assert len(frames(events)) == 1


def test_what_the_engine_says_is_told(runtime, plan_of):
    events = runtime.submit(plan_of(f"{line(9)} | img2img --strength 0.5 --steps 4 --scheduler euler"), cached=False)

    said = [event.text for event in events if isinstance(event, Said)]
    assert any(text.startswith("img2img: 2 of 4 steps (strength 0.5, from sigma ") for text in said)


def test_environment_is_plain_json(runtime):
    environment = dict(runtime.environment())

    assert json.loads(json.dumps(environment)) == environment
    assert environment["device"] == "cpu"
    assert "pillow" in environment


def test_warming_is_no_run(runtime, small_model, plan_of):
    runtime.warm(small_model)
    runtime.warm(None)

    assert isinstance(list(runtime.submit(plan_of(line(10))))[-1], ChainDone)


def test_worker_draws_the_same_pixels_as_this_process(runtimes, plan_of):
    pictures = [
        frames(runtimes(kind).submit(plan_of(line(12)), cached=False)) for kind in ("inline real", "worker real")
    ]

    assert pictures[0][0].frame == pictures[1][0].frame
