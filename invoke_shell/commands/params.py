"""The shared vocabulary of the nodes: one alias a parameter, so that a flag means one thing everywhere."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from invoke_shell.errors import RunError
from invoke_shell.pipeline.node import Arg
from invoke_shell.pipeline.schedulers import DEFAULT, SCHEDULERS, canonical
from invoke_shell.pipeline.types import Color, ModelName, Ratio, Seed, Size, Weighted
from invoke_shell.records import MAX_PIXELS, Image, Mask, ModelRecord

__all__ = [
    "BOX",
    "DRAWN",
    "POCKET",
    "AdapterImages",
    "Adapters",
    "Background",
    "Chance",
    "Checkpoint",
    "ClipSkip",
    "Components",
    "ControlEnd",
    "ControlImages",
    "ControlStart",
    "Controls",
    "Embed",
    "Embeddings",
    "Extras",
    "FontSize",
    "Gap",
    "Graft",
    "Guidance",
    "Loras",
    "Negative",
    "NoiseSeed",
    "Opacity",
    "Other",
    "OtherVae",
    "Picture",
    "PictureSize",
    "Place",
    "Prompt",
    "Radius",
    "Refiner",
    "RefinerStart",
    "Resampler",
    "Sampling",
    "Scale",
    "Scheduler",
    "Side",
    "Stencil",
    "Steps",
    "Target",
    "Tokens",
    "Upscaler",
    "own_size",
    "refuse_huge",
    "varied",
]

HIGHEST = 2**64 - 1  # of a seed
POCKET: Any = ModelName("pocket")  # the model in the box

Prompt = Annotated[str, Arg(help="What to draw.", text=True, prompt=True, follows=True)]
Negative = Annotated[
    str,
    Arg(
        help="What to keep out of the picture.",
        text=True,
        prompt=True,
        follows=True,
        short="N",
        aliases=("--negative-prompt",),
    ),
]
Checkpoint = Annotated[ModelRecord, Arg(help="The model that draws.", model="checkpoint", follows=True)]
Upscaler = Annotated[ModelRecord | None, Arg(help="An upscaler network; none takes Lanczos.", model="upscaler")]
DRAWN: Any = None  # a seed that plan draws; a node always gets a number
NoiseSeed = Annotated[
    Seed,
    Arg(help="Noise seed; drawn and shown when not given.", short="S", ge=0, le=2**64 - 1),
]
PictureSize = Annotated[
    Size | Ratio,
    Arg(help="Width x height, or a ratio such as 3:4.", unit="px", ge=64, le=4096, multiple_of=8),
]
Steps = Annotated[int, Arg(help="Denoising steps.", short="s", ge=1, le=150, group="sampling")]
Guidance = Annotated[
    float,
    Arg(
        help="Classifier-free guidance (CFG scale); 1 is none.",
        short="C",
        ge=0,
        le=100,
        aliases=("--cfg", "--cfg-scale", "--guidance-scale"),
        group="sampling",
    ),
]
Scheduler = Annotated[
    str,
    Arg(
        help="How noise becomes a picture (sampler).",
        short="A",
        aliases=("--sampler",),
        choices=tuple(SCHEDULERS),
        spell=canonical,
        group="sampling",
    ),
]
Loras = Annotated[
    list[Weighted[ModelRecord]],
    Arg(help="A LoRA with its strength, as name:0.8; may be repeated.", model="lora", ge=-10, le=10, group="model"),
]
Embeddings = Annotated[
    list[ModelRecord],
    Arg(
        help="A textual inversion; its name in the prompt is its word. May be repeated.",
        model="embedding",
        group="model",
    ),
]
OtherVae = Annotated[ModelRecord | None, Arg(help="A VAE in the place of the model's own.", model="vae", group="model")]
Components = Annotated[
    ModelRecord | None,
    Arg(
        help="Folder with the text encoders and the VAE that a Stable Diffusion 3 or Flux file lacks.",
        model="components",
        group="model",
    ),
]
Refiner = Annotated[
    ModelRecord | None,
    Arg(help="A second model for the last steps: SDXL's refiner.", model="checkpoint", group="model"),
]
RefinerStart = Annotated[
    float, Arg(help="Where the refiner takes over: share of the noise's way.", ge=0, le=1, group="model")
]
ClipSkip = Annotated[
    int,
    Arg(help="Layers left out at the text encoder's end; other programs' 2 is 1 here.", ge=0, le=24, group="model"),
]
Controls = Annotated[
    list[Weighted[ModelRecord]],
    Arg(
        help="A ControlNet with its weight, as canny:0.8; may be repeated.",
        model="controlnet",
        ge=0,
        le=10,
        group="pictures",
        aliases=("--controlnet",),
    ),
]
ControlImages = Annotated[
    list[Image],
    Arg(help="The picture that each --control reads, in the same order; one alone is for all.", group="pictures"),
]
ControlStart = Annotated[
    list[float],
    Arg(help="Share of the steps at which each --control begins.", ge=0, le=1, group="pictures"),
]
ControlEnd = Annotated[
    list[float],
    Arg(help="Share of the steps at which each --control ends.", ge=0, le=1, group="pictures"),
]
Adapters = Annotated[
    list[Weighted[ModelRecord]],
    Arg(
        help="An IP-Adapter with its weight, as plus:0.6; may be repeated.",
        model="ip_adapter",
        ge=-10,
        le=10,
        group="pictures",
    ),
]
AdapterImages = Annotated[
    list[Image],
    Arg(help="A picture to be like; of several --ip-adapter one each, in the same order.", group="pictures"),
]
Tokens = Annotated[
    bool, Arg(help="Say how the prompts are cut into tokens, and what each weighs.", pixels=False, group="model")
]
Seamless = Annotated[
    Literal["none", "x", "y", "both"],
    Arg(help="Sides that meet, for tiles: x left and right, y top and bottom.", aliases=("--tiling",), group="model"),
]
Rescale = Annotated[
    float,
    Arg(help="How far strong guidance is brought back to the spread of colours it blows up.", ge=0, le=1,
        group="sampling"),
]  # fmt: skip
Eta = Annotated[
    float | None,
    Arg(help="Noise that ddim and tcd add in each step; none is the scheduler's own.", ge=0, le=1, group="sampling"),
]
Churn = Annotated[
    float, Arg(help="Noise that euler adds and takes away again in its steps.", ge=0, le=100, group="sampling")
]
Rng = Annotated[
    Literal["cpu", "philox"],
    Arg(help="Who draws the noise: torch on the CPU, or what CUDA would draw, as AUTOMATIC1111 does.", group="noise"),
]
Ensd = Annotated[
    int,
    Arg(help="Added to the seed for the noise of the steps (ENSD in AUTOMATIC1111); 0 draws on.", ge=-(2**63),
        le=2**63 - 1, group="noise"),
]  # fmt: skip
Variation = Annotated[
    float,
    Arg(
        help="How far from the seed's picture: so much of another seed's noise is mixed in. --count draws several.",
        short="v",
        ge=0,
        le=1,
        aliases=("--variation-amount",),
        group="noise",
    ),
]
Blend = Annotated[
    list[Weighted[int]],
    Arg(
        help="Another seed with the share of its noise, as 101:0.2; may be repeated.",
        short="V",
        ge=0,
        le=1,
        aliases=("--with-variations",),
        group="noise",
    ),
]
Strength = Annotated[
    float,
    Arg(
        help="Share of the steps that run: 0 keeps the picture, 1 redraws it.",
        short="f",
        ge=0,
        le=1,
        excludes="start_step",
    ),
]
StartStep = Annotated[int | None, Arg(help="The step to begin at, exactly.", ge=0, le=150, group="sampling")]
PureNoise = Annotated[bool, Arg(help="Begin from noise alone: nothing of the source is mixed in.", group="sampling")]
Picture = Annotated[Image, Arg(help="A picture file, a handle, or blake3:HEX.")]
Other = Annotated[Image, Arg(help="The other picture: a file, a handle, or blake3:HEX.")]
Stencil = Annotated[Mask, Arg(help="A mask: white or transparent is repainted.", short="M")]
Embed = Annotated[bool, Arg(help="Source pictures travel inside the results, for another home.", pixels=False)]
Graft = Annotated[bool, Arg(help="Go on with the file's own history, not with its pixels alone.", pixels=False)]
Target = Annotated[Path, Arg(help="File to write; its ending says the format.", pixels=False)]
Scale = Annotated[float, Arg(help="How many times as wide and high.", ge=1, le=16)]
Side = Annotated[int, Arg(help="Pixels.", unit="px", ge=1, le=16384)]
Resampler = Annotated[
    Literal["lanczos", "bicubic", "bilinear", "nearest"], Arg(help="How new pixels are made from old ones.")
]
BOX = "A rectangle, x:y:width:height from the top left corner."
Place = Annotated[
    Literal["center", "top", "bottom", "left", "right", "top_left", "top_right", "bottom_left", "bottom_right"],
    Arg(help="Where in the picture."),
]
Background = Annotated[Color, Arg(help="Colour where there is no picture.")]
Gap = Annotated[int, Arg(help="Space between pictures.", unit="px", ge=0, le=512)]
Opacity = Annotated[float, Arg(help="How much of the other picture is seen: 0 none, 1 all.", ge=0, le=1)]
Radius = Annotated[float, Arg(help="Standard deviation of the blur.", unit="px", ge=0, le=500)]
FontSize = Annotated[int, Arg(help="Height of the letters.", unit="px", ge=4, le=512)]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a diffusion model is sampled; flattened into flags of the same names."""

    steps: Steps = 24
    guidance: Guidance = 7.5
    scheduler: Scheduler = DEFAULT
    guidance_rescale: Rescale = 0.0
    eta: Eta = None
    churn: Churn = 0.0

    def asked(self) -> dict[str, Any]:
        """As the fields of a Generation."""
        return {
            "steps": self.steps,
            "guidance": self.guidance,
            "scheduler": self.scheduler,
            "guidance_rescale": self.guidance_rescale,
            "eta": self.eta,
            "churn": self.churn,
        }


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Where a picture's noise comes from; flattened into flags of the same names."""

    rng: Rng = "cpu"
    ensd: Ensd = 0
    variation: Variation = 0.0
    blend: Blend = ()  # type: ignore[assignment]  # none

    def asked(self) -> dict[str, Any]:
        """As the fields of a Generation. Raises RunError for a seed that is none."""
        for other in self.blend:
            if not 0 <= other.value <= HIGHEST:
                raise RunError(f"--blend {other.value} is no seed: they go from 0 to {HIGHEST}", code="out-of-range")
        return {"rng": self.rng, "ensd": self.ensd, "mixed": tuple(self.blend)}


