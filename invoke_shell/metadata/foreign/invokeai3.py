"""InvokeAI 3 and later: `invokeai_metadata`, where any key may be missing; the graph that ran where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.guides import of_invokeai
from invoke_shell.metadata.foreign.invokeai2 import compel
from invoke_shell.metadata.foreign.result import Foreign, Lora, Model, Notes, Source, model_name
from invoke_shell.metadata.foreign.samplers import sampler
from invoke_shell.pipeline.types import ModelName

__all__ = ["beta", "graph", "picture", "workflow"]

# What is read, and what says nothing of the pixels.
READ = frozenset((
    "generation_mode", "positive_prompt", "negative_prompt", "width", "height", "seed", "rand_device",
    "cfg_scale", "steps", "scheduler", "clip_skip", "model", "vae", "loras", "strength", "init_image",
    "cfg_rescale_multiplier", "seamless_x", "seamless_y", "refiner_model", "refiner_start", "app_version",
    "created_by", "positive_style_prompt", "negative_style_prompt", "imported_app_version",
    "controlnets", "ipAdapters",
))  # fmt: skip
# Keys of the first versions' flat form, and of a node in a graph.
BETA = {
    "positive_conditioning": "positive_prompt",
    "negative_conditioning": "negative_prompt",
    "prompt": "positive_prompt",
}
ACCUMULATORS = ("core_metadata", "metadata_accumulator")


def picture(tool: str, data: Mapping[str, Any]) -> Foreign:
    """The picture of an `invokeai_metadata`."""
    notes = Notes()
    prompt, negative, embeddings = compel(_word(data, "positive_prompt"), _word(data, "negative_prompt"), notes)
    model = _model(data.get("model"))
    strength = notes.real("strength", data.get("strength"))
    found: dict[str, Any] = {
        "seed": notes.whole("seed", data.get("seed")),
        "steps": notes.whole("steps", data.get("steps")),
        "guidance": _guidance(data.get("cfg_scale"), notes),
        "size": notes.size(data.get("width"), data.get("height")),
        "clip_skip": notes.whole("clip_skip", data.get("clip_skip")),
        **sampler(_word(data, "scheduler"), "", notes),
    }
    source = _source(data)
    vae = _model(data.get("vae"))
    _rest(data, notes)
    return Foreign(
        tool=tool,
        prompt=prompt if "positive_prompt" in data else None,
        negative=negative,
        strength=strength if source else None,
        source=source,
        model=model,
        loras=tuple(_loras(data)),
        embeddings=embeddings,
        guides=of_invokeai(data),
        vae=vae.name if vae else "",
        noise="gpu" if _word(data, "rand_device") == "cuda" else "cpu",
        more=_more(data),
        missing=notes.missing,
        guessed=notes.guessed,
        **found,
    )


def beta(tool: str, data: Mapping[str, Any]) -> Foreign | None:
    """The picture of an `invokeai` text: flat, or one node of a session."""
    flat = loose.mapping(data.get("node")) or data
    named = {BETA.get(name, name): value for name, value in flat.items()}
    named.setdefault("rand_device", "cuda")
    wanted = {name: value for name, value in named.items() if name in READ and value is not None}
    if _word(flat, "type") in ("l2l", "img2img"):
        wanted.setdefault("init_image", "")
    return picture(tool, {**wanted, "model": flat.get("model")}) if set(wanted) & {"positive_prompt", "seed"} else None


def graph(tool: str, data: Mapping[str, Any]) -> Foreign | None:
    """The picture of an `invokeai_graph`: what its metadata node holds, else what its nodes hold."""
    nodes = {key: loose.mapping(node) for key, node in loose.mapping(data.get("nodes")).items()}
    for node in nodes.values():
        if node.get("type") in ACCUMULATORS and node.get("positive_prompt") is not None:
            return picture(tool, {name: value for name, value in node.items() if name in READ})
    found = {**_of_nodes(nodes), **_prompts(nodes, loose.items(data.get("edges")))}
    return picture(tool, found) if found else None


def workflow(tool: str) -> Foreign:
    """A file with nothing but the editor's document."""
    return Foreign(tool=tool, missing=("the file has the editor's workflow only, not the values that ran",))


