"""InvokeAI 2: `sd-metadata` after RFC 266, in the forms of its command line and of its web page, and `Dream` beside it.

Where both tell of a thing, `sd-metadata` counts; source, seamless and text mask stand in `Dream` alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.dream import Dream, parse
from invoke_shell.metadata.foreign.result import Enlarge, Foreign, Lora, Model, Notes, Source, model_name
from invoke_shell.metadata.foreign.samplers import sampler
from invoke_shell.pipeline.prompts import is_sound, literal
from invoke_shell.pipeline.types import Weighted, number

__all__ = ["compel", "dreamt", "picture"]

NEGATIVE = re.compile(r"(?<!\\)\[([^\[\]]{0,4000})\]")
BLEND = re.compile(r"([^:]{1,500}):(-?\d{1,4}(?:\.\d{1,6})?)(?=[\s,]|\Z)[\s,]*")
WITH_LORA = re.compile(r"withLora\(\s{0,9}([^,()]{1,200})(?:,\s{0,9}([\d.]{1,9}))?\s{0,9}\)")
SWAP = re.compile(r"\(?((?<=\()[^()]{0,500}|\"[^\"]{0,500}\"|[\w-]{1,80})\)?\.swap\(([^()]{0,500})\)")
TRIGGER = re.compile(r"<([\w][\w .-]{0,80})>")
# Of `image`: what was on, by its name. Zero, false and empty are off.
EFFECTS = ("threshold", "perlin", "hires_fix", "h_symmetry_time_pct", "v_symmetry_time_pct")
AFTER = ("upscale", "facetool", "facetool_strength")
MASKS = ("init_mask", "mask_image_path", "mask_hash")


def picture(tool: str, data: Mapping[str, Any], dream: Dream) -> Foreign | None:
    """The picture of an `sd-metadata`; of a grid the first."""
    images = loose.items(data.get("images"))
    image = loose.mapping(images[0] if images else data.get("image"))
    if "prompt" in data and "prompt" not in image:  # what `!fix` made of a grid
        image = {**data, **image}
    if not image:
        return dreamt(tool, dream) if dream.prompt or dream.values or dream.other else None
    notes = Notes()
    if len(images) > 1:
        notes.guess(f"it is a grid of {len(images)} pictures; the first is taken")
    return _Reader(tool, notes, _with_dream(image, dream), _model(data, dream)).picture()


def dreamt(tool: str, dream: Dream) -> Foreign:
    """The picture of a `Dream` alone."""
    notes = Notes()
    if dream.other:
        notes.say(f"it was not drawn from a prompt; Dream says: {dream.other}")
        return Foreign(tool=tool, missing=notes.missing)
    image = {"prompt": dream.prompt, **_with_dream({}, dream)}
    return _Reader(tool, notes, image, Model(name=model_name(dream.model)) if dream.model else None).picture()


def _with_dream(image: Mapping[str, Any], dream: Dream) -> dict[str, Any]:
    """The image with what only its command tells."""
    said = dream.values
    more: dict[str, Any] = {
        "steps": said.get("steps"),
        "seed": said.get("seed"),
        "width": said.get("width"),
        "height": said.get("height"),
        "cfg_scale": said.get("guidance"),
        "sampler": said.get("sampler"),
        "init_img": said.get("source"),
        "init_mask": said.get("mask"),
        "text mask": said.get("text mask"),
        "outcrop": said.get("outcrop"),
        "embiggen": said.get("embiggen"),
        "variation amount": said.get("variation amount"),
        "variations": said.get("variations"),
        "upscale": said.get("upscale", "").split() or None,
        "facetool_strength": said.get("face"),
        "facetool": said.get("facetool"),
        "perlin": said.get("perlin"),
        "threshold": said.get("threshold"),
        "seamless axes": said.get("seamless axes"),
        **{name: True for name in ("seamless", "hires_fix", "fit") if name in said},
    }
    if "strength_steps" not in image and ("source" in said or image.get("type") == "img2img"):
        more["strength"] = said.get("strength")
    if image.get("postprocessing"):  # the web page tells the same in both
        more = {name: value for name, value in more.items() if name not in AFTER}
    return {**{name: value for name, value in more.items() if value is not None}, **_present(image)}


def _present(image: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in image.items() if value is not None}


def _model(data: Mapping[str, Any], dream: Dream) -> Model | None:
    name = model_name(loose.words(data.get("model_weights")) or loose.words(data.get("model_id")) or dream.model)
    digits = loose.words(data.get("model_hash"))
    hashes = {"sha256": digits} if re.fullmatch("[0-9a-f]{64}", digits) else {}
    return Model(name=name, hashes=hashes) if name or hashes else None


class _Reader:
    def __init__(self, tool: str, notes: Notes, image: Mapping[str, Any], model: Model | None) -> None:
        self.tool = tool
        self.notes = notes
        self.image = image
        self.model = model

    def picture(self) -> Foreign:
        prompt, negative, embeddings, loras = self.prompts()
        source = self.source()
        scheduler = sampler(self.word("sampler") or self.word("sampler_name"), "", self.notes)
        then = tuple(self.after())
        self.effects()
        return Foreign(
            tool=self.tool,
            prompt=prompt,
            negative=negative,
            seed=self.notes.whole("seed", self.image.get("seed")),
            steps=self.notes.whole("steps", self.image.get("steps")),
            guidance=self.notes.real("guidance", self.image.get("cfg_scale")),
            size=self.notes.size(self.image.get("width"), self.image.get("height")),
            strength=self.strength() if source else None,
            source=source,
            model=self.model,
            loras=loras,
            embeddings=embeddings,
            noise="gpu",
            more=self.chance(),
            then=then,
            missing=self.notes.missing,
            guessed=self.notes.guessed,
            **scheduler,
        )

    def word(self, name: str) -> str:
        return loose.words(self.image.get(name))

    # -- prompts -----------------------------------------------------------------------------------------------------

    def prompts(self) -> tuple[str | None, str | None, tuple[str, ...], tuple[Lora, ...]]:
        """Prompt and negative prompt; None for a picture that was only changed."""
        parts = list(self.weighted())
        if not parts and "prompt" not in self.image:
            return None, None, (), ()
        text = " ".join(text for text, _ in parts)
        blended = parts if len(parts) > 1 else _blended(text)
        if len(blended) > 1:
            text = _blend(blended)
        loras = tuple(_loras(text)) if "withLora(" in text else ()
        text = WITH_LORA.sub("", text) if loras else text
        negative = " ".join(found.strip() for found in NEGATIVE.findall(text))
        if negative:
            text = re.sub(" {2,}", " ", NEGATIVE.sub("", text))
        return *compel(text, negative, self.notes), loras

    def weighted(self) -> Iterator[tuple[str, float]]:
        """The prompts with their weights, whichever form they have."""
        prompt = self.image.get("prompt")
        for entry in prompt[:64] if isinstance(prompt, list) else [prompt]:
            row = loose.mapping(entry)
            text = loose.words(entry if isinstance(entry, str) else row.get("prompt")).removeprefix(",").strip()
            weight = loose.real(row.get("weight"))
            if isinstance(entry, str) or text:
                yield text, 1.0 if weight is None else weight

    # -- the source --------------------------------------------------------------------------------------------------

    def source(self) -> Source | None:
        """Of img2img; None for a picture from noise."""
        orig = self.word("orig_hash")
        name = self.word("init_image_path") or self.word("init_img")
        if self.word("type") in ("", "txt2img", "external") and not orig and not name:
            return None
        if self.word("type") not in ("", "txt2img", "img2img"):  # inpainting, unifiedCanvas
            self.notes.lost("a mask", self.word("type"))
        for mask in (*MASKS, "text mask"):
            if self.image.get(mask):
                self.notes.lost("a mask", _base(self.word(mask)))
        shown = "a picture inside the command" if name.startswith("data:") else _base(name)
        digest = orig if re.fullmatch("[0-9a-f]{64}", orig) else ""
        return Source(name=shown, hash=digest, how="fit" if self.image.get("fit") is True else "")

    def strength(self) -> float | None:
        given = self.image.get("strength", self.image.get("strength_steps"))
        return self.notes.real("strength", given)

    # -- what was done afterwards ------------------------------------------------------------------------------------

    def after(self) -> Iterator[Enlarge]:
        """Upscaling; face restoration and all else by name."""
        face = loose.real(self.image.get("facetool_strength"))
        if face:
            self.notes.lost("face restoration", f"{self.word('facetool') or 'gfpgan'} at {number(face)}")
        upscale = loose.items(self.image.get("upscale"))
        if upscale and (scale := loose.real(upscale[0])):
            yield self.enlarged(scale)
        for entry in loose.items(self.image.get("postprocessing"))[:64]:
            yield from self.processed(loose.mapping(entry))

    def processed(self, entry: Mapping[str, Any]) -> Iterator[Enlarge]:
        """One entry of `postprocessing`, of the web page or of `!fix`."""
        kind = loose.words(entry.get("type")) or loose.words(entry.get("tool"))
        scale = loose.real(entry.get("scale"))
        command = loose.words(entry.get("dream_command"))
        if kind == "upscale":
            words = parse(command.removeprefix("!fix")).values.get("upscale", "").split()
            scale = loose.real(words[0]) if words else None
        if scale and kind in ("esrgan", "upscale"):
            yield self.enlarged(scale)
        elif kind:
            self.notes.lost(kind, command or {k: v for k, v in entry.items() if k not in ("type", "orig_path")})

    def enlarged(self, scale: float) -> Enlarge:
        self.notes.guess("Real-ESRGAN enlarged it there; here it is Lanczos unless upscale is given an --upscaler")
        return Enlarge(scale=scale)

    def chance(self) -> dict[str, Any]:
        """Other seeds' noise, and sides that meet."""
        others = tuple(_variations(self.image.get("variations")))
        seamless = {"seamless": _sides(self.image.get("seamless axes"))} if self.image.get("seamless") else {}
        return {**({"blend": others} if others else {}), **seamless}

    def effects(self) -> None:
        """Switches that were on and have no equal."""
        for name in EFFECTS:
            if (value := self.image.get(name)) and loose.real(value) != 0:
                self.notes.lost(name, value)
        amount = () if self.image.get("variations") else ("variation amount",)  # of the last of them
        for name in ("outcrop", "embiggen", *amount):
            if (value := self.image.get(name)) and loose.real(value) != 0:
                self.notes.lost(name, value)
        if self.image.get("inpaint_replace"):
            self.notes.lost("inpaint_replace", self.image["inpaint_replace"])


