"""How a node is declared: one typed function, read once, refused at import when it asks for what cannot be honoured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, overload

from invoke_shell.pipeline.inspector import Takes, inspect_function
from invoke_shell.pipeline.param import COUNT, MISSING, PICK, UNROLLED, Arg, Param

__all__ = ["COUNT", "MISSING", "PICK", "UNROLLED", "Arg", "Node", "Param", "Takes", "node"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Node(Generic[P, R]):
    """A declared function that makes or changes images; still callable as the function it is.

    takes: "none" starts a chain, "each" runs once per picture, "all" once with all of them.
    stage_only: passes its pictures on unchanged and is no step (save, show_image).
    builtin: runs in the shell and stands alone on a line; its first parameter, `shell`, is the session.
    rest: takes the rest of the line as its one text. alike: flat values -> what of them decides the pixels.
    changes: revision -> what is other since, for pictures of before. varies: flat values and a fresh seed -> what
    makes a picture another one in place of a counted seed, or None where the seed counts up. edition: a digest of a
    plugin's code, for the cache alone: whoever writes a node does not raise its version at every try.
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
    changes: Mapping[int, str] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    stage_only: bool = False
    builtin: bool = False
    rest: bool = False
    group: str = ""
    package: str = "invoke_shell"
    edition: str = ""
    explains: Callable[..., str] | None = None
    alike: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    varies: Callable[[Mapping[str, Any], int], Mapping[str, Any] | None] | None = None

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
        """The parameters that change pixels and are plain values: pictures and single models are recorded apart."""
        pixels = [p for p in self.params.values() if p.arg.pixels and not p.kind.picture]
        return tuple(p for p in pixels if not p.kind.model or p.kind.many or p.kind.is_weighted)

    @property
    def seen(self) -> tuple[str, ...]:
        """The parameters whose pictures come with their history; what all of them have in common follows from it."""
        piped = [self.frames] if self.frames else []
        return (*piped, *(p.name for p in self.params.values() if p.kind.picture and p.kind.frame))

    @property
    def unrecorded(self) -> tuple[Param, ...]:
        """The parameters that change no pixel, but what a run tells or does besides (`--tokens`)."""
        return tuple(p for p in self.params.values() if not p.arg.pixels and p not in UNROLLED)

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of the function from flat values: bundles are put together, --count is left out."""
        flat = {n: _listed(p, values[n]) for n, p in self.params.items() if n in values and p not in UNROLLED}
        out = {n: v for n, v in flat.items() if not self.params[n].within}
        for name, bundle in self.bundles.items():
            fields = {n: v for n, v in flat.items() if self.params[n].within == name}
            out[name] = bundle(**fields)
        return out


def _listed(p: Param, value: Any) -> Any:
    return list(value or ()) if p.kind.many else value


@overload
def node(func: Callable[P, R], /) -> Node[P, R]: ...
@overload
def node(
    *,
    version: int = 1,
    changes: Mapping[int, str] = ...,
    examples: Iterable[str] = (),
    gives: Iterable[str] = (),
    group: str = "",
    stage_only: bool = False,
    builtin: bool = False,
    rest: bool = False,
    name: str = "",
    explains: Callable[..., str] | None = None,
    alike: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    varies: Callable[[Mapping[str, Any], int], Mapping[str, Any] | None] | None = None,
) -> Callable[[Callable[P, R]], Node[P, R]]: ...
def node(func: Any = None, /, **options: Any) -> Any:
    """Declare a function as a node (see docs/nodes.md). Raises DeclarationError with file:line.

    version: pixel revision, bumped only when the same inputs would give other pixels; changes: {2: "what is other"},
    told when a picture of before is made again. gives: names of the parameters
    whose values flow on with its pictures. explains: flat values -> a line for `explain` and before the run.
    alike: flat values -> what of them decides the pixels, when two values may run the same steps. varies: flat values
    and a fresh seed -> what makes this picture another one; None where the seed itself counts up.
    """
    if func is not None:
        return _made(func, {})
    return lambda f: _made(f, options)


def _made(func: Callable[..., Any], options: dict[str, Any]) -> Node[Any, Any]:
    listed = {key: tuple(options.get(key, ())) for key in ("examples", "gives")}
    options = {**options, **listed}
    read = inspect_function(func, options)
    made: Node[Any, Any] = Node(
        func=func,
        summary=read.doc.splitlines()[0].strip(),
        doc=read.doc,
        params=read.params,
        takes=read.takes,
        frames=read.frames,
        context=read.context,
        bundles=read.bundles,
        **{**options, "name": read.name},
    )
    object.__setattr__(made, "__wrapped__", func)  # what inspect.signature and doctest look for
    return made
