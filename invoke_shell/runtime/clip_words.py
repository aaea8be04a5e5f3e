"""CLIP's vocabulary, from the merges that ship in the package; what single files need and do not bring. No torch here.

assets/clip/merges.txt.gz: OpenAI's byte pair merges (MIT), 48,894 lines `left right`, the most frequent first.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

__all__ = ["MARKS", "vocabulary"]

MERGES = Path(__file__).resolve().parent.parent / "assets" / "clip" / "merges.txt.gz"
MARKS = ("<|startoftext|>", "<|endoftext|>")
END = "</w>"  # of a word


@cache
def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Token numbers by text, 49,408 of them, and the merges in their order."""
    lines = gzip.decompress(MERGES.read_bytes()).decode("utf-8").splitlines()
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    letters = _byte_letters()
    tokens = [*letters, *(letter + END for letter in letters), *(left + right for left, right in merges), *MARKS]
    return {token: number for number, token in enumerate(tokens)}, merges


def _byte_letters() -> list[str]:
    """The printable letter that byte-level BPE gives to each of the 256 bytes: its own, or one above 255."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = len(set(range(256)) - set(kept))
    return [chr(byte) for byte in kept] + [chr(256 + n) for n in range(moved)]
