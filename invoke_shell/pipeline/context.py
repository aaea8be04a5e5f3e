"""All that a node may touch: the context, the engine behind it, and the requests it can make. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from invoke_shell.pipeline.types import Size, Weighted
from invoke_shell.records import Frame, Image, Made, Mask, ModelRecord

__all__ = ["Ask", "Context", "Control", "Engine", "Enlargement", "Generation", "PicturePrompt"]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One picture asked of a diffusion model: every value resolved, counted in scheduler steps, no floats of strength.

    size: pixels, multiples of 8. start_step: 0 draws from noise alone; k > 0 begins at the scheduler's step k from the
    source mixed with noise. pure_noise: begin from noise alone: at step 0 that is txt2img's own beginning (noise x
    init_noise_sigma), at a later step the noise of that step's level.
    mask: 255 is repainted. seed: of the one generator this picture has.
    strength: what was asked for, for the record only.
    loras: beside the model's weights, each at its strength. embeddings: words of the prompt with vectors of their own
    (textual inversions). vae: in the place of the model's own. components: a folder with the text encoders
    and the VAE that a transformer in one file lacks. refiner: a second model that draws what is left when
    `refiner_start` of the noise's way is gone. clip_skip: layers left out at the text encoder's end.
    controls: ControlNets, each with its picture. picture_prompts: IP-Adapters with theirs. tokens: say how the prompts
    are read.
    rng: `cpu` or `philox`, CUDA's numbers. ensd: added to the seed for the noise of the steps; 0 draws on from the
    first noise. mixed: other seeds whose noise is mixed in, one after the other. seamless: sides that meet (`x`, `y`,
    `both`, `none`). guidance_rescale: 0 to 1. image_guidance: weight of the source in an edit, None where the source is
    no instruction's. eta, churn: noise that some schedulers add. end_step: the last step that runs; the picture is then
    what the model takes it to become. teller: the node's name, for the lines that are said.
    """

    prompt: str
    negative: str = ""
    model: ModelRecord
    size: Size
    steps: int
    guidance: float
    scheduler: str
    seed: int
    start_step: int = 0
    source: Image | None = None
    mask: Mask | None = None
    pure_noise: bool = False
    strength: float | None = None
    loras: tuple[Weighted[ModelRecord], ...] = ()
    embeddings: tuple[ModelRecord, ...] = ()
    vae: ModelRecord | None = None
    components: ModelRecord | None = None
    refiner: ModelRecord | None = None
    refiner_start: float = 0.8
    clip_skip: int = 0
    controls: tuple[Control, ...] = ()
    picture_prompts: tuple[PicturePrompt, ...] = ()
    tokens: bool = False
    rng: str = "cpu"
    ensd: int = 0
    mixed: tuple[Weighted[int], ...] = ()
    seamless: str = "none"
    guidance_rescale: float = 0.0
    image_guidance: float | None = None
    eta: float | None = None
    churn: float = 0.0
    end_step: int | None = None
    teller: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Control:
    """A ControlNet and the picture it reads. start, end: the share of the steps between which it speaks, 0 to 1."""

    model: ModelRecord
    image: Image
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PicturePrompt:
    """An IP-Adapter and the pictures that it tells the model of."""

    model: ModelRecord
    images: tuple[Image, ...]
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Enlargement:
    """A picture to be made larger by an upscaler network; `scale` is the whole factor wanted."""

    image: Image
    model: ModelRecord
    scale: float


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a node asks of the shell, which alone writes files and the terminal."""

    what: Literal["save", "show"]
    frame: Frame
    path: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """What runs models. generate() returns an iterator that does the work when it is advanced."""

    def generate(self, request: Generation) -> Iterator[Made]:
        """The one picture of the request. Raises RunError; its facts say noise, precision, scheduler, steps run."""
        ...

    @property
    def batch(self) -> int | None:
        """Pictures it draws together at most; None is as many as it likes."""
        ...

    def expect(self, requests: Sequence[Generation], row: int | None = None) -> None:
        """These requests will come one by one, and may be drawn together. row: they are copies of one request, which
        was drawn in this row of a batch and is to be drawn so again.
        """
        ...

    def enlarge(self, request: Enlargement) -> Iterator[Made]:
        """The picture, `scale` times as large."""
        ...

    def environment(self) -> Mapping[str, Any]:
        """Versions, device, threads, determinism: what a bit-exact replay needs to be equal."""
        ...


class Context(Protocol):
    """What a node's function gets as `ctx`."""

    @property
    def engine(self) -> Engine:
        """The engine; starting it may take seconds, so ask only when a model is needed."""
        ...

    @property
    def device(self) -> str:
        """`cpu`, `cuda:0`, `mps`: for plugin nodes that import torch inside their function."""
        ...

    def tick(self, done: int, total: int, preview: Image | None = None) -> None:
        """Report progress of this picture; raises Cancelled when the person stopped the run."""
        ...

    def say(self, text: str) -> None:
        """One line for the person: what was rounded, what was assumed."""
        ...

    def ask(self, request: Ask) -> None:
        """Ask the shell to save or show a picture."""
        ...


Pictures = Iterable[Made | Image | Frame]
