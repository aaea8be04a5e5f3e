"""The schedulers by name: what flags, help and completion need. No torch here; runtime/schedulers.py builds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType

from invoke_shell.errors import nearest

__all__ = ["DEFAULT", "LEVELS", "SCHEDULERS", "Levels", "Scheduler", "canonical"]

DEFAULT = "dpmpp_2m_karras"


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """One way from noise to picture.

    kind: the class in diffusers. config: what differs from the model's own scheduler_config.json.
    aliases: names in AUTOMATIC1111, ComfyUI and InvokeAI, matched without case, blanks and signs.
    order: model calls a step. noisy: draws noise at each step, from the picture's one generator.
    base, sigmas: the scheduler whose noise levels these are other ones of, and which. takes: options of its own (eta,
    churn). needs: a package that is not among ours.
    """

    name: str
    kind: str
    help: str
    config: Mapping[str, bool | int | str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    order: int = 1
    noisy: bool = False
    base: str = ""
    sigmas: str = ""
    takes: tuple[str, ...] = ()
    needs: str = ""

    def calls(self, steps: int) -> int:
        """Model calls of a picture of so many steps: the last step of a second-order scheduler is a first-order one."""
        if self.kind == "PNDMScheduler":
            return steps + (steps > 1)
        return steps * self.order - (self.order - 1)


_SDE = {"algorithm_type": "sde-dpmsolver++"}

_PLAIN = (
    Scheduler(
        name="ddim",
        kind="DDIMScheduler",
        help="The first fast one; even steps, no noise unless --eta adds some.",
        takes=("eta",),
    ),
    Scheduler(name="ddpm", kind="DDPMScheduler", help="The original, noisy; wants many steps.", noisy=True),
    Scheduler(
        name="pndm",
        kind="PNDMScheduler",
        help="Multistep; Stable Diffusion 1's own. One model call more than steps.",
        # With skip_prk_steps off it would run 12 calls of Runge-Kutta before the steps that were asked for.
        config={"skip_prk_steps": True},
        aliases=("plms", "k_plms"),
    ),
    Scheduler(
        name="euler", kind="EulerDiscreteScheduler", help="Simple and good.", aliases=("k_euler",), takes=("churn",)
    ),
    Scheduler(
        name="euler_a",
        kind="EulerAncestralDiscreteScheduler",
        help="Euler with new noise at each step; never settles, soft.",
        aliases=("Euler a", "k_euler_a", "euler_ancestral", "k_euler_ancestral"),
        noisy=True,
    ),
    Scheduler(
        name="heun",
        kind="HeunDiscreteScheduler",
        help="Euler, corrected: two model calls a step.",
        aliases=("k_heun",),
        order=2,
    ),
    Scheduler(
        name="dpm2",
        kind="KDPM2DiscreteScheduler",
        help="Second order: two model calls a step.",
        aliases=("DPM2", "k_dpm_2", "kdpm_2"),
        order=2,
    ),
    Scheduler(
        name="dpm2_a",
        kind="KDPM2AncestralDiscreteScheduler",
        help="DPM2 with new noise at each step; two model calls a step.",
        aliases=("DPM2 a", "k_dpm_2_a", "kdpm_2_a", "dpm_2_ancestral", "k_dpm_2_ancestral"),
        order=2,
        noisy=True,
    ),
    Scheduler(
        name="dpmpp_2m",
        kind="DPMSolverMultistepScheduler",
        help="DPM-Solver++ with memory of one step: good from 15 steps.",
        aliases=("DPM++ 2M", "k_dpmpp_2m"),
    ),
    Scheduler(
        name="dpmpp_2m_lu",
        kind="DPMSolverMultistepScheduler",
        help="DPM-Solver++ 2M with the noise levels of Lu et al. 2022.",
        config={"use_lu_lambdas": True},
        aliases=("DPM++ 2M Lu",),
    ),
    Scheduler(
        name="dpmpp_2m_sde",
        kind="DPMSolverMultistepScheduler",
        help="DPM-Solver++ 2M with new noise at each step.",
        config=_SDE,
        aliases=("DPM++ 2M SDE",),
        noisy=True,
    ),
    Scheduler(
        name="dpmpp_3m_sde",
        kind="DPMSolverMultistepScheduler",
        help="Third order with new noise; wants 30 steps or more.",
        config={**_SDE, "solver_order": 3},
        aliases=("DPM++ 3M SDE",),
        noisy=True,
    ),
    Scheduler(
        name="dpmpp_2s",
        kind="DPMSolverSinglestepScheduler",
        help="DPM-Solver++ without memory between pairs of steps.",
        aliases=("DPM++ 2S",),
    ),
    Scheduler(
        name="dpmpp_sde",
        kind="DPMSolverSinglestepScheduler",
        help="DPM-Solver++ 2S with new noise at each step.",
        config=_SDE,
        aliases=("DPM++ SDE", "k_dpmpp_sde"),
        noisy=True,
    ),
    Scheduler(
        name="unipc",
        kind="UniPCMultistepScheduler",
        help="Predicts, then corrects, at one model call a step; good from 10 steps.",
        aliases=("UniPC", "uni_pc"),
    ),
    Scheduler(name="deis", kind="DEISMultistepScheduler", help="Exponential integrator with memory."),
    Scheduler(
        name="lms",
        kind="LMSDiscreteScheduler",
        help="Linear multistep; what Stable Diffusion was first drawn with.",
        aliases=("k_lms",),
        needs="scipy",
    ),
    Scheduler(
        name="sa_solver",
        kind="SASolverScheduler",
        help="Stochastic Adams: new noise at each step, good from 20.",
        aliases=("SA-Solver", "sasolver"),
        noisy=True,
    ),
    Scheduler(
        name="lcm",
        kind="LCMScheduler",
        help="For latent consistency models: 2 to 8 steps, guidance 1 to 2.",
        noisy=True,
    ),
    Scheduler(
        name="tcd",
        kind="TCDScheduler",
        help="For trajectory consistency models (TCD, Hyper-SD): 2 to 8 steps, guidance 1; --eta is its noise.",
        noisy=True,
        takes=("eta",),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Other noise levels for many schedulers. tails: what other programs put behind the sampler's name."""

    config: Mapping[str, bool | int | str]
    help: str
    tails: tuple[str, ...]
    of: tuple[str, ...]
    needs: str = ""


