"""The inspector reads a signature once, and refuses at import what it cannot honour, with file and line."""

import inspect
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from invoke_shell.errors import DeclarationError
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.types import Color, ModelName, Ratio, Seed, Size, Weighted
from invoke_shell.records import Frame, Image, Made, Mask, ModelRecord

Int = Annotated[int, Arg(help="A number.")]
Text = Annotated[str, Arg(help="A text.")]
Switch = Annotated[bool, Arg(help="A switch.")]
Numbers = Annotated[list[int], Arg(help="Numbers.")]
Noise = Annotated[Seed, Arg(help="A seed.")]


class Shade(Enum):
    DARK = "dark"
    LIGHT = "light"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    steps: Annotated[int, Arg(help="Steps.", ge=1, le=150)] = 24
    tags: Annotated[list[str], Arg(help="Tags.")] = ()  # type: ignore[assignment]


@dataclass
class Loose:
    steps: Int = 1


@dataclass(frozen=True)
class Bare:
    steps: int = 1


def refusal(func: Any, **options: Any) -> str:
    """What the inspector says, without the place; the place must be right."""
    with pytest.raises(DeclarationError) as caught:
        node(**options)(func)
    place = f"{__file__}:{func.__code__.co_firstlineno}: "
    assert str(caught.value).startswith(place)
    return str(caught.value).removeprefix(place)


def declared(**annotations: Any) -> Any:
    """A function with keyword-only parameters of these annotations; a pair is an annotation and a default."""

    def made(**values: Any) -> Image:
        """Draw."""
        raise NotImplementedError

    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=said[0] if isinstance(said, tuple) else said,
            default=said[1] if isinstance(said, tuple) else inspect.Parameter.empty,
        )
        for name, said in annotations.items()
    ]
    made.__signature__ = inspect.Signature(parameters, return_annotation=Image)  # type: ignore[attr-defined]
    made.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": Image}
    return made


