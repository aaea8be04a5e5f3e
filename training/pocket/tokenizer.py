"""pocket's tokenizer: CLIP's byte-level BPE, with every word of the draughtsman as one token."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from training.pocket.scene import vocabulary

__all__ = ["byte_letters", "merges_for", "write_tokenizer"]

START, END = "<|startoftext|>", "<|endoftext|>"


def write_tokenizer(folder: Path) -> int:
    """Write the files CLIPTokenizer reads; the number of tokens.

    256 bytes, 256 bytes that end a word, the merges that build our words, two marks. Unknown text falls to bytes.
    """
    letters = byte_letters()
    merges = merges_for(vocabulary())
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(a + b for a, b in merges), START, END]
    assert len(set(tokens)) == len(tokens)
    folder.mkdir(parents=True, exist_ok=True)
    ids = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False, separators=(",", ":")), "utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    return len(tokens)


def byte_letters() -> list[str]:
    """The printable stand-ins of the 256 bytes, in CLIP's order: printable ones first, then the rest."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def merges_for(words: list[str]) -> list[tuple[str, str]]:
    """Merges that build each word from the left, letter by letter; shared beginnings are shared merges.

    Tried first: merges by frequency, as BPE learns them; they leave rare words in pieces. Merging always takes the pair
    that stands first in this list, so words are taken shortest first: a later merge can then not break an earlier word.
    """
    merges: dict[tuple[str, str], None] = {}
    for word in sorted(words, key=lambda word: (len(word), word)):
        symbols = apply([*word[:-1], word[-1] + "</w>"], list(merges))
        while len(symbols) > 1:
            merges[symbols[0], symbols[1]] = None
            symbols = apply(symbols, list(merges))
    return list(merges)


def apply(symbols: list[str], merges: list[tuple[str, str]]) -> list[str]:
    """What BPE makes of the symbols: the earliest merge first, everywhere it fits, until none fits."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    while True:
        pairs = [pair for pair in pairwise(symbols) if pair in ranks]
        if not pairs:
            return symbols
        best = min(pairs, key=ranks.__getitem__)
        merged, i = [], 0
        while i < len(symbols):
            fits = tuple(symbols[i : i + 2]) == best
            merged.append("".join(best) if fits else symbols[i])
            i += 1 + fits
        symbols = merged
