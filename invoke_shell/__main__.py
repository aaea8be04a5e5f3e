"""python -m invoke_shell."""

from __future__ import annotations

import sys


def main() -> int:
    """The program's entry; the imports wait until --help and --version are answered."""
    from invoke_shell.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
