"""How a node is declared: one typed function, read once, refused at import when it asks for what cannot be honoured."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints, overload

from invoke_shell.errors import DeclarationError
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.kinds import Kind, kind_of
from invoke_shell.pipeline.types import Count, ModelName, Size, number
from invoke_shell.records import Frame

__all__ = ["MISSING", "Arg", "Node", "Param", "Takes", "node"]

P = ParamSpec("P")
R = TypeVar("R")
Takes = Literal["none", "each", "all"]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg:
    """What a type alone cannot say about a parameter.

    ge, le: inclusive bounds, of both sides for a Size. unit: for people ("px"). short: one letter, `-s`.
    aliases: other flags that are read and never written. follows: takes the upstream value of the same name and type
    when not typed. pixels: False when it changes no pixel: not recorded, not in cache keys. text: swallows unquoted
    words. excludes: another parameter that cannot be typed together with it. model: kind of model of a ModelRecord.
    choices: of a str, when they are a table and no Literal.
    group: heading in the help. spell: other programs' spelling of a choice -> ours; raises ValueError when there is none.
    """

    help: str
    unit: str = ""
    ge: float | None = None
    le: float | None = None
    multiple_of: int | None = None
    short: str = ""
    aliases: tuple[str, ...] = ()
    follows: bool = False
    pixels: bool = True
    text: bool = False
    excludes: str = ""
    model: str = ""
    choices: tuple[str, ...] = ()
    group: str = ""
    spell: Callable[[str], str] | None = None


@dataclass(frozen=True, kw_only=True)
class Param:
    """One parameter of a node. `within`: the name of the dataclass parameter it was flattened from."""

    name: str
    kind: Kind
    arg: Arg
    default: Any = MISSING
    positional: bool = False
    within: str = ""

    @cached_property
    def flag(self) -> str:
        """`--start-step` of `start_step`."""
        return "--" + self.name.replace("_", "-")

    @cached_property
    def required(self) -> bool:
        """True when a value must be typed, piped or set."""
        return self.default is MISSING

    @cached_property
    def span(self) -> str:
        """The range for people: `1 to 150`, `64 to 4096 px, a multiple of 8`, or ""."""
        a = self.arg
        if a.ge is None and a.le is None:
            return ""
        low, high = (None if x is None else number(x) for x in (a.ge, a.le))
        text = f"{low} to {high}" if low and high else f"{low} or more" if low else f"at most {high}"
        text += f" {a.unit}" if a.unit else ""
        return f"{text}, a multiple of {a.multiple_of}" if a.multiple_of else text

    def check(self, value: Any) -> str:
        """What is wrong with the range of a value, as a sentence; "" when nothing."""
        numbers = tuple(value) if isinstance(value, Size) else (value,)
        for x in numbers:
            if isinstance(x, int | float) and not isinstance(x, bool) and self._outside(x):
                return f"{self.flag} is {self.span or self.kind.label}, not {self.kind.format(value)}"
        return ""

    def _outside(self, x: float) -> bool:
        a = self.arg
        return bool(
            (a.ge is not None and x < a.ge) or (a.le is not None and x > a.le) or (a.multiple_of and x % a.multiple_of)
        )


@dataclass(frozen=True, eq=False)
class Node(Generic[P, R]):
    """A declared function that makes or changes images; still callable as the function it is.

    takes: "none" starts a chain, "each" runs once per picture, "all" once with all of them.
    stage_only: passes its pictures on unchanged and is no step (save, show_image).
    builtin: runs in the shell and stands alone on a line; rest: takes the rest of the line as its one text.
    """

    func: Callable[P, R]
    name: str
    summary: str
    doc: str
    params: Mapping[str, Param]
    takes: Takes
    frames: str
    context: bool
    bundles: Mapping[str, type]
    version: int = 1
    examples: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    stage_only: bool = False
    builtin: bool = False
    rest: bool = False
    group: str = ""
    package: str = "invoke_shell"
    explains: Callable[..., str] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.func(*args, **kwargs)

    @cached_property
    def flags(self) -> Mapping[str, Param]:
        """Every spelling that is read -> the parameter; `--no-x` of switches included."""
        found: dict[str, Param] = {}
        for p in self.params.values():
            for flag in (p.flag, *p.arg.aliases, *(["-" + p.arg.short] if p.arg.short else [])):
                found.setdefault(flag, p)
            if p.kind.is_switch:
                found.setdefault("--no-" + p.flag[2:], p)
        return found

    @cached_property
    def positionals(self) -> tuple[Param, ...]:
        """Parameters that may stand without their flag, in order."""
        return tuple(p for p in self.params.values() if p.positional)

    @cached_property
    def seed(self) -> Param | None:
        """The Seed parameter; a node that has one may be repeated with --count."""
        return next((p for p in self.params.values() if p.kind.is_seed), None)

    @cached_property
    def recorded(self) -> tuple[Param, ...]:
        """The parameters that change pixels and are plain values (models and pictures are recorded apart)."""
        return tuple(p for p in self.params.values() if p.arg.pixels and not p.kind.picture and not p.kind.model)

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of the function from flat values: bundles are put together, the count left out."""
        flat = {n: v for n, v in values.items() if n in self.params and n != "count"}
        out = {n: v for n, v in flat.items() if not self.params[n].within}
        for name, bundle in self.bundles.items():
            fields = {n: v for n, v in flat.items() if self.params[n].within == name}
            out[name] = bundle(**fields)
        return out


