"""ComfyUI's editor document where the graph that ran is not in the file: read as that graph would be."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from foreign_material import core, found, told
from hypothesis import given
from hypothesis import strategies as st

from invoke_shell.metadata.foreign import read
from invoke_shell.metadata.foreign.comfy_editor import drawn
from invoke_shell.metadata.foreign.comfy_fields import FIELDS, SEEDS

EDITOR = "the graph that ran is not in the file: this is the editor's workflow, with what stood in its fields"
WANTED = ("a red boat", "blurry", 5, 20, 8.0, "euler", (512, 768), "base")
INPUTS = {
    "KSampler": ("model", "positive", "negative", "latent_image"),
    "CLIPTextEncode": ("clip",),
    "VAEDecode": ("samples", "vae"),
    "SaveImage": ("images",),
    "LoraLoader": ("model", "clip"),
    "Reroute": ("",),
}

Document = dict[str, Any]


def node(number: int, kind: str, *values: Any, **links: int) -> dict[str, Any]:
    """A node as the editor writes it. links: by input, the number of the link."""
    names = dict.fromkeys((*INPUTS.get(kind, ()), *links))
    inputs = [{"name": name, "type": name.upper(), "link": links.get(name)} for name in names]
    return {"id": number, "type": kind, "mode": 0, "inputs": inputs, "widgets_values": list(values)}


def basic(*more: dict[str, Any], links: tuple[list[Any], ...] = ()) -> Document:
    """The document that ComfyUI starts with. more: nodes that take the place of those with their id, or are added."""
    nodes = [
        node(
            3, "KSampler", 5, "randomize", 20, 8, "euler", "normal", 1, model=1, positive=4, negative=6, latent_image=2
        ),
        node(4, "CheckpointLoaderSimple", "SDXL\\base.safetensors"),
        node(5, "EmptyLatentImage", 512, 768, 1),
        node(6, "CLIPTextEncode", "a red boat\n", clip=3),
        node(7, "CLIPTextEncode", "blurry", clip=5),
        node(8, "VAEDecode", samples=7, vae=8),
        node(9, "SaveImage", "x", images=9),
    ]
    wires = [
        [1, 4, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"], [3, 4, 1, 6, 0, "CLIP"], [4, 6, 0, 3, 1, "CONDITIONING"],
        [5, 4, 1, 7, 0, "CLIP"], [6, 7, 0, 3, 2, "CONDITIONING"], [7, 3, 0, 8, 0, "LATENT"], [8, 4, 2, 8, 1, "VAE"],
        [9, 8, 0, 9, 0, "IMAGE"],
    ]  # fmt: skip
    by_id = {row["id"]: row for row in (*nodes, *more)}
    by_number = {row[0]: row for row in (*wires, *links)}
    return {"last_node_id": 9, "nodes": list(by_id.values()), "links": list(by_number.values()), "version": 0.4}


def said(document: Document) -> Any:
    return found("comfyui", workflow=json.dumps(document))


def test_the_document_it_starts_with():
    line = told("comfyui", workflow=json.dumps(basic()))

    assert line.text == (
        'txt2img "a red boat" --negative "blurry" --size 512x768 --steps 20 --guidance 8 --scheduler euler --seed 5'
        " --model base"
    )
    assert line.guessed == (EDITOR,)
    assert line.missing == ()


def test_the_graph_that_ran_counts_where_both_are_there():
    graph = drawn(basic()).graph
    graph["3"]["inputs"]["seed"] = 99

    assert found("comfyui", prompt=json.dumps(graph), workflow=json.dumps(basic())).seed == 99


@pytest.mark.parametrize("after", ["fixed", "increment", "decrement", "randomize", True, False])
def test_what_the_editor_does_to_a_seed_is_no_field(after: Any):
    sampler = node(
        3, "KSampler", 5, after, 20, 8, "euler", "normal", 1, model=1, positive=4, negative=6, latent_image=2
    )

    assert core(said(basic(sampler))) == WANTED


def test_a_bypassed_node_is_passed_through():
    lora = node(10, "LoraLoader", "detail.safetensors", 0.8, 1, model=10, clip=11) | {
        "outputs": [{"name": "MODEL", "type": "MODEL"}, {"name": "CLIP", "type": "CLIP"}]
    }
    wires = ([1, 10, 0, 3, 0, "MODEL"], [10, 4, 0, 10, 0, "MODEL"], [11, 4, 1, 10, 1, "CLIP"])

    on, off = said(basic(lora, links=wires)), said(basic(lora | {"mode": 4}, links=wires))

    assert [(x.name, x.weight) for x in on.loras] == [("detail", 0.8)]
    assert off.loras == ()
    assert core(on) == core(off) == WANTED


def test_a_muted_saver_saves_nothing():
    second = node(19, "SaveImage", "y", images=19) | {"mode": 2}

    assert said(basic(second, links=([19, 5, 0, 19, 0, "IMAGE"],))).guessed == (EDITOR,)


def test_reroutes_primitives_and_set_get_pairs_are_what_they_stand_for():
    sampler = node(
        3, "KSampler", 0, "fixed", 20, 8, "euler", "normal", 1,
        model=20, positive=4, negative=6, latent_image=23, seed=22,
    )  # fmt: skip
    more = (
        sampler,
        node(20, "Reroute", **{"": 21}),
        node(21, "PrimitiveNode", 5, "randomize"),
        node(22, "SetNode", "latent", LATENT=2),
        node(23, "GetNode", "latent"),
    )
    wires = (
        [20, 20, 0, 3, 0, "MODEL"], [21, 4, 0, 20, 0, "*"], [22, 21, 0, 3, 4, "INT"], [23, 23, 0, 3, 3, "LATENT"],
        [2, 5, 0, 22, 0, "LATENT"],
    )  # fmt: skip

    assert core(said(basic(*more, links=wires))) == WANTED


def test_a_subgraph_is_opened():
    inner = {
        "id": "aaaa-bbbb",
        "nodes": [node(6, "CLIPTextEncode", "a red boat", clip=1)],
        "links": [
            {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 6, "target_slot": 0, "type": "CLIP"},
            {"id": 2, "origin_id": 6, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "CONDITIONING"},
        ],
    }
    document = basic(node(6, "aaaa-bbbb", clip=3))
    document["definitions"] = {"subgraphs": [inner]}

    assert core(said(document)) == WANTED


def test_a_subgraph_within_itself_ends():
    document = basic(node(6, "aaaa", clip=3))
    document["definitions"] = {"subgraphs": [{"id": "aaaa", "nodes": [node(1, "aaaa")] * 2, "links": []}]}

    assert said(document).seed == 5


def test_subgraphs_without_number_take_no_two_seconds():
    wires = [[n, 1, 0, 1, 0, "X"] for n in range(9_000)]
    nested = {"id": "s", "nodes": [{"id": n % 7, "type": "s"} for n in range(2_000)], "links": wires}
    bypassed = [node(n, "LoraLoader", model=n) | {"mode": 4, "outputs": [{"type": "MODEL"}]} for n in range(2_000)]
    chain = {"nodes": bypassed, "links": [[n, n + 1, 0, n, 0, "MODEL"] for n in range(2_000)]}
    begun = time.process_time()

    drawn({"nodes": [{"id": n, "type": "s"} for n in range(2_000)], "definitions": {"subgraphs": [nested]}})
    drawn(chain)

    assert time.process_time() - begun < 2


def test_fields_that_later_editors_name_beside_the_inputs():
    unknown = node(3, "MyKSampler", 5, "randomize", 20, 8, "euler", "normal", 1, model=1, positive=4, negative=6,
                   latent_image=2)  # fmt: skip
    named = unknown | {
        "inputs": unknown["inputs"]
        + [{"name": name, "widget": {"name": name}, "link": None} for name in FIELDS["KSampler"]]
    }

    assert core(said(basic(named))) == WANTED
    assert "the values of the node MyKSampler are not read: nothing in the workflow names them" in (
        *said(basic(node(10, "MyKSampler", 5))).missing,
    )


def test_a_document_without_a_picture_says_so():
    sentence = "the file has the editor's workflow only, and no way to a saved picture is found in it"

    assert told("comfyui", workflow='{"nodes": [], "links": []}')[:2] == ("", (sentence,))
    assert told("comfyui", workflow="{").missing == (sentence,)


def test_every_seed_of_the_table_is_one_the_editor_changes():
    assert {name for names in FIELDS.values() for name in names if "seed" in name} == set(SEEDS)


scalars = st.one_of(st.none(), st.booleans(), st.integers(-20, 12), st.text(max_size=4), st.floats(allow_nan=False))
inputs = st.fixed_dictionaries(
    {"name": st.sampled_from(["model", "samples", "images", "text", "seed"]), "link": scalars}
)
nodes = st.fixed_dictionaries(
    {"id": st.integers(-20, 9), "type": st.sampled_from([*list(FIELDS)[:30], "s", "SetNode", "GetNode", "Reroute"])},
    optional={
        "mode": scalars,
        "inputs": st.one_of(scalars, st.lists(inputs, max_size=4)),
        "outputs": st.one_of(scalars, st.lists(st.fixed_dictionaries({"type": scalars}), max_size=3)),
        "widgets_values": st.one_of(
            scalars, st.lists(scalars, max_size=8), st.dictionaries(st.text(max_size=3), scalars)
        ),
    },
)
wires = st.lists(st.one_of(scalars, st.lists(st.integers(-20, 9), min_size=4, max_size=6)), max_size=12)
sheets = st.fixed_dictionaries({"id": st.just("s"), "nodes": st.lists(nodes, max_size=6), "links": wires})
documents = st.fixed_dictionaries(
    {"nodes": st.lists(nodes, max_size=8), "links": wires},
    optional={"definitions": st.fixed_dictionaries({"subgraphs": st.lists(sheets, max_size=2)})},
)


@given(documents)
def test_any_document_is_read_and_its_line_binds(document: Document):
    if read("comfyui", {"workflow": json.dumps(document)}) is not None:
        told("comfyui", workflow=json.dumps(document))
