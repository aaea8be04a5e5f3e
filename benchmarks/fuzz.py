"""Mutates the texts of pictures and reads them: whatever is in a file, nothing but the two errors may come out of it.

    python -m benchmarks.fuzz --chunks 1000000 [--seed 1] [--corpus tests/metadata/corpus]

Every file of the corpus is taken apart into its chunks; texts are changed, put together again with their checksums made
right (mostly), and read as `info`, `recall` and the start of a `replay` read them: values, a line that binds, a history
of steps. Two more ways break the container itself, and JPEG, WebP and GIF. A file that raises is kept in --keep.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from invoke_shell.commands import registry
from invoke_shell.errors import InvokeShellError
from invoke_shell.metadata.foreign.line import to_line
from invoke_shell.metadata.png import SIGNATURE
from invoke_shell.metadata.read import read_picture
from invoke_shell.pipeline.bind import understand
from invoke_shell.shell.replay.finding import recalled_text

__all__ = ["CORPUS", "Fuzzer", "Mutant"]

CORPUS = Path(__file__).parents[1] / "tests" / "metadata" / "corpus"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
SLOW = 2.0  # seconds of one file
REGISTRY = registry()

# Words that mean something to one reader or another, and values at the edges of what they take.
WORDS = (
    b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b"(", b")", b"<", b">", b":", b",", b";", b"|", b"#", b"\n", b"\r\n",
    b"\0", b"\x1b[2J", b"\xe2\x80\xae", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xff\xfe", b"\x9b", b"\\u0000",
    b"\\ud800", b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"18446744073709551616", b"9" * 5000,
    b"0.5", b"1e-320", b"[[[[[[[[", b'{"a":', b"[]", b"{}", b'""', b'["4", 0]', b'["3", 0]', b"..", b"/etc/passwd",
    b"file:///etc/passwd", b"@1", b"--", b"-s", b"-I", b"!fix", b"$ id", b"Steps: 20", b"Negative prompt:",
    b"Size: 1x1", b"Seed: -1", b"BREAK", b"<lora:a:1>", b"(a:1.2)", b"((((", b"1.3::", b"embedding:x", b"class_type",
    b"inputs", b"steps", b"params", b"version",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One mutated file. chunks: how many texts in it were changed."""

    data: bytes
    chunks: int


