"""AUTOMATIC1111's text and everyone's who imitates it: Forge, SD.Next, civitai, Stability Matrix, Fooocus on request.

    prompt lines
    Negative prompt: lines
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: ..., Model: ...

A value with a comma is quoted as JSON; `Hashes` and `Civitai resources` are JSON as they stand. Regular expressions in
use for it elsewhere take quadratic time on a stranger's text; this walks it once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.dialect import A1111, Rewritten, rewrite
from invoke_shell.metadata.foreign.guides import of_infotext
from invoke_shell.metadata.foreign.result import Draw, Enlarge, Foreign, Lora, Model, Notes, Source, layers, model_name
from invoke_shell.metadata.foreign.samplers import Named, sampler
from invoke_shell.pipeline.types import ModelName, Weighted, number

__all__ = ["fields_of", "parts", "read", "read_text"]

NEGATIVE = "Negative prompt:"
TEMPLATES = ("Template:", "Negative Template:")  # older dynamic prompts write them below
KEY = re.compile(r"\s*(\w[\w ./()+-]{0,60}):\s*")
FIRST = re.compile(r"(Steps|Seed|Size|Width|Height|Sampler|CFG scale|Model|App|Pipeline):", re.IGNORECASE)
SIZE = re.compile(r"\s*(\d{1,6})\s*[xX×*]\s*(\d{1,6})\s*")
AUTOV1, AUTOV2, SHA256 = 8, 10, 64  # hex digits
MAX_FIELDS = 512
# Not upscaler networks: AUTOMATIC1111's own ways of resizing.
NO_NETWORK = re.compile(r"none|lanczos|nearest|latent.*|bicubic.*|bilinear.*", re.IGNORECASE)

# Fields that change no pixel here, and those that are read together with another.
SILENT = frozenset((
    "Steps", "Sampler", "Schedule type", "Scheduler", "CFG scale", "Seed", "Size", "Width", "Height", "Model",
    "Model hash", "VAE", "VAE hash", "Clip skip", "Denoising strength", "RNG", "Version", "App", "User",
    "Operations", "Pipeline", "Parser", "Backend", "Time", "Cache", "Created Date", "Batch size", "Batch pos",
    "Hashes", "Lora hashes", "Lora weights", "TI hashes", "Civitai resources", "Civitai metadata",
    "aesthetic_score", "Performance", "Raw prompt", "Raw negative prompt", "First pass size", "Init image hash",
    "Mask blur", "Masked content", "Inpaint area", "Discard penultimate sigma", "Hires upscale", "Hires resize",
    "Hires steps", "Hires upscaler", "Hires prompt", "Hires negative prompt", "Hires sampler",
    "Hires schedule type", "Hires CFG scale", "Hires checkpoint", "Hires scale", "Hires size", "Hires strength",
    "Hires force", "Hires mode", "Refine", "Sampler sigma", "ENSD", "Variation seed", "Variation seed strength",
    "Tiling", "Refiner", "Refiner switch at", "Sigma churn",
))  # fmt: skip
SPELLED = {name.lower(): name for name in SILENT}  # some write `CFG Scale` or `size`
MASKS = ("Mask blur", "Masked content", "Inpaint area")


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture of a `parameters` text, a UserComment or a GIF's comment."""
    text = next((texts[name] for name in ("parameters", "UserComment", "comment", "Description") if name in texts), "")
    return read_text(tool, text) if text.strip() else None


def read_text(tool: str, text: str) -> Foreign | None:
    """The picture that an infotext tells of; None for a text that has no details."""
    prompt, negative, details = parts(text)
    fields = fields_of(details)
    if not fields:
        return None
    return _Reader(tool, fields).picture(prompt, negative)


# -- the text --------------------------------------------------------------------------------------------------------