def varied(values: Mapping[str, Any], seed: int) -> Mapping[str, Any] | None:
    """With --variation: the flat values that make another seed's noise part of a picture's own; None without."""
    if not values["variation"]:
        return None
    return {"variation": 0.0, "blend": (*values["blend"], Weighted(seed, values["variation"]))}


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What is put on a diffusion model; flattened into flags of the same names."""

    lora: Loras = ()  # type: ignore[assignment]  # none
    embedding: Embeddings = ()  # type: ignore[assignment]
    vae: OtherVae = None
    components: Components = None
    refiner: Refiner = None
    refiner_start: RefinerStart = 0.8
    clip_skip: ClipSkip = 0
    tokens: Tokens = False
    seamless: Seamless = "none"

    def asked(self) -> dict[str, Any]:
        """As the fields of a Generation."""
        return {
            "loras": tuple(self.lora),
            "embeddings": tuple(self.embedding),
            "vae": self.vae,
            "components": self.components,
            "refiner": self.refiner,
            "refiner_start": self.refiner_start,
            "clip_skip": self.clip_skip,
            "tokens": self.tokens,
            "seamless": self.seamless,
        }


def own_size(model: ModelRecord) -> Size:
    """The size a model draws best: what it advises, or its family's."""
    with suppress(ValueError):
        if isinstance(advised := Size.parse(str(model.advice.get("size", ""))), Size):
            return advised
    return Size(1024, 1024) if model.base in ("sdxl", "sd3", "flux") else Size(512, 512)


def refuse_huge(name: str, width: int, height: int, *, hint: str = "") -> None:
    """Raise RunError for a picture larger than any reader takes, before its memory is asked for. hint: what helps."""
    if width * height > MAX_PIXELS:
        message = f"{name} would make a picture of {width}x{height}"
        told = f"at most {MAX_PIXELS // 1_000_000} million pixels" + (f"; {hint}" if hint else "")
        raise RunError(message, hint=told, code="out-of-range")