@dataclass
class Fuzzer:
    """Makes mutants of a corpus, and reads them."""

    corpus: list[tuple[str, bytes]]
    rng: random.Random
    seen: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, folder: Path, rng: random.Random) -> Fuzzer:
        files = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
        ours = [file for file in files if file[0].startswith("ours")]
        return cls(files + ours * 3, rng)

    def mutant(self) -> Mutant:
        """The next one: a PNG's texts changed, or any file's bytes."""
        data = self.rng.choice(self.corpus)[1]
        if not data.startswith(SIGNATURE) or self.rng.random() < 0.05:
            return Mutant(self.changed(data), 1)
        parts = list(_chunks(data))
        texts = [n for n, (name, _) in enumerate(parts) if name in TEXTS]
        chosen = self.rng.sample(texts, self.rng.randint(1, len(texts))) if texts else []
        for n in chosen:
            name, body = parts[n]
            parts[n] = (name, self.text(name, body))
        if self.rng.random() < 0.03:
            self.rng.shuffle(parts)
        return Mutant(SIGNATURE + b"".join(self.written(*part) for part in parts), len(chosen) or 1)

    def text(self, name: bytes, body: bytes) -> bytes:
        """A text chunk's bytes, its words changed, mostly leaving its name and its form as they are."""
        keyword, _, rest = body.partition(b"\0")
        if self.rng.random() < 0.02:
            return self.changed(body)
        if name == b"zTXt":
            return keyword + b"\0\0" + zlib.compress(self.changed(_inflated(rest[1:])), 1)
        head = b"\0" * 4 if name == b"iTXt" else b""
        return keyword + b"\0" + head + self.changed(rest[len(head) :])

    def changed(self, data: bytes) -> bytes:
        """Some bytes of it others: one or a few changes, each of one kind."""
        out = bytearray(data)
        for _ in range(1 if self.rng.random() < 0.5 else self.rng.randint(2, 12)):
            at = self.rng.randrange(len(out) + 1)
            kind = self.rng.randrange(8)
            end = min(len(out), at + self.rng.choice((1, 2, 4, 16, 64, 1024)))
            if kind == 0:
                out[at:at] = self.rng.choice(WORDS)
            elif kind == 1:
                out[at : min(end, at + 8)] = self.rng.choice(WORDS)
            elif kind == 2:
                del out[at:end]
            elif kind == 3:
                out[at:at] = out[at:end] * self.rng.choice((1, 1, 2, 40))
            elif kind == 4 and at < len(out):
                out[at] ^= 1 << self.rng.randrange(8)
            elif kind == 5:
                out[at:end] = self.rng.randbytes(end - at)
            elif kind == 6:
                other = self.rng.choice(self.corpus)[1]
                start = self.rng.randrange(len(other))
                out[at:end] = other[start : start + self.rng.randint(1, 200)]
            else:
                self.number(out, at)
        return bytes(out[: 1 << 18])

    def number(self, out: bytearray, at: int) -> None:
        """The next number in it another one."""
        digits = b"0123456789"
        begin = next((n for n in range(at, len(out)) if out[n] in digits), None)
        if begin is None:
            return
        end = next((n for n in range(begin, len(out)) if out[n] not in digits), len(out))
        value = self.rng.choice((0, 1, 2**31, 2**53 + 1, 2**64, 10**30, self.rng.randrange(1000)))
        out[begin:end] = (b"-" if self.rng.random() < 0.3 else b"") + str(value).encode()

    def written(self, name: bytes, body: bytes) -> bytes:
        """A chunk; now and then its length or its checksum lies."""
        length, crc = len(body), zlib.crc32(name + body)
        if self.rng.random() < 0.01:
            length = self.rng.choice((0, length + 1, 2**31, 2**32 - 1))
        if self.rng.random() < 0.02:
            crc ^= 1
        return struct.pack(">I", length) + name + body + struct.pack(">I", crc)

    def read(self, mutant: Mutant, path: Path) -> None:
        """Read one as the program does. Raises whatever is no error of ours, AssertionError for an unsafe text."""
        path.write_bytes(mutant.data)
        try:
            info = read_picture(path)
        except InvokeShellError as error:
            self.safe("refused", error.message)
            return
        self.safe(*info.warnings, *info.texts, *(line for text in info.texts.values() for line in text.split("\n")))
        self.foreign(info.foreign)
        try:
            text = recalled_text(REGISTRY, info.step())
        except InvokeShellError as error:
            self.safe("no history", error.message)
            return
        self.seen["histories"] += 1
        self.safe(*text.split("\n"))

    def foreign(self, found: object) -> None:
        """A reader's find becomes a line that binds."""
        if found is None:
            return
        line = to_line(found, REGISTRY)  # type: ignore[arg-type]
        self.safe(line.text, *line.missing, *line.guessed)
        if line.text:
            understand(line.text, REGISTRY)
            self.seen["lines"] += 1

    def safe(self, *texts: str) -> None:
        for text in texts:
            assert text.isprintable(), f"not made safe: {text!r}"


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=1_000_000, help="mutated texts in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="folder for files that raise")
    options = parser.parse_args()
    fuzzer = Fuzzer.of(options.corpus, random.Random(options.seed))
    done, files, failures, slowest, begun = 0, 0, 0, 0.0, time.perf_counter()
    told = begun
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / "mutant.png"
        while done < options.chunks:
            mutant = fuzzer.mutant()
            done, files, started = done + mutant.chunks, files + 1, time.process_time()
            try:
                fuzzer.read(mutant, path)
            except Exception:  # what is looked for
                failures += 1
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{options.seed}-{files}.bin").write_bytes(mutant.data)
                traceback.print_exc()
            spent = time.process_time() - started
            if spent > max(slowest, SLOW):
                print(f"file {files}: {spent:.1f} s")
            slowest = max(slowest, spent)
            if time.perf_counter() - told > 60:
                told = time.perf_counter()
                print(f"{done:,} chunks, {failures} failures, {told - begun:.0f} s", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - begun
    print(
        f"{done:,} mutated texts in {files:,} files, {seconds:.0f} s: {failures} failures; "
        f"{fuzzer.seen['lines']:,} lines that bind, {fuzzer.seen['histories']:,} histories; slowest {slowest:.2f} s"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
