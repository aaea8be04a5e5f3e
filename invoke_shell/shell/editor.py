"""`edit @12`: a copy of a result in a picture editor; what is saved becomes a result whose parent is the first."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError, RunError
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.png import encode
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.bind import understand
from invoke_shell.pipeline.text import quote_word
from invoke_shell.records import Image
from invoke_shell.shell.display.view import Where
from invoke_shell.shell.opening import run_and_wait

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["edited"]

KNOWN = ("gimp", "krita", "pinta", "kolourpaint", "mtpaint")  # looked for when no editor is set


def edited(session: Session, handle: str) -> None:
    """Let the person change a copy, and keep what they saved. Raises RunError and BlockedError."""
    row = session.keeper.row(handle)
    editor = str(session.settings["editor"]).strip() or next((name for name in KNOWN if shutil.which(name)), "")
    if not editor:
        raise RunError(
            "there is no picture editor", hint='set editor "COMMAND" names one; it must end when it is closed',
            code="bad-setting",
        )  # fmt: skip
    image, _ = read_image(session.keeper.results.data(row), row.path.name)
    with tempfile.TemporaryDirectory(prefix="invoke-edit-") as folder:
        # Bare pixels: what is inside the first picture would not be true of the changed one.
        copy = Path(folder, f"{row.path.stem}-edited.png")
        copy.write_bytes(encode(image))
        waits = "; the shell waits until it ends"
        with session.view.lent():
            run_and_wait(editor, copy, lambda name: session.view.say(f"{visible(name)} has {row.handle}{waits}"))
        if not copy.exists() or _saved(copy, row.handle).hash == image.hash:
            session.view.say(f"nothing was saved: {row.handle} stays as it is")
            return
        chain = understand(f"load_image {quote_word(str(copy))}", session.registry)[0].chain
        # The copy goes with its folder: what the line is remembered by is what was done.
        made = replace(session.planned(chain), source=f"edit {row.handle}")
        session.run_plan(made, Where(), parents=(row.n,))


def _saved(copy: Path, handle: str) -> Image:
    """What the editor left in the copy. Raises BlockedError when it is no picture."""
    try:
        return read_image(copy)[0]
    except BlockedError:
        message = f"what the editor saved cannot be read as a picture: {handle} stays as it is"
        raise BlockedError(message, hint="save it as PNG, under the name it has", code="not-a-picture") from None