TYPES = "is not one of the types a parameter may have"
OUTSIDE = "has a default outside its own range"
REFUSED = [
    (int, "parameter x needs Annotated[type, Arg(help=...)]"),
    (Size, "parameter x needs Annotated[type, Arg(help=...)]"),
    (Image, "parameter x needs Annotated[type, Arg(help=...)]"),
    (Annotated[int, "no Arg"], "parameter x needs Annotated[type, Arg(help=...)]"),
    (Annotated[bytes, Arg(help=".")], f"parameter x: bytes {TYPES}"),
    (Annotated[int | str, Arg(help=".")], f"parameter x: int | str {TYPES}"),
    (Annotated[dict[str, int], Arg(help=".")], f"parameter x: dict[str, int] {TYPES}"),
    (Annotated[list[list[int]], Arg(help=".")], f"parameter x: list[list[int]] {TYPES}"),
    (Annotated[list[int] | None, Arg(help=".")], f"parameter x: list[int] | None {TYPES}"),
    (Annotated[list[int | None], Arg(help=".")], f"parameter x: list[int | None] {TYPES}"),
    (Annotated[list[bool], Arg(help=".")], f"parameter x: list[bool] {TYPES}"),
    (Annotated[bool | None, Arg(help=".")], f"parameter x: bool | None {TYPES}"),
    (Annotated[Literal["none", "x"] | None, Arg(help=".")], f"parameter x: Optional[Literal['none', 'x']] {TYPES}"),
    (Annotated[Literal[True], Arg(help=".")], f"parameter x: Literal[True] {TYPES}"),
    (Annotated[Weighted[list[int]], Arg(help=".")], f"parameter x: Weighted[list[int]] {TYPES}"),
    (Annotated[Made, Arg(help=".")], f"parameter x: Made {TYPES}"),
    (Annotated[int, Arg(help=".", choices=("1",))], f"parameter x: int {TYPES}"),
    (Annotated[int, Arg(help="")], "parameter x needs a help text"),
    (Annotated[str, Arg(help=".", ge=1)], "parameter x has a range, but is a text"),
    (Annotated[Color, Arg(help=".", le=1)], "parameter x has a range, but is a colour such as #ff8800 or red"),
    (Annotated[str, Arg(help=".", multiple_of=8)], "parameter x has a multiple_of, but is a text"),
    (Annotated[int, Arg(help=".", ge=5, le=1)], "parameter x has an empty range, 5 to 1"),
    (Annotated[int, Arg(help=".", text=True)], "parameter x is text=True, but is a whole number"),
    (Annotated[int, Arg(help=".", model="lora")], "parameter x has a kind of model, but is a whole number"),
    (Annotated[Seed, Arg(help=".", follows=True)], "parameter x follows, which a whole number from 0 to "
     f"{2**64 - 1} never does"),
    (Annotated[int, Arg(help=".", short="xy")], "parameter x has the short flag 'xy'; one letter"),
    (Annotated[int, Arg(help=".", short="-")], "parameter x has the short flag '-'; one letter"),
    (Annotated[int, Arg(help=".", short="I")], "parameter x has the short flag -I, and -I brings a picture in"),
    (Annotated[int, Arg(help=".", short="W")], "parameter x has the short flag -W, and -W is a side of --size"),
    (Annotated[int, Arg(help=".", aliases=("-y",))], "parameter x has the alias '-y'; write it as --x"),
    (Annotated[int, Arg(help=".", aliases=("--y_z",))], "parameter x has the alias '--y_z'; write it as --x"),
    ((Annotated[int, Arg(help=".")], "a"), "parameter x has the default 'a', which is not a whole number"),
    ((Annotated[int, Arg(help=".")], None), "parameter x has the default None, which is not a whole number"),
    ((Annotated[int, Arg(help=".")], 1.5), "parameter x has the default 1.5, which is not a whole number"),
    ((Annotated[int, Arg(help=".")], True), "parameter x has the default True, which is not a whole number"),
    ((Annotated[float, Arg(help=".")], float("inf")), "parameter x has the default inf, which is not a number"),
    ((Annotated[float, Arg(help=".")], float("nan")), "parameter x has the default nan, which is not a number"),
    ((Annotated[str, Arg(help=".")], 5), "parameter x has the default 5, which is not a text"),
    ((Annotated[str, Arg(help=".")], None), "parameter x has the default None, which is not a text"),
    ((Annotated[Path, Arg(help=".")], "a"), "parameter x has the default 'a', which is not a path"),
    ((Annotated[Literal["a"], Arg(help=".")], "b"), "parameter x has the default 'b', which is not one of a"),
    ((Annotated[Shade, Arg(help=".")], "dark"), "parameter x has the default 'dark', which is not one of dark, light"),
    ((Annotated[str, Arg(help=".", choices=("a",))], "b"), "parameter x has the default 'b', which is not one of a"),
    ((Annotated[Size, Arg(help=".")], Ratio(3, 4)), "parameter x has the default Ratio(across=3, down=4), which is not "
     "a size such as 512x768"),
    ((Annotated[list[int], Arg(help=".")], 3), "parameter x has the default 3, which is no list"),
    ((Annotated[list[int], Arg(help=".")], ["a"]), "parameter x has the default 'a', which is not a whole number"),
    ((Annotated[int, Arg(help=".", ge=1, le=5)], 9), f"parameter x {OUTSIDE}: --x is 1 to 5, not 9"),
    ((Annotated[Size, Arg(help=".", multiple_of=8)], Size(8, 9)), f"parameter x {OUTSIDE}: --x is a multiple of 8, "
     "not 8x9"),
    (Loose, "parameter x is a Loose, which must be a frozen dataclass"),
    (Bare, "parameter steps needs Annotated[type, Arg(help=...)]"),
    ((Bundle, 5), "parameter x has the default 5, which is no Bundle"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "wanted"), REFUSED, ids=range(len(REFUSED)))
def test_a_parameter_that_cannot_be_honoured_is_refused(said, wanted):
    assert refusal(declared(x=said)) == f"made {wanted}"