COUNT = Param(
    name="count",
    kind=kind_of(Count),  # type: ignore[arg-type]  # Count is in the closed set
    arg=Arg(
        help="How many pictures; the seed counts up.", ge=1, le=4096, short="n", aliases=("--iterations",), pixels=False
    ),
    default=1,
)


@overload
def node(func: Callable[P, R], /) -> Node[P, R]: ...
@overload
def node(
    *,
    version: int = 1,
    examples: Iterable[str] = (),
    gives: Iterable[str] = (),
    group: str = "",
    stage_only: bool = False,
    builtin: bool = False,
    rest: bool = False,
    name: str = "",
    explains: Callable[..., str] | None = None,
) -> Callable[[Callable[P, R]], Node[P, R]]: ...
def node(func: Any = None, /, **options: Any) -> Any:
    """Declare a function as a node (see docs/nodes.md). Raises DeclarationError with file:line.

    version: pixel revision, bumped only when the same inputs would give other pixels. gives: names of the parameters
    whose values flow on with its pictures. explains: flat values -> a line for `explain` and before the run.
    """
    if func is not None:
        return _read(func, {})
    return lambda f: _read(f, options)


def _read(func: Callable[..., Any], options: dict[str, Any]) -> Node[Any, Any]:
    refuse = _refuser(func)
    doc = inspect.getdoc(func) or ""
    if not doc:
        refuse("needs a docstring; its first line is the summary in lists")
    try:
        hints = get_type_hints(func, include_extras=True)
    except NameError as error:
        refuse(f"has an annotation that cannot be read: {error}")
    if "return" not in hints:
        refuse("needs a return annotation")
    signature = inspect.signature(func)
    reader = _Reader(refuse)
    for p in signature.parameters.values():
        reader.take(p, hints.get(p.name, MISSING))
    params = reader.params
    if any(p.kind.is_seed for p in params.values()):
        params["count"] = COUNT
    options = {**options, "examples": tuple(options.get("examples", ())), "gives": tuple(options.get("gives", ()))}
    for given in options["gives"]:
        if given not in params:
            refuse(f"gives {given!r}, which is not one of its parameters")
    _check_flags(params, refuse)
    made: Node[Any, Any] = Node(
        func=func,
        name=options.pop("name", "") or func.__name__,
        summary=doc.splitlines()[0].strip(),
        doc=doc,
        params=params,
        takes=reader.takes,
        frames=reader.frames,
        context=reader.context,
        bundles=reader.bundles,
        **options,
    )
    object.__setattr__(made, "__wrapped__", func)  # what inspect.signature and doctest look for
    return made


