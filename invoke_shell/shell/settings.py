"""Settings: typed like flags, each with its source. The session's beat config.yaml's; both beat a model's advice.

config.yaml is parsed once and its texts cached by its time and size, so that yaml is not imported at every start.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from invoke_shell.errors import SettingError, nearest
from invoke_shell.metadata.jpeg_webp import FORMS
from invoke_shell.pipeline.chain import Source, Value
from invoke_shell.pipeline.derive import settable
from invoke_shell.pipeline.node import Arg, Param, node
from invoke_shell.pipeline.registry import Registry

__all__ = ["SHELL", "Settings", "canonical", "read_config", "read_value", "shown"]

WIDEST = 1000  # columns of a picture


def _format(text: str) -> str:
    """A format as people spell it. Raises ValueError."""
    name = {"jpg": "jpeg"}.get(text.lower(), text.lower())
    if name not in FORMS:
        raise ValueError(f"format is png, jpeg or webp, not {text}")
    return name


def _width(text: str) -> str:
    if text in ("auto", "off") or (text.isascii() and text.isdigit() and 1 <= int(text) <= WIDEST):
        return text
    raise ValueError(f"show is auto, off or a width of 1 to {WIDEST} columns, not {text}")


def _device(text: str) -> str:
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,2})?", text):
        return text
    raise ValueError(f"device is cpu, cuda, cuda:1, mps or auto, not {text}")


def _batch(text: str) -> str:
    if text == "auto" or re.fullmatch(r"[1-9]|[12]\d|3[0-2]", text):
        return text
    raise ValueError(f"batch is 1 to 32 or auto, not {text}")


def _template(text: str) -> str:
    from invoke_shell.shell.archive.outputs import check_template

    check_template(text)
    return text


@node(builtin=True, name="shell")
def _shell_settings(
    *,
    outdir: Annotated[Path | None, Arg(help="Folder for pictures; none is the platform's, by day.")] = None,
    filename: Annotated[str, Arg(help="Name of a picture's file.", spell=_template)] = "{n:06}-{prompt:24}-{seed}",
    show: Annotated[str, Arg(help="Draw results: auto, off, or a width in columns.", spell=_width)] = "auto",
    pictures: Annotated[
        Literal["auto", "kitty", "iterm2", "sixel", "half-blocks", "path"], Arg(help="How pictures are drawn.")
    ] = "auto",
    keep: Annotated[Literal["results", "all"], Arg(help="Which pictures of a line get a file.")] = "results",
    theme: Annotated[
        Literal["auto", "dark", "light", "none"], Arg(help="Colours of text; auto goes by the terminal's background.")
    ] = "auto",
    plain: Annotated[bool, Arg(help="No colours, no redrawing, no pictures.")] = False,
    preview: Annotated[
        Literal["auto", "on", "off"], Arg(help="Show the picture while it is drawn; auto is not over a slow line.")
    ] = "auto",
    device: Annotated[str, Arg(help="cpu, cuda, cuda:1, mps or auto.", spell=_device)] = "auto",
    deterministic: Annotated[bool, Arg(help="Only arithmetic that repeats bit for bit (CUDA).")] = False,
    precision: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"], Arg(help="Of the model's numbers; auto is float32 on a CPU.")
    ] = "auto",
    threads: Annotated[int | None, Arg(help="Of the CPU; none is torch's own choice.", ge=1, le=1024)] = None,
    memory: Annotated[float | None, Arg(help="What models may take.", unit="GB", ge=0.1, le=1024)] = None,
    offload: Annotated[
        Literal["auto", "none", "model", "group"],
        Arg(help="What of a model waits in main memory for its turn: whole networks, or layers (slowest)."),
    ] = "auto",
    tiling: Annotated[
        Literal["auto", "on"], Arg(help="The VAE in tiles: less memory, other pixels; auto is when memory ran out.")
    ] = "auto",
    batch: Annotated[
        str, Arg(help="Pictures of a line drawn together, or auto; other last bits than alone.", spell=_batch)
    ] = "1",
    cache: Annotated[bool, Arg(help="Keep results of steps, so that a changed line runs only what changed.")] = True,
    format: Annotated[str, Arg(help="Of picture files: png, jpeg or webp.", choices=FORMS, spell=_format)] = "png",
    quality: Annotated[int, Arg(help="Of JPEG and WebP files; 100 writes a WebP without loss.", ge=1, le=100)] = 95,
    embed: Annotated[
        Literal["never", "auto", "always"],
        Arg(help="Source pictures inside the results: auto takes those up to 1 MiB each."),
    ] = "never",
    a1111: Annotated[bool, Arg(help="Also write the `parameters` line other programs read.")] = True,
    privacy: Annotated[bool, Arg(help="Leave names, dates and the device out of pictures.")] = False,
    keys: Annotated[Literal["emacs", "vi"], Arg(help="Keys of the edit line.")] = "emacs",
    viewer: Annotated[str, Arg(help="Command that open shows a picture with; %s is its path.")] = "",
    editor: Annotated[str, Arg(help="Command that edit changes a picture with; %s is its path.")] = "",
) -> None:
    """What the shell itself can be told."""


SHELL: Mapping[str, Param] = _shell_settings.params
NOTHING = "none"  # the word for no value of a flag that may be repeated
CACHED = "config.json"


class Settings:
    """Values by name, in two layers: config and session. Names are flags with underscores, `img2img.steps` too."""

    def __init__(self, registry: Registry, config: Mapping[str, Value] | None = None) -> None:
        self.params: dict[str, Param] = {**settable(registry), **SHELL}
        self.config: dict[str, Value] = dict(config or {})
        self.session: dict[str, Value] = {}

    def values(self) -> dict[str, Value]:
        """Both layers, the session's on top: what bind and plan get."""
        return {**self.config, **self.session}

    def __getitem__(self, name: str) -> Any:
        """The value in force of a shell setting."""
        found = self.session.get(name) or self.config.get(name)
        return found.value if found is not None else SHELL[name].default

    def param(self, name: str) -> Param:
        """The parameter a setting is of. Raises SettingError with the nearest name."""
        name = canonical(name)
        if name not in self.params:
            near = nearest(name, self.params)
            hint = f"did you mean {near}?" if near else "settings lists them"
            raise SettingError(f"there is no setting {name}", hint=hint)
        return self.params[name]

    def set(self, name: str, text: str) -> Value:
        """Give the session a value. Raises SettingError."""
        value = Value(read_value(self.param(name), text), Source.SESSION)
        self.session[canonical(name)] = value
        return value

    def keep(self, name: str) -> None:
        """The session's value stands in the file from now on: there it is when the session forgets it."""
        name = canonical(name)
        self.config[name] = Value(self.session[name].value, Source.CONFIG)

    def unset(self, name: str) -> None:
        """Forget the session's value."""
        self.param(name)
        self.session.pop(canonical(name), None)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """(name, text, source) of every setting that is given, and of all of the shell's."""
        given = self.values()
        for name in sorted(given.keys() | SHELL.keys()):
            p = self.params[name]
            value = given.get(name) or Value(p.default, Source.DEFAULT)
            yield name, shown(p, value.value), value.source.name.lower()


