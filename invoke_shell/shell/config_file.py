"""config.yaml: every setting in it, commented, with what it is for; and one value written into it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from invoke_shell.errors import OutputError
from invoke_shell.pipeline.derive import default_text, kind_text, wrapped
from invoke_shell.pipeline.node import Param
from invoke_shell.shell.settings import SHELL

__all__ = ["commented", "keep", "write"]

HEAD = """\
# Settings of invoke_shell. What is commented out is as shipped: take the # away to change it.
# `settings` shows every value and where it comes from; `set --keep NAME VALUE` writes one here."""
FLAGS = """\
# Flags of commands: for all that have one of the name, or for one of them, as in
#img2img.steps: 20"""


def commented(params: Mapping[str, Param]) -> str:
    """The whole file, every key a comment; `#name: value` without a blank after the # is one to be taken away."""
    parts = [HEAD, *_keys(SHELL), FLAGS]
    parts += _keys({name: p for name, p in params.items() if name not in SHELL and "." not in name})
    return "\n\n".join(parts) + "\n"


def _keys(params: Mapping[str, Param]) -> Iterator[str]:
    for name, p in params.items():
        kind = "on or off" if p.kind.is_switch else ", ".join(p.kind.choices) or kind_text(p)
        lines = [*wrapped(p.arg.help, "# "), *wrapped(kind, "#   ")]
        yield "\n".join([*lines, f"#{name}: {_value(p)}"])


def _value(p: Param) -> str:
    """The default as it is written in the file."""
    if p.default == "":
        return '""'
    text = default_text(p)
    return written(p, text) if text else "random" if p.kind.is_seed else "none"


def written(p: Param, text: str) -> str:
    """A value as YAML reads it back; JSON's quotes are YAML's too, ours have other escapes."""
    return text if p.kind.is_switch or p.kind.is_ranged or p.kind.choices else json.dumps(text, ensure_ascii=False)


def write(path: Path, params: Mapping[str, Param]) -> bool:
    """Write the file; False where there is one already, which stays as it is. Raises OutputError."""
    if path.exists():
        return False
    _replace(path, commented(params))
    return True


def keep(path: Path, name: str, p: Param, text: str) -> None:
    """Write one value: in its own line, in the place of its comment, or below all. Raises OutputError."""
    line = f"{name}: {written(p, text)}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is no UTF-8"
        raise OutputError(f"{path} cannot be read: {why}") from error
    places = [i for start in (f"{name}:", f"#{name}:") for i, known in enumerate(lines) if known.startswith(start)]
    if places:
        lines[places[0]] = line
        lines = [known for i, known in enumerate(lines) if i <= places[0] or not known.startswith(f"{name}:")]
    else:
        lines.append(line)
    _replace(path, "\n".join(lines) + "\n")


def _replace(path: Path, text: str) -> None:
    path = path.resolve()  # a link to a file that is kept elsewhere stays one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error