def compel(prompt: str, negative: str, notes: Notes) -> tuple[str, str, tuple[str, ...]]:
    """InvokeAI's prompts, whose weights and blends are written as ours: `(x)1.2`, `x+`, `("a", "b").blend(1, 2)`.

    The third: textual inversions, `<name>` there and their names here.
    """
    names = TRIGGER.findall(prompt) + TRIGGER.findall(negative) if "<" in prompt + negative else []
    positive, negated = (
        _ours(TRIGGER.sub(r"\1", text) if names else text, label, notes)
        for text, label in ((prompt, "prompt"), (negative, "negative prompt"))
    )
    return positive, negated, tuple(dict.fromkeys(names))


def _ours(text: str, label: str, notes: Notes) -> str:
    """A prompt as it stands; without what its syntax has and ours has not."""
    if ".swap(" in text:
        for found in SWAP.finditer(text):
            notes.lost(f"a text that changes during the run, in the {label}", found[0])
        text = SWAP.sub(lambda m: m[1].strip().strip('"'), text)
    text = loose.words(text)
    if is_sound(text):
        return text
    notes.guess(f"the {label} is taken as plain text: its marks do not fit together")
    return literal(text)


def _blended(text: str) -> list[tuple[str, float]]:
    """`dog:1,cat:2`, the older way to blend; nothing when the text is not all of that form, or is one text."""
    found, at = [], 0
    while at < len(text) and ":" in text:
        part = BLEND.match(text, at)
        if part is None:
            return []
        found.append((part[1].strip(), float(part[2])))
        at = part.end()
    return found if len(found) > 1 else []


