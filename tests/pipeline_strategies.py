"""Hypothesis strategies: values of every kind, chains over the registry, nasty texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from pipeline_kit import REGISTRY

from invoke_shell.pipeline.chain import Chain, Stage, Value
from invoke_shell.pipeline.kinds import Kind
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.sweep import alternatives, read_sweep
from invoke_shell.pipeline.templates import canonical
from invoke_shell.pipeline.types import (
    RANDOM,
    Box,
    Color,
    Handle,
    ModelName,
    Pattern,
    PixelHash,
    Ratio,
    Seed,
    Side,
    Size,
    Sweep,
    Weighted,
)

NASTY = [
    "as @x", "| ; #", "--steps", "-x", "--", "-", '"', "'", "\\", "\n", "\t", "\x00", "\x1b[31m", "\u202e", "{a|b}",
    "{", "}", "|", "none", "random", "@12", "@12.seed", "😀", "日本", "e\u0301", "“", "”", "’", "\u00a0", "—", " ",
    "  ", "\\u{41}", "\\{", "$ ls", "x?", "&", "#ff8800", "1..8", "1,2", "", "girl's", "*.png", "~", "=", "--x=",
]  # fmt: skip

TEXTS = st.one_of(st.text(max_size=12), st.lists(st.sampled_from(NASTY), max_size=5).map("".join))
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,6}", fullmatch=True).filter(lambda n: n != "kept")
HANDLES = st.one_of(
    st.integers(1, 999).map(lambda n: Handle(f"@{n}")),
    st.sampled_from(["@-1", "@-4..-1", "@15..22", "@@", "@kept", "@fox[2]"]).map(Handle.parse),
    NAMES.map(lambda n: Handle(f"@{n}")),
)
LINKS = st.builds(lambda h, f: Handle(h.text, f), HANDLES, st.sampled_from(["seed", "prompt", "negative", "steps"]))
HASHES = st.text("0123456789abcdef", min_size=12, max_size=64).map(lambda d: PixelHash(f"blake3:{d}"))
PATHS = st.one_of(
    st.sampled_from(["a.png", "@x", "none", "-", "-x.png", "a b.png", "a*.png", "~/x", "a,b", "1..8", "as", "#1", "."]),
    HASHES.map(str),
    st.text(min_size=1, max_size=8),
).map(Path)
PATTERNS = st.sampled_from(["*.png", "a/*.png", "x?.png", "[ab].png", "~/*"]).map(Pattern)
MODELS = st.one_of(st.sampled_from(["pocket", "a b", "x,y", "sd@12ab34", "./m", "-m", "m:0.5", "blake3:123456789012"]),
                   NAMES).filter(lambda n: n != "none").map(ModelName)  # fmt: skip
SIDES = st.integers(1, 999_999)


def numbers(p: Param, low: float = -1e9, high: float = 1e9) -> tuple[float, float]:
    """The bounds of a parameter."""
    return (low if p.arg.ge is None else p.arg.ge), (high if p.arg.le is None else p.arg.le)


def sizes(p: Param) -> st.SearchStrategy[Any]:
    """Sizes, ratios and sides within the bounds of a parameter."""
    low, high = (int(x) for x in numbers(p, 1, 999_999))
    step = p.arg.multiple_of or 1
    sides = st.integers(-(-low // step), high // step).map(lambda n: n * step)
    whole = st.builds(Size, sides, sides)
    if not getattr(p.kind, "ratios", False):
        return whole
    ratio = st.builds(Ratio, st.integers(1, 9999), st.integers(1, 9999))
    return st.one_of(whole, ratio, sides.map(lambda n: Side(n, 0)), sides.map(lambda n: Side(0, n)))


def one(p: Param, kind: Kind | None = None) -> st.SearchStrategy[Any]:
    """One value of a parameter, as bind could give it, without sweeps and without None."""
    kind = kind or p.kind
    name = type(kind).__name__
    low, high = numbers(p)
    byte = st.integers(0, 255)
    if kind.choices:
        return st.sampled_from(getattr(kind, "values", ()) or kind.choices)
    return {
        "BoolKind": lambda: st.booleans(),
        "IntKind": lambda: st.integers(int(low), int(high)),
        "SeedKind": lambda: st.one_of(st.integers(0, 2**64 - 1).map(Seed), st.just(RANDOM)),
        "FloatKind": lambda: st.floats(low, high, allow_nan=False),
        "TextKind": lambda: TEXTS,
        "PathKind": lambda: PATHS,
        "SizeKind": lambda: sizes(p),
        "BoxKind": lambda: st.builds(Box, SIDES, SIDES, SIDES, SIDES),
        "ColorKind": lambda: st.builds(Color, byte, byte, byte, byte),
        "ImageKind": lambda: st.one_of(PATHS, HANDLES, HASHES),
        "ModelKind": lambda: st.one_of(MODELS, HANDLES),
        "WeightedKind": lambda: st.builds(
            Weighted, one(p, kind.inner), st.floats(*(max(-9.0, min(9.0, bound)) for bound in (low, high)))
        ),  # type: ignore[attr-defined]
    }[name]()


def values(p: Param) -> st.SearchStrategy[Any]:
    """A value of a parameter, None included where it is allowed."""
    return st.one_of(st.none(), one(p)) if p.kind.optional else one(p)


def sweeps(p: Param) -> st.SearchStrategy[Any]:
    """A sweep of a parameter, made from a text as a person writes it."""
    if p.kind.is_text:
        pieces = st.sampled_from(["a", " ", "{b|c}", "{d|{e|f}}", "\\{", '\\"', "|", "\\u{41}", "{g}", "日"])
        bodies = st.lists(pieces, min_size=1, max_size=5).map("".join)
        made = bodies.map(lambda b: Sweep(tuple(alternatives(b, escapes=True)), canonical(b, escapes=True)))
        return made.filter(lambda s: len(s.values) > 1)
    if p.kind.model:
        return st.just(read_sweep(p.kind, "a,b"))
    bare = one(p).map(p.kind.format).filter(lambda text: not set(text) & set(" ,|"))
    items = st.lists(bare, min_size=2, max_size=3).map(",".join)
    return items.map(lambda text: read_sweep(p.kind, text))


def typed(p: Param) -> st.SearchStrategy[Any]:
    """What a person may have typed for a parameter."""
    if p.name == "count":
        return st.integers(1, 3)
    if p.kind.many:
        return st.lists(one(p), min_size=1, max_size=3).map(tuple)
    options = [values(p)]
    if p.kind.sweeps or (p.kind.is_text and not p.kind.optional):
        options.append(sweeps(p))
    if p.kind.picture:
        options.append(PATTERNS)
    elif not p.kind.is_switch and not p.kind.many:
        options.append(LINKS)
    return st.one_of(options)


def single(p: Param) -> st.SearchStrategy[Any]:
    """As typed, without sweeps, links and patterns: what makes one picture."""
    if p.name == "count":
        return st.just(1)
    return st.lists(one(p), min_size=1, max_size=2).map(tuple) if p.kind.many else values(p)


@st.composite
def stages(draw: Any, node: Node[Any, Any], *, what: Any = typed, upstream: bool) -> Stage:
    """A stage of a node: what is required, and some of the rest, in any order."""
    must = [p for p in node.params.values() if p.required and not (p.arg.follows and upstream)]
    may = [p for p in node.params.values() if p not in must]
    some = st.lists(st.sampled_from(may), unique_by=id, max_size=5) if may else st.just([])
    chosen = draw(st.permutations(must + draw(some)))
    found = {p.name: draw(what(p)) for p in chosen}
    for p in chosen:
        if p.arg.excludes and found.get(p.arg.excludes) is not None:
            del found[p.name]
    several = node.takes == "none" and node.positionals and node.positionals[0].kind.picture
    if several and what is typed and draw(st.booleans()):
        name = node.positionals[0].name
        found[name] = tuple(draw(st.lists(st.one_of(one(node.params[name]), PATTERNS), min_size=2, max_size=3)))
    name = draw(st.one_of(st.just(""), NAMES))
    return Stage(node=node.name, values={n: Value(v) for n, v in found.items()}, name=name)


STARTS = [n for n in REGISTRY.values() if n.takes == "none" and not n.builtin]
CHANGES = [n for n in REGISTRY.values() if n.takes != "none" and not n.builtin and n.name not in ("fail", "twins")]


@st.composite
def chains(draw: Any, *, what: Any = typed, longest: int = 3) -> Chain:
    """A chain over the whole registry."""
    begin = draw(st.sampled_from(["node", "handles", "pipe"]))
    made: list[Stage] = []
    if begin == "handles":
        handles = tuple(draw(st.lists(HANDLES, min_size=1, max_size=3)))
        made.append(Stage(node="", handles=handles, name=draw(st.one_of(st.just(""), NAMES))))
    elif begin == "node":
        made.append(draw(stages(draw(st.sampled_from(STARTS)), what=what, upstream=False)))
    for _ in range(draw(st.integers(1 if begin == "pipe" else 0, longest))):
        made.append(draw(stages(draw(st.sampled_from(CHANGES)), what=what, upstream=True)))
    return Chain(stages=tuple(made), continues=begin == "pipe")