OTHER = "which is not another of its parameters"
WHOLE = [
    ({"a": Int, "no_b": Int}, {}, "parameter no_b begins with no_, which is how a switch is turned off"),
    ({"a": Noise, "b": Noise}, {}, "has two seeds, a and b; a picture has one"),
    ({"a": Noise, "count": Int}, {}, "has a parameter called count; every node with a seed gets its own --count"),
    ({"a": Int, "b": Annotated[int, Arg(help=".", aliases=("--a",))]}, {}, "has --a twice, for a and b"),
    (
        {"a": Annotated[int, Arg(help=".", short="x")], "b": Annotated[int, Arg(help=".", short="x")]},
        {},
        "has -x twice, for a and b",
    ),
    ({"a": Noise, "b": Annotated[int, Arg(help=".", short="n")]}, {}, "has -n twice, for b and count"),
    ({"a": Switch, "b": Annotated[int, Arg(help=".", aliases=("--no-a",))]}, {}, "has --no-a twice, for a and b"),
    ({"a": Annotated[int, Arg(help=".", excludes="b")]}, {}, f"says a excludes b, {OTHER}"),
    ({"a": Annotated[int, Arg(help=".", excludes="a")]}, {}, f"says a excludes a, {OTHER}"),
    ({"steps": Int, "x": Bundle}, {}, "has two parameters called steps"),
    ({"a": Frame, "b": list[Frame]}, {}, "takes pictures twice, as a and b; further pictures are Image parameters"),
    ({"a": Int, "b": Context}, {}, "takes its Context as b; it must come first"),
    ({"a": Int}, {"gives": ["seed"]}, "gives 'seed', which is not one of its parameters"),
    ({"a": Int}, {"name": "two words"}, "cannot be called 'two words'; a command is one word"),
    ({"a": Int}, {"name": "as"}, "cannot be called 'as'; a command is one word"),
    ({"a": Frame}, {"stage_only": True}, "is stage_only, so it returns None: its pictures pass on unchanged"),
    (
        {"a": Int, "b": Text},
        {"builtin": True, "rest": True},
        "takes the rest of the line, so it has one parameter, a text",
    ),
]


@pytest.mark.parametrize(("said", "options", "wanted"), WHOLE, ids=range(len(WHOLE)))
def test_a_signature_that_cannot_be_honoured_is_refused(said, options, wanted):
    assert refusal(declared(**said), **options) in (f"made {wanted}", f"{options.get('name')} {wanted}")


def test_a_missing_docstring_is_refused():
    def bare() -> Image:
        raise NotImplementedError

    assert refusal(bare) == "bare needs a docstring; its first line is the summary in lists"


def test_missing_annotations_are_refused():
    def quiet(x) -> Image:
        """Draw."""

    def silent(x: Int):
        """Draw."""

    assert refusal(quiet) == "quiet parameter x needs an annotation"
    assert refusal(silent) == "silent needs a return annotation"


def test_an_annotation_that_cannot_be_read_is_refused():
    def lost(x: "Nowhere") -> Image:  # noqa: F821
        """Draw."""

    assert refusal(lost) == "lost has an annotation that cannot be read: name 'Nowhere' is not defined"


@pytest.mark.parametrize(("sign", "shown"), [("*x", "*x"), ("**x", "**x")])
def test_parameters_without_names_are_refused(sign, shown):
    space = {"Image": Image}
    exec(f'def loose({sign}) -> Image:\n    """Draw."""', space)

    with pytest.raises(DeclarationError, match=r"<string>:1: loose takes .*; every parameter must be named"):
        node(space["loose"])


def test_a_parameter_without_a_name_to_be_given_by_is_refused():
    def slashed(x: Int, /) -> Image:
        """Draw."""

    assert refusal(slashed) == "slashed has x before a /; every parameter must have a name to be given by"


def test_words_after_a_list_are_refused():
    def greedy(many: Numbers, one: Int) -> Image:
        """Draw."""

    assert refusal(greedy) == "greedy has words after many, which takes all that come"


def test_a_switch_among_the_words_is_refused():
    def switched(on: Switch) -> Image:
        """Draw."""

    assert refusal(switched) == "switched parameter on is a switch; it must stand after a *, so that it is a flag"


def test_something_to_pass_on_is_needed():
    def passing(x: Int = 1) -> None:
        """Pass on."""

    wanted = "passing is stage_only and takes no pictures; there is nothing to pass on"
    assert refusal(passing, stage_only=True) == wanted


def test_an_async_function_is_refused():
    async def later() -> Image:
        """Draw."""
        raise NotImplementedError

    assert refusal(later) == "later is async; a node is called and waited for"


@pytest.mark.parametrize(
    "hint", [Image, Made, Mask, Iterator[Made], list[Image], Made | Image, Iterator[Made | Image], Frame,
             Generator[Made, None, None], tuple[Image, ...]]
)  # fmt: skip
def test_what_a_node_may_return(hint):
    func = declared(x=Int)
    func.__annotations__["return"] = hint

    assert node(func).params