def _blend(parts: list[tuple[str, float]]) -> str:
    """Several prompts in one, as later versions write it."""
    texts = ", ".join('"' + text.replace('"', '\\"') + '"' for text, _ in parts)
    return f"({texts}).blend({', '.join(number(round(weight, 4)) for _, weight in parts)})"


def _loras(text: str) -> Iterator[Lora]:
    for name, weight in WITH_LORA.findall(text):
        yield Lora(name=model_name(name), weight=loose.real(weight))


def _variations(value: Any) -> Iterator[Weighted[int]]:
    """`[{seed, weight}]`, or text: `1:0.2,2:0.1`, and `1,0.2;2,0.1` of version 1."""
    pairs = [(row.get("seed"), row.get("weight")) for row in map(loose.mapping, loose.items(value)[:64])]
    if isinstance(value, str):
        pairs = re.findall(r"(\d{1,20})[:,]\s{0,3}(\d{0,3}\.?\d{1,9})", value[:4096])
    for seed, weight in pairs:
        number, share = loose.whole(seed), loose.real(weight)
        if number is not None and share:
            yield Weighted(number, share)


def _sides(axes: Any) -> str:
    """Of `["x", "y"]` or its text; both where none is named."""
    named = [side for side in ("x", "y") if side in str(axes or "")]
    return named[0] if len(named) == 1 else "both"


def _base(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