def parts(text: str) -> tuple[str, str, str]:
    """Prompt, negative prompt and the line of details; "" for what is not there."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\0").strip().split("\n")
    at = _details_line(lines)
    details = [line for line in lines[at:] if not line.startswith(TEMPLATES)]
    negative = next((n for n, line in enumerate(lines[:at]) if line.startswith(NEGATIVE)), at)
    below = "\n".join(lines[negative:at]).removeprefix(NEGATIVE)
    return "\n".join(lines[:negative]).strip(), below.strip(), " ".join(details)


def _details_line(lines: list[str]) -> int:
    """The number of the line of details: the last that begins with a known name; len(lines) when there is none."""
    for n in range(len(lines) - 1, -1, -1):
        line = lines[n].lstrip()
        if line.startswith("Steps: ") or (FIRST.match(line) and len(fields_of(line)) > 2):
            return n
    return len(lines)


def fields_of(line: str) -> dict[str, Any]:
    """The fields of a line of details; the first of a name counts. Values are text, or JSON where it stands open."""
    fields: dict[str, Any] = {}
    for key, value in islice(_pairs(line), MAX_FIELDS):
        fields.setdefault(SPELLED.get(key.lower(), key), value)
    return fields


def _pairs(line: str) -> Iterator[tuple[str, Any]]:
    at = 0
    while at < len(line):
        found = KEY.match(line, at)
        if found:
            value, at = _value(line, found.end())
            yield found[1].strip(), value
        comma = line.find(",", at)
        at = comma + 1 if comma >= 0 else len(line)


def _value(line: str, at: int) -> tuple[Any, int]:
    """A value and where it ends: quoted or open JSON, else up to the comma."""
    if line[at : at + 1] in ('"', "{", "["):
        value, end = loose.cut_json(line, at)
        if end > at and line[end : end + 1] in ("", ",", " ", "\n"):
            return value, end
    comma = line.find(",", at)
    end = comma if comma >= 0 else len(line)
    return line[at:end].strip(), end


# -- the picture -----------------------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, tool: str, fields: dict[str, Any]) -> None:
        self.tool = tool
        self.fields = fields
        self.notes = Notes()
        self.taught = False
        self.guided: frozenset[str] = frozenset()

    def text(self, *names: str) -> str:
        """The first field that is there, as text."""
        found = next((self.fields[name] for name in names if name in self.fields), "")
        return loose.words(found) if isinstance(found, str) else loose.shown(found)

    def whole(self, *names: str) -> int | None:
        return self.notes.whole(names[0], self.text(*names))

    def real(self, *names: str) -> float | None:
        return self.notes.real(names[0], self.text(*names))

    def picture(self, prompt: str, negative: str) -> Foreign:
        """The whole of it."""
        positive = rewrite(self.text("Raw prompt") or prompt, A1111, self.notes)
        negated = rewrite(self.text("Raw negative prompt") or negative, A1111, self.notes, "negative prompt")
        size, then = self.sizes()
        guides, self.guided = of_infotext(self.fields, self.notes)
        self.batch()
        strength = self.strength(bool(then))
        found = Foreign(
            tool=self.tool,
            prompt=positive.text,
            negative=negated.text,
            seed=self.whole("Seed"),
            steps=self.whole("Steps"),
            guidance=self.guidance(),
            size=size,
            strength=strength,
            source=None if strength is None else self.source(),
            model=self.model(),
            loras=self.loras(positive, negated),
            embeddings=self.embeddings(positive, negated),
            guides=guides,
            vae=model_name(self.text("VAE")),
            clip_skip=layers(self.whole("Clip skip")),
            noise=self.noise(),
            more={**self.chance(), **self.refiner()},
            then=(*then, *self.postprocessed()),
            **self.sampling("Sampler", "Schedule type", "Scheduler", "Sampler sigma"),
        )
        self.rest()
        return replace(found, missing=self.notes.missing, guessed=self.notes.guessed)

    def batch(self) -> None:
        """Each picture of a batch has noise of its own seed, which is the one in its text: it is drawn alone here."""
        count, place = self.whole("Batch size"), self.whole("Batch pos")
        if count and count > 1 and place is not None:
            said = f"it was picture {place + 1} of a batch of {count}; its seed is its own, so it is drawn alone here"
            self.notes.guess(f"{said}, and its last bits may differ")

    def guidance(self) -> float | None:
        """Of models that were taught their guidance the one they were given: Forge writes 1 beside it."""
        distilled, plain = self.real("Distilled CFG Scale"), self.real("CFG scale")
        if distilled is None or plain != 1:
            return plain
        self.notes.guess(f"guidance {number(distilled)} is the one the model was taught, not that of two prompts")
        self.taught = True
        return distilled

    def sampling(self, name: str, *schedule: str) -> Named:
        return sampler(self.text(name), self.text(*schedule), self.notes)

    def chance(self) -> dict[str, Any]:
        """What else decides the noise, by our flags."""
        seed, share = self.whole("Variation seed"), self.real("Variation seed strength")
        more = {
            "ensd": self.whole("ENSD"),
            "blend": (Weighted(seed, share),) if seed is not None and share else None,
            "churn": self.real("Sigma churn"),
            "seamless": "both" if self.text("Tiling").lower() == "true" else None,
        }
        return {name: value for name, value in more.items() if value}

    def refiner(self) -> dict[str, Any]:
        """The model that takes over, `name [hash]`."""
        name = model_name(re.sub(r"\s*\[\w+\]$", "", self.text("Refiner")))
        start = self.real("Refiner switch at")
        if not name or name.lower() == "none":
            return {}
        return {"refiner": ModelName(name), **({} if start is None else {"refiner_start": start})}

    def noise(self) -> str:
        """Where it was drawn: on the GPU unless the text says otherwise, or is of a program that draws on the CPU."""
        of_cpu = self.tool == "invoke_shell" or "comfy" in self.text("Version").lower()
        return "cpu" if of_cpu or self.text("RNG").upper() == "CPU" else "gpu"

    # -- size and passes ---------------------------------------------------------------------------------------------

    def sizes(self) -> tuple[tuple[int, int] | None, tuple[Draw | Enlarge, ...]]:
        """The size of the first pass, and the second pass if there was one."""
        size = _size(self.text("Size")) or self.notes.size(self.text("Width", "Size-1"), self.text("Height", "Size-2"))
        first = _size(self.text("First pass size"))
        if "First pass size" in self.fields:  # AUTOMATIC1111 of 2022
            return (first, self.second(Enlarge(size=size))) if first and all(first) else (size, self.unknown_first())
        scale, target = self.real("Hires upscale", "Hires scale"), _size(self.text("Hires resize", "Hires size"))
        if not scale and target and size:
            scale, target = _one_side(target, size)
        if scale or target:
            return size, self.second(Enlarge(scale=scale) if scale else Enlarge(size=target))
        return size, ()

    def unknown_first(self) -> tuple[()]:
        self.notes.lost("a first pass at a smaller size (highres fix)", self.text("First pass size"))
        return ()

    def second(self, enlarge: Enlarge) -> tuple[Draw | Enlarge, ...]:
        """The pass of the hires fix: enlarged, then drawn over. SD.Next may only enlarge."""
        upscaler = self.text("Hires upscaler")
        network = "" if NO_NETWORK.fullmatch(upscaler) else model_name(upscaler)
        enlarged = Enlarge(scale=enlarge.scale, size=enlarge.size, upscaler=network)
        strength = self.real("Hires strength", "Denoising strength")
        if self.tool == "sdnext" and strength is None and "Hires steps" not in self.fields:
            return (enlarged,)
        self.notes.guess(f"the hires fix enlarges pixels here; there it used {upscaler[:80] or 'latents'}")
        prompt, negative = (self.text(f"Hires {name}") for name in ("prompt", "negative prompt"))
        named = self.sampling("Hires sampler", "Hires schedule type") if "Hires sampler" in self.fields else Named()
        checkpoint = re.sub(r"\s*\[\w+\]$", "", self.text("Hires checkpoint"))
        drawn = Draw(
            prompt=rewrite(prompt, A1111, self.notes, "hires prompt").text if prompt else None,
            negative=rewrite(negative, A1111, self.notes, "hires negative prompt").text if negative else None,
            seed=self.whole("Seed"),
            steps=self.whole("Hires steps") or self.whole("Steps"),
            guidance=self.real("Hires CFG scale", "CFG scale"),
            strength=strength,
            model=Model(name=model_name(checkpoint)) if checkpoint else None,
            more=self.chance(),
            **(named or self.sampling("Sampler", "Schedule type", "Scheduler", "Sampler sigma")),
        )
        return enlarged, drawn

    def postprocessed(self) -> tuple[Enlarge, ...]:
        """What the Extras tab did."""
        scale, upscaler = self.real("Postprocess upscale by"), self.text("Postprocess upscaler")
        network = "" if NO_NETWORK.fullmatch(upscaler) else model_name(upscaler)
        return (Enlarge(scale=scale, upscaler=network),) if scale else ()

    def strength(self, hires: bool) -> float | None:
        """Of img2img: a picture without a second pass that has a denoising strength began from another.

        0 stood in every txt2img of AUTOMATIC1111's interface for programs.
        """
        return None if hires or "First pass size" in self.fields else self.real("Denoising strength") or None

    def source(self) -> Source:
        for name in MASKS:
            if name in self.fields:
                self.notes.lost("a mask", f"{name} {self.text(name)}")
        self.notes.guess("the source is stretched to the size, as `Just resize` does: the file does not say how")
        return Source(how="stretch")

    # -- models ------------------------------------------------------------------------------------------------------

    def model(self) -> Model | None:
        hashes = dict(_hash(self.text("Model hash") or loose.words(self.hashes().get("model"))))
        name = model_name(self.text("Model")) or _resource(self.fields.get("Civitai resources"))
        return Model(name=name, hashes=hashes) if name or hashes else None

    def hashes(self) -> dict[str, Any]:
        return loose.mapping(self.fields.get("Hashes"))

    def loras(self, *prompts: Rewritten) -> tuple[Lora, ...]:
        """Those the prompts name, with their hashes; what has a hash and no tag is one too."""
        known = {**_listed(self.text("Lora hashes")), **_prefixed(self.hashes(), "lora:")}
        weights = {name: loose.real(value) for name, value in _listed(self.text("Lora weights")).items()}
        found = {lora.name: lora for prompt in prompts for lora in prompt.loras}
        for name in known:
            found.setdefault(model_name(name), Lora(name=model_name(name), weight=weights.get(name)))
        hashed = {model_name(name): value for name, value in known.items()}
        return tuple(Lora(name=x.name, weight=x.weight, hash=hashed.get(x.name, "")) for x in found.values() if x.name)

    def embeddings(self, *prompts: Rewritten) -> tuple[str, ...]:
        """Those the details list by hash, and those the prompts name."""
        named = [name for prompt in prompts for name in prompt.embeddings]
        names = (*named, *_listed(self.text("TI hashes")), *_prefixed(self.hashes(), "embed:"))
        return tuple(dict.fromkeys(model_name(name) for name in names))

    # -- the rest ----------------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Every field without an equal, by name and value."""
        for name, value in self.fields.items():
            if name in self.guided or (self.taught and name == "Distilled CFG Scale"):
                continue
            if name not in SILENT and not name.startswith(("Size-", "Hires resize-", "Postprocess ")):
                self.notes.lost(name, value)


