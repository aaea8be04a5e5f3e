"""How a run's pictures are written: format, sources embedded, what does not fit and has to be said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell import __version__
from invoke_shell.errors import OutputError
from invoke_shell.metadata.contents import Policy
from invoke_shell.metadata.embed import pack
from invoke_shell.metadata.jpeg_webp import PNG, SUFFIXES, Form
from invoke_shell.metadata.provenance import marks_text
from invoke_shell.pipeline.calls import Call, Plan, ancestors
from invoke_shell.pipeline.facts import InputRef
from invoke_shell.records import Frame
from invoke_shell.shell.archive.results import Parcel
from invoke_shell.shell.replay.finding import recalled_text
from invoke_shell.shell.replay.sources import to_embed

if TYPE_CHECKING:
    from invoke_shell.shell.workbench import Workbench

__all__ = ["Packer", "export_form"]


class Packer:
    """Packs the pictures of one line; what is true of many of them is said once."""

    def __init__(self, bench: Workbench, made: Plan) -> None:
        self.bench = bench
        self.made = made
        self.told: set[str] = set()

    def result(self, frame: Frame, call: Call) -> Parcel:
        """The file of a result. Raises OutputError."""
        asked = any(c.params.get("embed") for c in ancestors(self.made.calls, call))
        return self._parcel(frame, self._form(frame), asked=asked)

    def copy(self, frame: Frame, form: Form, *, asked: bool) -> Parcel:
        """The file of a copy in a format of the person's choice. Raises OutputError."""
        return self._parcel(frame, form, asked=asked)

    def note_marks(self, ref: InputRef) -> None:
        """Say which marks of origin a source has."""
        for sentence in marks_text(ref.name, ref.facts.get("marks", ())):
            self._tell(sentence)

    def _form(self, frame: Frame) -> Form:
        """As set; a PNG where such a file cannot hold the picture."""
        form = Form(name=self.bench.settings["format"], quality=self.bench.settings["quality"])
        try:
            form.refuse(frame.image)
        except OutputError as error:
            self._tell(f"{error.message}: it is written as a PNG")
            return PNG
        return form

    def _policy(self, *, asked: bool) -> Policy:
        """Whether sources are embedded: as the line says, else as set; never with privacy on."""
        policy: Policy = "always" if asked else self.bench.settings["embed"]
        if policy != "never" and self.bench.settings["privacy"]:
            self._tell("privacy is on: no source is embedded")
            return "never"
        return policy

    def _parcel(self, frame: Frame, form: Form, *, asked: bool) -> Parcel:
        bench, command = self.bench, recalled_text(self.bench.registry, frame.step)
        contents = to_embed(bench.keeper, frame.step, self._policy(asked=asked), form)
        packed = pack(
            frame,
            app_version=__version__,
            created=bench.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=command,
            privacy=bool(bench.settings["privacy"]),
            a1111=bool(bench.settings["a1111"]),
            form=form,
            contents=contents,
        )
        for sentence in (*contents.left, *packed.notes):
            self._tell(sentence)
        return Parcel(packed=packed, form=form, command=command, note=contents.note)

    def _tell(self, sentence: str) -> None:
        if sentence not in self.told:
            self.told.add(sentence)
            self.bench.view.say(sentence)


def export_form(path: Path, quality: int) -> tuple[Path, Form]:
    """Where `save` writes, with an ending, and in which format. Raises OutputError for an ending we do not write."""
    ending = path.suffix.lower()
    if str(path) == "-" or not ending:
        return (path if str(path) == "-" else path.with_suffix(".png")), PNG
    if ending not in SUFFIXES:
        message = f"save writes PNG, JPEG and WebP files, and {path.name} ends in {path.suffix}"
        raise OutputError(message, hint=f"as in: save {path.with_suffix('.png').name}")
    return path, Form(name=SUFFIXES[ending], quality=quality)
