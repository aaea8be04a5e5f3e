"""What is drawn and what is said of it: scenes and captions by seed; no pixels here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from zlib import crc32

from training.pocket import words
from training.pocket.words import Relation, Style

__all__ = ["Ground", "Scene", "Thing", "caption", "held_out", "scene", "scenes", "triples", "vocabulary"]


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One drawn thing. x, y: its middle; extent: its longer side, in shares of the picture's side; turn: degrees."""

    name: str
    colour: str
    size: str
    x: float
    y: float
    extent: float
    turn: float


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A background; scenery has no colour of its own choosing."""

    kind: str
    colour: str | None = None

    def __str__(self) -> str:
        return self.kind if self.colour is None else f"{self.colour} {self.kind}"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture. `said` holds the words a caption may use: colour, size, place, ground, style."""

    seed: int
    things: tuple[Thing, ...]
    ground: Ground
    style: Style = "flat"
    place: str | None = None
    relation: Relation | None = None
    said: frozenset[str] = field(default_factory=frozenset)


def scene(seed: int, *, simple: bool = False, held: bool = False) -> Scene:
    """The scene of a seed.

    simple: one flat thing on a plain ground. held: only combinations that training never sees, else never one of them.
    """
    rng = Random(seed * 4 + simple * 2 + held)
    while True:
        candidate = propose(rng, seed, simple)
        if all(held_out(*triple) == held for triple in triples(candidate)):
            return candidate


def scenes(first: int = 0, *, simple: bool = False, held: bool = False) -> Iterator[Scene]:
    return (scene(seed, simple=simple, held=held) for seed in count(first))


def triples(drawn: Scene) -> list[tuple[str, str, str]]:
    return [(thing.name, thing.colour, str(drawn.ground)) for thing in drawn.things]


def held_out(thing: str, colour: str, ground: str) -> bool:
    """Whether training never draws this combination: one in ten, by a hash that no Python version changes."""
    return crc32(f"{thing} {colour} {ground}".encode()) % 10 == 0


def propose(rng: Random, seed: int, simple: bool) -> Scene:
    said = {word for word, share in SAID.items() if rng.random() < share}
    ground = draw_ground(rng, simple) if "ground" in said else Ground(kind="plain", colour="white")
    style: Style = "flat" if simple or rng.random() < 0.6 else rng.choice(words.STYLES[1:])
    if style != "flat":
        said.add("style")
    make = pair if not simple and rng.random() < 0.3 else single
    return make(rng, seed, ground, style, said)


# How often a caption states each of these. What is left unsaid is mostly the usual: medium, middle, white ground, flat.
SAID = {"colour": 0.97, "size": 0.4, "place": 0.6, "ground": 0.92, "style": 0.15}


def draw_ground(rng: Random, simple: bool) -> Ground:
    kind = "plain" if simple else rng.choice(("plain", *words.GROUNDS, *words.SCENERY))
    return Ground(kind=kind, colour=None if kind in words.SCENERY else rng.choice(list(words.COLOURS)))


def single(rng: Random, seed: int, ground: Ground, style: Style, said: set[str]) -> Scene:
    usual = rng.random() < 0.85
    size = rng.choice(list(words.SIZES)) if "size" in said else "medium"
    place = rng.choice(list(words.PLACES)) if "place" in said or not usual else "middle"
    extent = words.SIZES[size] * rng.uniform(0.93, 1.07)
    reach = min(0.25, 0.47 - extent / 2)
    x, y = (0.5 + step * reach + rng.uniform(-0.02, 0.02) for step in words.PLACES[place])
    name, colour, turn = rng.choice(words.THINGS), draw_colour(rng, ground), rng.uniform(-6, 6)
    thing = Thing(name=name, colour=colour, size=size, x=x, y=y, extent=extent, turn=turn)
    return Scene(seed=seed, things=(thing,), ground=ground, style=style, place=place, said=frozenset(said))


