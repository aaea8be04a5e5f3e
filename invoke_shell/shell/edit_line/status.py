"""What the line at the bottom says: the model and its size, a GPU's memory, what is at work beside the line, and what
the word at the cursor takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prompt_toolkit.formatted_text import StyleAndTextTuples

from invoke_shell.errors import InvokeShellError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.bind import Pending
from invoke_shell.pipeline.derive import default_text, help_node, kind_text, usage
from invoke_shell.pipeline.node import Param

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["Status", "help_lines", "hint", "model_name"]

DEMO = "pocket"
GB = 1 << 30  # as cards are sold
LOOKS = 1.0  # seconds between two looks at what is at work
SPELT = 4  # choices that the toolbar names one by one
FIRST = "try: txt2img a red boat    Tab completes, F1 helps"


class Status:
    """The model's name at once; its size as soon as somebody has looked at its folder, which is done aside.

    `pocket 128x128: demo model`, `sd15 512x512  18.2 of 24.0 GB free  reading sd15 34 %`.

    fresh: nothing was ever typed in this home, so an empty line says what may be. changed: asks to be drawn again.
    """

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        self.session = session
        self.changed = changed
        self.fresh = not session.home.history_file.exists()
        self._sizes: dict[str, str] = {}
        self._watching: threading.Thread | None = None

    @property
    def model(self) -> str:
        """The name of the model the next line runs."""
        return model_name(self.session)

    @property
    def text(self) -> str:
        """`pocket 128x128: demo model`."""
        chosen = self.session.settings.values().get("size")
        size = str(chosen.value) if chosen else self._sizes.get(self.model, "")
        demo = ": demo model" if self.model == DEMO else ""
        return visible(" ".join(p for p in (self.model, size) if p) + demo)

    @property
    def beside(self) -> Iterator[str]:
        """The memory of a GPU, where one has drawn; the model that is read for its hash."""
        if (memory := self.session.memory) is not None:
            free, total = memory
            yield f"{free / GB:.1f} of {total / GB:.1f} GB free"
        if reading := self.session.hashing.reading:
            yield f"reading {visible(reading)}"

    def refresh(self) -> None:
        """Look the model up, in a thread: folders of models may be on a slow disk. What is at work is drawn anew."""
        if self.session.hashing.reading and (self._watching is None or not self._watching.is_alive()):
            self._watching = threading.Thread(target=self._watch, daemon=True)
            self._watching.start()
        if self.model not in self._sizes:
            threading.Thread(target=self._look, args=(self.model,), daemon=True).start()

    def _watch(self) -> None:
        while self.session.hashing.reading:
            time.sleep(LOOKS)
            self.changed()

    def _look(self, name: str) -> None:
        try:
            advice: dict[str, Any] = next(
                (dict(m.advice) for m in self.session.catalogue.all() if m.name == name.partition("@")[0]), {}
            )
        except InvokeShellError:
            advice = {}
        self._sizes[name] = str(advice.get("size", ""))
        self.changed()

    def toolbar(self, pending: Pending, *, empty: bool) -> StyleAndTextTuples:
        """The line, in pieces. empty: nothing is typed yet."""
        about = hint(pending)
        if empty and self.fresh:
            about = [("", FIRST)]
        at_work = [("", f"  {part}") for part in self.beside]
        return [("class:toolbar.model", f" {self.text} "), *at_work, ("", "  "), *about]


def model_name(session: Session) -> str:
    """The name of the model that the session's settings choose."""
    value = session.settings.values().get("model")
    return visible(str(value.value if value else session.settings.params["model"].default))


def hint(pending: Pending) -> StyleAndTextTuples:
    """The flag at the cursor with its range and what it is for; else how the command is used."""
    param = _param(pending)
    if param is not None:
        name = param.name.upper() if param.positional else param.flag
        return [("class:toolbar.flag", name), ("", f"  {param.arg.help}  [{_range(param)}]")]
    if pending.node is not None and pending.kind != "command":
        return [("class:toolbar.flag", usage(pending.node)), ("", f"  {pending.node.summary}")]
    return []


def _range(param: Param) -> str:
    """`1 to 150, default 24`; choices are in the menu, so they are only counted."""
    choices = len(param.kind.choices)
    kind = f"{choices} choices" if choices > SPELT else kind_text(param)
    return ", default ".join(n for n in (kind, default_text(param)) if n)


def _param(pending: Pending) -> Param | None:
    if pending.kind in ("value", "text"):
        return pending.param
    if pending.kind == "flag" and pending.node is not None:
        return pending.node.flags.get(pending.prefix) or (None if pending.prefix else pending.param)
    return None


def help_lines(session: Session, pending: Pending) -> Iterator[str]:
    """Help on the word at the end of a text: its flag, else its command, else what there is."""
    from invoke_shell.shell.answers.pages import LONG, overview

    node = pending.node or session.registry.get(pending.prefix)
    if node is None:
        yield from overview(session.registry)
        return
    param = _param(pending)
    if param is None or pending.kind == "text":
        yield from help_node(node, LONG)
        return
    yield f"{param.flag}: {param.arg.help}"
    yield f"  {kind_text(param)}" + (f"; default {default_text(param)}" if default_text(param) else "")
    if param.kind.choices:
        yield f"  one of {', '.join(param.kind.choices)}"
    yield f"  of {node.name}: {node.summary}"
