"""What `models ACTION` does, with the words that were typed. The work is done in models/; here it is asked and told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError, Fault, LineError, nearest
from invoke_shell.metadata.visible import visible
from invoke_shell.models.finding import KINDS
from invoke_shell.shell.answers import model_pages as pages
from invoke_shell.shell.display.counting import MB, counted
from invoke_shell.shell.session import Session, StatusError

if TYPE_CHECKING:
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.models.contents import Verdict
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.scan import Scanned

__all__ = ["Work"]

FOLDERS = "folders"  # fact of the catalogue: what was scanned, a line each


class Work:
    """The actions, each with the words that were typed. kind, name: "" when not given."""

    def __init__(self, shell: Session, kind: str, name: str, output: Path | None, hashes: list[str]) -> None:
        self.view = shell.view
        self.catalogue: Catalogue = shell.catalogue
        self.kind, self.name, self.output, self.hashes = kind, name, output, hashes

    def do_list(self, words: Sequence[str]) -> None:
        """A line each."""
        wanted = [*words, *([self.kind] if self.kind else [])]
        if wrong := next((w for w in wanted if w not in KINDS), None):
            near = nearest(wrong, KINDS)
            hint = f"did you mean {near}?" if near else f"one of {', '.join(KINDS)}"
            raise _usage(f"models list {wrong}", wrong, f"there is no kind {wrong}", hint)
        found = [e for e in self.catalogue.entries() if not wanted or e.kind in wanted]
        for entry in found:
            self.view.text(pages.row(entry), pages.record(entry))
        if not found:
            self.view.say("no such models are here" if wanted else "no models are here")

    def do_show(self, words: Sequence[str]) -> None:
        """All that is known of each."""
        for word in self.needed("show", words, "models show pocket"):
            entry = self.catalogue.entry(word, self.kind)
            more = self.more_hashes(entry) if self.hashes else {}
            record = {**pages.record(entry), **pages.details(entry), "hashes": more or dict(entry.hashes)}
            self.view.text("\n".join(pages.page(entry, more)), record)

    def more_hashes(self, entry: Entry) -> dict[str, str]:
        if entry.path.is_dir():
            message = f"{entry.name} is a folder; other hashes than blake3-tree are of files"
            raise BlockedError(message, code="bad-model")
        with counted(self.view, f"hashing {entry.name}", MB) as tick:
            return dict(self.catalogue.digests.of(entry.path, self.hashes, tick))

    def do_add(self, words: Sequence[str]) -> None:
        """Files, folders, repositories."""
        from invoke_shell.models.sources import read_source

        for word in self.needed("add", words, "models add ~/Downloads/model.safetensors"):
            source = read_source(word)
            if source is None:
                entry = self.catalogue.add(Path(word), name=self.name, kind=self.kind)
            else:
                with counted(self.view, f"fetching {source}", MB) as tick:
                    entry = self.catalogue.fetch(source, name=self.name, kind=self.kind, tick=tick)
            self.added(entry)

    def added(self, entry: Entry) -> None:
        what = KINDS[entry.kind] + (f" for {entry.finding.base}" if entry.finding.base else "")
        text = f"{visible(entry.name)} is {what}: {visible(entry.finding.reason)}"
        self.view.text("\n".join(pages.wrapped(text, 0, more=2)), pages.record(entry))
        for note in entry.finding.notes:
            self.view.say(f"{visible(entry.name)}: {note}")

    def do_remove(self, words: Sequence[str]) -> None:
        for word in self.needed("remove", words, "models remove fox"):
            entry = self.catalogue.entry(word, self.kind)
            self.catalogue.remove(entry)
            kept = f"; its file stays at {visible(str(entry.path))}" if entry.path.exists() else ""
            self.view.say(f"{visible(entry.name)} is out of the catalogue{kept}")

    def do_rename(self, words: Sequence[str]) -> None:
        if len(words) != 2:
            line = " ".join(["models rename", *words])
            raise _usage(line, line, "models rename takes a model and its new name", "as in: models rename fox vixen")
        entry = self.catalogue.rename(self.catalogue.entry(words[0], self.kind), words[1])
        self.view.text(f"{visible(words[0])} is {entry.name} now", pages.record(entry))

    def do_verify(self, words: Sequence[str]) -> None:
        """Read again and compare; status 1 when one is not as it was."""
        entries = [self.catalogue.entry(w, self.kind) for w in words] if words else self.catalogue.entries(self.kind)
        bad = 0
        for entry in entries:
            with counted(self.view, f"reading {entry.name}", MB) as tick:
                verdict, now = self.catalogue.verify(entry, tick)
            bad += verdict not in GOOD
            self.verified(self.weighed(now) if verdict in GOOD else now, verdict)
        if bad:
            raise StatusError(1)

    def weighed(self, entry: Entry) -> Entry:
        """With the identity of its weights, which takes longer than its hash and is computed once."""
        from invoke_shell.models.weighing import weigh

        with counted(self.view, f"comparing the weights of {entry.name}", MB) as tick:
            return weigh(self.catalogue, entry, tick)

    def verified(self, entry: Entry, verdict: Verdict) -> None:
        from invoke_shell.models.weighing import twins

        same = twins(self.catalogue, entry) if entry.weights else {}
        text = f"{pages.fit(visible(entry.name), pages.NAME)} {VERDICTS[verdict]}{pages.likenesses(same)}"
        record = {**pages.record(entry), "event": "verified", "verdict": verdict, "same_weights": same}
        self.view.text(text.rstrip(), record)

    def do_scan(self, words: Sequence[str]) -> None:
        folders = words or [f for f in self.catalogue.fact(FOLDERS).splitlines() if f]
        for folder in self.needed("scan", folders, "models scan ~/ComfyUI/models"):
            path = Path(folder).expanduser().absolute()
            with counted(self.view, f"scanning {path.name}") as tick:
                out = self.catalogue.scan([path], tick)
            self.remember(str(path))
            self.scanned(path, out)

    def remember(self, folder: str) -> None:
        known = self.catalogue.fact(FOLDERS).splitlines()
        if folder not in known:
            self.catalogue.fact(FOLDERS, "\n".join([*known, folder]))

    def scanned(self, folder: Path, out: Scanned) -> None:
        record = {
            "event": "scan", "folder": str(folder), "files": out.files, "same": out.same,
            **{what: [e.name for e in getattr(out, what)] for what in ("new", "changed", "moved")},
            "gone": out.gone, "refused": out.refused, "faults": out.faults,
        }  # fmt: skip
        self.view.text("\n".join(pages.summary(folder, out)), record)

    def do_convert(self, words: Sequence[str]) -> None:
        for word in self.needed("convert", words, "models convert old.ckpt"):
            with counted(self.view, f"converting {Path(word).name}", MB) as tick:
                done, original = self.catalogue.convert(Path(word), self.output, tick)
            some = "1 tensor is" if done.tensors == 1 else f"{done.tensors} tensors are"
            self.view.say(f"{some} in {visible(str(done.path))}; {visible(word)} stays as it is")
            if done.left_out:
                self.view.say(f"left out, because they are no weights: {', '.join(map(visible, done.left_out))}")
            self.added(self.catalogue.hash(self.catalogue.add(done.path, kind=self.kind, original=original)))

    def needed(self, action: str, words: Sequence[str], example: str) -> Sequence[str]:
        """The words, of which there must be one. Raises LineError."""
        if not words:
            line = f"models {action}"
            raise _usage(line, line, f"{line} needs to know what", f"as in: {example}", "missing-argument")
        return words


GOOD = ("unchanged", "hashed")
VERDICTS: dict[Verdict, str] = {
    "unchanged": "is as it was",
    "hashed": "is read for the first time",
    "changed": "was written to since",
    "damaged": "has other content although nothing wrote to it: its disk, or a copy, may be damaged",
    "gone": "is no longer there",
}


def _usage(line: str, word: str, message: str, hint: str, code: str = "bad-choice") -> LineError:
    start = line.rindex(word)
    return LineError(line, [Fault(start, start + len(word), message, hint, code)])
