"""dgenerate: `DgenerateConfig` is a command file. It is read as words; nothing of it is run, templates neither."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.result import Foreign, Lora, Model, Notes, Source, model_name
from invoke_shell.metadata.foreign.samplers import Named, sampler
from invoke_shell.pipeline.schedulers import SCHEDULERS, Scheduler

__all__ = ["read"]

MAX_TEXT = 1 << 17
JOINED = re.compile(r"[ \t]{0,40}\\\n[ \t]{0,200}")
WORD = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'|(\S+)", re.S)
READ = frozenset((
    "prompts", "seeds", "inference-steps", "guidance-scales", "output-size", "scheduler", "schedulers",
    "image-seeds", "image-seed-strengths", "vae", "loras", "clip-skips",
))  # fmt: skip
# How and where it ran.
SILENT = frozenset((
    "dtype", "variant", "device", "verbose", "cache-memory", "output-path", "output-prefix", "output-overwrite",
    "output-configs", "subfolder", "output-metadata", "model-type", "revision", "no-aspect", "safety-checker",
    "offline-mode", "auth-token", "align", "batch-size",
))  # fmt: skip
CLASSES = {"DPMSolverSDEScheduler": "dpmpp_sde", "LMSDiscreteScheduler": "lms"}  # of diffusers, without a kind of ours


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture of a command file, in `DgenerateConfig` or a UserComment."""
    text = texts.get("DgenerateConfig", texts.get("UserComment", ""))
    words = list(_words(text[:MAX_TEXT]))
    return _picture(tool, words[0] if not words[0].startswith("-") else "", dict(_options(words))) if words else None


def _words(text: str) -> Iterator[str]:
    """The words of the last command: joined lines, without comments and directives."""
    lines = JOINED.sub(" ", text.replace("\r\n", "\n")).split("\n")
    commands = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "\\", "{"))]
    for found in WORD.finditer(commands[-1] if commands else ""):
        double, single, bare = found.groups()
        word = bare or (double.replace('\\"', '"') if double is not None else single or "")
        if word != "dgenerate":
            yield word.replace("\\#", "#")


def _options(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each option with the words up to the next."""
    name, values = "", list[str]()
    for word in [*words, "--"]:
        if re.match(r"--?[A-Za-z]|--$", word):
            if name:
                yield name, values
            name, values = word.lstrip("-"), []
        else:
            values.append(word)


def _picture(tool: str, path: str, options: Mapping[str, list[str]]) -> Foreign:
    notes = Notes()
    prompt, _, negative = _first(options, "prompts").partition(";")
    source = _source(options)
    named = _scheduler(_first(options, "scheduler", "schedulers"), notes)
    vae, *_ = _first(options, "vae").split(";")
    strength = notes.real("image seed strength", _first(options, "image-seed-strengths"))
    _rest(options, notes)
    name = model_name(path)
    return Foreign(
        tool=tool,
        prompt=loose.words(prompt),
        negative=loose.words(negative),
        seed=notes.whole("seed", _first(options, "seeds")),
        steps=notes.whole("steps", _first(options, "inference-steps")),
        guidance=notes.real("guidance", _first(options, "guidance-scales")),
        size=_size(_first(options, "output-size")),
        strength=(0.8 if strength is None else strength) if source else None,
        source=source,
        model=Model(name=name) if name else None,
        loras=tuple(_loras(options)),
        vae=model_name(vae),
        clip_skip=notes.whole("clip skip", _first(options, "clip-skips")),
        noise="gpu",
        missing=notes.missing,
        guessed=notes.guessed,
        **named,
    )


def _first(options: Mapping[str, list[str]], *names: str) -> str:
    return next((options[name][0] for name in names if options.get(name)), "")


def _size(text: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text)
    return (int(found[1]), int(found[2] or found[1])) if found else None


def _source(options: Mapping[str, list[str]]) -> Source | None:
    seed = _first(options, "image-seeds").split(";")[0]
    return Source(name=re.split(r"[/\\]", seed)[-1]) if seed else None


def _scheduler(text: str, notes: Notes) -> Named:
    """A class of diffusers and its arguments: `EulerDiscreteScheduler;use-karras-sigmas=true`."""
    kind, *arguments = text.split(";")
    given = dict(_argument(argument) for argument in arguments[:32])
    karras = given.pop("use_karras_sigmas", "") == "true"
    best = _ours(kind, given)
    for name in sorted(set(given) - set(best.config if best else ())):
        notes.lost(f"{name} of the scheduler", given[name])
    named = sampler(best.name if best else CLASSES.get(kind, kind), "karras" if karras else "", notes)
    return {**named, "scheduler_text": text[:80]} if text else named


def _ours(kind: str, given: Mapping[str, str]) -> Scheduler | None:
    """Our scheduler of a class of diffusers: the one whose differences from the class are given."""
    fitting = [
        s
        for s in SCHEDULERS.values()
        if s.kind == kind and all(given.get(k, text) == text for k, text in _config(s).items())
    ]
    return max(fitting, key=lambda s: sum(1 if k in given else -1 for k in s.config), default=None)


def _config(scheduler: Scheduler) -> dict[str, str]:
    return {name: str(value).lower() for name, value in scheduler.config.items()}


def _argument(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().replace("-", "_"), value.strip().lower()


def _loras(options: Mapping[str, list[str]]) -> Iterator[Lora]:
    """`path;scale=0.8;weight-name=x.safetensors`."""
    for text in options.get("loras", [])[:64]:
        path, *arguments = text.split(";")
        given = dict(_argument(argument) for argument in arguments[:32])
        name = model_name(given.get("weight_name", "") or path)
        if name:
            yield Lora(name=name, weight=loose.real(given.get("scale", "")))


def _rest(options: Mapping[str, list[str]], notes: Notes) -> None:
    for name, values in list(options.items())[:512]:
        if name not in READ and name not in SILENT:
            notes.lost(f"--{name}", " ".join(values) or None)
