"""Every parameter of every node reaches the file and comes back: a line runs, its picture is read, its line is back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline_kit import filler, frames, plan_of, run_of

from invoke_shell import commands
from invoke_shell.metadata.embed import embed
from invoke_shell.metadata.read import PictureInfo, read_picture
from invoke_shell.metadata.replay import recall
from invoke_shell.pipeline.plan import InputRef, Plan
from invoke_shell.records import ModelRecord, Resource

REGISTRY = commands.registry()
NODES = [node for node in REGISTRY.nodes.values() if not node.stage_only and not node.builtin]
FRONT = {"none": "", "each": "load_image a.png | ", "all": "load_image a.png b.png | resize 16x16 | "}
ALONE = {"place": " --to 8x8"}  # a parameter that means nothing without another
CONTROL, PICTURE = " --control chosen", " --control-image a.png"
BESIDE = {
    "control": PICTURE,
    "control_image": CONTROL,
    "control_start": CONTROL + PICTURE,
    "control_end": CONTROL + PICTURE,
}
BESIDE |= {"ip_adapter": " --ip-image a.png", "ip_image": " --ip-adapter chosen"}
ALWAYS = {
    "inpaint": ("mask", " --mask a.png"),
    "outpaint": ("right", " --right 16"),
}  # without which a node does not run
EXPANDED = ("variation",)  # another way to say --blend: recorded as that
CHOSEN = {
    ("upscale_diffuse", "overlap"): "0.125",
    ("outpaint", "start_step"): "3",
    ("crop", "to"): "8x8",
    ("canny", "high"): "300",
    ("paste_image", "x"): "3",
    ("paste_image", "y"): "3",
    ("contact_sheet", "label"): "how",
    ("contact_sheet", "across"): "how",
    ("contact_sheet", "down"): "how",
}
VALUES = ("other words", "77", "3", "0.25", "72x136", "1:2:8:9", "#12345678", "on")


class Everything:
    """A finder in whose world all that was recorded is there."""

    def model(self, record: ModelRecord) -> ModelRecord:
        return replace(record, path=f"/models/{record.name}")

    def picture(self, resource: Resource) -> InputRef:
        return InputRef(hash=resource.hash, width=resource.width, height=resource.height, mode=resource.mode)


def needed(node: Any, p: Any) -> str:
    """The other words a line must have for the node to run with this parameter."""
    others = [q for q in node.params.values() if q.required and q is not p and p.arg.excludes != q.name]
    words = " ".join(f"{'' if q.positional else q.flag + ' '}{filler(q)}" for q in others)
    name, always = ALWAYS.get(node.name, ("", ""))
    words += always if p.name != name else ""
    return f" {words}" + (ALONE.get(p.name, "") if node.name == "crop" else BESIDE.get(p.name, ""))


def other_value(node: Any, p: Any) -> str:
    """Text of a value that is not the default: of a choice another choice, else the first of VALUES that fits."""
    for text in (*p.kind.choices, *([CHOSEN[node.name, p.name]] if (node.name, p.name) in CHOSEN else []), *VALUES):
        try:
            value = p.kind.parse(text)
        except ValueError:
            continue
        if value != p.default and not p.check(value):
            return text
    raise AssertionError(f"add a value for {p.name} to VALUES")


def line_with(node: Any, p: Any) -> str:
    front = f"{FRONT[node.takes]}{node.name}"
    if p.kind.is_switch:
        return f"{front}{needed(node, p)} {'--no-' if p.default else '--'}{p.flag[2:]}"
    return f'{front}{needed(node, p)} {p.flag} "{other_value(node, p)}"'


def read_back(plan: Plan, folder: Path) -> PictureInfo:
    *_, picture = frames(run_of(plan, registry=REGISTRY))
    (folder / "a.png").write_bytes(embed(picture, app_version="0.1.0"))
    return read_picture(folder / "a.png")


PARAMETERS = [(node, p) for node in NODES for p in node.recorded if p.name not in EXPANDED]


@pytest.mark.parametrize(("node", "p"), PARAMETERS, ids=[f"{node.name}-{p.name}" for node, p in PARAMETERS])
def test_a_parameter_comes_back(node: Any, p: Any, tmp_path: Path):
    plan = plan_of(line_with(node, p), REGISTRY)
    call = plan.calls[-1]
    assert call.params[p.name] != p.default

    step = read_back(plan, tmp_path).step()

    assert list(step.params) == [q.name for q in node.recorded]
    value = call.params[p.name]
    assert step.params[p.name] == ([p.kind.plain(v) for v in value] if p.kind.many else p.kind.plain(value))
    recalled = recall(step, REGISTRY, Everything())
    assert (recalled.missing, recalled.notes) == ((), ())
    again = recalled.plan.calls[-1].params
    assert {q.name: again[q.name] for q in node.recorded} == {q.name: call.params[q.name] for q in node.recorded}


@pytest.mark.parametrize(
    ("recorded", "taken"), [(None, ()), ("seed", ("seed",)), (["seed", "steps"], ("seed", "steps"))]
)
def test_a_list_of_today_may_have_been_one_value_in_an_older_revision(recorded: Any, taken: Any, tmp_path: Path):
    step = read_back(plan_of("load_image a.png | contact_sheet", REGISTRY), tmp_path).step()

    recalled = recall(replace(step, params={**step.params, "down": recorded}), REGISTRY, Everything())

    assert (recalled.missing, recalled.plan.calls[-1].params["down"]) == ((), taken)


@pytest.mark.parametrize("node", [node for node in NODES if "variation" in node.params], ids=lambda node: node.name)
def test_a_variation_comes_back_as_the_noise_that_was_mixed_in(node: Any, tmp_path: Path):
    plan = plan_of(line_with(node, node.params["variation"]), REGISTRY)

    step = read_back(plan, tmp_path).step()

    assert step.params["variation"] == 0
    assert len(step.params["blend"]) == 1  # type: ignore[arg-type]  # a list
    assert recall(step, REGISTRY, Everything()).plan.calls[-1].params["blend"] == plan.calls[-1].params["blend"]


MODELS = [(node, p) for node in NODES for p in node.params.values() if p.kind.model]


@pytest.mark.parametrize(("node", "p"), MODELS, ids=[f"{node.name}-{p.name}" for node, p in MODELS])
def test_a_model_comes_back(node: Any, p: Any, tmp_path: Path):
    plan = plan_of(f"{FRONT[node.takes]}{node.name}{needed(node, p)} {p.flag} chosen", REGISTRY)
    value = plan.calls[-1].params[p.name]
    used = value[0] if p.kind.many else value

    step = read_back(plan, tmp_path).step()

    found = step.models[f"{p.name}.0" if p.kind.many else p.name]
    assert found == replace(used.value if p.kind.is_weighted else used, path="", advice={})


PICTURES = [(node, p) for node in NODES for p in node.params.values() if p.kind.picture]


@pytest.mark.parametrize(("node", "p"), PICTURES, ids=[f"{node.name}-{p.name}" for node, p in PICTURES])
def test_a_source_comes_back_by_its_pixels(node: Any, p: Any, tmp_path: Path):
    plan = plan_of(f"{FRONT[node.takes]}{node.name}{needed(node, p)} {p.flag} b.png", REGISTRY)
    (ref,) = plan.calls[-1].inputs[p.name]
    assert isinstance(ref, InputRef)

    (source,) = read_back(plan, tmp_path).step().inputs[p.name]

    assert source == ref.resource()


def test_the_picture_that_comes_down_the_pipe_is_a_step(tmp_path: Path):
    plan = plan_of('txt2img "a boat" --seed 1..3 --steps 2 | resize 32x24 | contact_sheet --columns 2', REGISTRY)

    last = read_back(plan, tmp_path).step()

    sheet = [step.inputs["frame"][0] for step in last.inputs["frames"]]  # type: ignore[union-attr]
    assert [(step.node, step.params["seed"]) for step in sheet] == [("txt2img", n) for n in (1, 2, 3)]  # type: ignore[union-attr]
    assert len(recall(last, REGISTRY, Everything()).plan.calls) == 7


LINES = [
    'txt2img "a boat"',
    'txt2img "a \\"boat\\" | with {braces} and 猫" --negative "-x" --seed 7 --scheduler euler_a --guidance 5.25',
    'txt2img "a boat" -n 2 | img2img --strength 0.4 | upscale --scale 1.5 | crop 0:0:32:32 | blur 0.5',
    'txt2img "a boat" --seed 1..4 --steps 2 | contact_sheet --columns 2 --background "#102030" | resize 64x48',
]


@pytest.mark.parametrize("line", LINES)
def test_line_to_png_to_line_to_png_is_byte_for_byte(line: str, tmp_path: Path):
    def written(plan: Plan) -> bytes:
        *_, picture = frames(run_of(plan, registry=REGISTRY))
        command = recall(picture.step, REGISTRY, Everything()).text(REGISTRY)
        return embed(picture, app_version="0.1.0", created="2026-11-21T04:00:00Z", command=command)

    first = written(plan_of(line, REGISTRY))
    (tmp_path / "a.png").write_bytes(first)
    info = read_picture(tmp_path / "a.png")
    recalled = recall(info.step(), REGISTRY, Everything())

    assert info.data is not None
    assert recalled.text(REGISTRY) == info.data["command"]
    assert written(recalled.plan) == first
    if "\n" not in recalled.text(REGISTRY):
        assert written(plan_of(recalled.text(REGISTRY), REGISTRY)) == first
