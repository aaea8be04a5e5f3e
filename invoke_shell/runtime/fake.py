"""An engine without a model: pictures drawn from a hash of the request, in no time, on any machine. No torch here.

It obeys the same rules as the real one (sizes, strength, noise alone, facts, ticks), so that whatever is built on
engines can be tested with it; `INVOKE_SHELL_ENGINE=fake` runs the whole program on it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from blake3 import blake3

from invoke_shell.errors import RunError
from invoke_shell.pipeline.context import Enlargement, Generation
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.records import Image, Made, ModelRecord
from invoke_shell.runtime import request
from invoke_shell.runtime.pace import Pace
from invoke_shell.runtime.policy import SILENT, Policy, Watcher

__all__ = ["FakeEngine", "Mishap"]

CELLS = 8  # of the pattern, across and down
NETWORK_SCALE = 2
LATENT = 8  # pixels of a picture that are one of its preview

MishapKind = Literal["out-of-memory", "bad-numbers", "crash"]


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """What goes wrong, and at which step of a picture (1 is the first): `out-of-memory@3`, `crash`, `bad-numbers`."""

    kind: MishapKind
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> Mishap | None:
        """None for an empty text. Raises ValueError for a kind that is none."""
        if not text:
            return None
        name, _, step = text.partition("@")
        for kind in get_args(MishapKind):
            if kind == name:
                return cls(kind=kind, step=int(step or 1))
        raise ValueError(f"{name} is none of {', '.join(get_args(MishapKind))}")

    def strike(self) -> None:
        """Fail as the real thing would: by an error, or by the end of the process."""
        if self.kind == "crash":
            os._exit(139)  # as if by a segmentation fault: no handler runs, no pipe is flushed
        if self.kind == "bad-numbers":
            raise RunError("fake gave numbers that are none (NaN)", code="bad-numbers")
        raise RunError("the picture needs more memory than fake has free", code="out-of-memory")


class FakeEngine:
    """Implements pipeline.context.Engine. latency: seconds a step takes; mishap: what goes wrong, for tests."""

    def __init__(self, policy: Policy | None = None, *, latency: float = 0.0, mishap: Mishap | None = None) -> None:
        self.policy = policy or Policy()
        self._latency = latency
        self._mishap = mishap
        self._watcher: Watcher = SILENT

    @classmethod
    def from_environment(cls, policy: Policy | None = None) -> Self:
        """With INVOKE_SHELL_FAKE_LATENCY (seconds a step) and INVOKE_SHELL_FAKE_MISHAP (`crash@3`), when set."""
        latency = float(os.environ.get("INVOKE_SHELL_FAKE_LATENCY", "0"))
        return cls(policy, latency=latency, mishap=Mishap.parse(os.environ.get("INVOKE_SHELL_FAKE_MISHAP", "")))

    def watch(self, watcher: Watcher) -> Self:
        """From now on tell this one."""
        self._watcher = watcher
        return self

    def warm(self, model: ModelRecord | None = None) -> None:
        """Nothing to load."""

    batch: int | None = 1

    def expect(self, requests: Sequence[Generation], row: int | None = None) -> None:
        """Nothing is gained by drawing a pattern early."""

    def generate(self, request: Generation) -> Iterator[Made]:
        """The picture of a request, drawn when the iterator is advanced."""
        yield self._draw(request)

    def enlarge(self, request: Enlargement) -> Iterator[Made]:
        """The picture, its pixels repeated, inside a line of the upscaler's colour."""
        yield self._enlarge(request)

    def memory(self) -> tuple[int, int] | None:
        """There is no GPU."""
        return None

    def environment(self) -> Mapping[str, Any]:
        """The keys of the real engine's."""
        return {
            "torch": "none",
            "diffusers": "none",
            "transformers": "none",
            "device": "cpu",
            "device_name": "fake",
            "dtype": "float32",
            "threads": self.policy.threads or 1,
            "attention": "none",
            "deterministic": self.policy.deterministic,
            "tf32": False,
            "cpu_capability": "none",
        }

    def _draw(self, asked: Generation) -> Made:
        if (untouched := request.passed_through(asked)) is not None:
            return untouched
        asked = request.prepare(asked, self._watcher.say)
        calls = SCHEDULERS[asked.scheduler].calls(request.steps_run(asked))
        sigma = 14.6 * (1 - asked.start_step / asked.steps)
        if line := request.told_start(asked, sigma, calls):
            self._watcher.say(line)
        seed, size = _hashed(_relevant(asked)), asked.size
        small = pattern(seed, size.width // LATENT, size.height // LATENT) if self.policy.previews else None
        self._run_steps(request.steps_run(asked), small)
        image = pattern(seed, size.width, size.height)
        return Made(image=image, facts=_facts(asked, sigma, calls))

    def _enlarge(self, asked: Enlargement) -> Made:
        self._run_steps(1)
        passes = request.passes(asked.scale, NETWORK_SCALE)
        facts = {"network": "Fake", "network_scale": NETWORK_SCALE, "passes": passes}
        precision = {"weights": "float32", "compute": "float32"}
        return Made(image=_repeated(asked), facts={**facts, "precision": precision})

    def _run_steps(self, steps: int, preview: Image | None = None) -> None:
        pace = Pace()
        for done in range(1, steps + 1):
            if self._latency:
                time.sleep(self._latency)
            if self._mishap is not None and self._mishap.step == done:
                self._mishap.strike()
            self._watcher.tick(done, steps, preview if preview is not None and pace.due() else None)


def pattern(seed: bytes, width: int, height: int) -> Image:
    """A symmetric pattern of cells in two colours on a third, all from the bytes; like a face, easy to tell apart."""
    stream = blake3(seed).digest(length=9 + CELLS * CELLS // 2)
    colours = [stream[i : i + 3] for i in (0, 3, 6)]
    rows = [_row(colours, stream[9 + n * 4 : 13 + n * 4], width) for n in range(CELLS)]
    pixels = b"".join(rows[y * CELLS // height] for y in range(height))
    return Image(mode="RGB", width=width, height=height, pixels=pixels)


def _row(colours: list[bytes], choices: bytes, width: int) -> bytes:
    half = [colours[byte % 3] for byte in choices]
    cells = half + half[::-1]
    return b"".join(cells[x * CELLS // width] for x in range(width))


def _relevant(asked: Generation) -> dict[str, Any]:
    """Every field that would change the real engine's picture, and no other."""
    return {
        "prompt": asked.prompt,
        "negative": asked.negative if request.guided(asked) else None,
        "model": asked.model.hash or asked.model.path or asked.model.name,
        "size": str(asked.size),
        "steps": asked.steps,
        "start": asked.start_step,
        "guidance": asked.guidance if request.guided(asked) else 1,
        "scheduler": asked.scheduler,
        "seed": asked.seed,
        "source": asked.source.hash if asked.source and (asked.image_guidance or request.reads_source(asked)) else None,
        "mask": asked.mask.hash if asked.mask and asked.source else None,
        "loras": [(lora.value.text, lora.weight) for lora in asked.loras],
        "embeddings": [model.text for model in asked.embeddings],
        "vae": asked.vae and asked.vae.text,
        "clip_skip": asked.clip_skip,
        "controls": [(c.model.text, c.weight, c.start, c.end, c.image.hash) for c in asked.controls],
        "picture_prompts": [(p.model.text, p.weight, [i.hash for i in p.images]) for p in asked.picture_prompts],
        "noise": [asked.rng, asked.ensd, [(other.value, other.weight) for other in asked.mixed]],
        "guidance_rescale": asked.guidance_rescale if request.guided(asked) else 0,
        "image_guidance": asked.image_guidance,
        "seamless": asked.seamless,
        "step_noise": [asked.eta, asked.churn],
        "end": request.last_step(asked),
        "options": dict(asked.options),
    }


def _hashed(value: Any) -> bytes:
    return blake3(json.dumps(value, sort_keys=True, default=str).encode()).digest()


def _facts(asked: Generation, sigma: float, calls: int) -> dict[str, Any]:
    row = SCHEDULERS[asked.scheduler]
    return request.facts(
        asked,
        noise={
            "function": "blake3",
            "seed": asked.seed,
            "device": "cpu",
            "dtype": "uint8",
            "shape": [1, 3, asked.size.height, asked.size.width],
            "step_noise": "none",
        },
        precision={"weights": "none", "compute": "none", "vae": "none"},
        scheduler={"class": row.kind, **row.config},
        model_calls=calls,
        first_sigma=sigma,
        family="fake",
    )


def _repeated(asked: Enlargement) -> Image:
    from PIL import ImageDraw
    from PIL.Image import Resampling

    size = (round(asked.image.width * asked.scale), round(asked.image.height * asked.scale))
    picture = asked.image.pil().resize(size, Resampling.NEAREST)
    colour = _hashed(asked.model.hash or asked.model.name)[: len(asked.image.mode)]
    ImageDraw.Draw(picture).rectangle(
        (0, 0, size[0] - 1, size[1] - 1), outline=tuple(colour) if len(colour) > 1 else colour[0]
    )
    return Image.from_pil(picture)
