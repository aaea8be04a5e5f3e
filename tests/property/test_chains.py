"""The two text forms and their inverses, over random chains of the whole registry."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from pipeline_kit import REGISTRY, chain_of, facts_for, plan_of, result_of
from pipeline_strategies import TEXTS, chains, single

from invoke_shell.errors import LineError
from invoke_shell.pipeline.bind import read
from invoke_shell.pipeline.calls import models_of
from invoke_shell.pipeline.chain import to_text
from invoke_shell.pipeline.plan import Given, InputRef, needs, plan
from invoke_shell.pipeline.script import resolved_text
from invoke_shell.pipeline.stored import from_plain, remaining, to_plain
from invoke_shell.pipeline.text import parse, quote
from invoke_shell.records import ModelRecord


@given(chains())
def test_canonical_text_binds_to_the_same_chain(chain):
    text = to_text(chain, REGISTRY)

    assert chain_of(text) == chain
    assert to_text(chain_of(text), REGISTRY) == text


@given(chains())
def test_canonical_text_keeps_the_order_in_which_sweeps_vary(chain):
    def several(one):
        return [[(n, str(v.value)) for n, v in s.values.items() if "Sweep" in repr(v.value)] for s in one.stages]

    assert several(chain_of(to_text(chain, REGISTRY))) == several(chain)


@given(chains())
def test_canonical_text_is_one_line_that_can_be_printed(chain):
    text = to_text(chain, REGISTRY)

    assert "\n" not in text
    assert all(c.isprintable() for c in text)
    assert not parse(text).notes


@given(TEXTS)
def test_any_prompt_survives_quoted(prompt):
    (stage,) = chain_of(f"txt2img {quote(prompt)}").stages

    assert stage.values["prompt"].value == prompt


# -- resolved text -----------------------------------------------------------------------------------------------------


def signature(made, call, known):
    """What a call comes to, with all that goes into it; of a named picture of an earlier line, what that came to."""
    if call.given is not None:
        return known.get(call.given.handle, call.given.ref.hash)
    node = REGISTRY[call.node]
    if call.node == REGISTRY.loader:  # a picture brought in is its pixels, however it came
        (item,) = call.inputs["image"]
        return item.hash if isinstance(item, InputRef) else signature(made, made.calls[item], known)
    if node.stage_only:
        return signature(made, made.calls[call.inputs[node.frames][0]], known)
    plain = {n: plain_value(node.params[n], v) for n, v in call.params.items() if node.params[n].arg.pixels}
    inputs = {
        n: [i.hash if isinstance(i, InputRef) else signature(made, made.calls[i], known) for i in items]
        for n, items in call.inputs.items()
        if items
    }
    return repr((call.node, sorted(plain.items(), key=str), sorted(inputs.items(), key=str)))


def plain_value(p, value):
    if isinstance(value, ModelRecord):
        return value.text
    return [p.kind.plain(v) for v in value] if isinstance(value, tuple) else p.kind.plain(value)


def run_text(text, world):
    """Bind and plan each line of a resolved text; what each result comes to."""
    known, found = {}, []
    for bound in read(text, REGISTRY).bound:
        assert not bound.faults
        wanted = needs(bound.chain, REGISTRY, {})
        named = {n.text: (Given(ref=result_of(n.text).ref, handle=n.text),) for n in wanted if n.text in known}
        hashes = {n.text: (world[n.text],) for n in wanted if n.what == "hash"}
        facts = facts_for(wanted, handles=named, pictures=hashes)
        made = plan(bound.chain, REGISTRY, facts, {}, lambda: 0)
        for i in made.results:
            call = made.calls[i]
            found.append(signature(made, call, known))
            if call.name:
                known["@" + call.name] = found[-1]
    return found


def picture_world(made):
    """Source pictures by the hash they are written with."""
    refs = [i for c in made.calls for items in c.inputs.values() for i in items if isinstance(i, InputRef)]
    refs += [c.given.ref for c in made.calls if c.given is not None]
    return {r.hash[: len("blake3:") + 16]: r for r in refs}


@given(chains(what=single, longest=3))
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_resolved_text_gives_the_same_plain_values(chain):
    try:
        made = plan_of(chain, last=(result_of("@7"), result_of("@8")))
    except LineError:  # a value that does not fit the earlier result or picture it is for
        return

    text = resolved_text(made, REGISTRY)

    wanted = [signature(made, made.calls[i], {}) for i in made.results]
    assert set(wanted) <= set(run_text(text, picture_world(made)))


GRAPHS = [
    'txt2img "x" --seed 1..4 | contact_sheet',
    'txt2img "x" --seed 1..3 | contact_sheet | blur | upscale',
    'txt2img "x" as @base | upscale as @big | blur',
    'txt2img "x" -n 2 | show_image | upscale --scale 1,2 | save a.png',
    'load_image a.png b.png | img2img "y" --strength 0.2,0.8 --seed 5',
    "load_image a.png | paste mask.png --over b.png",
    "load_image a.png b.png | paste a.png",
    "@12 | img2img --start-step 3",
    "@12 @13 | contact_sheet --columns none",
    "@12 @none | contact_sheet | blur 3",
    "@none | paste @none --over @12",
    "| contact_sheet",
    'every_kind "x" --picture @12 --pictures a.png --pictures @12 --lora a:0.5 --remark none --names "none"',
]


@pytest.mark.parametrize("line", GRAPHS)
@pytest.mark.parametrize("keep_all", [False, True])
def test_resolved_text_of_graphs(line, keep_all):
    unnamed = {"@none": (result_of("@none", handle="", step=None),)}
    made = plan_of(line, handles=unnamed, last=(result_of("@7"), result_of("@8")), keep_all=keep_all)

    text = resolved_text(made, REGISTRY)

    wanted = [signature(made, made.calls[i], {}) for i in made.results]
    assert set(wanted) <= set(run_text(text, picture_world(made)))


def test_resolved_text_keeps_the_names_a_person_gave():
    made = plan_of('txt2img "x" --seed 1 as @base | upscale')

    lines = resolved_text(made, REGISTRY).splitlines()

    assert lines[0].endswith("as @base")
    assert lines[1] == "@base | upscale --scale 2 --upscaler none"


def test_resolved_text_says_every_value_and_nothing_of_what_only_shows():
    made = plan_of('txt2img "x" --seed 7 | show_image --width 20 | blur | save a.png')

    text = resolved_text(made, REGISTRY)

    assert text.startswith('txt2img "x" --negative "" --size 512x512 ')
    assert text.endswith(" | blur 2")
    single = [
        p.flag for p in REGISTRY["txt2img"].recorded if not p.positional and not p.kind.many and not p.arg.excludes
    ]
    assert [flag for flag in single if f" {flag}" not in text and f" --no-{flag[2:]}" not in text] == []


class Kept:
    """Finds what a plan named: its results, its sources, its models."""

    def __init__(self, made):
        self.given = {c.given.handle: c.given for c in made.calls if c.given}
        self.refs = {
            i.hash: i for c in made.calls for items in c.inputs.values() for i in items if not isinstance(i, int)
        }
        self.refs |= {g.ref.hash: g.ref for g in self.given.values()}
        self.models = {m.text: m for c in made.calls for _, m in models_of(c.params)}

    def handle(self, text):
        return [self.given[text]]

    def pixels(self, digits):
        return self.refs[digits]

    def model(self, text, kind):
        return self.models[text]


@given(chains(what=single))
def test_a_plan_kept_as_json_is_the_plan(chain):
    try:
        made = plan_of(chain, last=(result_of("@7"),))
    except LineError:
        return

    again = from_plain(json.loads(json.dumps(to_plain(made, REGISTRY))), REGISTRY, Kept(made))

    assert resolved_text(again, REGISTRY) == resolved_text(made, REGISTRY)
    assert [c.flows for c in again.calls] == [c.flows for c in made.calls]
    assert (again.results, again.stages, again.handles) == (made.results, made.stages, made.handles)


@pytest.mark.parametrize("text", ["@1 as @boat | blur", "@1 as @boat | img2img b as @boat"])
def test_a_plan_kept_as_json_keeps_the_names_of_what_was_given(text):
    made = plan_of(text)

    again = from_plain(json.loads(json.dumps(to_plain(made, REGISTRY))), REGISTRY, Kept(made))

    assert [c.name for c in again.calls] == [c.name for c in made.calls]


SWEEP = 'txt2img "x" --seed 1..4 as @base | upscale | blur | save a.png | contact_sheet'


def test_what_remains_runs_only_what_is_missing():
    made = plan_of(SWEEP)  # results: 4 of txt2img, by their name; 4 of blur, gathered; the sheet
    earlier = {n: result_of(f"@{n}") for n in range(6)}

    rest, places = remaining(made, {n: (lambda n=n: earlier[n]) for n in range(6)}, REGISTRY)

    assert places == (6, 7, 8)
    assert [c.node for c in rest.calls if c.id in rest.results] == ["blur", "blur", "contact_sheet"]
    ran = [c.node for c in rest.calls if c.node]
    assert ran == ["upscale"] * 2 + ["blur"] * 2 + ["save"] * 4 + ["contact_sheet"]
    assert {c.given.handle for c in rest.calls if c.given} == {"@2", "@3", "@4", "@5"}
    assert [c.id for c in rest.calls] == list(range(len(rest.calls)))


def test_a_finished_picture_whose_pixels_are_gone_is_made_again_where_it_is_needed():
    made = plan_of('txt2img "x" --seed 1..2 | contact_sheet')

    rest, places = remaining(made, {0: lambda: None, 1: lambda: result_of("@2")}, REGISTRY)

    assert places == (2,)
    assert [c.node for c in rest.calls if c.node] == ["txt2img", "contact_sheet"]
    assert len(rest.results) == 1


def test_finished_pictures_that_nothing_needs_are_not_read():
    made = plan_of('txt2img "x" --seed 1..3')

    rest, places = remaining(made, {0: lambda: 1 / 0, 1: lambda: 1 / 0}, REGISTRY)

    assert (len(rest.calls), places) == (1, (2,))
