"""Nodes, a host and short cuts for tests of the pipeline. No torch, no disk."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal

from invoke_shell import commands
from invoke_shell.commands.params import DRAWN, POCKET, Checkpoint, NoiseSeed, Prompt
from invoke_shell.errors import LineError
from invoke_shell.pipeline.bind import read
from invoke_shell.pipeline.chain import Chain
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.plan import Facts, Given, InputRef, Needs, Plan, needs, plan
from invoke_shell.pipeline.registry import Registry
from invoke_shell.pipeline.run import execute
from invoke_shell.pipeline.types import Box, Color, Ratio, Size, Weighted
from invoke_shell.records import Frame, Image, Mask, ModelRecord, Resource, digest
from invoke_shell.runtime.fake import FakeEngine

# -- nodes -------------------------------------------------------------------------------------------------------------


class Mood(enum.Enum):
    """A choice as an Enum."""

    CALM = "calm"
    WILD = "wild"


@dataclass(frozen=True, kw_only=True)
class Frills:
    """A bundle of parameters."""

    shade: Annotated[Color, Arg(help="A colour.")] = Color(255, 128, 0)
    window: Annotated[Box, Arg(help="A rectangle.")] = Box(0, 0, 64, 64)  # noqa: RUF009  # frozen


@node(version=3, gives=("prompt",), examples=['every_kind "x" --whole 3'])
def every_kind(
    prompt: Prompt = "nothing",
    *,
    whole: Annotated[int, Arg(help="Whole.", ge=-1000, le=1000)] = 1,
    maybe: Annotated[int | None, Arg(help="Whole or none.")] = None,
    real: Annotated[float, Arg(help="Real.")] = 0.5,
    label: Annotated[str, Arg(help="A text that is one word when bare.")] = "",
    remark: Annotated[str | None, Arg(help="A text or none.", text=True)] = None,
    on: Annotated[bool, Arg(help="A switch.")] = False,
    choice: Annotated[Literal["plain", "two words", "a,b"], Arg(help="A choice.")] = "plain",
    tile: Annotated[Literal[1, 2, 4], Arg(help="A choice of numbers.")] = 2,
    mood: Annotated[Mood, Arg(help="A choice of an Enum.")] = Mood.CALM,
    table: Annotated[str, Arg(help="A choice of a table.", choices=("x", "y"))] = "x",
    file: Annotated[Path | None, Arg(help="A path.")] = None,
    size: Annotated[Size | Ratio, Arg(help="A size.", ge=8, le=4096)] = Size(64, 64),
    frills: Frills = Frills(),
    seed: NoiseSeed = DRAWN,
    picture: Annotated[Image | None, Arg(help="A picture.")] = None,
    stencil: Annotated[Mask | None, Arg(help="A mask.")] = None,
    pictures: Annotated[list[Image], Arg(help="Pictures.")] = (),  # type: ignore[assignment]
    model: Checkpoint = POCKET,
    extra: Annotated[ModelRecord | None, Arg(help="Another model.", model="vae")] = None,
    lora: Annotated[list[Weighted[ModelRecord]], Arg(help="Models with a strength.", model="lora")] = (),  # type: ignore[assignment]
    numbers: Annotated[list[int], Arg(help="Numbers.")] = (),  # type: ignore[assignment]
    names: Annotated[list[str], Arg(help="Texts.")] = (),  # type: ignore[assignment]
) -> Image:
    """Take a parameter of every kind."""
    return plain_image(8, 8, (whole % 256, len(prompt) % 256, 7))


@node
def paste(
    frame: Frame, mask: Annotated[Mask, Arg(help="Where.")], *, over: Annotated[Image | None, Arg(help="What.")] = None
) -> Image:
    """Take a mask for each picture."""
    return replace(frame.image, pixels=bytes(255 - b for b in frame.image.pixels))


@node
def fail(frame: Frame, *, how: Annotated[Literal["raise", "text", "none"], Arg(help="How.")] = "raise") -> Image:
    """Fail in one of several ways."""
    if how == "raise":
        raise ZeroDivisionError("a fault of the node")
    return "no picture" if how == "text" else None  # type: ignore[return-value]


@node
def twins(frame: Frame) -> Iterator[Image]:
    """Give two pictures for one."""
    yield frame.image
    yield replace(frame.image, pixels=bytes(255 - b for b in frame.image.pixels))


@node(builtin=True, rest=True)
def explain(shell: Any, line: Annotated[str, Arg(help="A line.")]) -> None:
    """Say what a line would do."""


@node(builtin=True, name="help")
def help_(shell: Any, word: Annotated[str, Arg(help="A command.")] = "") -> None:
    """Help."""


REGISTRY = Registry.of(
    *commands.MODULES,
    every_kind,
    paste,
    fail,
    twins,
    explain,
    help_,
    implicit="txt2img",
    loader="load_image",
    old=commands.OLD_WORDS,
)

# -- pictures, models --------------------------------------------------------------------------------------------------


def plain_image(width: int, height: int, colour: tuple[int, ...] = (200, 30, 40)) -> Image:
    """A picture of one colour; its length says the mode."""
    mode: Any = {1: "L", 3: "RGB", 4: "RGBA"}[len(colour)]
    return Image(mode=mode, width=width, height=height, pixels=bytes(colour) * (width * height))


def image_of(text: str, width: int = 24, height: int = 16) -> Image:
    """A picture that belongs to a text."""
    from blake3 import blake3

    return plain_image(width, height, tuple(blake3(text.encode("utf-8", "surrogatepass")).digest(length=3)))


def ref_of(text: str, /, **fields: Any) -> InputRef:
    """A source picture that belongs to a text, in memory."""
    image = fields.pop("image", None) or image_of(text)
    named = {"name": text.rpartition("/")[2], "path": f"/pictures/{text}", **fields}
    return InputRef(hash=image.hash, width=image.width, height=image.height, mode=image.mode, image=image, **named)


def model_of(name: str, /, kind: str = "checkpoint", **fields: Any) -> ModelRecord:
    """A model that belongs to a name; of `name@digits` the name decides."""
    bare = name.partition("@")[0]
    return ModelRecord(
        name=bare, kind=kind, path=f"/models/{bare}", hash=digest(f"{kind}/{bare}".encode("utf-8", "replace")), **fields
    )


def result_of(handle: str, /, **fields: Any) -> Given:
    """An earlier result that belongs to a handle."""
    values = {"prompt": f"prompt of {handle}", "negative": "", "seed": 100}
    return Given(**{"ref": ref_of(handle), "values": values, "handle": handle, "model": model_of("pocket"), **fields})


def facts_for(wanted: Needs, **found: Any) -> Facts:
    """Facts in which everything asked for is there. found: more handles, pictures, models, last, wildcards."""
    handles = {n.text: (result_of(n.text),) for n in wanted if n.what == "handle"}
    pictures = {n.text: (ref_of(n.text),) for n in wanted if n.what in ("picture", "pattern", "hash")}
    models = {(n.kind, n.text): model_of(n.text, n.kind) for n in wanted if n.what == "model"}
    return Facts(
        handles={**handles, **found.get("handles", {})},
        pictures={**pictures, **found.get("pictures", {})},
        models={**models, **found.get("models", {})},
        last=tuple(found.get("last", ())),
        wildcards=found.get("wildcards", {}),
    )


# -- short cuts --------------------------------------------------------------------------------------------------------


def chain_of(text: str, registry: Registry = REGISTRY, settings: Mapping[str, Any] | None = None) -> Chain:
    """The chain of a text of one line. Raises LineError."""
    reading = read(text, registry, settings)
    if reading.faults:
        raise LineError(text, reading.faults)
    (bound,) = reading.bound
    return bound.chain


def complaint(text: str, registry: Registry = REGISTRY, settings: Mapping[str, Any] | None = None) -> str:
    """What is said of a text when it is bound; "" when nothing is wrong."""
    faults = read(text, registry, settings).faults
    return str(LineError(text, faults)) if faults else ""


def codes(text: str, registry: Registry = REGISTRY) -> list[str]:
    """The codes of a text's faults, in order."""
    return [f.code for f in read(text, registry).faults]