def _of_nodes(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values by the kinds of node that hold them; the first of a kind."""
    wanted = {
        "noise": ("seed", "width", "height"),
        "denoise_latents": ("steps", "cfg_scale", "scheduler"),
        "main_model_loader": ("model",),
        "sdxl_model_loader": ("model",),
        "clip_skip": (),
    }
    found: dict[str, Any] = {}
    for node in nodes.values():
        for name in wanted.get(_word(node, "type"), ()):
            if node.get(name) is not None:
                found.setdefault(name, node[name])
    return found


def _prompts(nodes: Mapping[str, Mapping[str, Any]], edges: list[Any]) -> dict[str, str]:
    """The prompts of the nodes whose conditioning is the positive, and the negative one."""
    found: dict[str, str] = {}
    for edge in edges[:10_000]:
        source, target = (loose.mapping(loose.mapping(edge).get(end)) for end in ("source", "destination"))
        side = _word(target, "field").removesuffix("_conditioning")
        node = nodes.get(_word(source, "node_id"), {})
        if side in ("positive", "negative") and isinstance(node.get("prompt"), str):
            found.setdefault(f"{side}_prompt", node["prompt"])
    return found


def _word(data: Mapping[str, Any], name: str) -> str:
    return loose.words(data.get(name))


def _guidance(value: Any, notes: Notes) -> float | None:
    """One number; of a number for each step the first."""
    if isinstance(value, list) and value:
        notes.lost("guidance for each step", value)
        value = value[0]
    return notes.real("guidance", value)


def _model(value: Any) -> Model | None:
    """`{model_name}` in 3, `{key, hash, name}` from 4 on."""
    row = loose.mapping(value)
    name = model_name(_word(row, "name") or _word(row, "model_name") or loose.words(value))
    kind, _, digits = _word(row, "hash").partition(":")
    hashes = {kind: digits} if kind in ("blake3", "sha256") and digits else {}
    return Model(name=name, hashes=hashes) if name or hashes else None


def _loras(data: Mapping[str, Any]) -> list[Lora]:
    rows = [loose.mapping(row) for row in loose.items(data.get("loras"))[:64]]
    found = [(_model(row.get("model") or row.get("lora")), loose.real(row.get("weight"))) for row in rows]
    return [Lora(name=model.name, weight=weight) for model, weight in found if model and model.name]


def _source(data: Mapping[str, Any]) -> Source | None:
    """The picture that went in; its name is one of a private database."""
    mode = _word(data, "generation_mode")
    if "img2img" in mode or "inpaint" in mode or "outpaint" in mode or "init_image" in data:
        return Source(name=_word(data, "init_image").rpartition("/")[2])
    return None


def _more(data: Mapping[str, Any]) -> dict[str, Any]:
    """Values of other flags of ours."""
    sides = "".join(side for side in ("x", "y") if data.get(f"seamless_{side}") is True)
    refiner = _model(data.get("refiner_model"))
    more = {
        "guidance_rescale": loose.real(data.get("cfg_rescale_multiplier")),
        "seamless": "both" if sides == "xy" else sides,
        "refiner": ModelName(refiner.name) if refiner and refiner.name else None,
        "refiner_start": loose.real(data.get("refiner_start")) if refiner else None,
    }
    return {name: value for name, value in more.items() if value}


def _rest(data: Mapping[str, Any], notes: Notes) -> None:
    """All else that was on, by name and value."""
    if "inpaint" in _word(data, "generation_mode") or "outpaint" in _word(data, "generation_mode"):
        notes.lost("a mask", _word(data, "generation_mode"))
    for side in ("positive", "negative"):
        style = _word(data, f"{side}_style_prompt")
        if style and style != _word(data, f"{side}_prompt"):
            notes.lost(f"{side} style prompt", style)
    for name, value in list(data.items())[:512]:
        if name not in READ and value not in (None, "", False, 0) and value != [] and value != {}:
            notes.lost(name, value)