def pair(rng: Random, seed: int, ground: Ground, style: Style, said: set[str]) -> Scene:
    """Two unlike things, the first in relation to the second, both small enough not to touch."""
    relation = rng.choice(words.RELATIONS)
    sign = -1 if relation in ("above", "left") else 1
    names = rng.sample(words.THINGS, 2)
    colours = draw_colour(rng, ground), draw_colour(rng, ground)
    things = []
    for name, colour, way in zip(names, colours, (sign, -sign), strict=True):
        along, across = 0.5 + way * 0.24 + rng.uniform(-0.02, 0.02), 0.5 + rng.uniform(-0.03, 0.03)
        x, y = (across, along) if relation in ("above", "below") else (along, across)
        extent = 0.38 * rng.uniform(0.93, 1.07)
        things.append(Thing(name=name, colour=colour, size="medium", x=x, y=y, extent=extent, turn=rng.uniform(-6, 6)))
    spoken = frozenset(said - {"size", "place"})
    return Scene(seed=seed, things=tuple(things), ground=ground, style=style, relation=relation, said=spoken)


# Colours that would be lost on the ground.
LOST = {"night sky": {"black"}, "meadow": {"green"}, "desert": {"yellow", "orange"}}


def draw_colour(rng: Random, ground: Ground) -> str:
    lost = LOST.get(ground.kind, {ground.colour})
    return rng.choice([colour for colour in words.COLOURS if colour not in lost])


def caption(drawn: Scene, rng: Random | None = None) -> str:
    """One wording of a scene; without `rng` the wording its seed picks."""
    rng = rng or Random(drawn.seed * 4 + 1_000_003)
    tags = rng.random() < 0.5  # the style before the subject ("a soft red star") or as a tag ("red star, soft")
    parts = {
        "S": subject(rng, drawn, "" if tags or "style" not in drawn.said else drawn.style),
        "P": rng.choice(words.PLACE_WORDS[drawn.place]) if drawn.place and "place" in drawn.said else "",
        "G": ground_words(rng, drawn, 0),
        "g": ground_words(rng, drawn, 1),
        "T": rng.choice(words.STYLE_TAGS[drawn.style]) if tags and "style" in drawn.said else "",
    }
    return tidy(rng.choice(words.FRAMES).format(**parts))


def subject(rng: Random, drawn: Scene, style: str) -> str:
    article, lead = rng.random() < 0.75, rng.random() < 0.08
    names = [noun(rng, drawn, thing, style if not i else "", article or lead) for i, thing in enumerate(drawn.things)]
    text = names[0] if len(names) == 1 else related(rng, drawn, *names)
    return f"{rng.choice(words.LEADS)} {text}" if lead else text


def related(rng: Random, drawn: Scene, one: str, other: str) -> str:
    assert drawn.relation is not None
    relation = rng.choice(words.RELATION_WORDS[drawn.relation])
    if rng.random() < 0.75:
        return f"{one} {relation} {other}"
    return f"{other} with {one} {relation} it"


def noun(rng: Random, drawn: Scene, thing: Thing, style: str, article: bool) -> str:
    size = rng.choice(words.SIZE_WORDS[thing.size]) if "size" in drawn.said else ""
    colour = rng.choice(words.COLOUR_WORDS[thing.colour]) if "colour" in drawn.said else ""
    phrase = " ".join(filter(None, (style, size, colour, thing.name)))
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}" if article else phrase


def ground_words(rng: Random, drawn: Scene, form: int) -> str:
    if "ground" not in drawn.said:
        return ""
    colour = drawn.ground.colour
    word = rng.choice(words.COLOUR_WORDS[colour]) if colour else ""
    if drawn.ground == Ground(kind="sea", colour="blue") and rng.random() < 0.5:
        word = ""  # a sea is blue unless said otherwise
    text = rng.choice(words.GROUND_WORDS[drawn.ground.kind][form]).format(word)
    return " ".join(text.split()).replace(" a orange", " an orange")


def tidy(text: str) -> str:
    """Without the gaps that unsaid parts leave."""
    return ", ".join(filter(None, (" ".join(piece.split()) for piece in text.split(","))))


def vocabulary() -> list[str]:
    """Every word a caption can hold, sorted."""
    texts = [*words.THINGS, *words.STYLES, *words.LEADS, "a an with it"]
    for table in (words.COLOUR_WORDS, words.SIZE_WORDS, words.PLACE_WORDS, words.STYLE_TAGS, words.RELATION_WORDS):
        texts += [text for options in table.values() for text in options]
    texts += [text.replace("{}", "") for forms in words.GROUND_WORDS.values() for form in forms for text in form]
    return sorted({word for text in texts for word in text.split()})