def canonical(name: str) -> str:
    """`--start-step` and `start-step` are `start_step`."""
    return name.lstrip("-").replace("-", "_")


def shown(p: Param, value: Any) -> str:
    """A setting's value as it is typed; of a flag that may be repeated all of them."""
    if not p.kind.many:
        return p.kind.format(value)
    return " ".join(p.kind.format(each) for each in value or ()) or NOTHING


def read_value(p: Param, text: str) -> Any:
    """A setting's value from its text; several words, or none, for a flag that may be repeated. Raises SettingError."""
    if p.kind.many:
        words = [] if text.strip() == NOTHING else text.replace(",", " ").split()
        return tuple(_read_one(p, word) for word in words)
    return _read_one(p, text)


def _read_one(p: Param, text: str) -> Any:
    try:
        value = p.kind.parse(p.arg.spell(text) if p.arg.spell else text)
    except ValueError as error:
        wanted = f"{error}" if p.arg.spell else f"{p.name} is {error}, not {text}"
        raise SettingError(wanted) from None
    if wrong := p.check(value):
        raise SettingError(wrong.removeprefix("--"))
    return value


def read_config(path: Path, cache: Path, settings: Settings) -> list[str]:
    """Fill the config layer from config.yaml; returns what was wrong, `file:line:col: sentence` each."""
    try:
        stat = path.stat()
    except OSError:
        return []
    stamp = [stat.st_mtime_ns, stat.st_size]
    texts = _cached(cache / CACHED, stamp)
    faults: list[str] = []
    if texts is None:
        texts, faults = _parsed(path)
        if not faults:
            _keep(cache / CACHED, {"stamp": stamp, "texts": texts})
    for name, (text, key, value) in texts.items():
        place = key
        try:
            param, place = settings.param(name), value
            settings.config[canonical(name)] = Value(read_value(param, text), Source.CONFIG)
        except SettingError as error:
            faults.append(f"{path.name}:{place}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
    return faults


Texts = dict[str, tuple[str, str, str]]  # name -> its value as text, `line:column` of the name and of the value


def _cached(path: Path, stamp: list[int]) -> Texts | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {n: (t, k, v) for n, (t, k, v) in found["texts"].items()} if found["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a cache: what cannot be read is made again


def _keep(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        return  # read-only: the next start parses again


def _parsed(path: Path) -> tuple[Texts, list[str]]:
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        return {}, [f"{path.name} cannot be read: {(error.strerror or str(error)).lower()}"]
    except UnicodeDecodeError as error:
        return {}, [f"{path.name}:{error.object.count(10, 0, error.start) + 1}: this is no UTF-8"]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        return {}, [f"{path.name}{where}: {getattr(error, 'problem', None) or error}"]
    texts: Texts = {}
    faults: list[str] = []
    if root is not None and not isinstance(root, yaml.MappingNode):
        return {}, [f"{path.name}:1:1: settings are written as `name: value`"]
    for key, value in root.value if root is not None else ():
        at, where = (f"{n.start_mark.line + 1}:{n.start_mark.column + 1}" for n in (key, value))
        if str(key.value) in texts:
            faults.append(f"{path.name}:{at}: {key.value} is there twice; this one counts")
        if isinstance(value, yaml.ScalarNode):
            texts[str(key.value)] = (_text_of(value), at, where)
        else:
            one = f" (of one command: {key.value}.steps)" if isinstance(value, yaml.MappingNode) else ""
            faults.append(f"{path.name}:{where}: {key.value} takes one value{one}")
    return texts, faults


def _text_of(value: Any) -> str:
    """YAML's own words for a switch and for nothing become ours."""
    if value.tag.endswith(":bool"):
        return "on" if value.value.lower() in ("true", "yes", "on") else "off"
    return "none" if value.tag.endswith(":null") else str(value.value)
