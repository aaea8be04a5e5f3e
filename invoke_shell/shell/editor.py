"""`edit @12`: a copy of a result in a picture editor; what is saved becomes a result whose parent is the first."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import RunError
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.png import encode
from invoke_shell.pipeline.bind import understand
from invoke_shell.pipeline.text import quote_word
from invoke_shell.shell.display.view import Where
from invoke_shell.shell.opening import run_and_wait

if TYPE_CHECKING:
    from invoke_shell.shell.session import Session

__all__ = ["edited"]

KNOWN = ("gimp", "krita", "pinta", "kolourpaint", "mtpaint")  # looked for when no editor is set


def edited(session: Session, handle: str) -> None:
    """Let the person change a copy, and keep what they saved. Raises RunError and BlockedError."""
    row = session.keeper.row(handle)
    editor = str(session.settings["editor"]) or next((name for name in KNOWN if shutil.which(name)), "")
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
        session.view.say(f"{editor.split()[0]} has {row.handle}; the shell waits until it ends")
        with session.view.lent():
            run_and_wait(editor, copy)
        saved = read_image(copy)[0]
        if saved.hash == image.hash:
            session.view.say(f"nothing was saved: {row.handle} stays as it is")
            return
        chain = understand(f"load_image {quote_word(str(copy))}", session.registry)[0].chain
        session.run_plan(session.planned(chain), Where(), parents=(row.n,))
