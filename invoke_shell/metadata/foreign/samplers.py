"""Samplers of other programs by our names: equal ones, and the nearest where none is equal."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import TypedDict

from invoke_shell.metadata.foreign.result import Notes
from invoke_shell.pipeline.schedulers import SCHEDULERS, canonical

__all__ = ["Named", "sampler"]

LONGEST = 64

# Without case, blanks and signs. What none of ours computes, and which of ours draws most alike.
NEAREST = {
    "dpmpp2sancestral": "dpmpp_sde",
    "dpmpp2sa": "dpmpp_sde",
    "dpmpp2a": "dpmpp_sde",
    "dpmfast": "dpmpp_2s",
    "dpmadaptive": "dpmpp_2m",
    "heunpp2": "heun",
    "ipndm": "pndm",
    "ipndmv": "pndm",
    "restart": "heun",
    "dpmpp2msdeheun": "dpmpp_2m_sde",
    "dpmpp3m": "dpmpp_2m",
    "resmultistep": "dpmpp_2m",
    "eulercfgpp": "euler",
    "eulerancestralcfgpp": "euler_a",
    "ddimcfgpp": "ddim",
    "gradientestimation": "euler",
    "ersde": "dpmpp_2m_sde",
    "turbo": "euler_a",
}
# Other spellings of equal ones that no program of ours' aliases know.
EQUAL = {
    "dpmpp2": "dpmpp_2m",  # InvokeAI 2's k_dpmpp_2
    "unipcbh2": "unipc",
    "unipcbh1": "unipc",
    "ddimv3": "ddim",
    "dpm2ancestral": "dpm2_a",
    "dpm2": "dpm2",
    "plms": "pndm",
}
KARRAS = re.compile(r"(.+?)(?: karras|_karras|_ka|_k)", re.IGNORECASE)
NAMED = "exponential|polyexponential|ke|normal|simple|sgm_uniform|ddim_uniform|beta|kl_optimal|linear_quadratic"
OTHER = re.compile(rf"(.+?)[ _]({NAMED})", re.IGNORECASE)
# Noise levels that are a scheduler's own here.
PLAIN = frozenset(("", "normal", "default", "native", "none", "automatic", "uniform", "discrete"))
# Other programs' names of noise levels by ours.
LEVELS = {"sgm_uniform": "sgm", "sgm uniform": "sgm", "ke": "exponential"}
# What AUTOMATIC1111 from 1.9 on takes where its schedule type is Automatic.
AUTOMATIC = {
    "dpmpp_2m": "karras",
    "dpmpp_sde": "karras",
    "dpm2": "karras",
    "dpm2_a": "karras",
    "dpmpp_2m_sde": "exponential",
    "dpmpp_3m_sde": "exponential",
}


class Named(TypedDict, total=False):
    """The fields of a Draw that say how it was sampled."""

    scheduler: str | None
    scheduler_text: str
    near: str


def sampler(text: str, schedule: str, notes: Notes) -> Named:
    """A sampler and its noise levels by our names; what has no equal is told with the nearest.

    schedule: the noise levels where the program keeps them apart (`karras`, `Automatic`), else "".
    """
    text, schedule = text.strip()[:LONGEST], schedule.strip()[:LONGEST]
    if not text:
        return {}
    plain, levels = _split(text, schedule)
    name, equal = _plain(plain)
    levels = _levels(name, levels, notes)
    whole = _with_levels(name, levels, notes)
    if not equal:
        notes.say(f"no sampler here is {text}; {whole} comes nearest")
    shown = f"{text}, {schedule}" if schedule else text
    return {"scheduler": whole if equal else None, "scheduler_text": shown, "near": whole}


@lru_cache(maxsize=256)
def _split(text: str, schedule: str) -> tuple[str, str]:
    """The sampler alone and its noise levels, which many names end in."""
    if found := KARRAS.fullmatch(text):
        return found[1], schedule if schedule and schedule.lower() != "automatic" else "karras"
    if found := OTHER.fullmatch(text):
        return found[1], schedule or ("exponential" if found[2].lower() == "ke" else found[2])
    return text, schedule


@lru_cache(maxsize=256)  # no name is longer than LONGEST
def _plain(text: str) -> tuple[str, bool]:
    """Our sampler for a name without noise levels, and whether it is equal."""
    key = _key(text)
    if key in EQUAL:
        return EQUAL[key], True
    if key in NEAREST:
        return NEAREST[key], False
    for spelling in (_shortened(text), _shortened(text).removeprefix("k_")):
        with suppress(ValueError):
            return canonical(spelling), True
    return _alike(key), False


def _alike(key: str) -> str:
    """By what the name says: noisy ones to noisy ones."""
    if "sde" in key:
        return "dpmpp_2m_sde"
    return "euler_a" if "ancestral" in key else "dpmpp_2m" if "dpmpp" in key else "euler"


def _shortened(text: str) -> str:
    """Without ComfyUI's `sample_` and `_gpu`, which change nothing that a name can say."""
    return re.sub(r"^sample_|_gpu$", "", text.lower())


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]|^k_", "", _shortened(text).replace("++", "pp"))


def _levels(name: str, levels: str, notes: Notes) -> str:
    """What `Automatic` stands for."""
    if levels.lower() != "automatic" or name not in AUTOMATIC:
        return levels
    notes.guess(
        f"schedule type Automatic is {AUTOMATIC[name]} with this sampler, as AUTOMATIC1111 1.9 and later take it"
    )
    return AUTOMATIC[name]


def _with_levels(name: str, levels: str, notes: Notes) -> str:
    """The scheduler with those noise levels; other levels are told and left."""
    word = LEVELS.get(levels.lower(), levels.lower())
    if word and f"{name}_{word}" in SCHEDULERS:
        return f"{name}_{word}"
    if levels.lower() not in PLAIN:
        notes.say(f"the noise levels {levels} are not carried: {name} has its own")
    return name
