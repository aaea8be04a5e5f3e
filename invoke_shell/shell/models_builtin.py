"""`models`: what there is, what it is, and how it gets here. The work is done in models/; here is what is said."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from invoke_shell.errors import BlockedError, Fault, LineError, RunError, cells
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.events import ChainDone, ChainStarted, Progress
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.session import Session, StatusError

if TYPE_CHECKING:
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.models.entry import Entry
    from invoke_shell.models.files import Tick
    from invoke_shell.models.scan import Scanned

__all__ = ["models"]

Action = Literal["list", "show", "add", "remove", "rename", "verify", "scan", "convert"]
Kind = Literal["checkpoint", "vae", "lora", "embedding", "controlnet", "ip_adapter", "upscaler", "text_encoder", "face"]
Models = Annotated[list[str], Arg(help="Models by name, key, hash or path; kinds for list, folders for scan.")]
Hashes = Annotated[list[str], Arg(help="More hashes for show: sha512, shake_128:32 ...")]

WRITES = ("add", "remove", "rename", "scan", "convert")  # what a command file may only with --trust
RATE = 0.1  # seconds between two looks at the progress
NAME = 26  # cells of a name in the table
TOLD = 10  # refused files that a scan names
FOLDERS = "folders"  # fact of the catalogue: what was scanned, a line each


@node(
    builtin=True,
    group="shell",
    examples=["models", "models list lora", "models show pocket"],
)
def models(
    shell: Session,
    action: Annotated[Action, Arg(help="What to do.")] = "list",
    what: Models = (),  # type: ignore[assignment]  # always a list
    *,
    kind: Annotated[Kind | None, Arg(help="The kind that is meant; for add what it is, when nobody can tell.")] = None,
    name: Annotated[str | None, Arg(help="The name that what is added gets.")] = None,
    output: Annotated[Path | None, Arg(help="File or folder that convert writes.", short="o")] = None,
    hash: Hashes = (),  # type: ignore[assignment]  # always a list
) -> None:
    """List models, show one, add, remove, rename, verify, scan and convert them.

    A model is named by its name, its key, a path, or 6 digits or more of a hash. Adding takes a file, a folder or
    hf:owner/name, and leaves it where it is; removing leaves it there too. scan takes in the folders of other programs,
    and without a folder looks through those of before. convert makes a safetensors file of a pickle.
    """
    if action in WRITES and not shell.trusted:
        raise RunError(f"models {action} changes the catalogue, which a file may only with --trust", code="not-trusted")
    work = _Work(shell, kind or "", name or "", output, hash)
    try:
        getattr(work, f"do_{action}")(what)
    finally:
        for notice in shell.catalogue.notices():
            shell.view.say(notice, warning=True)


class _Work:
    """The actions, each with the words that were typed. kind, name: "" when not given."""

    def __init__(self, shell: Session, kind: str, name: str, output: Path | None, hashes: list[str]) -> None:
        self.view = shell.view
        self.catalogue: Catalogue = shell.catalogue
        self.kind, self.name, self.output, self.hashes = kind, name, output, hashes

    def do_list(self, words: Sequence[str]) -> None:
        """A line each."""
        wanted = [*words, *([self.kind] if self.kind else [])]
        known = get_args(Kind)
        if wrong := next((w for w in wanted if w not in known), None):
            raise _usage(f"models list {wrong}", wrong, f"there is no kind {wrong}", f"one of {', '.join(known)}")
        found = [e for e in self.catalogue.entries() if not wanted or e.kind in wanted]
        for entry in found:
            self.view.text(_row(entry), _record(entry))
        if not found:
            self.view.say("no such models are here" if wanted else "no models are here")

    def do_show(self, words: Sequence[str]) -> None:
        """All that is known of each."""
        for word in self.needed("show", words, "models show pocket"):
            entry = self.catalogue.entry(word, self.kind)
            more = self.more_hashes(entry) if self.hashes else {}
            record = {**_record(entry), **_details(entry), "hashes": more or dict(entry.hashes)}
            self.view.text("\n".join(_page(entry, more)), record)

    def more_hashes(self, entry: Entry) -> dict[str, str]:
        if entry.path.is_dir():
            message = f"{entry.name} is a folder; other hashes than blake3-tree are of files"
            raise BlockedError(message, code="bad-model")
        with self.progress(f"hashing {entry.name}, MB", 1_000_000) as tick:
            return dict(self.catalogue.digests.of(entry.path, self.hashes, tick))

    def do_add(self, words: Sequence[str]) -> None:
        """Files, folders, repositories."""
        from invoke_shell.models.sources import read_source

        for word in self.needed("add", words, "models add ~/Downloads/model.safetensors"):
            source = read_source(word)
            if source is None:
                entry = self.catalogue.add(Path(word), name=self.name, kind=self.kind)
            else:
                with self.progress(f"fetching {source}, MB", 1_000_000) as tick:
                    entry = self.catalogue.fetch(source, name=self.name, kind=self.kind, tick=tick)
            self.added(entry)

    def added(self, entry: Entry) -> None:
        from invoke_shell.models.finding import KINDS

        what = KINDS[entry.kind] + (f" for {entry.finding.base}" if entry.finding.base else "")
        self.view.text(f"{visible(entry.name)} is {what}: {visible(entry.finding.reason)}", _record(entry))
        for note in entry.finding.notes:
            self.view.say(f"{visible(entry.name)}: {note}")

    def do_remove(self, words: Sequence[str]) -> None:
        for word in self.needed("remove", words, "models remove fox"):
            entry = self.catalogue.entry(word, self.kind)
            self.catalogue.remove(entry)
            self.view.say(
                f"{visible(entry.name)} is out of the catalogue; its file stays at {visible(str(entry.path))}"
            )

    def do_rename(self, words: Sequence[str]) -> None:
        if len(words) != 2:
            self.needed("rename", [], "models rename fox vixen")
        entry = self.catalogue.rename(self.catalogue.entry(words[0], self.kind), words[1])
        self.view.text(f"{visible(words[0])} is {entry.name} now", _record(entry))

    def do_verify(self, words: Sequence[str]) -> None:
        """Read again and compare; status 1 when one is not as it was."""
        entries = [self.catalogue.entry(w, self.kind) for w in words] if words else self.catalogue.entries(self.kind)
        bad = 0
        for entry in entries:
            with self.progress(f"reading {entry.name}, MB", 1_000_000) as tick:
                verdict, now = self.catalogue.verify(entry, tick)
            bad += verdict not in ("unchanged", "hashed")
            text = f"{_fit(visible(entry.name), NAME)} {VERDICTS[verdict]}"
            self.view.text(text.rstrip(), {**_record(now), "event": "verified", "verdict": verdict})
        if bad:
            raise StatusError(1)

    def do_scan(self, words: Sequence[str]) -> None:
        folders = words or [f for f in self.catalogue.fact(FOLDERS).splitlines() if f]
        for folder in self.needed("scan", folders, "models scan ~/ComfyUI/models"):
            path = Path(folder).expanduser().absolute()
            with self.progress(f"scanning {path.name}", 1) as tick:
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
        self.view.text("\n".join(_summary(folder, out)), record)

    def do_convert(self, words: Sequence[str]) -> None:
        for word in self.needed("convert", words, "models convert old.ckpt"):
            with self.progress(f"converting {Path(word).name}, MB", 1_000_000) as tick:
                done, entry = self.catalogue.convert(Path(word), self.output, kind=self.kind, tick=tick)
            self.view.say(f"{done.tensors} tensors are in {visible(str(done.path))}; {visible(word)} stays as it is")
            if done.left_out:
                self.view.say(f"left out, because they are no weights: {', '.join(map(visible, done.left_out))}")
            self.added(entry)

    def needed(self, action: str, words: Sequence[str], example: str) -> Sequence[str]:
        """The words, of which there must be one. Raises LineError."""
        if not words:
            line = f"models {action}"
            raise _usage(line, line, f"{line} needs to know what", f"as in: {example}", "missing-argument")
        return words

    @contextmanager
    def progress(self, label: str, unit: int) -> Iterator[Tick]:
        """A Tick that is shown. unit: what one of the shown steps is of what is counted."""
        told, start = 0.0, time.monotonic()

        def tick(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told >= RATE:
                told = time.monotonic()
                self.view.event(Progress(stage=0, call=0, done=done // unit, total=total // unit))

        self.view.event(ChainStarted(stages=(visible(label),), pictures=0))
        try:
            yield tick
        finally:
            self.view.event(ChainDone(pictures=0, seconds=time.monotonic() - start))


VERDICTS = {
    "unchanged": "is as it was",
    "hashed": "is read for the first time",
    "changed": "was written to since",
    "damaged": "has other content although nothing wrote to it: its disk, or a copy, may be damaged",
    "gone": "is no longer there",
}


def _usage(line: str, word: str, message: str, hint: str, code: str = "bad-choice") -> LineError:
    start = line.rindex(word)
    return LineError(line, [Fault(start, start + len(word), message, hint, code)])


# -- what is said of a model -----------------------------------------------------------------------------------------


def _row(entry: Entry) -> str:
    """At most 80 columns: name, kind, family, size, hash."""
    found = entry.finding
    family = " ".join(part for part in (found.base, found.variant) if part)
    digits = entry.hash.rpartition(":")[2][:6]
    name, size = _fit(visible(entry.name), NAME), _size(found.bytes)
    return f"{name} {entry.kind:<12} {_fit(visible(family), 20)} {size:>8} {digits}".rstrip()


def _fit(text: str, width: int) -> str:
    """Filled up or cut to a number of cells."""
    if cells(text) > width:
        while cells(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cells(text))


def _size(count: int) -> str:
    from invoke_shell.models.files import size_text

    return size_text(count)


def _page(entry: Entry, more: dict[str, str]) -> Iterator[str]:
    """What `show` says, a line for each fact."""
    found = entry.finding
    yield f"{visible(entry.name)}: {entry.kind}" + (f", {found.base}" if found.base else ", family unknown")
    for label, value in _facts(entry, more):
        if value:
            yield f"  {label:<11} {visible(value)}"


def _facts(entry: Entry, more: dict[str, str]) -> Iterator[tuple[str, str]]:
    found = entry.finding
    yield "variant", found.variant
    yield "why", found.reason
    yield "path", str(entry.path)
    yield "weights", ", ".join(p for p in (found.format, found.dtype, _size(found.bytes)) if p)
    yield "holds", ", ".join(found.parts)
    yield "predicts", found.prediction + (", zero terminal SNR" if found.zero_snr else "")
    yield "words", ", ".join(found.words)
    yield "defaults", "  ".join(f"--{k} {v}" for k, v in found.advice.items())
    yield from ((label, found.told.get(label, "")) for label in ("title", "author", "license", "usage_hint"))
    scheme, _, digits = entry.hash.rpartition(":")
    yield scheme or "hash", digits or f"not read yet; models verify {entry.name} does it"
    yield from (more or entry.hashes).items()
    yield from ((f"was {name}", digits) for name, digits in entry.original.items())
    yield from entry.weights.items()
    yield "from", entry.source
    yield "key", entry.key
    yield "added", _date(entry.added)
    yield "verified", _date(entry.verified)
    yield from (("note", note) for note in found.notes)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""


def _record(entry: Entry) -> dict[str, Any]:
    """One JSON object of a model; keys are added, never renamed."""
    found = entry.finding
    return {
        "event": "model", "name": entry.name, "kind": entry.kind, "base": found.base, "variant": found.variant,
        "format": found.format, "dtype": found.dtype, "bytes": found.bytes, "path": str(entry.path),
        "hash": entry.hash or None, "key": entry.key or None, "words": [*found.words], "origin": entry.origin,
    }  # fmt: skip


def _details(entry: Entry) -> dict[str, Any]:
    found = entry.finding
    return {
        "reason": found.reason, "prediction": found.prediction or None, "zero_snr": found.zero_snr,
        "parts": [*found.parts], "advice": dict(found.advice), "told": dict(found.told), "notes": [*found.notes],
        "original": dict(entry.original), "weights": dict(entry.weights), "source": entry.source or None,
        "added": entry.added or None, "verified": entry.verified or None,
    }  # fmt: skip


# -- what is said of a scan ------------------------------------------------------------------------------------------


def _summary(folder: Path, out: Scanned) -> Iterator[str]:
    found = Counter(e.kind for e in (*out.new, *out.changed, *out.moved))
    news = ", ".join(f"{len(some)} {what}" for what, some in _news(out) if some) or "nothing new"
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.most_common())
    yield f"{visible(str(folder))}: {out.files} files, {news}" + (f" ({kinds})" if kinds else "")
    if out.pickles:
        some = f"{len(out.pickles)} are pickles" if len(out.pickles) > 1 else "1 is a pickle"
        yield f"  {some}, which could run any program; models convert FILE makes safetensors files"
    others = [why for path, why in out.refused.items() if path not in out.pickles]
    yield from (f"  {why}" for why in [*others, *map(visible, out.faults)][:TOLD])
    if len(others) + len(out.faults) > TOLD:
        yield f"  … and {len(others) + len(out.faults) - TOLD} more; --json tells all"


def _news(out: Scanned) -> Iterator[tuple[str, Sequence[object]]]:
    yield from (("new", out.new), ("changed", out.changed), ("moved", out.moved), ("gone", out.gone))