def _size(text: str) -> tuple[int, int] | None:
    found = SIZE.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def _one_side(target: tuple[int, int], size: tuple[int, int]) -> tuple[float | None, tuple[int, int] | None]:
    """A target with one side 0 keeps the shape: `1024x0` of 512x768 is twice the size."""
    across, down = target
    if (across and down) or not all(size):
        return None, target if across and down else None
    return round(across / size[0] or down / size[1], 4) or None, None


def _hash(text: str) -> Iterator[tuple[str, str]]:
    """A model's hash by its kind, which its length tells."""
    digits = text.lower().removeprefix("0x")
    kind = {AUTOV1: "autov1", AUTOV2: "autov2", SHA256: "sha256"}.get(len(digits))
    if kind and re.fullmatch("[0-9a-f]+", digits):
        yield kind, digits


def _listed(text: str) -> dict[str, str]:
    """`name: value, name: value`."""
    pairs = (part.rpartition(":") for part in text.split(",")[:MAX_FIELDS])
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def _prefixed(hashes: dict[str, Any], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): loose.words(value) for key, value in hashes.items() if key.startswith(prefix)}


def _resource(value: Any) -> str:
    """The checkpoint among civitai's resources, by its model's name."""
    for entry in loose.items(value)[:MAX_FIELDS]:
        found = loose.mapping(entry)
        if found.get("type") == "checkpoint":
            return model_name(loose.words(found.get("modelName")))
    return ""
