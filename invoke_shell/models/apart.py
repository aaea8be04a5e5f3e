"""Reads a model whole in a process of its own; unasked at the lowest priority: who types and who draws come first.

Tried: a thread of low priority. While it holds the interpreter and waits for a processor, the prompt waits with it.

    python -m invoke_shell.models.apart NICE hashes PATH NAME...     or     NICE weights PATH

prints JSON lines: {"read": bytes, "of": bytes} ..., then {"answer": ...} or {"error": sentence}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import invoke_shell
from invoke_shell.errors import BlockedError
from invoke_shell.models.files import Tick, quiet, stamp_of
from invoke_shell.models.hashing import loaded_files

__all__ = ["command", "environment", "hashes", "weights"]

IDLE = 19  # nice
RATE = 0.1  # seconds between two lines of progress


def hashes(path: Path, names: Sequence[str], tick: Tick = quiet, *, nice: int = IDLE) -> dict[str, dict[str, str]]:
    """Hashes of a file, or of every loaded file of a folder, by stamp. tick: bytes; what it raises ends the process.

    Empty when the process came to nothing. Raises BlockedError for what cannot be read.
    """
    return _asked([str(nice), "hashes", str(path), *names], tick)


def weights(path: Path, tick: Tick = quiet) -> dict[str, str]:
    """The identity of a model's weights, as `identity.to_texts` gives it; otherwise as `hashes`."""
    return _asked([str(IDLE), "weights", str(path)], tick)


def command(module: str, *arguments: str) -> list[str]:
    """How a module of ours is run by itself. -P: a file called torch.py in the current folder must not become torch."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """That the child finds this very package."""
    home = str(Path(invoke_shell.__file__).parents[1])
    paths = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""}


def _asked(arguments: Sequence[str], tick: Tick) -> dict[str, Any]:
    nothing = subprocess.DEVNULL
    child = subprocess.Popen(
        command("invoke_shell.models.apart", *arguments),
        stdin=nothing,
        stdout=subprocess.PIPE,
        stderr=nothing,
        env=environment(),
        start_new_session=True,  # Ctrl-C is for whoever draws
    )
    answer: dict[str, Any] = {}
    try:
        assert child.stdout is not None
        for line in child.stdout:
            told = json.loads(line)
            if "error" in told:
                raise BlockedError(told["error"], hint=told["hint"], code="bad-model")
            if "answer" in told:
                answer = told["answer"]
            else:
                tick(told["read"], told["of"])
        return answer
    finally:
        child.kill()
        child.wait()


# -- the process -----------------------------------------------------------------------------------------------------


class _Teller:
    """Prints progress, now and then. before: bytes of the files that are done; total: of all."""

    def __init__(self) -> None:
        self.before, self.total, self.told = 0, 0, 0.0

    def tick(self, done: int, total: int) -> None:
        if time.monotonic() - self.told >= RATE:
            self.told = time.monotonic()
            _say(read=self.before + done, of=self.total or total)


def _say(**record: object) -> None:
    print(json.dumps(record), flush=True)


def _hashes(path: Path, names: Sequence[str]) -> dict[str, dict[str, str]]:
    from invoke_shell.models.onepass import hash_file

    files = {file: stamp_of(file) for file in (loaded_files(path) if path.is_dir() else [path])}
    sizes = {file: file.stat().st_size for file in files}
    teller, found = _Teller(), {}
    teller.total = sum(sizes.values())
    for file, stamp in files.items():
        found[stamp] = hash_file(file, names, teller.tick, mapped=True)
        teller.before += sizes[file]
    return found


def _weights(path: Path) -> dict[str, str]:
    from invoke_shell.models.identity import identities, to_texts

    return to_texts(identities(path, _Teller().tick))


def main(arguments: Sequence[str]) -> int:
    """The process: what is wrong with a file is an answer too."""
    nice, what, path, *names = arguments
    with suppress(OSError, AttributeError):
        os.nice(int(nice))
    try:
        _say(answer=_hashes(Path(path), names) if what == "hashes" else _weights(Path(path)))
    except BlockedError as error:
        _say(error=error.message, hint=error.hint)
    except BrokenPipeError:
        return 1  # nobody listens any more
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