def plan_of(
    text: str | Chain,
    registry: Registry = REGISTRY,
    settings: Mapping[str, Any] | None = None,
    *,
    keep_all: bool = False,
    first_seed: int = 1000,
    **found: Any,
) -> Plan:
    """The plan of a line in a world where everything is found; drawn seeds are 1000, 1001 ..."""
    chain = chain_of(text, registry, settings) if isinstance(text, str) else text
    settings = settings or {}
    facts = facts_for(needs(chain, registry, settings), **found)
    return plan(chain, registry, facts, settings, count(first_seed).__next__, keep_all=keep_all)


def made_by(made: Plan, node_name: str) -> list[Any]:
    """The calls of a node, in order."""
    return [c for c in made.calls if c.node == node_name]


def values_of(made: Plan, node_name: str, *names: str) -> list[Any]:
    """Values of a node's calls; bare when one name is asked for."""
    rows = [tuple(c.params[n] for n in names) for c in made_by(made, node_name)]
    return [r[0] for r in rows] if len(names) == 1 else rows


FILLERS = {"TextKind": '"x"', "ImageKind": "m.png", "SizeKind": "64x64", "BoxKind": "0:0:8:8", "ColorKind": "red"}


def filler(p: Any) -> str:
    """The text of some value for a parameter that has to be there."""
    if p.kind.choices:
        return str(p.kind.choices[0])
    return FILLERS.get(type(p.kind).__name__, "1" if p.kind.is_ranged else "out.png")