def _refuser(func: Callable[..., Any]) -> Callable[[str], Any]:
    code = func.__code__

    def refuse(why: str) -> None:
        raise DeclarationError(f"{code.co_filename}:{code.co_firstlineno}: {func.__name__} {why}")

    return refuse


def _check_flags(params: Mapping[str, Param], refuse: Callable[[str], Any]) -> None:
    owner: dict[str, str] = {}
    for p in params.values():
        for flag in (p.flag, *p.arg.aliases, *(["-" + p.arg.short] if p.arg.short else [])):
            if flag in owner:
                refuse(f"has {flag} twice, for {owner[flag]} and {p.name}")
            owner[flag] = p.name
        if p.arg.excludes and p.arg.excludes not in params:
            refuse(f"says {p.name} excludes {p.arg.excludes}, which is not one of its parameters")


class _Reader:
    """Reads the parameters of one signature in order."""

    def __init__(self, refuse: Callable[[str], Any]) -> None:
        self.refuse = refuse
        self.params: dict[str, Param] = {}
        self.bundles: dict[str, type] = {}
        self.takes: Takes = "none"
        self.frames = ""
        self.context = False

    def take(self, p: inspect.Parameter, hint: Any) -> None:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            self.refuse(f"takes {p}; every parameter must be named")
        elif hint is MISSING:
            self.refuse(f"parameter {p.name} needs an annotation")
        elif hint is Context:
            self.context = True
        elif hint is Frame or hint == list[Frame]:
            self._take_frames(p.name, "each" if hint is Frame else "all")
        elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
            self._take_bundle(p.name, hint)
        else:
            default = MISSING if p.default is p.empty else p.default
            self._add(p.name, hint, default, p.kind is not p.KEYWORD_ONLY, "")

    def _take_frames(self, name: str, takes: Takes) -> None:
        if self.frames:
            self.refuse(f"takes pictures twice, as {self.frames} and {name}; further pictures are Image parameters")
        self.frames, self.takes = name, takes

    def _take_bundle(self, name: str, bundle: type) -> None:
        self.bundles[name] = bundle
        hints = get_type_hints(bundle, include_extras=True)
        for spec in dataclasses.fields(bundle):
            default = MISSING if spec.default is dataclasses.MISSING else spec.default
            self._add(spec.name, hints[spec.name], default, False, name)

    def _add(self, name: str, hint: Any, default: Any, positional: bool, within: str) -> None:
        arg = next((a for a in get_args(hint)[1:] if isinstance(a, Arg)), None) if _annotated(hint) else None
        if arg is None:
            self.refuse(f"parameter {name} needs Annotated[type, Arg(help=...)]")
            return
        if name in self.params:
            self.refuse(f"has two parameters called {name}")
        kind = kind_of(get_args(hint)[0], arg.model, arg.choices)
        if kind is None:
            self.refuse(
                f"parameter {name} is a {get_args(hint)[0]}, which is not one of the types a parameter may have"
            )
            return
        param = Param(name=name, kind=kind, arg=arg, default=default, positional=positional, within=within)
        self._check_default(param)
        self.params[name] = param

    def _check_default(self, p: Param) -> None:
        if p.default is MISSING or isinstance(p.default, ModelName):
            return
        if p.default is None and (p.kind.optional or p.kind.is_seed):
            return
        values = p.default if p.kind.many and isinstance(p.default, tuple | list) else [p.default]
        for value in values:
            try:
                same = p.kind.parse(p.kind.format(value)) == value
            except ValueError:
                same = False
            if not same:
                self.refuse(f"parameter {p.name} has the default {value!r}, which is not {p.kind.label}")
            if wrong := p.check(value):
                self.refuse(f"parameter {p.name} has a default outside its own range: {wrong}")


def _annotated(hint: Any) -> bool:
    return get_origin(hint) is Annotated