@pytest.mark.parametrize(
    ("hint", "named"),
    [
        (int, "int"),
        (None, "NoneType"),
        (dict, "dict"),
        (Iterator[int], "Iterator[int]"),
        (list[Image | str], "list[Image | str]"),
        (Image | None, "Image | None"),
    ],
)
def test_what_a_node_may_not_return(hint, named):
    func = declared(x=Int)
    func.__annotations__["return"] = hint

    assert refusal(func) == f"made returns {named}; a node returns Image or Made, or an Iterator or list of them"


@pytest.mark.parametrize("thing", [int, 5, Bundle])
def test_only_functions_are_nodes(thing):
    with pytest.raises(DeclarationError, match="is not a function; @node stands above a def"):
        node()(thing)


# -- what is read ------------------------------------------------------------------------------------------------------


def test_a_bundle_is_flattened_one_level():
    @node
    def draw(sampling: Bundle = Bundle(steps=10, tags=["a"])) -> Image:
        """Draw."""
        return sampling  # type: ignore[return-value]

    assert list(draw.params) == ["steps", "tags"]
    assert (draw.params["steps"].default, draw.params["tags"].default) == (10, ("a",))
    assert draw.arguments({"steps": 3, "tags": ("b",)}) == {"sampling": Bundle(steps=3, tags=["b"])}


def test_the_function_stays_callable():
    @node(version=2)
    def double(x: Int, *, times: Int = 2) -> Image:
        """Double."""
        return x * times  # type: ignore[return-value]

    assert double(4) == 8
    assert double(4, times=3) == 12
    assert inspect.signature(double).parameters["times"].default == 2


def test_what_a_signature_says_is_read():
    @node(version=4, name="tint", group="change", gives=["shade"], examples=["a.png | tint"])
    def tint_(ctx: Context, frame: Frame, shade: Annotated[Color, Arg(help="A colour.")] = Color(1, 2, 3)) -> Image:
        """Colour a picture.

        With more to say.
        """
        raise NotImplementedError

    assert (tint_.name, tint_.version, tint_.group) == ("tint", 4, "change")
    assert (tint_.takes, tint_.frames, tint_.context) == ("each", "frame", True)
    assert (tint_.gives, tint_.examples) == (("shade",), ("a.png | tint",))
    assert (tint_.summary, tint_.doc) == ("Colour a picture.", "Colour a picture.\n\nWith more to say.")
    assert [p.positional for p in tint_.params.values()] == [True]


def test_a_default_becomes_the_value_its_text_stands_for():
    made = node(
        declared(
            real=(Annotated[float, Arg(help=".")], 2),
            many=(Annotated[list[float], Arg(help=".")], [1, 2]),
            model=(Annotated[ModelRecord, Arg(help=".", model="checkpoint")], "pocket"),
            shade=(Annotated[Shade, Arg(help=".")], Shade.DARK),
        )
    )

    values = {n: p.default for n, p in made.params.items()}
    assert values == {"real": 2.0, "many": (1.0, 2.0), "model": ModelName("pocket"), "shade": Shade.DARK}
    assert [type(values["real"]), type(values["model"])] == [float, ModelName]


def test_a_node_with_a_seed_can_be_repeated():
    made = node(declared(noise=(Noise, None), x=Int))

    assert list(made.params) == ["noise", "x", "count", "pick"]
    assert (made.params["noise"].arg.ge, made.params["noise"].arg.le) == (0, 2**64 - 1)
    assert made.flags["-n"] is made.flags["--count"] is made.flags["--iterations"]


def test_a_node_without_a_seed_may_have_its_own_count():
    made = node(declared(count=(Int, 3)))

    assert made.arguments({"count": 5}) == {"count": 5}


def test_recorded_parameters_are_those_that_change_pixels():
    made = node(
        declared(
            a=Int,
            b=Annotated[int, Arg(help=".", pixels=False)],
            c=Annotated[Image, Arg(help=".")],
            d=Annotated[ModelRecord, Arg(help=".")],
            e=Noise,
        )
    )

    assert [p.name for p in made.recorded] == ["a", "e"]


def test_a_builtin_takes_the_session_first():
    @node(builtin=True)
    def leave(shell: Any, word: Text = "") -> None:
        """Leave."""

    assert list(leave.params) == ["word"]


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_a_typed_plugin_passes_mypy():
    example = Path(__file__).parents[1] / "typing_plugin.py"

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(example)],
        capture_output=True,
        text=True,
        check=False,
        cwd=example.parents[1],
    )

    assert (done.stdout, done.returncode) == ("", 0)
