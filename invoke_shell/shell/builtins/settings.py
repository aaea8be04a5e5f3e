"""Settings: set, unset, settings; and the file that keeps them."""

from __future__ import annotations

from typing import Annotated

from invoke_shell.errors import OutputError
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.pipeline.text import quote
from invoke_shell.shell.session import Session

__all__ = ["set_", "settings", "unset"]

ENGINE = ("device", "deterministic", "memory", "precision", "threads", "preview")  # a change needs a fresh engine


@node(builtin=True, group="shell", name="set", examples=["set steps 30", "set img2img.steps 20", "set show off"])
def set_(
    shell: Session,
    name: Annotated[str, Arg(help="A flag's name, or a setting of the shell.")],
    value: Annotated[str, Arg(help="Its value; for a switch on or off.", text=True)],
    *,
    keep: Annotated[bool, Arg(help="Write it to config.yaml, for every session.")] = False,
) -> None:
    """Give a flag or a setting a value for this session."""
    name = name.lstrip("-").replace("-", "_")
    p = shell.settings.param(name)
    if p.kind.model:
        shell.catalogue.find(value, p.kind.model, read=0)  # what is wrong is said now, not at the next line
    shell.settings.set(name, value)
    shell.keeper.remember(name, value)
    if keep:
        _write_config(shell, name, value)
    if name in ENGINE:
        shell.restart()
    shell.view.say(f"{name} is {p.kind.format(shell.settings.session[name].value)}" + (", kept" if keep else ""))


def _write_config(shell: Session, name: str, value: str) -> None:
    """Replace the line of a key, or add one; comments and all else stay."""
    path = shell.home.config_file
    line = f"{name}: {quote(value)}"
    try:
        before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [x for x in before if not x.startswith(f"{name}:")]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text("\n".join([*kept, line]) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


@node(builtin=True, group="shell", examples=["unset steps"])
def unset(shell: Session, name: Annotated[str, Arg(help="A setting of this session.")]) -> None:
    """Forget a value of this session."""
    name = name.lstrip("-").replace("-", "_")
    if name not in shell.settings.session:
        shell.settings.param(name)  # a name that is no setting is a mistake, one that is not set is not
        shell.view.say(f"{name} is not set in this session")
        return
    shell.settings.unset(name)
    shell.keeper.remember(name, None)
    if name in ENGINE:
        shell.restart()


@node(builtin=True, group="shell", examples=["settings"])
def settings(shell: Session) -> None:
    """Show every setting, its value, and where the value comes from."""
    rows = list(shell.settings.rows())
    wide = max(len(name) for name, _, _ in rows)
    shell.view.text("\n".join(f"{name:<{wide}}  {text}  ({source})" for name, text, source in rows))
