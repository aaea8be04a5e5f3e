"""docs/strength.md is made from the schedulers. After a change of one: python tests/runtime/test_strength.py"""

import json
from pathlib import Path

import pytest
import torch

from invoke_shell.commands.generate import steps_run
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.runtime import schedulers

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "strength.md"
CONFIG = ROOT / "invoke_shell" / "assets" / "configs" / "sd1" / "scheduler" / "scheduler_config.json"
STEPS, STRENGTHS = 20, (0.25, 0.5, 0.75, 1.0)
HEAD = """# Strength, said plainly

`img2img`, `inpaint`, `outpaint` and `upscale_diffuse` begin in the middle of the steps, from a picture with noise on.

- `--strength S`, 0 to 1, is the share of the steps that run: steps x S, half rounded up, and at least 1 above 0.
  Counted in decimals (50 x 0.58 is 29) and in the scheduler's steps: 0.5 of 20 is 10, with whatever noise levels.
- `--start-step N` says it exactly; both together are a mistake with two carets.
- What will run is said before (`explain`, and the line `img2img: 15 of 20 steps (strength 0.75, from sigma 3.9)`) and
  recorded after: the strength or step that was asked for, the steps, those that ran, the model calls, the first sigma.
- Strength 0 passes the picture through, untouched by any VAE.
- Strength 1 is no magic: a share of the source is still mixed in, 0.068 of it at the noisiest step of Stable Diffusion
  1. `--pure-noise` mixes in none: from step 0 that is `txt2img` of the same seed, bit for bit, for every scheduler
  (`test_pure_noise_is_txt2img_bit_for_bit`). From a later step it is that step's noise alone, a legal and odd thing.
- `inpaint --pure-noise` leaves nothing of what lay under the mask.
- Every picture of a run has a generator of its own; no two begin from the same noise.

The same strength is not the same noise: each scheduler has its own levels. Sigma is the noise's standard deviation over
the picture's. Model calls are counted in parentheses where they are not the steps.

"""


def config():
    return json.loads(CONFIG.read_text())


def begun(name, strength):
    """(steps, model calls, first sigma) of a picture drawn over, on Stable Diffusion 1's noise schedule."""
    scheduler = schedulers.build(name, config(), STEPS, torch.device("cpu"))
    start = STEPS - steps_run(STEPS, strength)
    timesteps = schedulers.timesteps_from(scheduler, name, start)
    return STEPS - start, len(timesteps), schedulers.sigma_at(scheduler, name, start, timesteps)


def cell(name, strength):
    ran, calls, sigma = begun(name, strength)
    return f"{ran}{f' ({calls})' if calls != ran else ''}, {sigma:.2g}"


def page():
    """The page, from the schedulers."""
    titles = " | ".join(f"strength {s:g}" for s in STRENGTHS)
    rows = [f"| `{name}` | {' | '.join(cell(name, s) for s in STRENGTHS)} |" for name in SCHEDULERS]
    head = f"Of {STEPS} steps, those that run, and the sigma they begin from (Stable Diffusion 1):\n"
    return "\n".join([HEAD + head, f"| scheduler | {titles} |", "|---" * (len(STRENGTHS) + 1) + "|", *rows]) + "\n"


def test_the_page_is_made_from_the_schedulers():
    assert PAGE.read_text() == page(), "python tests/runtime/test_strength.py writes the page anew"


@pytest.mark.parametrize("name", SCHEDULERS)
def test_steps_and_calls_are_what_the_table_of_schedulers_says(name):
    found = [begun(name, s) for s in STRENGTHS]

    assert [ran for ran, _, _ in found] == [5, 10, 15, 20]
    assert [calls for _, calls, _ in found] == [SCHEDULERS[name].calls(ran) for ran in (5, 10, 15, 20)]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_more_strength_begins_from_more_noise(name):
    sigmas = [begun(name, s)[2] for s in STRENGTHS]

    assert sigmas == sorted(sigmas)
    assert sigmas[0] < sigmas[-1] / 3


if __name__ == "__main__":
    PAGE.write_text(page())
