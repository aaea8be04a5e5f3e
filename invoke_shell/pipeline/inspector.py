"""Reads a function's signature once and refuses, with file and line, what cannot be honoured."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from invoke_shell.errors import DeclarationError
from invoke_shell.pipeline.context import Context
from invoke_shell.pipeline.kinds import kind_of
from invoke_shell.pipeline.param import MISSING, UNROLLED, Arg, Param
from invoke_shell.records import Frame, Image, Made, Mask

__all__ = ["Signature", "Takes", "inspect_function"]

Takes = Literal["none", "each", "all"]

RESERVED = {"I": "-I brings a picture in", "W": "-W is a side of --size", "H": "-H is a side of --size"}
WORD = re.compile(r"[A-Za-z_!][\w-]*")
PICTURES = (Image, Mask, Made, Frame)
HIGHEST_SEED = 2**64 - 1


@dataclass(kw_only=True)
class Signature:
    """What a signature says. takes, frames: how and under which name pictures come down the pipe."""

    name: str
    doc: str
    params: dict[str, Param] = field(default_factory=dict)
    bundles: dict[str, type] = field(default_factory=dict)
    takes: Takes = "none"
    frames: str = ""
    context: bool = False


def inspect_function(func: Callable[..., Any], options: Mapping[str, Any]) -> Signature:
    """The signature of a node's function. options: what @node was given. Raises DeclarationError with file:line."""
    if not inspect.isfunction(func):
        raise DeclarationError(f"{func!r} is not a function; @node stands above a def")
    reader = _Reader(func, options)
    reader.run()
    return reader.found


