"""python -m invoke_shell."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """The program's entry; the imports wait until --help and --version are answered."""
    _open_what_is_closed()
    try:
        from invoke_shell.cli import run
    except KeyboardInterrupt:  # before there is anybody to answer it
        return 130
    return run(sys.argv[1:])


def _open_what_is_closed() -> None:
    """Standard streams that were closed (`<&-`, `>&-`) read and write nothing.

    Left closed, the next file that is opened, a database perhaps, would take the number of the stream and all that is
    written there.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, os.fdopen(fd, mode, encoding="utf-8", closefd=False))


if __name__ == "__main__":
    sys.exit(main())