_SIGMAS = (  # those whose class in diffusers takes other sigmas
    "euler", "heun", "dpm2", "dpm2_a", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_2s", "dpmpp_sde", "unipc",
    "deis", "lms", "sa_solver",
)  # fmt: skip
# AUTOMATIC1111 writes "DPM++ 2M Karras", InvokeAI dpmpp_2m_k, ComfyUI keeps the two apart: dpmpp_2m, karras.
LEVELS: Mapping[str, Levels] = {
    "karras": Levels(
        config={"use_karras_sigmas": True},
        help="Karras noise levels: more steps where the noise is low",
        tails=("_k", " Karras"),
        of=_SIGMAS,
    ),
    "exponential": Levels(
        config={"use_exponential_sigmas": True},
        help="exponential noise levels: even on a logarithmic scale",
        tails=("_ke", " Exponential"),
        of=_SIGMAS,
    ),
    "beta": Levels(
        config={"use_beta_sigmas": True},
        help="beta noise levels: more steps at both ends",
        tails=(" Beta",),
        of=_SIGMAS,
        needs="scipy",
    ),
    "sgm": Levels(
        config={"timestep_spacing": "trailing"},
        help="even steps that begin at the noisiest of all (SGM uniform, trailing), as Turbo and Lightning want",
        tails=(" SGM Uniform", "_trailing"),
        of=("ddim", "euler", "euler_a", "heun", "dpm2", "dpmpp_2m", "dpmpp_2m_sde", "unipc", "deis"),
    ),
}


def _with(plain: Scheduler, word: str, sigmas: Levels) -> Scheduler:
    return replace(
        plain,
        name=f"{plain.name}_{word}",
        help=f"{plain.name} with {sigmas.help}.",
        config={**plain.config, **sigmas.config},
        aliases=tuple(name + tail for name in (plain.name, *plain.aliases) for tail in sigmas.tails),
        base=plain.name,
        sigmas=word,
        needs=plain.needs or sigmas.needs,
    )


def _family(plain: Scheduler) -> tuple[Scheduler, ...]:
    return (plain, *(_with(plain, word, sigmas) for word, sigmas in LEVELS.items() if plain.name in sigmas.of))


SCHEDULERS: Mapping[str, Scheduler] = MappingProxyType({s.name: s for plain in _PLAIN for s in _family(plain)})


def canonical(text: str) -> str:
    """The name that an alias stands for: `Euler a` and `k_euler_a` are `euler_a`.

    Raises ValueError, a sentence with the nearest name, when there is none.
    """
    if text in SCHEDULERS:
        return text
    found = _by_key().get(_key(text))
    if found is None:
        near = nearest(text, SCHEDULERS)
        raise ValueError(f"no scheduler is called {text}" + (f"; did you mean {near}?" if near else ""))
    return found


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("++", "pp"))


@cache
def _by_key() -> dict[str, str]:
    return {_key(word): s.name for s in SCHEDULERS.values() for word in (s.name, *s.aliases)}