def smallest_line(node: Any) -> str:
    """A line that ends in a node, with no more than it needs."""
    front = "" if node.takes == "none" else "load_image a.png | "
    needed = [f"{'' if p.positional else p.flag + ' '}{filler(p)}" for p in node.params.values() if p.required]
    return " ".join([front + node.name, *needed])


# -- running -----------------------------------------------------------------------------------------------------------


@dataclass
class FakeHost:
    """A Host on the fake engine; counts what it is asked."""

    fake: FakeEngine = field(default_factory=FakeEngine)
    device: str = "cpu"
    images: dict[str, Image] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def engine(self, watcher: Any) -> FakeEngine:
        return self.fake.watch(watcher)

    def environment(self, *, models: bool) -> Mapping[str, Any]:
        own = {"invoke_shell": "test"}
        return {**own, **self.fake.environment()} if models else own

    def read(self, ref: InputRef) -> Image:
        self.reads.append(ref.hash)
        return self.images[ref.hash]

    def to_mask(self, image: Image) -> Mask:
        grey = image.pil().convert("L")
        return Mask(mode="L", width=grey.width, height=grey.height, pixels=grey.tobytes())


class MemoryCache:
    """A Cache that forgets nothing."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.held.get(key)

    def put(self, key: str, kept: Any) -> None:
        self.held[key] = kept


def run_of(text: str | Plan, host: Any = None, registry: Registry = REGISTRY, **options: Any) -> list[Any]:
    """The events of a line, run on the fake engine."""
    found = {k: options.pop(k) for k in ("handles", "pictures", "models", "last", "settings") if k in options}
    made = plan_of(text, registry, found.pop("settings", None), **found) if isinstance(text, str) else text
    events: list[Any] = []
    execute(made, registry, host or FakeHost(), events.append, **options)
    return events


def told(events: list[Any]) -> list[str]:
    """Events as short words, progress left out."""
    return [type(e).__name__ for e in events if type(e).__name__ != "Progress"]


def frames(events: list[Any], *, final: bool = True) -> list[Frame]:
    """The pictures of a run."""
    return [e.frame for e in events if type(e).__name__ == "FrameDone" and (e.final or not final)]


__all__ = [
    "REGISTRY",
    "FakeHost",
    "MemoryCache",
    "Mood",
    "Resource",
    "chain_of",
    "codes",
    "complaint",
    "every_kind",
    "facts_for",
    "filler",
    "frames",
    "image_of",
    "made_by",
    "model_of",
    "plain_image",
    "plan_of",
    "ref_of",
    "result_of",
    "run_of",
    "smallest_line",
    "told",
    "values_of",
]
_ = Context
