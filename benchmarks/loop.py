"""What a sampling step costs besides the model: our loop, cancel and events on, against diffusers' own pipeline.

    python -m benchmarks.loop [--runs 9] [--schedulers euler,ddim]

The U-Net is replaced by a stub that gives back a constant, on both sides. Cost per step is the slope between a short
and a long run, in CPU time of one thread; the two sides alternate. First the two must agree bit for bit.
"""

from __future__ import annotations

import argparse
import gc
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import torch

from benchmarks.table import machine, show
from invoke_shell.pipeline.context import Generation
from invoke_shell.pipeline.events import Event, Progress
from invoke_shell.pipeline.plan import Plan
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.run import _Run
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.pipeline.types import Size
from invoke_shell.runtime import noise
from invoke_shell.runtime.drawing import denoised
from invoke_shell.runtime.encoders import Conditioning
from invoke_shell.runtime.engine import DiffusersEngine
from invoke_shell.runtime.policy import Policy
from invoke_shell.runtime.start import started
from tests.models_small import small_record, small_sd1

SHORT, LONG = 10, 50  # steps; lcm makes at most 50
LONG_BETA = 30  # diffusers' pipeline ends with an IndexError where two beta levels round to one timestep, at 50 steps
GUIDANCE = 5.0
BAR = 1.0
SIDE = 512  # pixels: 1x4x64x64 latents, as Stable Diffusion 1 has


class StubUnet(torch.nn.Module):
    """Gives back the same numbers at once."""

    def __init__(self, unet: torch.nn.Module) -> None:
        super().__init__()
        self.config, self.dtype, self.device = unet.config, torch.float32, torch.device("cpu")
        self.answer = torch.randn(2, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(1))

    def forward(self, sample, timestep, **_):
        return (self.answer,)


class Sides:
    """Both sides on one model, one stub and one seed, from embeddings to latents."""

    def __init__(self, folder: Path) -> None:
        from diffusers import StableDiffusionPipeline

        self.pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
        self.pipe.set_progress_bar_config(disable=True)
        self.base = self.pipe.scheduler
        self.pipe.unet = StubUnet(self.pipe.unet)
        self.engine = DiffusersEngine(Policy(device="cpu", threads=1))
        self.model = small_record(folder)
        self.checkpoint = self.engine.stock.checkpoint(self.model)
        object.__setattr__(self.checkpoint, "unet", self.pipe.unet)
        with torch.no_grad():
            self.positive, self.negative = self.pipe.encode_prompt("a red circle", "cpu", 1, True, "")
        self.told = Conditioning(states=torch.cat([self.negative, self.positive]))
        self.events: list[Event] = []

    def use(self, name: str) -> None:
        import diffusers

        row = SCHEDULERS[name]
        config = {"clip_sample": False, **row.config}
        self.pipe.scheduler = getattr(diffusers, row.kind).from_config(self.base.config, **config)
        self.eta = {"eta": 0.3} if name == "tcd" else {}  # pipelines give 0, the class's own is what we run
        self.name = name

    def theirs(self, steps: int) -> torch.Tensor:
        return self.pipe(
            prompt_embeds=self.positive, negative_prompt_embeds=self.negative, height=SIDE, width=SIDE,
            num_inference_steps=steps, guidance_scale=GUIDANCE, generator=noise.generator(7), output_type="latent",
            **self.eta,
        ).images  # fmt: skip

    @torch.inference_mode()
    def ours(self, steps: int) -> torch.Tensor:
        """The engine's own way, its ticks going to a run that checks for a stop and makes events of them."""
        self.events.clear()
        self.engine.watch(self.run())
        asked = Generation(
            prompt="", model=self.model, size=Size(SIDE, SIDE), steps=steps, guidance=GUIDANCE, scheduler=self.name,
            seed=7,
        )  # fmt: skip
        desk = self.engine.desk()
        run = started(self.checkpoint, asked, desk.place, desk.watcher.say, desk.tiled)
        return denoised(asked, run, self.told, desk)

    def run(self) -> _Run:
        plan = Plan(source="", calls=(), stages=(), results=())
        return _Run(plan, Registry({}), SimpleNamespace(), self.events.append, lambda: False, None)


def slope(work, most: int) -> float:
    """CPU milliseconds of one more step; of three runs the quickest, because others use the machine too."""
    short, long = (min(seconds(work, steps) for _ in range(3)) for steps in (SHORT, most))
    return (long - short) / (most - SHORT) * 1000


def seconds(work, steps: int) -> float:
    start = time.process_time()
    work(steps)
    return time.process_time() - start


def measure(sides: Sides, name: str, runs: int) -> list[str]:
    sides.use(name)
    assert torch.equal(sides.ours(SHORT), sides.theirs(SHORT)), f"{name}: not the same latents"
    assert any(isinstance(event, Progress) for event in sides.events)
    ours, theirs = [], []
    most = LONG_BETA if name.endswith("_beta") else LONG
    for _ in range(runs):
        ours.append(slope(sides.ours, most))
        theirs.append(slope(sides.theirs, most))
    ratio = median(ours) / median(theirs)
    spread = f"{min(ours):.3f} to {max(ours):.3f}"
    return [name, f"{median(ours):.3f}", spread, f"{median(theirs):.3f}", f"{ratio:.2f}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--schedulers", default=",".join(SCHEDULERS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        sides = Sides(small_sd1(Path(folder)))
        gc.freeze()
        rows = [measure(sides, name, options.runs) for name in options.schedulers.split(",")]
    print(machine())
    show(["scheduler", "ours, ms a step", "min to max", "diffusers, ms a step", "ratio"], rows)
    worst = max(float(row[-1]) for row in rows)
    print(f"\nworst ratio {worst:.2f} (at most {BAR:.2f} is wanted); equal latents for every scheduler")
    return 0 if worst <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
