"""SwarmUI: JSON in `parameters` or a UserComment: `sui_image_params`, `sui_models`. Any value may be text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.dialect import COMFYUI, rewrite
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Lora, Model, Notes, Source, layers, model_name
from invoke_shell.metadata.foreign.samplers import sampler

__all__ = ["read"]

# What is read, and what says nothing of the pixels.
READ = frozenset((
    "prompt", "negativeprompt", "model", "seed", "steps", "cfgscale", "aspectratio", "width", "height",
    "sidelength", "sampler", "scheduler", "vae", "loras", "comfyuisampler", "comfyuischeduler", "loraweights",
    "lorasectionconfinement", "automaticvae", "swarm_version", "date", "images", "imageformat", "batchsize",
    "donotsave", "generation_time", "prep_time", "original_prompt", "nopreviews", "wildcardseed", "personalnote",
    "colordepth", "clipstopatlayer", "initimage", "initimagecreativity", "refinercontrolpercentage",
    "refinerupscale", "refinermethod", "refinerupscalemethod", "refinermodel", "refinersteps", "refinercfgscale",
    "presetsused", "modeltype", "internalbackendtype", "exactbackendid",
))  # fmt: skip
OFF = (None, "", False, "false", 0, "0", "None", "none")


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture of a `sui_image_params`."""
    for name in ("parameters", "UserComment", "comment"):
        data = loose.mapping(loose.loads(texts.get(name, "")))
        if params := loose.mapping(data.get("sui_image_params")):
            return _Reader(tool, params, loose.items(data.get("sui_models"))).picture()
    return None


class _Reader:
    def __init__(self, tool: str, params: Mapping[str, Any], models: list[Any]) -> None:
        self.tool = tool
        self.params = {name.lower(): value for name, value in params.items()}
        self.models = [loose.mapping(row) for row in models[:64]]
        self.notes = Notes()

    def word(self, *names: str) -> str:
        return next((text for name in names if (text := loose.words(self.params.get(name)))), "")

    def picture(self) -> Foreign:
        prompt = rewrite(self.word("prompt"), COMFYUI, self.notes)
        negative = rewrite(self.word("negativeprompt"), COMFYUI, self.notes, "negative prompt")
        source = self.source()
        strength = self.notes.real("init image creativity", self.params.get("initimagecreativity"))
        layer = self.notes.whole("clip stop at layer", self.params.get("clipstopatlayer"))
        named = sampler(self.word("sampler", "comfyuisampler"), self.word("scheduler", "comfyuischeduler"), self.notes)
        loras = {lora.name: lora for lora in (*prompt.loras, *self.loras()) if lora.name}
        then = self.refined()
        self.rest()
        return Foreign(
            tool=self.tool,
            prompt=prompt.text,
            negative=negative.text,
            seed=self.notes.whole("seed", self.params.get("seed")),
            steps=self.notes.whole("steps", self.params.get("steps")),
            guidance=self.notes.real("cfgscale", self.params.get("cfgscale")),
            size=self.notes.size(self.params.get("width"), self.params.get("height")),
            strength=(0.6 if strength is None else strength) if source else None,
            source=source,
            model=self.model("model", "model"),
            loras=tuple(loras.values()),
            embeddings=(*prompt.embeddings, *negative.embeddings),
            vae=self.vae(),
            clip_skip=layers(layer),
            noise="cpu",
            then=then,
            missing=self.notes.missing,
            guessed=self.notes.guessed,
            **named,
        )

    def source(self) -> Source | None:
        """SwarmUI tells the share of the steps that ran on a picture, and often not the picture."""
        if not self.params.keys() & {"initimage", "initimagecreativity"}:
            return None
        return Source(name=re.split(r"[/\\]", self.word("initimage"))[-1][:80])

    def model(self, name: str, param: str) -> Model | None:
        """A model with the hash of its tensors, as `sui_models` lists it."""
        found = model_name(self.word(name))
        row = next((row for row in self.models if row.get("param") == param), {})
        digits = loose.words(row.get("hash")).removeprefix("0x").lower()
        hashes = {"tensors": digits} if re.fullmatch("[0-9a-f]{64}", digits) else {}
        found = found or model_name(loose.words(row.get("name")))
        return Model(name=found, hashes=hashes) if found or hashes else None

    def vae(self) -> str:
        name = model_name(self.word("vae"))
        return "" if name.lower() in ("automatic", "none") else name

    def loras(self) -> Iterator[Lora]:
        """Names and weights, each a list or one text with commas."""
        weights = _listed(self.params.get("loraweights"))
        for n, name in enumerate(_listed(self.params.get("loras"))):
            yield Lora(name=model_name(loose.words(name)), weight=loose.real(weights[n]) if n < len(weights) else None)

    def refined(self) -> tuple[Draw | Enlarge, ...]:
        """The second pass, which SwarmUI calls refining: enlarged, then drawn over."""
        strength = self.notes.real("refiner control", self.params.get("refinercontrolpercentage"))
        if not strength:
            return ()
        scale = self.notes.real("refiner upscale", self.params.get("refinerupscale"))
        method, _, network = self.word("refinerupscalemethod").partition("-")
        upscaler = model_name(network) if method == "model" else ""
        enlarged = (Enlarge(scale=scale, upscaler=upscaler),) if scale and scale != 1 else ()
        seed = loose.whole(self.params.get("seed"))
        self.notes.guess(f"refining by {self.word('refinermethod') or 'PostApply'} is taken as img2img on pixels")
        drawn = Draw(
            seed=None if seed is None else seed + 1,  # as SwarmUI counts on
            steps=loose.whole(self.params.get("refinersteps")) or loose.whole(self.params.get("steps")),
            guidance=loose.real(self.params.get("refinercfgscale")) or loose.real(self.params.get("cfgscale")),
            strength=strength,
            model=self.model("refinermodel", "refinermodel"),
            **sampler(self.word("sampler", "comfyuisampler"), self.word("scheduler", "comfyuischeduler"), self.notes),
        )
        return (*enlarged, drawn)

    def rest(self) -> None:
        count = loose.whole(self.params.get("batchsize"))
        if count and count > 1:
            self.notes.guess(f"it is one of a batch of {count}; the file does not say which, the first is taken")
        for name, value in list(self.params.items())[:512]:
            if name not in READ and not isinstance(value, list | dict) and value not in OFF:
                self.notes.lost(name, value)


def _listed(value: Any) -> list[Any]:
    return value[:64] if isinstance(value, list) else [part for part in loose.words(value).split(",")[:64] if part]