class _Reader:
    def __init__(self, func: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self.func = func
        self.options = options
        self.found = Signature(name=options.get("name") or func.__name__, doc=inspect.getdoc(func) or "")

    def refuse(self, why: str) -> NoReturn:
        code = self.func.__code__
        raise DeclarationError(f"{code.co_filename}:{code.co_firstlineno}: {self.func.__name__} {why}")

    def run(self) -> None:
        if not self.found.doc:
            self.refuse("needs a docstring; its first line is the summary in lists")
        if not WORD.fullmatch(self.found.name) or self.found.name == "as":
            self.refuse(f"cannot be called {self.found.name!r}; a command is one word")
        hints = self.hints(self.func)
        for number, p in enumerate(inspect.signature(self.func).parameters.values()):
            if not (number == 0 and p.name == "shell" and self.options.get("builtin")):
                self.take(number, p, hints.get(p.name, MISSING))
        self.check_result(hints.get("return", MISSING))
        self.check_whole()
        if self.seeds():
            self.found.params |= {p.name: p for p in UNROLLED}
        self.check_flags()

    def hints(self, owner: Any) -> dict[str, Any]:
        try:
            return get_type_hints(owner, include_extras=True)
        except Exception as error:  # an annotation is any expression
            self.refuse(f"has an annotation that cannot be read: {error}")

    # -- one parameter -----------------------------------------------------------------------------------------------

    def take(self, number: int, p: inspect.Parameter, hint: Any) -> None:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            self.refuse(f"takes {p}; every parameter must be named")
        elif p.kind is p.POSITIONAL_ONLY:
            self.refuse(f"has {p.name} before a /; every parameter must have a name to be given by")
        elif hint is MISSING:
            self.refuse(f"parameter {p.name} needs an annotation")
        elif hint is Context:
            self.take_context(number, p)
        elif hint is Frame or hint == list[Frame]:
            self.take_frames(p.name, "each" if hint is Frame else "all")
        elif isinstance(hint, type) and dataclasses.is_dataclass(hint) and kind_of(hint) is None:
            self.take_bundle(p, hint)
        else:
            self.add(p.name, hint, MISSING if p.default is p.empty else p.default, p.kind is not p.KEYWORD_ONLY, "")

    def take_context(self, number: int, p: inspect.Parameter) -> None:
        if number or p.kind is p.KEYWORD_ONLY:
            self.refuse(f"takes its Context as {p.name}; it must come first")
        self.found.context = True

    def take_frames(self, name: str, takes: Takes) -> None:
        if self.found.frames:
            before = self.found.frames
            self.refuse(f"takes pictures twice, as {before} and {name}; further pictures are Image parameters")
        self.free(name)
        self.found.frames, self.found.takes = name, takes

    def take_bundle(self, p: inspect.Parameter, bundle: Any) -> None:
        if not bundle.__dataclass_params__.frozen:
            self.refuse(f"parameter {p.name} is a {bundle.__name__}, which must be a frozen dataclass")
        if p.default is not p.empty and not isinstance(p.default, bundle):
            self.refuse(f"parameter {p.name} has the default {p.default!r}, which is no {bundle.__name__}")
        self.free(p.name)
        self.found.bundles[p.name] = bundle
        hints = self.hints(bundle)
        for spec in dataclasses.fields(bundle):
            default = _default_of(spec) if p.default is p.empty else getattr(p.default, spec.name)
            self.add(spec.name, hints[spec.name], default, False, p.name)

    def free(self, name: str) -> None:
        """Refuse a name that is taken."""
        if name in self.found.params or name in self.found.bundles or (name and name == self.found.frames):
            self.refuse(f"has two parameters called {name}")

    def add(self, name: str, hint: Any, default: Any, positional: bool, within: str) -> None:
        arg = next((a for a in get_args(hint)[1:] if isinstance(a, Arg)), None) if _annotated(hint) else None
        if arg is None:
            self.refuse(f"parameter {name} needs Annotated[type, Arg(help=...)]")
        self.free(name)
        kind = kind_of(get_args(hint)[0], arg.model, arg.choices)
        if kind is None:
            self.refuse(f"parameter {name}: {_named(hint)} is not one of the types a parameter may have")
        if kind.is_seed:
            arg = replace(arg, ge=arg.ge or 0, le=HIGHEST_SEED if arg.le is None else arg.le)
        param = Param(name=name, kind=kind, arg=arg, default=default, positional=positional, within=within)
        self.check_arg(param)
        self.found.params[name] = replace(param, default=self.checked_default(param))

    def check_arg(self, p: Param) -> None:
        for wrong, why in _misfits(p):
            if wrong:
                self.refuse(f"parameter {p.name} {why}")

    def checked_default(self, p: Param) -> Any:
        """The default as the value that its text stands for: 2 of a float is 2.0, a list is a tuple."""
        if p.default is MISSING:
            return MISSING
        if p.kind.many and isinstance(p.default, tuple | list):
            return tuple(self.checked_value(p, value) for value in p.default)
        if p.kind.many:
            self.refuse(f"parameter {p.name} has the default {p.default!r}, which is no list")
        if p.default is None and (p.kind.optional or p.kind.is_seed):
            return None
        return self.checked_value(p, p.default)

    def checked_value(self, p: Param, value: Any) -> Any:
        try:
            read = p.kind.read(p.kind.format(value))
        except (ValueError, OverflowError, TypeError):
            read = MISSING
        if read is MISSING or read != value:
            self.refuse(f"parameter {p.name} has the default {value!r}, which is not {p.kind.label}")
        if wrong := p.check(read):
            self.refuse(f"parameter {p.name} has a default outside its own range: {wrong}")
        return read

    # -- the whole ---------------------------------------------------------------------------------------------------

    def seeds(self) -> list[str]:
        return [p.name for p in self.found.params.values() if p.kind.is_seed]

    def check_whole(self) -> None:
        params = self.found.params
        if len(self.seeds()) > 1:
            self.refuse(f"has two seeds, {' and '.join(self.seeds())}; a picture has one")
        for name in (p.name for p in UNROLLED if self.seeds()):
            if name in params:
                self.refuse(f"has a parameter called {name}; every node with a seed gets its own --{name}")
        for name in self.options.get("gives", ()):
            if name not in params:
                self.refuse(f"gives {name!r}, which is not one of its parameters")
            if params[name].kind.picture:
                self.refuse(f"gives {name!r}, a picture; values flow, pictures are piped")
        if self.options.get("stage_only") and self.found.takes == "none":
            self.refuse("is stage_only and takes no pictures; there is nothing to pass on")
        if self.options.get("rest") and [p.kind.is_text for p in params.values()] != [True]:
            self.refuse("takes the rest of the line, so it has one parameter, a text")
        self.check_positionals()

    def check_flags(self) -> None:
        owner: dict[str, str] = {}
        for p in self.found.params.values():
            for flag in _spellings(p):
                if flag in owner:
                    self.refuse(f"has {flag} twice, for {owner[flag]} and {p.name}")
                owner[flag] = p.name
            if p.arg.excludes and (p.arg.excludes not in self.found.params or p.arg.excludes == p.name):
                self.refuse(f"says {p.name} excludes {p.arg.excludes}, which is not another of its parameters")

    def check_positionals(self) -> None:
        words = [p for p in self.found.params.values() if p.positional]
        for p in words[:-1]:
            if p.kind.many:
                self.refuse(f"has words after {p.name}, which takes all that come")
        for p in words:
            if p.kind.is_switch:
                self.refuse(f"parameter {p.name} is a switch; it must stand after a *, so that it is a flag")

    def check_result(self, hint: Any) -> None:
        if hint is MISSING:
            self.refuse("needs a return annotation")
        if inspect.iscoroutinefunction(self.func) or inspect.isasyncgenfunction(self.func):
            self.refuse("is async; a node is called and waited for")
        if self.options.get("builtin"):
            return
        if self.options.get("stage_only"):
            if hint is not type(None):
                self.refuse("is stage_only, so it returns None: its pictures pass on unchanged")
        elif not _gives_pictures(hint):
            self.refuse(f"returns {_named(hint)}; a node returns Image or Made, or an Iterator or list of them")


def _misfits(p: Param) -> Iterator[tuple[bool, str]]:
    """What an Arg says that the type cannot do."""
    a, k = p.arg, p.kind
    yield not a.help, "needs a help text"
    yield p.name.startswith("no_"), "begins with no_, which is how a switch is turned off"
    yield not k.is_ranged and (a.ge is not None or a.le is not None), f"has a range, but is {k.label}"
    yield not k.is_ranged and a.multiple_of is not None, f"has a multiple_of, but is {k.label}"
    yield a.ge is not None and a.le is not None and a.ge > a.le, f"has an empty range, {a.ge} to {a.le}"
    yield a.text and not k.is_text, f"is text=True, but is {k.label}"
    yield a.prompt and not k.is_text, f"is prompt=True, but is {k.label}"
    yield bool(a.model) and not k.model, f"has a kind of model, but is {k.label}"
    yield a.follows and (k.picture or k.is_seed), f"follows, which {k.label.partition(',')[0]} never does"
    yield bool(a.short) and not re.fullmatch(r"[A-Za-z]", a.short), f"has the short flag {a.short!r}; one letter"
    yield a.short in RESERVED, f"has the short flag -{a.short}, and {RESERVED.get(a.short, '')}"
    for alias in a.aliases:
        yield not re.fullmatch(r"--[a-z][a-z0-9-]*", alias), f"has the alias {alias!r}; write it as --{p.name}"


def _spellings(p: Param) -> list[str]:
    short = ["-" + p.arg.short] if p.arg.short else []
    return [p.flag, *p.arg.aliases, *short, *(["--no-" + p.flag[2:]] if p.kind.is_switch else [])]


def _default_of(spec: dataclasses.Field[Any]) -> Any:
    if spec.default_factory is not dataclasses.MISSING:
        return spec.default_factory()
    return MISSING if spec.default is dataclasses.MISSING else spec.default


def _gives_pictures(hint: Any) -> bool:
    """Image, Made, Frame, unions of them, and lists or iterators of those."""
    if hint in PICTURES:
        return True
    many = get_origin(hint) in (list, tuple, Generator, Iterable, Iterator, Sequence)
    parts = [a for a in get_args(hint) if a not in (None, type(None), Ellipsis)] if many else list(get_args(hint))
    return bool(parts) and not _annotated(hint) and all(_gives_pictures(a) for a in parts)


def _annotated(hint: Any) -> bool:
    return get_origin(hint) is Annotated


def _named(hint: Any) -> str:
    inner = get_args(hint)[0] if _annotated(hint) else hint
    return inner.__name__ if type(inner) is type else re.sub(r"\b(\w+\.)+", "", str(inner))
