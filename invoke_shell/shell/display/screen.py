"""A session in a terminal: results drawn when they are finished, progress in one line, carets under what is wrong.

Colour adds and never says anything alone. Without it (`set plain on`, NO_COLOR) the same lines come plain, nothing is
redrawn and no picture is drawn.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from invoke_shell.errors import Fault, InvokeShellError, SettingError, cells, render_fault, render_faults
from invoke_shell.metadata.visible import visible_lines
from invoke_shell.shell.display.held import columns, fitting, is_sheet, small, without_parts
from invoke_shell.shell.display.keyboard import Keyboard, Quiet
from invoke_shell.shell.display.themes import NONE, Theme, theme_of
from invoke_shell.shell.display.view import INDENT, Result, Where, faults_told, result_line
from invoke_shell.shell.display.wrapping import columns_kept, wrapped
from invoke_shell.shell.settings import Settings

if TYPE_CHECKING:
    from invoke_shell.pipeline.events import Event
    from invoke_shell.records import Image
    from invoke_shell.shell.display.pictures import Pictures
    from invoke_shell.shell.display.progress import PlainProgress, ProgressLine

__all__ = ["TerminalView"]

SHOW_CURSOR = "\x1b[?25h"


class TerminalView:
    """Implements View. color: escape codes are welcome; without it nothing is redrawn or drawn either.

    keyboard: the terminal's keys while a line runs. keep_keys: gets those that were typed meanwhile.
    """

    records = False

    def __init__(
        self,
        settings: Settings,
        *,
        color: bool = True,
        quiet: bool = False,
        stdin: TextIO | None = None,
        out: TextIO | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self.color = color
        self.quiet = quiet
        self.stdin = stdin or sys.stdin
        self.out = out or sys.stdout
        self.env = os.environ if env is None else env
        self._above = ""
        self._typed = False  # lines come from a prompt, which brings the cursor back
        self.keyboard: Keyboard | Quiet = Quiet(self.stdin)
        self.keep_keys: Callable[[bytes], None] = lambda keys: None
        self._held: list[Result] = []
        self._shown: set[str] = set()
        self._expected = 1
        self._progress: ProgressLine | None = None
        self._plain_progress: PlainProgress | None = None
        self._pictures: Pictures | None = None
        self._lock = threading.RLock()

    @property
    def plain(self) -> bool:
        """No colours, no redrawing, no pictures."""
        return bool(self.why_plain)

    @property
    def why_plain(self) -> str:
        """What says so; "" where nothing does."""
        if self.color:
            return "plain is on" if self.settings["plain"] else ""
        return "NO_COLOR is set" if self.env.get("NO_COLOR") else "colours are off"

    @property
    def theme(self) -> Theme:
        """Colours of text: by the setting, else by the terminal's background, as far as it is known."""
        if not self.color:
            return NONE
        background = self._pictures.background if self._pictures is not None else None
        return theme_of(str(self.settings["theme"]), self.env, background)

    def begin(self, row: str) -> None:
        """A line that was typed begins to run; after a while it is shown that something goes on.

        row: what stands on the screen above, prompt and all: carets go straight under it.
        """
        self._above, self._typed = row, True
        self.keyboard.begin()
        if not self.plain:
            self._line().begin()

    # -- what a run tells --------------------------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        from invoke_shell.pipeline.events import ChainDone, ChainStarted, Failed, Said

        if isinstance(event, Said):
            self.say(event.text, warning=event.warning)
        elif isinstance(event, ChainDone | Failed):
            self._finish()
            if self._progress is not None:
                self._progress.take(event)
        else:
            if isinstance(event, ChainStarted):
                self._expected = event.pictures
            (self._plain_line() if self.plain else self._line()).take(event)

    def result(self, result: Result) -> None:
        """One picture is drawn above its line; of several each line comes at once, the pictures when all are there."""
        if self._expected > 1:
            self._print(self._result_text(result))
            if not is_sheet(result, self._held):
                result = replace(result, image=small(result.image))
        self._held.append(result)

    def show(self, images: Sequence[Image], labels: Sequence[str], columns: int | None) -> None:
        self._shown.update(image.hash for image in images)
        if not self._draw(images, labels, columns):
            self.say(f"no picture is drawn here: {self._undrawn()}")

    def line_done(self) -> None:
        self._finish()
        self._hide()
        self._shown.clear()
        self._expected = 1
        self._above = ""

    # -- what is said ------------------------------------------------------------------------------------------------

    def text(self, text: str, record: dict[str, Any] | str | None = None) -> None:
        self._print(visible_lines(text))

    def page(self, text: str) -> None:
        from invoke_shell.shell.display.pager import paged
        from invoke_shell.shell.display.terminal import window

        self._hide()
        page = columns_kept(visible_lines(text), self._width())
        if not self.plain and page.count("\n") + 1 >= window(self.out)[1]:
            with self.lent():
                if paged(page, self.out, self.env):
                    return
        self._print(page)

    def say(self, text: str, *, warning: bool = False) -> None:
        if warning:
            self._print(self._paint("note:", "note") + self._folded(f"note: {text}").removeprefix("note:"))
        elif not self.quiet:
            self._print(self._paint(self._folded(text), "dim"))

    def error(self, error: InvokeShellError, where: Where) -> None:
        self._finish()
        self._print(self._error_text(error, where))

    # -- pictures ----------------------------------------------------------------------------------------------------

    @property
    def pictures(self) -> Pictures:
        """The terminal as one that draws; asked for its abilities when the first picture comes."""
        if self._pictures is None:
            from invoke_shell.shell.display.pictures import Pictures

            self._pictures = Pictures(self.stdin, self.out, self.env, self._keep, lambda: self.keyboard.alone())
        return self._pictures

    def _finish(self) -> None:
        """Draw the results of a run that the line itself did not show; of a single one its line comes under it."""
        self._pause()
        held, self._held = self._held, []
        fresh = [r for r in without_parts(held) if r.image.hash not in self._shown]
        wide = columns(str(self.settings["show"]))
        if wide is None and len(fresh) == 1 and is_sheet(fresh[0], held):
            wide = self._width()
        if wide != 0:
            self._draw([r.image for r in fresh], [f"@{r.n}" for r in fresh], wide)
        if self._expected <= 1:
            for result in held:
                self._print(self._result_text(result))

    def _draw(self, images: Sequence[Image], labels: Sequence[str], columns: int | None) -> bool:
        """False where a picture's path is all there is to see."""
        if self.plain or not images:
            return not images
        with self._lock:
            self._pause()
            try:
                setting = str(self.settings["pictures"])
                if columns is None:
                    return self.pictures.show(images, labels, setting=setting)
                return self.pictures.show(images, labels, setting=setting, columns=columns)
            except SettingError as error:  # INVOKE_IMAGE_PROTOCOL is no protocol: the picture is saved all the same
                self.say(f"not drawn: {error.message}", warning=True)
                return True  # it was said why not

    def _undrawn(self) -> str:
        return self.why_plain or self.pictures.terminal(setting=str(self.settings["pictures"])).why

    def show_as(self, protocol: str, image: Image, columns: int) -> None:
        """Draw a picture in one protocol, whatever this terminal is taken for."""
        with self._lock:
            self._pause()
            self.pictures.show([image], columns=columns, setting=protocol)

    # -- the terminal ------------------------------------------------------------------------------------------------

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Another program has the terminal."""
        self._hide()
        with self.keyboard.lent():
            yield

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nothing is redrawn, and the cursor is seen."""
        if self._progress is None:
            yield
            return
        with self._progress.away():
            yield

    def _keep(self, keys: bytes) -> None:
        """Keys that were read beside the terminal's answers."""
        if not self.keyboard.keep(keys):
            self.keep_keys(keys)

    def restore(self) -> None:
        """A line ended, in whatever way: hand on what was typed, show the cursor that a run may have left hidden."""
        self._hide()
        if keys := self.keyboard.end():
            self.keep_keys(keys)
        if not self.plain:
            self.out.write(SHOW_CURSOR)
            self.out.flush()

    def _line(self) -> ProgressLine:
        if self._progress is None:
            from invoke_shell.shell.display.progress import ProgressLine

            self._progress = ProgressLine(self.out, self._pictured, hides=self._typed)
        return self._progress

    def _plain_line(self) -> PlainProgress:
        if self._plain_progress is None:
            from invoke_shell.shell.display.progress import PlainProgress

            self._plain_progress = PlainProgress(self.say)
        return self._plain_progress

    def _pictured(self, preview: Image) -> list[str]:
        """The rows that show a picture in progress; none where the setting or the terminal is against it."""
        try:
            return self.pictures.preview(
                preview, setting=str(self.settings["pictures"]), wanted=str(self.settings["preview"])
            )
        except SettingError:  # said when the finished picture is drawn
            return []

    def _pause(self) -> None:
        if self._progress is not None:
            self._progress.pause()

    def _hide(self) -> None:
        if self._progress is not None:
            self._progress.hide()

    def _print(self, text: str) -> None:
        encoding = getattr(self.out, "encoding", None) or "utf-8"
        line = text.encode(encoding, "backslashreplace").decode(encoding) + "\n"

        def write() -> None:
            self.out.write(line)
            self.out.flush()

        with self._lock:
            if self._progress is not None:
                self._progress.above(write)
            else:
                write()

    def _paint(self, text: str, style: str) -> str:
        code = self.theme.codes[style]
        return text if self.plain or not text or not code else f"\x1b[{code}m{text}\x1b[0m"

    def _result_text(self, result: Result) -> str:
        handle, space, rest = result_line(fitting(result, self._width())).partition("  ")
        return self._paint(handle, "handle") + space + rest

    # -- errors ------------------------------------------------------------------------------------------------------

    def _error_text(self, error: InvokeShellError, where: Where) -> str:
        faults: Sequence[Fault] = getattr(error, "faults", ())
        if where.file or not faults:
            told = [(self._folded(head), self._folded(below)) for head, below in faults_told(error, where)]
            painted = [(self._paint(head, "bold"), self._paint(below, "dim")) for head, below in told]
            return "\n".join(part for parts in painted for part in parts if part)
        lines = self._with_carets(str(getattr(error, "source", "")), faults)
        return "\n".join(self._styled(line, faults) for line in lines)

    def _with_carets(self, source: str, faults: Sequence[Fault]) -> list[str]:
        """Carets straight under the line where it stands above, else the line again, cut to the terminal's width."""
        width = self._width()
        at = self._above.rfind(source)
        if source and at >= 0 and "\n" not in self._above and cells(self._above) < width:
            # The text is indented by what renders it; the row above is not.
            text, back = self._above[len(INDENT) :], at - len(INDENT)
            return render_faults(text, [f.shifted(back) for f in faults]).splitlines()[1:]
        if all(cells(line) + len(INDENT) < width for line in source.splitlines()):
            return render_faults(source, faults).splitlines()
        return [line for f in faults for line in render_fault(*_excerpt(source, f, width)).splitlines()]

    def _styled(self, line: str, faults: Sequence[Fault]) -> str:
        if not line.strip(" ^"):
            return self._paint(line, "caret")
        if any(line == f.message for f in faults):
            return self._paint(self._folded(line), "bold")
        hint = any(line == INDENT + f.hint for f in faults)
        return self._paint(self._folded(line), "dim") if hint else visible_lines(line)

    def _folded(self, text: str) -> str:
        return wrapped(visible_lines(text), self._width(), hang=0)

    def _width(self) -> int:
        from invoke_shell.shell.display.terminal import window

        return window(self.out)[0]


def _excerpt(source: str, fault: Fault, width: int) -> tuple[str, Fault]:
    """As much of the faulty line as fits, the fault a third in; and the fault as one of that text."""
    begin = source.rfind("\n", 0, fault.start) + 1
    stop = source.find("\n", fault.start)
    line = source[begin : stop if stop >= 0 else len(source)]
    room = (width - 6) // (1 if line.isascii() else 2)  # two cells a character at most
    first = max(0, fault.start - begin - room // 3)
    cut = line[first : first + room]
    head, tail = "… " if first else "", " …" if first + room < len(line) else ""
    moved = replace(fault.shifted(len(head) - begin - first), also=())
    return head + cut + tail, replace(moved, end=min(moved.end, len(head) + len(cut)))
