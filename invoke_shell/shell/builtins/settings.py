"""Settings: set, unset, settings; and the file that keeps them."""

from __future__ import annotations

from typing import Annotated

from invoke_shell.errors import OutputError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.derive import COLUMNS
from invoke_shell.pipeline.node import Arg, Param, node
from invoke_shell.pipeline.types import Weighted
from invoke_shell.shell.answers.pages import cut
from invoke_shell.shell.session import ENGINE, Session
from invoke_shell.shell.settings import read_value, shown

__all__ = ["set_", "settings", "unset"]

VALUE, ABOUT = 12, 12  # columns of a value, and at least of what it is for

# What a value means that its word does not say.
NOTES = {
    ("privacy", True): "left out of pictures: names of sources and models, dates, the line, the device; prompts stay",
    ("format", "jpeg"): "a handle still means the pixels before the loss: they are kept in the home",
    ("format", "webp"): "a handle still means the pixels before the loss: they are kept in the home",
    ("embed", "always"): "whoever gets a picture gets its sources: nothing painted over is hidden in them",
    ("embed", "auto"): "whoever gets a picture gets its sources: nothing painted over is hidden in them",
}


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
        _check_models(shell, p, value)
    shell.settings.set(name, value)
    if not shell.dry:
        shell.keeper.remember(name, value)
    if keep:
        from invoke_shell.shell.config_file import keep as keep_in

        keep_in(shell.home.config_file, name, p, value)
        shell.settings.keep(name)
    if name in ENGINE:
        shell.restart()
    shell.view.say(f"{name} is {shown(p, shell.settings.session[name].value) or 'empty'}" + (", kept" if keep else ""))
    if note := NOTES.get((name, shell.settings.session[name].value)):
        shell.view.say(f"  {note}")


def _check_models(shell: Session, p: Param, value: str) -> None:
    """What is wrong with the models of a setting is said now, not at the next line. Raises BlockedError."""
    read = read_value(p, value)
    for item in read if isinstance(read, tuple) else (read,):
        word = item.value if isinstance(item, Weighted) else item
        if word is not None:
            shell.catalogue.find(str(word), p.kind.model, read=0)


@node(builtin=True, group="shell", examples=["unset steps"])
def unset(shell: Session, name: Annotated[str, Arg(help="A setting of this session.")]) -> None:
    """Forget a value of this session."""
    name = name.lstrip("-").replace("-", "_")
    if name not in shell.settings.session:
        shell.settings.param(name)  # a name that is no setting is a mistake, one that is not set is not
        shell.view.say(f"{name} is not set in this session")
        return
    shell.settings.unset(name)
    if not shell.dry:
        shell.keeper.remember(name, None)
    if name in ENGINE:
        shell.restart()
    text, source = next(((text, source) for row, text, source in shell.settings.rows() if row == name), ("", ""))
    shell.view.say(f"{name} is {text or 'empty'} again ({source})" if source else f"{name} is not set any more")


@node(builtin=True, group="shell", examples=["settings", "settings --write"])
def settings(
    shell: Session,
    *,
    write: Annotated[bool, Arg(help="Write config.yaml, every setting in it, commented out, with its help.")] = False,
) -> None:
    """Show every setting, its value and where that comes from."""
    if write:
        from invoke_shell.shell.config_file import write as written

        path = shell.home.config_file
        if not written(path, shell.settings.params):
            raise OutputError(f"{visible(str(path))} is there already", hint="set --keep NAME VALUE writes one value")
        shell.view.text(f"{visible(str(path))} has every setting, commented out")
        return
    rows = list(shell.settings.rows())
    wide = max(len(name) for name, _, _ in rows)
    lines = []
    for name, text, source in rows:
        head = f"{name:<{wide}}  {text:<{VALUE}}  {source:<7}  "
        lines.append(head + cut(shell.settings.params[name].arg.help, max(ABOUT, COLUMNS - len(head))))
    shell.view.page("\n".join(lines))
